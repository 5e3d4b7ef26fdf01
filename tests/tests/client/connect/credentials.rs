//! Fresh credentials: asked for before each attempt, and good for that one.

#![allow(clippy::unwrap_used)]

use std::fmt::Debug;
use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Credentials, Delivery, Endpoint, Event,
    FailReason, Frame, Input, PlaintextPolicy, Session, Start, State, Transmit, Url,
};
use hermes_tests::ws::{reply_to, sent};
use hermes_tests::*;

const SECRET: &str = "s3cret";

fn asking() -> Config {
    Config { ask_credentials: true, heartbeat_interval: None, ..config() }
}

fn header(name: &str, value: &str) -> Credentials {
    Credentials { headers: vec![(name.into(), value.into())], token: None }
}

fn bearer(token: &str) -> Credentials {
    header("Authorization", &format!("Bearer {token}"))
}

fn token(token: &str) -> Credentials {
    Credentials { headers: Vec::new(), token: Some(token.into()) }
}

fn none() -> Credentials {
    Credentials::default()
}

fn refused(text: &str) -> CloseReason {
    CloseReason::Credentials { text: text.into() }
}

fn saved(token: &str, client_id: Option<&str>, origin: &str) -> Start {
    let session = Session {
        token: token.into(),
        client_id: client_id.map(str::to_owned),
        saved_at: UNIX_MS,
        origin: Some(origin.into()),
    };
    Start { session: Some(session), ..start() }
}

fn headers(host: &Host) -> Vec<(&str, &str)> {
    host.client().headers().collect()
}

/// A client that was asked, at time 0.
fn asked(config: Config) -> Host {
    let mut host = Host::new(config);
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host
}

/// The reason for which a client drops what it was given.
#[track_caller]
fn complaint(credentials: Credentials) -> String {
    let mut host = asked(asking());
    match host.at(10).credentials(1, credentials).take().as_slice() {
        [
            Action::Close { conn: ConnId(1), code: None },
            Action::Emit(Event::Disconnected {
                code: 1006,
                reason: CloseReason::Credentials { text },
                retry_at: Some(at),
                ..
            }),
            Action::ArmTimer(Some(due)),
        ] if at == due && *at == ms(1_010) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_asks_by_default() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    // Nor takes what nobody asked for.
    host.at(1).credentials(1, bearer(SECRET)).expect([]);
    assert_eq!(headers(&host), []);
}

#[test]
fn ask_and_answer() {
    let mut host = asked(asking());
    let (conn, stage, deadline) = (ConnId(1), Stage::Credentials, ms(30_000));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
    assert_eq!(host.client().conn(), Some(conn));
    assert_eq!(headers(&host), []);

    host.at(10).credentials(1, bearer("a")).expect([open(1), arm(15_010)]);
    let (stage, deadline) = (Stage::Connect, ms(15_010));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
    assert_eq!(headers(&host), [("Authorization", "Bearer a")]);
    host.at(20).opened(1).expect([connected(1), disarm()]);
}

/// They need not be secrets, nor anything at all.
#[test]
fn an_answer_may_be_empty() {
    let mut host = asked(asking());
    host.at(10).credentials(1, none()).expect([open(1), arm(15_010)]);
    assert_eq!(headers(&host), []);
}

/// The time for the connection begins when there is something to connect with.
#[test]
fn the_deadlines_follow_each_other() {
    let mut host = asked(asking());
    host.at(29_999).credentials(1, none()).expect([open(1), arm(44_999)]);
    host.at(44_999).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Connect), 45_999),
        arm(45_999),
    ]);
}

#[test]
fn nobody_answers() {
    let mut host = asked(asking());
    host.at(29_999).timer().expect([arm(30_000)]);
    host.at(30_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Credentials), 31_000),
        arm(31_000),
    ]);
    host.at(31_000).timer().expect([ask_credentials(2), arm(61_000)]);
}

#[test]
fn the_deadline_is_a_setting() {
    let credentials_timeout = Duration::from_millis(7);
    let mut host = Host::new(Config { credentials_timeout, ..asking() });
    host.at(0).connect().expect([ask_credentials(1), arm(7)]);
    host.at(7).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Credentials), 1_007),
        arm(1_007),
    ]);
}

#[test]
fn the_host_has_none() {
    let mut host = asked(asking());
    let reason = refused("the keyring is locked");
    host.at(10)
        .closed(1, reason.clone())
        .expect([disconnected(1, 1006, reason.clone(), 1_010), arm(1_010)]);
    let (until, after) = (Some(ms(1_010)), Some(reason));
    assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked: None });
    host.at(1_010).timer().expect([ask_credentials(2), arm(31_010)]);
    host.at(1_020).credentials(2, none()).expect([open(2), arm(16_020)]);
}

/// It is an attempt as any other, with the same budget.
#[test]
fn failures_use_the_budget() {
    let mut host = asked(Config { max_attempts: Some(1), ..asking() });
    host.at(0)
        .closed(1, refused("no"))
        .expect([disconnected(1, 1006, refused("no"), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([ask_credentials(2), arm(31_000)]);
    host.at(31_000).timer().expect([
        abandon(2),
        disconnected(2, 1006, timeout(Stage::Credentials), None),
        failed(1, FailReason::Attempts),
    ]);
    host.at(40_000).connect().expect([ask_credentials(3), arm(70_000)]);
}

#[test]
fn each_attempt_asks_anew() {
    let mut host = asked(asking());
    host.at(1).credentials(1, bearer("a")).expect([open(1), arm(15_001)]);
    host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_002), arm(1_002)]);
    // What was good for one attempt is gone with it.
    assert_eq!(headers(&host), []);
    host.at(1_002).timer().expect([ask_credentials(2), arm(31_002)]);
    assert_eq!(headers(&host), []);
    host.at(1_003).credentials(2, bearer("b")).expect([open(2), arm(16_003)]);
    assert_eq!(headers(&host), [("Authorization", "Bearer b")]);
    host.at(1_004).opened(2).expect([connected(2), disarm()]);
    host.at(9_000).disconnect().expect([close(2, 1000), arm(14_000)]);
    host.at(9_001).connect().expect([]);
    host.at(9_002).closed(2, lost()).expect([
        disconnected(2, 1006, CloseReason::Requested, 9_002),
        ask_credentials(3),
        arm(39_002),
    ]);
    assert_eq!(headers(&host), []);
}

/// Those that were refused were not the last ones.
#[test]
fn credentials_that_are_refused_are_no_reason_to_give_up() {
    let mut host = asked(asking());
    host.at(1).credentials(1, bearer("old")).expect([open(1), arm(15_001)]);
    let refused = disconnected(1, 1006, http(401, None), 1_002);
    host.at(2).closed(1, http(401, None)).expect([refused, arm(1_002)]);
    host.at(1_002).timer().expect([ask_credentials(2), arm(31_002)]);
    host.at(1_003).credentials(2, bearer("new")).expect([open(2), arm(16_003)]);
    // Others than those may be of no more use.
    host.at(1_004).closed(2, http(403, None)).expect([
        disconnected(2, 1006, http(403, None), None),
        failed(1, FailReason::Fatal),
        disarm(),
    ]);
}

/// Also where `connect`, or the network, does not wait.
#[test]
fn impatience_asks_too() {
    let mut host = asked(asking());
    host.at(0).closed(1, refused("no")).skip();
    host.at(600).connect().expect([ask_credentials(2), arm(30_600)]);
    host.at(600).closed(2, refused("no")).skip();
    host.at(1_200).network(true).expect([ask_credentials(3), arm(31_200)]);
}

#[test]
fn the_configured_headers_come_first() {
    let fixed = vec![("X-Client".to_owned(), "hermes".to_owned())];
    let mut host = asked(Config { headers: fixed, ..asking() });
    assert_eq!(headers(&host), [("X-Client", "hermes")]);
    let credentials = Credentials {
        headers: vec![("X-A".into(), "1".into()), ("x-client".into(), "2".into())],
        token: None,
    };
    host.at(1).credentials(1, credentials).expect([open(1), arm(15_001)]);
    assert_eq!(headers(&host), [("X-Client", "hermes"), ("X-A", "1"), ("x-client", "2")]);
}

/// A host that says so before it was given what it needs is confused.
#[test]
fn nothing_opens_before_the_answer() {
    let mut host = asked(asking());
    host.at(1).opened(1).expect([]);
    host.at(2).text(1, "1").expect([]);
    host.at(3).flushed(1, 1).expect([]);
    host.at(4).closing(1, peer(1001)).expect([]);
    assert!(matches!(host.state(), State::Connecting { stage: Stage::Credentials, .. }));
    assert_eq!(host.client().stats().opened, 0);
    host.at(5).credentials(1, none()).expect([open(1), arm(15_005)]);
}

mod headers_that_can_not_be {
    use super::*;

    #[test]
    fn end_the_attempt() {
        let mut host = asked(asking());
        let reason = refused("Host belongs to the handshake");
        host.at(10).credentials(1, header("Host", "evil.test")).expect([
            abandon(1),
            disconnected(1, 1006, reason, 1_010),
            arm(1_010),
        ]);
        assert_eq!(headers(&host), []);
        host.at(1_010).timer().expect([ask_credentials(2), arm(31_010)]);
        host.at(1_011).credentials(2, bearer("a")).expect([open(2), arm(16_011)]);
    }

    #[test]
    fn that_belong_to_the_handshake() {
        for name in [
            "Host",
            "upgrade",
            "CONNECTION",
            "Origin",
            "Sec-WebSocket-Key",
            "sec-websocket-version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
        ] {
            let text = complaint(header(name, "x"));
            assert!(text.starts_with(&format!("{name} belongs to the handshake")), "{text}");
        }
    }

    #[test]
    fn that_could_forge_another() {
        for (name, value) in [
            ("", "x"),
            ("A B", "x"),
            ("A:", "x"),
            ("A\r\nB", "x"),
            ("\u{c4}", "x"),
            ("A", "x\r\nB: y"),
            ("A", "x\n"),
            ("A", "\0"),
            ("A", "\u{e4}"),
            ("A", "\u{7f}"),
        ] {
            complaint(header(name, value));
        }
    }

    /// One of them is enough, wherever it is; and then the token is not used either.
    #[test]
    fn among_others() {
        let mut host = asked(asking());
        let credentials = Credentials {
            headers: vec![("A".into(), "1".into()), ("B".into(), "\n".into())],
            token: Some("t".into()),
        };
        host.at(1).credentials(1, credentials).skip();
        assert_eq!((host.client().session(), headers(&host)), (None, vec![]));
    }

    #[test]
    fn do_not_tell_their_value() {
        for value in [format!("{SECRET}\r\n"), format!("{SECRET}\u{e4}")] {
            let text = complaint(header("Authorization", &value));
            assert_eq!(text, "the value of Authorization must be visible ASCII, spaces and tabs");
        }
    }

    /// The whole line in the place of the name: an easy mistake, and not one for the logs.
    #[test]
    fn do_not_tell_what_is_not_a_name() {
        let text = complaint(header(&format!("Authorization: Bearer {SECRET}"), ""));
        assert!(!text.contains(SECRET), "{text}");
    }
}

mod tokens {
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
}

mod answers_that_come_late {
    use super::*;

    #[test]
    fn while_connecting() {
        let mut host = asked(asking());
        host.at(1).credentials(1, bearer("a")).expect([open(1), arm(15_001)]);
        host.at(2).credentials(1, bearer("b")).expect([]);
        host.at(3).credentials(1, token("t")).expect([]);
        host.at(4).credentials(1, header("Host", "x")).expect([]);
        assert_eq!(headers(&host), [("Authorization", "Bearer a")]);
        assert_eq!(host.client().session(), None);
    }

    #[test]
    fn while_open_and_closing() {
        let mut host = asked(asking());
        host.at(1).credentials(1, none()).skip();
        host.at(2).opened(1).skip();
        host.at(3).credentials(1, token("t")).expect([]);
        host.at(4).closing(1, peer(1001)).expect([arm(5_004)]);
        host.at(5).credentials(1, token("t")).expect([]);
        assert_eq!(host.client().session(), None);
    }

    /// Not even the clock: the harness checks that a dead connection's input leaves the machine equal.
    #[test]
    fn after_the_deadline() {
        let mut host = asked(asking());
        host.at(30_000).timer().skip();
        host.at(30_001).credentials(1, token("t")).expect([]);
        host.at(31_000).timer().expect([ask_credentials(2), arm(61_000)]);
        // For the attempt before; this one waits for its own.
        host.at(31_001).credentials(1, bearer("a")).expect([]);
        host.at(31_002).closed(1, refused("no")).expect([]);
        assert_eq!((host.client().session(), headers(&host)), (None, vec![]));
        host.at(31_003).credentials(2, bearer("b")).expect([open(2), arm(46_003)]);
        assert_eq!(headers(&host), [("Authorization", "Bearer b")]);
    }

    #[test]
    fn for_nobody() {
        let mut host = asked(asking());
        for conn in [0, 2, u64::MAX] {
            host.at(1).credentials(conn, bearer("a")).expect([]);
        }
        let mut host = Host::new(asking());
        host.at(1).credentials(1, bearer("a")).expect([]);
    }

    #[test]
    fn after_a_disconnect() {
        let mut host = asked(asking());
        host.at(1).disconnect().skip();
        host.at(2).credentials(1, token("t")).expect([]);
        assert_eq!((host.state(), host.client().session()), (State::Idle, None));
    }
}

mod the_end_while_asking {
    use super::*;

    #[test]
    fn by_disconnect() {
        let mut host = asked(asking());
        host.at(1).disconnect().expect([
            abandon(1),
            disconnected(1, 1006, CloseReason::Requested, None),
            disarm(),
        ]);
        assert_eq!(host.state(), State::Idle);
        host.at(2).connect().expect([ask_credentials(2), arm(30_002)]);
    }

    #[test]
    fn by_a_shutdown_with_nothing_to_send() {
        let mut host = asked(asking());
        host.at(1).shutdown(5_000).expect([
            abandon(1),
            disconnected(1, 1006, CloseReason::Requested, None),
            shut_down(0, 0, 0),
            disarm(),
        ]);
        assert_eq!(host.state(), State::Idle);
    }

    #[test]
    fn by_a_shutdown_whose_time_is_over() {
        let mut host = asked(asking());
        host.at(1).send("1").expect([]);
        host.at(1).shutdown(5_000).expect([arm(5_001)]);
        host.at(5_001).timer().expect([
            abandon(1),
            disconnected(1, 1006, CloseReason::Requested, None),
            shut_down(0, 0, 1),
        ]);
    }

    /// What is left to send is sent, with what the host brings in time.
    #[test]
    fn not_by_a_shutdown_with_something_to_send() {
        let mut host = asked(asking());
        host.at(1).send("1").expect([]);
        host.at(1).shutdown(5_000).expect([arm(5_001)]);
        host.at(2).credentials(1, none()).expect([open(1)]);
        host.at(3).opened(1).expect([send(1, 1, "1"), ping(1, 2), connected(1)]);
    }

    #[test]
    fn connect_changes_nothing() {
        let mut host = asked(asking());
        host.at(1).connect().expect([]);
        host.at(2).network(true).expect([]);
        host.at(3).network(false).expect([]);
        host.at(4).credentials(1, none()).expect([open(1), arm(15_004)]);
    }
}

/// Through the whole stack: what the host brings is in the bytes.
mod endpoints {
    use super::*;

    type Queue = Actions<Transmit>;

    fn ask(config: Config) -> (Endpoint, Queue) {
        let mut endpoint = Endpoint::new(config, start()).unwrap();
        let mut out = Queue::new();
        endpoint.connect(ms(0), &mut out);
        let url = Url::parse(URL).unwrap();
        let expected: [Action<Transmit>; 2] =
            [Action::AskCredentials { conn: ConnId(1), url }, Action::ArmTimer(Some(ms(30_000)))];
        assert_eq!(out, expected);
        out.clear();
        (endpoint, out)
    }

    fn answer(endpoint: &mut Endpoint, credentials: Credentials, out: &mut Queue) {
        endpoint.handle(ms(1), Input::Credentials { conn: ConnId(1), credentials }, out);
    }

    #[test]
    fn the_headers_are_in_the_request() {
        let (mut endpoint, mut out) = ask(Config {
            headers: vec![("X-Client".into(), "hermes".into())],
            subprotocols: vec!["hermes.v1".into()],
            ..asking()
        });
        let credentials = Credentials {
            headers: vec![
                ("Authorization".into(), format!("Bearer {SECRET}")),
                ("Cookie".into(), "a=b; c=d".into()),
            ],
            token: None,
        };
        // A host that is too early is not believed.
        endpoint.handle(ms(0), Input::Opened { conn: ConnId(1) }, &mut out);
        assert!(out.is_empty() && endpoint.transmit().is_empty());

        answer(&mut endpoint, credentials, &mut out);
        assert!(matches!(out[0], Action::Open { conn: ConnId(1), .. }), "{out:?}");
        assert_eq!(endpoint.transmit(), b"");
        endpoint.handle(ms(2), Input::Opened { conn: ConnId(1) }, &mut out);
        assert_eq!(
            std::str::from_utf8(endpoint.transmit()).unwrap(),
            "GET /world HTTP/1.1\r\n\
             Host: gateway.test\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: 19EokG/flD01Zbarve6Itw==\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: hermes.v1\r\n\
             X-Client: hermes\r\n\
             Authorization: Bearer s3cret\r\n\
             Cookie: a=b; c=d\r\n\
             \r\n"
        );
    }

    #[test]
    fn the_next_request_has_only_its_own() {
        let (mut endpoint, mut out) = ask(asking());
        answer(&mut endpoint, bearer("first"), &mut out);
        let conn = ConnId(1);
        endpoint.handle(ms(2), Input::Opened { conn }, &mut out);
        endpoint.handle(ms(3), Input::Closed { conn, reason: lost() }, &mut out);
        endpoint.handle(ms(1_003), Input::TimerFired, &mut out);
        let conn = ConnId(2);
        let credentials = bearer("second");
        endpoint.handle(ms(1_004), Input::Credentials { conn, credentials }, &mut out);
        endpoint.handle(ms(1_005), Input::Opened { conn }, &mut out);
        let request = std::str::from_utf8(endpoint.transmit()).unwrap();
        assert!(request.contains("Authorization: Bearer second\r\n"), "{request}");
        assert!(!request.contains("first"), "{request}");
    }

    #[test]
    fn the_token_is_in_the_first_frame() {
        let (mut endpoint, mut out) = ask(asking());
        answer(&mut endpoint, token("t0ken"), &mut out);
        let conn = ConnId(1);
        endpoint.handle(ms(2), Input::Opened { conn }, &mut out);
        let request = endpoint.transmit().to_vec();
        assert!(!String::from_utf8_lossy(&request).contains("t0ken"));
        endpoint.transmitted(ms(3), request.len(), &mut out);
        let reply = reply_to(&request);
        endpoint.handle(ms(4), Input::Received { conn, payload: &reply }, &mut out);
        let resume = ws::Sent::text(r#"{"type":"session-resume","token":"t0ken"}"#);
        assert_eq!(sent(endpoint.transmit()), [resume]);
    }

    #[test]
    fn a_header_that_can_not_be_reaches_nobody() {
        let (mut endpoint, mut out) = ask(asking());
        answer(&mut endpoint, header("A", "x\r\nB: y"), &mut out);
        assert!(matches!(
            out.make_contiguous(),
            [
                Action::Close { code: None, .. },
                Action::Emit(Event::Disconnected { reason: CloseReason::Credentials { .. }, .. }),
                Action::ArmTimer(Some(_)),
            ]
        ));
        endpoint.handle(ms(2), Input::Opened { conn: ConnId(1) }, &mut out);
        assert_eq!(endpoint.transmit(), b"");
    }

    #[test]
    fn it_takes_no_part_in_the_asking() {
        let (mut endpoint, mut out) = ask(asking());
        endpoint.transmitted(ms(1), 10, &mut out);
        endpoint.handle(ms(1), Input::Received { conn: ConnId(1), payload: b"HTTP" }, &mut out);
        assert!(out.is_empty(), "{out:?}");
        endpoint.disconnect(ms(2), &mut out);
        let expected: [Action<Transmit>; 3] = [
            Action::Close { conn: ConnId(1), code: None },
            Action::Emit(Event::Disconnected {
                conn: ConnId(1),
                code: 1006,
                reason: CloseReason::Requested,
                retry_at: None,
            }),
            Action::ArmTimer(None),
        ];
        assert_eq!(out, expected);
    }
}

#[track_caller]
fn keeps_it(what: &(impl Debug + ?Sized)) {
    let (debug, pretty) = (format!("{what:?}"), format!("{what:#?}"));
    assert!(!debug.contains(SECRET) && !pretty.contains(SECRET), "{debug}");
}

#[test]
fn secrets_are_not_in_debug() {
    let credentials = Credentials { token: Some(SECRET.into()), ..bearer(SECRET) };
    keeps_it(&credentials);
    assert_eq!(
        format!("{credentials:?}"),
        r#"Credentials { headers: ["Authorization"], token: Some("[withheld]") }"#
    );
    assert_eq!(format!("{:?}", none()), "Credentials { headers: [], token: None }");

    let conn = ConnId(1);
    let inputs = [
        Input::Connect,
        Input::Credentials { conn, credentials: credentials.clone() },
        Input::Opened { conn },
        Input::Received { conn, payload: Frame::Text("1".into()) },
        Input::Closed { conn, reason: lost() },
    ];
    inputs.iter().for_each(keeps_it);

    let config = Config { delivery: Delivery::AtLeastOnce, ..asking() };
    let mut host = Host::new(config);
    for input in inputs {
        let actions = host.at(1).input(input).take();
        keeps_it(&actions);
        keeps_it(host.client());
        let why = host.client().why(ms(1));
        assert!(!why.contains(SECRET), "{why}");
    }

    let mut endpoint = Endpoint::new(asking(), start()).unwrap();
    let mut out = Actions::new();
    endpoint.connect(ms(0), &mut out);
    endpoint.handle(ms(1), Input::Credentials { conn, credentials }, &mut out);
    keeps_it(&endpoint);
    endpoint.handle(ms(1), Input::Opened { conn }, &mut out);
    assert!(String::from_utf8_lossy(endpoint.transmit()).contains(SECRET));
    keeps_it(&endpoint);
    keeps_it(&out);
}
