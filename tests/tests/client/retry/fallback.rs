//! Several gateways of one service: rotated on failure, kept on success, and a session only where
//! it belongs.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Event, FailReason, Input, Session,
    SessionDropReason, Start, State, Transmit, Url,
};
use hermes_tests::*;

const A: &str = URL;
const B: &str = "ws://b.test/world";
const C: &str = "wss://c.test:8443/world?region=3";

/// Gateways A and B.
fn two() -> Config {
    Config { fallback_urls: vec![B.into()], ..quiet() }
}

/// Gateways A, B and C.
fn three() -> Config {
    Config { fallback_urls: vec![B.into(), C.into()], ..quiet() }
}

fn origin(url: &str) -> String {
    Url::parse(url).unwrap().origin().to_owned()
}

fn session(token: &str, url: &str) -> Session {
    let origin = Some(origin(url));
    Session { token: token.into(), client_id: None, saved_at: UNIX_MS, origin }
}

/// A start with a session that the gateway at `url` issued.
fn saved(token: &str, url: &str) -> Start {
    Start { session: Some(session(token, url)), ..start() }
}

/// `ws-connected`, to another gateway.
fn connected_to(conn: u64, url: &str) -> Action {
    Action::Emit(Event::Connected { conn: ConnId(conn), url: Url::parse(url).unwrap() })
}

/// Begins, at time 0.
#[track_caller]
fn begin(host: &mut Host, url: &str) {
    host.at(0).connect().expect([open_to(1, url), arm(15_000)]);
    is_at(host, url);
}

#[track_caller]
fn is_at(host: &Host, url: &str) {
    assert_eq!(host.client().url().as_str(), Url::parse(url).unwrap().as_str());
}

/// Connection `conn` ends like that; the next one, `wait` later, goes to `url`.
#[track_caller]
fn on_to(host: &mut Host, now: u64, conn: u64, reason: CloseReason, wait: u64, url: &str) -> u64 {
    let retry = now + wait;
    host.at(now)
        .closed(conn, reason.clone())
        .expect([disconnected(conn, reason.code(), reason, retry), arm(retry)]);
    is_at(host, url);
    host.at(retry).timer().expect([open_to(conn + 1, url), arm(retry + 15_000)]);
    is_at(host, url);
    retry
}

/// Connection `conn`, to `url`, is open for so long.
#[track_caller]
fn up(host: &mut Host, now: u64, conn: u64, url: &str, long: u64) -> u64 {
    host.at(now).opened(conn).expect([connected_to(conn, url), disarm()]);
    is_at(host, url);
    now + long
}

mod rotation {
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
}

mod a_stable_connection {
    use super::*;

    #[test]
    fn is_made_again_where_it_was() {
        let mut host = Host::new(three());
        begin(&mut host, A);
        let mut now = on_to(&mut host, 0, 1, lost(), 1_000, B);
        for conn in 2..6 {
            let end = up(&mut host, now, conn, B, 5_000);
            now = on_to(&mut host, end, conn, lost(), 1_000, B);
        }
        // Until one is not stable.
        on_to(&mut host, now, 6, lost(), 2_000, C);
    }

    #[test]
    fn is_made_again_where_it_was_after_a_restart() {
        let mut host = Host::new(two());
        begin(&mut host, A);
        let end = up(&mut host, 0, 1, A, 60_000);
        on_to(&mut host, end, 1, peer(1012), 5_000, A);
    }

    /// That the application stopped for a while is not its fault.
    #[test]
    fn is_made_again_where_it_was_after_a_stop() {
        let mut host = Host::new(three());
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
        let end = up(&mut host, now, 2, B, 60_000);
        host.at(end).disconnect().expect([close(2, 1000), arm(end + 5_000)]);
        let gone = disconnected(2, 1000, CloseReason::Requested, None);
        host.at(end).closed(2, peer(1000)).expect([gone, disarm()]);
        is_at(&host, B);
        host.at(end + 1).connect().expect([open_to(3, B), arm(end + 15_001)]);
    }
}

mod a_session {
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
}

mod fatal_ends {
    use super::*;

    #[test]
    fn go_to_the_next() {
        let mut host = Host::new(two());
        begin(&mut host, A);
        on_to(&mut host, 0, 1, http(401, None), 1_000, B);

        let mut host = Host::new(two());
        begin(&mut host, A);
        host.at(0).opened(1).skip();
        on_to(&mut host, 1, 1, peer(1008), 1_000, B);
    }

    /// Also after a stable connection, which any other end would stay with.
    #[test]
    fn go_to_the_next_after_a_stable_connection() {
        let mut host = Host::new(two());
        begin(&mut host, A);
        let end = up(&mut host, 0, 1, A, 60_000);
        on_to(&mut host, end, 1, peer(1008), 1_000, B);
    }

    #[test]
    fn of_all_are_the_end() {
        let mut host = Host::new(three());
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
        let now = on_to(&mut host, now, 2, http(404, None), 2_000, C);
        host.at(now).closed(3, http(403, None)).expect([
            disconnected(3, 1006, http(403, None), None),
            failed(2, FailReason::Fatal),
            disarm(),
        ]);
    }

    /// A gateway that said so is left out from then on.
    #[test]
    fn leave_a_gateway_out() {
        let mut host = Host::new(three());
        begin(&mut host, A);
        let mut now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
        for (conn, next, wait) in [(2, C, 2), (3, B, 4), (4, C, 8), (5, B, 16)] {
            now = on_to(&mut host, now, conn, lost(), wait * 1_000, next);
        }
        // Of two, one is left: again and again.
        let now = on_to(&mut host, now, 6, http(401, None), 30_000, C);
        let now = on_to(&mut host, now, 7, lost(), 30_000, C);
        host.at(now).closed(8, http(401, None)).expect([
            disconnected(8, 1006, http(401, None), None),
            failed(7, FailReason::Fatal),
            disarm(),
        ]);
    }

    #[test]
    fn in_any_order() {
        let mut host = Host::new(two());
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
        let now = on_to(&mut host, now, 2, http(401, None), 2_000, A);
        host.at(now).closed(3, http(401, None)).expect([
            disconnected(3, 1006, http(401, None), None),
            failed(2, FailReason::Fatal),
            disarm(),
        ]);
    }

    /// Who knows what it says by now?
    #[test]
    fn are_forgotten_with_a_stable_connection() {
        let mut host = Host::new(two());
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
        let end = up(&mut host, now, 2, B, 5_000);
        let now = on_to(&mut host, end, 2, lost(), 1_000, B);
        let now = on_to(&mut host, now, 3, lost(), 2_000, A);
        on_to(&mut host, now, 4, http(401, None), 4_000, B);
    }

    #[test]
    fn are_forgotten_with_connect() {
        let mut host = Host::new(two());
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
        host.at(now).closed(2, http(401, None)).skip();
        let now = now + 1_000;
        host.at(now).connect().expect([open_to(3, B), arm(now + 15_000)]);
        let now = on_to(&mut host, now, 3, http(401, None), 1_000, A);
        host.at(now).closed(4, http(401, None)).expect([
            disconnected(4, 1006, http(401, None), None),
            failed(1, FailReason::Fatal),
            disarm(),
        ]);
    }

    /// The next one is a reconnect, and needs a budget.
    #[test]
    fn do_not_lend_attempts() {
        let mut host = Host::new(Config { max_attempts: Some(0), ..two() });
        begin(&mut host, A);
        host.at(0).closed(1, http(401, None)).expect([
            disconnected(1, 1006, http(401, None), None),
            failed(0, FailReason::Attempts),
            disarm(),
        ]);
    }
}

/// `url()`: "of the live connection, or of the next".
mod url {
    use super::*;

    fn a_session_of_b() -> Host {
        Host::start(two(), saved("t", B))
    }

    #[test]
    fn agrees_before_the_first_connect() {
        let mut host = Host::new(two());
        is_at(&host, A);
        begin(&mut host, A);
        let mut host = a_session_of_b();
        is_at(&host, B);
        begin(&mut host, B);
    }

    /// The next one is `connect`'s, and that begins with the session's.
    #[test]
    fn agrees_after_failure() {
        let config = Config { max_attempts: Some(1), ..three() };
        let mut host = Host::start(config, saved("t", A));
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
        host.at(now).closed(2, lost()).skip();
        let next = host.client().url().to_string();
        host.at(10_000).connect().expect([open_to(3, &next), arm(25_000)]);
        is_at(&host, A);
    }

    #[test]
    fn agrees_at_rest() {
        let mut host = Host::start(two(), saved("t", A));
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
        host.at(now).disconnect().skip();
        let next = host.client().url().to_string();
        host.at(10_000).connect().expect([open_to(3, &next), arm(25_000)]);
        is_at(&host, A);
    }

    /// A session of A, and a live connection to B in its closing handshake, behind which `connect`
    /// wants the next one.
    fn on_its_way_out() -> Host {
        let mut host = Host::start(two(), saved("a", A));
        begin(&mut host, A);
        let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
        host.at(now).opened(2).expect([connected_to(2, B), disarm()]);
        host.at(now + 1).disconnect().expect([close(2, 1000), arm(now + 5_001)]);
        is_at(&host, B);
        host.at(now + 2).connect().expect([]);
        host
    }

    #[test]
    fn is_the_live_connections_until_that_is_gone() {
        let mut host = on_its_way_out();
        is_at(&host, B);
        host.at(1_010).closed(2, lost()).expect([
            disconnected(2, 1006, CloseReason::Requested, 1_010),
            open_to(3, A),
            arm(16_010),
        ]);
        is_at(&host, A);
    }

    /// What B issues is B's, even on the way out. Else A would be given B's token.
    #[test]
    fn is_what_a_session_is_bound_to() {
        let mut host = on_its_way_out();
        let init = r#"{"type":"session-init","token":"b"}"#;
        let issued = Session { saved_at: UNIX_MS + 1_005, ..session("b", B) };
        host.at(1_005).text(2, init).expect([persist(issued), event(init)]);
    }

    /// At random: what is opened is what was said, and what is said is what is connected.
    #[test]
    fn agrees_with_what_is_opened() {
        let mut rng = hermes_tests::Rng::new(7);
        let mut host = Host::new(Config { max_attempts: None, ..three() });
        let (mut now, mut opens) = (0, 0);
        host.at(now).connect().skip();
        while opens < 300 {
            now += [1, 600, 6_000][rng.below(3)];
            let before = host.client().url().clone();
            let conn = host.client().conn().map_or(0, |conn| conn.0);
            let reasons = [lost(), peer(1001), peer(1008), http(401, None), http(503, None)];
            let actions = match (host.state(), rng.below(4)) {
                (State::Connecting { .. }, 0 | 1) => host.at(now).opened(conn).take(),
                (State::Connecting { .. } | State::Open { .. }, 2) => {
                    host.at(now).closed(conn, rng.pick(&reasons).clone()).take()
                }
                (State::Failed { .. } | State::Waiting { .. }, 3) => host.at(now).connect().take(),
                _ => host.at(now).timer().take(),
            };
            for action in &actions {
                match action {
                    Action::Open { url, .. } => {
                        opens += 1;
                        assert_eq!((url, url), (&before, host.client().url()));
                    }
                    Action::Emit(Event::Connected { url, .. }) => {
                        assert_eq!((url, url), (&before, host.client().url()));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The same gateway twice is no other gateway, but does no harm.
#[test]
fn a_gateway_that_is_there_twice() {
    let mut host = Host::new(Config { fallback_urls: vec![A.into()], ..quiet() });
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, A);
    let end = up(&mut host, now, 2, A, 5_000);
    on_to(&mut host, end, 2, lost(), 1_000, A);
}

/// Stability is a setting here too.
#[test]
fn stable_at_once() {
    let mut host = Host::new(Config { stable_after: Duration::ZERO, ..two() });
    begin(&mut host, A);
    let end = up(&mut host, 0, 1, A, 0);
    let now = on_to(&mut host, end, 1, lost(), 1_000, A);
    on_to(&mut host, now, 2, lost(), 2_000, B);
}
