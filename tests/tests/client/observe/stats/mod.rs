//! What is counted, and exactly when. Each step says which numbers it moves; all others stay.

mod connections;
mod messages_dropped;
mod messages_in;
mod messages_out;
mod round_trips;

use std::time::Duration;

use hermes_proto::reason::{UpgradeError, Violation};
use hermes_proto::{
    CloseReason, Config, Credentials, Delivery, DropCounts, EndCounts, Frame, Input,
    OverflowPolicy, Receipts, Session, Start, Stats,
};
use hermes_tests::Rng;
use hermes_tests::*;

/// A host, and the numbers that it should have.
struct Count {
    host: Host,
    stats: Stats,
}

impl Count {
    fn new(config: Config) -> Self {
        Self::start(config, start())
    }

    fn start(config: Config, start: Start) -> Self {
        Count { host: Host::start(config, start), stats: Stats::default() }
    }

    /// A connection is open.
    fn connected(config: Config) -> Self {
        let mut count = Self::new(config);
        count.step(0, Host::connect, |s| s.attempts += 1);
        count.step(0, |host| host.opened(1), |s| s.opened += 1);
        count
    }

    /// At `now` something happens, and moves these numbers.
    #[track_caller]
    fn step(
        &mut self,
        now: u64,
        what: impl FnOnce(&mut Host) -> &mut Host,
        moves: impl FnOnce(&mut Stats),
    ) {
        what(self.host.at(now)).skip();
        moves(&mut self.stats);
        assert_eq!(self.host.client().stats(), self.stats);
    }

    /// Something happens, and moves none.
    #[track_caller]
    fn quiet(&mut self, now: u64, what: impl FnOnce(&mut Host) -> &mut Host) {
        self.step(now, what, |_| ());
    }
}

/// The outbox has so many messages more, of a byte each.
fn queued(s: &mut Stats, n: usize) {
    s.accepted += n as u64;
    s.outbox_messages += n;
    s.outbox_bytes += n;
}

/// A message of one byte was handed over.
fn handed(s: &mut Stats) {
    queued(s, 1);
    s.bytes_sent += 1;
}

/// The operating system took so many of them.
fn flushed(s: &mut Stats, n: usize) {
    s.written += n as u64;
    s.unacknowledged += n as u64;
    s.outbox_messages -= n;
    s.outbox_bytes -= n;
}

#[test]
fn a_client_begins_with_nothing() {
    let host = Host::new(config());
    assert_eq!(host.client().stats(), Stats::default());
    let Stats { ended, dropped, rtt_last, rtt_smoothed, .. } = Stats::default();
    assert_eq!((ended.total(), dropped.total(), rtt_last, rtt_smoothed), (0, 0, None, None));
}

/// What must hold of any run, whatever happens.
#[test]
fn the_books_balance() {
    for seed in 0..30 {
        let mut rng = Rng::new(seed);
        let delivery = *rng.pick(&[Delivery::AtMostOnce, Delivery::AtLeastOnce]);
        let overflow = *rng.pick(&[
            OverflowPolicy::Refuse,
            OverflowPolicy::DropOldest,
            OverflowPolicy::DropNewest,
        ]);
        let mut host = Host::new(Config {
            delivery,
            overflow,
            max_attempts: None,
            outbox_max_messages: 5,
            unflushed_max_bytes: 3,
            ..config()
        });
        let (mut now, mut seqs) = (0, 0);
        host.at(now).connect().skip();
        for _ in 0..500 {
            now += *rng.pick(&[0, 1, 300, 6_000]);
            host.at(now);
            let conn = host.client().conn().map_or(0, |conn| conn.0);
            let actions = match rng.below(9) {
                0 | 1 => {
                    let ttl = Duration::from_millis(1 + rng.below(9_000) as u64);
                    let message = json("1").with_ttl(ttl);
                    host.input(Input::Send(if rng.chance(20) {
                        message.volatile()
                    } else {
                        message
                    }))
                }
                2 => host.opened(conn),
                3 if seqs > 0 => host.flushed(conn, 1 + rng.below(seqs) as u64),
                4 if seqs > 0 => host.pong(conn, 1 + rng.below(seqs) as u64),
                5 if rng.chance(30) => host.closed(conn, lost()),
                6 if rng.chance(20) => host.clear_outbox(),
                7 => host.text(conn, *rng.pick(&["0", "", r#"{"type":"chat"}"#])),
                _ => host.timer(),
            }
            .take();
            for action in actions {
                match action {
                    hermes_proto::Action::Send { seq, .. } => seqs = seq as usize,
                    hermes_proto::Action::Open { .. } => seqs = 0,
                    _ => {}
                }
            }
            let (client, s) = (host.client(), host.client().stats());
            let live = u64::from(client.conn().is_some());
            assert_eq!(s.attempts, s.ended.total() + live, "{s:?}");
            assert!(s.opened <= s.attempts && s.acknowledged <= s.written, "{s:?}");
            assert!(s.unhandled + s.malformed <= s.received, "{s:?}");
            assert_eq!(s.outbox_messages, client.outbox_len());
            assert_eq!(s.outbox_bytes, client.outbox_bytes());
            // Every message is written, or dropped, or waits: exactly one of these. With
            // at-least-once one that was written waits for its proof, and may be dropped then.
            let refused = s.dropped.too_large + s.dropped.not_now;
            let refused = refused
                + if overflow == OverflowPolicy::Refuse { s.dropped.outbox_full } else { 0 };
            if overflow != OverflowPolicy::DropOldest {
                let ends = s.written + s.dropped.total() - refused + s.outbox_messages as u64;
                match delivery {
                    Delivery::AtMostOnce => {
                        assert_eq!(s.accepted, ends, "{s:?}");
                        // One that was written is proven, in doubt, or on the way.
                        assert_eq!(
                            s.written,
                            s.acknowledged + s.in_doubt + s.unacknowledged,
                            "{s:?}"
                        );
                    }
                    _ => assert!(s.accepted <= ends, "{s:?}"),
                }
            }
        }
        let s = host.client().stats();
        assert!(s.written > 10 && s.opened > 3 && s.received > 3, "{s:?}");
    }
}

#[test]
fn totals() {
    let mut ends = EndCounts::default();
    let fields: [fn(&mut EndCounts) -> &mut u64; 11] = [
        |e| &mut e.requested,
        |e| &mut e.peer,
        |e| &mut e.lost,
        |e| &mut e.resolve,
        |e| &mut e.connect,
        |e| &mut e.tls,
        |e| &mut e.http,
        |e| &mut e.credentials,
        |e| &mut e.upgrade,
        |e| &mut e.protocol,
        |e| &mut e.timeout,
    ];
    for (n, field) in fields.into_iter().enumerate() {
        *field(&mut ends) += 1 << n;
        assert_eq!(ends.total(), (1 << (n + 1)) - 1);
    }
    let mut drops = DropCounts::default();
    let fields: [fn(&mut DropCounts) -> &mut u64; 7] = [
        |d| &mut d.outbox_full,
        |d| &mut d.too_large,
        |d| &mut d.expired,
        |d| &mut d.not_now,
        |d| &mut d.connection_lost,
        |d| &mut d.cleared,
        |d| &mut d.shutting_down,
    ];
    for (n, field) in fields.into_iter().enumerate() {
        *field(&mut drops) += 1 << n;
        assert_eq!(drops.total(), (1 << (n + 1)) - 1);
    }
}

#[test]
fn as_json() {
    let empty = serde_json::to_string(&Stats::default()).expect("it is plain");
    assert_eq!(
        empty,
        r#"{"attempts":0,"opened":0,"ended":{"requested":0,"peer":0,"lost":0,"resolve":0,"connect":0,"proxy":0,"tls":0,"http":0,"credentials":0,"upgrade":0,"protocol":0,"timeout":0},"resumed":0,"accepted":0,"restored":0,"durable":0,"written":0,"acknowledged":0,"in_doubt":0,"rewritten":0,"dropped":{"outbox_full":0,"too_large":0,"expired":0,"not_now":0,"connection_lost":0,"cleared":0,"shutting_down":0},"bytes_sent":0,"received":0,"unhandled":0,"malformed":0,"bytes_received":0,"outbox_messages":0,"outbox_bytes":0,"not_durable":0,"unacknowledged":0,"rtt_last_ms":null,"rtt_smoothed_ms":null}"#
    );
}

#[test]
fn as_json_with_numbers() {
    let mut host = Host::connected(config());
    for (now, seq, pong) in [(25_000, 1, 25_100), (50_100, 2, 50_300)] {
        host.at(now).timer().skip();
        host.at(pong).pong(1, seq).skip();
    }
    host.at(50_301).send(r#"{"type":"chat"}"#).skip();
    host.at(50_302).text(1, "0").skip();
    host.at(50_303).closed(1, peer(1001)).skip();
    let json = serde_json::to_value(host.client().stats()).expect("it is plain");
    for (pointer, value) in [
        ("/attempts", 1.0),
        ("/opened", 1.0),
        ("/ended/peer", 1.0),
        ("/accepted", 1.0),
        ("/bytes_sent", 15.0),
        ("/received", 1.0),
        ("/unhandled", 1.0),
        ("/bytes_received", 1.0),
        ("/outbox_messages", 1.0),
        ("/outbox_bytes", 15.0),
        ("/rtt_last_ms", 200.0),
        ("/rtt_smoothed_ms", 112.5),
    ] {
        assert_eq!(
            json.pointer(pointer).and_then(|v| v.as_f64()),
            Some(value),
            "{pointer}: {json}"
        );
    }
}
