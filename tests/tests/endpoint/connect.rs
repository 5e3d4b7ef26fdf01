//! The way to a connection: transport, upgrade, session, outbox; and all that gets in between.

use hermes_proto::reason::{Stage, UpgradeError, Violation};
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Event, FailReason, Input, SendError,
    Session, Start, State, Transmit,
};
use hermes_tests::ws::*;
use hermes_tests::{UNIX_MS, config, json, lost, ms, quiet, start, timeout, unreachable};

/// Calculated elsewhere: connection `n` draws from stream `2n + 1`.
const REQUEST: &str = "GET /world HTTP/1.1\r\n\
    Host: gateway.test\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: 19EokG/flD01Zbarve6Itw==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

fn upgrade_failed(error: UpgradeError) -> CloseReason {
    CloseReason::Upgrade { error }
}

/// The names of the events among the actions.
fn events(actions: &[Action<Transmit>]) -> Vec<&str> {
    let name = |action: &'_ _| match action {
        Action::Emit(event) => Some(Event::name(event)),
        _ => None,
    };
    actions.iter().filter_map(name).collect()
}

#[test]
fn what_can_not_be_is_refused() {
    let error = Endpoint::new(Config::new("ftp://gateway.test/"), start()).unwrap_err();
    assert_eq!(error.field, "url");
    let mut endpoint = Endpoint::new(config(), start()).unwrap();
    let before = endpoint.clone();
    let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
    let mut out = Actions::new();
    let error = endpoint.send(ms(0), &odd, &mut out).unwrap_err();
    assert!(matches!(error, SendError::Serialize(_)), "{error:?}");
    assert_eq!((endpoint, out), (before, Actions::new()));
}

#[test]
fn from_nothing_to_open() {
    let mut harness = Harness::new(config());
    assert_eq!(harness.at(0).connect(), [open(1), arm(15_000)]);
    assert_eq!(harness.at(20).opened(1), [send(1, REQUEST.len()), arm(10_020)]);
    assert_eq!(harness.endpoint.transmit(), REQUEST.as_bytes());
    assert_eq!(harness.at(25).take(usize::MAX), []);
    let answer = reply("B9fcRaLeaAEvtdgQ6HSfYsvr4Q4=");
    assert_eq!(harness.at(40).receive(answer), [connected(1), arm(25_040)]);
    assert_eq!(
        harness.endpoint.client().state(),
        State::Open { conn: ConnId(1), since: ms(40), resuming: None }
    );

    assert_eq!(harness.at(50).send("\"hello\""), [send(1, REQUEST.len() + 13)]);
    let hello = [0x81, 0x87, 0x50, 0x27, 0xED, 0x62, 0x72, 0x4F, 0x88, 0x0E, 0x3C, 0x48, 0xCF];
    assert_eq!(harness.endpoint.transmit(), hello);
    assert_eq!(harness.at(51).take(12), []);
    assert_eq!(harness.endpoint.client().outbox_len(), 1);
    assert_eq!(harness.at(52).take(1), []);
    assert_eq!(harness.endpoint.client().outbox_len(), 0);

    let actions = harness.at(60).receive(text(r#"{"type":"chat","text":"hi"}"#));
    assert_eq!(events(&actions), ["chat-message"]);
    assert_eq!(actions.len(), 1);
}

#[test]
fn the_answer_in_single_bytes() {
    let mut harness = Harness::new(quiet());
    harness.connect();
    harness.opened(1);
    harness.take(usize::MAX);
    let answer = reply_to(&harness.request);
    let (last, rest) = answer.split_last().expect("it is not empty");
    for byte in rest {
        assert_eq!(harness.receive([*byte]), []);
    }
    assert_eq!(harness.receive([*last]), [connected(1), disarm()]);
}

/// First the session, then what the outbox held; and only once the gateway has said yes.
#[test]
fn session_then_outbox() {
    let session = Session {
        token: "t0ken".into(),
        client_id: None,
        saved_at: 0,
        origin: Some("ws://gateway.test".into()),
    };
    let mut harness = Harness::start(quiet(), Start { session: Some(session), ..start() });
    harness.send("1");
    harness.connect();
    harness.send("2");
    harness.opened(1);
    harness.send("3");
    assert_eq!(harness.frames(), []);
    harness.take(usize::MAX);
    let resume = r#"{"type":"session-resume","token":"t0ken"}"#;
    let end = harness.request.len() + 6 + resume.len() + 3 * 7;
    assert_eq!(harness.upgrade(), [send(1, end), connected(1), disarm()]);
    let texts = [resume, "1", "2", "3"].map(Sent::text);
    assert_eq!(harness.frames(), texts);
}

#[test]
fn messages_behind_the_answer() {
    let mut harness = Harness::new(config());
    harness.connect();
    harness.opened(1);
    harness.take(usize::MAX);
    let request = harness.request.clone();
    let bytes = [
        reply_to(&request),
        ping("x"),
        text(r#"{"type":"session-init","token":"t"}"#),
        frame(bits::TEXT, r#"{"type":"chat","#),
    ];
    let actions = harness.receive(bytes.concat());
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some("ws://gateway.test".into()),
    };
    assert_eq!(actions[..2], [connected(1), send(1, request.len() + 7)]);
    assert_eq!(actions[2], Action::PersistSession(Some(session)));
    assert_eq!(events(&actions[3..]), ["session-init"]);
    assert_eq!(actions[4..], [arm(25_000)]);
    assert_eq!(harness.frames(), [Sent::pong("x")]);
    let actions = harness.receive(frame(bits::FIN, r#""text":"hi"}"#));
    assert_eq!(events(&actions), ["chat-message"]);
}

/// The gateway may break a rule with its first frame; the connection was open all the same.
#[test]
fn a_violation_behind_the_answer() {
    let mut harness = Harness::new(quiet());
    harness.connect();
    harness.opened(1);
    harness.take(usize::MAX);
    let request = harness.request.clone();
    let actions = harness.receive([reply_to(&request), vec![0xC1, 0]].concat());
    assert_eq!(actions, [connected(1), send(1, request.len() + 8), arm(5_000)]);
    let violation = Violation::ReservedBit;
    let reason = CloseReason::Protocol { violation };
    assert_eq!(harness.at(7).closed(lost()), [disconnected(1, 1002, reason, 1_007), arm(1_007)]);
}

#[test]
fn nobody_connects() {
    let mut harness = Harness::new(config());
    harness.at(0).connect();
    assert_eq!(harness.at(14_999).timer(), [arm(15_000)]);
    let gone = disconnected(1, 1006, timeout(Stage::Connect), 16_000);
    assert_eq!(harness.at(15_000).timer(), [abandon(1), gone, arm(16_000)]);
    assert_eq!(harness.at(16_000).timer(), [open(2), arm(31_000)]);
    assert_eq!(harness.at(16_500).closed(unreachable()), {
        [disconnected(2, 1006, unreachable(), 18_500), arm(18_500)]
    });
}

#[test]
fn nobody_answers_the_upgrade() {
    let mut harness = Harness::new(config());
    harness.at(0).connect();
    harness.at(14_000).opened(1);
    harness.take(usize::MAX);
    // Half an answer is none, and buys no time.
    let answer = reply_to(&harness.request);
    assert_eq!(harness.at(23_999).receive(&answer[..answer.len() - 1]), []);
    let gone = disconnected(1, 1006, timeout(Stage::Upgrade), 25_000);
    assert_eq!(harness.at(24_000).timer(), [abandon(1), gone, arm(25_000)]);
}

#[test]
fn the_gateway_refuses() {
    for status in [200, 301, 405, 429, 500, 503] {
        let mut harness = Harness::new(config());
        harness.connect();
        harness.opened(1);
        harness.take(usize::MAX);
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nno");
        let gone = disconnected(
            1,
            1006,
            CloseReason::Http { status, retry_after: None, redirect: None, body: None },
            1_003,
        );
        assert_eq!(harness.at(3).receive(answer), [abandon(1), gone, arm(1_003)]);
    }
}

/// No retry mends this.
#[test]
fn the_gateway_refuses_for_good() {
    for status in [400, 401, 403, 404, 410, 426] {
        let mut harness = Harness::new(config());
        harness.connect();
        harness.opened(1);
        harness.take(usize::MAX);
        let gone = disconnected(
            1,
            1006,
            CloseReason::Http { status, retry_after: None, redirect: None, body: None },
            None,
        );
        let failed = Action::Emit(Event::Failed { attempts: 0, why: FailReason::Fatal });
        let answer = format!("HTTP/1.1 {status} X\r\n\r\n");
        assert_eq!(harness.at(3).receive(answer), [abandon(1), gone, failed, disarm()]);
    }
}

#[test]
fn the_answer_is_none() {
    for (answer, error) in [
        (&b"SSH-2.0-x\r\n"[..], UpgradeError::NotHttp),
        (b"\x15\x03\x03\0\x02\x02\x46", UpgradeError::Tls),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", UpgradeError::NoConnectionUpgrade),
        (&reply(ACCEPT), UpgradeError::AcceptMismatch),
        (&[b"HTTP/1.1 101 ", &[b'x'; 16 << 10][..]].concat(), UpgradeError::HeaderTooLarge),
    ] {
        let mut harness = Harness::new(config());
        harness.connect();
        harness.opened(1);
        let gone = disconnected(1, 1006, upgrade_failed(error), 1_003);
        assert_eq!(harness.at(3).receive(answer), [abandon(1), gone, arm(1_003)]);
    }
}

/// A refusal with a text waits for the text, to its end or the transport's.
#[test]
fn the_gateway_refuses_in_words() {
    let refused = |body: &str| {
        let body = Some(body.into());
        CloseReason::Http { status: 401, retry_after: None, redirect: None, body }
    };
    let failed = Action::Emit(Event::Failed { attempts: 0, why: FailReason::Fatal });
    let head = "HTTP/1.1 401 X\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\n";
    let begun = || {
        let mut harness = Harness::new(config());
        harness.connect();
        harness.opened(1);
        harness.take(usize::MAX);
        assert_eq!(harness.at(3).receive(head), []);
        assert_eq!(harness.receive("go "), []);
        harness
    };
    let gone = disconnected(1, 1006, refused("go away"), None);
    let ended = [abandon(1), gone, failed.clone(), disarm()];
    assert_eq!(
        begun().receive("away!"),
        ended.map(|action| match action {
            Action::Emit(Event::Disconnected { .. }) => {
                disconnected(1, 1006, refused("go away!"), None)
            }
            other => other,
        })
    );
    // The transport ends before the text does.
    let gone = disconnected(1, 1006, refused("go"), None);
    assert_eq!(begun().closed(CloseReason::lost()), [gone.clone(), failed.clone(), disarm()]);
    // The time for the answer is over before the text: it is a refusal all the same.
    // (The timer has fired, and so nothing is armed.)
    assert_eq!(begun().at(10_000).timer(), [abandon(1), gone, failed]);
}

/// The gateway may refuse before it has read the request to its end.
#[test]
fn refused_with_the_request_half_taken() {
    let mut harness = Harness::new(config());
    harness.connect();
    harness.opened(1);
    harness.take(10);
    let gone = disconnected(
        1,
        1006,
        CloseReason::Http { status: 431, retry_after: None, redirect: None, body: None },
        1_000,
    );
    let actions = harness.receive("HTTP/1.1 431 X\r\n\r\n");
    assert_eq!(actions, [abandon(1), gone, arm(1_000)]);
    assert_eq!(harness.take(usize::MAX), []);
}

#[test]
fn disconnected_on_the_way() {
    for opened in [false, true] {
        let mut harness = Harness::new(config());
        harness.connect();
        if opened {
            harness.opened(1);
        }
        let gone = disconnected(1, 1006, CloseReason::Requested, None);
        assert_eq!(harness.disconnect(), [abandon(1), gone, disarm()]);
        assert_eq!(harness.endpoint.client().state(), State::Idle);
    }
}

/// Each connection has a key and masks of its own.
#[test]
fn connections_share_no_randomness() {
    let mut harness = Harness::new(Config { max_attempts: None, ..quiet() });
    harness.connect();
    let mut requests = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..20 {
        harness.establish();
        harness.send("1");
        requests.push(harness.request.clone());
        keys.extend(read_frames(harness.endpoint.transmit()).0.into_iter().map(|frame| frame.key));
        harness.closed(lost());
        harness.wait();
    }
    let second = String::from_utf8(requests[1].clone()).expect("it is ASCII");
    assert!(second.contains("wo5dm4d7FblfT1sx8OhFxw=="), "{second}");
    for list in [&mut requests, &mut keys.iter().map(|key| key.to_vec()).collect()] {
        let count = list.len();
        list.sort();
        list.dedup();
        assert_eq!(list.len(), count);
    }
}

#[test]
fn the_subprotocol_is_the_live_connections() {
    let mut harness = Harness::new(Config { subprotocols: vec!["v1".into()], ..quiet() });
    assert_eq!(harness.endpoint.subprotocol(), None);
    harness.connect();
    harness.opened(1);
    let mut answer = reply_to(&harness.request);
    answer.splice(answer.len() - 2.., *b"Sec-WebSocket-Protocol: v1\r\n\r\n");
    harness.receive(answer);
    assert_eq!(harness.endpoint.subprotocol(), Some("v1"));
    harness.closed(lost());
    assert_eq!(harness.endpoint.subprotocol(), None);
}

/// What can be said of a connection.
fn about(conn: ConnId) -> Vec<Input<&'static [u8]>> {
    vec![
        Input::Opened { conn },
        Input::Received { conn, payload: b"HTTP/1.1 503 X\r\n\r\n" },
        Input::Received { conn, payload: b"\x81\x01x" },
        Input::Received { conn, payload: b"" },
        Input::Flushed { conn, up_to: 0 },
        Input::Flushed { conn, up_to: u64::MAX },
        Input::Closing { conn, reason: lost() },
        Input::Closed { conn, reason: lost() },
    ]
}

/// An endpoint in every phase there is, with something in the outbox.
fn phases() -> Vec<(&'static str, Harness)> {
    let mut phases = Vec::new();
    let mut harness = Harness::new(config());
    harness.send("0");
    phases.push(("idle", harness.clone()));
    // One connection that is gone, so that there is a name which is not live.
    harness.connect();
    harness.establish();
    harness.closed(lost());
    phases.push(("waiting", harness.clone()));
    harness.wait();
    phases.push(("connecting", harness.clone()));
    harness.opened(2);
    phases.push(("upgrading", harness.clone()));
    harness.take(100);
    harness.receive("HTTP/1.1 101");
    phases.push(("half an answer", harness.clone()));
    harness.take(usize::MAX);
    let rest = reply_to(&harness.request).split_off(12);
    harness.receive(rest);
    phases.push(("open", harness.clone()));
    harness.send("1");
    harness.take(3);
    harness.receive(frame(bits::TEXT, "{"));
    phases.push(("in the midst of things", harness.clone()));
    let mut other = harness.clone();
    other.disconnect();
    phases.push(("closing", other));
    let mut other = harness.clone();
    other.receive([0xFF, 0]);
    phases.push(("after a violation", other));
    harness.receive(close(1000, ""));
    phases.push(("closed by the peer", harness));
    let mut harness = Harness::new(Config { max_attempts: Some(0), ..config() });
    harness.connect();
    harness.closed(unreachable());
    phases.push(("failed", harness));
    phases
}

#[test]
fn stale_inputs_change_nothing() {
    for (phase, mut harness) in phases() {
        let live = harness.live;
        for conn in [0, 1, 2, 3, 4, u64::MAX].map(ConnId).into_iter().filter(|c| Some(*c) != live) {
            // Late as it is, not even the time passes.
            harness.now = harness.now.max(ms(3_600_000));
            let before = harness.endpoint.clone();
            for input in about(conn) {
                assert_eq!(harness.input(input.clone()), [], "{phase}: {input:?}");
                assert!(harness.endpoint == before, "{phase}: {input:?}");
            }
        }
    }
}

/// No input is wrong, whatever the phase; the harness checks what always holds.
#[test]
fn any_input_in_any_phase() {
    let commands = || {
        [
            Input::Connect,
            Input::Disconnect,
            Input::ClearSession,
            Input::TimerFired,
            Input::Send(json("\"x\"")),
        ]
    };
    for (phase, harness) in phases() {
        let inputs = || commands().into_iter().chain(harness.live.into_iter().flat_map(about));
        for first in inputs() {
            for second in inputs() {
                for late in [0, 5_000, 1_000_000] {
                    println!("{phase}: {first:?}, after {late} ms {second:?}");
                    let mut harness = harness.clone();
                    harness.input(first.clone());
                    harness.now = ms(harness.now.as_millis() + late);
                    harness.input(second.clone());
                    harness.take(5);
                    harness.take(usize::MAX);
                }
            }
        }
    }
}

/// A transport that is up is up: to hear it twice changes nothing.
#[test]
fn opened_twice() {
    let mut harness = Harness::new(config());
    harness.connect();
    harness.at(5).opened(1);
    harness.take(10);
    let before = harness.endpoint.clone();
    assert_eq!(harness.at(6).opened(1), []);
    assert_eq!(harness.endpoint.transmit(), before.transmit());
    assert_eq!(harness.endpoint.deadline(), before.deadline());
}

/// Bytes before the transport is up are nobody's.
#[test]
fn received_before_opened() {
    let mut harness = Harness::new(config());
    harness.connect();
    assert_eq!(harness.receive("HTTP/1.1 503 X\r\n\r\n"), []);
    assert_eq!(harness.take(usize::MAX), []);
    harness.opened(1);
    harness.take(usize::MAX);
    assert_eq!(harness.upgrade(), [connected(1), arm(25_000)]);
}
