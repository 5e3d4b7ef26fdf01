//! A trace file with anything in it: it is run or refused, and what the machine did it does again.

use std::collections::BTreeMap;

use hermes_proto::trace::{Checker, Header, Replayer};
use serde_json::value::RawValue;

use super::{client, endpoint, history};

/// Runs a trace, and checks the recording of that.
pub fn run(input: &[u8]) {
    let Ok(trace) = std::str::from_utf8(input) else { return };
    if trace.lines().any(runs_for_long) {
        return;
    }
    let mut replayer = Replayer::new();
    let mut recording = String::new();
    for line in trace.lines().filter(|line| !is_action(line)) {
        let mut out = String::new();
        if replayer.feed(line, &mut out).is_ok() {
            recording.push_str(line);
            recording.push('\n');
            recording.push_str(&out);
        }
    }
    replayer.finish(&mut recording);
    replays(&recording);

    // As a recording, which may be a lie.
    let mut checker = Checker::new();
    if trace.lines().any(is_action) && trace.lines().all(|line| checker.feed(line).is_ok()) {
        let _ = checker.finish();
    }
}

/// Traces to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = |lines: &[&str]| lines.join("\n").into_bytes();
    let mut seeds = vec![
        lines(&[
            r#"{"trace":1,"auto":true,"until_ms":3000}"#,
            r#"{"at":0,"in":"connect"}"#,
            r#"{"at":5,"in":"closed","cause":"connect","text":"refused"}"#,
        ]),
        lines(&[
            r#"{"trace":1,"auto":true,"level":"bytes","seed":"ff00000000000000000000000000000000000000000000000000000000000000"}"#,
            r#"{"in":"connect"}"#,
            r#"{"at":0.5,"in":"opened","conn":1}"#,
            r#"{"at":1,"in":"received","data":"SFRUUC8xLjEgNTAzIEJ1c3kNClJldHJ5LUFmdGVyOiAzDQoNCg=="}"#,
            r#"{"at":20000,"in":"timer"}"#,
        ]),
        lines(&[
            r#"{"in":"send","message":{"type":"chat"},"ttl_ms":5.25,"volatile":true}"#,
            r#"{"in":"shutdown","within_ms":10}"#,
            r#"{"at":10,"out":"event","event":"shut-down","detail":{"unsent":0}}"#,
        ]),
    ];
    // Days of chance, short ones; what came of them is found out anew.
    let short = |seed: Vec<u8>| seed[..history::SETTINGS + 25].to_vec();
    let days = client::seeds().into_iter().map(|seed| client::trace(&short(seed)));
    let days = days.chain(endpoint::seeds().into_iter().map(|seed| endpoint::trace(&short(seed))));
    for (number, day) in days.step_by(7).enumerate() {
        let keeps = |line: &&str| number.is_multiple_of(5) || !is_action(line);
        seeds.push(lines(&day.lines().filter(keeps).collect::<Vec<_>>()));
    }
    seeds
}

/// A recording is true.
pub(super) fn replays(recording: &str) {
    let mut checker = Checker::new();
    for line in recording.lines() {
        checker.feed(line).unwrap_or_else(|error| panic!("{error}, in\n{recording}"));
    }
    checker.finish().unwrap_or_else(|error| panic!("{error}, after\n{recording}"));
}

/// Whether this is a header by which a machine may go on for longer than anybody wants to wait.
fn runs_for_long(line: &str) -> bool {
    serde_json::from_str(line).is_ok_and(|header: Header| {
        let until = header.until_ms.is_some_and(|millis| millis > 1_000_000.0);
        header.auto && (until || header.config.max_attempts.is_none_or(|most| most > 20))
    })
}

fn is_action(line: &str) -> bool {
    serde_json::from_str::<BTreeMap<String, &RawValue>>(line).is_ok_and(|members| {
        let has = |name| members.get(name).is_some_and(|value| value.get() != "null");
        has("out") && !has("in")
    })
}
