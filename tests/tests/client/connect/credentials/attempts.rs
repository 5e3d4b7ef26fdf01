//! When credentials are asked for, and which attempt they are for.

use super::*;

#[test]
fn nobody_asks_by_default() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    // Nor takes what nobody asked for.
    host.at(1).credentials(1, bearer(SECRET)).expect([]);
    assert_eq!(headers(&host), []);
}

#[test]
fn ask_and_answer() {
    let mut host = asked(asking());
    let (conn, stage, deadline) = (ConnId(1), Stage::Credentials, ms(30_000));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
    assert_eq!(host.client().conn(), Some(conn));
    assert_eq!(headers(&host), []);

    host.at(10).credentials(1, bearer("a")).expect([open(1), arm(15_010)]);
    let (stage, deadline) = (Stage::Connect, ms(15_010));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
    assert_eq!(headers(&host), [("Authorization", "Bearer a")]);
    host.at(20).opened(1).expect([connected(1), disarm()]);
}

/// They need not be secrets, nor anything at all.
#[test]
fn an_answer_may_be_empty() {
    let mut host = asked(asking());
    host.at(10).credentials(1, none()).expect([open(1), arm(15_010)]);
    assert_eq!(headers(&host), []);
}

/// The time for the connection begins when there is something to connect with.
#[test]
fn the_deadlines_follow_each_other() {
    let mut host = asked(asking());
    host.at(29_999).credentials(1, none()).expect([open(1), arm(44_999)]);
    host.at(44_999).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 45_999),
        arm(45_999),
    ]);
}

#[test]
fn nobody_answers() {
    let mut host = asked(asking());
    host.at(29_999).timer().expect([arm(30_000)]);
    host.at(30_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Credentials), 31_000),
        arm(31_000),
    ]);
    host.at(31_000).timer().expect([ask_credentials(2), arm(61_000)]);
}

#[test]
fn the_deadline_is_a_setting() {
    let credentials_timeout = Duration::from_millis(7);
    let mut host = Host::new(Config { credentials_timeout, ..asking() });
    host.at(0).connect().expect([ask_credentials(1), arm(7)]);
    host.at(7).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Credentials), 1_007),
        arm(1_007),
    ]);
}

#[test]
fn the_host_has_none() {
    let mut host = asked(asking());
    let reason = refused("the keyring is locked");
    host.at(10)
        .closed(1, reason.clone())
        .expect([disconnected(1, 1006, reason.clone(), 1_010), arm(1_010)]);
    let (until, after) = (Some(ms(1_010)), Some(reason));
    assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked: None });
    host.at(1_010).timer().expect([ask_credentials(2), arm(31_010)]);
    host.at(1_020).credentials(2, none()).expect([open(2), arm(16_020)]);
}

/// It is an attempt as any other, with the same budget.
#[test]
fn failures_use_the_budget() {
    let mut host = asked(Config { max_attempts: Some(1), ..asking() });
    host.at(0)
        .closed(1, refused("no"))
        .expect([disconnected(1, 1006, refused("no"), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([ask_credentials(2), arm(31_000)]);
    host.at(31_000).timer().expect([
        abandon(2),
        disconnected(2, 1006, timeout(Stage::Credentials), None),
        failed(1, FailReason::Attempts),
    ]);
    host.at(40_000).connect().expect([ask_credentials(3), arm(70_000)]);
}

#[test]
fn each_attempt_asks_anew() {
    let mut host = asked(asking());
    host.at(1).credentials(1, bearer("a")).expect([open(1), arm(15_001)]);
    host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_002), arm(1_002)]);
    // What was good for one attempt is gone with it.
    assert_eq!(headers(&host), []);
    host.at(1_002).timer().expect([ask_credentials(2), arm(31_002)]);
    assert_eq!(headers(&host), []);
    host.at(1_003).credentials(2, bearer("b")).expect([open(2), arm(16_003)]);
    assert_eq!(headers(&host), [("Authorization", "Bearer b")]);
    host.at(1_004).opened(2).expect([connected(2), disarm()]);
    host.at(9_000).disconnect().expect([close(2, 1000), arm(14_000)]);
    host.at(9_001).connect().expect([]);
    host.at(9_002).closed(2, lost()).expect([
        disconnected(2, 1006, CloseReason::Requested, 9_002),
        ask_credentials(3),
        arm(39_002),
    ]);
    assert_eq!(headers(&host), []);
}

/// Those that were refused were not the last ones.
#[test]
fn credentials_that_are_refused_are_no_reason_to_give_up() {
    let mut host = asked(asking());
    host.at(1).credentials(1, bearer("old")).expect([open(1), arm(15_001)]);
    let refused = disconnected(1, 1006, http(401, None), 1_002);
    host.at(2).closed(1, http(401, None)).expect([refused, arm(1_002)]);
    host.at(1_002).timer().expect([ask_credentials(2), arm(31_002)]);
    host.at(1_003).credentials(2, bearer("new")).expect([open(2), arm(16_003)]);
    // Others than those may be of no more use.
    host.at(1_004).closed(2, http(403, None)).expect([
        disconnected(2, 1006, http(403, None), None),
        failed(1, FailReason::Fatal),
        disarm(),
    ]);
}

/// Also where `connect`, or the network, does not wait.
#[test]
fn impatience_asks_too() {
    let mut host = asked(asking());
    host.at(0).closed(1, refused("no")).skip();
    host.at(600).connect().expect([ask_credentials(2), arm(30_600)]);
    host.at(600).closed(2, refused("no")).skip();
    host.at(1_200).network(true).expect([ask_credentials(3), arm(31_200)]);
}

#[test]
fn the_configured_headers_come_first() {
    let fixed = vec![("X-Client".to_owned(), "hermes".to_owned())];
    let mut host = asked(Config { headers: fixed, ..asking() });
    assert_eq!(headers(&host), [("X-Client", "hermes")]);
    let credentials = Credentials {
        headers: vec![("X-A".into(), "1".into()), ("x-client".into(), "2".into())],
        token: None,
    };
    host.at(1).credentials(1, credentials).expect([open(1), arm(15_001)]);
    assert_eq!(headers(&host), [("X-Client", "hermes"), ("X-A", "1"), ("x-client", "2")]);
}

/// A host that says so before it was given what it needs is confused.
#[test]
fn nothing_opens_before_the_answer() {
    let mut host = asked(asking());
    host.at(1).opened(1).expect([]);
    host.at(2).text(1, "1").expect([]);
    host.at(3).flushed(1, 1).expect([]);
    host.at(4).closing(1, peer(1001)).expect([]);
    assert!(matches!(host.state(), State::Connecting { stage: Stage::Credentials, .. }));
    assert_eq!(host.client().stats().opened, 0);
    host.at(5).credentials(1, none()).expect([open(1), arm(15_005)]);
}
