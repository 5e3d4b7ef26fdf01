//! What happens to a client in anybody's loop.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use hermes_mio::gateway::{Fault, Gateway, GatewayOptions, Target};
use hermes_proto::reason::Stage;
use hermes_proto::{CloseReason, Config, Delivery, Event, Outgoing, Receipts};
use serde_json::{Value, json};
use tokio::io::BufStream;
use tokio::net::TcpStream;

use crate::host::{Host, LONG, OnThread, OnTokio, OnTungstenite};

/// Four tests of each story.
macro_rules! on_all {
    (@ $module:ident, $host:ty, $($story:ident),+) => {
        mod $module {
            use super::*;
            $(#[test] fn $story() { super::$story::<$host>(); })+
        }
    };
    ($($story:ident),+ $(,)?) => {
        on_all!(@ on_a_thread, OnThread, $($story),+);
        on_all!(@ in_tokio, OnTokio<TcpStream>, $($story),+);
        on_all!(@ in_tokio_with_a_buffer, OnTokio<BufStream<TcpStream>>, $($story),+);
        on_all!(@ on_tungstenite, OnTungstenite, $($story),+);
    };
}

on_all! {
    a_conversation,
    a_gateway_that_restarts_gets_everything_once_and_in_order,
    what_was_in_doubt_is_sent_again_and_proven_to_have_arrived,
    a_link_that_is_dead_is_noticed,
    a_slow_application_slows_its_gateway_down,
    a_slow_gateway_slows_its_application_down,
    there_is_one_connection_whatever_the_application_wants,
    a_gateway_that_wants_tls_is_not_spoken_to_in_the_clear,
}

fn gateway(options: GatewayOptions) -> Gateway {
    Gateway::start(options).unwrap()
}

/// Impatient.
fn config(gateway: &Gateway) -> Config {
    Config {
        backoff_base: Duration::from_millis(20),
        backoff_cap: Duration::from_millis(200),
        min_connect_interval: Duration::ZERO,
        max_attempts: None,
        ..Config::new(gateway.url())
    }
}

fn chat(n: u64, padding: usize) -> Outgoing {
    Outgoing::new(&json!({"type": "chat", "n": n, "text": "x".repeat(padding)})).unwrap()
}

/// The numbers of the messages that a gateway has, in the order in which they came.
fn numbers(gateway: &Gateway) -> Vec<u64> {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap()["n"].as_u64().unwrap();
    gateway.received().iter().map(|message| number(&message.text)).collect()
}

fn a_conversation<H: Host>() {
    let gateway = gateway(GatewayOptions { echo: true, ..GatewayOptions::default() });
    let mut host = H::start(config(&gateway));
    host.connect();
    host.send_with_patience(&chat(1, 10));
    host.until_connected();
    assert!(!host.until_session());
    let text = host.until(|event| match event {
        Event::Chat(chat) => Some(chat.text().unwrap().into_owned()),
        _ => None,
    });
    assert_eq!(text, "x".repeat(10));
    host.disconnect();
    let (code, retry_at) = host.until(|event| match event {
        Event::Disconnected { code, retry_at, .. } => Some((*code, *retry_at)),
        _ => None,
    });
    assert_eq!((code, retry_at), (1000, None));
    let report = gateway.wait_for(LONG, |counts| counts.open == 0).unwrap();
    assert_eq!((report.accepted, report.messages), (1, 1));
}

fn a_gateway_that_restarts_gets_everything_once_and_in_order<H: Host>() {
    let first = gateway(GatewayOptions::default());
    let mut host = H::start(config(&first));
    host.connect();
    assert!(!host.until_session());
    host.send_with_patience(&chat(0, 100));
    host.run_until(|| first.snapshot().messages == 1);
    let options = GatewayOptions {
        addr: first.addr(),
        sessions: first.sessions(),
        ..GatewayOptions::default()
    };
    first.stop();
    let code = host.until(|event| match event {
        Event::Disconnected { code, .. } => Some(*code),
        _ => None,
    });
    // Going Away.
    assert_eq!(code, 1001);
    for n in 1..=100 {
        host.send_with_patience(&chat(n, 100));
        // It also tries, in vain.
        host.pass();
    }
    let second = gateway(options);
    assert!(host.until_session(), "it is resumed");
    host.run_until(|| second.snapshot().messages >= 100);
    assert_eq!(numbers(&second), Vec::from_iter(1..=100));
    assert_eq!(second.snapshot().accepted, 1);
}

fn what_was_in_doubt_is_sent_again_and_proven_to_have_arrived<H: Host>() {
    let gateway = gateway(GatewayOptions::default());
    gateway.inject(Target::Next, Fault::CutAfterReceived(10_000));
    let (delivery, receipts) = (Delivery::AtLeastOnce, Receipts::Acknowledged);
    let mut host = H::start(Config { delivery, receipts, ..config(&gateway) });
    host.connect();
    for n in 0..200 {
        // Before, for the last event is waited for.
        host.pass();
        host.send_with_patience(&chat(n, 100));
    }
    host.until(|event| match event {
        Event::Acknowledged { to, .. } => (to.0 == 200).then_some(()),
        _ => None,
    });
    let mut next = 0;
    for n in numbers(&gateway) {
        assert!(n <= next, "{n} comes before {next}");
        next = next.max(n + 1);
    }
    assert_eq!((next, gateway.snapshot().accepted), (200, 2));
}

fn a_link_that_is_dead_is_noticed<H: Host>() {
    let gateway = gateway(GatewayOptions::default());
    let mut host = H::start(Config {
        heartbeat_interval: Some(Duration::from_millis(100)),
        heartbeat_timeout: Duration::from_millis(1_000),
        ..config(&gateway)
    });
    host.connect();
    host.until_session();
    // Several heartbeats are answered, or else the next line is too late.
    gateway.inject(Target::Live, Fault::HalfOpen);
    let reason = host.until(|event| match event {
        Event::Disconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, CloseReason::Timeout { stage: Stage::Heartbeat });
    assert!(host.until_session(), "it is resumed");
}

fn a_slow_application_slows_its_gateway_down<H: Host>() {
    const MEBIBYTE: usize = 1 << 20;
    let gateway = gateway(GatewayOptions { backlog_bytes: MEBIBYTE, ..GatewayOptions::default() });
    let mut host = H::start(config(&gateway));
    host.connect();
    host.until_session();
    let text = json!({"type": "status-update", "status": "x".repeat(MEBIBYTE / 16)}).to_string();
    // What fits into the buffers of two sockets, and a little more.
    for _ in 0..32 * 16 {
        gateway.broadcast(text.as_str());
        host.idle();
    }
    assert_eq!(gateway.snapshot().overflowed, 1);
}

fn a_slow_gateway_slows_its_application_down<H: Host>() {
    let gateway = gateway(GatewayOptions::default());
    let mut host = H::start(Config { outbox_max_messages: 100, ..config(&gateway) });
    host.connect();
    host.until_session();
    gateway.inject(Target::Live, Fault::HalfOpen);
    // Again as much as fits into the buffers of two sockets.
    let mut accepted = 0;
    while accepted < 32 * 16 && host.send(chat(accepted, 1 << 16)) {
        accepted += 1;
        host.pass();
    }
    assert!(accepted < 32 * 16);
    gateway.clear_faults();
    host.run_until(|| gateway.snapshot().messages >= accepted);
    assert_eq!(numbers(&gateway), Vec::from_iter(0..accepted));
    assert_eq!(gateway.snapshot().accepted, 1);
}

fn there_is_one_connection_whatever_the_application_wants<H: Host>() {
    let gateway = gateway(GatewayOptions::default());
    let mut host = H::start(config(&gateway));
    for _ in 0..20 {
        host.connect();
        host.pass();
        host.disconnect();
        host.pass();
        host.connect();
        host.pass();
    }
    host.send_with_patience(&chat(7, 10));
    host.run_until(|| gateway.snapshot().messages == 1 && gateway.snapshot().open == 1);
    let report = gateway.snapshot();
    assert_eq!((report.joined, report.messages), (1, 1), "{report:?}");
}

fn a_gateway_that_wants_tls_is_not_spoken_to_in_the_clear<H: Host>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let mut host = H::start(Config { max_attempts: Some(0), ..Config::new(url) });
    host.connect();
    let reason = host.until(|event| match event {
        Event::Disconnected { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    assert!(reason.contains("TLS"), "{reason}");
    // A host may connect before it refuses, but says nothing.
    if let Ok((mut stream, _)) = listener.accept() {
        stream.set_nonblocking(false).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
