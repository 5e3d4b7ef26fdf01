//! The stages of messages' lives, as events and in the counters: each exactly once for every
//! message, cumulative.

use std::time::Duration;

use hermes_proto::{Action, Config, Delivery, DropReason, Frame, OverflowPolicy, Receipts, State};
use hermes_tests::Rng;
use hermes_tests::model::{Message, MessageAudit};
use hermes_tests::*;

fn receipts(receipts: Receipts) -> Config {
    Config { receipts, ..quiet() }
}

#[test]
fn by_default_only_drops_and_doubts_are_told() {
    assert_eq!(Config::default().receipts, Receipts::None);
    let mut host = Host::connected(Config { outbox_max_messages: 1, ..quiet() });
    host.at(10).send("1").expect([send(1, 1, "1")]);
    host.at(11).flushed(1, 1).expect([]);
    host.at(12).send("2").expect([send(1, 2, "2")]);
    let ended = disconnected(1, 1006, lost(), 1_013);
    host.at(13).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_013)]);
    host.at(14).clear_outbox().expect([given_up(2, "2", DropReason::Cleared)]);
    // It is counted all the same.
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.written), (2, 1));
    assert_eq!((stats.in_doubt, stats.acknowledged, stats.dropped.cleared), (1, 0, 1));
}

/// Their cost is an event, and no Ping.
#[test]
fn receipts_of_writing() {
    let mut host = Host::connected(receipts(Receipts::Written));
    host.at(10).send("1").expect([send(1, 1, "1")]);
    host.at(11).flushed(1, 1).expect([written(1, 1)]);
    for (seq, text) in (2..).zip(["2", "3", "4"]) {
        host.at(12).send(text).expect([send(1, seq, text)]);
    }
    host.at(13).flushed(1, 3).expect([written(2, 3)]);
    // No news twice.
    host.at(14).flushed(1, 3).expect([]);
    host.at(14).flushed(1, 2).expect([]);
    host.at(15).flushed(1, 9).expect([written(4, 4)]);
    // Without a fence all of them are in doubt.
    let ended = disconnected(1, 1006, lost(), 1_016);
    host.at(16).closed(1, lost()).expect([in_doubt(1, 4, false), ended, arm(1_016)]);
    assert_eq!((host.client().stats().written, host.client().stats().in_doubt), (4, 4));
}

#[test]
fn a_range_begins_behind_the_one_before_and_covers_what_was_dropped() {
    let config = Config {
        outbox_max_messages: 2,
        overflow: OverflowPolicy::DropOldest,
        receipts: Receipts::Acknowledged,
        ..quiet()
    };
    let mut host = Host::new(config);
    host.at(0).send("1").expect([]);
    host.at(0).send("2").expect([]);
    host.at(0).send("3").expect([dropped(1, "1")]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let sends = [send(1, 1, "2"), send(1, 2, "3"), ping(1, 3), connected(1), disarm()];
    host.at(1).opened(1).expect(sends);
    host.at(2).flushed(1, 1).expect([written(1, 2)]);
    host.at(3).flushed(1, 3).expect([written(3, 3)]);
    host.at(4).pong(1, 3).expect([acknowledged(1, 3)]);
    assert_eq!(host.client().stats().acknowledged, 2, "two messages, three names");
}

/// What is settled is settled: a later proof is not theirs.
#[test]
fn what_is_in_doubt_for_good_is_not_received_later() {
    let mut host = Host::connected(receipts(Receipts::Acknowledged));
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1)]);
    host.at(12).send("2").expect([send(1, 3, "2")]);
    let gone = [in_doubt(1, 1, false), disconnected(1, 1006, lost(), 1_013), arm(1_013)];
    host.at(13).closed(1, lost()).expect(gone);
    host.at(1_013).timer().expect([open(2), arm(16_013)]);
    host.at(1_014).opened(2).expect([send(2, 1, "2"), ping(2, 2), connected(2), disarm()]);
    host.at(1_015).flushed(2, 2).expect([written(2, 2)]);
    host.at(1_016).pong(2, 2).expect([acknowledged(2, 2)]);
    host.at(1_017).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_017), arm(3_017)]);
}

/// The first time is the news.
#[test]
fn what_is_written_again_is_not_told_again() {
    for receipts in [Receipts::Written, Receipts::Acknowledged] {
        let told = |action| (receipts == Receipts::Acknowledged).then_some(action);
        let config = Config { receipts, delivery: Delivery::AtLeastOnce, ..quiet() };
        let mut host = Host::connected(config);
        host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(11).send("2").expect([send(1, 3, "2")]);
        host.at(12).flushed(1, 1).expect([written(1, 1)]);
        let gone = [in_doubt(1, 1, true), disconnected(1, 1006, lost(), 1_013), arm(1_013)];
        host.at(13).closed(1, lost()).expect(gone);
        host.at(1_013).timer().expect([open(2), arm(16_013)]);
        let sends = [send(2, 1, "1"), send(2, 2, "2"), ping(2, 3), connected(2), disarm()];
        host.at(1_014).opened(2).expect(sends);
        host.at(1_015).flushed(2, 1).expect([]);
        host.at(1_016).flushed(2, 2).expect([written(2, 2)]);
        host.at(1_017).pong(2, 3).expect(told(acknowledged(1, 2)));
        let stats = host.client().stats();
        assert_eq!((stats.written, stats.rewritten, stats.acknowledged), (2, 1, 2));
    }
}

/// At-least-once makes fences without being asked for receipts, and speaks of doubt alone.
#[test]
fn fences_without_receipts() {
    let mut host = Host::connected(Config { delivery: Delivery::AtLeastOnce, ..quiet() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([]);
    host.at(12).pong(1, 2).expect([]);
    host.at(13).send("2").expect([send(1, 3, "2"), ping(1, 4)]);
    host.at(14).flushed(1, 4).expect([]);
    let gone = [in_doubt(2, 2, true), disconnected(1, 1006, lost(), 1_015), arm(1_015)];
    host.at(15).closed(1, lost()).expect(gone);
}

#[test]
fn what_is_written_during_the_closing_handshake_is_told() {
    let mut host = Host::connected(receipts(Receipts::Acknowledged));
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).closing(1, peer(1001)).expect([arm(5_011)]);
    host.at(12).flushed(1, 1).expect([written(1, 1)]);
    host.at(13).closed(1, lost()).expect([
        in_doubt(1, 1, false),
        disconnected(1, 1001, peer(1001), 1_013),
        arm(1_013),
    ]);
}

#[test]
fn all_stages_in_the_stats() {
    let config = Config { unflushed_max_bytes: 3, ..receipts(Receipts::Acknowledged) };
    let mut host = Host::connected(config);
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(10).send("22").expect([send(1, 3, "22")]);
    host.at(10).send("333").expect([]);
    host.at(11).flushed(1, 2).expect([written(1, 1)]);
    let stats = host.client().stats();
    assert_eq!(
        (stats.accepted, stats.written, stats.unacknowledged, stats.acknowledged),
        (3, 1, 1, 0)
    );
    assert_eq!((stats.outbox_messages, stats.outbox_bytes, stats.bytes_sent), (2, 5, 3));
    host.at(12).pong(1, 2).expect([acknowledged(1, 1), ping(1, 4)]);
    host.at(13).flushed(1, 3).expect([written(2, 2), send(1, 5, "333")]);
    let stats = host.client().stats();
    assert_eq!(
        (stats.accepted, stats.written, stats.unacknowledged, stats.acknowledged),
        (3, 2, 1, 1)
    );
    assert_eq!((stats.outbox_messages, stats.outbox_bytes, stats.bytes_sent), (1, 3, 6));
    // The gauges are of the live connection, and of now.
    let gone = [in_doubt(2, 2, false), disconnected(1, 1006, lost(), 1_014), arm(1_014)];
    host.at(14).closed(1, lost()).expect(gone);
    let stats = host.client().stats();
    assert_eq!(
        (stats.accepted, stats.written, stats.unacknowledged, stats.acknowledged),
        (3, 2, 0, 1)
    );
    assert_eq!((stats.in_doubt, stats.outbox_messages, stats.bytes_sent), (1, 1, 6));
}

/// A client on a link that chance disturbs, and a gateway that notes what it reads.
struct Run {
    host: Host,
    rng: Rng,
    audit: MessageAudit,
    now: u64,
    /// The newest connection, the frames sent on it, and how many of them the gateway has read.
    conn: u64,
    frames: Vec<Frame>,
    read: usize,
}

impl Run {
    fn new(delivery: Delivery, seed: u64) -> Self {
        let config = Config {
            delivery,
            receipts: Receipts::Acknowledged,
            unflushed_max_bytes: 8,
            outbox_max_messages: 6,
            overflow: OverflowPolicy::DropOldest,
            max_attempts: None,
            stable_after: Duration::ZERO,
            ..quiet()
        };
        Run {
            host: Host::new(config),
            rng: Rng::new(seed),
            audit: MessageAudit::new(delivery),
            now: 0,
            conn: 0,
            frames: Vec::new(),
            read: 0,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.host.state(), State::Open { .. })
    }

    fn is_up(&self) -> bool {
        self.is_open() || matches!(self.host.state(), State::Closing { .. })
    }

    fn step(&mut self) {
        self.now += self.rng.below(40) as u64;
        self.host.at(self.now);
        match self.rng.below(10) {
            0..=2 if self.is_up() && self.read < self.frames.len() => {
                let frame = self.frames[self.read].clone();
                self.read += 1;
                match frame {
                    Frame::Text(text) => {
                        let id = text.parse().expect("a number");
                        self.audit.arrived(id).unwrap_or_else(|broken| panic!("{broken}"));
                    }
                    Frame::Ping(data) => {
                        self.host.frame(self.conn, Frame::Pong(data));
                        self.note();
                    }
                    other => panic!("{other:?}"),
                }
                // What was read has left, and perhaps more. The host says so before anything
                // else happens, but after the Pong.
                let flushed = self.read + self.rng.below(3);
                self.host.flushed(self.conn, flushed as u64);
            }
            3 => _ = self.host.timer(),
            4 => _ = self.host.connect(),
            5 | 6 if !self.is_up() => _ = self.host.opened(self.conn),
            5 if self.rng.chance(50) => _ = self.host.closed(self.conn, lost()),
            7 if self.is_open() && self.rng.chance(20) => _ = self.host.disconnect(),
            8 | 9 => {
                let mut message = json(self.audit.next_id().to_string());
                if self.rng.chance(20) {
                    message = message.with_ttl(Duration::from_millis(50));
                }
                if self.rng.chance(20) {
                    message = message.volatile();
                }
                if self.host.try_send_message(message).is_ok() {
                    self.audit.accepted();
                }
            }
            _ => {}
        }
        self.note();
    }

    /// The end of the connection, if there is one.
    fn end(&mut self) {
        if self.is_up() {
            self.host.closed(self.conn, lost());
            self.note();
        }
    }

    fn note(&mut self) {
        for action in self.host.take() {
            match action {
                Action::Open { conn, .. } => {
                    (self.conn, self.read) = (conn.0, 0);
                    self.frames.clear();
                    self.audit.connection_ended();
                }
                Action::Send { payload, .. } => self.frames.push(payload),
                Action::Emit(event) => {
                    self.audit.event(&event).unwrap_or_else(|lie| panic!("{lie}"));
                }
                _ => {}
            }
        }
    }
}

/// Anything goes, and in the end every message has one fate, by the events and in the counters,
/// and the gateway has seen what the events say.
#[test]
fn every_message_has_one_fate() {
    for (delivery, seed) in
        (0..100).flat_map(|seed| [(Delivery::AtMostOnce, seed), (Delivery::AtLeastOnce, seed)])
    {
        let mut run = Run::new(delivery, seed);
        (0..500).for_each(|_| run.step());
        run.end();
        let Run { host, audit, .. } = run;
        audit.fates(host.client()).unwrap_or_else(|broken| panic!("{delivery:?}: {broken}"));
        let stats = host.client().stats();
        assert_eq!(stats.unacknowledged, 0);
        assert!(stats.accepted > 20 && stats.acknowledged > 0 && stats.in_doubt > 0, "{stats:?}");
        if delivery == Delivery::AtMostOnce {
            // Whatever the gateway saw is named.
            let unnamed = |message: &&Message| {
                message.arrivals > 0 && !message.acknowledged && !message.in_doubt
            };
            let unnamed = audit.messages().iter().find(unnamed);
            assert!(unnamed.is_none(), "{unnamed:?}");
        }
        drop(host);
    }
}
