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
