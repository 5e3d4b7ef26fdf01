//! Recordings without secrets.

use super::*;

#[test]
fn debug_says_that_it_redacts() {
    assert!(format!("{:?}", recorder(Level::Frames, true)).contains("Some((Redactor"));
    assert!(!format!("{:?}", recorder(Level::Frames, false)).contains("Redactor"));
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
            let mut recorded = RecordedClient::new(config(), redact);
            let mut at = |millis: u64, input: Input<Frame>| {
                recorded.handle(Timestamp::from_millis(millis), input);
                recorded.client.conn()
            };
            let conn = at(0, Input::Connect).unwrap();
            at(1, Input::Closed { conn, reason: refusal.clone() });
            recorded.trace
        };
        let bytes = |redact| {
            let mut recorded = RecordedEndpoint::new(config(), redact);
            let mut at = |millis: u64, input: Input<&[u8]>| {
                recorded.handle(Timestamp::from_millis(millis), input);
                recorded.endpoint.client().conn()
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
            recorded.trace
        };
        for (plain, redacted) in [(frames(false), frames(true)), (bytes(false), bytes(true))] {
            assert_eq!(replays(&redacted), replays(&plain));
            withholds(&plain, &redacted);
        }
    }
}

/// Frames of every kind of length, in one piece and in two, with the secret at the very end.
#[test]
fn secrets_in_frames_of_any_length() {
    for length in [100, 200, 70_000] {
        let run = |redact| {
            let mut recorded = RecordedEndpoint::new(config(), redact);
            let mut at = |millis: u64, input: Input<&[u8]>| {
                recorded.handle(Timestamp::from_millis(millis), input);
                (recorded.endpoint.client().conn(), recorded.endpoint.transmit().to_vec())
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
            recorded.trace
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

/// Subprotocols carry tokens, and so do binary messages and JSON within strings.
#[test]
fn secrets_in_subprotocols_binaries_and_strings() {
    let config = Config {
        subprotocols: vec!["v1".into(), "base64.s3cret-token".into(), "v2".into()],
        ..config()
    };
    let run = |redact| {
        let mut recorded = RecordedEndpoint::new(config.clone(), redact);
        let mut at = |millis: u64, input: Input<&[u8]>| {
            recorded.handle(Timestamp::from_millis(millis), input);
            (recorded.endpoint.client().conn(), recorded.endpoint.transmit().to_vec())
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
        assert!(recorded.endpoint.client().stats().opened == 1);
        recorded.trace
    };
    let (plain, redacted) = (run(false), run(true));
    assert!(replays(&plain) > 8, "{plain}");
    assert_eq!(replays(&redacted), replays(&plain));
    withholds(&plain, &redacted);
}
