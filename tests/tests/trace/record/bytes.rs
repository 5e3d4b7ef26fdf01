//! Recordings of an endpoint: bytes.

use super::*;

#[test]
fn bytes() {
    let run = |redact, pieces: usize| {
        let mut recorded = RecordedEndpoint::new(config(), redact);
        let mut events = Vec::new();
        let mut at = |recorded: &mut RecordedEndpoint, micros: u64, input: Input<&[u8]>| {
            let actions = recorded.handle(Timestamp::from_micros(micros), input);
            events.extend(actions.into_iter().filter_map(|action| match action {
                Action::Emit(event) => Some(event),
                _ => None,
            }));
        };
        at(&mut recorded, 0, Input::Connect);
        let conn = recorded.endpoint.client().conn().unwrap();
        at(&mut recorded, 1, Input::Opened { conn });
        let request = String::from_utf8(recorded.endpoint.transmit().to_vec()).unwrap();
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
            at(&mut recorded, 10 + index as u64, Input::Received { conn, payload: piece });
            // The transport takes what there is in threes.
            let some = &recorded.endpoint.transmit()[..recorded.endpoint.transmit().len().min(3)];
            wire.extend_from_slice(some);
            taken += some.len() as u64;
            at(&mut recorded, 10 + index as u64, Input::Flushed { conn, up_to: taken });
        }
        at(&mut recorded, 50_000, Input::Send(json(r#"{"type":"chat","token":"s3cret-token"}"#)));
        wire.extend_from_slice(recorded.endpoint.transmit());
        taken = wire.len() as u64;
        at(&mut recorded, 50_001, Input::Flushed { conn, up_to: taken });
        // A rule is broken: a masked frame.
        at(&mut recorded, 60_000, Input::Received { conn, payload: b"\x81\x80s3cret-token" });
        wire.extend_from_slice(recorded.endpoint.transmit());
        at(&mut recorded, 60_001, Input::Closed { conn, reason: CloseReason::lost() });
        at(&mut recorded, 1_060_001, Input::TimerFired);
        // Each connection counts from its own beginning.
        let conn = recorded.endpoint.client().conn().unwrap();
        at(&mut recorded, 1_060_002, Input::Opened { conn });
        wire.extend_from_slice(recorded.endpoint.transmit());
        let up_to = recorded.endpoint.transmit().len() as u64;
        taken += up_to;
        at(&mut recorded, 1_060_003, Input::Flushed { conn, up_to });
        // Every byte was transmitted once, and every byte taken.
        let lines = recorded
            .trace
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let (mut transmitted, mut counted) = (Vec::new(), 0);
        for line in lines {
            if line["out"] == "transmit" {
                transmitted.extend(BASE64_STANDARD.decode(line["data"].as_str().unwrap()).unwrap());
            }
            counted += line["count"].as_u64().unwrap_or_default();
        }
        assert_eq!((transmitted.len(), counted), (wire.len(), taken));
        assert!(redact || transmitted == wire);
        (recorded.trace, events)
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

/// A message is kept to the letter, its spaces and lines too: a mask is over all of them.
#[test]
fn messages_to_the_letter() {
    for redact in [false, true] {
        let mut recorded = RecordedEndpoint::new(config(), redact);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            recorded.handle(Timestamp::from_millis(millis), input);
            (recorded.endpoint.client().conn(), recorded.endpoint.transmit().to_vec())
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
        let trace = recorded.trace;
        assert!(replays(&trace) > 6, "{trace}");
        assert_eq!(trace.contains("s3cret-token"), !redact, "{trace}");
    }
}

/// An endpoint does nothing about it, but what is due by then.
#[test]
fn an_endpoint_may_be_told_of_a_closing() {
    let mut recorded = RecordedEndpoint::new(config(), false);
    let mut at = |millis: u64, input: Input<&[u8]>| {
        recorded.handle(Timestamp::from_millis(millis), input);
        recorded.endpoint.client().conn()
    };
    let conn = at(0, Input::Connect).unwrap();
    at(16_000, Input::Closing { conn, reason: CloseReason::lost() });
    let trace = recorded.trace;
    assert_eq!(replays(&trace), 5, "{trace}");
}

/// A host may report what was flushed of a connection that is gone, too much, or less than before.
#[test]
fn odd_reports_of_what_was_flushed() {
    for redact in [false, true] {
        let mut recorded = RecordedEndpoint::new(config(), redact);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            recorded.handle(Timestamp::from_millis(millis), input);
            (recorded.endpoint.client().conn(), recorded.endpoint.transmit().to_vec())
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
        replays(&recorded.trace);
    }
}

/// What is flushed before there is a transport changes nothing; and yet time passes with it.
#[test]
fn what_was_flushed_too_early() {
    let config = || Config { connect_timeout: Duration::from_millis(1), ..config() };
    let mut recorded = RecordedEndpoint::new(config(), false);
    let mut at = |millis: u64, input: Input<&[u8]>| {
        recorded.handle(Timestamp::from_millis(millis), input);
        recorded.endpoint.client().conn()
    };
    let conn = at(0, Input::Connect).unwrap();
    at(10_000, Input::Flushed { conn, up_to: 0 });
    let trace = recorded.trace;
    assert_eq!(replays(&trace), 3, "{trace}");
}

/// The request of an endpoint has them, and a recording without them has as many bytes.
#[test]
fn fresh_credentials_in_the_request() {
    let run = |redact| {
        let mut recorded = RecordedEndpoint::new(talkative(), redact);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            recorded.handle(Timestamp::from_millis(millis), input);
            (
                recorded.endpoint.client().conn(),
                String::from_utf8_lossy(recorded.endpoint.transmit()).into_owned(),
            )
        };
        let conn = at(0, Input::Connect).0.unwrap();
        at(1, Input::Credentials { conn, credentials: credentials() });
        let request = at(2, Input::Opened { conn }).1;
        assert!(request.contains("\r\nX-Fresh: s3cret-fresh\r\n"), "{request}");
        at(3, Input::Flushed { conn, up_to: request.len() as u64 });
        let answer = b"HTTP/1.1 503 X\r\nRetry-After: 3\r\n\r\n";
        at(4, Input::Received { conn, payload: answer });
        at(3_004, Input::TimerFired);
        recorded.trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 8, "{plain}");
    assert_eq!(replays(&redacted), replays(&plain));
    withholds(&plain, &redacted);
}

/// What the compressor makes of a message is a matter of inputs, too.
#[test]
fn compressed_bytes() {
    use hermes_tests::ws::deflate::{Gateway, PLAIN, answer_to, deflated_text};

    let config = Config { deflate: true, ..config() };
    let mut recorded = RecordedEndpoint::new(config.clone(), false);
    recorded.handle(Timestamp::from_micros(0), Input::Connect);
    let conn = recorded.endpoint.client().conn().unwrap();
    recorded.handle(Timestamp::from_micros(1), Input::Opened { conn });
    let answer = answer_to(recorded.endpoint.transmit(), PLAIN);
    recorded.handle(Timestamp::from_micros(2), Input::Received { conn, payload: &answer });
    assert_eq!(recorded.endpoint.extensions(), Some(PLAIN));
    let mut gateway = Gateway::new(PLAIN);
    for n in 0..20 {
        let text = format!(
            r#"{{"type":"chat","text":"message {n} of twenty that look the same, and go on like this until the end"}}"#
        );
        recorded.handle(Timestamp::from_micros(10 + n), Input::Send(json(text.as_str())));
        let payload = deflated_text(gateway.deflate(text.as_bytes()));
        recorded
            .handle(Timestamp::from_micros(10 + n), Input::Received { conn, payload: &payload });
        let message = json(text.as_str()).uncompressed();
        recorded.handle(Timestamp::from_micros(10 + n), Input::Send(message));
    }
    let sent = recorded.endpoint.client().stats().bytes_sent;
    let bytes = recorded.endpoint.transmit().len() as u64;
    assert!(bytes < sent * 3 / 4, "{bytes} for {sent}: it was compressed");
    assert_eq!(recorded.trace.matches(r#""uncompressed":true"#).count(), 20);
    let trace = recorded.trace;
    assert!(replays(&trace) > 60, "{trace}");

    // A recording without secrets can't be made of what is compressed with them.
    let error = Recorder::redacted(Header::new(Level::Bytes, config, start())).unwrap_err();
    assert_eq!(error.field, "deflate");
}
