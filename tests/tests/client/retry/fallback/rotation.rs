//! Whose turn it is.

use super::*;

#[test]
fn goes_round_with_the_usual_waits() {
    let mut host = Host::new(three());
    begin(&mut host, A);
    let mut now = 0;
    let next = [B, C, A, B, C, A, B].into_iter().zip([1, 2, 4, 8, 16, 30, 30]);
    for (conn, (url, wait)) in (1..).zip(next) {
        now = on_to(&mut host, now, conn, unreachable(), wait * 1_000, url);
    }
}

#[test]
fn needs_another_gateway() {
    let mut host = Host::new(quiet());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, unreachable(), 1_000, A);
    on_to(&mut host, now, 2, unreachable(), 2_000, A);
}

/// Whatever the reason.
#[test]
fn follows_any_failure() {
    for reason in [
        lost(),
        unreachable(),
        CloseReason::Resolve { text: "no such name".into() },
        CloseReason::Tls { text: "expired".into() },
        http(502, None),
        peer(1001),
    ] {
        let mut host = Host::new(two());
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, reason.clone(), 1_000, B);
        on_to(&mut host, now, 2, reason, 2_000, A);
    }
}

#[test]
fn follows_a_timeout() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    host.at(15_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 16_000),
        arm(16_000),
    ]);
    is_at(&host, B);
    host.at(16_000).timer().expect([open_to(2, B), arm(31_000)]);
}

/// A gateway that accepts and drops is not a good one.
#[test]
fn follows_a_connection_that_was_not_stable() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let end = up(&mut host, 0, 1, A, 4_999);
    let now = on_to(&mut host, end, 1, lost(), 1_000, B);
    let end = up(&mut host, now, 2, B, 4_999);
    on_to(&mut host, end, 2, peer(1001), 2_000, A);
}

/// Nor one that accepts, says goodbye and lingers.
#[test]
fn follows_a_connection_that_was_slow_to_end() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let end = up(&mut host, 0, 1, A, 1_000);
    host.at(end).closing(1, peer(1001)).expect([arm(end + 5_000)]);
    is_at(&host, A);
    on_to(&mut host, end + 4_900, 1, peer(1001), 1_000, B);
}

/// `connect` skips the wait, not the gateway.
#[test]
fn is_not_changed_by_impatience() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(600).connect().expect([open_to(2, B), arm(15_600)]);
    host.at(600).closed(2, lost()).expect([disconnected(2, 1006, lost(), 2_600), arm(2_600)]);
    host.at(1_200).network(true).expect([open_to(3, A), arm(16_200)]);
}

#[test]
fn is_one_budget_for_all() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..three() });
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).closed(2, lost()).expect([
        disconnected(2, 1006, lost(), None),
        failed(1, FailReason::Attempts),
        disarm(),
    ]);
}

/// The machine slept: nobody failed.
#[test]
fn does_not_follow_a_clock_that_jumped() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    host.at(3_600_000).timer().expect([arm(3_615_000)]);
    is_at(&host, A);
}

/// The credentials are for the gateway whose turn it is.
#[test]
fn asks_for_its_credentials() {
    let ask = |conn, url: &str| Action::AskCredentials {
        conn: ConnId(conn),
        url: Url::parse(url).unwrap(),
    };
    let mut host = Host::new(Config { ask_credentials: true, ..two() });
    host.at(0).connect().expect([ask(1, A), arm(30_000)]);
    host.at(1).credentials(1, Default::default()).expect([open_to(1, A), arm(15_001)]);
    host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_002), arm(1_002)]);
    host.at(1_002).timer().expect([ask(2, B), arm(31_002)]);
    is_at(&host, B);
    host.at(1_003).credentials(2, Default::default()).expect([open_to(2, B), arm(16_003)]);
}

/// Host and path, down to the bytes.
#[test]
fn is_in_the_request() {
    let mut endpoint = Endpoint::new(three(), start()).unwrap();
    let mut out: Actions<Transmit> = Actions::new();
    endpoint.connect(ms(0), &mut out);
    for (conn, now, wait, line) in [
        (1, 0, 1_000, "GET /world HTTP/1.1\r\nHost: gateway.test\r\n"),
        (2, 1_000, 2_000, "GET /world HTTP/1.1\r\nHost: b.test\r\n"),
        (3, 3_000, 4_000, "GET /world?region=3 HTTP/1.1\r\nHost: c.test:8443\r\n"),
    ] {
        let conn = ConnId(conn);
        endpoint.handle(ms(now), Input::Opened { conn }, &mut out);
        let request = String::from_utf8(endpoint.transmit().to_vec()).unwrap();
        assert!(request.starts_with(line), "{request}");
        endpoint.handle(ms(now), Input::Closed { conn, reason: lost() }, &mut out);
        endpoint.handle(ms(now + wait), Input::TimerFired, &mut out);
    }
}
