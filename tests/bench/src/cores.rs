//! Where threads run: where the scheduler puts them makes more of a difference than all else.

use std::process::Child;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The first two cores that this thread may use.
///
/// # Panics
///
/// Where there is only one.
pub fn two() -> [usize; 2] {
    let mine = sched_getaffinity(None).expect("the system tells");
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| mine.is_set(*core));
    [(); 2].map(|()| cores.next().expect("two cores"))
}

/// Binds this thread, and whatever it starts from here on, to a core.
///
/// # Panics
///
/// Where it is none of ours.
pub fn bind_to(core: usize) {
    bind(None, core);
}

/// Binds the first thread of a process to a core.
///
/// # Panics
///
/// Where the core, or the process, is none of ours.
pub fn bind_child(child: &Child, core: usize) {
    bind(Some(Pid::from_child(child)), core);
}

fn bind(who: Option<Pid>, core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(who, &cores).expect("it is one of ours");
}
