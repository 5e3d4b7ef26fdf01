//! One line for each state.

use super::*;

#[test]
fn idle() {
    let mut host = Host::new(config());
    says(&host, 0, "idle: connect was not called");
    says(&host, 1_000_000, "idle: connect was not called");
    host.at(0).connect().skip();
    host.at(1).disconnect().skip();
    says(&host, 2, "idle after disconnect");
}

#[test]
fn idle_after_a_connection() {
    let mut host = Host::connected(quiet());
    host.at(1).disconnect().skip();
    host.at(2).closed(1, peer(1000)).skip();
    says(&host, 3, "idle after disconnect");
    // The peer was first.
    let mut host = Host::connected(quiet());
    host.at(1).closing(1, peer(1001)).skip();
    host.at(2).disconnect().skip();
    host.at(3).closed(1, lost()).skip();
    says(&host, 4, "idle after close 1001");
}

#[test]
fn connecting() {
    let mut host = Host::new(config());
    host.at(0).connect().skip();
    for (now, left) in [(0, "15 s"), (1, "15 s"), (99, "15 s"), (100, "14.9 s"), (14_999, "0.1 s")]
    {
        says(
            &host,
            now,
            &format!(
                "connecting: waiting {left} of 15 s for a connection to \
                 ws://gateway.test/world: a first attempt"
            ),
        );
    }
}

#[test]
fn connecting_once_more() {
    let mut host = ended(config(), lost());
    host.at(1_000).timer().skip();
    says(
        &host,
        1_000,
        "connecting: waiting 15 s of 15 s for a connection to ws://gateway.test/world: attempt 1 \
         of 10 after a loss",
    );
    host.at(2_000).closed(2, unreachable()).skip();
    host.at(4_000).timer().skip();
    says(
        &host,
        5_500,
        "connecting: waiting 13.5 s of 15 s for a connection to ws://gateway.test/world: attempt 2 \
         of 10 after a failure: could not connect: connection refused",
    );
}

#[test]
fn connecting_elsewhere() {
    let fallback_urls = vec!["wss://b.test:8443/world".into()];
    let mut host = ended(Config { fallback_urls, ..config() }, lost());
    host.at(1_000).timer().skip();
    says(
        &host,
        1_000,
        "connecting: waiting 15 s of 15 s for a connection to wss://b.test:8443/world: attempt 1 \
         of 10 after a loss",
    );
}

/// A new begin knows how the last one ended.
#[test]
fn connecting_after_a_stop() {
    let mut host = Host::connected(quiet());
    host.at(1).disconnect().skip();
    host.at(2).closed(1, peer(1000)).skip();
    host.at(3).connect().skip();
    says(
        &host,
        3,
        "connecting: waiting 15 s of 15 s for a connection to ws://gateway.test/world: a first \
         attempt after disconnect",
    );
}

#[test]
fn credentials() {
    let mut host = Host::new(Config { ask_credentials: true, ..config() });
    host.at(0).connect().skip();
    says(
        &host,
        10_000,
        "connecting: waiting 20 s of 30 s for credentials for ws://gateway.test/world: a first \
         attempt",
    );
    host.at(10_000).credentials(1, Credentials::default()).skip();
    says(
        &host,
        10_000,
        "connecting: waiting 15 s of 15 s for a connection to ws://gateway.test/world: a first \
         attempt",
    );
}

#[test]
fn the_upgrade() {
    let mut endpoint = Endpoint::new(config(), start()).unwrap();
    let mut out: Actions<Transmit> = Actions::new();
    endpoint.connect(ms(0), &mut out);
    let conn = endpoint.client().conn().unwrap();
    endpoint.handle(ms(1_000), Input::Opened { conn }, &mut out);
    assert_eq!(
        endpoint.client().why(ms(2_500)),
        "connecting: waiting 8.5 s of 10 s for the answer to the upgrade request from \
         ws://gateway.test/world: a first attempt"
    );
}

/// After a sleep the patience is new, and so is what is told of it.
#[test]
fn connecting_after_a_sleep() {
    let mut host = Host::new(config());
    host.at(0).connect().skip();
    host.at(3_600_000).timer().skip();
    says(
        &host,
        3_600_100,
        "connecting: waiting 14.9 s of 15 s for a connection to ws://gateway.test/world: a first \
         attempt",
    );
}

#[test]
fn open() {
    let host = Host::connected(quiet());
    says(&host, 0, "open for 0 s to ws://gateway.test/world");
    says(&host, 3_000, "open for 3 s to ws://gateway.test/world");
    says(&host, 3_650, "open for 3.7 s to ws://gateway.test/world");
    says(&host, 86_400_000, "open for 86400 s to ws://gateway.test/world");
}

#[test]
fn open_with_a_heartbeat() {
    let mut host = Host::connected(config());
    says(&host, 0, "open for 0 s to ws://gateway.test/world; asked after 25 s of silence");
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    says(
        &host,
        26_000,
        "open for 26 s to ws://gateway.test/world; asked whether it is alive, dropped in 9 s; a \
         fence is out for 1 s",
    );
    host.at(27_000).pong(1, 1).skip();
    says(&host, 27_000, "open for 27 s to ws://gateway.test/world; asked after 25 s of silence");
}

/// What was heard since puts the question off, though the timer does not know it yet.
#[test]
fn open_and_busy() {
    let mut host = Host::connected(config());
    host.at(20_000).text(1, "0").expect([event("0")]);
    says(&host, 22_000, "open for 22 s to ws://gateway.test/world; asked after 23 s of silence");
}

#[test]
fn open_with_a_fence() {
    let mut host = Host::connected(Config { delivery: Delivery::AtLeastOnce, ..quiet() });
    host.at(1_000).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.send("2").expect([send(1, 3, "2")]);
    says(
        &host,
        1_500,
        "open for 1.5 s to ws://gateway.test/world; a fence is out for 0.5 s; 2 messages in the \
         outbox",
    );
    host.at(2_000).flushed(1, 3).expect([]);
    // Its time on the way begins when it has left.
    says(
        &host,
        2_200,
        "open for 2.2 s to ws://gateway.test/world; a fence is out for 0.2 s; 2 messages in the \
         outbox; 2 messages not acknowledged",
    );
}

#[test]
fn open_and_resuming() {
    let mut host = with_session(Config { resume: ResumeMode::Wait, ..quiet() });
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    host.at(1).send("1").expect([]);
    host.send("2").expect([]);
    says(
        &host,
        4_000,
        "open for 4 s to ws://gateway.test/world; the outbox waits for session-init, 6 s at most; \
         2 messages in the outbox",
    );
    host.at(4_500).text(1, r#"{"type":"session-init"}"#).skip();
    says(&host, 4_500, "open for 4.5 s to ws://gateway.test/world; 2 messages in the outbox");
}

#[test]
fn closing() {
    for (reason, text) in [
        (peer(1001), "close 1001"),
        (peer_says(1013, "try again later"), "close 1013 (try again later)"),
        (
            CloseReason::Protocol { violation: Violation::Masked },
            "a failure: the gateway broke the protocol: a frame from the gateway is masked",
        ),
    ] {
        let mut host = Host::connected(quiet());
        host.at(1_000).closing(1, reason).skip();
        says(&host, 1_000, &format!("closing after {text}: dropped in 5 s"));
        says(&host, 5_999, &format!("closing after {text}: dropped in 0.1 s"));
    }
    let mut host = Host::connected(quiet());
    host.at(1_000).disconnect().skip();
    says(&host, 2_000, "closing after disconnect: dropped in 4 s");
    // The peer's answer does not change the reason.
    host.at(2_000).closing(1, peer(1008)).skip();
    says(&host, 2_000, "closing after disconnect: dropped in 4 s");
}

/// The issue's example, on the way to it and beyond.
#[test]
fn waiting_because_the_gateway_asked() {
    let mut host = Host::new(config());
    host.at(0).connect().skip();
    let mut now = 0;
    for (conn, wait, line) in [
        (1, 5_000, "waiting 5 s: attempt 1 of 10 after close 1013, which asked for 5 s"),
        (2, 5_000, "waiting 5 s: attempt 2 of 10 after close 1013, which asked for 5 s"),
        (3, 5_000, "waiting 5 s: attempt 3 of 10 after close 1013, which asked for 5 s"),
        (4, 8_000, "waiting 8 s: attempt 4 of 10 after close 1013, which asked for 5 s"),
    ] {
        host.at(now).closed(conn, peer(1013)).skip();
        says(&host, now, line);
        now += wait;
        if conn < 4 {
            host.at(now).timer().skip();
        }
    }
    says(
        &host,
        now - 7_300,
        "waiting 7.3 s: attempt 4 of 10 after close 1013, which asked for 5 s",
    );
    host.at(now).timer().skip();
    says(
        &host,
        now,
        "connecting: waiting 15 s of 15 s for a connection to ws://gateway.test/world: attempt 4 \
         of 10 after close 1013, which asked for 5 s",
    );
}

#[test]
fn waiting_after_anything() {
    let lost_so = CloseReason::Lost { text: "reset by peer".into() };
    for (reason, text) in [
        (lost(), "a loss"),
        (lost_so, "a failure: the connection was lost: reset by peer"),
        (unreachable(), "a failure: could not connect: connection refused"),
        (
            CloseReason::Resolve { text: "no such name".into() },
            "a failure: the gateway's name could not be resolved: no such name",
        ),
        (CloseReason::Tls { text: "expired".into() }, "a failure: TLS failed: expired"),
        (
            CloseReason::Proxy { status: Some(407), text: "p:3128: Who are you".into() },
            "a failure: the proxy refused with status 407: p:3128: Who are you",
        ),
        (CloseReason::Credentials { text: "locked".into() }, "a failure: no credentials: locked"),
        (
            CloseReason::Upgrade { error: UpgradeError::NotHttp },
            "a failure: the upgrade failed: the answer is not an HTTP/1.1 response",
        ),
        (peer(1001), "close 1001"),
        (peer_says(1011, "oops"), "close 1011 (oops)"),
        (http(500, None), "HTTP status 500"),
    ] {
        let host = ended(config(), reason);
        says(&host, 0, &format!("waiting 1 s: attempt 1 of 10 after {text}"));
        says(&host, 1, &format!("waiting 1 s: attempt 1 of 10 after {text}"));
        says(&host, 999, &format!("waiting 0.1 s: attempt 1 of 10 after {text}"));
    }
}

#[test]
fn waiting_after_retry_after() {
    for asked in [Seconds(60), UnixSeconds(UNIX_MS / 1_000 + 60)] {
        let mut host = ended(config(), http(503, asked));
        let asked = "HTTP status 503, which asked for 60 s";
        says(&host, 0, &format!("waiting 60 s: attempt 1 of 10 after {asked}"));
        says(&host, 48_900, &format!("waiting 11.1 s: attempt 1 of 10 after {asked}"));
        // It asked for that then, and not for what is left of it now.
        host.at(48_900).timer().skip();
        says(&host, 48_900, &format!("waiting 11.1 s: attempt 1 of 10 after {asked}"));
        host.at(60_000).timer().skip();
        says(
            &host,
            60_000,
            &format!(
                "connecting: waiting 15 s of 15 s for a connection to ws://gateway.test/world: \
                 attempt 1 of 10 after {asked}"
            ),
        );
    }
    // After the cut.
    let max_retry_after = Duration::from_millis(2_500);
    let host = ended(Config { max_retry_after, ..config() }, http(429, Seconds(60)));
    let after = "HTTP status 429, which asked for 60 s (max_retry_after is 2.5 s)";
    says(&host, 0, &format!("waiting 2.5 s: attempt 1 of 10 after {after}"));
}

#[test]
fn waiting_after_timeouts() {
    let mut host = Host::new(Config { ask_credentials: true, ..config() });
    host.at(0).connect().skip();
    host.at(30_000).timer().skip();
    says(&host, 30_000, "waiting 1 s: attempt 1 of 10 after a timeout: no credentials");
    host.at(31_000).timer().skip();
    host.at(31_000).credentials(2, Credentials::default()).skip();
    host.at(46_000).timer().skip();
    says(&host, 46_000, "waiting 2 s: attempt 2 of 10 after a timeout: no connection");
    host.at(48_000).timer().skip();
    host.at(48_000).credentials(3, Credentials::default()).skip();
    host.at(48_000).opened(3).skip();
    host.at(73_000).timer().skip();
    host.at(83_000).timer().skip();
    says(&host, 83_000, "waiting 1 s: attempt 1 of 10 after a timeout: no byte after a heartbeat");
}

#[test]
fn waiting_without_a_limit() {
    let host = ended(Config { max_attempts: None, ..config() }, lost());
    says(&host, 0, "waiting 1 s: attempt 1 after a loss");
}

/// An application that wants it sooner.
#[test]
fn waiting_for_the_floor() {
    let mut host = ended(config(), http(401, None));
    host.at(50).connect().expect([arm(500)]);
    says(&host, 50, "waiting 0.5 s: a first attempt after HTTP status 401");
}

#[test]
fn waiting_for_a_network() {
    let mut host = ended(config(), lost());
    host.at(1).network(false).skip();
    let line = "offline: held until there is a network: attempt 1 of 10 after a loss";
    says(&host, 1, line);
    says(&host, 1_000_000, line);

    let mut host = Host::new(config());
    host.at(0).network(false).skip();
    says(&host, 0, "idle: connect was not called");
    host.at(0).connect().skip();
    says(&host, 0, "offline: held until there is a network: a first attempt");
}

#[test]
fn failed_for_good() {
    let host = ended(config(), http(401, None));
    says(&host, 0, "failed: a retry would not help (no reconnect, after HTTP status 401)");
    let host = ended(config(), peer_says(1008, "banned"));
    says(&host, 0, "failed: a retry would not help (no reconnect, after close 1008 (banned))");
}

#[test]
fn failed_after_a_budget() {
    let mut host = ended(Config { max_attempts: Some(2), ..config() }, lost());
    host.at(1_000).timer().skip();
    host.at(1_000).closed(2, lost()).skip();
    host.at(3_000).timer().skip();
    host.at(3_000).closed(3, http(503, Seconds(9))).skip();
    says(
        &host,
        3_000,
        "failed: max_attempts are used up (2 reconnects, the last after HTTP status 503, which \
         asked for 9 s)",
    );
    let max_elapsed = Some(Duration::from_secs(4));
    let mut host = ended(Config { max_elapsed, ..config() }, lost());
    host.at(1_000).timer().skip();
    host.at(1_000).closed(2, lost()).skip();
    host.at(3_000).timer().skip();
    host.at(3_000).closed(3, unreachable()).skip();
    says(
        &host,
        3_000,
        "failed: max_elapsed is used up (2 reconnects, the last after a failure: could not \
         connect: connection refused)",
    );
}
