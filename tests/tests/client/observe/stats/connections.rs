//! Attempts, connections and their ends.

use super::*;

#[test]
fn attempts_opens_and_ends() {
    let mut count = Count::new(config());
    count.step(0, Host::connect, |s| s.attempts += 1);
    count.quiet(1, Host::connect);
    count.step(2, |host| host.opened(1), |s| s.opened += 1);
    count.quiet(3, |host| host.opened(1));
    count.step(4, |host| host.closed(1, lost()), |s| s.ended.lost += 1);
    count.quiet(5, |host| host.closed(1, lost()));
    count.quiet(6, Host::timer);
    count.step(1_004, Host::timer, |s| s.attempts += 1);
    // It did not open, but it ended.
    count.step(1_005, |host| host.closed(2, unreachable()), |s| s.ended.connect += 1);
}

#[test]
fn an_attempt_is_counted_when_it_asks_for_credentials() {
    let mut count = Count::new(Config { ask_credentials: true, ..config() });
    count.step(0, Host::connect, |s| s.attempts += 1);
    count.quiet(1, |host| host.credentials(1, Credentials::default()));
    let reason = CloseReason::Credentials { text: "no".into() };
    count.step(2, |host| host.closed(1, reason), |s| s.ended.credentials += 1);
    count.step(1_002, Host::timer, |s| s.attempts += 1);
    count.step(31_002, Host::timer, |s| s.ended.timeout += 1);
    count.step(33_002, Host::timer, |s| s.attempts += 1);
    let bad = Credentials { headers: vec![("Host".into(), "x".into())], token: None };
    count.step(33_003, |host| host.credentials(3, bad), |s| s.ended.credentials += 1);
}

#[test]
fn an_attempt_that_is_held_is_none_yet() {
    let mut count = Count::new(config());
    count.quiet(0, |host| host.network(false));
    count.quiet(1, Host::connect);
    count.step(2, |host| host.network(true), |s| s.attempts += 1);
}

#[test]
fn ends_by_reason() {
    type Field = fn(&mut EndCounts) -> &mut u64;
    let text = || "x".into();
    let reasons: [(CloseReason, Field); 11] = [
        (peer(1001), |e| &mut e.peer),
        (peer(1013), |e| &mut e.peer),
        (lost(), |e| &mut e.lost),
        (CloseReason::Resolve { text: text() }, |e| &mut e.resolve),
        (CloseReason::Connect { text: text() }, |e| &mut e.connect),
        (CloseReason::Proxy { status: None, text: text() }, |e| &mut e.proxy),
        (CloseReason::Tls { text: text() }, |e| &mut e.tls),
        (http(503, None), |e| &mut e.http),
        (CloseReason::Credentials { text: text() }, |e| &mut e.credentials),
        (CloseReason::Upgrade { error: UpgradeError::NotHttp }, |e| &mut e.upgrade),
        (CloseReason::Protocol { violation: Violation::Masked }, |e| &mut e.protocol),
    ];
    let mut count = Count::new(Config { max_attempts: None, ..config() });
    for (n, (reason, field)) in (1..).zip(reasons) {
        let now = n * 100_000;
        count.step(
            now,
            |host| if n == 1 { host.connect() } else { host.timer() },
            |s| s.attempts += 1,
        );
        count.step(now + 1, |host| host.closed(n, reason), |s| *field(&mut s.ended) += 1);
        assert_eq!(count.stats.ended.total(), n);
    }
}

#[test]
fn ends_by_our_own_verdict() {
    // Nobody connects,
    let mut count = Count::new(config());
    count.step(0, Host::connect, |s| s.attempts += 1);
    count.step(15_000, Host::timer, |s| s.ended.timeout += 1);
    // nobody answers,
    let mut count = Count::connected(config());
    count.quiet(25_000, Host::timer);
    count.step(35_000, Host::timer, |s| s.ended.timeout += 1);
    // nobody ends the closing handshake, which does not change why it began;
    let mut count = Count::connected(config());
    count.quiet(1, |host| host.closing(1, peer(1001)));
    count.step(5_001, Host::timer, |s| s.ended.peer += 1);
}

#[test]
fn ends_by_the_application() {
    let mut count = Count::new(config());
    count.step(0, Host::connect, |s| s.attempts += 1);
    count.step(1, Host::disconnect, |s| s.ended.requested += 1);
    count.step(2, Host::connect, |s| s.attempts += 1);
    count.step(3, |host| host.opened(2), |s| s.opened += 1);
    count.quiet(4, Host::disconnect);
    count.quiet(5, |host| host.closing(2, peer(1008)));
    count.step(6, |host| host.closed(2, peer(1008)), |s| s.ended.requested += 1);
    count.quiet(7, Host::disconnect);
}

/// Only this machine can know that; from a host it is a loss.
#[test]
fn a_host_can_not_request_an_end() {
    let mut count = Count::connected(config());
    count.step(1, |host| host.closed(1, CloseReason::Requested), |s| s.ended.lost += 1);
}

#[test]
fn sessions_that_were_resumed() {
    let session = |token: &str, client_id: Option<&str>| Start {
        session: Some(Session {
            token: token.into(),
            client_id: client_id.map(str::to_owned),
            saved_at: UNIX_MS,
            origin: Some(ORIGIN.into()),
        }),
        ..start()
    };
    let same = r#"{"type":"session-init","token":"t","clientId":"c"}"#;
    let renewed = r#"{"type":"session-init","token":"u","clientId":"c"}"#;
    let other = r#"{"type":"session-init","token":"u","clientId":"d"}"#;
    for (start, init, resumed) in [
        (start(), same, 0),
        (session("t", Some("c")), same, 1),
        (session("t", Some("c")), renewed, 1),
        (session("t", Some("c")), other, 0),
        (session("t", None), same, 1),
        (session("t", None), renewed, 0),
    ] {
        let mut count = Count::start(quiet(), start);
        count.step(0, Host::connect, |s| s.attempts += 1);
        // What is sent for it is not a message of the application.
        count.step(0, |host| host.opened(1), |s| s.opened += 1);
        count.step(
            1,
            |host| host.text(1, init),
            |s| {
                s.resumed += resumed;
                s.received += 1;
                s.bytes_received += init.len() as u64;
            },
        );
    }
}
