//! The waits between reconnects, and the end of patience.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{Action, Config, Event, FailReason, Jitter, Session, Start, State};
use hermes_tests::*;

/// The reference's numbers.
#[test]
fn the_waits_double_up_to_the_cap_and_end_in_failure() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let (mut now, mut conn) = (0, 1);
    for wait in [1, 2, 4, 8, 16, 30, 30, 30, 30, 30] {
        let retry = now + wait * 1_000;
        host.at(now)
            .closed(conn, unreachable())
            .expect([disconnected(conn, 1006, unreachable(), retry), arm(retry)]);
        let attempt = u32::try_from(conn).expect("there are few");
        let (until, after) = (Some(ms(retry)), Some(unreachable()));
        assert_eq!(host.state(), State::Waiting { until, attempt, after, asked: None });
        (now, conn) = (retry, conn + 1);
        host.at(now).timer().expect([open(conn), arm(now + 15_000)]);
    }
    host.at(now).closed(11, unreachable()).expect([
        disconnected(11, 1006, unreachable(), None),
        failed(10, FailReason::Attempts),
        disarm(),
    ]);
    let (attempts, why, after) = (10, FailReason::Attempts, Some(unreachable()));
    assert_eq!(host.state(), State::Failed { attempts, why, after });
    host.at(now + 1_000_000).timer().expect([]);
}

#[test]
fn connect_after_failure_has_a_full_budget() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    for round in 0..3 {
        let (now, conn) = (round * 10_000, round * 2 + 1);
        host.at(now).connect().expect([open(conn), arm(now + 15_000)]);
        host.closed(conn, lost())
            .expect([disconnected(conn, 1006, lost(), now + 1_000), arm(now + 1_000)]);
        host.at(now + 1_000).timer().expect([open(conn + 1), arm(now + 16_000)]);
        host.closed(conn + 1, lost()).expect([
            disconnected(conn + 1, 1006, lost(), None),
            failed(1, FailReason::Attempts),
            disarm(),
        ]);
    }
}

#[test]
fn a_budget_may_be_empty_or_endless() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), None),
        failed(0, FailReason::Attempts),
        disarm(),
    ]);

    let mut host = Host::new(Config { max_attempts: None, ..config() });
    let mut now = 0;
    host.at(now).connect().skip();
    for conn in 1..100 {
        host.at(now).closed(conn, lost()).skip();
        now += [1, 2, 4, 8, 16].get(conn as usize - 1).unwrap_or(&30) * 1_000;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
}

/// The reference counts from zero as soon as a connection is open, and hammers a gateway that
/// accepts and drops, every second, for ever.
#[test]
fn accept_then_close_does_not_refill_the_budget() {
    let mut host = Host::new(Config { max_attempts: Some(3), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for (conn, wait) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
        host.at(now).opened(conn).expect([connected(conn), disarm()]);
        now += 4_999;
        host.at(now)
            .closed(conn, lost())
            .expect([disconnected(conn, 1006, lost(), now + wait), arm(now + wait)]);
        now += wait;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
    host.at(now).opened(4).expect([connected(4), disarm()]);
    host.closed(4, lost())
        .expect([disconnected(4, 1006, lost(), None), failed(3, FailReason::Attempts)]);
}

#[test]
fn a_stable_connection_refills_the_budget() {
    let mut host = Host::new(Config { max_attempts: Some(2), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    let mut now = 1_000;
    for conn in [2, 4, 6] {
        host.at(now).timer().expect([open(conn), arm(now + 15_000)]);
        host.closed(conn, lost())
            .expect([disconnected(conn, 1006, lost(), now + 2_000), arm(now + 2_000)]);
        now += 2_000;
        // The last attempt of its budget, and it holds for five seconds.
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
        host.opened(conn + 1).expect([connected(conn + 1), disarm()]);
        now += 5_000;
        host.at(now)
            .closed(conn + 1, lost())
            .expect([disconnected(conn + 1, 1006, lost(), now + 1_000), arm(now + 1_000)]);
        now += 1_000;
    }
}

/// Its closing handshake does not count: on its way out, a connection is not up.
#[test]
fn accept_then_close_slowly_does_not_refill_the_budget() {
    let mut host = Host::new(Config { max_attempts: Some(2), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for (conn, wait) in [(1, 1_000), (2, 2_000)] {
        host.at(now).opened(conn).expect([connected(conn), disarm()]);
        host.closing(conn, peer(1001)).expect([arm(now + 5_000)]);
        now += 5_000;
        host.at(now).timer().expect([
            abandon(conn),
            disconnected(conn, 1001, peer(1001), now + wait),
            arm(now + wait),
        ]);
        now += wait;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
    host.at(now).opened(3).expect([connected(3), disarm()]);
    host.closing(3, peer(1001)).expect([arm(now + 5_000)]);
    host.at(now + 4_999).closed(3, peer(1001)).expect([
        disconnected(3, 1001, peer(1001), None),
        failed(2, FailReason::Attempts),
        disarm(),
    ]);
}

#[test]
fn a_timeout_counts_like_any_other_end() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let reason = timeout(Stage::Connect);
    host.at(15_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, reason.clone(), 16_000),
        arm(16_000),
    ]);
    host.at(16_000).timer().expect([open(2), arm(31_000)]);
    host.at(31_000).timer().expect([
        abandon(2),
        disconnected(2, 1006, reason, None),
        failed(1, FailReason::Attempts),
    ]);
}

#[test]
fn connect_skips_the_wait_and_the_timer_goes() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(10).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
    host.at(500).connect().expect([open(2), arm(15_500)]);
    // The old timer, had it survived, would now open another.
    host.at(1_010).timer().expect([arm(15_500)]);
    host.at(1_020).opened(2).expect([connected(2), arm(26_020)]);
}

/// It is still an attempt: impatience does not get more of them.
#[test]
fn connect_during_a_wait_uses_the_budget() {
    let mut host = Host::new(Config { max_attempts: Some(2), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(500).connect().expect([open(2), arm(15_500)]);
    host.at(500).closed(2, lost()).expect([disconnected(2, 1006, lost(), 2_500), arm(2_500)]);
    host.at(1_000).connect().expect([open(3), arm(16_000)]);
    let gone = disconnected(3, 1006, lost(), None);
    host.at(1_000).closed(3, lost()).expect([gone, failed(2, FailReason::Attempts), disarm()]);
}

/// The first waits of a client that never gets through.
fn waits(jitter: Jitter, seed: [u8; 32]) -> Vec<Duration> {
    let config =
        Config { jitter, max_attempts: None, min_connect_interval: Duration::ZERO, ..config() };
    let mut host = Host::start(config, Start { seed, ..start() });
    host.at(0).connect().skip();
    let mut waits = Vec::new();
    for conn in 1..=50 {
        let actions = host.closed(conn, lost()).take();
        let [Action::Emit(Event::Disconnected { retry_at: Some(at), .. }), _] = actions[..] else {
            panic!("{actions:?}");
        };
        waits.push(at - ms(0));
        host.connect().skip();
    }
    waits
}

#[test]
fn jitter_spreads_the_wait() {
    let whole = waits(Jitter::None, [1; 32]);
    for (jitter, least) in [(Jitter::Full, 0), (Jitter::Equal, 50)] {
        let spread = waits(jitter, [1; 32]);
        for (wait, whole) in spread.iter().zip(&whole) {
            assert!((*whole * least / 100..=*whole).contains(wait), "{wait:?} of {whole:?}");
            assert!(*wait >= Duration::from_millis(1));
        }
        // Once capped, no two are alike, and they come close to both ends.
        let mut capped = spread[5..].to_vec();
        capped.sort();
        capped.dedup();
        assert_eq!(capped.len(), 45, "{spread:?}");
        let (cap, fifth) = (Duration::from_secs(30), Duration::from_secs(6));
        assert!(capped[0] < cap * least / 100 + fifth, "{spread:?}");
        assert!(capped[44] > cap - fifth, "{spread:?}");
    }
}

#[test]
fn jitter_follows_from_the_seed() {
    assert_eq!(waits(Jitter::Full, [1; 32]), waits(Jitter::Full, [1; 32]));
    assert_ne!(waits(Jitter::Full, [1; 32]), waits(Jitter::Full, [2; 32]));
}

/// So that a trace of one connection explains itself, whatever came before.
#[test]
fn jitter_does_not_depend_on_history() {
    let config = Config { jitter: Jitter::Full, ..config() };
    let session = Session { token: "t".into(), client_id: None, saved_at: 0, origin: None };
    let mut plain = Host::new(config.clone());
    let mut busy = Host::start(config, Start { session: Some(session), ..start() });
    plain.at(0).connect().skip();
    busy.at(0).send("1").connect().skip();
    busy.at(0).opened(1).skip();
    busy.at(0).text(1, "2").skip();
    assert_eq!(plain.closed(1, lost()).take(), busy.closed(1, lost()).take());
}
