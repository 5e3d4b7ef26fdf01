//! The outbox, a shutdown, times, and secrets that are withheld.

use super::*;

#[test]
fn shutting_down() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").skip();
    host.send("2").skip();
    host.at(2).flushed(1, 2).skip();
    host.at(1_000).shutdown(10_000).expect([ping(1, 3), arm(11_000)]);
    says(
        &host,
        1_500,
        "open for 1.5 s to ws://gateway.test/world; a fence is out for 0.5 s; shutting down within \
         9.5 s; 2 messages not acknowledged",
    );

    let mut host = ended(config(), lost());
    host.at(1).send("1").skip();
    host.send("2").skip();
    host.at(1).shutdown(5_000).skip();
    says(
        &host,
        1,
        "waiting 1 s: attempt 1 of 10 after a loss; shutting down within 5 s; 2 messages in the \
         outbox",
    );
}

#[test]
fn the_outbox() {
    let mut host = Host::new(config());
    for text in ["1", "2", "3"] {
        host.at(0).send(text).skip();
    }
    says(&host, 0, "idle: connect was not called; 3 messages in the outbox");
}

/// People notice.
#[test]
fn one_is_one() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).send("1").skip();
    says(&host, 0, "idle: connect was not called; 1 message in the outbox");
    host.at(0).connect().skip();
    host.at(0).closed(1, lost()).skip();
    host.at(1_000).timer().skip();
    host.at(1_000).closed(2, lost()).skip();
    says(
        &host,
        1_000,
        "failed: max_attempts are used up (1 reconnect, the last after a loss); 1 message in the \
         outbox",
    );
    let mut host = Host::connected(quiet());
    host.at(0).send("1").skip();
    host.at(0).flushed(1, 1).skip();
    says(&host, 0, "open for 0 s to ws://gateway.test/world; 1 message not acknowledged");
}

/// What is to come never shows as nothing, and what was is what it was.
#[test]
fn seconds_are_rounded_up() {
    let host = ended(config(), lost());
    let left = |micros: u64| {
        let line = host.client().why(Timestamp::from_micros(1_000_000 - micros));
        line.strip_suffix(": attempt 1 of 10 after a loss").unwrap().to_owned()
    };
    for (micros, text) in [
        (1_000_000, "waiting 1 s"),
        (900_001, "waiting 1 s"),
        (900_000, "waiting 0.9 s"),
        (100_001, "waiting 0.2 s"),
        (100_000, "waiting 0.1 s"),
        (1_000, "waiting 0.1 s"),
        (999, "waiting 0.1 s"),
        (1, "waiting 0.1 s"),
        (0, "waiting 0 s"),
    ] {
        assert_eq!(left(micros), text, "{micros} us");
    }
}

/// Asked about a moment that is over, or long after.
#[test]
fn at_another_time() {
    let host = Host::connected(quiet());
    says(&host, 0, "open for 0 s to ws://gateway.test/world");
    let mut host = Host::new(config());
    host.at(10_000).connect().skip();
    host.at(10_000).closed(1, lost()).skip();
    says(&host, 0, "waiting 11 s: attempt 1 of 10 after a loss");
    says(&host, 12_000, "waiting 0 s: attempt 1 of 10 after a loss");
    says(&host, u64::MAX, "waiting 0 s: attempt 1 of 10 after a loss");
}

/// "Never", spelt as the longest duration there is.
#[test]
fn without_end() {
    let never = Duration::MAX;
    let mut host = Host::new(Config {
        backoff_base: never,
        backoff_cap: never,
        connect_timeout: never,
        max_retry_after: never,
        ..config()
    });
    host.at(0).connect().skip();
    assert!(host.client().why(ms(0)).starts_with("connecting: waiting "));
    host.at(0).closed(1, http(503, Seconds(u64::MAX))).skip();
    assert!(host.client().why(ms(0)).starts_with("waiting "));
}

/// A line: what a gateway says can't begin another one in somebody's log.
#[test]
fn it_is_one_line() {
    for text in ["a\nb", "a\r\nb", "\u{1b}[2J", "a\0b", "\u{2028}"] {
        let host = ended(config(), peer_says(1001, text));
        let line = host.client().why(ms(0));
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}'), "{line:?}");
    }
}

/// It is a look, and changes nothing.
#[test]
fn asking_is_free() {
    let host = ended(config(), lost());
    let before = host.client().clone();
    let _ = host.client().why(ms(1_000_000));
    assert!(*host.client() == before);
    assert!(matches!(host.state(), State::Waiting { .. }));
}

/// A query, a token, a header, a message: in every state of a run that has them all.
#[test]
fn no_secret_is_in_it() {
    const SECRET: &str = "s3cret";
    let config = Config {
        headers: vec![("Authorization".into(), format!("Bearer {SECRET}"))],
        fallback_urls: vec![format!("{URL}/2?key={SECRET}").into()],
        url: format!("{URL}?key={SECRET}").into(),
        ask_credentials: true,
        resume: ResumeMode::Wait,
        delivery: Delivery::AtLeastOnce,
        overflow: OverflowPolicy::DropNewest,
        jitter: Jitter::Full,
        ..config()
    };
    let fresh = || Credentials {
        headers: vec![("Cookie".into(), SECRET.into())],
        token: Some(SECRET.into()),
    };
    let init = format!(r#"{{"type":"session-init","token":"{SECRET}"}}"#);
    let mut host = with_session(config);
    let conn = |n| hermes_proto::ConnId(n);
    let credentials = |n| Input::Credentials { conn: conn(n), credentials: fresh() };
    let steps: Vec<Input> = vec![
        Input::Send(json(format!("\"{SECRET}\""))),
        Input::Connect,
        credentials(1),
        Input::Opened { conn: conn(1) },
        Input::Received { conn: conn(1), payload: Frame::Text(init.into()) },
        Input::Flushed { conn: conn(1), up_to: 2 },
        Input::Shutdown { within: Duration::from_secs(100) },
        Input::Connect,
        Input::Closed { conn: conn(1), reason: peer(1013) },
        Input::TimerFired,
        Input::NetworkChanged { online: false },
        Input::NetworkChanged { online: true },
    ];
    let mut seen = String::new();
    let mut look = |host: &Host, now| {
        let line = host.client().why(ms(now));
        assert!(!line.contains(SECRET), "{line}");
        seen.push_str(&line);
        seen.push('\n');
    };
    look(&host, 0);
    for (now, step) in (0..).step_by(10).zip(steps) {
        host.at(now).input(step).skip();
        look(&host, now);
    }
    host.at(20_000).timer().skip();
    look(&host, 20_000);
    host.at(20_001).input(credentials(2)).skip();
    look(&host, 20_001);
    host.at(20_002).closed(2, http(403, None)).skip();
    look(&host, 20_002);
    host.at(40_000).timer().skip();
    host.at(40_001).closed(3, http(403, None)).skip();
    look(&host, 40_001);
    for part in
        ["idle", "credentials for", "a connection to", "open for", "waiting", "offline", "failed"]
    {
        assert!(seen.contains(part), "{part} is missing in {seen}");
    }
    // The query is told by its length.
    assert!(seen.contains("ws://gateway.test/world?[10 bytes]"), "{seen}");
}

/// The events have the same reasons, in words of their own.
#[test]
fn it_agrees_with_the_event() {
    let mut host = Host::new(config());
    host.at(0).connect().skip();
    let actions = host.closed(1, unreachable()).take();
    let [hermes_proto::Action::Emit(Event::Disconnected { reason, .. }), _] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert!(host.client().why(ms(0)).ends_with(&reason.to_string()));
}
