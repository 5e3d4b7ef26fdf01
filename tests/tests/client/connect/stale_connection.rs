//! Input for a connection that is not the live one changes nothing at all.

use hermes_proto::{Client, ConnId, Frame, Input, State};
use hermes_tests::*;

/// All that a host may say about a connection.
fn inputs(conn: ConnId) -> [Input; 7] {
    let init = Frame::Text(r#"{"type":"session-init","token":"t"}"#.into());
    [
        Input::Opened { conn },
        Input::Received { conn, payload: init },
        Input::Received { conn, payload: Frame::Binary(vec![1].into()) },
        Input::Flushed { conn, up_to: u64::MAX },
        Input::Closing { conn, reason: peer(1001) },
        Input::Closed { conn, reason: lost() },
        Input::Closed { conn, reason: peer(1000) },
    ]
}

/// Even where work is due, and however late it is.
#[track_caller]
fn changes_nothing(host: &mut Host, conn: u64) {
    let before: Client = host.client().clone();
    for input in inputs(ConnId(conn)) {
        for now in [0, 1_000_000] {
            host.at(now).input(input.clone()).expect([]);
            assert_eq!(*host.client(), before, "{input:?}");
        }
    }
}

/// The reference's new socket dies of it.
#[test]
fn the_late_end_of_an_old_connection_spares_the_new_one() {
    let mut host = Host::new(quiet());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(15_000).timer().skip();
    host.at(16_000).timer().expect([open(2), arm(31_000)]);
    host.at(16_001).closed(1, lost()).expect([]);
    host.at(16_002).opened(2).expect([connected(2), disarm()]);
    host.at(16_003).closed(1, lost()).expect([]);
    assert_eq!(host.state(), State::Open { conn: ConnId(2), since: ms(16_002), resuming: None });
}

#[test]
fn in_every_phase() {
    let mut host = Host::new(quiet());
    changes_nothing(&mut host, 1);
    host.at(0).send("1").expect([]);
    host.at(0).connect().skip();
    changes_nothing(&mut host, 2);
    host.at(0).closed(1, lost()).skip();
    assert!(matches!(host.state(), State::Waiting { .. }));
    changes_nothing(&mut host, 1);
    host.at(500).connect().skip();
    changes_nothing(&mut host, 1);
    host.at(501).opened(2).skip();
    changes_nothing(&mut host, 1);
    host.at(502).closing(2, peer(1001)).skip();
    changes_nothing(&mut host, 1);
    host.at(502).disconnect().closed(2, lost()).skip();
    assert_eq!(host.state(), State::Idle);
    changes_nothing(&mut host, 2);
}

#[test]
fn a_name_that_was_never_given_is_no_ones() {
    let mut host = Host::connected(quiet());
    for conn in [0, 2, u64::MAX] {
        changes_nothing(&mut host, conn);
    }
}

#[test]
fn a_connection_that_was_given_up_is_dead_at_once() {
    let mut host = Host::connected(config());
    host.at(0).send("1").expect([send(1, 1, "1")]);
    host.at(25_000).timer().skip();
    host.at(35_000).timer().skip();
    // It lives after all, and even took the message. Too late: it goes again.
    changes_nothing(&mut host, 1);
    assert_eq!(host.client().outbox_len(), 1);
}

#[test]
fn names_are_not_used_twice() {
    let mut host = Host::new(quiet());
    for conn in 1..20 {
        host.at(conn).connect().expect([open(conn), arm(15_000 + conn)]);
        host.disconnect().skip();
    }
}
