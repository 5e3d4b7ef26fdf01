//! Messages through `hermes connect`: arrival, receipts, exit codes.

use super::*;

#[test]
fn what_is_typed_while_the_gateway_is_down_arrives_once_and_in_order() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let mut client = Hermes::start(&[
        "connect",
        &url,
        "--receipts",
        "acknowledged",
        "--set",
        "backoff_base_ms=50",
    ]);
    client.event("session-init");
    client.say(&chat(1));
    gateway.until(|line| number(line) == Some(1));
    // Else it would be in doubt, and sent again.
    client.event("messages-acknowledged");

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

/// The gateway has the messages, nothing proves it, and it is killed.
#[test]
fn what_a_killed_gateway_may_not_have_read_is_sent_again_unless_told_not_to() {
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
        if !again {
            args.push("--at-most-once");
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
        assert_eq!(status.code(), Some(if again { 0 } else { 1 }), "{errors}");
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
    assert_eq!(
        report(&lines),
        json!({"acknowledged": 1, "in_doubt": 0, "unsent": 0, "durable": 0})
    );
    assert!(errors.contains("the gateway has everything that was sent"), "{errors}");
    assert!(errors.contains("hermes: open for "), "{errors}");

    // Perhaps.
    gateway.order("everyone no-pong");
    let mut client = Hermes::start(&args);
    client.event("session-init");
    client.say(&chat(2));
    let (status, lines, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(
        report(&lines),
        json!({"acknowledged": 0, "in_doubt": 1, "unsent": 0, "durable": 0})
    );
    assert!(errors.ends_with("messages in doubt: 1; dropped: 0; unsent: 0"), "{errors}");

    // Certainly not: also where there never was a connection.
    gateway.kill();
    let mut client = Hermes::start(&args);
    client.event("ws-disconnected");
    client.say(&chat(3));
    client.say(&chat(4));
    let (status, lines, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(
        report(&lines),
        json!({"acknowledged": 0, "in_doubt": 0, "unsent": 2, "durable": 0})
    );
    assert!(errors.ends_with("messages in doubt: 0; dropped: 0; unsent: 2"), "{errors}");
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
    let (status, _, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.ends_with("messages in doubt: 0; dropped: 1; unsent: 0"), "{errors}");

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

/// Whatever comes after it: neither a client that gives up nor one that ends well forgets it.
#[test]
fn a_dropped_message_is_an_exit_code() {
    let fast = ["--ttl", "50", "--set", "backoff_base_ms=100", "--max-attempts", "1", "--stay"];
    let mut client = Hermes::start(&[&["connect", "ws://127.0.0.1:9/"][..], &fast].concat());
    client.say(&chat(1));
    let (status, _, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("gave up: "), "{errors}");
    assert!(errors.ends_with("messages in doubt: 0; dropped: 1; unsent: 0"), "{errors}");

    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    gateway.order("pause");
    let url = format!("ws://{addr}/");
    let mut client =
        Hermes::start(&["connect", &url, "--ttl", "50", "--set", "backoff_base_ms=100"]);
    client.say(&chat(1));
    client.event("message-dropped");
    gateway.order("listen");
    client.event("session-init");
    let (status, _, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.ends_with("messages in doubt: 0; dropped: 1; unsent: 0"), "{errors}");
}

/// The gateway drops what it had before, as the value of the member tells.
#[test]
fn a_gateway_drops_repetitions() {
    let gateway = Hermes::start(&["gateway", "127.0.0.1:0", "--dedupe", "id"]);
    let listening = gateway.until(|line| line["gateway"] == "listening");
    let url = listening["url"].as_str().unwrap();
    for _ in 0..2 {
        let mut client = Hermes::start(&["connect", url]);
        client.say(r#"{"type":"tick","id":"a-1","n":1}"#);
        client.say(r#"{"type":"tick","id":1,"n":2}"#);
        client.say(r#"{"type":"tick","n":3}"#);
        assert!(client.end().0.success());
    }
    let mut numbers: Vec<u64> = Vec::new();
    for _ in 0..4 {
        let message = gateway.until(|line| line["gateway"] == "message");
        numbers.extend(number(&message));
    }
    assert_eq!(numbers, [1, 2, 3, 3]);
    let mut gateway = gateway;
    gateway.say("metrics");
    let metrics = gateway.until(|line| line["gateway"] == "metrics");
    assert_eq!(metrics["metrics"]["repetitions"], 2);
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
