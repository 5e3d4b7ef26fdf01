//! Recordings replay to the byte, at both levels, with and without their secrets.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.

use hermes_proto::trace::{Checker, Header, Level, Recorder};
use hermes_proto::{
    Actions, Client, CloseReason, Config, Endpoint, Event, Frame, Input, Session, Start, Timestamp,
    Transmit, close,
};
use hermes_tests::json;

const SECRETS: [&str; 4] = ["s3cret-token", "s3cret-query", "s3cret-header", "s3cret-cookie"];

fn config() -> Config {
    Config {
        headers: vec![("Authorization".into(), "Bearer s3cret-header".into())],
        ..Config::new("ws://gateway.example/ws?key=s3cret-query&v=1")
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

fn recorder(level: Level, redact: bool) -> Recorder {
    let header = Header::new(level, config(), start());
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
        at(1_500, Input::Opened { conn });
        for frame in [
            Frame::Text(r#"{"type":"session-init","token":"s3cret-token","clientId":"c"}"#.into()),
            Frame::Text("{\"type\":\n\"chat\"}".into()),
            Frame::Text("not \"json\"".into()),
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
        let reason = CloseReason::Timeout { stage: close::Stage::Upgrade };
        at(67_000_004, Input::Closed { conn, reason });
        at(67_000_005, Input::ClearSession);
        at(67_000_006, Input::Disconnect);
        trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 20);
    assert_eq!(replays(&redacted), replays(&plain));
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
        answer.extend_from_slice(b"\x89\x02hi\x81\x02{}");
        let mut taken = 0;
        for (index, piece) in answer.chunks(pieces).enumerate() {
            at(&mut endpoint, 10 + index as u64, Input::Received { conn, payload: piece });
            // The transport takes what there is in threes.
            taken += endpoint.transmit().len().min(3) as u64;
            at(&mut endpoint, 10 + index as u64, Input::Flushed { conn, up_to: taken });
        }
        at(&mut endpoint, 50_000, Input::Send(json(r#"{"type":"chat","token":"s3cret-token"}"#)));
        // A rule is broken: a masked frame.
        at(&mut endpoint, 60_000, Input::Received { conn, payload: b"\x81\x80s3cret-token" });
        at(&mut endpoint, 60_001, Input::Closed { conn, reason: CloseReason::lost() });
        at(&mut endpoint, 1_060_001, Input::TimerFired);
        (trace, events)
    };
    for pieces in [1, 7, 100_000] {
        let (plain, events) = run(false, pieces);
        let (redacted, _) = run(true, pieces);
        assert!(events.iter().any(|event| matches!(event, Event::SessionInit(_))));
        assert!(replays(&plain) > 8, "{plain}");
        assert_eq!(replays(&redacted), replays(&plain));
        withholds(&plain, &redacted);
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
