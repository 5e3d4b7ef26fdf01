//! This process, and those that it starts.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use hermes_bench::cores;

/// Starts this program once more, and hears what it says.
pub fn start(args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let exe = std::env::current_exe().expect("this is one");
    let mut child = Command::new(exe)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started again");
    let says = BufReader::new(child.stdout.take().expect("it is piped"));
    (child, says)
}

/// The gateway's process.
pub struct Gateway {
    child: Child,
    pub port: u16,
}

impl Gateway {
    /// On this port, or for 0 on a free one, and on this core.
    pub fn start(port: u16, core: usize) -> Self {
        let (child, mut says) = start(&["gateway", &port.to_string()]);
        cores::bind_child(&child, core);
        let mut line = String::new();
        says.read_line(&mut line).expect("it says its port");
        Gateway { child, port: line.trim().parse().expect("a port") }
    }

    pub fn move_to(&self, core: usize) {
        cores::bind_child(&self.child, core);
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As many files as may be.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(65_536), maximum: Some(65_536) })
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }));
}

pub fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * rustix::param::page_size()
}

/// What this process has used of the processors.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
