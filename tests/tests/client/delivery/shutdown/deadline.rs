//! The time of a shutdown, and its end.

use super::*;

#[test]
fn the_time_is_over_in_any_state() {
    type Begin = fn(&mut Host);
    // With a message in the outbox: what leads there, and what is dropped.
    let states: [(Begin, Vec<Action>, u64, u64); 6] = [
        (|_| {}, vec![abandon(1), ended(1, 1006)], 0, 1),
        (|host| _ = host.closed(1, unreachable()).skip(), vec![], 0, 1),
        (|host| _ = host.opened(1).skip(), vec![abandon(1), ended(1, 1006)], 0, 1),
        (
            |host| {
                host.opened(1).skip();
                host.flushed(1, 1).expect([]);
            },
            vec![abandon(1), in_doubt(1, 1, false), ended(1, 1006)],
            1,
            0,
        ),
        (
            |host| {
                host.opened(1).skip();
                host.closing(1, peer(1001)).skip();
            },
            vec![abandon(1), disconnected(1, 1001, peer(1001), None)],
            0,
            1,
        ),
        (
            |host| {
                host.closed(1, unreachable()).skip();
                host.network(false).skip();
            },
            vec![],
            0,
            1,
        ),
    ];
    for (begin, dropped, doubted, unsent) in states {
        let mut host = Host::new(Config { backoff_base: Duration::from_secs(30), ..quiet() });
        host.at(0).send("1").expect([]);
        host.at(0).connect().expect([open(1), arm(15_000)]);
        begin(&mut host);
        host.at(1).shutdown(2_000).skip();
        assert_eq!(host.client().deadline(), Some(ms(2_001)), "{:?}", host.state());
        host.at(2_000).timer().expect([arm(2_001)]);
        let last = shut_down(0, doubted, unsent);
        host.at(2_001).timer().expect(dropped.into_iter().chain([last]));
        assert_eq!(host.state(), State::Idle);
        assert_eq!(host.client().outbox_len() as u64, unsent);
    }
}

/// The handshake has what is left of it.
#[test]
fn the_closing_handshake_is_within_the_time() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(900).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000)]);
    host.at(1_001).timer().expect([arm(1_002)]);
    host.at(1_002).timer().expect([abandon(1), ended(1, 1006), shut_down(1, 0, 0)]);
}

/// And no longer than its own.
#[test]
fn the_closing_handshake_has_its_own_time_too() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(60_000).expect([ping(1, 2), arm(60_002)]);
    host.at(900).pong(1, 2).expect([acknowledged(1, 1), close(1, 1000), arm(5_900)]);
    host.at(5_900).timer().expect([abandon(1), ended(1, 1006), shut_down(1, 0, 0)]);
}

#[test]
fn no_time_at_all() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(0).expect([close(1, 1000), arm(5)]);
    host.at(5).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0)]);

    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(5).shutdown(0).expect([arm(5)]);
    host.at(5).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 1)]);
}

/// What came in the same turn as the end counts as it would have a moment before.
#[test]
fn proof_in_the_last_moment() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(1_000).expect([ping(1, 2), arm(1_002)]);
    host.at(1_002).pong(1, 2).expect([
        acknowledged(1, 1),
        abandon(1),
        ended(1, 1006),
        shut_down(1, 0, 0),
        disarm(),
    ]);
}

/// A machine that slept does not get more time: whoever asked for the end waits for it.
#[test]
fn a_late_timer_is_no_reason_to_wait_longer() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).shutdown(1_000).expect([arm(1_001)]);
    let gone = [abandon(1), ended(1, 1006), shut_down(0, 0, 1)];
    host.at(3_600_000).timer().expect(gone);
}

#[test]
fn a_time_without_end() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).input(Input::Shutdown { within: Duration::MAX }).skip();
    host.at(3).pong(1, 2).skip();
    host.at(4).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(1, 0, 0), disarm()]);
}
