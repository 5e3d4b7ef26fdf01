//! A session that is too old is dropped; use keeps it young.

use super::*;

#[test]
fn a_session_that_is_too_old_is_dropped() {
    let mut host = with(quiet(), saved(30 * DAY));
    host.at(0).send("1").expect([]);
    // It is judged when it would be offered.
    host.at(0).connect().expect([open(1), arm(15_000)]);
    assert!(host.client().session().is_some());
    host.at(1).opened(1).expect([
        forget(),
        session_dropped(SessionDropReason::TooOld),
        send(1, 1, "1"),
        connected(1),
        disarm(),
    ]);
    assert_eq!(host.client().session(), None);
    // Once is enough.
    host.at(2).flushed(1, 1).expect([]);
    let ended = disconnected(1, 1006, lost(), 1_003);
    host.at(3).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_003)]);
    host.at(1_003).timer().expect([open(2), arm(16_003)]);
    host.at(1_004).opened(2).expect([connected(2), disarm()]);
}

#[test]
fn a_session_of_that_very_age_is_not() {
    let mut host = with(quiet(), saved(30 * DAY));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
}

#[test]
fn there_is_nothing_to_wait_for_where_it_was_dropped() {
    let mut host = with(Config { session_max_age: Some(Duration::ZERO), ..wait() }, session());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let actions = [forget(), session_dropped(SessionDropReason::TooOld), connected(1), disarm()];
    host.at(1).opened(1).expect(actions);
    host.at(2).send("1").expect([send(1, 1, "1")]);
}

#[test]
fn age_has_no_limit_where_none_is_set() {
    for before in [UNIX_MS, 31 * DAY] {
        let mut host = with(Config { session_max_age: None, ..quiet() }, saved(before));
        host.at(0).connect().skip();
        host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    }
}

/// A form without a time, and one from a computer whose clock is ahead.
#[test]
fn an_unknown_age_is_none() {
    for saved_at in [0, UNIX_MS + 1, UNIX_MS + 365 * DAY, u64::MAX] {
        let mut host = with(quiet(), Session { saved_at, ..session() });
        host.at(0).connect().skip();
        host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    }
}

/// Another gateway's session is none of ours to drop.
#[test]
fn a_session_of_another_origin_keeps_its_age() {
    let old = Session { origin: Some("wss://other.test".into()), ..saved(365 * DAY) };
    let mut host = with(quiet(), old.clone());
    host.at(0).connect().skip();
    host.at(1).opened(1).expect([connected(1), disarm()]);
    assert_eq!(host.client().session(), Some(old.clone()));
}

#[test]
fn a_session_grows_old_while_there_is_no_connection() {
    let mut host = with(quiet(), session());
    host.at(30 * DAY + 1).connect().expect([open(1), arm(30 * DAY + 15_001)]);
    let actions = [forget(), session_dropped(SessionDropReason::TooOld), connected(1), disarm()];
    host.at(30 * DAY + 2).opened(1).expect(actions);
}

/// A connection that lasts is use.
#[test]
fn a_session_in_use_does_not_grow_old() {
    let mut host = with(quiet(), session());
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    host.at(1).text(1, INIT).skip();
    let end = 60 * DAY;
    host.at(end).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), end + 1_000),
        persist(renewed(end)),
        arm(end + 1_000),
    ]);
    host.at(end + 1_000).timer().expect([open(2), arm(end + 16_000)]);
    host.at(end + 1_001).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
}

/// A disk has better things to do than to write one down that is as good as new.
#[test]
fn a_session_is_saved_anew_after_a_tenth_of_its_time() {
    for (end, saved_anew) in [(3 * DAY, None), (3 * DAY + 1, Some(renewed(3 * DAY + 1)))] {
        let mut host = with(quiet(), session());
        host.at(0).connect().skip();
        host.at(0).opened(1).skip();
        let mut actions = vec![disconnected(1, 1006, lost(), end + 1_000)];
        actions.extend(saved_anew.map(persist));
        actions.push(arm(end + 1_000));
        host.at(end).closed(1, lost()).expect(actions);
    }
}

/// One whose age nobody knows does not become younger.
#[test]
fn a_session_of_unknown_age_is_not_saved_anew() {
    let mut host = with(quiet(), Session { saved_at: 0, ..session() });
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    let end = 4 * DAY;
    host.at(end)
        .closed(1, lost())
        .expect([disconnected(1, 1006, lost(), end + 1_000), arm(end + 1_000)]);
}

/// Also where the gateway asks not to come back, and another's turn is next.
#[test]
fn a_session_in_use_is_saved_anew_whoever_is_next() {
    let fallback_urls = vec!["ws://other.test/".into()];
    let mut host = with(Config { fallback_urls, ..quiet() }, session());
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    let end = 4 * DAY;
    let retry = end + 1_000;
    let ended = disconnected(1, 1008, peer(1008), retry);
    host.at(end).closed(1, peer(1008)).expect([ended, persist(renewed(end)), arm(retry)]);
}

/// Also where the application ended that connection.
#[test]
fn a_session_in_use_until_we_disconnect_does_not_grow_old() {
    let mut host = with(quiet(), session());
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    host.at(1).text(1, INIT).skip();
    let end = 60 * DAY;
    host.at(end).disconnect().expect([close(1, 1000), arm(end + 5_000)]);
    let gone = disconnected(1, 1000, CloseReason::Requested, None);
    host.at(end + 1).closed(1, peer(1000)).expect([gone, persist(renewed(end + 1)), disarm()]);
    host.at(end + 1_000).connect().expect([open(2), arm(end + 16_000)]);
    host.at(end + 1_001).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
}
