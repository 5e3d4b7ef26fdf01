//! Delivery over links whose mean life is near the window: the share of messages that arrive twice,
//! and the time that a backlog takes.
//!
//! ```text
//! HERMES_DELIVERY=all cargo test -p hermes-tests --test sim delivery::table -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::testkit::{Conditions, Fault, NodeId, Sim};
use hermes_proto::{Config, Delivery, Event, Jitter, Outgoing, SendError};
use hermes_tests::URL;

/// A sender, its network, and its messages.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// There and back.
    pub(crate) round_trip: Duration,
    /// Mean number of bytes that a connection carries until it is cut; `None` for never.
    pub(crate) cut_every: Option<u64>,
    pub(crate) cuts: Vec<Fault>,
    /// Bytes per second of the network, if limited.
    pub(crate) bandwidth: Option<u64>,
    /// Bytes per second that the gateway reads, if limited.
    pub(crate) read_rate: Option<u64>,
    /// Bytes that the host's system, and the gateway's, hold at most.
    pub(crate) send_buffer: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) messages: u64,
    /// Bytes of each message.
    pub(crate) size: usize,
    /// Messages per second that the application sends; `None` for all at once.
    pub(crate) offered: Option<u64>,
    /// When the measure ends at the latest.
    pub(crate) within: Duration,
    pub(crate) config: Config,
}

impl Scenario {
    /// A backlog of 20,000 messages of 60 bytes over fast links, at least once.
    pub(crate) fn new(round_trip_ms: f64, cut_every: Option<u64>) -> Self {
        Scenario {
            seed: 1,
            round_trip: Duration::from_secs_f64(round_trip_ms / 1_000.0),
            cut_every,
            cuts: Conditions::default().cuts,
            bandwidth: None,
            read_rate: None,
            send_buffer: 2 << 20,
            receive_buffer: 2 << 20,
            messages: 20_000,
            size: 60,
            offered: None,
            within: Duration::from_secs(600),
            config: config(),
        }
    }
}

/// Reconnects at once, so that the time to drain is that of the delivery.
fn config() -> Config {
    let at_once = Duration::from_millis(1);
    Config {
        delivery: Delivery::AtLeastOnce,
        backoff_base: at_once,
        backoff_cap: at_once,
        min_connect_interval: at_once,
        jitter: Jitter::None,
        max_attempts: None,
        outbox_max_messages: 1 << 20,
        outbox_max_bytes: 1 << 30,
        ..Config::new(URL)
    }
}

/// The outcome of a scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Messages that arrived at least once.
    pub(crate) arrived: u64,
    /// Arrivals beyond the first, per message.
    pub(crate) doubled_percent: f64,
    /// The largest number of messages that one broken connection delivered and the next repeated.
    pub(crate) most_doubled: u64,
    pub(crate) connections: u64,
    /// Until the last message was acknowledged; `None` if that never happened.
    pub(crate) drained: Option<Duration>,
    /// Messages dropped, or in doubt for good.
    pub(crate) lost: u64,
}

/// The mean outcome of a scenario over several seeds.
#[derive(Debug, Default)]
struct Mean {
    doubled_percent: f64,
    /// The worst of the seeds.
    most_percent: f64,
    /// Seconds; those that were not drained count with the time of the measure.
    drained: f64,
    connections: f64,
    arrived_percent: f64,
    lost: u64,
}

impl Mean {
    fn of(scenario: &Scenario, seeds: RangeInclusive<u64>) -> Self {
        let share = 1.0 / seeds.clone().count() as f64;
        let mut mean = Mean::default();
        for seed in seeds {
            let measured = measure(&Scenario { seed, ..scenario.clone() });
            let drained = measured.drained.unwrap_or(scenario.within).as_secs_f64();
            mean.doubled_percent += measured.doubled_percent * share;
            mean.most_percent = mean.most_percent.max(measured.doubled_percent);
            mean.drained += drained * share;
            mean.connections += measured.connections as f64 * share;
            mean.arrived_percent +=
                100.0 * measured.arrived as f64 / scenario.messages as f64 * share;
            mean.lost += measured.lost;
        }
        mean.arrived_percent = (mean.arrived_percent * 1e6).round() / 1e6;
        mean
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:4.1} % doubled ({:4.1} at most), {:5.1} s, {:5.1} connections, {:.0} % arrived, {} \
             lost",
            self.doubled_percent,
            self.most_percent,
            self.drained,
            self.connections,
            self.arrived_percent,
            self.lost
        )
    }
}

/// Runs a scenario.
pub(crate) fn measure(scenario: &Scenario) -> Measured {
    let mut sim = Sim::new(scenario.seed);
    let node = sim.add(scenario.config.clone()).expect("the settings are valid");
    let conditions = sim.conditions(node);
    conditions.latency = scenario.round_trip / 2;
    conditions.bandwidth = scenario.bandwidth;
    conditions.cut_every = scenario.cut_every;
    conditions.cuts.clone_from(&scenario.cuts);
    conditions.send_buffer = scenario.send_buffer;
    conditions.receive_buffer = scenario.receive_buffer;
    sim.gateway().behaviour.read_rate = scenario.read_rate;
    sim.connect(node);
    let mut run =
        Run { sim, node, sent: 0, arrivals: BTreeMap::new(), measured: Measured::default() };
    run.go(scenario);
    run.measured
}

struct Run {
    sim: Sim,
    node: NodeId,
    sent: u64,
    /// The connections on which each message arrived.
    arrivals: BTreeMap<u64, Vec<u64>>,
    measured: Measured,
}

impl Run {
    fn go(&mut self, scenario: &Scenario) {
        let begin = self.sim.now();
        let end = begin + scenario.within;
        let tick = Duration::from_millis(10);
        while self.sim.now() < end {
            self.offer(scenario, self.sim.now() - begin);
            let until = match self.sent < scenario.messages {
                true => end.min(self.sim.now() + tick),
                false => end,
            };
            while self.sim.step_until(until).is_some() {
                self.observe();
                if self.sent == scenario.messages
                    && self.sim.endpoint(self.node).client().outbox_len() == 0
                {
                    self.measured.drained = Some(self.sim.now() - begin);
                    break;
                }
            }
            if self.measured.drained.is_some() {
                break;
            }
        }
        // Bytes in transit arrive.
        self.sim.run_for(2 * scenario.round_trip);
        self.observe();
        self.count(scenario);
    }

    /// Sends the messages that are due by now.
    fn offer(&mut self, scenario: &Scenario, elapsed: Duration) {
        let due = match scenario.offered {
            None => scenario.messages,
            Some(rate) => (elapsed.as_millis() as u64 * rate / 1_000 + 1).min(scenario.messages),
        };
        while self.sent < due {
            let head = format!(r#"{{"type":"note","n":{},"pad":""#, self.sent + 1);
            let pad = scenario.size.saturating_sub(head.len() + 2);
            let text = format!("{head}{}\"}}", "x".repeat(pad));
            let message = Outgoing::from_json(text).expect("it is JSON");
            match self.sim.send_message(self.node, message) {
                Ok(_) => self.sent += 1,
                Err(SendError::Full(_)) => break,
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn observe(&mut self) {
        for message in self.sim.gateway().take_received() {
            let number =
                message.text.split(r#""n":"#).nth(1).and_then(|rest| rest.split(',').next());
            let number = number.and_then(|digits| digits.parse().ok()).expect("a message of ours");
            self.arrivals.entry(number).or_default().push(message.connection);
        }
        for (_, event) in self.sim.take_events(self.node) {
            match event {
                Event::Dropped { .. } => self.measured.lost += 1,
                Event::InDoubt { from, to, resend: false } => {
                    self.measured.lost += to.0 - from.0 + 1;
                }
                _ => {}
            }
        }
        assert_eq!(self.sim.broken(self.node), None);
    }

    fn count(&mut self, scenario: &Scenario) {
        let mut doubled_by = BTreeMap::<u64, u64>::new();
        let mut repeats = 0;
        for connections in self.arrivals.values() {
            repeats += connections.len() as u64 - 1;
            for first in &connections[..connections.len() - 1] {
                *doubled_by.entry(*first).or_default() += 1;
            }
        }
        self.measured.arrived = self.arrivals.len() as u64;
        self.measured.doubled_percent = 100.0 * repeats as f64 / scenario.messages as f64;
        self.measured.most_doubled = doubled_by.values().copied().max().unwrap_or_default();
        self.measured.connections = self.sim.endpoint(self.node).client().stats().opened;
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let drained =
            self.drained.map_or("never".into(), |time| format!("{:.1} s", time.as_secs_f64()));
        write!(
            f,
            "{:6.1} % doubled, {:5} of one connection at most, drained in {drained}, \
             {} connections, {} arrived, {} lost",
            self.doubled_percent, self.most_doubled, self.connections, self.arrived, self.lost
        )
    }
}

/// The table in the documentation of the settings, for the lines that show most, with a margin for
/// the seeds.
#[test]
fn a_link_that_is_cut_doubles_little_and_loses_nothing() {
    for (round_trip, cut_every, doubled, drained) in [
        (0.4, 20_000, 11.0, 1.0),
        (0.4, 200_000, 3.0, 0.5),
        (0.4, 5_000_000, 1.0, 0.3),
        (20.0, 20_000, 14.0, 17.0),
        (20.0, 200_000, 12.0, 3.0),
        (20.0, 5_000_000, 3.0, 0.8),
        (100.0, 200_000, 12.0, 15.0),
    ] {
        let mean = Mean::of(&Scenario::new(round_trip, Some(cut_every)), 1..=10);
        let what = format!("{round_trip} ms, {cut_every} B: {mean}");
        assert_eq!((mean.arrived_percent, mean.lost), (100.0, 0), "{what}");
        assert!(mean.doubled_percent <= doubled && mean.drained <= drained, "{what}");
    }
}

/// Whatever the receipts, an event names every message that may not have arrived.
#[test]
fn a_link_that_is_cut_loses_nothing_in_silence_at_most_once() {
    for cut_every in [20_000, 200_000] {
        let mut scenario = Scenario { messages: 5_000, ..Scenario::new(0.4, Some(cut_every)) };
        scenario.config.delivery = Delivery::AtMostOnce;
        let measured = measure(&scenario);
        assert_eq!(measured.doubled_percent, 0.0, "{measured}");
        let missing = scenario.messages - measured.arrived;
        assert!(missing > 0 && missing <= measured.lost, "{missing} are missing: {measured}");
    }
}

/// Prints the table by which the window is tuned, if `HERMES_DELIVERY` has its lines: round trip in
/// ms, mean bytes between cuts (0 for never), number and size of messages, and optionally the
/// messages offered per second (0 for all at once) and the bytes per second that the gateway reads.
///
/// ```text
/// HERMES_DELIVERY="0.4,20000,20000,60 20,20000,20000,60,500" cargo test …
/// HERMES_DELIVERY=all cargo test …
/// ```
#[test]
fn table() {
    let Ok(lines) = std::env::var("HERMES_DELIVERY") else { return };
    if lines == "all" {
        for (messages, size) in [(20_000, 60), (2_000, 2_000), (200, 200_000)] {
            for round_trip in [0.4, 20.0, 100.0, 300.0] {
                for cut_every in [20_000, 200_000, 5_000_000] {
                    if cut_every >= 4 * size {
                        print_line(&[round_trip, cut_every as f64, messages as f64, size as f64]);
                    }
                }
            }
        }
    } else {
        for line in lines.split_whitespace() {
            let numbers: Vec<f64> =
                line.split(',').map(|number| number.parse().expect("a number")).collect();
            print_line(&numbers);
        }
    }
}

fn print_line(numbers: &[f64]) {
    let number = |index: usize| numbers.get(index).copied().filter(|number| *number > 0.0);
    let scenario = Scenario {
        messages: number(2).unwrap_or(20_000.0) as u64,
        size: number(3).unwrap_or(60.0) as usize,
        offered: number(4).map(|rate| rate as u64),
        read_rate: number(5).map(|rate| rate as u64),
        within: Duration::from_secs(120),
        ..Scenario::new(number(0).unwrap_or_default(), number(1).map(|bytes| bytes as u64))
    };
    println!("{numbers:?}: {}", Mean::of(&scenario, 1..=10));
}
