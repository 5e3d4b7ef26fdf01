//! Signals: SIGUSR1 asks for the reason of the current state.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(unix)]
use std::{sync::atomic::Ordering, thread};

use hermes_mio::Sender;

/// A flag that a SIGUSR1 sets; the signal also wakes the client.
#[cfg(unix)]
pub(super) fn watch(sender: Sender) -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::SIGUSR1;
    use signal_hook::iterator::Signals;
    let is_asked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_asked);
    let mut signals = Signals::new([SIGUSR1])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            sender.wake();
        }
    })?;
    Ok(is_asked)
}

#[cfg(not(unix))]
pub(super) fn watch(_: Sender) -> io::Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}
