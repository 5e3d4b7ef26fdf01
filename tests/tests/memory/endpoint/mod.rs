//! The whole stack, held to the bound in the crate's documentation, under whatever a peer can think
//! of.
//!
//! What an attack sends is made before the counting starts, and the events that come of it are
//! dropped as they come: what is counted is the endpoint, the actions of one call, and the messages
//! that the application sends.

mod attacks;
mod siege;

use std::time::Duration;

use hermes_proto::{
    Actions, CloseReason, Config, ConnId, Credentials, Delivery, Endpoint, Input, Outgoing,
    OverflowPolicy, Receipts, Timestamp, Transmit,
};
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;
use hermes_tests::{Rng, config, start};

use crate::measure;

/// What the host reads at once. A queue doubles; so a little more than a power of two.
const READ: usize = 260;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The formula. `read` is the largest input, `door` the bytes of URLs, headers and credentials.
fn bound(config: &Config, read: usize, door: usize) -> usize {
    let limits = 3 * config.max_message_bytes
        + 5 * config.outbox_max_bytes
        + 512 * config.outbox_max_messages
        + 6 * config.unflushed_max_bytes
        + 18 * config.max_header_bytes
        + if config.deflate { config.max_message_bytes + (2 << 20) } else { 0 };
    limits as usize + 192 * read + 5 * door + 640 * KIB
}

/// The number in the documentation is what the formula says.
#[test]
fn the_documented_number() {
    let number = format!("{} MiB", bound(&Config::default(), 64 * KIB, 0).div_ceil(MIB));
    let documentation = include_str!("../../../../hermes-proto/src/lib.rs");
    assert!(documentation.contains(&number), "{number} is not there");
}

/// An endpoint, and a host that keeps nothing.
pub(crate) struct Victim {
    pub(crate) endpoint: Endpoint,
    now: Timestamp,
}

impl Victim {
    pub(crate) fn new(config: Config) -> Self {
        let endpoint = Endpoint::new(config, start()).expect("the settings are fine");
        Victim { endpoint, now: Timestamp::ZERO }
    }

    fn conn(&self) -> ConnId {
        self.endpoint.client().conn().unwrap_or(ConnId(0))
    }

    fn input(&mut self, input: Input<&[u8]>) {
        self.endpoint.handle(self.now, input, &mut Actions::new());
    }

    pub(crate) fn send(&mut self, message: Outgoing) -> bool {
        self.endpoint.send_message(self.now, message, &mut Actions::new()).is_ok()
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let conn = self.conn();
        for payload in bytes.chunks(READ) {
            self.input(Input::Received { conn, payload });
        }
    }

    /// The system takes so much, or what there is.
    pub(crate) fn take(&mut self, n: usize) {
        let mut out: Actions<Transmit> = Actions::new();
        self.endpoint.transmitted(self.now, n, &mut out);
    }

    /// Goes on to the deadline, if there is one.
    pub(crate) fn wait(&mut self) {
        self.now = self.endpoint.deadline().unwrap_or(self.now);
        self.input(Input::TimerFired);
    }

    /// Another transport that is up.
    pub(crate) fn dial(&mut self, credentials: Credentials) {
        self.lose();
        self.input(Input::Connect);
        if self.endpoint.client().conn().is_none() {
            self.wait();
        }
        let conn = self.conn();
        self.input(Input::Credentials { conn, credentials });
        self.input(Input::Opened { conn });
    }

    /// A connection that is open.
    pub(crate) fn establish(&mut self) {
        self.dial(Credentials::default());
        let answer = reply_to(self.endpoint.transmit());
        self.take(usize::MAX);
        self.receive(&answer);
    }

    fn lose(&mut self) {
        let conn = self.conn();
        self.input(Input::Closed { conn, reason: CloseReason::lost() });
    }
}

/// Settings under which little is much: three that differ in what is large.
pub(crate) fn besieged() -> [Config; 3] {
    let small = Config {
        max_message_bytes: 8 << 10,
        max_frame_bytes: 8 << 10,
        max_header_bytes: 1 << 10,
        outbox_max_messages: 33,
        outbox_max_bytes: 4 << 10,
        unflushed_max_bytes: 1 << 10,
        max_attempts: None,
        ..config()
    };
    [
        Config {
            max_message_bytes: 30_000,
            max_frame_bytes: 10_000,
            unflushed_max_bytes: 0,
            delivery: Delivery::AtLeastOnce,
            ..small.clone()
        },
        Config {
            outbox_max_messages: 257,
            outbox_max_bytes: 10_000,
            unflushed_max_bytes: 20_000,
            receipts: Receipts::Acknowledged,
            ..small.clone()
        },
        small,
    ]
}

/// The most that an endpoint with these settings held in all its life; no more than the formula
/// says.
pub(crate) fn hold(
    config: &Config,
    door: usize,
    attack: impl FnOnce(&mut Victim),
) -> (Victim, usize) {
    let (victim, peak, left) = measure(|| {
        let mut victim = Victim::new(config.clone());
        attack(&mut victim);
        victim
    });
    let most = bound(config, READ, door);
    assert!(peak <= most, "{peak} bytes, and {most} are promised: {config:?}");
    (victim, left)
}

/// Something again and again: more of it than an endpoint may hold, twice.
pub(crate) fn flood(config: &Config, unit: &[u8]) -> Vec<u8> {
    unit.repeat(2 * bound(config, READ, 0) / unit.len())
}
