//! Liveness: a link on which anything moves is kept, and one on which nothing moves is found dead.

use std::time::Duration;

use hermes_proto::testkit::{Fault, NodeId, PongMode, Sim};
use hermes_proto::{CloseReason, Config, Delivery, Event, Outgoing, Timestamp};
use hermes_tests::URL;

const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;

/// One endpoint at default settings, with room for large messages.
struct Pair {
    sim: Sim,
    node: NodeId,
}

impl Pair {
    fn new(delivery: Delivery, heartbeat: Option<(Duration, Duration)>) -> Self {
        let mut config = Config {
            delivery,
            outbox_max_messages: 1 << 20,
            outbox_max_bytes: 64 << 20,
            ..Config::new(URL)
        };
        if let Some((interval, timeout)) = heartbeat {
            (config.heartbeat_interval, config.heartbeat_timeout) = (Some(interval), timeout);
        }
        let mut sim = Sim::new(1);
        let node = sim.add(config).expect("the settings are valid");
        sim.connect(node);
        sim.run_for(SECOND);
        Pair { sim, node }
    }

    /// The gateway reads so many bytes per second, and each system holds up to 2 MiB.
    fn with_slow_reader(mut self, rate: u64) -> Self {
        let conditions = self.sim.conditions(self.node);
        (conditions.send_buffer, conditions.receive_buffer) = (2 * MIB, 2 * MIB);
        self.sim.gateway().behaviour.read_rate = Some(rate);
        self
    }

    fn with_pongs(mut self, mode: PongMode) -> Self {
        self.sim.gateway().behaviour.pongs = mode;
        self
    }

    fn send(&mut self, count: usize, size: usize) {
        for number in 0..count {
            let pad = "x".repeat(size.saturating_sub(40));
            let text = format!(r#"{{"type":"note","n":"{number:08}","pad":"{pad}"}}"#);
            let message = Outgoing::from_json(text).expect("it is JSON");
            self.sim.send_message(self.node, message).expect("the outbox has room");
        }
    }

    /// Lets this much time pass, with a chat of the gateway every 5 s.
    fn run_with_chats(&mut self, duration: Duration) {
        let end = self.sim.now() + duration;
        while self.sim.now() < end {
            self.sim.gateway().broadcast(r#"{"type":"chat","text":"hi","sender":"gateway"}"#);
            self.sim.run_for(5 * SECOND);
        }
    }

    fn disconnects(&self) -> Vec<(Timestamp, CloseReason)> {
        let reason = |(at, event): &(Timestamp, Event)| match event {
            Event::Disconnected { reason, .. } => Some((*at, reason.clone())),
            _ => None,
        };
        self.sim.events(self.node).iter().filter_map(reason).collect()
    }

    /// Warnings about Pongs.
    fn warnings(&self) -> usize {
        let about_pongs = |event: &Event| matches!(event, Event::Warning { text } if text.contains("Ping") || text.contains("Pong"));
        self.sim.events(self.node).iter().filter(|(_, event)| about_pongs(event)).count()
    }

    /// One connection for all, and each message once.
    #[track_caller]
    fn delivered_once(&mut self, count: usize) {
        assert_eq!(self.disconnects(), [], "nothing was wrong with the link");
        assert_eq!(self.sim.gateway().received().len(), count);
        assert_eq!(self.sim.endpoint(self.node).client().outbox_len(), 0);
    }
}

const GRADES: [Delivery; 2] = [Delivery::AtMostOnce, Delivery::AtLeastOnce];

#[test]
fn one_large_message_to_a_slow_reader_at_default_settings() {
    for delivery in GRADES {
        for (size, rate) in [(8 * MIB, MIB as u64), (12_000_000, 250_000)] {
            let mut pair = Pair::new(delivery, None).with_slow_reader(rate);
            pair.send(1, size);
            pair.sim.run_for(120 * SECOND);
            pair.delivered_once(1);
        }
    }
}

#[test]
fn one_large_message_to_a_slow_reader_with_short_heartbeats() {
    for delivery in GRADES {
        for size in [MIB, 3 * MIB, 8 * MIB] {
            for rate in [250_000, 1 << 20] {
                let mut pair =
                    Pair::new(delivery, Some((SECOND, 2 * SECOND))).with_slow_reader(rate);
                pair.send(1, size);
                pair.sim.run_for(60 * SECOND);
                pair.delivered_once(1);
            }
        }
    }
}

#[test]
fn many_messages_to_a_slow_reader_with_short_heartbeats() {
    for delivery in GRADES {
        for rate in [250_000, 512 << 10, 1 << 20] {
            let mut pair = Pair::new(delivery, Some((SECOND, 2 * SECOND))).with_slow_reader(rate);
            pair.send(4_000, 1_000);
            pair.sim.run_for(60 * SECOND);
            pair.delivered_once(4_000);
        }
    }
}

/// A peer that blocks for 15 s after a message, as in a garbage collection.
#[test]
fn a_peer_that_pauses_after_a_message_is_not_dead() {
    for delivery in GRADES {
        let mut pair = Pair::new(delivery, None);
        pair.sim.gateway().behaviour.processing = 15 * SECOND;
        pair.send(2, 100);
        pair.sim.run_for(120 * SECOND);
        pair.delivered_once(2);
    }
}

/// Pongs with a wrong payload prove no Ping, and yet the peer lives.
#[test]
fn wrong_pongs_keep_a_quiet_link() {
    for delivery in GRADES {
        for mode in [PongMode::Empty, PongMode::Foreign] {
            let mut pair = Pair::new(delivery, None).with_pongs(mode);
            pair.sim.run_for(600 * SECOND);
            assert_eq!(pair.disconnects(), [], "{mode:?}");
        }
    }
}

#[test]
fn late_and_missing_pongs_keep_a_link_that_brings_bytes() {
    for delivery in GRADES {
        for mode in [PongMode::Late(20 * SECOND), PongMode::Never] {
            let mut pair = Pair::new(delivery, None).with_pongs(mode);
            pair.run_with_chats(600 * SECOND);
            assert_eq!(pair.disconnects(), [], "{mode:?}");
        }
    }
}

/// Deliveries can't be proven, and yet they go on; one warning says so.
#[test]
fn deliveries_go_on_without_proper_pongs() {
    for mode in [PongMode::Empty, PongMode::Foreign, PongMode::Never] {
        let mut pair = Pair::new(Delivery::AtLeastOnce, None).with_pongs(mode);
        for _ in 0..10 {
            pair.send(1_000, 100);
            pair.run_with_chats(60 * SECOND);
        }
        assert_eq!(pair.disconnects(), [], "{mode:?}");
        assert_eq!(pair.sim.gateway().received().len(), 10_000, "{mode:?}");
        assert_eq!(pair.warnings(), 1, "{mode:?}");
    }
}

/// A dead peer is found within interval and timeout, and the time that the bytes in front of the
/// Ping may take.
#[test]
fn a_dead_link_is_found_also_behind_a_full_buffer() {
    for delivery in GRADES {
        for backlog in [0, 100, 20_000] {
            let mut pair = Pair::new(delivery, None);
            pair.sim.inject(pair.node, Fault::HalfOpen);
            let died = pair.sim.now();
            pair.send(backlog, 1_000);
            pair.sim.run_for(120 * SECOND);
            let found = pair.disconnects().first().map(|(at, _)| *at - died);
            let most = (25 + 10 + 2) * SECOND;
            assert!(found.is_some_and(|found| found <= most), "{backlog}: {found:?}");
        }
    }
}

/// Messages that wait for proof are no reason to call a link dead much sooner than an idle one, or
/// later.
#[test]
fn a_silent_link_with_messages_in_flight_is_found_like_an_idle_one() {
    let mut pair = Pair::new(Delivery::AtLeastOnce, None);
    pair.sim.inject(pair.node, Fault::HalfOpen);
    let died = pair.sim.now();
    pair.send(1, 100);
    pair.sim.run_for(120 * SECOND);
    let found = pair.disconnects().first().map(|(at, _)| *at - died);
    assert!(found.is_some_and(|found| found > 15 * SECOND && found <= 36 * SECOND), "{found:?}");
}

/// Bytes arrive, and none ever leaves.
#[test]
fn a_link_in_one_direction_is_found_dead() {
    for delivery in GRADES {
        let mut pair = Pair::new(delivery, None);
        pair.sim.inject(pair.node, Fault::Mute);
        pair.send(1_000, 1_000);
        pair.run_with_chats(300 * SECOND);
        assert!(!pair.disconnects().is_empty(), "{delivery:?}: it is kept for ever");
    }
}
