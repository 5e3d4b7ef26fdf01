//! A connection that was stable fills the budget again.

use super::*;

/// `stable_after` is a setting, and a connection is stable from that moment on.
#[test]
fn stable_after() {
    for stable in [1, 700, 60_000] {
        let config = Config { stable_after: Duration::from_millis(stable), ..quiet() };
        for (up, wait) in [(stable - 1, 2_000), (stable, 1_000)] {
            let mut host = Host::new(config.clone());
            host.at(0).connect().expect([open(1), arm(15_000)]);
            let now = fails(&mut host, 0, 1, 1_000);
            host.at(now).opened(2).expect([connected(2), disarm()]);
            let retry = now + up + wait;
            host.at(now + up)
                .closed(2, lost())
                .expect([disconnected(2, 1006, lost(), retry), arm(retry)]);
            let attempt = if up < stable { 2 } else { 1 };
            let (until, after) = (Some(ms(retry)), Some(lost()));
            assert_eq!(host.state(), State::Waiting { until, attempt, after, asked: None });
        }
    }
}

/// For those who like the reference: open is good enough.
#[test]
fn stable_at_once() {
    let mut host =
        Host::new(Config { stable_after: Duration::ZERO, max_attempts: Some(1), ..quiet() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for conn in 1..10 {
        host.at(now).opened(conn).expect([connected(conn), disarm()]);
        now = fails(&mut host, now, conn, 1_000);
    }
    // One that does not open is not stable.
    gives_up(&mut host, now, 10, 1, FailReason::Attempts);
}

/// The begin of the end counts: a slow closing handshake does not make a connection stable.
#[test]
fn a_connection_on_its_way_out_is_not_up() {
    for (up, attempt, wait) in [(4_999, 2, 2_000), (5_000, 1, 1_000)] {
        let mut host = Host::new(quiet());
        host.at(0).connect().expect([open(1), arm(15_000)]);
        let now = fails(&mut host, 0, 1, 1_000);
        host.at(now).opened(2).expect([connected(2), disarm()]);
        let end = now + up;
        host.at(end).closing(2, peer(1001)).expect([arm(end + 5_000)]);
        host.at(end + 3_500).closed(2, lost()).expect([
            disconnected(2, 1001, peer(1001), end + 3_500 + wait),
            arm(end + 3_500 + wait),
        ]);
        assert!(matches!(host.state(), State::Waiting { attempt: n, .. } if n == attempt));
    }
}
