//! Servers that nobody here wrote go away and come back.

use hermes_mio::{CloseReason, State};
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, chat, resume};

against_both!(a_killed_server_gets_everything_once_it_is_back);

/// The new process knows nothing of the old one's session, and issues another.
fn a_killed_server_gets_everything_once_it_is_back(library: &'static Library) {
    let mut harness = Harness::new(library);
    let token = harness.join();
    harness.server.kill();
    let reason = harness.expect_disconnected();
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");

    let text = |n| format!("message {n}");
    for n in 1..=100 {
        harness.send(&chat(&text(n)));
        if n % 25 == 0 {
            let reason = harness.expect_disconnected();
            assert!(matches!(reason, CloseReason::Connect { .. }), "{reason:?}");
        }
    }
    assert!(matches!(harness.client.protocol().state(), State::Waiting { .. }));
    assert_eq!(harness.client.protocol().outbox_len(), 100);

    harness.server.restart();
    harness.expect_connected();
    harness.expect_message(1, &resume(&token));
    assert_ne!(harness.expect_session(), token);
    for n in 1..=100 {
        harness.expect_message(1, &chat(&text(n)));
        harness.expect_chat(n, &text(n));
    }
    harness.end();
}
