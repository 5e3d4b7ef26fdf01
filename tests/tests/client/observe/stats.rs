//! What is counted, and exactly when. Each step says which numbers it moves; all others stay.

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

mod connections {
    use super::*;

    #[test]
    fn attempts_opens_and_ends() {
        let mut count = Count::new(config());
        count.step(0, Host::connect, |s| s.attempts += 1);
        count.quiet(1, Host::connect);
        count.step(2, |host| host.opened(1), |s| s.opened += 1);
        count.quiet(3, |host| host.opened(1));
        count.step(4, |host| host.closed(1, lost()), |s| s.ended.lost += 1);
        count.quiet(5, |host| host.closed(1, lost()));
        count.quiet(6, Host::timer);
        count.step(1_004, Host::timer, |s| s.attempts += 1);
        // It did not open, but it ended.
        count.step(1_005, |host| host.closed(2, unreachable()), |s| s.ended.connect += 1);
    }

    #[test]
    fn an_attempt_is_counted_when_it_asks_for_credentials() {
        let mut count = Count::new(Config { ask_credentials: true, ..config() });
        count.step(0, Host::connect, |s| s.attempts += 1);
        count.quiet(1, |host| host.credentials(1, Credentials::default()));
        let reason = CloseReason::Credentials { text: "no".into() };
        count.step(2, |host| host.closed(1, reason), |s| s.ended.credentials += 1);
        count.step(1_002, Host::timer, |s| s.attempts += 1);
        count.step(31_002, Host::timer, |s| s.ended.timeout += 1);
        count.step(33_002, Host::timer, |s| s.attempts += 1);
        let bad = Credentials { headers: vec![("Host".into(), "x".into())], token: None };
        count.step(33_003, |host| host.credentials(3, bad), |s| s.ended.credentials += 1);
    }

    #[test]
    fn an_attempt_that_is_held_is_none_yet() {
        let mut count = Count::new(config());
        count.quiet(0, |host| host.network(false));
        count.quiet(1, Host::connect);
        count.step(2, |host| host.network(true), |s| s.attempts += 1);
    }

    #[test]
    fn ends_by_reason() {
        type Field = fn(&mut EndCounts) -> &mut u64;
        let text = || "x".into();
        let reasons: [(CloseReason, Field); 11] = [
            (peer(1001), |e| &mut e.peer),
            (peer(1013), |e| &mut e.peer),
            (lost(), |e| &mut e.lost),
            (CloseReason::Resolve { text: text() }, |e| &mut e.resolve),
            (CloseReason::Connect { text: text() }, |e| &mut e.connect),
            (CloseReason::Proxy { status: None, text: text() }, |e| &mut e.proxy),
            (CloseReason::Tls { text: text() }, |e| &mut e.tls),
            (http(503, None), |e| &mut e.http),
            (CloseReason::Credentials { text: text() }, |e| &mut e.credentials),
            (CloseReason::Upgrade { error: UpgradeError::NotHttp }, |e| &mut e.upgrade),
            (CloseReason::Protocol { violation: Violation::Masked }, |e| &mut e.protocol),
        ];
        let mut count = Count::new(Config { max_attempts: None, ..config() });
        for (n, (reason, field)) in (1..).zip(reasons) {
            let now = n * 100_000;
            count.step(
                now,
                |host| if n == 1 { host.connect() } else { host.timer() },
                |s| s.attempts += 1,
            );
            count.step(now + 1, |host| host.closed(n, reason), |s| *field(&mut s.ended) += 1);
            assert_eq!(count.stats.ended.total(), n);
        }
    }

    #[test]
    fn ends_by_our_own_verdict() {
        // Nobody connects,
        let mut count = Count::new(config());
        count.step(0, Host::connect, |s| s.attempts += 1);
        count.step(15_000, Host::timer, |s| s.ended.timeout += 1);
        // nobody answers,
        let mut count = Count::connected(config());
        count.quiet(25_000, Host::timer);
        count.step(35_000, Host::timer, |s| s.ended.timeout += 1);
        // nobody ends the closing handshake, which does not change why it began;
        let mut count = Count::connected(config());
        count.quiet(1, |host| host.closing(1, peer(1001)));
        count.step(5_001, Host::timer, |s| s.ended.peer += 1);
    }

    #[test]
    fn ends_by_the_application() {
        let mut count = Count::new(config());
        count.step(0, Host::connect, |s| s.attempts += 1);
        count.step(1, Host::disconnect, |s| s.ended.requested += 1);
        count.step(2, Host::connect, |s| s.attempts += 1);
        count.step(3, |host| host.opened(2), |s| s.opened += 1);
        count.quiet(4, Host::disconnect);
        count.quiet(5, |host| host.closing(2, peer(1008)));
        count.step(6, |host| host.closed(2, peer(1008)), |s| s.ended.requested += 1);
        count.quiet(7, Host::disconnect);
    }

    /// Only this machine can know that; from a host it is a loss.
    #[test]
    fn a_host_can_not_request_an_end() {
        let mut count = Count::connected(config());
        count.step(1, |host| host.closed(1, CloseReason::Requested), |s| s.ended.lost += 1);
    }

    #[test]
    fn sessions_that_were_resumed() {
        let session = |token: &str, client_id: Option<&str>| Start {
            session: Some(Session {
                token: token.into(),
                client_id: client_id.map(str::to_owned),
                saved_at: UNIX_MS,
                origin: Some(ORIGIN.into()),
            }),
            ..start()
        };
        let same = r#"{"type":"session-init","token":"t","clientId":"c"}"#;
        let renewed = r#"{"type":"session-init","token":"u","clientId":"c"}"#;
        let other = r#"{"type":"session-init","token":"u","clientId":"d"}"#;
        for (start, init, resumed) in [
            (start(), same, 0),
            (session("t", Some("c")), same, 1),
            (session("t", Some("c")), renewed, 1),
            (session("t", Some("c")), other, 0),
            (session("t", None), same, 1),
            (session("t", None), renewed, 0),
        ] {
            let mut count = Count::start(quiet(), start);
            count.step(0, Host::connect, |s| s.attempts += 1);
            // What is sent for it is not a message of the application.
            count.step(0, |host| host.opened(1), |s| s.opened += 1);
            count.step(
                1,
                |host| host.text(1, init),
                |s| {
                    s.resumed += resumed;
                    s.received += 1;
                    s.bytes_received += init.len() as u64;
                },
            );
        }
    }
}

mod messages_out {
    use super::*;

    #[test]
    fn queued_written_confirmed() {
        let mut count = Count::new(config());
        count.step(0, |host| host.send("1"), |s| queued(s, 1));
        count.step(0, |host| host.send("2"), |s| queued(s, 1));
        count.step(1, Host::connect, |s| s.attempts += 1);
        count.step(
            2,
            |host| host.opened(1),
            |s| {
                s.opened += 1;
                s.bytes_sent += 2;
            },
        );
        count.step(3, |host| host.send("3"), handed);
        count.step(4, |host| host.flushed(1, 1), |s| flushed(s, 1));
        count.quiet(5, |host| host.flushed(1, 1));
        count.quiet(5, |host| host.flushed(1, 0));
        count.step(6, |host| host.flushed(1, 3), |s| flushed(s, 2));
        // The heartbeat's Ping is no message, and its Pong proves all of them.
        count.quiet(25_002, Host::timer);
        count.quiet(25_010, |host| host.flushed(1, 4));
        count.step(
            25_060,
            |host| host.pong(1, 4),
            |s| {
                s.acknowledged += 3;
                s.unacknowledged -= 3;
                s.rtt_last = Some(Duration::from_millis(50));
                s.rtt_smoothed = s.rtt_last;
            },
        );
        count.quiet(25_061, |host| host.pong(1, 4));
    }

    #[test]
    fn bytes_are_those_of_the_text() {
        let text = "\"\u{e9}\u{20ac}\"";
        assert_eq!(text.len(), 7);
        let mut count = Count::connected(quiet());
        count.step(
            1,
            |host| host.send(text),
            |s| {
                s.accepted += 1;
                s.bytes_sent += 7;
                s.outbox_messages += 1;
                s.outbox_bytes += 7;
            },
        );
    }

    /// A Pong proves what went before its Ping, and nothing behind it.
    #[test]
    fn a_pong_confirms_what_was_before_the_ping() {
        let mut count = Count::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
        count.step(1, |host| host.send("1"), handed);
        count.step(2, |host| host.send("2"), handed);
        count.step(3, |host| host.flushed(1, 3), |s| flushed(s, 2));
        count.step(
            4,
            |host| host.pong(1, 2),
            |s| {
                s.acknowledged += 1;
                s.unacknowledged -= 1;
                s.rtt_last = Some(Duration::from_millis(1));
                s.rtt_smoothed = s.rtt_last;
            },
        );
    }

    /// Whose answer is here has left, though nobody said so.
    #[test]
    fn a_pong_before_the_flush_writes_and_confirms() {
        let mut count = Count::connected(config());
        count.step(1, |host| host.send("1"), handed);
        count.quiet(25_000, Host::timer);
        count.step(
            25_040,
            |host| host.pong(1, 2),
            |s| {
                flushed(s, 1);
                s.acknowledged += 1;
                s.unacknowledged -= 1;
                s.rtt_last = Some(Duration::from_millis(40));
                s.rtt_smoothed = s.rtt_last;
            },
        );
        count.quiet(25_041, |host| host.flushed(1, 2));
    }

    #[test]
    fn a_connection_ends_with_messages_in_doubt() {
        let mut count = Count::connected(quiet());
        for n in 1..=3 {
            count.step(n, |host| host.send("1"), handed);
        }
        count.step(4, |host| host.flushed(1, 2), |s| flushed(s, 2));
        count.step(
            5,
            |host| host.closed(1, lost()),
            |s| {
                s.ended.lost += 1;
                s.in_doubt += 2;
                s.unacknowledged = 0;
            },
        );
        count.step(1_005, Host::timer, |s| s.attempts += 1);
        // The third never left whole, and goes again: its bytes twice, and the message once.
        count.step(
            1_006,
            |host| host.opened(2),
            |s| {
                s.opened += 1;
                s.bytes_sent += 1;
            },
        );
        count.step(1_007, |host| host.flushed(2, 1), |s| flushed(s, 1));
    }

    /// In its closing handshake they are still on the way.
    #[test]
    fn a_closing_handshake_leaves_them_unproven() {
        let mut count = Count::connected(quiet());
        count.step(1, |host| host.send("1"), handed);
        count.quiet(2, Host::disconnect);
        count.step(3, |host| host.flushed(1, 1), |s| flushed(s, 1));
        count.step(
            4,
            |host| host.closed(1, peer(1000)),
            |s| {
                s.ended.requested += 1;
                s.in_doubt += 1;
                s.unacknowledged = 0;
            },
        );
    }

    #[test]
    fn at_least_once_writes_again() {
        let mut count = Count::connected(Config { delivery: Delivery::AtLeastOnce, ..quiet() });
        count.step(1, |host| host.send("1"), handed);
        count.step(2, |host| host.send("2"), handed);
        // Written, and still in the outbox.
        let kept = |s: &mut Stats| {
            s.written += 2;
            s.unacknowledged += 2;
        };
        count.step(3, |host| host.flushed(1, 3), kept);
        count.step(
            4,
            |host| host.closed(1, lost()),
            |s| {
                s.ended.lost += 1;
                s.in_doubt += 2;
                s.unacknowledged = 0;
            },
        );
        count.step(1_004, Host::timer, |s| s.attempts += 1);
        count.step(
            1_005,
            |host| host.opened(2),
            |s| {
                s.opened += 1;
                s.bytes_sent += 2;
            },
        );
        count.step(
            1_006,
            |host| host.flushed(2, 3),
            |s| {
                s.rewritten += 2;
                s.unacknowledged += 2;
            },
        );
        count.step(
            1_016,
            |host| host.pong(2, 3),
            |s| {
                s.acknowledged += 2;
                s.unacknowledged = 0;
                s.outbox_messages -= 2;
                s.outbox_bytes -= 2;
                s.rtt_last = Some(Duration::from_millis(10));
                s.rtt_smoothed = s.rtt_last;
            },
        );
    }

    #[test]
    fn clearing_the_session_or_the_network_moves_nothing() {
        let mut count = Count::connected(config());
        count.quiet(1, Host::clear_session);
        count.quiet(2, |host| host.network(false));
        count.quiet(3, |host| host.network(true));
        count.quiet(4, Host::clear_outbox);
    }
}

mod messages_dropped {
    use super::*;

    fn by_input(text: &str) -> impl FnOnce(&mut Host) -> &mut Host {
        let input = Input::Send(json(text));
        |host| host.input(input)
    }

    /// What `send` hands back was never counted.
    #[test]
    fn not_those_that_were_handed_back() {
        let config = Config { outbox_max_messages: 1, outbox_max_bytes: 3, ..config() };
        let mut count = Count::new(config);
        count.step(0, |host| host.send("1"), |s| queued(s, 1));
        for text in ["2", "4444", "not json"] {
            count.quiet(1, |host| {
                assert!(host.try_send(text).is_err());
                host
            });
        }
        count.quiet(1, |host| {
            assert!(host.try_send_message(json("5").volatile()).is_err());
            host
        });
    }

    /// As an input there is nobody to hand it back to.
    #[test]
    fn those_that_were_refused() {
        let config = Config { outbox_max_messages: 1, outbox_max_bytes: 3, ..config() };
        let mut count = Count::new(config);
        count.step(0, by_input("4444"), |s| s.dropped.too_large += 1);
        count.step(
            0,
            |host| host.input(Input::Send(json("5").volatile())),
            |s| s.dropped.not_now += 1,
        );
        count.step(0, by_input("1"), |s| queued(s, 1));
        count.step(0, by_input("2"), |s| s.dropped.outbox_full += 1);
        count.step(1, Host::connect, |s| s.attempts += 1);
        count.quiet(2, |host| host.shutdown(10_000));
        count.step(3, by_input("3"), |s| s.dropped.shutting_down += 1);
        assert_eq!(count.stats.dropped.total(), 4);
    }

    #[test]
    fn the_oldest() {
        let config =
            Config { outbox_max_messages: 2, overflow: OverflowPolicy::DropOldest, ..config() };
        let mut count = Count::new(config);
        count.step(0, |host| host.send("1"), |s| queued(s, 1));
        count.step(0, |host| host.send("2"), |s| queued(s, 1));
        count.step(
            0,
            |host| host.send("3"),
            |s| {
                s.accepted += 1;
                s.dropped.outbox_full += 1;
            },
        );
    }

    #[test]
    fn several_of_the_oldest() {
        let config =
            Config { outbox_max_bytes: 4, overflow: OverflowPolicy::DropOldest, ..config() };
        let mut count = Count::new(config);
        for _ in 0..4 {
            count.step(0, |host| host.send("1"), |s| queued(s, 1));
        }
        count.step(
            0,
            |host| host.send("333"),
            |s| {
                s.accepted += 1;
                s.dropped.outbox_full += 3;
                (s.outbox_messages, s.outbox_bytes) = (2, 4);
            },
        );
    }

    #[test]
    fn the_newest() {
        let config =
            Config { outbox_max_messages: 1, overflow: OverflowPolicy::DropNewest, ..config() };
        let mut count = Count::new(config);
        count.step(0, |host| host.send("1"), |s| queued(s, 1));
        // It had a name, and so it was accepted.
        count.step(
            0,
            |host| host.send("2"),
            |s| {
                s.accepted += 1;
                s.dropped.outbox_full += 1;
            },
        );
    }

    #[test]
    fn the_expired() {
        let mut count = Count::new(config());
        let ttl = Duration::from_secs(1);
        count.step(0, |host| host.send_message(json("1").with_ttl(ttl)), |s| queued(s, 1));
        count.step(0, |host| host.send("2"), |s| queued(s, 1));
        count.quiet(999, Host::timer);
        count.step(1_000, Host::timer, |s| {
            s.dropped.expired += 1;
            s.outbox_messages -= 1;
            s.outbox_bytes -= 1;
        });
    }

    #[test]
    fn the_cleared() {
        let mut count = Count::new(config());
        count.step(0, |host| host.send("1"), |s| queued(s, 1));
        count.step(0, |host| host.send("2"), |s| queued(s, 1));
        count.step(1, Host::clear_outbox, |s| {
            s.dropped.cleared += 2;
            (s.outbox_messages, s.outbox_bytes) = (0, 0);
        });
        count.quiet(2, Host::clear_outbox);
    }

    #[test]
    fn the_volatile_under_a_connection_that_ended() {
        let mut count = Count::connected(quiet());
        count.step(1, |host| host.send_message(json("1").volatile()), handed);
        count.step(
            2,
            |host| host.closed(1, lost()),
            |s| {
                s.ended.lost += 1;
                s.dropped.connection_lost += 1;
                (s.outbox_messages, s.outbox_bytes) = (0, 0);
            },
        );
    }
}

mod messages_in {
    use super::*;

    fn got(s: &mut Stats, bytes: usize) {
        s.received += 1;
        s.bytes_received += bytes as u64;
    }

    #[test]
    fn by_kind() {
        let mut count = Count::connected(quiet());
        for text in [
            r#"{"type":"chat","text":"hi"}"#,
            r#"{"type":"chat-message"}"#,
            r#"{"type":"status-update"}"#,
            r#"{"type":"pr-notification"}"#,
            r#"{"type":"player-joined"}"#,
            r#"{"type":"player-left"}"#,
            r#"{"type":"session-init"}"#,
        ] {
            count.step(1, |host| host.text(1, text), |s| got(s, text.len()));
        }
        for text in ["0", "null", "[]", "{}", r#"{"type":7}"#, r#"{"type":"else"}"#] {
            count.step(
                2,
                |host| host.text(1, text),
                |s| {
                    got(s, text.len());
                    s.unhandled += 1;
                },
            );
        }
        for text in ["", "hi", "{", r#"{"type":"chat"} 1"#] {
            count.step(
                3,
                |host| host.text(1, text),
                |s| {
                    got(s, text.len());
                    s.malformed += 1;
                },
            );
        }
        let binary = Frame::Binary(vec![1, 2, 3].into());
        count.step(
            4,
            |host| host.frame(1, binary),
            |s| {
                got(s, 3);
                s.malformed += 1;
            },
        );
    }

    #[test]
    fn not_those_that_are_no_messages() {
        let mut count = Count::connected(quiet());
        count.quiet(1, |host| host.frame(1, Frame::Ping(vec![1].into())));
        count.quiet(2, |host| host.frame(1, Frame::Pong(vec![1].into())));
    }

    /// What is received on the way out was sent to us all the same.
    #[test]
    fn on_the_way_out() {
        let mut count = Count::connected(quiet());
        count.quiet(1, Host::disconnect);
        count.step(
            2,
            |host| host.text(1, "0"),
            |s| {
                got(s, 1);
                s.unhandled += 1;
            },
        );
    }

    #[test]
    fn not_on_a_connection_that_is_not_there() {
        let mut count = Count::new(quiet());
        count.step(0, Host::connect, |s| s.attempts += 1);
        count.quiet(1, |host| host.text(1, "0"));
        count.step(2, |host| host.closed(1, lost()), |s| s.ended.lost += 1);
        count.quiet(3, |host| host.text(1, "0"));
        count.quiet(4, |host| host.text(2, "0"));
    }
}

mod round_trips {
    use super::*;

    fn rtt(s: &mut Stats, last: u64, smoothed_micros: u64) {
        s.rtt_last = Some(Duration::from_millis(last));
        s.rtt_smoothed = Some(Duration::from_micros(smoothed_micros));
    }

    /// Each new one counts an eighth (RFC 6298 §2).
    #[test]
    fn are_smoothed() {
        let mut count = Count::connected(config());
        let mut now = 25_000;
        for (seq, (last, smoothed)) in
            (1..).zip([(100, 100_000_000), (200, 112_500_000), (20, 100_937_500), (0, 88_320_312)])
        {
            count.quiet(now, Host::timer);
            count.quiet(now, |host| host.flushed(1, seq));
            count.step(
                now + last,
                |host| host.pong(1, seq),
                |s| {
                    s.rtt_last = Some(Duration::from_millis(last));
                    s.rtt_smoothed = Some(Duration::from_nanos(smoothed));
                },
            );
            now += last + 25_000;
        }
    }

    /// They begin when the Ping has left, not when it was written: our own buffers are not the way.
    #[test]
    fn begin_when_the_ping_has_left() {
        let mut count = Count::connected(config());
        count.quiet(25_000, Host::timer);
        count.quiet(29_000, |host| host.flushed(1, 1));
        count.step(29_070, |host| host.pong(1, 1), |s| rtt(s, 70, 70_000));
    }

    #[test]
    fn begin_with_the_ping_where_nobody_said_that_it_left() {
        let mut count = Count::connected(config());
        count.quiet(25_000, Host::timer);
        count.step(25_090, |host| host.pong(1, 1), |s| rtt(s, 90, 90_000));
    }

    #[test]
    fn are_not_measured_by_a_pong_that_answers_nothing() {
        let mut count = Count::connected(config());
        count.quiet(1, |host| host.frame(1, Frame::Pong(vec![].into())));
        count.quiet(2, |host| host.pong(1, 1));
        count.quiet(25_000, Host::timer);
        count.quiet(25_001, |host| host.pong(1, 2));
        count.quiet(25_002, |host| host.frame(1, pong(2, 1)));
    }

    /// Another network, perhaps, and other times. The latest stays until there is a newer one.
    #[test]
    fn are_smoothed_anew_on_each_connection() {
        let mut count = Count::connected(config());
        count.quiet(25_000, Host::timer);
        count.step(25_400, |host| host.pong(1, 1), |s| rtt(s, 400, 400_000));
        count.step(25_401, |host| host.closed(1, lost()), |s| s.ended.lost += 1);
        count.step(26_401, Host::timer, |s| s.attempts += 1);
        count.step(
            26_402,
            |host| host.opened(2),
            |s| {
                s.opened += 1;
                s.rtt_smoothed = None;
            },
        );
        count.quiet(51_402, Host::timer);
        count.step(51_412, |host| host.pong(2, 1), |s| rtt(s, 10, 10_000));
    }
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
        r#"{"attempts":0,"opened":0,"ended":{"requested":0,"peer":0,"lost":0,"resolve":0,"connect":0,"proxy":0,"tls":0,"http":0,"credentials":0,"upgrade":0,"protocol":0,"timeout":0},"resumed":0,"accepted":0,"written":0,"acknowledged":0,"in_doubt":0,"rewritten":0,"dropped":{"outbox_full":0,"too_large":0,"expired":0,"not_now":0,"connection_lost":0,"cleared":0,"shutting_down":0},"bytes_sent":0,"received":0,"unhandled":0,"malformed":0,"bytes_received":0,"outbox_messages":0,"outbox_bytes":0,"unacknowledged":0,"rtt_last_ms":null,"rtt_smoothed_ms":null}"#
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
