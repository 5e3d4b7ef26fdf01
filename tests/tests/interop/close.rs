//! The ends of connections to servers that nobody here wrote.

use hermes_mio::CloseReason;
use hermes_tests::against_both;
use hermes_tests::interop::{Bench, Library, chat, resume};
use serde_json::json;

against_both!(
    a_close_frame_tells_code_and_reason,
    a_fin_is_a_loss,
    a_reset_is_a_loss,
    disconnecting_is_a_proper_end,
    finishing_sends_everything_first,
);

/// Every code that a server may send (RFC 6455 §7.4), and reasons up to the greatest length.
fn a_close_frame_tells_code_and_reason(library: &'static Library) {
    let mut bench = Bench::new(library);
    let token = bench.join();
    let codes =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999];
    let longest = format!("{}é", "r".repeat(121));
    let reasons = ["", "bye", "auf Wiedersehen, 😀", &longest];
    for ((code, reason), next) in codes.into_iter().zip(reasons.into_iter().cycle()).zip(2..) {
        bench.order("close", json!({"code": code, "reason": reason}));
        let expected = CloseReason::Peer { code, text: reason.into() };
        assert_eq!(bench.expect_disconnected(), expected);
        assert_eq!(bench.report("close")["code"], code, "the code comes back");
        bench.expect_connected();
        bench.expect_message(next, &resume(&token));
        bench.expect_session();
    }
    bench.end();
}

fn a_fin_is_a_loss(library: &'static Library) {
    a_loss(library, false);
}

fn a_reset_is_a_loss(library: &'static Library) {
    a_loss(library, true);
}

/// What is sent before the client is back waits, and arrives behind the session's token.
fn a_loss(library: &'static Library, reset: bool) {
    let mut bench = Bench::new(library);
    let token = bench.join();
    bench.order("abort", json!({"reset": reset}));
    let reason = bench.expect_disconnected();
    let CloseReason::Lost { text: error } = reason else { panic!("{reason:?}") };
    assert_eq!(!error.is_empty(), reset, "only a reset is an error of the system's: {error}");

    let text = |n| format!("message {n}");
    for n in 2..=100 {
        bench.send(&chat(&text(n)));
    }
    bench.expect_connected();
    assert_eq!(bench.expect_session(), token);
    for n in 2..=100 {
        bench.expect_chat(n, &text(n));
    }
    assert_eq!(bench.report("close")["code"], 1006);
    bench.expect_message(2, &resume(&token));
    for n in 2..=100 {
        bench.expect_message(2, &chat(&text(n)));
    }
    bench.end();
}

/// And `connect` works again.
fn disconnecting_is_a_proper_end(library: &'static Library) {
    let mut bench = Bench::new(library);
    let token = bench.join();
    for n in 2..5 {
        bench.client.disconnect();
        bench.expect_end();
        bench.client.connect();
        bench.expect_connected();
        bench.expect_message(n, &resume(&token));
        bench.expect_session();
        bench.exchange(n, n, "again");
    }
    bench.end();
}

/// More than the socket's buffers take at once. The server has nothing to say to it.
fn finishing_sends_everything_first(library: &'static Library) {
    let mut bench = Bench::new(library);
    bench.join();
    let status = |n: u64| json!({"type": "status-update", "status": n.to_string().repeat(50_000)});
    for n in 1..=100 {
        bench.send(&status(n));
    }
    bench.client.shutdown(std::time::Duration::from_secs(10));
    for n in 1..=100 {
        bench.expect_message(1, &status(n));
    }
    bench.expect_end();
}
