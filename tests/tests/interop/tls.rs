//! `wss://` with servers that nobody here wrote: Python's and Node's TLS is OpenSSL.

use hermes_mio::{CloseReason, Options, Tls};
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, Server, config, resume};
use serde_json::json;

against_both!(a_conversation_in_tls, a_loss_in_tls, a_certificate_that_is_not_trusted);

/// A server with a certificate that nobody else has signed, and what has a client trust it.
fn server(library: &'static Library) -> (Server, Tls) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let server = Server::with(library, json!({"tls": {"cert": cert, "key": key}}));
    (server, Tls::new().without_system().trust(cert).expect("a certificate"))
}

fn harness(library: &'static Library) -> Harness {
    let (server, tls) = server(library);
    let options = Options::new(config(&server)).tls(tls);
    Harness::with(server, options)
}

fn a_conversation_in_tls(library: &'static Library) {
    let mut harness = harness(library);
    harness.join();
    harness.exchange(1, 2, "in private");
    // Of several records, in both directions.
    let large = "\u{fc}ber".repeat(50_000);
    harness.exchange(1, 3, &large);
    harness.order("fragments", json!({"text": large, "size": 30_001, "pings": true}));
    assert_eq!(harness.next_chat()["text"], large);
    harness.end();
}

/// The next connection resumes both sessions, TLS' own and the gateway's.
fn a_loss_in_tls(library: &'static Library) {
    let mut harness = harness(library);
    let token = harness.join();
    harness.order("abort", json!({"reset": false}));
    let reason = harness.expect_disconnected();
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");
    harness.report("close");
    harness.expect_connected();
    harness.expect_message(2, &resume(&token));
    assert_eq!(harness.expect_session(), token);
    harness.exchange(2, 2, "again");
    harness.end();
}

fn a_certificate_that_is_not_trusted(library: &'static Library) {
    let ((server, _), (_, tls)) = (server(library), server(library));
    let options = Options::new(config(&server)).tls(tls);
    let mut harness = Harness::with(server, options);
    harness.client.connect();
    let CloseReason::Tls { text } = harness.expect_disconnected() else { panic!("{harness:?}") };
    // Another one of the same name is trusted, and did not sign this one.
    assert_eq!(text.as_str(), "127.0.0.1: its certificate is no good: BadSignature");
    assert_eq!(harness.server.report("open"), None);
}
