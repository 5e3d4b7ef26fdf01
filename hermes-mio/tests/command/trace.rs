//! `--record` and `hermes replay`.

use super::*;

#[test]
fn a_recording_replays_also_after_a_crash_and_without_its_secrets() {
    let directory = tempfile::tempdir().unwrap();
    for redact in [false, true] {
        let file = directory.path().join(format!("{redact}.trace"));
        let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
        let url = format!("ws://{addr}/?key=s3cret-key");
        let header = "Authorization: Bearer s3cret-header";
        let mut args =
            vec!["connect", &url, "--header", header, "--record", file.to_str().unwrap()];
        if redact {
            args.push("--redact");
        }
        let mut client = Hermes::start(&args);
        let token = client.event("session-init")["detail"]["token"].as_str().unwrap().to_string();
        client.say(&chat(1));
        gateway.until(|line| number(line) == Some(1));
        // No farewell: what is in the file is what was written as it happened.
        client.kill();

        let trace = std::fs::read_to_string(&file).unwrap();
        for secret in [token.as_str(), "s3cret-key", "s3cret-header"] {
            assert!(!redact || !trace.contains(secret), "{secret} in {trace}");
        }
        is_private(&file);
        let (status, lines, errors) =
            Hermes::start(&["replay", "--check", file.to_str().unwrap()]).end();
        assert!(status.success(), "{errors}");
        assert!(lines[0].starts_with(r#"{"check":"ok","actions":"#), "{lines:?}");
    }
}

#[test]
fn a_hand_written_trace_shows_what_the_machine_would_do() {
    let mut replay = Hermes::start(&["replay", "-"]);
    replay.say(r#"{"trace":1,"auto":true,"until_ms":3000,"config":{"url":"ws://a/"}}"#);
    replay.say(r#"{"at":0,"in":"connect"}"#);
    replay.say(r#"{"at":5,"in":"closed","cause":"connect","text":"refused"}"#);
    let (status, lines, _) = replay.end();
    assert!(status.success());
    assert_eq!(lines[0], r#"{"at":0,"out":"open","conn":1,"url":"ws://a/"}"#);
    assert_eq!(lines.last().unwrap(), r#"{"at":1005,"out":"timer","due":16005}"#);
}

/// The error says what is wrong, in which file, and what to do.
#[test]
fn a_trace_that_can_not_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("text"), "hello\n").unwrap();
    for (file, problem) in [
        (path(""), "it is a directory; name a file"),
        (path("missing"), if cfg!(windows) { "os error 2" } else { "No such file" }),
        (path("text"), "line 1: expected value (column 1)"),
    ] {
        for args in [&["replay", &file][..], &["replay", "--check", &file]] {
            let (status, _, errors) = Hermes::start(args).end();
            assert_eq!(status.code(), Some(1), "{args:?}: {errors}");
            assert!(errors.contains(&file) && errors.contains(problem), "{args:?}: {errors}");
        }
    }
}

/// A trace of frames with a secret, a silence, a message that arrives and one that is in doubt.
const STORY: &str = r#"{"trace":1,"config":{"url":"ws://a/?key=s3cret","delivery":"at-most-once","can_ping":true,"heartbeat_interval_ms":null}}
{"at":0,"in":"connect"}
{"at":2,"in":"opened","conn":1}
{"at":3,"in":"text","conn":1,"data":"{\"type\":\"session-init\",\"token\":\"t0p\",\"clientId\":\"c\"}"}
{"at":4,"in":"send","message":{"type":"chat","text":"lost \u001b[2J"}}
{"at":4,"in":"flushed","conn":1,"up_to":1}
{"at":25004,"in":"closed","conn":1,"cause":"lost","text":"reset by peer"}
"#;

fn tell(form: &str) -> Vec<String> {
    let mut replay = Hermes::start(&["replay", form, "-"]);
    STORY.lines().for_each(|line| replay.say(line));
    let (status, lines, errors) = replay.end();
    assert!(status.success(), "{errors}");
    lines
}

#[test]
fn a_trace_is_explained_without_its_secrets() {
    let lines = tell("--explain");
    let all = lines.join("\n");
    for part in [
        "0.000000 · conn 1: attempt at ws://a/",
        r#"0.003000 ← conn 1: text {"clientId":"c","token":"…","type":"session-init"}"#,
        r#"0.004000 $ send #1 {"type":"chat","text":"lost \u001b[2J"}"#,
        r#"0.004000 → conn 1: text {"type":"chat""#,
        "(25.0 s of silence)",
        "25.004000 · conn 1: the transport ended: lost: reset by peer",
        "25.004000 ! #1 to #1 in doubt, not sent again",
        "next attempt in 1.0 s",
        "25.004000 = waiting 1 s: attempt 1 of 10 after",
    ] {
        assert!(all.contains(part), "{part:?} is not in:\n{all}");
    }
    assert!(!all.contains("t0p") && !all.contains("s3cret"), "{all}");
    assert!(!all.contains('\u{1b}'));
}

#[test]
fn a_trace_becomes_one_for_other_viewers() {
    let json: Value = serde_json::from_str(&tell("--perfetto").concat()).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let named = |name: &'static str| events.iter().filter(move |event| event["name"] == name);
    let open = named("open").next().unwrap();
    assert_eq!((&open["ts"], &open["dur"]), (&json!(2_000), &json!(25_002_000)));
    // A message is a span from its acceptance to its end.
    let times: Vec<_> = named("#1").map(|event| (&event["ph"], &event["ts"])).collect();
    assert_eq!(times, [(&json!("b"), &json!(4_000)), (&json!("e"), &json!(25_004_000))]);
}

#[test]
fn forms_of_a_replay_exclude_each_other() {
    let (status, _, errors) = Hermes::start(&["replay", "--html", "--check", "-"]).end();
    assert_eq!(status.code(), Some(2), "{errors}");
}

/// The committed incidents are recordings that replay, and each shows what its text says.
#[test]
fn the_incidents_are_what_their_text_says() {
    for (name, parts) in [
        (
            "half-open",
            &["timed out: no byte after a heartbeat", "#4 to #8 in doubt, sent again"][..],
        ),
        (
            "redirect-loop",
            &["a way through the proxy", "there were max_redirects already", "ws-failed"],
        ),
        ("outage", &["status 503", "close 1013", "acknowledged: up to #19"]),
    ] {
        let file = format!("{}/examples/incidents/{name}.trace", env!("CARGO_MANIFEST_DIR"));
        let (status, _, errors) = Hermes::start(&["replay", "--check", &file]).end();
        assert!(status.success(), "{name}: {errors}");
        let (_, lines, _) = Hermes::start(&["replay", "--explain", &file]).end();
        let all = lines.join("\n");
        for part in parts {
            assert!(all.contains(part), "{name}: {part:?} is not in:\n{all}");
        }
    }
}
