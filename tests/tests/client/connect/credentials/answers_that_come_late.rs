//! Credentials that come late, twice or for another attempt.

use super::*;

#[test]
fn while_connecting() {
    let mut host = asked(asking());
    host.at(1).credentials(1, bearer("a")).expect([open(1), arm(15_001)]);
    host.at(2).credentials(1, bearer("b")).expect([]);
    host.at(3).credentials(1, token("t")).expect([]);
    host.at(4).credentials(1, header("Host", "x")).expect([]);
    assert_eq!(headers(&host), [("Authorization", "Bearer a")]);
    assert_eq!(host.client().session(), None);
}

#[test]
fn while_open_and_closing() {
    let mut host = asked(asking());
    host.at(1).credentials(1, none()).skip();
    host.at(2).opened(1).skip();
    host.at(3).credentials(1, token("t")).expect([]);
    host.at(4).closing(1, peer(1001)).expect([arm(5_004)]);
    host.at(5).credentials(1, token("t")).expect([]);
    assert_eq!(host.client().session(), None);
}

/// Not even the clock: the harness checks that a dead connection's input leaves the machine equal.
#[test]
fn after_the_deadline() {
    let mut host = asked(asking());
    host.at(30_000).timer().skip();
    host.at(30_001).credentials(1, token("t")).expect([]);
    host.at(31_000).timer().expect([ask_credentials(2), arm(61_000)]);
    // For the attempt before; this one waits for its own.
    host.at(31_001).credentials(1, bearer("a")).expect([]);
    host.at(31_002).closed(1, refused("no")).expect([]);
    assert_eq!((host.client().session(), headers(&host)), (None, vec![]));
    host.at(31_003).credentials(2, bearer("b")).expect([open(2), arm(46_003)]);
    assert_eq!(headers(&host), [("Authorization", "Bearer b")]);
}

#[test]
fn for_nobody() {
    let mut host = asked(asking());
    for conn in [0, 2, u64::MAX] {
        host.at(1).credentials(conn, bearer("a")).expect([]);
    }
    let mut host = Host::new(asking());
    host.at(1).credentials(1, bearer("a")).expect([]);
}

#[test]
fn after_a_disconnect() {
    let mut host = asked(asking());
    host.at(1).disconnect().skip();
    host.at(2).credentials(1, token("t")).expect([]);
    assert_eq!((host.state(), host.client().session()), (State::Idle, None));
}
