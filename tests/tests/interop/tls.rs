//! `wss://` with servers that nobody here wrote: Python's and Node's TLS is OpenSSL.

use hermes_mio::{CloseReason, Options, Tls};
use hermes_tests::against_both;
use hermes_tests::interop::{Bench, Library, Server, config, resume};
use serde_json::json;

against_both!(a_conversation_in_tls, a_loss_in_tls, a_certificate_that_is_not_trusted);

/// A server with a certificate that nobody else has signed, and what has a client trust it.
fn server(library: &'static Library) -> (Server, Tls) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let server = Server::with(library, json!({"tls": {"cert": cert, "key": key}}));
    (server, Tls::new().without_system().trust(cert).expect("a certificate"))
}

fn bench(library: &'static Library) -> Bench {
    let (server, tls) = server(library);
    let options = Options::new(config(&server)).tls(tls);
    Bench::with(server, options)
}

fn a_conversation_in_tls(library: &'static Library) {
    let mut bench = bench(library);
    bench.join();
    bench.exchange(1, 2, "in private");
    // Of several records, in both directions.
    let large = "\u{fc}ber".repeat(50_000);
    bench.exchange(1, 3, &large);
    bench.order("fragments", json!({"text": large, "size": 30_001, "pings": true}));
    assert_eq!(bench.next_chat()["text"], large);
    bench.end();
}

/// The next connection resumes both sessions, TLS' own and the gateway's.
fn a_loss_in_tls(library: &'static Library) {
    let mut bench = bench(library);
    let token = bench.join();
    bench.order("abort", json!({"reset": false}));
    let reason = bench.expect_disconnected();
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");
    bench.report("close");
    bench.expect_connected();
    bench.expect_message(2, &resume(&token));
    assert_eq!(bench.expect_session(), token);
    bench.exchange(2, 2, "again");
    bench.end();
}

fn a_certificate_that_is_not_trusted(library: &'static Library) {
    let ((server, _), (_, tls)) = (server(library), server(library));
    let options = Options::new(config(&server)).tls(tls);
    let mut bench = Bench::with(server, options);
    bench.client.connect();
    let CloseReason::Tls { text } = bench.expect_disconnected() else { panic!("{bench:?}") };
    // Another one of the same name is trusted, and did not sign this one.
    assert_eq!(text.as_str(), "127.0.0.1: its certificate is no good: BadSignature");
    assert_eq!(bench.server.report("open"), None);
}
