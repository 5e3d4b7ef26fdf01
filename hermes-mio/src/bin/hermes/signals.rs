//! Signals: the wish to end, and SIGUSR1.

use std::io;

/// The request of a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "signals are watched on Unix only"))]
pub(crate) enum Request {
    /// SIGINT, SIGTERM or SIGHUP, by name: as the end of input. The second one ends the process.
    End(&'static str),
    /// SIGUSR1: say what the program waits for.
    Explain,
}

/// Calls `on_request` for each signal, on a thread of its own. A signal that was ignored when the
/// process started (`nohup`, a background job of a shell) stays so.
#[cfg(unix)]
pub(crate) fn watch(mut on_request: impl FnMut(Request) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    let ends = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGHUP, "SIGHUP")];
    let ends = ends.into_iter().filter(|(signal, _)| !is_ignored(*signal));
    let ends: Vec<_> = ends.collect();
    let watched = ends.iter().map(|(signal, _)| *signal).chain([SIGUSR1]);
    let mut signals = Signals::new(watched)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut is_ending = false;
        for signal in signals.forever() {
            let Some((_, name)) = ends.iter().find(|(end, _)| *end == signal) else {
                on_request(Request::Explain);
                continue;
            };
            if std::mem::replace(&mut is_ending, true) {
                // It ends the process, unless the system can't: then the first one has to do.
                let _ = emulate_default_handler(signal);
            }
            on_request(Request::End(name));
        }
    })?;
    Ok(())
}

/// Whether a signal is ignored, if the system tells.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
pub(crate) fn watch(_: impl FnMut(Request) + Send + 'static) -> io::Result<()> {
    Ok(())
}
