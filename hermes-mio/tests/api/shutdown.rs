//! The end of a client: what is left goes first, and a report says what became of it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::gateway::{Fault, Gateway, Target};
use hermes_mio::proto::FailReason;
use hermes_mio::{
    Client, CloseReason, Config, Delivery, EnqueueError, Event, MessageId, Options, Outgoing,
    SendError, State,
};
use serde_json::json;

/// A gateway, and a client that is connected to it.
fn start(change: impl FnOnce(&mut Config)) -> (Gateway, Client) {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let mut config = config(gateway.url());
    change(&mut config);
    let mut client = Client::new(Options::new(config).sender_capacity(8)).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    wait_for(&mut client, |event| matches!(event, Event::SessionInit(_)).then_some(()));
    (gateway, client)
}

/// The same at most once: a written message leaves the outbox, and is acknowledged at the end.
fn start_at_most_once(outbox_max_messages: u64) -> (Gateway, Client) {
    start(|config| {
        config.outbox_max_messages = outbox_max_messages;
        config.delivery = Delivery::AtMostOnce;
    })
}

fn chat(n: u64) -> serde_json::Value {
    json!({"type": "chat", "n": n})
}

/// What the gateway has, in order.
fn numbers(gateway: &Gateway) -> Vec<u64> {
    let number = |text: &str| {
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        message["n"].as_u64().unwrap()
    };
    gateway.received().iter().map(|received| number(&received.text)).collect()
}

#[test]
fn what_was_sent_is_confirmed() {
    let (gateway, mut client) = start(|config| config.delivery = Delivery::AtMostOnce);
    for n in 0..3 {
        client.send(&chat(n)).unwrap();
    }
    client.shutdown(LONG);
    let refused = client.send(&chat(3));
    assert_eq!(refused, Err(SendError::ShuttingDown(Outgoing::new(&chat(3)).unwrap())));
    let events = events_to_the_end(&mut client);
    assert_eq!(names(&events), ["messages-acknowledged", "ws-disconnected", "shut-down"]);
    let all = Event::Acknowledged { from: MessageId(1), to: MessageId(3) };
    assert_eq!(events[0], all);
    assert_eq!(disconnected(&events[1]), Some((1000, CloseReason::Requested)));
    assert_eq!(shut_down(&events[2]), Some((3, 0, 0)));
    assert_eq!(numbers(&gateway), [0, 1, 2]);
    assert_eq!(client.protocol().state(), State::Idle);
}

/// The gateway has them, but nothing proves it.
#[test]
fn what_is_not_answered_is_in_doubt() {
    for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
        let (gateway, mut client) = start(|config| config.delivery = delivery);
        gateway.inject(Target::Live, Fault::NoPong);
        for n in 0..3 {
            client.send(&chat(n)).unwrap();
        }
        let begin = Instant::now();
        client.shutdown(Duration::from_millis(200));
        let events = events_to_the_end(&mut client);
        assert!(begin.elapsed() >= Duration::from_millis(200), "{:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert_eq!(names(&events), ["messages-in-doubt", "ws-disconnected", "shut-down"]);
        let resend = delivery == Delivery::AtLeastOnce;
        let doubt = Event::InDoubt { from: MessageId(1), to: MessageId(3), resend };
        assert_eq!(events[0], doubt);
        assert_eq!(shut_down(&events[2]), Some((0, 3, 0)));
        gateway.wait_for(LONG, |counts| counts.messages == 3).unwrap();

        // What is to be sent again is, after the next `connect`.
        let kept = if resend { 3 } else { 0 };
        assert_eq!(client.protocol().outbox_len(), kept);
        client.connect();
        client.shutdown(LONG);
        assert_eq!(wait_for(&mut client, shut_down), (kept as u64, 0, 0));
        assert_eq!(gateway.snapshot().messages, 3 + kept as u64);
    }
}

#[test]
fn what_can_not_be_sent_stays() {
    let (gateway, mut client) = start(|_| {});
    gateway.pause();
    gateway.inject(Target::Live, Fault::Reset);
    wait_for(&mut client, disconnected);
    for n in 0..5 {
        client.send(&chat(n)).unwrap();
    }
    client.shutdown(Duration::from_millis(200));
    let events = events_to_the_end(&mut client);
    assert_eq!(events.iter().filter_map(shut_down).collect::<Vec<_>>(), [(0, 0, 5)]);
    assert_eq!(client.protocol().outbox_len(), 5);

    gateway.listen().unwrap();
    client.connect();
    client.shutdown(LONG);
    assert_eq!(wait_for(&mut client, shut_down), (5, 0, 0));
    assert_eq!(numbers(&gateway), [0, 1, 2, 3, 4]);
}

/// A hundred messages through a queue of eight and an outbox of two, and all of them count.
#[test]
fn what_senders_brought_goes_first() {
    let (gateway, mut client) = start_at_most_once(2);
    let sender = client.sender();
    let thread = thread::spawn(move || {
        for n in 0..100 {
            sender.send_wait(&chat(n)).unwrap();
        }
    });
    run_until(&mut client, |client| thread.is_finished() && client.queued() == 0);
    for n in 100..108 {
        client.sender().send(&chat(n)).unwrap();
    }
    assert_eq!(client.queued(), 8);
    client.shutdown(LONG);
    let (acknowledged, in_doubt, unsent) = wait_for(&mut client, shut_down);
    // The window may have had some acknowledged before.
    assert!((8..=108).contains(&acknowledged), "{acknowledged}");
    assert_eq!((in_doubt, unsent), (0, 0));
    assert_eq!(client.protocol().stats().acknowledged, 108);
    assert_eq!(client.poll(None).unwrap(), None);
    assert_eq!(client.queued(), 0);
    assert_eq!(numbers(&gateway), (0..108).collect::<Vec<_>>());
}

/// Senders are refused from the start, also one that waits; what does not fit into the outbox in
/// time stays where it is, in order.
#[test]
fn senders_are_refused_until_connect() {
    let (gateway, mut client) = start(|config| config.outbox_max_messages = 2);
    gateway.pause();
    gateway.inject(Target::Live, Fault::Reset);
    wait_for(&mut client, disconnected);
    for n in 0..2 {
        client.send(&chat(n)).unwrap();
    }
    let sender = client.sender();
    for n in 2..10 {
        sender.send(&chat(n)).unwrap();
    }
    let (about_to_wait, waits) = mpsc::channel();
    let waiting = thread::spawn({
        let sender = sender.clone();
        move || {
            about_to_wait.send(()).unwrap();
            sender.send_wait(&chat(99))
        }
    });
    waits.recv_timeout(LONG).unwrap();
    client.shutdown(Duration::from_millis(200));
    let refused = Err(EnqueueError::ShuttingDown(Outgoing::new(&chat(99)).unwrap()));
    assert_eq!(sender.send(&chat(99)), refused);
    assert_eq!(waiting.join().unwrap(), refused);
    assert!(matches!(client.send(&chat(99)), Err(SendError::ShuttingDown(_))));
    let why = client.why();
    for part in ["shutting down within 0.2 s", "8 messages waiting in front of it"] {
        assert!(why.contains(part), "{why}");
    }
    assert!(!why.contains("from senders"), "told twice: {why}");

    let events = events_to_the_end(&mut client);
    assert_eq!(events.iter().filter_map(shut_down).collect::<Vec<_>>(), [(0, 0, 10)]);
    assert_eq!(events.last().map(Event::name), Some("shut-down"));
    assert_eq!((client.protocol().outbox_len(), client.queued()), (2, 8));
    // Also where there is room for them: the report has been made.
    client.clear_outbox();
    let dropped = events_to_the_end(&mut client);
    assert_eq!(names(&dropped), ["message-dropped", "message-dropped"]);
    assert_eq!((client.protocol().outbox_len(), client.queued()), (0, 8));
    assert_eq!(sender.send(&chat(99)), refused);

    gateway.listen().unwrap();
    client.connect();
    sender.send(&chat(10)).unwrap_err().into_message().expect("the queue is full, and open");
    run_until(&mut client, |client| client.queued() == 0);
    sender.send(&chat(10)).unwrap();
    client.shutdown(LONG);
    assert_eq!(wait_for(&mut client, shut_down).1, 0);
    assert_eq!(numbers(&gateway), (2..=10).collect::<Vec<_>>());
}

/// A goodbye is said also if a sender's message waits in front of the outbox.
#[test]
fn disconnect_says_goodbye_though_senders_wait() {
    use tungstenite::Message;

    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let mut code = None;
        while let Ok(message) = socket.read() {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| u16::from(frame.code));
            }
        }
        code
    });
    let mut client = client(config(peer.url()));
    client.connect();
    wait_for(&mut client, connected);
    client.sender().send(&chat(0)).unwrap();
    client.shutdown(LONG);
    assert_eq!(client.queued(), 1);
    client.disconnect();
    let events = events_to_the_end(&mut client);
    assert_eq!(names(&events), ["ws-disconnected", "shut-down"]);
    assert_eq!(disconnected(&events[0]), Some((1000, CloseReason::Requested)));
    assert_eq!(shut_down(&events[1]), Some((0, 0, 1)));
    assert_eq!(peer.join(), Some(1000));
}

/// A connection that is lost while senders' messages are waited for counts, too.
#[test]
fn a_loss_before_the_end_counts() {
    let (go, may_break) = mpsc::channel();
    let peer = Peer::start(move |listener| {
        let mut socket = accept(&listener);
        read_text(&mut socket);
        // Reads no more, until it goes for good.
        may_break.recv_timeout(LONG).unwrap();
    });
    let config = Config {
        outbox_max_messages: 2,
        outbox_max_bytes: 64 << 20,
        max_attempts: None,
        ..at_most_once(peer.url())
    };
    let mut client = client(config);
    client.connect();
    wait_for(&mut client, connected);
    client.send(&chat(0)).unwrap();
    assert_eq!(client.protocol().stats().written, 1);
    // More than any socket holds.
    client.send(&"x".repeat(15 << 20)).unwrap();
    client.send(&chat(1)).unwrap();
    client.sender().send(&chat(2)).unwrap();
    client.shutdown(Duration::from_millis(300));
    go.send(()).unwrap();
    peer.join();
    let events = events_to_the_end(&mut client);
    assert_eq!(events.iter().filter_map(shut_down).collect::<Vec<_>>(), [(0, 1, 3)]);
    assert_eq!(client.queued(), 1);
}

#[test]
fn connect_takes_it_back() {
    // While senders' messages are waited for, and after.
    for queued in [true, false] {
        let (gateway, mut client) = start_at_most_once(1);
        gateway.inject(Target::Live, Fault::NoPong);
        client.send(&chat(0)).unwrap();
        let sender = client.sender();
        if queued {
            sender.send(&chat(1)).unwrap();
        }
        client.shutdown(LONG);
        assert!(sender.send(&chat(2)).is_err());
        client.connect();
        sender.send(&chat(2)).unwrap();
        let all = 2 + u64::from(queued);
        run_until(&mut client, |client| {
            assert!(matches!(client.protocol().state(), State::Open { .. }), "{client:?}");
            client.protocol().stats().written == all
        });
        gateway.wait_for(LONG, |counts| counts.messages == all).unwrap();
        client.disconnect();
        let events = events_to_the_end(&mut client);
        assert_eq!(events.iter().filter_map(shut_down).count(), 0, "{events:?}");
    }
}

#[test]
fn disconnect_cuts_it_short() {
    for queued in [true, false] {
        let (gateway, mut client) = start_at_most_once(1);
        gateway.inject(Target::Live, Fault::NoPong);
        client.send(&chat(0)).unwrap();
        if queued {
            client.sender().send(&chat(1)).unwrap();
            client.sender().send(&chat(2)).unwrap();
        }
        client.shutdown(LONG);
        let begin = Instant::now();
        client.disconnect();
        let events = events_to_the_end(&mut client);
        assert!(begin.elapsed() < LONG / 2);
        let reports: Vec<_> = events.iter().filter_map(shut_down).collect();
        let unsent = if queued { 2 } else { 0 };
        assert_eq!(reports, [(0, 1, unsent)], "{events:?}");
        assert_eq!(events.last().map(Event::name), Some("shut-down"));
        // The outbox has taken one, perhaps.
        assert_eq!((client.protocol().outbox_len() + client.queued()) as u64, unsent);
    }
}

#[test]
fn a_client_at_rest_reports_at_once() {
    let mut client = client(config("ws://127.0.0.1:1/"));
    client.send(&chat(0)).unwrap();
    client.sender().send(&chat(1)).unwrap();
    client.shutdown(LONG);
    let events = events_to_the_end(&mut client);
    assert_eq!(events.iter().map(shut_down).collect::<Vec<_>>(), [Some((0, 0, 2))]);
    assert_eq!(client.queued(), 1);
}

#[test]
fn giving_up_ends_it() {
    let (gateway, mut client) = start(|config| {
        config.outbox_max_messages = 1;
        config.max_attempts = Some(2);
    });
    gateway.pause();
    gateway.inject(Target::Live, Fault::Reset);
    wait_for(&mut client, disconnected);
    client.send(&chat(0)).unwrap();
    client.sender().send(&chat(1)).unwrap();
    client.shutdown(LONG);
    let mut events = events_to_the_end(&mut client);
    assert_eq!(events.pop().as_ref().and_then(shut_down), Some((0, 0, 2)));
    assert_eq!(events.pop(), Some(Event::Failed { attempts: 2, why: FailReason::Attempts }));
    assert_eq!(client.queued(), 1);
}

/// A second call has the new time, and there is one report.
#[test]
fn again_is_sooner() {
    let (gateway, mut client) = start(|_| {});
    gateway.inject(Target::Live, Fault::NoPong);
    client.send(&chat(0)).unwrap();
    client.shutdown(LONG * 10);
    assert_eq!(client.poll(Some(Duration::from_millis(20))).unwrap(), None);
    client.shutdown(Duration::from_millis(20));
    let events = events_to_the_end(&mut client);
    assert_eq!(events.iter().filter_map(shut_down).collect::<Vec<_>>(), [(0, 1, 0)]);
}
