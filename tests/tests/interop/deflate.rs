//! Compressed messages, there and back, with servers that nobody here wrote (RFC 7692).

use hermes_mio::Config;
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, Server, chat, config};
use serde_json::{Value, json};

against_both!(
    a_thousand_messages_take_a_third_of_their_bytes,
    every_agreement_works,
    messages_of_every_size,
    fragments_arrive_as_one_message,
    a_server_that_does_not_compress_is_fine,
    each_connection_begins_anew,
);

fn deflate(server: &Server) -> Config {
    Config { deflate: true, deflate_min_bytes: 0, ..config(server) }
}

fn harness(library: &'static Library, parameters: Value) -> Harness {
    let server = Server::with(library, json!({"deflate": parameters}));
    let config = deflate(&server);
    Harness::with(server, config)
}

/// What the server's connection has carried so far, in and out.
fn traffic(harness: &mut Harness) -> (u64, u64) {
    harness.order("traffic", json!({}));
    let report = harness.report("traffic");
    let bytes = |name: &str| report[name].as_u64().expect("a number of bytes");
    (bytes("received"), bytes("sent"))
}

/// Both ways.
fn a_thousand_messages_take_a_third_of_their_bytes(library: &'static Library) {
    let mut harness = harness(library, json!({}));
    harness.join();
    assert!(harness.client.extensions().is_some_and(|e| e.starts_with("permessage-deflate")));
    let text = |n: u64| format!("this is message number {n} of a thousand, and of no other");
    let (received, sent) = traffic(&mut harness);
    let mut plain = 0;
    for n in 2..=1_001 {
        plain += chat(&text(n)).to_string().len() as u64;
        harness.send(&chat(&text(n)));
    }
    for n in 2..=1_001 {
        harness.expect_message(1, &chat(&text(n)));
        harness.expect_chat(n, &text(n));
    }
    let (received_then, sent_then) = traffic(&mut harness);
    assert!(received_then - received < plain / 3, "{} of {plain}", received_then - received);
    // An echo has more in it.
    assert!(sent_then - sent < plain / 2, "{} of {plain}", sent_then - sent);
    harness.end();
}

/// Whoever asks for what.
fn every_agreement_works(library: &'static Library) {
    type Change = fn(&mut Config);
    let plain: Change = |_| {};
    let cases: [(Change, Value, &[&str]); 9] = [
        (plain, json!({}), &[]),
        (
            plain,
            json!({"server_no_context_takeover": true, "client_no_context_takeover": true}),
            &["server_no_context_takeover", "client_no_context_takeover"],
        ),
        (
            plain,
            json!({"server_max_window_bits": 9, "client_max_window_bits": 9}),
            &["server_max_window_bits=9", "client_max_window_bits=9"],
        ),
        (plain, json!({"client_max_window_bits": 8}), &["client_max_window_bits=8"]),
        (|c| c.deflate_client_max_window_bits = 15, json!({}), &[]),
        (
            |c| c.deflate_client_max_window_bits = 8,
            json!({"client_max_window_bits": 8}),
            &["client_max_window_bits=8"],
        ),
        (|c| c.deflate_server_max_window_bits = 10, json!({}), &["server_max_window_bits=10"]),
        (
            |c| c.deflate_server_no_context_takeover = true,
            json!({}),
            &["server_no_context_takeover"],
        ),
        (|c| c.deflate_client_no_context_takeover = true, json!({}), &[]),
    ];
    for (change, parameters, agreed) in cases {
        let server = Server::with(library, json!({"deflate": parameters}));
        let mut config = deflate(&server);
        change(&mut config);
        let mut harness = Harness::with(server, config);
        harness.join();
        let extensions = harness.client.extensions().expect("it was agreed on").to_owned();
        for parameter in agreed {
            assert!(extensions.contains(parameter), "{parameter} in {extensions}");
        }
        for n in 2..60 {
            let times = if n % 20 == 0 { 2_000 } else { n as usize };
            harness.exchange(1, n, &format!("number {n}, and once more, ").repeat(times));
        }
        harness.end();
    }
}

/// Up to a MiB and more, of what compresses well and what does not.
fn messages_of_every_size(library: &'static Library) {
    let mut harness = harness(library, json!({}));
    harness.join();
    let mut rng = hermes_tests::Rng::new(1);
    for (n, length) in (2..).zip([0, 1, 63, 125, 126, 1_000, 65_535, 65_536, 300_000, 1_200_000]) {
        let text: String = (0..length).map(|_| *rng.pick(&['a', 'b', 'é', '€', '😀'])).collect();
        harness.exchange(1, n, &text);
    }
    harness.order("large", json!({"unit": "aé€😀", "times": 300_000}));
    assert!(harness.next_chat()["text"] == "aé€😀".repeat(300_000));
    harness.end();
}

/// With Pings between them.
fn fragments_arrive_as_one_message(library: &'static Library) {
    let mut harness = harness(library, json!({}));
    harness.join();
    for size in [1, 3, 125, 4_096] {
        let text = "aé€😀".repeat(30 * size.min(100));
        harness.order("fragments", json!({"text": text, "size": size, "pings": size > 3}));
        assert!(harness.next_chat()["text"] == text, "in fragments of {size}");
    }
    harness.exchange(1, 2, "and whole ones again");
    harness.end();
}

fn a_server_that_does_not_compress_is_fine(library: &'static Library) {
    let mut harness = harness(library, Value::Null);
    harness.join();
    assert_eq!(harness.client.extensions(), None);
    harness.exchange(1, 2, "as it is");
    harness.end();
}

/// Nothing is left of the coders of a connection that is gone.
fn each_connection_begins_anew(library: &'static Library) {
    let mut harness = harness(library, json!({}));
    let token = harness.join();
    for conn in 2..5 {
        harness.order("abort", json!({"reset": false}));
        harness.expect_disconnected();
        harness.report("close");
        harness.expect_connected();
        harness.expect_message(conn, &hermes_tests::interop::resume(&token));
        harness.expect_session();
        harness.exchange(conn, conn, "hello, again and again and again");
    }
    harness.end();
}
