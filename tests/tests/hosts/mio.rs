//! The examples of hermes-mio, each as its documentation says it is used.

use std::io::{BufReader, PipeWriter, Write, pipe};
use std::net::UdpSocket;

use hermes_mio::Client;
use hermes_mio::gateway::{Gateway, GatewayOptions};
use hermes_proto::{Config, Event};
use serde_json::{Value, json};

use crate::host::LONG;
use crate::{client_example, embedded_example, fleet_example};

/// The texts of a gateway's messages, in the order in which they arrived.
fn texts(gateway: &Gateway) -> Vec<String> {
    let text = |text: &str| serde_json::from_str::<Value>(text).unwrap()["text"].clone();
    let texts = gateway.received();
    texts.iter().map(|message| text(&message.text).as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_client_sends_the_lines_of_its_input_prints_the_echo_and_ends_with_the_input() {
    let gateway =
        Gateway::start(GatewayOptions { echo: true, ..GatewayOptions::default() }).unwrap();
    let mut client = Client::new(Config::new(gateway.url())).unwrap();
    let (input, mut lines) = pipe().unwrap();
    writeln!(lines, "{{not JSON").unwrap();
    for text in ["one", "two"] {
        writeln!(lines, "{}", json!({"type": "chat", "text": text})).unwrap();
    }
    let mut lines: Option<PipeWriter> = Some(lines);
    let (mut heard, mut shut_down) = (Vec::new(), None);
    client_example::run(&mut client, BufReader::new(input), |event| match event {
        Event::Chat(chat) => {
            heard.push(chat.text().unwrap().into_owned());
            if heard.len() == 2 {
                lines = None;
            }
        }
        Event::ShutDown { acknowledged, in_doubt, unsent, .. } => {
            shut_down = Some((*acknowledged, *in_doubt, *unsent));
        }
        _ => {}
    })
    .unwrap();
    assert_eq!(heard, ["one", "two"]);
    assert_eq!(texts(&gateway), ["one", "two"]);
    assert!(matches!(shut_down, Some((_, 0, 0))), "{shut_down:?}");
    gateway.wait_for(LONG, |report| report.open == 0).unwrap();
}

#[test]
fn a_client_that_gives_up_ends_while_its_input_is_open() {
    let gateway = Gateway::start(GatewayOptions::default()).unwrap();
    let config = Config { max_attempts: Some(0), ..Config::new(gateway.url()) };
    gateway.stop();
    let (input, _lines) = pipe().unwrap();
    let mut last = None;
    let mut client = Client::new(config).unwrap();
    client_example::run(&mut client, BufReader::new(input), |event| last = Some(event.name()))
        .unwrap();
    assert_eq!(last, Some("ws-failed"));
}

#[test]
fn each_client_of_a_fleet_sends_one_message_that_is_acknowledged() {
    let gateway = Gateway::start(GatewayOptions::default()).unwrap();
    assert_eq!(fleet_example::run(Config::new(gateway.url()), 20).unwrap(), 20);
    let mut texts = texts(&gateway);
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 20, "{texts:?}");
    gateway.wait_for(LONG, |report| report.open == 0).unwrap();
}

#[test]
fn datagrams_reach_the_gateway_through_the_applications_own_loop() {
    let gateway = Gateway::start(GatewayOptions::default()).unwrap();
    let datagrams = mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(datagrams.local_addr().unwrap()).unwrap();
    for text in ["one", "two"] {
        peer.send(json!({"type": "chat", "text": text}).to_string().as_bytes()).unwrap();
    }
    let mut shut_down = None;
    embedded_example::run(Config::new(gateway.url()), datagrams, |event| match event {
        // The datagrams waited in the socket, before there was a connection.
        Event::SessionInit(_) => _ = peer.send(&[]).unwrap(),
        Event::ShutDown { acknowledged, in_doubt, unsent, .. } => {
            shut_down = Some((*acknowledged, *in_doubt, *unsent));
        }
        _ => {}
    })
    .unwrap();
    assert_eq!(texts(&gateway), ["one", "two"]);
    assert!(matches!(shut_down, Some((_, 0, 0))), "{shut_down:?}");
}
