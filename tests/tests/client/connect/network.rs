//! What the system says of the network, and what a clock that jumped says of the machine.

use std::time::Duration;

use hermes_proto::reason::RetryAfter::Seconds;
use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, CloseReason, Config, ConnId, Delivery, FailReason, Frame, ResumeMode, Session, Start,
    State,
};
use hermes_tests::*;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Held until there is a network.
#[track_caller]
fn is_held(host: &Host, attempt: u32, after: impl Into<Option<CloseReason>>) {
    let (until, after) = (None, after.into());
    assert_eq!(host.state(), State::Waiting { until, attempt, after, asked: None });
    assert_eq!(host.client().deadline(), None);
}

/// A client whose first attempt, at time 0, failed at once, and whose network then went away.
fn held() -> Host {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1).network(false).expect([disarm()]);
    host
}

/// A client with a session, whose gateway does not answer `session-resume`.
fn gated(config: Config) -> Host {
    let session = Session { token: "t".into(), client_id: None, saved_at: 0, origin: None };
    let config = Config { resume: ResumeMode::Wait, ..config };
    let mut host = Host::start(config, Start { session: Some(session), ..start() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([resume(1, "t"), connected(1), arm(10_000)]);
    host
}

mod offline {
    use super::*;

    #[test]
    fn at_rest() {
        let mut host = Host::new(config());
        host.at(0).network(false).expect([]);
        host.at(1).network(true).expect([]);
        host.at(2).network(true).expect([]);
        assert_eq!(host.state(), State::Idle);
    }

    #[test]
    fn connect_is_held() {
        let mut host = Host::new(config());
        host.at(0).network(false).expect([]);
        host.at(1).connect().expect([]);
        is_held(&host, 0, None);
        host.at(2).connect().expect([]);
        host.at(3_600_000).timer().expect([]);
        host.at(3_600_001).network(true).expect([open(1), arm(3_615_001)]);
        let (conn, stage, deadline) = (ConnId(1), Stage::Connect, ms(3_615_001));
        assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
    }

    #[test]
    fn connect_is_held_and_taken_back() {
        let mut host = Host::new(config());
        host.at(0).network(false).expect([]);
        host.at(1).connect().expect([]);
        host.at(2).disconnect().expect([]);
        assert_eq!(host.state(), State::Idle);
        host.at(3).network(true).expect([]);
    }

    /// What is under way may still come to something: the system may be wrong.
    #[test]
    fn an_attempt_under_way_goes_on() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).network(false).expect([]);
        assert!(matches!(host.state(), State::Connecting { .. }));
        host.at(2).opened(1).expect([connected(1), arm(25_002)]);
        host.at(3).send("1").expect([send(1, 1, "1")]);
    }

    #[test]
    fn an_attempt_under_way_fails() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).network(false).expect([]);
        host.at(2)
            .closed(1, unreachable())
            .expect([disconnected(1, 1006, unreachable(), None), disarm()]);
        is_held(&host, 0, unreachable());
        host.at(600).network(true).expect([open(2), arm(15_600)]);
    }

    #[test]
    fn an_attempt_under_way_takes_too_long() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).network(false).expect([]);
        let reason = timeout(Stage::Connect);
        host.at(15_000).timer().expect([abandon(1), disconnected(1, 1006, reason.clone(), None)]);
        is_held(&host, 0, reason);
    }

    /// A network that is back before the link has noticed is none that was away.
    #[test]
    fn an_open_connection_goes_on() {
        let mut host = Host::connected(quiet());
        host.at(1).network(false).expect([]);
        assert!(matches!(host.state(), State::Open { .. }));
        host.at(2).send("1").expect([send(1, 1, "1")]);
        host.at(3).text(1, "2").expect([event("2")]);
    }

    #[test]
    fn an_open_connection_is_lost() {
        let mut host = Host::connected(config());
        host.at(1).network(false).expect([]);
        host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), None), disarm()]);
        is_held(&host, 0, lost());
        host.at(700).network(true).expect([open(2), arm(15_700)]);
    }

    /// Its heartbeat goes on as well.
    #[test]
    fn an_open_connection_dies() {
        let mut host = Host::connected(config());
        host.at(1).network(false).expect([]);
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        let reason = timeout(Stage::Heartbeat);
        host.at(35_000).timer().expect([abandon(1), disconnected(1, 1006, reason.clone(), None)]);
        is_held(&host, 0, reason);
        host.at(36_000).network(true).expect([open(2), arm(51_000)]);
    }

    #[test]
    fn a_closing_handshake_goes_on() {
        let mut host = Host::connected(quiet());
        host.at(1).closing(1, peer(1001)).expect([arm(5_001)]);
        host.at(2).network(false).expect([]);
        host.at(3).closed(1, lost()).expect([disconnected(1, 1001, peer(1001), None), disarm()]);
        is_held(&host, 0, peer(1001));

        let mut host = Host::connected(quiet());
        host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
        host.at(2).network(false).expect([]);
        let gone = disconnected(1, 1006, CloseReason::Requested, None);
        host.at(5_001).timer().expect([abandon(1), gone]);
        assert_eq!(host.state(), State::Idle);
    }

    #[test]
    fn a_wait_is_held() {
        let mut host = held();
        is_held(&host, 1, lost());
        host.at(1_000).timer().expect([]);
        host.at(2_000).network(false).expect([]);
        host.at(3_600_000).timer().expect([]);
        is_held(&host, 1, lost());
    }

    #[test]
    fn a_wait_that_is_held_can_be_called_off() {
        let mut host = held();
        host.at(2).disconnect().expect([]);
        assert_eq!(host.state(), State::Idle);
        host.at(3).network(true).expect([]);
    }

    /// Impatience does not make a network.
    #[test]
    fn connect_while_held() {
        let mut host = held();
        host.at(600).connect().expect([]);
        host.at(2_000).connect().expect([]);
        assert!(matches!(host.state(), State::Waiting { until: None, .. }));
        host.at(3_000).network(true).expect([open(2), arm(18_000)]);
    }

    #[test]
    fn failure_stays() {
        let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).closed(1, lost()).expect([
            disconnected(1, 1006, lost(), None),
            failed(0, FailReason::Attempts),
            disarm(),
        ]);
        host.at(2).network(false).expect([]);
        host.at(3).network(true).expect([]);
        assert!(matches!(host.state(), State::Failed { .. }));
    }

    #[test]
    fn connect_after_failure_is_held() {
        let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).closed(1, lost()).skip();
        host.at(2).network(false).expect([]);
        host.at(3).connect().expect([]);
        is_held(&host, 0, lost());
        // The floor is there as well.
        host.at(4).network(true).expect([arm(500)]);
        host.at(500).timer().expect([open(2), arm(15_500)]);
    }

    /// The one that `connect` asked for behind a `disconnect` is held as any other, and the news of
    /// the end does not promise it.
    #[test]
    fn a_connection_behind_a_disconnect_is_held() {
        let mut host = Host::connected(quiet());
        host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
        host.at(11).connect().expect([]);
        host.at(12).network(false).expect([]);
        host.at(13)
            .closed(1, peer(1000))
            .expect([disconnected(1, 1000, CloseReason::Requested, None), disarm()]);
        is_held(&host, 0, CloseReason::Requested);
        host.at(14).network(true).expect([open(2), arm(15_014)]);
    }

    #[test]
    fn what_is_sent_waits_in_the_outbox() {
        let mut host = held();
        host.at(2).send("1").expect([]);
        host.at(3_000).network(true).expect([open(2), arm(18_000)]);
        host.at(3_001).opened(2).expect([send(2, 1, "1"), connected(2), arm(28_001)]);
    }

    #[test]
    fn a_shutdown_does_not_wait_for_a_network_for_ever() {
        let mut host = held();
        host.at(2).send("1").expect([]);
        host.at(3).shutdown(5_000).expect([arm(5_003)]);
        host.at(5_003).timer().expect([shut_down(0, 0, 1)]);
        assert_eq!(host.state(), State::Idle);
    }
}

mod the_budget {
    use super::*;

    /// The last attempt of all failed, and there was no network for it.
    #[test]
    fn an_attempt_that_fails_offline_is_not_counted() {
        let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
        host.at(1_000).timer().expect([open(2), arm(16_000)]);
        let mut now = 1_000;
        for conn in 2..10 {
            host.at(now + 1).network(false).expect([]);
            host.at(now + 2)
                .closed(conn, lost())
                .expect([disconnected(conn, 1006, lost(), None), disarm()]);
            is_held(&host, 1, lost());
            now += 60_000;
            host.at(now).network(true).expect([open(conn + 1), arm(now + 15_000)]);
            assert!(matches!(host.state(), State::Connecting { attempt: 1, .. }));
        }
        host.at(now).closed(10, lost()).expect([
            disconnected(10, 1006, lost(), None),
            failed(1, FailReason::Attempts),
            disarm(),
        ]);
    }

    /// That the first one fails offline leaves all of them.
    #[test]
    fn the_first_attempt_fails_offline() {
        let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
        host.at(0).network(false).expect([]);
        host.at(0).connect().expect([]);
        host.at(1_000).network(true).expect([open(1), arm(16_000)]);
        host.at(1_001).network(false).expect([]);
        host.at(1_002).closed(1, lost()).expect([disconnected(1, 1006, lost(), None), disarm()]);
        host.at(2_000).network(true).expect([open(2), arm(17_000)]);
        host.at(2_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_000), arm(3_000)]);
        host.at(3_000).timer().expect([open(3), arm(18_000)]);
        host.at(3_000).closed(3, lost()).expect([
            disconnected(3, 1006, lost(), None),
            failed(1, FailReason::Attempts),
            disarm(),
        ]);
    }

    /// An attempt that fails while there is a network counts, whatever brought it forward. Else a
    /// phone that goes from mast to mast would never be told that its gateway is gone.
    #[test]
    fn a_network_that_changes_all_the_time_does_not_make_it_endless() {
        let mut host = Host::new(Config { max_attempts: Some(3), ..config() });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        let mut now = 0;
        for conn in 1..=3 {
            host.at(now).closed(conn, lost()).skip();
            now += 600;
            host.at(now).network(true).expect([open(conn + 1), arm(now + 15_000)]);
            let attempt = u32::try_from(conn).expect("there are few");
            let (conn, stage, deadline) = (ConnId(conn + 1), Stage::Connect, ms(now + 15_000));
            assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt });
        }
        host.at(now).closed(4, lost()).expect([
            disconnected(4, 1006, lost(), None),
            failed(3, FailReason::Attempts),
            disarm(),
        ]);
    }

    fn ten_seconds() -> Config {
        Config { max_elapsed: Some(secs(10)), max_attempts: None, ..config() }
    }

    #[test]
    fn time_offline_does_not_count() {
        let mut host = Host::new(ten_seconds());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(100).network(false).expect([]);
        host.at(200).closed(1, lost()).expect([disconnected(1, 1006, lost(), None), disarm()]);
        // Said again, it is the same outage.
        host.at(2_000_000).network(false).expect([]);
        host.at(3_600_100).network(true).expect([open(2), arm(3_615_100)]);
        // 0.1 s are spent by now.
        let mut now = 3_600_100;
        for (conn, wait) in [(2, 1_000), (3, 2_000), (4, 4_000)] {
            let retry = now + wait;
            host.at(now)
                .closed(conn, lost())
                .expect([disconnected(conn, 1006, lost(), retry), arm(retry)]);
            now = retry;
            host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
        }
        host.at(now).closed(5, lost()).expect([
            disconnected(5, 1006, lost(), None),
            failed(3, FailReason::Elapsed),
            disarm(),
        ]);
    }

    #[test]
    fn time_before_and_between_counts() {
        let mut host = Host::new(ten_seconds());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        // Five seconds with a network, an hour without, five seconds with.
        host.at(5_000).network(false).expect([]);
        // The attempt slept as well.
        host.at(3_605_000).network(true).expect([arm(3_620_000)]);
        host.at(3_609_000)
            .closed(1, lost())
            .expect([disconnected(1, 1006, lost(), 3_610_000), arm(3_610_000)]);
        host.at(3_610_000).timer().expect([open(2), arm(3_625_000)]);
        host.at(3_610_000).closed(2, lost()).expect([
            disconnected(2, 1006, lost(), None),
            failed(1, FailReason::Elapsed),
            disarm(),
        ]);
    }

    /// A network that was away before does not lend time.
    #[test]
    fn time_offline_before_the_call_does_not_count_either_way() {
        let mut host = Host::new(Config { max_elapsed: Some(secs(1)), ..config() });
        host.at(0).network(false).expect([]);
        host.at(50_000).connect().expect([]);
        host.at(80_000).network(true).expect([open(1), arm(95_000)]);
        host.at(80_000)
            .closed(1, lost())
            .expect([disconnected(1, 1006, lost(), 81_000), arm(81_000)]);
        host.at(81_000).timer().expect([open(2), arm(96_000)]);
        host.at(81_000).closed(2, lost()).expect([
            disconnected(2, 1006, lost(), None),
            failed(1, FailReason::Elapsed),
            disarm(),
        ]);
    }

    /// An attempt that was held for long is not refused for that.
    #[test]
    fn an_attempt_is_held_beyond_the_elapsed_time() {
        let mut host = Host::new(ten_seconds());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
        host.at(1).network(false).expect([disarm()]);
        host.at(3_600_000).network(true).expect([open(2), arm(3_615_000)]);
    }
}

mod online {
    use super::*;

    #[test]
    fn the_next_attempt_begins_at_once() {
        // Whether its time has come,
        let mut host = held();
        host.at(5_000).network(true).expect([open(2), arm(20_000)]);
        // or not.
        let mut host = held();
        host.at(700).network(true).expect([open(2), arm(15_700)]);
    }

    /// "Again, or another way": a client that was never told that it is offline.
    #[test]
    fn another_network_ends_a_wait() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
        host.at(600).network(true).expect([open(2), arm(15_600)]);
    }

    #[test]
    fn not_before_the_floor() {
        let mut host = held();
        host.at(100).network(true).expect([arm(500)]);
        assert!(matches!(host.state(), State::Waiting { until: Some(at), .. } if at == ms(500)));
        host.at(200).network(true).expect([]);
        host.at(499).timer().expect([arm(500)]);
        host.at(500).timer().expect([open(2), arm(15_500)]);
    }

    /// A wait that is shorter than the floor stays as it is.
    #[test]
    fn an_attempt_is_not_delayed() {
        let backoff_base = Duration::from_millis(100);
        let mut host = Host::new(Config { backoff_base, ..config() });
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 100), arm(100)]);
        host.at(1).network(true).expect([]);
        host.at(2).network(false).expect([disarm()]);
        host.at(3).network(true).expect([arm(100)]);
        host.at(100).timer().expect([open(2), arm(15_100)]);
    }

    #[test]
    fn an_attempt_under_way_is_let_be() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).network(true).expect([]);
        host.at(2).network(false).expect([]);
        host.at(3).network(true).expect([]);
        host.at(4).opened(1).expect([connected(1), arm(25_004)]);
    }

    /// Attempts fail as soon as they begin, and the network comes and goes every 10 ms.
    #[test]
    fn flapping_is_no_faster_than_the_floor() {
        let mut host = Host::new(Config { max_attempts: None, ..config() });
        host.at(0).connect().skip();
        let (mut begins, mut conn) = (vec![0], 1);
        let mut look = |now: u64, actions: Vec<Action>| {
            begins.extend(actions.iter().any(|a| matches!(a, Action::Open { .. })).then_some(now));
            begins.len() as u64
        };
        for now in (10..20_000).step_by(10) {
            if host.client().conn().is_some() {
                host.at(now).closed(conn, lost()).skip();
            }
            host.at(now + 1).network(false).skip();
            look(now + 2, host.at(now + 2).network(true).take());
            conn = look(now + 3, host.at(now + 3).timer().take());
        }
        let apart = begins.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(apart.clone().all(|ms| ms >= 500), "{begins:?}");
        // And no slower than it must be.
        assert!(apart.clone().all(|ms| ms <= 520), "{begins:?}");
    }

    #[test]
    fn flapping_in_single_steps() {
        let mut host = held();
        host.at(2).network(true).expect([arm(500)]);
        host.at(3).network(false).expect([disarm()]);
        host.at(4).network(true).expect([arm(500)]);
        host.at(5).network(false).expect([disarm()]);
        host.at(500).timer().expect([]);
        host.at(501).network(true).expect([open(2), arm(15_501)]);
        host.at(502).closed(2, lost()).skip();
        host.at(503).network(false).expect([disarm()]);
        host.at(504).network(true).expect([arm(1_001)]);
    }
}

mod a_wait_that_the_gateway_asked_for {
    use super::*;

    fn asked(config: Config, reason: CloseReason, retry: u64) -> Host {
        let mut host = Host::new(config);
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0)
            .closed(1, reason.clone())
            .expect([disconnected(1, reason.code(), reason, retry), arm(retry)]);
        host
    }

    #[test]
    fn is_not_cut_short() {
        for (reason, retry) in [(http(503, Seconds(60)), 60_000), (peer(1013), 5_000)] {
            let mut host = asked(config(), reason, retry);
            host.at(1_000).network(true).expect([]);
            host.at(2_000).network(false).expect([disarm()]);
            host.at(3_000).network(true).expect([arm(retry)]);
            host.at(retry - 1).network(true).expect([]);
            host.at(retry).timer().expect([open(2), arm(retry + 15_000)]);
        }
    }

    #[test]
    fn is_over_by_the_time_there_is_a_network() {
        let mut host = asked(config(), http(429, Seconds(60)), 60_000);
        host.at(1_000).network(false).expect([disarm()]);
        host.at(60_000).timer().expect([]);
        host.at(70_000).network(true).expect([open(2), arm(85_000)]);
    }

    #[test]
    fn is_asked_for_while_offline() {
        for (online, actions) in [(5_000, vec![arm(60_002)]), (60_002, vec![open(2), arm(75_002)])]
        {
            let mut host = Host::new(config());
            host.at(0).connect().expect([open(1), arm(15_000)]);
            host.at(1).network(false).expect([]);
            let reason = http(503, Seconds(60));
            host.at(2)
                .closed(1, reason.clone())
                .expect([disconnected(1, 1006, reason.clone(), None), disarm()]);
            let (until, after, asked) = (None, Some(reason), Some(secs(60)));
            assert_eq!(host.state(), State::Waiting { until, attempt: 0, after, asked });
            host.at(online).network(true).expect(actions);
        }
    }

    #[test]
    fn is_cut_short_by_connect() {
        let mut host = asked(config(), http(503, Seconds(60)), 60_000);
        host.at(1_000).network(false).expect([disarm()]);
        host.at(2_000).connect().expect([]);
        host.at(3_000).network(true).expect([open(2), arm(18_000)]);
    }

    /// Our own backoff is the longer one, and a network ends that: down to what was asked for.
    #[test]
    fn is_shorter_than_the_backoff() {
        let slow = Config { backoff_base: secs(20), ..config() };
        let mut host = asked(slow.clone(), http(503, Seconds(5)), 20_000);
        host.at(1_000).network(true).expect([arm(5_000)]);
        host.at(5_000).timer().expect([open(2), arm(20_000)]);

        let mut host = asked(slow, http(503, Seconds(5)), 20_000);
        host.at(6_000).network(true).expect([open(2), arm(21_000)]);
    }

    /// "Come back at once", says the gateway.
    #[test]
    fn is_nothing() {
        let mut host = asked(config(), http(503, Seconds(0)), 1_000);
        host.at(600).network(true).expect([open(2), arm(15_600)]);
    }

    #[test]
    fn is_forgotten_with_the_next_end() {
        let mut host = asked(config(), http(503, Seconds(60)), 60_000);
        host.at(60_000).timer().expect([open(2), arm(75_000)]);
        host.at(60_000)
            .closed(2, lost())
            .expect([disconnected(2, 1006, lost(), 62_000), arm(62_000)]);
        host.at(60_700).network(true).expect([open(3), arm(75_700)]);
    }
}

mod an_open_connection {
    use super::*;

    #[test]
    fn is_asked_with_one_ping() {
        let mut host = Host::connected(config());
        host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
        host.at(10_100).pong(1, 1).expect([arm(35_100)]);
        assert!(matches!(host.state(), State::Open { .. }));
    }

    #[test]
    fn is_asked_when_the_network_is_back() {
        let mut host = Host::connected(config());
        host.at(1_000).network(false).expect([]);
        host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
    }

    #[test]
    fn is_dropped_where_it_does_not_answer() {
        let mut host = Host::connected(config());
        host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
        host.at(20_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), 21_000),
            arm(21_000),
        ]);
    }

    #[test]
    fn answers_with_whatever_it_has() {
        for frame in [Frame::Pong(vec![9].into()), Frame::Ping(vec![].into())] {
            let mut host = Host::connected(config());
            host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
            host.at(19_999).frame(1, frame).expect([arm(44_999)]);
        }
    }

    /// The Ping waits behind others in our own buffers. Another one would wait behind it.
    #[test]
    fn is_asked_once_while_the_ping_has_not_left() {
        let mut host = Host::connected(config());
        host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
        host.at(11_000).network(true).expect([]);
        host.at(12_000).network(false).expect([]);
        host.at(13_000).network(true).expect([]);
    }

    /// "Not more often than `min_connect_interval` allows."
    #[test]
    fn is_not_asked_more_often_than_the_floor_allows() {
        let mut host = Host::connected(config());
        host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
        host.at(10_001).flushed(1, 1).expect([]);
        for now in 10_002..10_400 {
            host.at(now).network(true).expect([]);
        }
    }

    /// However often the network changes, it has no longer to answer.
    #[test]
    fn is_not_kept_alive_by_changes() {
        let mut host = Host::connected(config());
        host.at(10_000).network(true).expect([ping(1, 1), arm(20_000)]);
        for now in (11_000..20_000).step_by(1_000) {
            let actions = host.at(now).network(true).take();
            assert!(!actions.iter().any(|action| matches!(action, Action::ArmTimer(_))), "{now}");
            host.flushed(1, now).skip();
        }
        host.at(20_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), 21_000),
            arm(21_000),
        ]);
    }

    /// The heartbeat has asked already, and is waited for.
    #[test]
    fn is_asked_already() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(30_000).network(true).expect([]);
        host.at(35_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), 36_000),
            arm(36_000),
        ]);
    }

    /// A Ping that left on another network may be lost with it; so another one goes.
    #[test]
    fn is_asked_once_more_where_the_ping_has_left() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_001).flushed(1, 1).expect([]);
        host.at(30_000).network(true).expect([ping(1, 2)]);
        host.at(30_100).pong(1, 2).expect([arm(55_100)]);
    }

    #[test]
    fn has_no_heartbeat_and_is_not_asked() {
        let mut host = Host::connected(quiet());
        host.at(10_000).network(true).expect([]);
        let mut host = Host::connected(Config { can_ping: false, ..config() });
        host.at(10_000).network(true).expect([]);
    }

    #[test]
    fn is_asked_behind_what_was_sent() {
        let mut host = Host::connected(config());
        host.at(1).send("1").expect([send(1, 1, "1")]);
        host.at(2).send("2").expect([send(1, 2, "2")]);
        host.at(10_000).network(true).expect([ping(1, 3), arm(20_000)]);
        // The probe is a fence as well.
        host.at(10_001).flushed(1, 3).expect([]);
        host.at(10_100).pong(1, 3).expect([arm(35_100)]);
        assert_eq!(host.client().stats().acknowledged, 2);
    }

    #[test]
    fn is_asked_while_it_waits_for_session_init() {
        let mut host = gated(config());
        host.at(2_000).network(true).expect([ping(1, 2)]);
        host.at(10_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Resume), 11_000),
            arm(11_000),
        ]);
    }

    #[test]
    fn on_its_way_out_is_not_asked() {
        let mut host = Host::connected(config());
        host.at(1).closing(1, peer(1001)).expect([arm(5_001)]);
        host.at(2).network(true).expect([]);
        let mut host = Host::connected(config());
        host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
        host.at(2).network(true).expect([]);
    }
}

mod a_clock_that_jumped {
    use super::*;

    #[test]
    fn asks_again() {
        for late in [5_000, 3_600_000] {
            let mut host = Host::connected(config());
            host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
            host.at(25_001).flushed(1, 1).expect([]);
            let now = 35_000 + late;
            host.at(now).timer().expect([ping(1, 2), arm(now + 10_000)]);
            host.at(now + 50).pong(1, 2).expect([arm(now + 25_050)]);
        }
    }

    /// A Ping that has not left is not followed by another; it has all the time again.
    #[test]
    fn waits_again_where_the_ping_has_not_left() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(40_000).timer().expect([arm(50_000)]);
        host.at(40_001).flushed(1, 1).expect([]);
        host.at(40_050).pong(1, 1).expect([arm(65_050)]);
    }

    /// The verdict is put off, not off.
    #[test]
    fn gives_up_where_there_is_no_answer_to_that_either() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_001).flushed(1, 1).expect([]);
        host.at(3_600_000).timer().expect([ping(1, 2), arm(3_610_000)]);
        host.at(3_610_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), 3_611_000),
            arm(3_611_000),
        ]);
    }

    #[test]
    fn ordinary_lateness_kills() {
        for late in [0, 1, 4_999] {
            let mut host = Host::connected(config());
            host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
            let now = 35_000 + late;
            host.at(now).timer().expect([
                abandon(1),
                disconnected(1, 1006, timeout(Stage::Heartbeat), now + 1_000),
                arm(now + 1_000),
            ]);
        }
    }

    /// The timer that did not fire is seen to by any other input.
    #[test]
    fn is_seen_with_any_input() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_001).flushed(1, 1).expect([]);
        host.at(90_000).send("1").expect([send(1, 2, "1"), ping(1, 3), arm(100_000)]);
    }

    /// What was received counts before the timer.
    #[test]
    fn is_no_matter_where_the_answer_came() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_001).flushed(1, 1).expect([]);
        host.at(90_000).pong(1, 1).expect([arm(115_000)]);
        host.at(90_000).timer().expect([arm(115_000)]);
    }

    /// Where nothing was asked before, there is nothing to be patient about: it is asked.
    #[test]
    fn asks_for_the_first_time() {
        let mut host = Host::connected(config());
        host.at(3_600_000).timer().expect([ping(1, 1), arm(3_610_000)]);
        host.at(3_610_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), 3_611_000),
            arm(3_611_000),
        ]);
    }

    #[test]
    fn gives_an_attempt_its_time_again() {
        for late in [5_000, 3_600_000] {
            let mut host = Host::new(config());
            host.at(0).connect().expect([open(1), arm(15_000)]);
            let now = 15_000 + late;
            host.at(now).timer().expect([arm(now + 15_000)]);
            let (conn, stage, deadline) = (ConnId(1), Stage::Connect, ms(now + 15_000));
            assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
            host.at(now + 100).opened(1).expect([connected(1), arm(now + 25_100)]);
        }
    }

    #[test]
    fn gives_an_attempt_its_time_once() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(20_000).timer().expect([arm(35_000)]);
        host.at(35_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Connect), 36_000),
            arm(36_000),
        ]);
    }

    #[test]
    fn an_attempt_that_is_late_is_dropped() {
        for late in [0, 1, 4_999] {
            let mut host = Host::new(config());
            host.at(0).connect().expect([open(1), arm(15_000)]);
            let now = 15_000 + late;
            host.at(now).timer().expect([
                abandon(1),
                disconnected(1, 1006, timeout(Stage::Connect), now + 1_000),
                arm(now + 1_000),
            ]);
        }
    }

    #[test]
    fn gives_credentials_their_time_again() {
        let mut host = Host::new(Config { ask_credentials: true, ..config() });
        host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
        host.at(35_000).timer().expect([arm(65_000)]);
        host.at(65_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Credentials), 66_000),
            arm(66_000),
        ]);
    }

    #[test]
    fn gives_the_gateway_its_time_for_session_init_again() {
        let mut host = gated(quiet());
        host.at(15_000).timer().expect([arm(25_000)]);
        let resuming = Some(ms(25_000));
        assert_eq!(host.state(), State::Open { conn: ConnId(1), since: ms(0), resuming });
        host.at(25_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Resume), 26_000),
            arm(26_000),
        ]);

        let mut host = gated(quiet());
        host.at(14_999).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Resume), 15_999),
            arm(15_999),
        ]);
    }

    /// There, with a heartbeat, both are put off: the gateway is asked, and has its time.
    #[test]
    fn asks_a_gateway_that_owes_session_init() {
        let mut host = gated(config());
        host.at(3_600_000).timer().expect([ping(1, 2), arm(3_610_000)]);
        host.at(3_600_050)
            .text(1, r#"{"type":"session-init"}"#)
            .expect([event(r#"{"type":"session-init"}"#), arm(3_625_050)]);
    }

    /// On its way out there is nothing to ask.
    #[test]
    fn does_not_keep_a_closing_handshake() {
        let mut host = Host::connected(config());
        host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
        host.at(3_600_000)
            .timer()
            .expect([abandon(1), disconnected(1, 1006, CloseReason::Requested, None)]);
    }

    #[test]
    fn ends_a_wait() {
        let mut host = Host::new(config());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
        host.at(3_600_000).timer().expect([open(2), arm(3_615_000)]);
    }

    #[test]
    fn is_a_setting() {
        let mut host =
            Host::connected(Config { suspend_threshold: Duration::from_millis(1), ..config() });
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(25_001).flushed(1, 1).expect([]);
        host.at(35_001).timer().expect([ping(1, 2), arm(45_001)]);
        host.at(45_001).timer().skip();
        assert!(matches!(host.state(), State::Waiting { .. }));

        let mut host = Host::connected(Config { suspend_threshold: Duration::MAX, ..config() });
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        host.at(3_600_000).timer().expect([
            abandon(1),
            disconnected(1, 1006, timeout(Stage::Heartbeat), 3_601_000),
            arm(3_601_000),
        ]);
    }

    /// A machine that sleeps again and again asks again and again. It never was awake for long
    /// enough to know.
    #[test]
    fn again_and_again() {
        let mut host = Host::connected(config());
        host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
        let mut now = 25_000;
        for seq in 1..10 {
            host.at(now + 1).flushed(1, seq).expect([]);
            now += 15_000;
            host.at(now).timer().expect([ping(1, seq + 1), arm(now + 10_000)]);
        }
    }

    /// What was sent before the sleep is proven by the answer after it.
    #[test]
    fn leaves_the_fence_good() {
        let config = Config { delivery: Delivery::AtLeastOnce, ..config() };
        let mut host = Host::connected(config);
        host.at(24_000).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(24_001).flushed(1, 2).expect([]);
        host.at(25_000).timer().skip();
        host.at(3_600_000).timer().skip();
        host.at(3_600_001).flushed(1, 9).skip();
        let seq = (3..9).find(|seq| {
            host.at(3_600_002).pong(1, *seq).skip();
            host.client().outbox_len() == 0
        });
        assert!(seq.is_some(), "an answer after the sleep proves what was sent before");
    }
}
