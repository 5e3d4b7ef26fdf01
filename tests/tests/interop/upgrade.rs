//! The opening handshake with servers that nobody here wrote.

use hermes_mio::{CloseReason, Config, Event};
use hermes_proto::FailReason;
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, Server, chat, config};
use serde_json::json;

against_both!(
    the_request_says_where_and_who,
    a_subprotocol_is_agreed_on,
    a_wrong_authorization_is_told_with_its_status,
);

fn the_request_says_where_and_who(library: &'static Library) {
    let server = Server::with(library, json!({"authorization": "Bearer s3cret"}));
    let url = server.url();
    let config = Config {
        origin: Some("http://nexus.test".into()),
        headers: vec![("Authorization".into(), "Bearer s3cret".into())],
        ..config(&server)
    };
    let mut harness = Harness::with(server, config);
    harness.client.connect();
    harness.expect_connected();
    assert_eq!(harness.client.subprotocol(), None);

    let open = harness.report("open");
    assert_eq!(open["authorization"], "Bearer s3cret");
    assert_eq!(open["origin"], "http://nexus.test");
    assert_eq!(open["path"], "/interop?a=b");
    assert_eq!(format!("ws://{}/interop?a=b", open["host"].as_str().unwrap_or_default()), url);
    harness.end();
}

/// The server has one of three, and not the one that the client likes best.
fn a_subprotocol_is_agreed_on(library: &'static Library) {
    let server = Server::with(library, json!({"subprotocols": ["hermes.v0", "hermes.v2"]}));
    let subprotocols = ["hermes.v3", "hermes.v2", "hermes.v1"].map(String::from).to_vec();
    let config = Config { subprotocols, ..config(&server) };
    let mut harness = Harness::with(server, config);
    harness.client.connect();
    harness.expect_connected();
    assert_eq!(harness.client.subprotocol(), Some("hermes.v2"));
    assert_eq!(harness.report("open")["subprotocol"], "hermes.v2");
    harness.end();
}

/// The client does not come back with what was refused, and keeps what it could not send.
fn a_wrong_authorization_is_told_with_its_status(library: &'static Library) {
    let server = Server::with(library, json!({"authorization": "Bearer s3cret"}));
    let config = Config {
        headers: vec![("Authorization".into(), "Bearer of bad news".into())],
        ..config(&server)
    };
    let mut harness = Harness::with(server, config);
    harness.send(&chat("for nobody"));
    harness.client.connect();
    let body = Some("Who are you?".into());
    let refused = CloseReason::Http { status: 401, retry_after: None, redirect: None, body };
    assert_eq!(harness.expect_disconnected(), refused);
    harness.report("reject");
    assert_eq!(harness.next_event(), Event::Failed { attempts: 0, why: FailReason::Fatal });
    assert_eq!(harness.client.protocol().outbox_len(), 1);
    assert_eq!(harness.server.report("open"), None);
}
