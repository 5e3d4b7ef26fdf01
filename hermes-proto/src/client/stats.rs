//! What is counted.

use alloc::boxed::Box;
use core::time::Duration;

use serde::{Serialize, Serializer};

use crate::{CloseReason, DropReason};

/// What a client has counted since it was made, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Attempts at a connection, and redirects that were followed.
    pub attempts: u64,
    /// Of those: connections that were opened.
    pub opened: u64,
    /// Attempts and connections that ended, by reason.
    pub ended: Ends,
    /// Sessions that the gateway resumed.
    pub resumed: u64,

    /// Messages of the application that the outbox took.
    pub accepted: u64,
    /// Of those: taken whole by the operating system.
    pub written: u64,
    /// Of those: proven to be received by the peer's WebSocket endpoint.
    pub confirmed: u64,
    /// Messages that were written to a connection that ended without that proof; with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce) they are sent again.
    pub in_doubt: u64,
    /// Messages that were written once more.
    pub rewritten: u64,
    /// Messages that were dropped, by reason.
    pub dropped: Drops,
    /// Bytes of messages that were handed to connections.
    pub bytes_sent: u64,

    /// Text and binary messages received.
    pub received: u64,
    /// Of those: JSON without a route.
    pub unhandled: u64,
    /// Of those: texts that are not JSON, and binary messages.
    pub malformed: u64,
    /// Bytes in received messages.
    pub bytes_received: u64,

    /// Messages in the outbox now.
    pub outbox_messages: usize,
    /// Bytes of messages in the outbox now.
    pub outbox_bytes: usize,
    /// Messages written to the live connection and not proven received, now.
    pub unproven: u64,
    /// The round trip of the latest answered Ping; `None` before the first.
    #[serde(rename = "rtt_last_ms", serialize_with = "millis")]
    pub rtt_last: Option<Duration>,
    /// Round trips smoothed as in RFC 6298 §2: each new one counts an eighth. A new connection
    /// begins anew.
    #[serde(rename = "rtt_smoothed_ms", serialize_with = "millis")]
    pub rtt_smoothed: Option<Duration>,
}

/// How connections ended; the names are [`CloseReason`]'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Ends {
    pub requested: u64,
    pub peer: u64,
    pub lost: u64,
    pub resolve: u64,
    pub connect: u64,
    pub proxy: u64,
    pub tls: u64,
    pub http: u64,
    pub credentials: u64,
    pub upgrade: u64,
    pub protocol: u64,
    pub timeout: u64,
}

/// Why messages were dropped; the names are [`DropReason`]'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Drops {
    pub outbox_full: u64,
    pub too_large: u64,
    pub expired: u64,
    pub not_now: u64,
    pub connection_lost: u64,
    pub cleared: u64,
    pub shutting_down: u64,
}

impl Ends {
    /// All together.
    pub fn total(&self) -> u64 {
        let Ends { requested, peer, lost, resolve, connect, proxy, tls, .. } = self;
        let Ends { http, credentials, upgrade, protocol, timeout, .. } = self;
        requested
            + peer
            + lost
            + resolve
            + connect
            + proxy
            + tls
            + http
            + credentials
            + upgrade
            + protocol
            + timeout
    }

    fn count(&mut self, reason: &CloseReason) {
        *match reason {
            CloseReason::Requested => &mut self.requested,
            CloseReason::Peer { .. } => &mut self.peer,
            CloseReason::Lost { .. } => &mut self.lost,
            CloseReason::Resolve { .. } => &mut self.resolve,
            CloseReason::Connect { .. } => &mut self.connect,
            CloseReason::Proxy { .. } => &mut self.proxy,
            CloseReason::Tls { .. } => &mut self.tls,
            CloseReason::Http { .. } => &mut self.http,
            CloseReason::Credentials { .. } => &mut self.credentials,
            CloseReason::Upgrade { .. } => &mut self.upgrade,
            CloseReason::Protocol { .. } => &mut self.protocol,
            CloseReason::Timeout { .. } => &mut self.timeout,
        } += 1;
    }
}

impl Drops {
    /// All together.
    pub fn total(&self) -> u64 {
        let Drops { outbox_full, too_large, expired, not_now, .. } = self;
        let Drops { connection_lost, cleared, shutting_down, .. } = self;
        outbox_full + too_large + expired + not_now + connection_lost + cleared + shutting_down
    }

    fn count(&mut self, reason: DropReason) {
        *match reason {
            DropReason::OutboxFull => &mut self.outbox_full,
            DropReason::TooLarge => &mut self.too_large,
            DropReason::Expired => &mut self.expired,
            DropReason::NotNow => &mut self.not_now,
            DropReason::ConnectionLost => &mut self.connection_lost,
            DropReason::Cleared => &mut self.cleared,
            DropReason::ShuttingDown => &mut self.shutting_down,
        } += 1;
    }
}

/// [`Stats`] as a client keeps them, which is small: a gateway's good client has no ends to count
/// and nothing dropped, and thousands of it may share a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    pub(super) attempts: u64,
    pub(super) opened: u64,
    pub(super) resumed: u64,
    pub(super) accepted: u64,
    pub(super) written: u64,
    pub(super) confirmed: u64,
    pub(super) in_doubt: u64,
    pub(super) rewritten: u64,
    pub(super) bytes_sent: u64,
    pub(super) received: u64,
    pub(super) unhandled: u64,
    pub(super) malformed: u64,
    pub(super) bytes_received: u64,
    pub(super) rtt_last: Option<Duration>,
    pub(super) rtt_smoothed: Option<Duration>,
    /// Where there are any.
    losses: Option<Box<(Ends, Drops)>>,
}

impl Tally {
    /// What was counted; how it stands is not known here.
    pub(super) fn stats(&self) -> Stats {
        let (ended, dropped) = self.losses.as_deref().copied().unwrap_or_default();
        Stats {
            attempts: self.attempts,
            opened: self.opened,
            ended,
            resumed: self.resumed,
            accepted: self.accepted,
            written: self.written,
            confirmed: self.confirmed,
            in_doubt: self.in_doubt,
            rewritten: self.rewritten,
            dropped,
            bytes_sent: self.bytes_sent,
            received: self.received,
            unhandled: self.unhandled,
            malformed: self.malformed,
            bytes_received: self.bytes_received,
            rtt_last: self.rtt_last,
            rtt_smoothed: self.rtt_smoothed,
            ..Stats::default()
        }
    }

    pub(super) fn ended(&mut self, reason: &CloseReason) {
        self.losses.get_or_insert_default().0.count(reason);
    }

    pub(super) fn dropped(&mut self, reason: DropReason) {
        self.losses.get_or_insert_default().1.count(reason);
    }

    pub(super) fn round_trip(&mut self, rtt: Duration) {
        self.rtt_last = Some(rtt);
        self.rtt_smoothed = Some(match self.rtt_smoothed {
            None => rtt,
            Some(smoothed) => (smoothed * 7 + rtt) / 8,
        });
    }
}

fn millis<S: Serializer>(duration: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_micros() as f64 / 1_000.0).serialize(s)
}
