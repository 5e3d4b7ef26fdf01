//! Through the whole stack: what the host brings is in the bytes.

use super::*;

type Queue = Actions<Transmit>;

fn ask(config: Config) -> (Endpoint, Queue) {
    let mut endpoint = Endpoint::new(config, start()).unwrap();
    let mut out = Queue::new();
    endpoint.connect(ms(0), &mut out);
    let url = Url::parse(URL).unwrap();
    let expected: [Action<Transmit>; 2] =
        [Action::AskCredentials { conn: ConnId(1), url }, Action::ArmTimer(Some(ms(30_000)))];
    assert_eq!(out, expected);
    out.clear();
    (endpoint, out)
}

fn answer(endpoint: &mut Endpoint, credentials: Credentials, out: &mut Queue) {
    endpoint.handle(ms(1), Input::Credentials { conn: ConnId(1), credentials }, out);
}

#[test]
fn the_headers_are_in_the_request() {
    let (mut endpoint, mut out) = ask(Config {
        headers: vec![("X-Client".into(), "hermes".into())],
        subprotocols: vec!["hermes.v1".into()],
        ..asking()
    });
    let credentials = Credentials {
        headers: vec![
            ("Authorization".into(), format!("Bearer {SECRET}")),
            ("Cookie".into(), "a=b; c=d".into()),
        ],
        token: None,
    };
    // A host that is too early is not believed.
    endpoint.handle(ms(0), Input::Opened { conn: ConnId(1) }, &mut out);
    assert!(out.is_empty() && endpoint.transmit().is_empty());

    answer(&mut endpoint, credentials, &mut out);
    assert!(matches!(out[0], Action::Open { conn: ConnId(1), .. }), "{out:?}");
    assert_eq!(endpoint.transmit(), b"");
    endpoint.handle(ms(2), Input::Opened { conn: ConnId(1) }, &mut out);
    assert_eq!(
        std::str::from_utf8(endpoint.transmit()).unwrap(),
        "GET /world HTTP/1.1\r\n\
         Host: gateway.test\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: 19EokG/flD01Zbarve6Itw==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: hermes.v1\r\n\
         X-Client: hermes\r\n\
         Authorization: Bearer s3cret\r\n\
         Cookie: a=b; c=d\r\n\
         \r\n"
    );
}

#[test]
fn the_next_request_has_only_its_own() {
    let (mut endpoint, mut out) = ask(asking());
    answer(&mut endpoint, bearer("first"), &mut out);
    let conn = ConnId(1);
    endpoint.handle(ms(2), Input::Opened { conn }, &mut out);
    endpoint.handle(ms(3), Input::Closed { conn, reason: lost() }, &mut out);
    endpoint.handle(ms(1_003), Input::TimerFired, &mut out);
    let conn = ConnId(2);
    let credentials = bearer("second");
    endpoint.handle(ms(1_004), Input::Credentials { conn, credentials }, &mut out);
    endpoint.handle(ms(1_005), Input::Opened { conn }, &mut out);
    let request = std::str::from_utf8(endpoint.transmit()).unwrap();
    assert!(request.contains("Authorization: Bearer second\r\n"), "{request}");
    assert!(!request.contains("first"), "{request}");
}

#[test]
fn the_token_is_in_the_first_frame() {
    let (mut endpoint, mut out) = ask(asking());
    answer(&mut endpoint, token("t0ken"), &mut out);
    let conn = ConnId(1);
    endpoint.handle(ms(2), Input::Opened { conn }, &mut out);
    let request = endpoint.transmit().to_vec();
    assert!(!String::from_utf8_lossy(&request).contains("t0ken"));
    endpoint.transmitted(ms(3), request.len(), &mut out);
    let reply = reply_to(&request);
    endpoint.handle(ms(4), Input::Received { conn, payload: &reply }, &mut out);
    let resume = ws::Sent::text(r#"{"type":"session-resume","token":"t0ken"}"#);
    assert_eq!(sent(endpoint.transmit()), [resume]);
}

#[test]
fn a_header_that_can_not_be_reaches_nobody() {
    let (mut endpoint, mut out) = ask(asking());
    answer(&mut endpoint, header("A", "x\r\nB: y"), &mut out);
    assert!(matches!(
        out.make_contiguous(),
        [
            Action::Close { code: None, .. },
            Action::Emit(Event::Disconnected { reason: CloseReason::Credentials { .. }, .. }),
            Action::ArmTimer(Some(_)),
        ]
    ));
    endpoint.handle(ms(2), Input::Opened { conn: ConnId(1) }, &mut out);
    assert_eq!(endpoint.transmit(), b"");
}

#[test]
fn it_takes_no_part_in_the_asking() {
    let (mut endpoint, mut out) = ask(asking());
    endpoint.transmitted(ms(1), 10, &mut out);
    endpoint.handle(ms(1), Input::Received { conn: ConnId(1), payload: b"HTTP" }, &mut out);
    assert!(out.is_empty(), "{out:?}");
    endpoint.disconnect(ms(2), &mut out);
    let expected: [Action<Transmit>; 3] = [
        Action::Close { conn: ConnId(1), code: None },
        Action::Emit(Event::Disconnected {
            conn: ConnId(1),
            code: 1006,
            reason: CloseReason::Requested,
            retry_at: None,
        }),
        Action::ArmTimer(None),
    ];
    assert_eq!(out, expected);
}
