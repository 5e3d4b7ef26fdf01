//! The session: saved when it is issued, resumed first thing, and only where it came from.

use hermes_proto::{Config, Input, Session, Start};
use hermes_tests::*;

fn session(token: &str, client_id: Option<&str>, saved_at: u64) -> Session {
    let (token, client_id) = (token.to_owned(), client_id.map(str::to_owned));
    Session { token, client_id, saved_at, origin: Some(ORIGIN.to_owned()) }
}

/// A start with a session that was saved for `origin`.
fn saved_for(origin: Option<&str>) -> Start {
    let session = Session { origin: origin.map(str::to_owned), ..session("t", None, UNIX_MS - 9) };
    Start { session: Some(session), ..start() }
}

const INIT: &str = r#"{"type":"session-init","token":"t","clientId":"c"}"#;

#[test]
fn a_session_is_saved_when_it_is_issued_and_resumed_on_the_next_connection() {
    let mut host = Host::connected(quiet());
    let issued = session("t", Some("c"), UNIX_MS + 9);
    host.at(9).text(1, INIT).expect([persist(issued.clone()), event(INIT)]);
    assert_eq!(host.client().session(), Some(issued.clone()));
    host.at(10).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
    host.at(1_010).timer().expect([open(2), arm(16_010)]);
    host.at(1_011).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
}

#[test]
fn the_latest_session_counts() {
    let later = r#"{"type":"session-init","token":"u"}"#;
    let mut host = Host::start(quiet(), saved_for(Some(ORIGIN)));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    host.at(2).text(1, later).expect([persist(session("u", None, UNIX_MS + 2)), event(later)]);
    host.at(3).closed(1, lost()).skip();
    host.at(500).connect().expect([open(2), arm(15_500)]);
    host.at(501).opened(2).expect([resume(2, "u"), connected(2), disarm()]);
}

/// Another tab's, or a store's. The host has it: it is not saved again.
#[test]
fn a_session_that_the_application_brings_is_offered_next() {
    let mut host = Host::connected(quiet());
    host.at(9).text(1, INIT).skip();
    let other = session("other", None, UNIX_MS);
    host.at(10).input(Input::SetSession(Session { origin: None, ..other.clone() })).expect([]);
    assert_eq!(host.client().session(), Some(other));
    host.at(20).closed(1, lost()).skip();
    host.at(1_020).timer().expect([open(2), arm(16_020)]);
    host.at(1_021).opened(2).expect([resume(2, "other"), connected(2), disarm()]);
}

#[test]
fn a_session_that_the_application_brings_for_another_gateway_stays_here() {
    let mut host = Host::new(quiet());
    let other = Session { origin: Some("ws://other.test".into()), ..session("t", None, UNIX_MS) };
    host.at(0).input(Input::SetSession(other)).expect([]);
    host.at(1).connect().expect([open(1), arm(15_001)]);
    host.at(2).opened(1).expect([connected(1), disarm()]);
}

/// In whole milliseconds since 1970, and never before something that was seen already.
#[test]
fn saved_at_is_the_wall_clock_at_the_start_and_the_time_since() {
    let mut host = Host::connected(quiet());
    host.at(1).text(1, INIT).skip();
    for (now, saved_at) in [(5_000, 5_000), (4_000, 5_000), (86_400_000, 86_400_000)] {
        let issued = session("t", Some("c"), UNIX_MS + saved_at);
        host.at(now).text(1, INIT).expect([persist(issued), resumed(INIT)]);
    }
}

/// The client keeps what the gateway issues for as long as it lives, so there is an end to it.
#[test]
fn a_token_or_client_id_above_8_kib_is_told_and_warned_of_and_not_kept() {
    let init = |token: usize, id: usize| {
        let (token, id) = ("t".repeat(token), "c".repeat(id));
        format!(r#"{{"type":"session-init","token":"{token}","clientId":"{id}"}}"#)
    };
    // The bounds count JSON, and so the quotes.
    const MOST: usize = (8 << 10) - 2;
    let mut host = Host::connected(quiet());
    host.at(1).text(1, init(MOST, MOST)).skip();
    let kept = host.client().session();
    assert!(kept.as_ref().is_some_and(|session| session.token.len() == MOST));
    for too_large in [init(MOST + 1, 1), init(1, MOST + 1)] {
        host.at(2).text(1, &*too_large).expect([
            warning("the session is not kept: its token or client id is larger than 8 KiB"),
            event(&too_large),
        ]);
    }
    assert_eq!(host.client().session(), kept);
}

/// As the reference: no token, nothing to resume.
#[test]
fn a_session_init_without_a_token_is_told_and_not_saved() {
    let mut host = Host::start(quiet(), saved_for(Some(ORIGIN)));
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    for init in [
        r#"{"type":"session-init","clientId":"c"}"#,
        r#"{"type":"session-init","token":null}"#,
        r#"{"type":"session-init","token":""}"#,
    ] {
        host.at(1).text(1, init).expect([event(init)]);
    }
    // A token came, and is lost: that is told.
    for token in ["{}", "5", r#""\ud800""#] {
        let init = format!(r#"{{"type":"session-init","token":{token}}}"#);
        host.at(1).text(1, &*init).expect([
            warning("the session is not kept: its token is not a string of Unicode text"),
            event(&init),
        ]);
    }
    assert_eq!(host.client().session().unwrap().token, "t");
}

/// Only a fool would fall for this, so it is tested.
#[test]
fn a_session_init_in_anothers_clothes_is_none() {
    let mut host = Host::connected(quiet());
    for text in [
        r#"[{"type":"session-init","token":"t"}]"#,
        r#"{"type":"chat","token":"t"}"#,
        r#"{"detail":{"type":"session-init","token":"t"}}"#,
        r#"{"type":"session-init","token":"t","type":"chat"}"#,
    ] {
        host.text(1, text).expect([event(text)]);
    }
    assert_eq!(host.client().session(), None);
}

#[test]
fn a_session_from_the_last_run_is_resumed() {
    // The reference's stored form knows no origin; it is the configured one's.
    for origin in [Some(ORIGIN), None] {
        let mut host = Host::start(quiet(), saved_for(origin));
        assert_eq!(host.client().session().unwrap().origin.as_deref(), Some(ORIGIN));
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    }
}

/// The reference gives it to whatever URL is set.
#[test]
fn the_token_goes_to_its_origin_alone() {
    for other in [
        "wss://gateway.test",
        "ws://gateway.test:8080",
        "ws://evil.test",
        "ws://gateway.test.evil.test",
        "gateway.test",
        "",
    ] {
        let mut host = Host::start(quiet(), saved_for(Some(other)));
        host.at(0).connect().expect([open(1), arm(15_000)]);
        host.at(1).opened(1).expect([connected(1), disarm()]);
        // A new one takes its place.
        let issued = session("t", Some("c"), UNIX_MS + 2);
        host.at(2).text(1, INIT).expect([persist(issued), event(INIT)]);
        host.at(3).closed(1, lost()).skip();
        host.at(500).connect().expect([open(2), arm(15_500)]);
        host.at(501).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
    }
}

/// Scheme, host and port; not the path, nor how the URL is spelt.
#[test]
fn the_same_origin_may_be_spelt_otherwise() {
    for url in ["ws://gateway.test/another?x=1", "WS://Gateway.TEST:80", "ws://gateway.test:80/"] {
        let mut host = Host::start(Config { url: url.into(), ..quiet() }, saved_for(Some(ORIGIN)));
        host.at(0).connect().skip();
        let actions = host.at(1).opened(1).take();
        assert_eq!(actions[0], resume(1, "t"), "{url}");
    }
}

#[test]
fn a_session_can_be_forgotten() {
    let mut host = Host::start(quiet(), saved_for(None));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).clear_session().expect([forget()]);
    assert_eq!(host.client().session(), None);
    host.at(2).opened(1).expect([connected(1), disarm()]);
    host.at(3).text(1, INIT).skip();
    host.at(4).clear_session().expect([forget()]);
    host.at(5).closed(1, lost()).skip();
    host.at(500).connect().expect([open(2), arm(15_500)]);
    host.at(501).opened(2).expect([connected(2), disarm()]);
    // The store may hold one that this client never had.
    host.at(502).clear_session().expect([forget()]);
}

/// An empty token is none, as with the reference.
#[test]
fn an_empty_token_is_not_resumed() {
    let mut host = Host::start(quiet(), Start { session: Some(session("", None, 0)), ..start() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([connected(1), disarm()]);
}

/// It is JSON, whatever is in it.
#[test]
fn a_token_is_quoted() {
    let odd = Session { token: "\"},\n\u{e9}".into(), ..session("", None, 0) };
    let mut host = Host::start(quiet(), Start { session: Some(odd), ..start() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "\\\"},\\n\u{e9}"), connected(1), disarm()]);
}

/// It is not a message: it has no place in the outbox, and takes none.
#[test]
fn resuming_is_beside_the_outbox() {
    let config = Config { outbox_max_messages: 1, unflushed_max_bytes: 1, ..quiet() };
    let mut host = Host::start(config, saved_for(None));
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let opened = [resume(1, "t"), send(1, 2, "1"), connected(1), disarm()];
    host.at(1).opened(1).expect(opened);
    host.at(2).flushed(1, 1).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().stats().written), (1, 0));
}
