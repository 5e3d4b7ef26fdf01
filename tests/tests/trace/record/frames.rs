//! Recordings of a client: frames.

use super::*;

#[test]
fn frames() {
    let run = |redact| {
        let mut recorded = RecordedClient::new(config(), redact);
        let mut at = |micros: u64, input: Input<Frame>| {
            recorded.handle(Timestamp::from_micros(micros), input);
            recorded.client.conn()
        };
        let conn = at(0, Input::Connect).unwrap();
        at(10, Input::Send(json(r#"{"type":"login","password":"s3cret-token"}"#)));
        at(11, Input::Send(Outgoing::text("not JSON, {\"token\":\"s3cret-token\"}")));
        at(12, Input::Send(Outgoing::binary(b"\0\xff".as_slice()).volatile()));
        at(1_500, Input::Opened { conn });
        at(1_501, Input::Send(Outgoing::binary(b"\0\xff".as_slice())));
        for frame in [
            Frame::Text(r#"{"type":"session-init","token":"s3cret-token","clientId":"c"}"#.into()),
            Frame::Text("{\"type\":\n\"chat\"}".into()),
            Frame::Text(r#"{"type":"status-update","status":"busy","agent":"a"}"#.into()),
            Frame::Text(r#"{"type":"pr-notification","action":"opened","pr":{"n":7}}"#.into()),
            Frame::Text(r#"{"type":"player-joined","id":1}"#.into()),
            Frame::Text(r#"{"type":"player-left","id":1}"#.into()),
            Frame::Text("not \"json\"".into()),
            Frame::Text(r#"{"to\ken":"s3cret-token"}"#.into()),
            Frame::Text(r#"{"type":"later","x":1e999}"#.into()),
            Frame::Binary(b"\0\xff".as_slice().into()),
            Frame::Ping(b"ping".as_slice().into()),
            Frame::Pong(b"".as_slice().into()),
        ] {
            at(2_000, Input::Received { conn, payload: frame });
        }
        at(2_500, Input::Flushed { conn, up_to: 1 });
        at(60_000_000, Input::TimerFired);
        let reason = CloseReason::Peer { code: 1012, text: "restart".into() };
        at(60_000_001, Input::Closing { conn, reason });
        at(60_000_002, Input::Closed { conn, reason: CloseReason::lost() });
        let conn = at(65_000_002, Input::TimerFired).unwrap();
        let reason = CloseReason::Connect { text: "refused".into() };
        at(65_000_003, Input::Closed { conn, reason });
        let conn = at(67_000_003, Input::TimerFired).unwrap();
        let reason = CloseReason::Timeout { stage: reason::Stage::Upgrade };
        at(67_000_004, Input::Closed { conn, reason });
        at(67_000_005, Input::ClearSession);
        at(
            67_000_005,
            Input::SetSession(Session {
                token: "s3cret-token-3".into(),
                client_id: None,
                saved_at: 7,
                origin: None,
            }),
        );
        at(67_000_006, Input::Disconnect);
        recorded.trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 20);
    assert_eq!(replays(&redacted), replays(&plain));
    // Stand-ins are as long as what they replace; the header says that there are some.
    assert_eq!(redacted.len(), plain.len() + r#""redacted":true,"#.len());
    // JSON as JSON, and a session without what goes without saying.
    assert!(plain.contains(r#""message":{"type":"login","#), "{plain}");
    assert!(plain.contains(r#""savedAt":"#) && !plain.contains(r#""origin":"ws"#), "{plain}");
    withholds(&plain, &redacted);
}

/// Every input that there is, each with something to show for it; every action; and every event
/// that is not the gateway's.
#[test]
fn all_that_can_be_said() {
    let run = |redact| {
        let mut recorded = RecordedClient::new(talkative(), redact);
        let mut now = 0;
        let mut does = |input: Input<Frame>| {
            now += 1;
            let at = Timestamp::from_millis(now);
            // The next thing that is due, wherever that is.
            let due = recorded.client.deadline();
            let at = if input == Input::TimerFired { due.unwrap() } else { at };
            now = at.as_millis();
            let actions = recorded.handle(at, input);
            (recorded.client.conn(), actions)
        };
        let second = Duration::from_secs(1);
        let received = |conn, payload| Input::Received { conn, payload };
        let init = r#"{"type":"session-init","token":"s3cret-token-2","clientId":"c"}"#;

        // Given up, in four ways, before there is a connection.
        does(Input::Send(json("1").with_ttl(Duration::from_micros(1_500))));
        does(Input::TimerFired);
        does(Input::Send(json("2").volatile()));
        does(Input::Send(json("3")));
        does(Input::ClearOutbox);
        does(Input::Send(json(format!("\"{}\"", "x".repeat(1_000)))));
        does(Input::NetworkChanged { online: false });
        does(Input::Connect);
        let conn = does(Input::NetworkChanged { online: true }).0.unwrap();
        does(Input::Credentials { conn, credentials: credentials() });
        does(Input::Opened { conn });
        does(Input::Send(json("4")));
        let actions = does(received(conn, Frame::Text(init.into()))).1;
        let is_fence = |action: &Action| {
            matches!(action, Action::Send { seq: 3, payload: Frame::Ping(_), .. })
        };
        assert!(actions.iter().any(is_fence), "{actions:?}");
        does(Input::Flushed { conn, up_to: 2 });
        does(received(conn, pong(1, 3)));
        does(Input::Send(json("5")));
        does(Input::Send(json("6").volatile().with_ttl(second)));
        does(Input::Flushed { conn, up_to: 5 });
        let asked = Some(RetryAfter::Seconds(7));
        does(Input::Closed {
            conn,
            reason: CloseReason::Http {
                status: 503,
                retry_after: asked,
                redirect: None,
                body: None,
            },
        });
        does(Input::Shutdown { within: 600 * second });
        does(Input::Send(json("7")));
        let conn = does(Input::TimerFired).0.unwrap();
        does(Input::Credentials { conn, credentials: Credentials::default() });
        let reason = redirect(307, "ws://gateway.example/here?ticket=s3cret-query&s3cret-other");
        let conn = does(Input::Closed { conn, reason }).0.unwrap();
        does(Input::Opened { conn });
        does(Input::Closed { conn, reason: CloseReason::lost() });
        let conn = does(Input::TimerFired).0.unwrap();
        does(Input::Credentials { conn, credentials: credentials() });
        does(Input::Opened { conn });
        does(Input::Closed { conn, reason: CloseReason::lost() });
        let conn = does(Input::TimerFired).0.unwrap();
        // These can't be.
        let headers = vec![("Host".into(), "s3cret-fresh".into())];
        does(Input::Credentials { conn, credentials: Credentials { headers, token: None } });
        let conn = does(Input::TimerFired).0.unwrap();
        let reason = CloseReason::Credentials { text: "none to be had".into() };
        does(Input::Closed { conn, reason });
        let conn = does(Input::TimerFired).0.unwrap();
        does(Input::Closed {
            conn,
            reason: CloseReason::Http {
                status: 401,
                retry_after: None,
                redirect: None,
                body: None,
            },
        });
        let conn = does(Input::TimerFired).0.unwrap();
        // Both gateways refuse for good, and the wish of one is in the past.
        let asked = Some(RetryAfter::UnixSeconds(1_600_000_000));
        does(Input::Closed {
            conn,
            reason: CloseReason::Http {
                status: 403,
                retry_after: asked,
                redirect: None,
                body: None,
            },
        });
        let conn = does(Input::TimerFired).0.unwrap();
        does(Input::Closed {
            conn,
            reason: CloseReason::Http {
                status: 403,
                retry_after: None,
                redirect: None,
                body: None,
            },
        });
        does(Input::ClearSession);
        recorded.trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 50);
    assert_eq!(replays(&redacted), replays(&plain));
    withholds(&plain, &redacted);
    let named = |kind: &str| -> BTreeSet<String> {
        let lines = plain.lines().map(|line| serde_json::from_str(line).unwrap());
        let name = |line: serde_json::Value| Some(line.get(kind)?.as_str()?.to_owned());
        lines.filter_map(name).collect()
    };
    for input in ["shutdown", "clear-outbox", "network", "credentials"] {
        assert!(named("in").contains(input), "{input}");
    }
    assert!(named("out").contains("ask-credentials"));
    for event in [
        "ws-connected",
        "ws-disconnected",
        "ws-failed",
        "session-init",
        "session-dropped",
        "messages-written",
        "messages-acknowledged",
        "messages-in-doubt",
        "message-dropped",
        "shut-down",
        "warning",
    ] {
        assert!(named("event").contains(event), "{event}: {:?}", named("event"));
    }
    for part in
        [r#""ttl_ms":1.5"#, r#""volatile":true"#, r#""within_ms":600000"#, r#""online":false"#]
    {
        assert!(plain.contains(part), "{part}");
    }
}

/// A recording is no different for a line in it that is not there: each one counts.
#[test]
fn each_new_input_counts() {
    let config = || Config { heartbeat_interval: None, ..talkative() };
    let mut recorded = RecordedClient::new(config(), false);
    let mut at = |millis: u64, input: Input<Frame>| {
        recorded.handle(Timestamp::from_millis(millis), input);
        recorded.client.conn()
    };
    at(0, Input::NetworkChanged { online: false });
    at(1, Input::Send(json("1").with_ttl(Duration::from_millis(5))));
    at(2, Input::Send(json("2").volatile()));
    at(3, Input::Connect);
    at(4, Input::Send(json("3")));
    at(4, Input::ClearOutbox);
    let conn = at(5, Input::NetworkChanged { online: true }).unwrap();
    at(6, Input::Credentials { conn, credentials: credentials() });
    at(7, Input::Opened { conn });
    at(8, Input::Send(json("4")));
    at(9, Input::Shutdown { within: Duration::from_millis(10) });
    at(19, Input::TimerFired);
    let trace = recorded.trace;
    replays(&trace);
    let lines: Vec<&str> = trace.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("\"in\":")) {
        let mut checker = Checker::new();
        let others = lines.iter().enumerate().filter(|(other, _)| *other != index);
        let failed = others.map(|(_, line)| checker.feed(line)).find_map(Result::err).is_some();
        assert!(failed || checker.finish().is_err(), "nobody misses {line}");
    }
}

/// Stand-ins are as long as what they replace: identities stand at the same places, and are no secret.
#[test]
fn identities() {
    for (redact, member) in [(false, "id"), (true, "id"), (true, "msg_key")] {
        let config = Config { message_id_member: Some(member.into()), ..config() };
        let mut recorded = RecordedClient::new(config.clone(), redact);
        let mut at = |millis: u64, input: Input<Frame>| {
            recorded.handle(Timestamp::from_millis(millis), input);
            recorded.client.conn()
        };
        let conn = at(0, Input::Connect).unwrap();
        at(1, Input::Opened { conn });
        at(2, Input::Send(json(r#"{"type":"login","password":"s3cret-token"}"#)));
        at(3, Input::Send(json(r#"{"msg_key":"s3cret-token","\u0069d":"own"}"#)));
        at(4, Input::Flushed { conn, up_to: 9 });
        let trace = recorded.trace;
        assert!(replays(&trace) > 6, "{trace}");
        assert_eq!(trace.contains("s3cret-token"), !redact, "{trace}");
        let identity =
            |n| format!(r#"\"{member}\":\"{:016x}-{n}\"}}"#, recorded.client.incarnation());
        assert!(trace.contains(&identity(1)), "{trace}");
        assert!(!trace.contains(&identity(2)), "{trace}");
        let header = trace.lines().next().unwrap();
        assert!(header.contains(&format!(r#""message_id_member":"{member}""#)), "{header}");
    }
}

/// To the microsecond, for a hundred years.
#[test]
fn late_times() {
    let mut recorded = RecordedClient::new(config(), false);
    for n in 0..2_000 {
        let now = Timestamp::from_micros(3_999_999_900_000_000 + 7 * n);
        let input = if n % 2 == 0 { Input::Connect } else { Input::Disconnect };
        recorded.handle(now, input);
    }
    replays(&recorded.trace);
}
