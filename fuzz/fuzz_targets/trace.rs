//! Whatever is in a trace file, it is run or refused.
#![no_main]

use hermes_proto::trace::{Checker, Replayer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|trace: &str| {
    let mut replayer = Replayer::new();
    let mut out = String::new();
    for line in trace.lines() {
        // `until_ms` with a tiny backoff and no limit of attempts runs as long as it says.
        if line.contains("until_ms") || line.contains("max_attempts") {
            return;
        }
        let _ = replayer.feed(line, &mut out);
    }
    let mut checker = Checker::new();
    for line in trace.lines() {
        if checker.feed(line).is_err() {
            return;
        }
    }
    let _ = checker.finish();
});
