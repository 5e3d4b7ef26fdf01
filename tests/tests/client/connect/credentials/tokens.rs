//! A token that the host brings.

use super::*;

#[test]
fn resume_a_session() {
    let mut host = asked(asking());
    host.at(1).credentials(1, token("fresh")).expect([open(1), arm(15_001)]);
    host.at(2).opened(1).expect([resume(1, "fresh"), connected(1), disarm()]);
}

#[test]
fn take_the_place_of_the_saved_one() {
    let mut host = Host::start(asking(), saved("old", Some("c"), ORIGIN));
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host.at(1).credentials(1, token("fresh")).expect([open(1), arm(15_001)]);
    let session = host.client().session().unwrap();
    assert_eq!((&*session.token, session.client_id.as_deref()), ("fresh", Some("c")));
    host.at(2).opened(1).expect([resume(1, "fresh"), connected(1), disarm()]);
}

/// It is for the gateway that the host was asked about.
#[test]
fn belong_to_the_gateway_that_they_were_asked_for() {
    let mut host = Host::start(asking(), saved("old", None, "ws://other.test"));
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host.at(1).credentials(1, token("fresh")).expect([open(1), arm(15_001)]);
    assert_eq!(host.client().session().unwrap().origin.as_deref(), Some(ORIGIN));
    host.at(2).opened(1).expect([resume(1, "fresh"), connected(1), disarm()]);
}

#[test]
fn are_not_needed() {
    let mut host = Host::start(asking(), saved("old", None, ORIGIN));
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host.at(1).credentials(1, bearer("a")).expect([open(1), arm(15_001)]);
    host.at(2).opened(1).expect([resume(1, "old"), connected(1), disarm()]);
}

/// The latest is offered again by an attempt that brings none.
#[test]
fn last_until_the_next() {
    let mut host = asked(asking());
    host.at(1).credentials(1, token("a")).skip();
    host.at(2).opened(1).expect([resume(1, "a"), connected(1), disarm()]);
    host.at(3).closed(1, lost()).skip();
    host.at(1_003).timer().expect([ask_credentials(2), arm(31_003)]);
    host.at(1_004).credentials(2, none()).skip();
    host.at(1_005).opened(2).expect([resume(2, "a"), connected(2), disarm()]);
    host.at(1_006).closed(2, lost()).skip();
    host.at(3_006).timer().expect([ask_credentials(3), arm(33_006)]);
    host.at(3_007).credentials(3, token("b")).skip();
    host.at(3_008).opened(3).expect([resume(3, "b"), connected(3), disarm()]);
}

#[test]
fn give_way_to_what_the_gateway_issues() {
    let mut host = asked(asking());
    host.at(1).credentials(1, token("a")).skip();
    host.at(2).opened(1).skip();
    let init = r#"{"type":"session-init","token":"b"}"#;
    let session = Session {
        token: "b".into(),
        client_id: None,
        saved_at: UNIX_MS + 3,
        origin: Some(ORIGIN.into()),
    };
    match host.at(3).text(1, init).take().as_slice() {
        [Action::PersistSession(Some(kept)), Action::Emit(Event::SessionInit(_))] => {
            assert_eq!(*kept, session);
        }
        other => panic!("{other:?}"),
    }
    host.at(4).closed(1, lost()).skip();
    host.at(1_004).timer().skip();
    host.at(1_005).credentials(2, none()).skip();
    host.at(1_006).opened(2).expect([resume(2, "b"), connected(2), disarm()]);
}

/// It is as fresh as can be, however old the one before.
#[test]
fn are_not_too_old() {
    let config = Config { session_max_age: Some(Duration::from_secs(1)), ..asking() };
    let mut host = Host::start(config, saved("old", None, ORIGIN));
    host.at(3_600_000).connect().expect([ask_credentials(1), arm(3_630_000)]);
    host.at(3_600_001).credentials(1, token("fresh")).skip();
    host.at(3_600_002).opened(1).expect([resume(1, "fresh"), connected(1), disarm()]);
}

#[test]
fn are_as_secret_as_others() {
    let config = Config { plaintext_session: PlaintextPolicy::Refuse, ..asking() };
    let mut host = asked(config);
    host.at(1).credentials(1, token("fresh")).expect([open(1), arm(15_001)]);
    match host.at(2).opened(1).take().as_slice() {
        [Action::Emit(Event::Warning { text }), last @ ..] => {
            assert_eq!(last, [connected(1), disarm()]);
            assert!(text.contains("clear") && !text.contains("fresh"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

/// An empty token is none, as everywhere.
#[test]
fn may_be_empty() {
    let mut host = asked(asking());
    host.at(1).credentials(1, token("")).expect([open(1), arm(15_001)]);
    host.at(2).opened(1).expect([connected(1), disarm()]);
}

#[test]
fn can_be_cleared() {
    let mut host = asked(asking());
    host.at(1).credentials(1, token("a")).skip();
    host.at(2).clear_session().expect([forget()]);
    host.at(3).opened(1).expect([connected(1), disarm()]);
}
