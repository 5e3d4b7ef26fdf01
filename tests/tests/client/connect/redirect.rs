//! Redirects: off by default; followed at once, within the attempt; nothing of ours to strangers.

#![allow(clippy::unwrap_used)]

use hermes_proto::reason::RedirectRefused::{Insecure, Off, TooMany};
use hermes_proto::{
    Action, Client, CloseReason, Config, ConnId, Credentials, Event, Session, Start, Url,
};
use hermes_tests::*;

const A: &str = URL;
/// Of the same origin.
const A2: &str = "ws://gateway.test/elsewhere?ticket=1";
const B: &str = "ws://b.test/world";
const SECURE: &str = "wss://b.test/world";

/// So many redirects may be followed, and there is a header that is nobody else's business.
fn following(max_redirects: u32) -> Config {
    let headers = vec![("Authorization".to_owned(), "Bearer x".to_owned())];
    Config { max_redirects, headers, ..quiet() }
}

fn session(token: &str, origin: &str) -> Session {
    Session { token: token.into(), client_id: None, saved_at: UNIX_MS, origin: Some(origin.into()) }
}

fn connected_to(conn: u64, url: &str) -> Action {
    Action::Emit(Event::Connected { conn: ConnId(conn), url: Url::parse(url).unwrap() })
}

/// A client whose first attempt is under way.
#[track_caller]
fn begun(config: Config) -> Host {
    begun_with(config, start())
}

#[track_caller]
fn begun_with(config: Config, start: Start) -> Host {
    let mut host = Host::start(config, start);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host
}

/// The answer on connection `conn` is a redirect, and is followed at once.
#[track_caller]
fn follows(host: &mut Host, now: u64, conn: u64, status: u16, to: &str) {
    host.at(now).closed(conn, redirect(status, to)).expect([
        disconnected(conn, 1006, redirect(status, to), now),
        open_to(conn + 1, to),
        arm(now + 15_000),
    ]);
    assert_eq!(host.client().url().as_str(), to);
}

fn headers(host: &Host) -> Vec<&str> {
    host.client().headers().map(|(name, _)| name).collect()
}

#[test]
fn none_is_followed_by_default() {
    let mut host = begun(quiet());
    let reason = redirect_refused(302, B, Off);
    host.at(3)
        .closed(1, redirect(302, B))
        .expect([disconnected(1, 1006, reason, 1_003), arm(1_003)]);
    assert_eq!(
        host.client().why(ms(3)),
        "waiting 1 s: attempt 1 of 10 after HTTP status 302, a redirect to ws://b.test/world (not \
         followed: max_redirects is 0)"
    );
    host.at(1_003).timer().expect([open(2), arm(16_003)]);
}

/// A new name, at once; it costs no attempt.
#[test]
fn one_is_followed_at_once() {
    for status in [301, 302, 307, 308] {
        let mut host = begun(Config { max_attempts: Some(0), ..following(1) });
        follows(&mut host, 3, 1, status, B);
        assert_eq!(
            host.client().why(ms(3)),
            format!(
                "connecting: waiting 15 s of 15 s for a connection to ws://b.test/world: a first \
                 attempt after HTTP status {status}, a redirect to ws://b.test/world"
            )
        );
        host.at(5).opened(2).expect([connected_to(2, B), disarm()]);
        let stats = host.client().stats();
        assert_eq!((stats.attempts, stats.opened, stats.ended.http), (2, 1, 1));
    }
}

/// What a redirect says is for the attempt. It may be another one the next time.
#[test]
fn the_next_attempt_begins_where_the_first_one_did() {
    let mut host = begun(following(1));
    follows(&mut host, 3, 1, 308, B);
    host.at(4).opened(2).expect([connected_to(2, B), disarm()]);
    host.at(9_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 10_000), arm(10_000)]);
    assert_eq!(host.client().url().as_str(), A);
    host.at(10_000).timer().expect([open(3), arm(25_000)]);
    // Where it leads nowhere, too.
    follows(&mut host, 10_001, 3, 308, B);
    host.at(10_002)
        .closed(4, unreachable())
        .expect([disconnected(4, 1006, unreachable(), 12_002), arm(12_002)]);
    host.at(12_002).timer().expect([open(5), arm(27_002)]);
}

#[test]
fn each_connection_has_its_own_time() {
    let mut host = begun(following(1));
    follows(&mut host, 14_000, 1, 302, B);
    let gone = disconnected(2, 1006, timeout(hermes_proto::reason::Stage::Connect), 30_000);
    host.at(29_000).timer().expect([abandon(2), gone, arm(30_000)]);
}

#[test]
fn a_loop_ends() {
    for to in [A, B] {
        let mut host = begun(following(3));
        for conn in 1..=3 {
            follows(&mut host, conn, conn, 302, to);
        }
        let reason = redirect_refused(302, to, TooMany);
        host.at(4)
            .closed(4, redirect(302, to))
            .expect([disconnected(4, 1006, reason, 1_004), arm(1_004)]);
        // As many again in the next attempt.
        host.at(1_004).timer().expect([open(5), arm(16_004)]);
        follows(&mut host, 1_005, 5, 302, to);
        host.at(1_006).disconnect().skip();
    }
}

#[test]
fn none_leads_out_of_tls() {
    let mut host = begun(following(5));
    follows(&mut host, 1, 1, 302, SECURE);
    let reason = redirect_refused(302, B, Insecure);
    host.at(2)
        .closed(2, redirect(302, B))
        .expect([disconnected(2, 1006, reason, 1_002), arm(1_002)]);
}

#[test]
fn a_refused_one_can_be_for_good() {
    let mut host = begun(Config { fatal_statuses: [302].into(), ..quiet() });
    let reason = redirect_refused(302, B, Off);
    host.at(1).closed(1, redirect(302, B)).skip();
    assert!(matches!(
        host.state(),
        hermes_proto::State::Failed { after: Some(after), .. } if after == reason
    ));
    let mut host = begun(Config { fatal_statuses: [302].into(), ..following(1) });
    follows(&mut host, 1, 1, 302, B);
    host.at(2).disconnect().skip();
}

/// Another host, port or scheme.
#[test]
fn headers_are_for_the_own_origin() {
    for (to, own) in [
        (A2, true),
        (B, false),
        ("ws://gateway.test:81/world", false),
        ("wss://gateway.test/world", false),
    ] {
        let mut host = begun(following(2));
        follows(&mut host, 1, 1, 302, to);
        assert_eq!(headers(&host), if own { vec!["Authorization"] } else { vec![] }, "{to}");
        host.at(2).closed(2, lost()).skip();
        assert_eq!(headers(&host), ["Authorization"]);
    }
}

#[test]
fn a_session_is_for_its_own_origin() {
    let saved = |origin| Start { session: Some(session("t", origin)), ..start() };
    // Ours stays at home.
    let mut host = begun_with(following(1), saved(ORIGIN));
    follows(&mut host, 1, 1, 302, B);
    host.at(2).opened(2).expect([connected_to(2, B), disarm()]);
    // And is offered within the origin.
    let mut host = begun_with(following(1), saved(ORIGIN));
    follows(&mut host, 1, 1, 302, A2);
    host.at(2).opened(2).expect([resume(2, "t"), connected_to(2, A2), disarm()]);
    // Another's comes to light where it belongs.
    let mut host = begun_with(following(1), saved("ws://b.test"));
    follows(&mut host, 1, 1, 302, B);
    host.at(2).opened(2).expect([resume(2, "t"), connected_to(2, B), disarm()]);
}

#[test]
fn a_session_belongs_to_who_issued_it() {
    let mut host = begun(following(1));
    follows(&mut host, 1, 1, 302, B);
    host.at(2).opened(2).expect([connected_to(2, B), disarm()]);
    let init = r#"{"type":"session-init","token":"t"}"#;
    let saved = Session { saved_at: UNIX_MS + 2, ..session("t", "ws://b.test") };
    host.at(2).text(2, init).expect([persist(saved), event(init)]);
}

/// They were brought for the attempt, and for whom they were asked.
#[test]
fn credentials_are_asked_for_once_and_stay_in_the_own_origin() {
    let asking = Config { ask_credentials: true, ..following(2) };
    let mut host = Host::new(asking);
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    let credentials =
        Credentials { headers: vec![("X-Key".into(), "k".into())], token: Some("t".into()) };
    host.credentials(1, credentials).expect([open(1), arm(15_000)]);
    follows(&mut host, 1, 1, 302, A2);
    assert_eq!(headers(&host), ["Authorization", "X-Key"]);
    follows(&mut host, 2, 2, 302, B);
    assert_eq!(headers(&host), [""; 0]);
    host.at(3).opened(3).expect([connected_to(3, B), disarm()]);
    host.at(3).closed(3, lost()).skip();
    host.at(1_003).timer().expect([ask_credentials(4), arm(31_003)]);
    assert_eq!(headers(&host), ["Authorization"]);
}

/// The turn of the gateways is not that of where they lead.
#[test]
fn a_failure_behind_a_redirect_is_the_gateways() {
    let mut host = begun(Config { fallback_urls: vec!["ws://c.test/".into()], ..following(1) });
    follows(&mut host, 1, 1, 302, B);
    host.at(2)
        .closed(2, unreachable())
        .expect([disconnected(2, 1006, unreachable(), 1_002), arm(1_002)]);
    host.at(1_002).timer().expect([open_to(3, "ws://c.test/"), arm(16_002)]);
}

#[test]
fn nobody_goes_where_nobody_wants_to() {
    // There is no network.
    let mut host = begun(following(1));
    host.at(1).network(false);
    host.at(1)
        .closed(1, redirect(302, B))
        .expect([disconnected(1, 1006, redirect(302, B), 1_001), disarm()]);
    assert_eq!(host.client().url().as_str(), A);
    host.at(5_000).network(true).expect([open(2), arm(20_000)]);
    // All is sent.
    let mut host = begun(following(1));
    host.at(1).send("1").shutdown(9_000).expect([arm(9_001)]);
    host.at(1).clear_outbox().skip();
    assert!(host.client().conn().is_none(), "{:?}", host.state());
}

/// What a host says of an open connection is the end of it, and no more.
#[test]
fn an_open_connection_is_not_redirected() {
    let mut host = begun(following(1));
    host.at(1).opened(1).expect([connected(1), disarm()]);
    host.at(2)
        .closed(1, redirect(302, B))
        .expect([disconnected(1, 1006, redirect(302, B), 1_002), arm(1_002)]);
}

#[test]
fn the_ticket_is_withheld() {
    let reason = redirect_refused(302, A2, Off);
    for shown in [reason.to_string(), format!("{reason:?}")] {
        assert!(shown.contains("elsewhere") && !shown.contains("ticket"), "{shown}");
    }
    let mut host = begun(following(1));
    follows(&mut host, 1, 1, 302, A2);
    let shown = format!("{:?} {}", host.client(), host.client().why(ms(1)));
    assert!(shown.contains("elsewhere") && !shown.contains("ticket"), "{shown}");
    host.at(2).disconnect().skip();
}

#[test]
fn there_are_not_to_be_many() {
    let made = |max_redirects| Client::new(following(max_redirects), start());
    assert!(made(20).is_ok());
    assert_eq!(made(21).unwrap_err().to_string(), "config: `max_redirects` must be at most 20");
}

#[test]
fn a_reason_is_the_same_in_json() {
    let json = r#"{"cause":"http","status":302,"redirect":{"to":"ws://b.test/world","refused":"too-many"}}"#;
    let reason: CloseReason = serde_json::from_str(json).unwrap();
    assert_eq!(reason, redirect_refused(302, B, TooMany));
    assert_eq!(serde_json::to_string(&reason).unwrap(), json);
    let error = serde_json::from_str::<CloseReason>(&json.replace("ws://", "ftp://"));
    assert!(error.unwrap_err().to_string().starts_with("the scheme must be ws or wss"));
}
