//! Sessions with servers that nobody here wrote.

use hermes_mio::{CloseReason, Event, MemoryStore, Options};
use hermes_tests::against_both;
use hermes_tests::interop::{Bench, Library, Server, chat, config, resume};
use serde_json::json;

against_both!(a_session_is_issued_and_kept, a_session_is_resumed_in_the_first_frame);

fn a_session_is_issued_and_kept(library: &'static Library) {
    let server = Server::start(library);
    let store = MemoryStore::default();
    let options = Options::new(config(&server)).store(store.clone());
    let mut bench = Bench::with(server, options);
    bench.client.connect();
    bench.expect_connected();
    bench.send(&chat("hi"));
    let Event::SessionInit(init) = bench.next_event() else { panic!("not a session") };
    bench.expect_chat(1, "hi");
    bench.expect_message(1, &chat("hi"));

    let session = store.session().expect("it was saved");
    assert_eq!(init.token().as_deref(), Some(session.token.as_str()));
    assert_eq!(init.client_id().as_deref(), session.client_id.as_deref());
    assert!(session.client_id.is_some());
    bench.end();
}

/// Also by the next client, which has nothing but the store.
fn a_session_is_resumed_in_the_first_frame(library: &'static Library) {
    let server = Server::start(library);
    let store = MemoryStore::default();
    let next = Options::new(config(&server)).store(store.clone());
    let options = Options::new(config(&server)).store(store);
    let mut bench = Bench::with(server, options);
    let token = bench.join();

    bench.order("close", json!({"code": 1012, "reason": "restart"}));
    assert!(matches!(bench.expect_disconnected(), CloseReason::Peer { code: 1012, .. }));
    bench.report("close");
    bench.send(&chat("a"));
    bench.expect_connected();
    bench.expect_message(2, &resume(&token));
    bench.expect_message(2, &chat("a"));
    assert_eq!(bench.expect_session(), token);
    let chat_a = bench.next_chat();
    let server = bench.end();

    let mut bench = Bench::with(server, next);
    bench.send(&chat("b"));
    bench.client.connect();
    bench.expect_connected();
    bench.expect_message(3, &resume(&token));
    bench.expect_message(3, &chat("b"));
    assert_eq!(bench.expect_session(), token);
    let chat_b = bench.next_chat();
    assert_eq!(chat_a["sender"], chat_b["sender"]);
    bench.end();
}
