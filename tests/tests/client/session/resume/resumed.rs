//! A resumed session is told from a new one.

use super::*;

#[test]
fn a_session_is_resumed_or_new() {
    let without_id = Session { client_id: None, ..session() };
    for (before, json, resumed) in [
        (session(), INIT, true),
        // The gateway may give a new token to the same client.
        (session(), r#"{"type":"session-init","token":"u","clientId":"c"}"#, true),
        (session(), r#"{"type":"session-init","clientId":"c"}"#, true),
        // Another client, even under the same token.
        (session(), r#"{"type":"session-init","token":"u","clientId":"d"}"#, false),
        (session(), r#"{"type":"session-init","token":"t","clientId":"d"}"#, false),
        // Where one of them has no client id, the token counts.
        (session(), r#"{"type":"session-init","token":"t"}"#, true),
        (session(), r#"{"type":"session-init","token":"u"}"#, false),
        (session(), r#"{"type":"session-init","token":"t","clientId":null}"#, true),
        (without_id.clone(), INIT, true),
        (without_id, r#"{"type":"session-init","token":"u","clientId":"c"}"#, false),
        // There is nothing to tell by.
        (session(), r#"{"type":"session-init"}"#, false),
        // Of another gateway, which knows nothing of this one's.
        (Session { origin: Some("ws://other.test".into()), ..session() }, INIT, false),
    ] {
        let mut host = with(quiet(), before.clone());
        host.at(0).connect().skip();
        host.at(0).opened(1).skip();
        let actions = host.at(1).text(1, json).take();
        assert_eq!(told(&actions).resumed(), resumed, "{json} after {before:?}");
        assert_eq!(host.client().stats().resumed, u64::from(resumed));
    }
}

#[test]
fn the_first_session_is_new_and_then_it_is_resumed() {
    let mut host = Host::connected(quiet());
    assert!(!told(&host.at(1).text(1, INIT).take()).resumed());
    host.at(2).closed(1, lost()).skip();
    host.at(1_002).timer().skip();
    host.at(1_003).opened(2).skip();
    assert!(told(&host.at(1_004).text(2, INIT).take()).resumed());
    // The gateway forgot us.
    let new = r#"{"type":"session-init","token":"u","clientId":"d"}"#;
    host.at(1_005).closed(2, lost()).skip();
    host.at(3_005).timer().skip();
    host.at(3_006).opened(3).skip();
    assert!(!told(&host.at(3_007).text(3, new).take()).resumed());
    assert_eq!(host.client().stats().resumed, 1);
}

/// Over a long way the gateway issues a fresh session before `session-resume` arrives, and then
/// resumes the one that was offered.
#[test]
fn the_session_that_was_offered_counts() {
    const FRESH: &str = r#"{"type":"session-init","token":"f","clientId":"d"}"#;
    let mut host = with(quiet(), session());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    let fresh = Session { token: "f".into(), client_id: Some("d".into()), ..renewed(2) };
    host.at(2).text(1, FRESH).expect([persist(fresh), event(FRESH)]);
    host.at(200).text(1, INIT).expect([persist(renewed(200)), init(session(), INIT)]);
    assert_eq!(host.client().stats().resumed, 1);
}
