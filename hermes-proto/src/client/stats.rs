//! What is counted.

use core::time::Duration;

use serde::{Serialize, Serializer};

use crate::time::Nanos;
use crate::util::lazy_box::{ConstDefault, LazyBox};
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
    pub ended: EndCounts,
    /// Sessions that the gateway resumed.
    pub resumed: u64,

    /// Messages of the application that the outbox took.
    pub accepted: u64,
    /// Messages of earlier processes that the [outbox store](crate#durability) brought back. They are
    /// not among those accepted, and are counted in the lines below as those are.
    pub restored: u64,
    /// Messages that became durable in the outbox: the store has them.
    pub durable: u64,
    /// Messages taken whole by the operating system.
    pub written: u64,
    /// Of those: proven to be received by the peer's WebSocket endpoint.
    pub acknowledged: u64,
    /// Messages that were written to a connection that ended without that proof; with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce) they are sent again.
    pub in_doubt: u64,
    /// Messages that were written once more.
    pub rewritten: u64,
    /// Messages that were dropped, by reason.
    pub dropped: DropCounts,
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
    /// Messages in the outbox that are not durable now, with [`Config::durable`](crate::Config::durable):
    /// without volatile ones, which never are.
    pub not_durable: u64,
    /// Messages written to the live connection and not acknowledged, now.
    pub unacknowledged: u64,
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
pub struct EndCounts {
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
pub struct DropCounts {
    pub outbox_full: u64,
    pub too_large: u64,
    pub expired: u64,
    pub not_now: u64,
    pub connection_lost: u64,
    pub cleared: u64,
    pub shutting_down: u64,
}

impl EndCounts {
    /// All together.
    pub fn total(&self) -> u64 {
        let EndCounts { requested, peer, lost, resolve, connect, proxy, tls, .. } = self;
        let EndCounts { http, credentials, upgrade, protocol, timeout, .. } = self;
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

    pub(super) fn count(&mut self, reason: &CloseReason) {
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

impl DropCounts {
    /// All together.
    pub fn total(&self) -> u64 {
        let DropCounts { outbox_full, too_large, expired, not_now, .. } = self;
        let DropCounts { connection_lost, cleared, shutting_down, .. } = self;
        outbox_full + too_large + expired + not_now + connection_lost + cleared + shutting_down
    }

    pub(super) fn count(&mut self, reason: DropReason) {
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

/// [`Stats`] as a client keeps them, but for what it knows without: small, since a good gateway's
/// client has little to count, and thousands of it may share a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Counters {
    pub(super) opened: u64,
    pub(super) written: u64,
    pub(super) acknowledged: u64,
    pub(super) bytes_sent: u64,
    pub(super) received: u64,
    pub(super) bytes_received: u64,
    rtt_last: Option<Nanos>,
    rtt_smoothed: Option<Nanos>,
    pub(super) cold: LazyBox<ColdCounters>,
}

/// What does not happen to every client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ColdCounters {
    pub(super) ended: EndCounts,
    pub(super) dropped: DropCounts,
    pub(super) resumed: u64,
    pub(super) in_doubt: u64,
    /// Of those: not sent again.
    pub(super) lost_in_doubt: u64,
    pub(super) rewritten: u64,
    pub(super) unhandled: u64,
    pub(super) malformed: u64,
}

impl ConstDefault for ColdCounters {
    const DEFAULT: &'static Self = &ColdCounters {
        ended: EndCounts {
            requested: 0,
            peer: 0,
            lost: 0,
            resolve: 0,
            connect: 0,
            proxy: 0,
            tls: 0,
            http: 0,
            credentials: 0,
            upgrade: 0,
            protocol: 0,
            timeout: 0,
        },
        dropped: DropCounts {
            outbox_full: 0,
            too_large: 0,
            expired: 0,
            not_now: 0,
            connection_lost: 0,
            cleared: 0,
            shutting_down: 0,
        },
        resumed: 0,
        in_doubt: 0,
        lost_in_doubt: 0,
        rewritten: 0,
        unhandled: 0,
        malformed: 0,
    };
}

impl Counters {
    /// What was counted; how it stands is not known here.
    pub(super) fn stats(&self) -> Stats {
        let cold = &self.cold;
        Stats {
            opened: self.opened,
            ended: cold.ended,
            resumed: cold.resumed,
            written: self.written,
            acknowledged: self.acknowledged,
            in_doubt: cold.in_doubt,
            rewritten: cold.rewritten,
            dropped: cold.dropped,
            bytes_sent: self.bytes_sent,
            received: self.received,
            unhandled: cold.unhandled,
            malformed: cold.malformed,
            bytes_received: self.bytes_received,
            rtt_last: self.rtt_last.map(Nanos::duration),
            rtt_smoothed: self.rtt_smoothed.map(Nanos::duration),
            ..Stats::default()
        }
    }

    #[inline]
    pub(super) fn count_received(&mut self, bytes: usize) {
        self.received += 1;
        self.bytes_received += bytes as u64;
    }

    pub(super) fn round_trip(&mut self, rtt: Duration) {
        self.rtt_last = Some(Nanos::new(rtt));
        let smoothed = self.rtt_smoothed.map(Nanos::duration);
        let smoothed = smoothed.map_or(rtt, |smoothed| (smoothed * 7 + rtt) / 8);
        self.rtt_smoothed = Some(Nanos::new(smoothed));
    }

    /// What was known of the way to the gateway is no more: there is another one.
    pub(super) fn reset_round_trip(&mut self) {
        self.rtt_smoothed = None;
    }
}

fn millis<S: Serializer>(duration: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_micros() as f64 / 1_000.0).serialize(s)
}
