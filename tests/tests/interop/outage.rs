//! Servers that nobody here wrote go away and come back.

use hermes_mio::{CloseReason, State};
use hermes_tests::against_both;
use hermes_tests::interop::{Bench, Library, chat, resume};

against_both!(a_killed_server_gets_everything_once_it_is_back);

/// The new process knows nothing of the old one's session, and issues another.
fn a_killed_server_gets_everything_once_it_is_back(library: &'static Library) {
    let mut bench = Bench::new(library);
    let token = bench.join();
    bench.server.kill();
    let reason = bench.expect_disconnected();
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");

    let text = |n| format!("message {n}");
    for n in 1..=100 {
        bench.send(&chat(&text(n)));
        if n % 25 == 0 {
            let reason = bench.expect_disconnected();
            assert!(matches!(reason, CloseReason::Connect { .. }), "{reason:?}");
        }
    }
    assert!(matches!(bench.client.protocol().state(), State::Waiting { .. }));
    assert_eq!(bench.client.protocol().outbox_len(), 100);

    bench.server.restart();
    bench.expect_connected();
    bench.expect_message(1, &resume(&token));
    assert_ne!(bench.expect_session(), token);
    for n in 1..=100 {
        bench.expect_message(1, &chat(&text(n)));
        bench.expect_chat(n, &text(n));
    }
    bench.end();
}
