//! An endpoint under arbitrary operations and arbitrary bytes keeps the contract.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Input, Start, Timestamp, Transmit,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Op {
    Connect,
    Disconnect,
    Send(u8),
    ClearSession,
    Opened { stale: bool },
    Received { stale: bool, bytes: Vec<u8> },
    /// Bytes that are a WebSocket's, so that the fuzzer gets past the upgrade.
    Upgraded,
    Transmitted(u16),
    Closed { stale: bool },
    Timer,
    Wait(u32),
    Back(u32),
}

fuzz_target!(|ops: Vec<Op>| {
    let config = Config {
        outbox_max_messages: 4,
        unflushed_max_bytes: 64,
        max_message_bytes: 256,
        max_frame_bytes: 200,
        backoff_base: Duration::from_millis(10),
        ..Config::new("ws://gateway.example/")
    };
    let mut endpoint = Endpoint::new(config, Start::new([1; 32], 0)).expect("a good config");
    let mut now = Timestamp::ZERO;
    let mut live = None;
    for op in ops {
        let mut actions: Actions<Transmit> = Actions::new();
        let conn = endpoint.client().conn().unwrap_or(ConnId(0));
        let stale = |stale| if stale { ConnId(u64::MAX) } else { conn };
        let is_stale = matches!(
            op,
            Op::Opened { stale: true } | Op::Received { stale: true, .. } | Op::Closed { stale: true }
        );
        let before = is_stale.then(|| endpoint.clone());
        match op {
            Op::Connect => endpoint.connect(now, &mut actions),
            Op::Disconnect => endpoint.disconnect(now, &mut actions),
            Op::Send(n) => {
                let _ = endpoint.send(now, &"x".repeat(n.into()), &mut actions);
            }
            Op::ClearSession => endpoint.clear_session(now, &mut actions),
            Op::Opened { stale: s } => {
                endpoint.handle(now, Input::Opened { conn: stale(s) }, &mut actions);
            }
            Op::Received { stale: s, bytes } => {
                let input = Input::Received { conn: stale(s), payload: &bytes[..] };
                endpoint.handle(now, input, &mut actions);
            }
            Op::Upgraded => {
                let answer = answer(endpoint.transmit());
                let input = Input::Received { conn, payload: &answer[..] };
                endpoint.handle(now, input, &mut actions);
            }
            Op::Transmitted(n) => endpoint.transmitted(now, n.into(), &mut actions),
            Op::Closed { stale: s } => {
                let input = Input::Closed { conn: stale(s), reason: CloseReason::lost() };
                live = live.filter(|_| s);
                endpoint.handle(now, input, &mut actions);
            }
            // Time passes with the next operation.
            Op::Timer => endpoint.handle(now, Input::TimerFired, &mut actions),
            Op::Wait(micros) => now = now + Duration::from_micros(micros.into()),
            Op::Back(micros) => {
                now = Timestamp::from_micros(now.as_micros().saturating_sub(micros.into()));
            }
        }
        if let Some(before) = before {
            assert!(before == endpoint && actions.is_empty(), "a stale input changed something");
            continue;
        }
        for action in actions {
            match action {
                Action::Open { conn, .. } => assert!(live.replace(conn).is_none(), "two connections"),
                Action::Close { conn, code } => {
                    assert_eq!((live.take(), code), (Some(conn), None));
                }
                _ => {}
            }
        }
        assert_eq!(endpoint.client().conn(), live);
        assert!(endpoint.transmit().len() < 4096 + 64, "the send buffer grows");
        assert!(endpoint.client().outbox_len() <= 4);
    }
});

/// The answer to the upgrade request in `transmit`, if there is one.
fn answer(transmit: &[u8]) -> Vec<u8> {
    let request = String::from_utf8_lossy(transmit);
    let key = request.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.lines().next());
    let accept = tungstenite::handshake::derive_accept_key(key.unwrap_or_default().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}
