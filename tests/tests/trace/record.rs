//! Recordings replay to the byte, at both levels, with and without their secrets.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hermes_proto::reason::RetryAfter;
use hermes_proto::trace::{Checker, Header, Level, Recorder};
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Credentials, Delivery, Endpoint, Event,
    Frame, Input, Outgoing, Receipts, ResumeMode, Session, Start, Timestamp, Transmit, reason,
};
use hermes_tests::ws::{reply_to, text};
use hermes_tests::{json, pong, redirect};

const SECRETS: [&str; 7] = [
    "s3cret-token",
    "s3cret-query",
    "s3cret-flag",
    "s3cret-header",
    "s3cret-cookie",
    "s3cret-fresh",
    "s3cret-other",
];

fn config() -> Config {
    Config {
        headers: vec![("Authorization".into(), "Bearer s3cret-header".into())],
        receipts: Receipts::Written,
        ..Config::new("ws://gateway.example/ws?key=s3cret-query&s3cret-flag&v=1")
    }
}

fn start() -> Start {
    let session = Session {
        token: "s3cret-token-0".into(),
        client_id: Some("c".into()),
        saved_at: 1,
        origin: None,
    };
    Start { session: Some(session), ..Start::new([3; 32], 1_700_000_000_000) }
}

/// With all that a host can be asked for, and told.
fn talkative() -> Config {
    Config {
        ask_credentials: true,
        max_redirects: 1,
        fallback_urls: vec!["ws://b.example/ws?key=s3cret-other".into()],
        delivery: Delivery::AtLeastOnce,
        receipts: Receipts::Acknowledged,
        resume: ResumeMode::Wait,
        max_resume_failures: Some(1),
        outbox_max_bytes: 1_000,
        ..config()
    }
}

/// What opens the door, and a session in place of the saved one.
fn credentials() -> Credentials {
    Credentials {
        headers: vec![("X-Fresh".into(), "s3cret-fresh".into())],
        token: Some("s3cret-token-1".into()),
    }
}

fn recorder(level: Level, redact: bool) -> Recorder {
    recorder_of(config(), level, redact)
}

fn recorder_of(config: Config, level: Level, redact: bool) -> Recorder {
    let header = Header::new(level, config, start());
    if redact { Recorder::redacted(header).unwrap() } else { Recorder::new(header).unwrap() }
}

/// Checks that a recording replays, and how many actions it has.
fn replays(recording: &str) -> u64 {
    let mut checker = Checker::new();
    for line in recording.lines() {
        checker.feed(line).unwrap_or_else(|error| panic!("{error}\n{recording}"));
    }
    checker.finish().unwrap_or_else(|error| panic!("{error}\n{recording}"))
}

#[test]
fn frames() {
    let run = |redact| {
        let mut client = Client::new(config(), start()).unwrap();
        let mut recorder = recorder(Level::Frames, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut at = |micros: u64, input: Input<Frame>| {
            let now = Timestamp::from_micros(micros);
            let mut actions = Actions::new();
            recorder.client_input(now, &input, &mut trace);
            client.handle(now, input, &mut actions);
            recorder.client_actions(now, &actions, &mut trace);
            client.conn()
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
        at(67_000_006, Input::Disconnect);
        trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 20);
    assert_eq!(replays(&redacted), replays(&plain));
    assert_eq!(redacted.len(), plain.len());
    // JSON as JSON, and a session without what goes without saying.
    assert!(plain.contains(r#""message":{"type":"login","#), "{plain}");
    assert!(plain.contains(r#""savedAt":"#) && !plain.contains(r#""origin":"ws"#), "{plain}");
    withholds(&plain, &redacted);
}

#[test]
fn bytes() {
    let run = |redact, pieces: usize| {
        let mut endpoint = Endpoint::new(config(), start()).unwrap();
        let mut recorder = recorder(Level::Bytes, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut events = Vec::new();
        let mut at = |endpoint: &mut Endpoint, micros: u64, input: Input<&[u8]>| {
            let now = Timestamp::from_micros(micros);
            let mut actions: Actions<Transmit> = Actions::new();
            recorder.endpoint_input(now, &input, &mut trace);
            endpoint.handle(now, input, &mut actions);
            recorder.endpoint_actions(now, endpoint, &actions, &mut trace);
            events.extend(actions.into_iter().filter_map(|action| match action {
                hermes_proto::Action::Emit(event) => Some(event),
                _ => None,
            }));
        };
        at(&mut endpoint, 0, Input::Connect);
        let conn = endpoint.client().conn().unwrap();
        at(&mut endpoint, 1, Input::Opened { conn });
        let request = String::from_utf8(endpoint.transmit().to_vec()).unwrap();
        let key =
            request.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0;
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let mut answer = format!(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
             HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Set-Cookie: s3cret-cookie\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        let init = br#"{"type":"session-init","token":"s3cret-token","clientId":"c"}"#;
        answer.extend_from_slice(&[0x81, init.len() as u8]);
        answer.extend_from_slice(init);
        answer.extend_from_slice(b"\x89\x02hi\x81\x02{}\x89\x02ho");
        let (mut taken, mut wire) = (0, Vec::new());
        for (index, piece) in answer.chunks(pieces).enumerate() {
            at(&mut endpoint, 10 + index as u64, Input::Received { conn, payload: piece });
            // The transport takes what there is in threes.
            let some = &endpoint.transmit()[..endpoint.transmit().len().min(3)];
            wire.extend_from_slice(some);
            taken += some.len() as u64;
            at(&mut endpoint, 10 + index as u64, Input::Flushed { conn, up_to: taken });
        }
        at(&mut endpoint, 50_000, Input::Send(json(r#"{"type":"chat","token":"s3cret-token"}"#)));
        wire.extend_from_slice(endpoint.transmit());
        taken = wire.len() as u64;
        at(&mut endpoint, 50_001, Input::Flushed { conn, up_to: taken });
        // A rule is broken: a masked frame.
        at(&mut endpoint, 60_000, Input::Received { conn, payload: b"\x81\x80s3cret-token" });
        wire.extend_from_slice(endpoint.transmit());
        at(&mut endpoint, 60_001, Input::Closed { conn, reason: CloseReason::lost() });
        at(&mut endpoint, 1_060_001, Input::TimerFired);
        // Each connection counts from its own beginning.
        let conn = endpoint.client().conn().unwrap();
        at(&mut endpoint, 1_060_002, Input::Opened { conn });
        wire.extend_from_slice(endpoint.transmit());
        let up_to = endpoint.transmit().len() as u64;
        taken += up_to;
        at(&mut endpoint, 1_060_003, Input::Flushed { conn, up_to });
        // Every byte was transmitted once, and every byte taken.
        let lines =
            trace.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let (mut transmitted, mut counted) = (Vec::new(), 0);
        for line in lines {
            if line["out"] == "transmit" {
                transmitted.extend(BASE64_STANDARD.decode(line["data"].as_str().unwrap()).unwrap());
            }
            counted += line["count"].as_u64().unwrap_or_default();
        }
        assert_eq!((transmitted.len(), counted), (wire.len(), taken));
        assert!(redact || transmitted == wire);
        (trace, events)
    };
    for pieces in [1, 7, 100_000] {
        let (plain, events) = run(false, pieces);
        let (redacted, _) = run(true, pieces);
        assert!(events.iter().any(|event| matches!(event, Event::SessionInit(_))));
        assert!(events.iter().any(|event| matches!(event, Event::Written { .. })));
        assert!(replays(&plain) > 8, "{plain}");
        assert_eq!(replays(&redacted), replays(&plain));
        withholds(&plain, &redacted);
    }
}

/// Every input that there is, each with something to show for it; every action; and every event
/// that is not the gateway's.
#[test]
fn all_that_can_be_said() {
    let run = |redact| {
        let mut client = Client::new(talkative(), start()).unwrap();
        let mut recorder = recorder_of(talkative(), Level::Frames, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut now = 0;
        let mut does = |input: Input<Frame>| {
            now += 1;
            let at = Timestamp::from_millis(now);
            // The next thing that is due, wherever that is.
            let at = if input == Input::TimerFired { client.deadline().unwrap() } else { at };
            now = at.as_millis();
            let mut actions = Actions::new();
            recorder.client_input(at, &input, &mut trace);
            client.handle(at, input, &mut actions);
            recorder.client_actions(at, &actions, &mut trace);
            (client.conn(), actions)
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
        trace
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

#[test]
fn debug_says_that_it_redacts() {
    assert!(format!("{:?}", recorder(Level::Frames, true)).contains("Some((Redactor"));
    assert!(!format!("{:?}", recorder(Level::Frames, false)).contains("Redactor"));
}

/// A recording is no different for a line in it that is not there: each one counts.
#[test]
fn each_new_input_counts() {
    let config = || Config { heartbeat_interval: None, ..talkative() };
    let mut client = Client::new(config(), start()).unwrap();
    let mut recorder = recorder_of(config(), Level::Frames, false);
    let mut trace = String::new();
    recorder.header(&mut trace);
    let mut at = |millis: u64, input: Input<Frame>| {
        let mut actions = Actions::new();
        let now = Timestamp::from_millis(millis);
        recorder.client_input(now, &input, &mut trace);
        client.handle(now, input, &mut actions);
        recorder.client_actions(now, &actions, &mut trace);
        client.conn()
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
    replays(&trace);
    let lines: Vec<&str> = trace.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("\"in\":")) {
        let mut checker = Checker::new();
        let others = lines.iter().enumerate().filter(|(other, _)| *other != index);
        let failed = others.map(|(_, line)| checker.feed(line)).find_map(Result::err).is_some();
        assert!(failed || checker.finish().is_err(), "nobody misses {line}");
    }
}

/// A message is kept to the letter, its spaces and lines too: a mask is over all of them.
#[test]
fn messages_to_the_letter() {
    for redact in [false, true] {
        let mut endpoint = Endpoint::new(config(), start()).unwrap();
        let mut recorder = recorder(Level::Bytes, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            let now = Timestamp::from_millis(millis);
            let mut actions: Actions<Transmit> = Actions::new();
            recorder.endpoint_input(now, &input, &mut trace);
            endpoint.handle(now, input, &mut actions);
            recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
            (endpoint.client().conn(), endpoint.transmit().to_vec())
        };
        for message in
            ["  1", "2 ", "{\n  \"token\": \"s3cret-token\"\r\n}", "[ 3,\t\"\u{2028}\" ]"]
        {
            at(0, Input::Send(json(message)));
        }
        let conn = at(1, Input::Connect).0.unwrap();
        let request = at(2, Input::Opened { conn }).1;
        at(3, Input::Flushed { conn, up_to: request.len() as u64 });
        at(4, Input::Received { conn, payload: &reply_to(&request) });
        assert!(replays(&trace) > 6, "{trace}");
        assert_eq!(trace.contains("s3cret-token"), !redact, "{trace}");
    }
}

/// Stand-ins are as long as what they replace: identities stand at the same places, and are no secret.
#[test]
fn identities() {
    for (redact, member) in [(false, "id"), (true, "id"), (true, "msg_key")] {
        let config = Config { message_id_member: Some(member.into()), ..config() };
        let mut client = Client::new(config.clone(), start()).unwrap();
        let mut recorder = recorder_of(config, Level::Frames, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut at = |millis: u64, input: Input<Frame>| {
            let now = Timestamp::from_millis(millis);
            let mut actions = Actions::new();
            recorder.client_input(now, &input, &mut trace);
            client.handle(now, input, &mut actions);
            recorder.client_actions(now, &actions, &mut trace);
            client.conn()
        };
        let conn = at(0, Input::Connect).unwrap();
        at(1, Input::Opened { conn });
        at(2, Input::Send(json(r#"{"type":"login","password":"s3cret-token"}"#)));
        at(3, Input::Send(json(r#"{"msg_key":"s3cret-token","\u0069d":"own"}"#)));
        at(4, Input::Flushed { conn, up_to: 9 });
        assert!(replays(&trace) > 6, "{trace}");
        assert_eq!(trace.contains("s3cret-token"), !redact, "{trace}");
        let identity = |n| format!(r#"\"{member}\":\"{:016x}-{n}\"}}"#, client.incarnation());
        assert!(trace.contains(&identity(1)), "{trace}");
        assert!(!trace.contains(&identity(2)), "{trace}");
        let header = trace.lines().next().unwrap();
        assert!(header.contains(&format!(r#""message_id_member":"{member}""#)), "{header}");
    }
}

/// An endpoint does nothing about it, but what is due by then.
#[test]
fn an_endpoint_may_be_told_of_a_closing() {
    let mut endpoint = Endpoint::new(config(), start()).unwrap();
    let mut recorder = recorder(Level::Bytes, false);
    let mut trace = String::new();
    recorder.header(&mut trace);
    let mut at = |millis: u64, input: Input<&[u8]>| {
        let now = Timestamp::from_millis(millis);
        let mut actions: Actions<Transmit> = Actions::new();
        recorder.endpoint_input(now, &input, &mut trace);
        endpoint.handle(now, input, &mut actions);
        recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
        endpoint.client().conn()
    };
    let conn = at(0, Input::Connect).unwrap();
    at(16_000, Input::Closing { conn, reason: CloseReason::lost() });
    assert_eq!(replays(&trace), 5, "{trace}");
}

/// A host may report what was flushed of a connection that is gone, too much, or less than before.
#[test]
fn odd_reports_of_what_was_flushed() {
    for redact in [false, true] {
        let mut endpoint = Endpoint::new(config(), start()).unwrap();
        let mut recorder = recorder(Level::Bytes, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            let now = Timestamp::from_millis(millis);
            let mut actions: Actions<Transmit> = Actions::new();
            recorder.endpoint_input(now, &input, &mut trace);
            endpoint.handle(now, input, &mut actions);
            recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
            (endpoint.client().conn(), endpoint.transmit().to_vec())
        };
        let conn = at(0, Input::Connect).0.unwrap();
        let request = at(1, Input::Opened { conn }).1;
        at(2, Input::Flushed { conn, up_to: u64::MAX });
        at(3, Input::Received { conn, payload: &reply_to(&request) });
        at(4, Input::Send(json("[1]")));
        at(5, Input::Flushed { conn: ConnId(0), up_to: 100 });
        at(6, Input::Flushed { conn: ConnId(u64::MAX), up_to: 200 });
        at(7, Input::Flushed { conn, up_to: request.len() as u64 + 2 });
        at(8, Input::Flushed { conn, up_to: 1 });
        at(9, Input::Flushed { conn, up_to: request.len() as u64 + 4 });
        at(10, Input::Send(json("[2]")));
        at(11, Input::Closed { conn, reason: CloseReason::lost() });
        let conn = at(2_000, Input::TimerFired).0.unwrap();
        let request = at(2_001, Input::Opened { conn }).1;
        at(2_002, Input::Flushed { conn, up_to: request.len() as u64 });
        let sent = at(2_003, Input::Received { conn, payload: &reply_to(&request) }).1;
        assert_eq!(sent.len(), 2 * (6 + 3) + (6 + 16), "both are sent again, and a fence");
        // Nothing counts from what is said of another one.
        at(2_004, Input::Flushed { conn: ConnId(0), up_to: u64::MAX });
        at(2_005, Input::Flushed { conn, up_to: request.len() as u64 + 9 });
        replays(&trace);
    }
}

/// What is flushed before there is a transport changes nothing; and yet time passes with it.
#[test]
fn what_was_flushed_too_early() {
    let config = || Config { connect_timeout: Duration::from_millis(1), ..config() };
    let mut endpoint = Endpoint::new(config(), start()).unwrap();
    let mut recorder = recorder_of(config(), Level::Bytes, false);
    let mut trace = String::new();
    recorder.header(&mut trace);
    let mut at = |millis: u64, input: Input<&[u8]>| {
        let now = Timestamp::from_millis(millis);
        let mut actions: Actions<Transmit> = Actions::new();
        recorder.endpoint_input(now, &input, &mut trace);
        endpoint.handle(now, input, &mut actions);
        recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
        endpoint.client().conn()
    };
    let conn = at(0, Input::Connect).unwrap();
    at(10_000, Input::Flushed { conn, up_to: 0 });
    assert_eq!(replays(&trace), 3, "{trace}");
}

/// To the microsecond, for a hundred years.
#[test]
fn late_times() {
    let mut client = Client::new(config(), start()).unwrap();
    let mut recorder = recorder(Level::Frames, false);
    let mut trace = String::new();
    recorder.header(&mut trace);
    for n in 0..2_000 {
        let now = Timestamp::from_micros(3_999_999_900_000_000 + 7 * n);
        let input = if n % 2 == 0 { Input::Connect } else { Input::Disconnect };
        let mut actions = Actions::new();
        recorder.client_input(now, &input, &mut trace);
        client.handle(now, input, &mut actions);
        recorder.client_actions(now, &actions, &mut trace);
    }
    replays(&trace);
}

/// The request of an endpoint has them, and a recording without them has as many bytes.
#[test]
fn fresh_credentials_in_the_request() {
    let run = |redact| {
        let mut endpoint = Endpoint::new(talkative(), start()).unwrap();
        let mut recorder = recorder_of(talkative(), Level::Bytes, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            let now = Timestamp::from_millis(millis);
            let mut actions: Actions<Transmit> = Actions::new();
            recorder.endpoint_input(now, &input, &mut trace);
            endpoint.handle(now, input, &mut actions);
            recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
            (endpoint.client().conn(), String::from_utf8_lossy(endpoint.transmit()).into_owned())
        };
        let conn = at(0, Input::Connect).0.unwrap();
        at(1, Input::Credentials { conn, credentials: credentials() });
        let request = at(2, Input::Opened { conn }).1;
        assert!(request.contains("\r\nX-Fresh: s3cret-fresh\r\n"), "{request}");
        at(3, Input::Flushed { conn, up_to: request.len() as u64 });
        let answer = b"HTTP/1.1 503 X\r\nRetry-After: 3\r\n\r\n";
        at(4, Input::Received { conn, payload: answer });
        at(3_004, Input::TimerFired);
        trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 8, "{plain}");
    assert_eq!(replays(&redacted), replays(&plain));
    withholds(&plain, &redacted);
}

/// The text of a refusal is the peer's: a gateway or a proxy may repeat a token in it.
#[test]
fn the_text_of_a_refusal_is_withheld() {
    let body = r#"{"error":"s3cret-token is not valid"}"#;
    let refusals = [
        CloseReason::Http {
            status: 403,
            retry_after: None,
            redirect: None,
            body: Some(body.into()),
        },
        CloseReason::Proxy { status: Some(407), text: format!("proxy.test: {body}").into() },
    ];
    for refusal in refusals {
        let frames = |redact| {
            let mut client = Client::new(config(), start()).unwrap();
            let mut recorder = recorder(Level::Frames, redact);
            let mut trace = String::new();
            recorder.header(&mut trace);
            let mut at = |millis: u64, input: Input<Frame>| {
                let now = Timestamp::from_millis(millis);
                let mut actions = Actions::new();
                recorder.client_input(now, &input, &mut trace);
                client.handle(now, input, &mut actions);
                recorder.client_actions(now, &actions, &mut trace);
                client.conn()
            };
            let conn = at(0, Input::Connect).unwrap();
            at(1, Input::Closed { conn, reason: refusal.clone() });
            trace
        };
        let bytes = |redact| {
            let mut endpoint = Endpoint::new(config(), start()).unwrap();
            let mut recorder = recorder(Level::Bytes, redact);
            let mut trace = String::new();
            recorder.header(&mut trace);
            let mut at = |millis: u64, input: Input<&[u8]>| {
                let now = Timestamp::from_millis(millis);
                let mut actions: Actions<Transmit> = Actions::new();
                recorder.endpoint_input(now, &input, &mut trace);
                endpoint.handle(now, input, &mut actions);
                recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
                endpoint.client().conn()
            };
            let conn = at(0, Input::Connect).unwrap();
            if let CloseReason::Http { .. } = refusal {
                at(1, Input::Opened { conn });
                let answer = format!(
                    "HTTP/1.1 403 No\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                at(2, Input::Received { conn, payload: answer.as_bytes() });
            } else {
                at(1, Input::Closed { conn, reason: refusal.clone() });
            }
            trace
        };
        for (plain, redacted) in [(frames(false), frames(true)), (bytes(false), bytes(true))] {
            assert_eq!(replays(&redacted), replays(&plain));
            withholds(&plain, &redacted);
        }
    }
}

/// All secrets are in the one and none in the other, base64 and masks looked through.
fn withholds(plain: &str, redacted: &str) {
    use base64::Engine as _;
    let readable = |trace: &str| {
        let mut readable = trace.to_string();
        let mut joined = Vec::new();
        for line in trace.lines() {
            // A number may be too large for a `Value`; such a line has no data.
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let data = line.get("data").and_then(|data| data.as_str()).unwrap_or_default();
            if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(data) {
                // Sent frames, unmasked where the masks are: a short frame per line will do.
                if let [0x81, length, key @ ..] = &bytes[..]
                    && line.get("out").is_some()
                    && *length < 0xFE
                {
                    let (key, payload) = key.split_at(4);
                    let payload = payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k);
                    readable.push_str(&String::from_utf8_lossy(&payload.collect::<Vec<_>>()));
                }
                if line.get("in").is_some() {
                    joined.extend_from_slice(&bytes);
                } else {
                    readable.push_str(&String::from_utf8_lossy(&bytes));
                }
            }
        }
        readable.push_str(&String::from_utf8_lossy(&joined));
        readable
    };
    let (plain, redacted) = (readable(plain), readable(redacted));
    assert!(plain.contains("s3cret-token") && plain.contains("s3cret-query"));
    for secret in SECRETS {
        assert!(!redacted.contains(secret), "{secret} in {redacted}");
    }
}

/// Frames of every kind of length, in one piece and in two, with the secret at the very end.
#[test]
fn secrets_in_frames_of_any_length() {
    for length in [100, 200, 70_000] {
        let run = |redact| {
            let mut endpoint = Endpoint::new(config(), start()).unwrap();
            let mut recorder = recorder(Level::Bytes, redact);
            let mut trace = String::new();
            recorder.header(&mut trace);
            let mut at = |millis: u64, input: Input<&[u8]>| {
                let now = Timestamp::from_millis(millis);
                let mut actions: Actions<Transmit> = Actions::new();
                recorder.endpoint_input(now, &input, &mut trace);
                endpoint.handle(now, input, &mut actions);
                recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
                (endpoint.client().conn(), endpoint.transmit().to_vec())
            };
            let conn = at(0, Input::Connect).0.unwrap();
            let request = at(1, Input::Opened { conn }).1;
            at(2, Input::Received { conn, payload: &reply_to(&request) });
            let message = format!(r#"{{"x":"{}","token":"s3cret-token-2"}}"#, "x".repeat(length));
            let frame = text(message);
            let (head, tail) = frame.split_at(frame.len() / 2);
            at(3, Input::Received { conn, payload: &frame });
            at(4, Input::Received { conn, payload: head });
            at(5, Input::Received { conn, payload: tail });
            trace
        };
        let (plain, redacted) = (run(false), run(true));
        assert_eq!(replays(&redacted), replays(&plain));
        withholds(&plain, &redacted);
    }
}

#[test]
fn settings_are_checked() {
    for level in [Level::Frames, Level::Bytes] {
        let header = Header::new(level, Config::new("ftp://gateway.example/"), start());
        for recorder in [Recorder::new(header.clone()), Recorder::redacted(header)] {
            assert_eq!(recorder.unwrap_err().field, "url");
        }
    }
}

/// What the compressor makes of a message is a matter of inputs, too.
#[test]
fn compressed_bytes() {
    use hermes_tests::ws::deflate::{Gateway, PLAIN, answer_to, deflated_text};

    let config = Config { deflate: true, ..config() };
    let mut endpoint = Endpoint::new(config.clone(), start()).unwrap();
    let mut recorder = recorder_of(config.clone(), Level::Bytes, false);
    let mut trace = String::new();
    recorder.header(&mut trace);
    let mut at = |endpoint: &mut Endpoint, micros: u64, input: Input<&[u8]>| {
        let now = Timestamp::from_micros(micros);
        let mut actions: Actions<Transmit> = Actions::new();
        recorder.endpoint_input(now, &input, &mut trace);
        endpoint.handle(now, input, &mut actions);
        recorder.endpoint_actions(now, endpoint, &actions, &mut trace);
    };
    at(&mut endpoint, 0, Input::Connect);
    let conn = endpoint.client().conn().unwrap();
    at(&mut endpoint, 1, Input::Opened { conn });
    let answer = answer_to(endpoint.transmit(), PLAIN);
    at(&mut endpoint, 2, Input::Received { conn, payload: &answer });
    assert_eq!(endpoint.extensions(), Some(PLAIN));
    let mut gateway = Gateway::new(PLAIN);
    for n in 0..20 {
        let text = format!(
            r#"{{"type":"chat","text":"message {n} of twenty that look the same, and go on like this until the end"}}"#
        );
        at(&mut endpoint, 10 + n, Input::Send(json(text.as_str())));
        let payload = deflated_text(gateway.deflate(text.as_bytes()));
        at(&mut endpoint, 10 + n, Input::Received { conn, payload: &payload });
        let message = json(text.as_str()).uncompressed();
        at(&mut endpoint, 10 + n, Input::Send(message));
    }
    let sent = endpoint.client().stats().bytes_sent;
    let bytes = endpoint.transmit().len() as u64;
    assert!(bytes < sent * 3 / 4, "{bytes} for {sent}: it was compressed");
    assert_eq!(trace.matches(r#""uncompressed":true"#).count(), 20);
    assert!(replays(&trace) > 60, "{trace}");

    // A recording without secrets can't be made of what is compressed with them.
    let error = Recorder::redacted(Header::new(Level::Bytes, config, start())).unwrap_err();
    assert_eq!(error.field, "deflate");
}

/// Subprotocols carry tokens, and so do binary messages and JSON within strings.
#[test]
fn secrets_in_subprotocols_binaries_and_strings() {
    let config = Config {
        subprotocols: vec!["v1".into(), "base64.s3cret-token".into(), "v2".into()],
        ..config()
    };
    let run = |redact| {
        let mut endpoint = Endpoint::new(config.clone(), start()).unwrap();
        let mut recorder = recorder_of(config.clone(), Level::Bytes, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            let now = Timestamp::from_millis(millis);
            let mut actions: Actions<Transmit> = Actions::new();
            recorder.endpoint_input(now, &input, &mut trace);
            endpoint.handle(now, input, &mut actions);
            recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
            (endpoint.client().conn(), endpoint.transmit().to_vec())
        };
        let conn = at(0, Input::Connect).0.unwrap();
        let request = at(1, Input::Opened { conn }).1;
        let answer = String::from_utf8(reply_to(&request)).unwrap();
        let chosen = "\r\nSec-WebSocket-Protocol: base64.s3cret-token\r\n\r\n";
        let answer = answer.replace("\r\n\r\n", chosen);
        at(2, Input::Received { conn, payload: answer.as_bytes() });
        at(3, Input::Received { conn, payload: &text(r#"{"data":"{\"pwd\":\"s3cret-other\"}"}"#) });
        at(4, Input::Received { conn, payload: b"\x82\x0cs3cret-fresh" });
        at(5, Input::Send(json(r#"{"data":"{\"pwd\":\"s3cret-other\"}"}"#)));
        at(6, Input::Send(Outgoing::binary(b"s3cret-fresh".as_slice())));
        assert!(endpoint.client().stats().opened == 1);
        trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 8, "{plain}");
    assert_eq!(replays(&redacted), replays(&plain));
    withholds(&plain, &redacted);
}
