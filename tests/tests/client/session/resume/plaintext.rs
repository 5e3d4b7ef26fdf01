//! A session over a connection without TLS.

use super::*;

const WARNING: &str = "the session with ws://gateway.test travels in the clear; use wss://, or set \
                       plaintext_session to \"refuse\" or \"allow\"";
const REFUSAL: &str = "no session with ws://gateway.test: it would travel in the clear, and \
                       plaintext_session is \"refuse\"; use wss://";

fn plaintext(policy: PlaintextPolicy) -> Config {
    Config { plaintext_session: policy, ..quiet() }
}

#[test]
fn allowed_in_the_clear() {
    let mut host = with(plaintext(PlaintextPolicy::Allow), session());
    host.at(0).connect().skip();
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    let issued = Session { saved_at: UNIX_MS + 2, ..session() };
    host.at(2).text(1, INIT).expect([persist(issued), init(session(), INIT)]);
}

#[test]
fn warned_of_once() {
    assert_eq!(Config::default().plaintext_session, PlaintextPolicy::Warn);
    let mut host = with(plaintext(PlaintextPolicy::Warn), session());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let first = [warning(WARNING), resume(1, "t"), send(1, 2, "1"), connected(1), disarm()];
    host.at(1).opened(1).expect(first);
    let issued = Session { saved_at: UNIX_MS + 2, ..session() };
    host.at(2).text(1, INIT).expect([persist(issued), init(session(), INIT)]);
    host.at(3).flushed(1, 2).expect([]);
    host.at(4).closed(1, lost()).skip();
    host.at(1_004).timer().expect([open(2), arm(16_004)]);
    host.at(1_005).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
    host.at(1_006).disconnect().skip();
    host.at(1_007).closed(2, lost()).skip();
    host.at(1_008).connect().skip();
    host.at(1_009).opened(3).expect([resume(3, "t"), connected(3), disarm()]);
}

/// Before there is a session there is nothing to warn of.
#[test]
fn warned_of_with_the_first_session() {
    let mut host = Host::new(plaintext(PlaintextPolicy::Warn));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([connected(1), disarm()]);
    host.at(2).text(1, r#"{"type":"session-init"}"#).expect([event(r#"{"type":"session-init"}"#)]);
    let issued = Session { saved_at: UNIX_MS + 3, ..session() };
    host.at(3).text(1, INIT).expect([warning(WARNING), persist(issued), event(INIT)]);
}

#[test]
fn refused_in_the_clear() {
    let config = Config { resume: ResumeMode::Wait, ..plaintext(PlaintextPolicy::Refuse) };
    let mut host = with(config, session());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    // Neither resumed nor waited for; everything else is as ever.
    host.at(1).opened(1).expect([warning(REFUSAL), send(1, 1, "1"), connected(1), disarm()]);
    // Nor kept: each connection has a session of its own.
    let new = r#"{"type":"session-init","token":"u","clientId":"d"}"#;
    host.at(2).text(1, new).expect([event(new)]);
    assert_eq!(host.client().session(), Some(session()), "it is another day's");
    host.at(3).flushed(1, 1).expect([]);
    host.at(4).closed(1, lost()).skip();
    host.at(1_004).timer().skip();
    host.at(1_005).opened(2).expect([connected(2), disarm()]);
    host.at(1_006).text(2, new).expect([event(new)]);
}

#[test]
fn refused_with_the_first_session() {
    let mut host = Host::new(plaintext(PlaintextPolicy::Refuse));
    host.at(0).connect().skip();
    host.at(1).opened(1).expect([connected(1), disarm()]);
    host.at(2).text(1, INIT).expect([warning(REFUSAL), event(INIT)]);
    assert_eq!(host.client().session(), None);
    host.at(3).text(1, INIT).expect([event(INIT)]);
}

/// What does not leave the machine, or is encrypted, is nobody's business.
#[test]
fn loopback_and_tls_are_private() {
    for url in [
        "wss://gateway.test/world",
        "ws://localhost/",
        "ws://localhost:8080/",
        "ws://gateway.localhost/",
        "ws://127.0.0.1:8080/",
        "ws://127.9.9.9/",
        "ws://[::1]:8080/",
    ] {
        for plaintext_session in
            [PlaintextPolicy::Allow, PlaintextPolicy::Warn, PlaintextPolicy::Refuse]
        {
            let parsed = Url::parse(url).expect("it is one");
            let mine = Session { origin: Some(parsed.origin().into()), ..session() };
            let config = Config { plaintext_session, heartbeat_interval: None, ..Config::new(url) };
            let mut host = with(config, mine.clone());
            host.at(0).connect().expect([open_to(1, url), arm(15_000)]);
            host.at(1).opened(1).expect([resume(1, "t"), connected_to(1, url), disarm()]);
            let issued = Session { saved_at: UNIX_MS + 2, ..mine };
            host.at(2).text(1, INIT).expect([persist(issued), init(session(), INIT)]);
        }
    }
}

/// They look like it.
#[test]
fn others_are_not_private() {
    for url in [
        "ws://localhost.example.com/",
        "ws://notlocalhost/",
        "ws://127.0.0.1.example.com/",
        "ws://10.0.0.1/",
        "ws://[::2]/",
        "ws://[fe80::1]/",
        "ws://0.0.0.0/",
    ] {
        let parsed = Url::parse(url).expect("it is one");
        let mine = Session { origin: Some(parsed.origin().into()), ..session() };
        let config = Config {
            plaintext_session: PlaintextPolicy::Refuse,
            heartbeat_interval: None,
            ..Config::new(url)
        };
        let mut host = with(config, mine);
        host.at(0).connect().skip();
        let actions = host.at(1).opened(1).take();
        assert!(matches!(actions[0], Action::Emit(Event::Warning { .. })), "{url}: {actions:?}");
        assert_eq!(actions[1..], [connected_to(1, url), disarm()]);
    }
}

/// A session that is too old is dropped without a word about how it would travel.
#[test]
fn no_warning_for_what_is_not_sent() {
    let mut host = with(plaintext(PlaintextPolicy::Warn), saved(31 * DAY));
    host.at(0).connect().skip();
    let actions = [forget(), session_dropped(SessionDropReason::TooOld), connected(1), disarm()];
    host.at(1).opened(1).expect(actions);
    let other = Session { origin: Some("wss://gateway.test".into()), ..session() };
    for session in [other, Session { token: String::new(), ..session() }] {
        let mut host = with(plaintext(PlaintextPolicy::Warn), session);
        host.at(0).connect().skip();
        host.at(1).opened(1).expect([connected(1), disarm()]);
    }
}

#[test]
fn warnings_withhold_the_token() {
    for policy in [PlaintextPolicy::Warn, PlaintextPolicy::Refuse] {
        let secret = Session { token: "s3cret".into(), ..session() };
        let mut host = with(plaintext(policy), secret);
        host.at(0).connect().skip();
        let actions = host.at(1).opened(1).take();
        let Action::Emit(Event::Warning { text }) = &actions[0] else { panic!("{actions:?}") };
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(Event::Warning { text: text.clone() }.name(), "warning");
    }
}
