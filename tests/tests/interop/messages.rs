//! Messages and Pings, there and back, with servers that nobody here wrote.

use std::time::Duration;

use hermes_mio::{Config, Event};
use hermes_tests::against_both;
use hermes_tests::interop::{Harness, Library, Server, chat, config};
use serde_json::json;

against_both!(
    a_thousand_messages_come_back_once_in_order,
    a_burst_arrives_in_order,
    every_kind_of_length_goes_there_and_back,
    large_messages_arrive_whole,
    fragments_arrive_as_one_message,
    a_binary_message_is_an_event_of_its_own,
    a_ping_is_answered_with_its_payload,
    the_heartbeat_is_answered,
);

/// One, two, three and four bytes in UTF-8.
const LETTERS: &str = "aé€😀";

/// Half of them wait for the connection, half are sent while the first are under way.
fn a_thousand_messages_come_back_once_in_order(library: &'static Library) {
    let mut harness = Harness::new(library);
    let text = |n| format!("message {n}");
    for n in 1..=500 {
        harness.send(&chat(&text(n)));
    }
    harness.client.connect();
    harness.expect_connected();
    harness.expect_session();
    for n in 1..=500 {
        harness.expect_chat(n, &text(n));
        harness.send(&chat(&text(500 + n)));
    }
    for n in 501..=1_000 {
        harness.expect_chat(n, &text(n));
    }
    for n in 1..=1_000 {
        harness.expect_message(1, &chat(&text(n)));
    }
    harness.end();
}

fn a_burst_arrives_in_order(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    harness.order("burst", json!({"count": 1_000}));
    for n in 1..=1_000 {
        assert_eq!(harness.next_chat(), json!({"type": "chat", "n": n}));
    }
    harness.end();
}

/// RFC 6455 §5.2 has three kinds of length: below 126, below 65,536, and above. An echo is longer
/// than what it echoes, so the second half has what brings it, too, to every limit.
fn every_kind_of_length_goes_there_and_back(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    let there = (124..=128).chain(65_534..=65_538);
    let back = (60..=128).chain(65_470..=65_536);
    let overhead = chat("").to_string().len();
    for (n, length) in (2..).zip(there.chain(back)) {
        harness.exchange(1, n, &"x".repeat(length - overhead));
    }
    harness.end();
}

/// A MiB and more.
fn large_messages_arrive_whole(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    let times = (1 << 20) / LETTERS.len() + 1;
    let text = LETTERS.repeat(times);
    harness.order("large", json!({"unit": LETTERS, "times": times}));
    assert!(harness.next_chat()["text"] == text);
    harness.exchange(1, 2, &text);
    harness.end();
}

/// Cut within letters, ended by an empty fragment, and with Pings in between (RFC 6455 §5.4).
fn fragments_arrive_as_one_message(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    for size in [1, 2, 3, 7, 125, 126, 4_096] {
        let text = LETTERS.repeat(30 * size.min(100));
        harness.order("fragments", json!({"text": text, "size": size, "pings": false}));
        assert!(harness.next_chat()["text"] == text, "in fragments of {size}");
    }

    harness.order("fragments", json!({"text": LETTERS, "size": 3, "pings": true}));
    assert_eq!(harness.next_chat()["text"], LETTERS);
    let last = (chat(LETTERS).to_string().len() - 1) / 3 * 3;
    // A Pong may stand for several Pings, but there is one for the last (RFC 6455 §5.5.3).
    while harness.report("pong")["data"] != hex(last.to_string().as_bytes()) {}
    harness.end();
}

fn a_binary_message_is_an_event_of_its_own(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    harness.order("binary", json!({"bytes": [0, 1, 254, 255]}));
    match harness.next_event() {
        Event::Binary(message) => assert_eq!(message.data()[..], [0, 1, 254, 255]),
        other => panic!("{other:?}"),
    }
    harness.exchange(1, 2, "never mind");
    harness.end();
}

fn a_ping_is_answered_with_its_payload(library: &'static Library) {
    let mut harness = Harness::new(library);
    harness.join();
    let longest = "p".repeat(125);
    for data in ["", "p", LETTERS, &longest] {
        harness.order("ping", json!({"data": data}));
        assert_eq!(harness.report("pong")["data"], hex(data.as_bytes()));
    }
    harness.end();
}

/// A heartbeat that was not answered would have no successor: nothing else arrives here.
fn the_heartbeat_is_answered(library: &'static Library) {
    let server = Server::start(library);
    let heartbeat_interval = Some(Duration::from_millis(20));
    let heartbeat_timeout = Duration::from_secs(60);
    let config = Config { heartbeat_interval, heartbeat_timeout, ..config(&server) };
    let mut harness = Harness::with(server, config);
    harness.join();
    for _ in 0..10 {
        harness.report("ping");
    }
    harness.exchange(1, 2, "still there?");
    assert_eq!(harness.client.protocol().stats().opened, 1);
    harness.end();
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}
