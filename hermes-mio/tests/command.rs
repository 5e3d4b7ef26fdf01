//! The `hermes` command as people run it: real processes, pipes and exit codes.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.
#![cfg(feature = "cli")]

mod common;
#[path = "common/process.rs"]
mod process;

use std::io::{Read, Write};
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

#[cfg(unix)]
use common::{Peer, accept_with, read_close, read_text};
use process::Hermes;
use serde_json::{Value, json};

fn chat(n: u32) -> String {
    json!({"type": "chat", "text": format!("message {n}"), "n": n}).to_string()
}

/// The number of a message that the gateway reports.
fn number(line: &Value) -> Option<u64> {
    let text: Value = serde_json::from_str(line["text"].as_str()?).ok()?;
    text["n"].as_u64()
}

#[test]
fn what_is_typed_while_the_gateway_is_down_arrives_once_and_in_order() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let mut client = Hermes::start(&["connect", &url, "--set", "backoff_base_ms=50"]);
    client.event("session-init");
    client.say(&chat(1));
    gateway.until(|line| number(line) == Some(1));

    gateway.kill();
    client.event("ws-disconnected");
    for n in 2..=100 {
        client.say(&chat(n));
    }
    let (gateway, _) = Hermes::gateway(&addr);
    for n in 2..=100 {
        let line = gateway.until(|line| line["gateway"] == "message");
        assert_eq!(number(&line), Some(n));
    }
    client.say(&chat(101));
    let (status, lines, errors) = client.end();
    assert!(status.success(), "{errors}");
    assert_eq!(number(&gateway.until(|line| line["gateway"] == "message")), Some(101));
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(last["event"], "shut-down");
    assert_eq!((&last["detail"]["in_doubt"], &last["detail"]["unsent"]), (&json!(0), &json!(0)));
}

#[test]
fn two_clients_talk_and_a_gateway_misbehaves_when_told() {
    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let fast = ["--set", "backoff_base_ms=20", "--set", "close_delays_ms={}"];
    let mut ada = Hermes::start(&[&["connect", &url][..], &fast].concat());
    ada.event("session-init");
    let bob = Hermes::start(&[&["connect", &url][..], &fast].concat());
    bob.event("session-init");
    ada.event("player-joined");
    ada.say(&chat(7));
    assert_eq!(bob.event("chat-message")["detail"]["n"], 7);

    gateway.say("live close=1012:restart");
    let closed = bob.event("ws-disconnected");
    assert_eq!(
        (&closed["detail"]["code"], &closed["detail"]["cause"]),
        (&json!(1012), &json!("peer"))
    );
    assert_eq!(bob.event("session-init")["detail"]["resumed"], true);
    assert_eq!(ada.event("session-init")["detail"]["resumed"], true);
    gateway.say("say {\"type\":\"status-update\",\"status\":\"fine\"}");
    bob.event("status-update");
    ada.event("status-update");
    assert!(bob.end().0.success() && ada.end().0.success());
}

#[test]
fn a_session_file_is_resumed_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.json");
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let args = ["connect", &url, "--session", file.to_str().unwrap()];
    for resumed in [false, true] {
        let client = Hermes::start(&args);
        assert_eq!(client.event("session-init")["detail"]["resumed"], resumed);
        assert!(client.end().0.success());
    }
    is_private(&file);
    gateway.kill();
}

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

#[cfg(unix)]
fn is_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn is_private(_: &Path) {}

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

/// A name that only `--resolve` knows, and a certificate that only `--cacert` trusts.
#[cfg(feature = "tls")]
#[test]
fn tls_from_end_to_end() {
    let made = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cert = file("cert.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let gateway =
        Hermes::start(&["gateway", "127.0.0.1:0", "--echo", "--cert", &cert, "--key", &key]);
    let listening = gateway.until(|line| line["gateway"] == "listening");
    let addr = listening["addr"].as_str().unwrap();
    assert_eq!(listening["url"], format!("wss://{addr}/"));
    let port = addr.rsplit_once(':').unwrap().1;
    let (url, known) =
        (format!("https://gateway.test:{port}/"), format!("gateway.test:{port}:127.0.0.1"));
    let connect = |more: &[&str]| {
        let mut hermes = Hermes::start(&[&["connect", &url, "--resolve", &known], more].concat());
        hermes.say(&chat(1));
        hermes
    };

    let trusting = connect(&["--cacert", &cert, "-v"]);
    let message = trusting.event("chat-message");
    assert_eq!(message["detail"]["n"], 1);
    let (status, _, errors) = trusting.end();
    assert!(status.success());
    // Each step with its time, in order.
    let mut rest = &errors[..];
    for step in ["resolve", "connect", "TLS", "upgrade", "resume"] {
        let line =
            rest.split_once(&format!("hermes: {step} ")).unwrap_or_else(|| panic!("{errors}"));
        let time = line.1.lines().next().unwrap();
        assert!(time.ends_with('s') && time.starts_with(|c: char| c.is_ascii_digit()), "{time}");
        rest = line.1;
    }

    let nobody = ["--cacert", &cert, "--cert", &cert, "--key", "/nonexistent"];
    for (more, says) in [
        (&[][..], "TLS failed: gateway.test: its certificate is self-signed, and not trusted"),
        (&nobody, "can't read /nonexistent: "),
    ] {
        let (status, _, errors) = connect(&[&["--max-attempts", "0"], more].concat()).end();
        assert_eq!(status.code(), Some(1));
        assert!(errors.contains(says), "{errors}");
    }
}

#[test]
fn exit_codes_and_words() {
    let run = |args: &[&str], input: &str| {
        let mut hermes = Hermes::start(args);
        if !input.is_empty() {
            hermes.say(input);
        }
        let (status, _, errors) = hermes.end();
        (status.code().unwrap(), errors)
    };
    // Wrong usage.
    for (args, word) in [
        (&["conect"][..], "conect"),
        (&["connect", "ftp://a/"], "`url` the scheme must be ws or wss"),
        (&["connect", "ws://a/", "--set", "max_atempts=1"], "max_atempts"),
        (&["connect", "ws://a/", "--set", "max_attempts"], "NAME=VALUE"),
        (&["connect", "ws://a/", "--set", "max_attempts=many"], "max_attempts"),
        (&["connect", "ws://a/", "--header", "Authorization"], "Name: value"),
        (&["connect", "ws://a/", "--redact"], "--record"),
        (&["connect", "ws://a/", "--set", "deflate_client_max_window_bits=7"], "8 to 15"),
        (
            &["connect", "ws://a/", "--set", "deflate=true", "--record", "x.trace", "--redact"],
            "the setting `deflate`",
        ),
        (&["connect", "ws://a/", "--receipts", "all"], "receipts"),
        (&["connect", "ws://a/", "--jitter", "some"], "jitter"),
        (&["connect", "ws://a/", "--resume", "later"], "resume"),
        (&["connect", "ws://a/", "--ttl", "soon"], "message_ttl_ms"),
        (&["connect", "ws://a/", "--fallback", "ftp://b/"], "`fallback_urls`"),
        (&["connect", "ws://a/", "--set", "ask_credentials=true"], "--credentials"),
        (&["connect", "ws://a/", "--proxy", "ftp://b/"], "proxy: the URL has a scheme"),
        (&["connect", "ws://a/", "--proxy", "b", "--proxy-from-env"], "--proxy-from-env"),
        (&["connect", "ws://a/", "--resolve", "a:80"], "HOST:PORT:ADDRESS"),
        (&["connect", "ws://a/", "--resolve", "a:80:b"], "\"b\" is no address"),
        (&["connect", "ws://a/", "--attempt-delay", "9"], "--attempt-delay"),
        (&["gateway", "nowhere"], "nowhere"),
        (&["gateway", "--fault", "live dance"], "dance"),
    ] {
        let (code, errors) = run(args, "");
        assert_eq!(code, 2, "{args:?}: {errors}");
        assert!(errors.contains(word), "{args:?}: {errors}");
    }
    // Failures.
    let refused =
        ["connect", "ws://127.0.0.1:9/", "--max-attempts", "1", "--set", "backoff_base_ms=500"];
    let (code, errors) = run(&refused, &chat(1));
    assert_eq!(code, 1);
    assert!(
        errors.contains(
            "gave up: max_attempts are used up (reconnects: 1); messages that were not sent: 1"
        ),
        "{errors}"
    );
    let (code, errors) = run(&["replay", "/nonexistent"], "");
    assert!(code == 1 && errors.contains("/nonexistent"), "{errors}");
    let (code, errors) = run(&["replay", "-"], "nonsense");
    assert!(code == 1 && errors.contains("line 1"), "{errors}");
    let (code, errors) = run(&["replay", "--check", "-"], r#"{"at":0,"in":"connect"}"#);
    assert!(code == 1 && errors.contains("the machine did"), "{errors}");

    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let (code, errors) = run(&["connect", &format!("ws://{addr}/")], "not json");
    assert!(code == 1 && errors.contains("input line 1 was not sent"), "{errors}");
    let (code, errors) = run(&["gateway", &addr], "");
    assert!(code == 1 && errors.contains("can't listen"), "{errors}");
    gateway.kill();
}

/// The gateway has the messages, nothing proves it, and it is killed.
#[test]
fn what_a_killed_gateway_may_not_have_read_is_sent_again_if_asked_for() {
    for again in [true, false] {
        let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
        gateway.order("everyone no-pong");
        let url = format!("ws://{addr}/");
        let mut args = vec![
            "connect",
            &url,
            "--receipts",
            "acknowledged",
            "--stats",
            "--set",
            "backoff_base_ms=20",
        ];
        if again {
            args.push("--at-least-once");
        }
        let mut client = Hermes::start(&args);
        client.event("session-init");
        for n in 1..=3 {
            client.say(&chat(n));
            gateway.until(|line| number(line) == Some(n.into()));
        }
        // SIGKILL, on Unix.
        gateway.kill();
        let doubt = client.event("messages-in-doubt");
        assert_eq!(doubt["detail"], json!({"from": 1, "to": 3, "resend": again}));

        let (gateway, _) = Hermes::gateway(&addr);
        client.say(&chat(4));
        for n in if again { 1..=4 } else { 4..=4 } {
            let line = gateway.until(|line| line["gateway"] == "message");
            assert_eq!(number(&line), Some(n));
        }
        client.until(|line| line["event"] == "messages-acknowledged" && line["detail"]["to"] == 4);
        let (status, lines, errors) = client.end();
        assert!(status.success(), "{errors}");
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let stats = &last["stats"];
        let rewritten = if again { 3 } else { 0 };
        for (name, count) in [
            ("accepted", 4),
            ("written", 4),
            ("in_doubt", 3),
            ("rewritten", rewritten),
            ("acknowledged", 1 + rewritten),
            ("outbox_messages", 0),
        ] {
            assert_eq!(stats[name], count, "{name} in {last}");
        }
        gateway.kill();
    }
}

#[test]
fn the_exit_code_says_what_is_not_known_to_have_arrived() {
    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let args = [
        &["connect", &url, "--shutdown-timeout", "300"][..],
        &["--max-attempts", "null", "--set", "backoff_base_ms=20"],
    ]
    .concat();
    let report = |lines: &[String]| {
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        assert_eq!(last["event"], "shut-down");
        last["detail"].clone()
    };

    // It arrived.
    let mut client = Hermes::start(&[&args[..], &["-v"]].concat());
    client.event("session-init");
    client.say(&chat(1));
    let (status, lines, errors) = client.end();
    assert!(status.success(), "{errors}");
    assert_eq!(report(&lines), json!({"acknowledged": 1, "in_doubt": 0, "unsent": 0}));
    assert!(errors.contains("the gateway has everything that was sent"), "{errors}");
    assert!(errors.contains("hermes: open for "), "{errors}");

    // Perhaps.
    gateway.order("everyone no-pong");
    let mut client = Hermes::start(&args);
    client.event("session-init");
    client.say(&chat(2));
    let (status, lines, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(report(&lines), json!({"acknowledged": 0, "in_doubt": 1, "unsent": 0}));
    assert!(
        errors.contains("messages that were not sent: 0; that may not have arrived: 1"),
        "{errors}"
    );

    // Certainly not: also where there never was a connection.
    gateway.kill();
    let mut client = Hermes::start(&args);
    client.event("ws-disconnected");
    client.say(&chat(3));
    client.say(&chat(4));
    let (status, lines, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(report(&lines), json!({"acknowledged": 0, "in_doubt": 0, "unsent": 2}));
    assert!(
        errors.contains("messages that were not sent: 2; that may not have arrived: 0"),
        "{errors}"
    );
}

#[cfg(unix)]
#[test]
fn a_command_brings_fresh_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let counter = directory.path().join("calls");
    let peer = Peer::start(|listener| {
        let (mut first, one) = accept_with(&listener, "Authorization");
        let resume = read_text(&mut first);
        drop(first);
        let (mut second, two) = accept_with(&listener, "Authorization");
        read_close(&mut second);
        (one, resume, two)
    });
    // The second of its calls fails.
    let command = format!(
        r#"echo x >> '{file}'; n=$(grep -c x '{file}')
        test "$n" = 2 && {{ echo HIDDEN; echo 'first complaint' >&2; echo 'no key' >&2; exit 3; }}
        echo "Authorization: Bearer $n for $HERMES_URL"
        test "$n" = 1 && echo "session-token SECRET-TOKEN"; true"#,
        file = counter.display()
    );
    let url = peer.url();
    let args = ["connect", &url, "--credentials", &command, "--set", "backoff_base_ms=20", "-vvv"];
    let client = Hermes::start(&args);
    client.event("ws-connected");
    let lost = client.event("ws-disconnected");
    assert_eq!(lost["detail"]["cause"], "lost");
    let refused = client.event("ws-disconnected");
    assert_eq!(refused["detail"]["cause"], "credentials");
    assert_eq!(refused["detail"]["text"], "the command failed (exit status: 3): no key");
    client.event("ws-connected");
    let (status, lines, errors) = client.end();
    assert!(status.success(), "{errors}");
    for secret in ["Bearer", "SECRET-TOKEN", "HIDDEN", "first complaint"] {
        assert!(!errors.contains(secret) && !lines.concat().contains(secret), "{secret}: {errors}");
    }
    let bearer = |n| Some(format!("Bearer {n} for {url}"));
    let resume = r#"{"type":"session-resume","token":"SECRET-TOKEN"}"#.to_owned();
    assert_eq!(peer.join(), (bearer(1), resume, bearer(3)));
}

#[cfg(unix)]
#[test]
fn a_signal_asks_why() {
    let peer = Peer::start(|listener| {
        let (mut socket, _) = accept_with(&listener, "Host");
        read_close(&mut socket);
    });
    let client = Hermes::start(&["connect", &peer.url()]);
    client.event("ws-connected");
    let pid = client.child.id().to_string();
    assert!(Command::new("kill").args(["-USR1", &pid]).status().unwrap().success());
    let line = client.complaint("open for");
    assert!(line.starts_with("hermes: open for ") && line.contains(&peer.url()), "{line}");
    assert!(client.end().0.success());
    peer.join();
}

#[test]
fn the_flags_do_what_they_say() {
    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");

    // Volatile: without a connection a line is dropped, and with one it is sent.
    gateway.order("pause");
    let mut client = Hermes::start(
        &[
            &["connect", "ws://127.0.0.1:9/", "--fallback", &url, "--volatile"][..],
            &["--jitter", "full", "--set", "backoff_base_ms=50", "--max-elapsed", "60000"],
        ]
        .concat(),
    );
    client.event("ws-disconnected");
    client.say(&chat(1));
    let dropped = client.event("message-dropped");
    assert!(dropped["detail"]["text"].as_str().unwrap().contains("message 1"), "{dropped}");
    gateway.order("listen");
    assert_eq!(client.event("ws-connected")["detail"]["url"], url);
    client.event("session-init");
    client.say(&chat(2));
    assert_eq!(number(&gateway.until(|line| line["gateway"] == "message")), Some(2));
    assert!(client.end().0.success());

    // A session that is waited for, and receipts.
    let directory = tempfile::tempdir().unwrap();
    let session = directory.path().join("session.json");
    let session = session.to_str().unwrap();
    let client = Hermes::start(&["connect", &url, "--session", session]);
    client.event("session-init");
    assert!(client.end().0.success());
    gateway.order("next ignore-resume");
    let mut client =
        Hermes::start(
            &[
                &[
                    "connect",
                    &url,
                    "--session",
                    session,
                    "--resume",
                    "wait",
                    "--receipts",
                    "written",
                ][..],
                &["--set", "resume_timeout_ms=100", "--set", "backoff_base_ms=20"],
            ]
            .concat(),
        );
    client.say(&chat(3));
    let late = client.event("ws-disconnected");
    assert_eq!(late["detail"]["stage"], "resume");
    assert_eq!(client.event("messages-written")["detail"], json!({"from": 1, "to": 1}));
    assert_eq!(number(&gateway.until(|line| line["gateway"] == "message")), Some(3));
    assert!(client.end().0.success());

    // A time to live.
    gateway.kill();
    let mut client = Hermes::start(&["connect", &url, "--ttl", "50", "--max-attempts", "null"]);
    client.say(&chat(4));
    let dropped = client.event("message-dropped");
    assert_eq!(dropped["detail"]["reason"], "the message's time to live is over");
    client.kill();
}

#[test]
fn the_demo_loses_nothing() {
    let (status, lines, errors) = Hermes::start(&["demo"]).end();
    assert!(status.success(), "{errors}");
    let tally: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(
        tally,
        json!({"demo": "ok", "sent": 161, "received": 161, "lost": 0, "duplicated": 0, "connections": 4})
    );
}

/// A web server that sends everybody to the gateway.
#[test]
fn a_redirect_is_followed_where_that_is_asked_for() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let server = common::Peer::start(move |listener| {
        for _ in 0..2 {
            let mut stream = common::accept_tcp(&listener);
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            let answer = format!("HTTP/1.1 301 Moved\r\nLocation: http://{addr}/\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let url = server.url();
    let (status, _, errors) = Hermes::start(&["connect", &url, "--max-attempts", "0"]).end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("(not followed: max_redirects is 0)"), "{errors}");

    let mut client = Hermes::start(&["connect", &url, "--max-redirects", "1"]);
    let gone = client.event("ws-disconnected");
    assert_eq!(gone["detail"]["status"], 301);
    let connected = client.event("ws-connected");
    assert_eq!(connected["detail"]["url"], gone["detail"]["redirect"]["to"]);
    client.say(&chat(1));
    gateway.until(|line| number(line) == Some(1));
    assert!(client.end().0.success());
    server.join();
    gateway.kill();
}
