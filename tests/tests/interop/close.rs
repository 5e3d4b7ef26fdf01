//! The ends of connections to servers that nobody here wrote.

use hermes_mio::{CloseReason, Event};
use hermes_proto::{FailReason, MessageId};
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, chat, resume};
use serde_json::json;

against_both!(
    a_close_frame_tells_code_and_reason,
    a_fin_is_a_loss,
    a_reset_is_a_loss,
    disconnecting_is_a_proper_end,
    finishing_sends_everything_first,
);

/// Every code that a server may send (RFC 6455 §7.4), and reasons up to the greatest length. 1008
/// is the last: whoever sends it does not want to be asked again.
fn a_close_frame_tells_code_and_reason(library: &'static Library) {
    let mut harness = Harness::new(library);
    let token = harness.join();
    let codes =
        [1000, 1001, 1002, 1003, 1007, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999, 1008];
    let longest = format!("{}é", "r".repeat(121));
    let reasons = ["", "bye", "auf Wiedersehen, 😀", &longest];
    for ((code, reason), next) in codes.into_iter().zip(reasons.into_iter().cycle()).zip(2..) {
        harness.order("close", json!({"code": code, "reason": reason}));
        let expected = CloseReason::Peer { code, text: reason.into() };
        assert_eq!(harness.expect_disconnected(), expected);
        assert_eq!(harness.report("close")["code"], code, "the code comes back");
        if code == 1008 {
            let failed = harness.next_event();
            assert!(matches!(failed, Event::Failed { why: FailReason::Fatal, .. }), "{failed:?}");
            harness.client.connect();
        }
        harness.expect_connected();
        harness.expect_message(next, &resume(&token));
        harness.expect_session();
    }
    harness.end();
}

fn a_fin_is_a_loss(library: &'static Library) {
    a_loss(library, false);
}

fn a_reset_is_a_loss(library: &'static Library) {
    a_loss(library, true);
}

/// What is sent before the client is back waits, and arrives behind the session's token.
fn a_loss(library: &'static Library, reset: bool) {
    let mut harness = Harness::new(library);
    let token = harness.join();
    harness.order("abort", json!({"reset": reset}));
    let reason = harness.expect_disconnected();
    let CloseReason::Lost { text: error } = reason else { panic!("{reason:?}") };
    assert_eq!(!error.is_empty(), reset, "only a reset is an error of the system's: {error}");

    let text = |n| format!("message {n}");
    for n in 2..=100 {
        harness.send(&chat(&text(n)));
    }
    harness.expect_connected();
    assert_eq!(harness.expect_session(), token);
    for n in 2..=100 {
        harness.expect_chat(n, &text(n));
    }
    assert_eq!(harness.report("close")["code"], 1006);
    harness.expect_message(2, &resume(&token));
    for n in 2..=100 {
        harness.expect_message(2, &chat(&text(n)));
    }
    harness.end();
}

/// And `connect` works again.
fn disconnecting_is_a_proper_end(library: &'static Library) {
    let mut harness = Harness::new(library);
    let token = harness.join();
    for n in 2..5 {
        harness.client.disconnect();
        harness.expect_end();
        harness.client.connect();
        harness.expect_connected();
        harness.expect_message(n, &resume(&token));
        harness.expect_session();
        harness.exchange(n, n, "again");
    }
    harness.end();
}

/// More than the socket's buffers take at once. The server has nothing to say to it.
fn finishing_sends_everything_first(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    let status = |n: u64| json!({"type": "status-update", "status": n.to_string().repeat(50_000)});
    for n in 1..=100 {
        harness.send(&status(n));
    }
    harness.client.shutdown(std::time::Duration::from_secs(10));
    for n in 1..=100 {
        harness.expect_message(1, &status(n));
    }
    // The server's Pongs acknowledge all, bit by bit; the hello perhaps before the shutdown began.
    let mut event = harness.next_event();
    let before = match &event {
        Event::Acknowledged { from, .. } => from.0 - 1,
        other => panic!("{other:?}"),
    };
    assert!(before <= 1, "{before}");
    let mut acknowledged = before;
    while let Event::Acknowledged { from, to } = event {
        assert_eq!(from, MessageId(acknowledged + 1));
        (acknowledged, event) = (to.0, harness.next_event());
    }
    assert_eq!(acknowledged, 101);
    let asked = CloseReason::Requested;
    assert!(matches!(event, Event::Disconnected { reason, .. } if reason == asked));
    let report = Event::ShutDown { acknowledged: 101 - before, in_doubt: 0, unsent: 0, durable: 0 };
    assert_eq!(harness.next_event(), report);
    harness.expect_rest();
}
