//! Sessions with servers that nobody here wrote.

use hermes_mio::{CloseReason, Event, MemoryStore, Options};
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, Server, chat, config, resume};
use serde_json::json;

against_both!(a_session_is_issued_and_kept, a_session_is_resumed_in_the_first_frame);

fn a_session_is_issued_and_kept(library: &'static Library) {
    let server = Server::start(library);
    let store = MemoryStore::default();
    let options = Options::new(config(&server)).store(store.clone());
    let mut harness = Harness::with(server, options);
    harness.client.connect();
    harness.expect_connected();
    harness.send(&chat("hi"));
    let Event::SessionInit(init) = harness.next_event() else { panic!("not a session") };
    harness.expect_chat(1, "hi");
    harness.expect_message(1, &chat("hi"));
    harness.end();

    let session = store.session().expect("it was saved");
    assert_eq!(init.token().as_deref(), Some(session.token.as_str()));
    assert_eq!(init.client_id().as_deref(), session.client_id.as_deref());
    assert!(session.client_id.is_some());
}

/// Also by the next client, which has nothing but the store.
fn a_session_is_resumed_in_the_first_frame(library: &'static Library) {
    let server = Server::start(library);
    let store = MemoryStore::default();
    let next = Options::new(config(&server)).store(store.clone());
    let options = Options::new(config(&server)).store(store);
    let mut harness = Harness::with(server, options);
    let token = harness.join();

    harness.order("close", json!({"code": 1012, "reason": "restart"}));
    assert!(matches!(harness.expect_disconnected(), CloseReason::Peer { code: 1012, .. }));
    harness.report("close");
    harness.send(&chat("a"));
    harness.expect_connected();
    harness.expect_message(2, &resume(&token));
    harness.expect_message(2, &chat("a"));
    assert_eq!(harness.expect_session(), token);
    let chat_a = harness.next_chat();
    let server = harness.end();

    let mut harness = Harness::with(server, next);
    harness.send(&chat("b"));
    harness.client.connect();
    harness.expect_connected();
    harness.expect_message(3, &resume(&token));
    harness.expect_message(3, &chat("b"));
    assert_eq!(harness.expect_session(), token);
    let chat_b = harness.next_chat();
    assert_eq!(chat_a["sender"], chat_b["sender"]);
    harness.end();
}
