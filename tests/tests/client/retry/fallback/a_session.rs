//! A session belongs to one gateway.

use super::*;

#[test]
fn is_tried_first_where_it_belongs() {
    for url in [A, B, C] {
        let mut host = Host::start(three(), saved("t", url));
        begin(&mut host, url);
        host.at(1).opened(1).expect([resume(1, "t"), connected_to(1, url), disarm()]);
    }
}

/// The stored form of the reference has no origin: it is the first one's.
#[test]
fn without_an_origin_belongs_to_the_first() {
    let session = Session { origin: None, ..session("t", A) };
    let mut host = Host::start(two(), Start { session: Some(session), ..start() });
    begin(&mut host, A);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
}

#[test]
fn of_another_service_is_not_offered_at_all() {
    let mut host = Host::start(two(), saved("t", "ws://elsewhere.test/"));
    begin(&mut host, A);
    host.at(0).opened(1).expect([connected(1), disarm()]);
    let now = on_to(&mut host, 1, 1, lost(), 1_000, B);
    host.at(now).opened(2).expect([connected_to(2, B), disarm()]);
}

/// Once around: only B sees B's token, and it sees it again.
#[test]
fn is_not_offered_elsewhere() {
    let mut host = Host::start(three(), saved("t", B));
    begin(&mut host, B);
    let mut now = on_to(&mut host, 0, 1, lost(), 1_000, C);
    for (conn, url, next, wait) in [(2, C, A, 2_000), (3, A, B, 4_000)] {
        host.at(now).opened(conn).expect([connected_to(conn, url), disarm()]);
        now = on_to(&mut host, now, conn, lost(), wait, next);
    }
    assert_eq!(host.client().session(), Some(session("t", B)));
    host.at(now).opened(4).expect([resume(4, "t"), connected_to(4, B), disarm()]);
}

/// Where another gateway issues one, that is the session.
#[test]
fn is_replaced_by_another_gateways() {
    let mut host = Host::start(two(), saved("a", A));
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).opened(2).expect([connected_to(2, B), disarm()]);
    let init = r#"{"type":"session-init","token":"b"}"#;
    let issued = Session { saved_at: UNIX_MS + now, ..session("b", B) };
    host.text(2, init).expect([persist(issued), event(init)]);
    // A is not given B's.
    let now = on_to(&mut host, now, 2, lost(), 2_000, A);
    host.at(now).opened(3).expect([connected(3), disarm()]);
    // But `connect` begins with B now.
    host.at(now).disconnect().skip();
    host.at(now).closed(3, lost()).skip();
    host.at(now + 1).connect().expect([open_to(4, B), arm(now + 15_001)]);
    host.at(now + 2).opened(4).expect([resume(4, "b"), connected_to(4, B), disarm()]);
}

/// A reconnect goes on to the next; it is `connect` that begins with the session's.
#[test]
fn brings_back_connect_after_a_failure() {
    let mut host = Host::start(Config { max_attempts: Some(1), ..three() }, saved("t", A));
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).closed(2, lost()).skip();
    host.at(now + 1_000).connect().expect([open_to(3, A), arm(now + 16_000)]);
}

#[test]
fn that_was_cleared_is_no_reason() {
    let mut host = Host::start(Config { max_attempts: Some(0), ..two() }, saved("t", A));
    begin(&mut host, A);
    host.at(0).closed(1, lost()).skip();
    host.at(1).clear_session().expect([forget()]);
    let url = host.client().url().clone();
    host.at(1_000).connect().expect([open_to(2, url.as_str()), arm(16_000)]);
}

/// Two ways to the same gateway: scheme, host and port are what counts.
#[test]
fn is_offered_on_every_path_of_its_gateway() {
    let config = Config { fallback_urls: vec![format!("{URL}/2").into()], ..quiet() };
    let mut host = Host::start(config, saved("t", A));
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, &format!("{URL}/2"));
    let told = connected_to(2, &format!("{URL}/2"));
    host.at(now).opened(2).expect([resume(2, "t"), told, disarm()]);
}

/// The same host on another port, or in the clear, is another gateway.
#[test]
fn is_not_offered_on_another_port_or_scheme() {
    for other in ["ws://gateway.test:8080/world", "wss://gateway.test/world"] {
        let config = Config { fallback_urls: vec![other.into()], ..quiet() };
        let mut host = Host::start(config, saved("t", A));
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, lost(), 1_000, other);
        host.at(now).opened(2).expect([connected_to(2, other), disarm()]);
    }
}

/// Failures where it was not offered say nothing about it.
#[test]
fn is_dropped_for_failures_where_it_belongs() {
    let mut host = Host::start(Config { max_resume_failures: Some(2), ..two() }, saved("t", A));
    begin(&mut host, A);
    host.at(0).opened(1).skip();
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).opened(2).expect([connected_to(2, B), disarm()]);
    let now = on_to(&mut host, now, 2, lost(), 2_000, A);
    host.at(now).opened(3).expect([resume(3, "t"), connected(3), disarm()]);
    host.at(now).closed(3, lost()).expect([
        disconnected(3, 1006, lost(), now + 4_000),
        forget(),
        session_dropped(SessionDropReason::ResumeFailed),
        arm(now + 4_000),
    ]);
}
