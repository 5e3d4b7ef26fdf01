//! A network that is there again.

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
