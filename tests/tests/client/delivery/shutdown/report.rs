//! The report of a shutdown: the last event, with every message in one count.

use super::*;

/// It was written and is dropped as its connection ends: whether it arrived is not known.
#[test]
fn a_volatile_message_in_doubt_is_reported() {
    let mut host = Host::connected(at_least_once());
    host.at(1).send_message(json("1").volatile()).expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).shutdown(1_000).expect([arm(1_002)]);
    host.at(3).flushed(1, 2).expect([]);
    host.at(4).closed(1, lost()).expect([
        in_doubt(1, 1, true),
        given_up(1, "1", DropReason::ConnectionLost),
        disconnected(1, 1006, lost(), None),
        shut_down(0, 1, 0),
        disarm(),
    ]);
}

/// It was written, its time is over before it is sent again.
#[test]
fn an_expired_message_in_doubt_is_reported() {
    let mut host = Host::connected(at_least_once());
    let message = json("1").with_ttl(Duration::from_millis(500));
    host.at(1).send_message(message).expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).shutdown(60_000).expect([arm(60_002)]);
    host.at(3).flushed(1, 2).expect([]);
    let gone = [in_doubt(1, 1, true), disconnected(1, 1006, lost(), 1_004), arm(501)];
    host.at(4).closed(1, lost()).expect(gone);
    host.at(501).timer().expect([given_up(1, "1", DropReason::Expired), shut_down(0, 1, 0)]);
}

/// Before the shutdown it was none of its business.
#[test]
fn what_was_dropped_in_doubt_before_is_not_reported() {
    let mut host = Host::connected(at_least_once());
    host.at(1).send_message(json("1").volatile()).expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).flushed(1, 2).expect([]);
    host.at(3).closed(1, lost()).skip();
    host.at(4).shutdown(1_000).expect([shut_down(0, 0, 0), disarm()]);
}

/// The time of a message and that of the shutdown are over at once.
#[test]
fn messages_expire_before_the_report() {
    for at_once in [false, true] {
        let mut host = Host::new(quiet());
        let message = json("1").with_ttl(Duration::from_secs(1));
        host.at(0).send_message(message).expect([arm(1_000)]);
        if at_once {
            host.at(1_000).shutdown(0).expect([
                given_up(1, "1", DropReason::Expired),
                shut_down(0, 0, 0),
                disarm(),
            ]);
            continue;
        }
        host.at(0).connect().expect([open(1)]);
        host.at(1).shutdown(999).expect([]);
        host.at(1_000).timer().expect([
            abandon(1),
            ended(1, 1006),
            given_up(1, "1", DropReason::Expired),
            shut_down(0, 0, 0),
        ]);
    }
}
