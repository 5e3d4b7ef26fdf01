//! Messages come and go, and no memory is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use hermes_proto::{
    Action, Actions, Config, Endpoint, Event, Input, Outgoing, OverflowPolicy, Timestamp, Transmit,
};
use hermes_tests::ws::bits::{FIN, PING, PONG};
use hermes_tests::ws::*;
use hermes_tests::{Rng, config, start};

use crate::{ASKED, LIVE, measure};

/// Messages of every type, mostly short, without escapes.
fn messages() -> Vec<u8> {
    let mut rng = Rng::new(1);
    (0..1_000).fold(Vec::new(), |bytes, n| {
        let words = "wörter ".repeat(1 + rng.below(if n % 50 == 0 { 1_000 } else { 30 }));
        let json = match n % 7 {
            0 => format!(r#"{{"type":"status-update","status":"{words}","agent":"a"}}"#),
            1 => format!(r#"{{"type":"pr-notification","action":"opened","pr":{{"n":{n}}}}}"#),
            2 => format!(r#"{{"id":"player-{n}","name":null,"type":"player-joined"}}"#),
            3 => format!(r#"{{"type":"position","at":[{n},-1.5e3,true]}}"#),
            _ => format!(r#"{{"type":"chat","text":"{words}","sender":"ada"}}"#),
        };
        [bytes, text(json)].concat()
    })
}

/// Receives it all, and looks into it.
fn listen(
    harness: &mut Harness,
    bytes: &[u8],
    size: usize,
    actions: &mut Actions<Transmit>,
) -> usize {
    let conn = harness.endpoint.client().conn().expect("there is a live connection");
    let (mut count, mut length) = (0, 0);
    for payload in bytes.chunks(size) {
        harness.endpoint.handle(harness.now, Input::Received { conn, payload }, actions);
        for action in actions.drain(..) {
            count += 1;
            length += match action {
                Action::Emit(Event::Chat(chat)) => {
                    chat.text().map_or(0, |text| text.len())
                        + chat.sender().map_or(0, |text| text.len())
                }
                Action::Emit(Event::StatusUpdate(update)) => {
                    update.status().map_or(0, |text| text.len())
                }
                Action::Emit(Event::PlayerJoined(player)) => {
                    player.id().map_or(0, |text| text.len())
                }
                Action::Emit(Event::PrNotification(pr)) => pr.pr().map_or(0, |text| text.len()),
                Action::Emit(Event::Unhandled(other)) => other.kind().map_or(0, |text| text.len()),
                other => panic!("{other:?}"),
            };
        }
    }
    assert!(length > 10 * count);
    count
}

/// Sends it a hundred times; the system takes ten at once, and the gateway answers the Pings.
/// Returns the number of Pongs.
fn talk(
    harness: &mut Harness,
    message: &impl serde::Serialize,
    actions: &mut Actions<Transmit>,
) -> usize {
    let mut pongs = 0;
    let conn = harness.endpoint.client().conn().expect("there is a live connection");
    for n in 0..100 {
        harness.endpoint.send(harness.now, message, actions).expect("there is room");
        if n % 10 == 9 {
            let pong = last_ping(harness.endpoint.transmit());
            harness.endpoint.transmitted(harness.now, usize::MAX, actions);
            if let Some(payload) = pong.as_ref().map(|pong| &pong[..]) {
                harness.endpoint.handle(harness.now, Input::Received { conn, payload }, actions);
                pongs += 1;
            }
            actions.clear();
        }
    }
    pongs
}

/// The Pong for the last Ping among these frames, all of fewer than 126 bytes. No memory is asked
/// for.
fn last_ping(mut bytes: &[u8]) -> Option<[u8; 18]> {
    let mut answer = None;
    while let [first, second, rest @ ..] = bytes {
        let (key, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(usize::from(second & 0x7F));
        if *first == FIN | PING {
            let mut pong = [FIN | PONG, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let masked = payload.iter().zip(key.iter().cycle());
            pong[2..].iter_mut().zip(masked).for_each(|(to, (byte, key))| *to = byte ^ key);
            answer = Some(pong);
        }
        bytes = rest;
    }
    answer
}

#[test]
fn receiving_allocates_nothing() {
    let bytes = messages();
    for size in [700, 1_400, 16 << 10, 64 << 10] {
        let mut harness = Harness::connected(config());
        let mut actions = Actions::new();
        listen(&mut harness, &bytes, size, &mut actions);
        let before = ASKED.get();
        for _ in 0..10 {
            assert_eq!(listen(&mut harness, &bytes, size, &mut actions), 1_000);
        }
        assert_eq!(ASKED.get() - before, 0, "10,000 messages in reads of {size}");
    }
}

/// 64 KiB of text each.
#[test]
fn receiving_long_messages_allocates_nothing() {
    let words = "wörter! ".repeat(64 << 7);
    let bytes = text(format!(r#"{{"type":"chat","text":"{words}","sender":"ada"}}"#)).repeat(10);
    for size in [700, 1_400, 16 << 10, 64 << 10] {
        let mut harness = Harness::connected(config());
        let mut actions = Actions::new();
        listen(&mut harness, &bytes, size, &mut actions);
        let before = ASKED.get();
        for _ in 0..10 {
            assert_eq!(listen(&mut harness, &bytes, size, &mut actions), 10);
        }
        assert_eq!(ASKED.get() - before, 0, "100 messages in reads of {size}");
    }
}

#[test]
fn sending_allocates_nothing() {
    let mut harness = Harness::connected(config());
    let message = BTreeMap::from([("type", "chat"), ("text", "hello \n\u{e9}")]);
    let mut actions = Actions::new();
    for _ in 0..10 {
        talk(&mut harness, &message, &mut actions);
    }
    let before = ASKED.get();
    // A received control frame has a payload of its own.
    let pongs: usize = (0..100).map(|_| talk(&mut harness, &message, &mut actions)).sum();
    assert_eq!(ASKED.get() - before, pongs, "10,000 messages, and an allocation for each Pong");

    // The gateway says nothing, and was asked whether it is there.
    harness.now = harness.endpoint.deadline().expect("a heartbeat");
    harness.endpoint.handle(harness.now, Input::TimerFired, &mut actions);
    talk(&mut harness, &message, &mut actions);
    let before = ASKED.get();
    let pongs: usize = (0..100).map(|_| talk(&mut harness, &message, &mut actions)).sum();
    assert_eq!(ASKED.get() - before, pongs, "10,000 messages after a heartbeat");
}

/// One message has not left, and all others are refused, or dropped in time: short ones, and some
/// that no outbox can take.
#[test]
fn what_is_not_sent_leaves_no_memory() {
    for overflow in [OverflowPolicy::Refuse, OverflowPolicy::DropOldest, OverflowPolicy::DropNewest]
    {
        let (outbox_max_messages, outbox_max_bytes) = (10, 1 << 20);
        let config = Config {
            overflow,
            outbox_max_messages,
            outbox_max_bytes,
            unflushed_max_bytes: 1,
            ..config()
        };
        let mut harness = Harness::connected(config);
        let mut actions = Actions::new();
        let messages = ["hello".repeat(20), "hello".repeat(300_000), "hello".repeat(10_000)];
        let mut round = || {
            for n in 0..2_000 {
                let message = &messages[usize::from(n % 100 == 0) + usize::from(n % 200 == 0)];
                let _ = harness.endpoint.send(harness.now, message, &mut actions);
                actions.clear();
            }
            LIVE.get()
        };
        let live = round();
        for n in 0..10 {
            let now = round();
            assert!(now < live + (16 << 10), "{overflow:?}: {now} after {live}, in round {n}");
        }
    }
}

/// What is kept for long between much that is not takes no more than its part of the bound, whoever
/// does what is due: the host's timer, or the next message.
#[test]
fn what_waits_for_long_keeps_nothing_else() {
    for has_timer in [true, false] {
        let config = Config { outbox_max_messages: 2_000, ..config() };
        let mut endpoint = Endpoint::new(config, start()).expect("the settings are fine");
        let (mut now, mut actions) = (Timestamp::ZERO, Actions::new());
        let ((), peak, left) = measure(|| {
            for _ in 0..1_000 {
                let mut say = |text: &str, ttl: Option<Duration>| {
                    let message = Outgoing::text(text);
                    let message = ttl.into_iter().fold(message, Outgoing::with_ttl);
                    endpoint.send_message(now, message, &mut actions).expect("there is room");
                    actions.clear();
                };
                say(&"for good".repeat(10), None);
                (0..100).for_each(|_| say(&"for now".repeat(15), Some(Duration::from_secs(1))));
                now = now + Duration::from_secs(2);
                if has_timer {
                    endpoint.handle(now, Input::TimerFired, &mut actions);
                    actions.clear();
                }
            }
        });
        let client = endpoint.client();
        assert!(client.outbox_bytes() < 90_000 + 100 * 105, "{}", client.outbox_bytes());
        // Three times what is in it, what is known of each message, and pages that are in use.
        let bound = 3 * 90_000 + 2_000 * 128 + (128 << 10);
        assert!(left < bound && peak < 2 * bound, "{left}, and {peak} meanwhile");
    }
}

/// `HERMES_MESSAGES` asks for more of them, as CONTRIBUTING.md says.
#[test]
fn memory_is_flat_however_many_messages_there_were() {
    let count = std::env::var("HERMES_MESSAGES").map_or(100_000, |n| n.parse().expect("a number"));
    let bytes = messages();
    let mut harness = Harness::connected(config());
    let mut actions = Actions::new();
    let round = |harness: &mut Harness, actions: &mut Actions<Transmit>| {
        listen(harness, &bytes, 16 << 10, actions);
        (0..10).for_each(|_| _ = talk(harness, &["hello"; 10], actions));
        LIVE.get()
    };
    (0..10).for_each(|_| _ = round(&mut harness, &mut actions));
    let live = round(&mut harness, &mut actions);
    for n in 0..count / 2_000 {
        assert_eq!(round(&mut harness, &mut actions), live, "after {n} times 2,000 messages");
    }
}
