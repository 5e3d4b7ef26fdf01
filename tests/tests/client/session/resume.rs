//! Resuming a session: what waits for it, how one is told from a new one, and when it is given up.
//! That it is saved and offered at all is the business of `client_session.rs`.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Event, Frame, Input, PlaintextPolicy,
    ResumeMode, SendError, Session, SessionDropReason, SessionInit, Start, State, Url,
};
use hermes_tests::*;

const INIT: &str = r#"{"type":"session-init","token":"t","clientId":"c"}"#;

fn session() -> Session {
    Session {
        token: "t".into(),
        client_id: Some("c".into()),
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    }
}

/// The same, saved so long before time 0.
fn saved(before: u64) -> Session {
    Session { saved_at: UNIX_MS - before, ..session() }
}

/// The same, saved anew at this time.
fn renewed(at: u64) -> Session {
    Session { saved_at: UNIX_MS + at, ..session() }
}

fn with(config: Config, session: Session) -> Host {
    Host::start(config, Start { session: Some(session), ..start() })
}

/// Nothing goes out before `session-init`.
fn wait() -> Config {
    Config { resume: ResumeMode::Wait, ..quiet() }
}

/// A client that offered its session on connection 1, at time 1, with one message in its outbox.
fn gated(config: Config) -> Host {
    let mut host = with(config, session());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), arm(10_001)]);
    host
}

/// The event that a `session-init` becomes where there was this session.
fn init(before: Session, json: &str) -> Action {
    let start = Start { session: Some(before), ..start() };
    let mut client = Client::new(config(), start).expect("the settings are fine");
    let mut out = Actions::new();
    let conn = ConnId(1);
    client.connect(ms(0), &mut out);
    client.handle(ms(0), Input::Opened { conn }, &mut out);
    client.handle(ms(0), Input::Received { conn, payload: Frame::Text(json.into()) }, &mut out);
    out.pop_back().expect("a text becomes an event")
}

/// The event among these.
fn told(actions: &[Action]) -> &SessionInit {
    let mut inits = actions.iter().filter_map(|action| match action {
        Action::Emit(Event::SessionInit(init)) => Some(init),
        _ => None,
    });
    inits.next().unwrap_or_else(|| panic!("{actions:?}"))
}

fn connected_to(conn: u64, url: &str) -> Action {
    let url = Url::parse(url).expect("it is one");
    Action::Emit(Event::Connected { conn: ConnId(conn), url })
}

// Waiting for session-init.

#[test]
fn optimistic_is_the_default() {
    assert_eq!(Config::default().resume, ResumeMode::Optimistic);
    let mut host = with(quiet(), session());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), send(1, 2, "1"), connected(1), disarm()]);
    host.at(2).send("2").expect([send(1, 3, "2")]);
    assert!(matches!(host.state(), State::Open { resuming: None, .. }));
}

#[test]
fn nothing_goes_out_before_session_init() {
    let mut host = gated(wait());
    assert!(
        matches!(host.state(), State::Open { resuming: Some(until), .. } if until == ms(10_001))
    );
    host.at(2).send("2").expect([]);
    host.at(3).flushed(1, 1).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().stats().written), (2, 0));
    let issued = Session { saved_at: UNIX_MS + 4, ..session() };
    host.at(4).text(1, INIT).expect([
        persist(issued),
        init(session(), INIT),
        send(1, 2, "1"),
        send(1, 3, "2"),
        disarm(),
    ]);
    assert!(matches!(host.state(), State::Open { resuming: None, .. }));
    host.at(5).flushed(1, 3).expect([]);
    assert_eq!(host.client().stats().written, 2);
    host.at(6).send("3").expect([send(1, 4, "3")]);
}

/// After a sleep it is waited for anew, and a heartbeat that has its time still keeps it.
#[test]
fn a_sleep_leaves_a_heartbeat_that_is_not_due_alone() {
    let seconds = Duration::from_secs;
    let heartbeat_interval = Some(seconds(8));
    let beating = Config { heartbeat_interval, heartbeat_timeout: seconds(60), ..wait() };
    let mut host = with(beating, session());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), arm(8_001)]);
    host.at(8_001).timer().expect([ping(1, 2), arm(10_001)]);
    host.at(20_001).timer().expect([arm(30_001)]);
    host.at(20_002).pong(1, 2).expect([arm(28_002)]);
}

/// A fence is behind the messages, and not before them.
#[test]
fn fences_wait_with_the_messages() {
    let mut host = gated(Config { delivery: hermes_proto::Delivery::AtLeastOnce, ..wait() });
    host.at(4).text(1, r#"{"type":"session-init"}"#).expect([
        event(r#"{"type":"session-init"}"#),
        send(1, 2, "1"),
        ping(1, 3),
        disarm(),
    ]);
    host.at(5).pong(1, 3).expect([]);
    assert_eq!(host.client().stats().acknowledged, 1);
}

#[test]
fn without_a_session_there_is_nothing_to_wait_for() {
    let mut host = Host::new(wait());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([send(1, 1, "1"), connected(1), disarm()]);
    // It is of another gateway.
    let other = Session { origin: Some("wss://gateway.test".into()), ..session() };
    let mut host = with(wait(), other);
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([send(1, 1, "1"), connected(1), disarm()]);
}

#[test]
fn each_connection_waits() {
    let mut host = gated(wait());
    host.at(4).text(1, INIT).skip();
    host.at(5).flushed(1, 2).expect([]);
    host.at(6).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_006), arm(1_006)]);
    host.at(7).send("2").expect([]);
    host.at(1_006).timer().expect([open(2), arm(16_006)]);
    host.at(1_007).opened(2).expect([resume(2, "t"), connected(2), arm(11_007)]);
    let actions = host.at(1_008).text(2, INIT).take();
    assert_eq!(actions[2..], [send(2, 2, "2"), disarm()]);
}

#[test]
fn nothing_else_opens_the_gate() {
    let mut host = gated(wait());
    for text in ["0", "not json", r#"{"type":"chat"}"#, r#"[{"type":"session-init"}]"#, INIT_TWICE]
    {
        host.at(2).text(1, text).expect([event(text)]);
    }
    host.at(3).frame(1, Frame::Ping(vec![].into())).expect([]);
    host.at(3).pong(1, 1).expect([]);
    host.at(3).frame(1, Frame::Binary(vec![0].into())).skip();
    host.at(4).flushed(1, 1).expect([]);
    host.at(4).connect().expect([]);
    host.at(4).network(true).expect([]);
    assert_eq!(host.client().outbox_len(), 1);
    host.at(5).text(1, INIT).skip();
    assert_eq!(
        host.client().state(),
        State::Open { conn: ConnId(1), since: ms(1), resuming: None }
    );
}

/// The last of two types counts.
const INIT_TWICE: &str = r#"{"type":"session-init","type":"chat"}"#;

/// The reference has no use for one without a token. It is an answer, though.
#[test]
fn a_session_init_without_a_token_opens_the_gate() {
    for json in [
        r#"{"type":"session-init"}"#,
        r#"{"type":"session-init","token":null}"#,
        r#"{"type":"session-init","token":""}"#,
        r#"{"type":"session-init","token":5}"#,
    ] {
        let mut host = gated(wait());
        host.at(2).text(1, json).expect([event(json), send(1, 2, "1"), disarm()]);
        assert_eq!(host.client().session(), Some(session()));
    }
}

#[test]
fn the_answer_does_not_come() {
    let mut host = gated(wait());
    host.at(10_000).timer().expect([arm(10_001)]);
    host.at(10_001).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 11_001),
        arm(11_001),
    ]);
    assert_eq!(timeout(Stage::Resume).to_string(), "timed out: no session-init");
    assert_eq!((host.client().outbox_len(), host.client().stats().ended.timeout), (1, 1));
    // The session is offered again.
    host.at(11_001).timer().expect([open(2), arm(26_001)]);
    host.at(11_002).opened(2).expect([resume(2, "t"), connected(2), arm(21_002)]);
}

#[test]
fn the_wait_is_configured() {
    let config = Config { resume_timeout: Duration::from_millis(700), ..wait() };
    let mut host = with(config, session());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), arm(701)]);
    let gone = disconnected(1, 1006, timeout(Stage::Resume), 1_701);
    host.at(701).timer().expect([abandon(1), gone, arm(1_701)]);
    let none = Config { resume_timeout: Duration::ZERO, ..wait() };
    let error = none.check().expect_err("no time at all");
    assert_eq!(error.to_string(), "config: `resume_timeout_ms` must be at least 1");
}

/// An answer in the last moment is one.
#[test]
fn the_answer_comes_with_the_deadline() {
    let mut host = gated(wait());
    let actions = host.at(10_001).text(1, INIT).take();
    assert_eq!(actions[2..], [send(1, 2, "1"), disarm()]);
    // Also a late one, where the timer was later still.
    let mut host = gated(wait());
    let actions = host.at(14_000).text(1, INIT).take();
    assert_eq!(actions[2..], [send(1, 2, "1"), disarm()]);
}

/// We took no part in the wait.
#[test]
fn a_machine_that_slept_waits_again() {
    let mut host = gated(wait());
    host.at(15_000).timer().skip();
    assert!(matches!(host.state(), State::Waiting { .. }), "5 s late is a jump, less is not");
    let mut host = gated(wait());
    host.at(15_001).timer().expect([arm(25_001)]);
    host.at(25_001).timer().skip();
    assert!(matches!(host.state(), State::Waiting { .. }));
}

#[test]
fn the_heartbeat_beats_on_while_it_waits() {
    let config =
        Config { resume: ResumeMode::Wait, resume_timeout: Duration::from_secs(60), ..config() };
    let mut host = with(config, session());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([resume(1, "t"), connected(1), arm(25_000)]);
    host.at(25_000).timer().expect([ping(1, 2), arm(35_000)]);
    // It proves that the peer is there, and nothing of messages.
    host.at(25_001).pong(1, 2).expect([arm(50_001)]);
    assert_eq!(host.client().stats().acknowledged, 0);
    host.at(50_001).timer().expect([ping(1, 3), arm(60_000)]);
    host.at(60_000).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 61_000),
        arm(61_000),
    ]);
}

#[test]
fn a_volatile_message_can_not_wait() {
    let mut host = gated(wait());
    host.at(2).clear_outbox().skip();
    let message = json("2").volatile();
    assert_eq!(host.try_send_message(message.clone()), Err(SendError::NotNow(message.clone())));
    host.expect([]);
    host.at(3).text(1, INIT).skip();
    host.at(4).send_message(message).expect([send(1, 2, "2")]);
}

#[test]
fn a_message_expires_while_it_waits() {
    let mut host = gated(wait());
    let message = json("2").with_ttl(Duration::from_secs(1));
    host.at(2).send_message(message).expect([arm(1_002)]);
    host.at(1_002)
        .timer()
        .expect([given_up(2, "2", hermes_proto::DropReason::Expired), arm(10_001)]);
}

/// It was offered, and the gateway will answer.
#[test]
fn the_session_is_cleared_while_it_waits() {
    let mut host = gated(wait());
    host.at(2).clear_session().expect([forget()]);
    assert_eq!(host.client().session(), None);
    let mut other = gated(wait());
    other.at(2).clear_session().expect([forget()]);
    // A new one, whatever the gateway makes of it: there was none before.
    let issued = Session { saved_at: UNIX_MS + 3, ..session() };
    host.at(3).text(1, INIT).expect([persist(issued), event(INIT), send(1, 2, "1"), disarm()]);
    // No answer: the next connection has nothing to wait for.
    other.at(10_001).timer().expect([
        abandon(1),
        disconnected(1, 1006, timeout(Stage::Resume), 11_001),
        arm(11_001),
    ]);
    other.at(11_001).timer().expect([open(2), arm(26_001)]);
    other.at(11_002).opened(2).expect([send(2, 1, "1"), connected(2), disarm()]);
}

#[test]
fn disconnect_while_it_waits() {
    let mut host = gated(wait());
    host.at(2).disconnect().expect([close(1, 1000), arm(5_002)]);
    // The answer is late: the session is kept, and nothing is sent.
    let issued = Session { saved_at: UNIX_MS + 3, ..session() };
    host.at(3).text(1, INIT).expect([persist(issued), init(session(), INIT)]);
    let gone = disconnected(1, 1000, CloseReason::Requested, None);
    host.at(4).closed(1, peer(1000)).expect([gone, disarm()]);
    assert_eq!(host.client().outbox_len(), 1);
}

#[test]
fn why_says_that_it_waits() {
    let host = gated(wait());
    let why = host.client().why(ms(4_001));
    let part = "; the outbox waits for session-init, 6 s at most; 1 message in the outbox";
    assert!(why.ends_with(part), "{why}");
}

// Resumed, or new.

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

// Its age.

const DAY: u64 = 24 * 3_600_000;

#[test]
fn a_session_that_is_too_old_is_dropped() {
    let mut host = with(quiet(), saved(30 * DAY));
    host.at(0).send("1").expect([]);
    // It is judged when it would be offered.
    host.at(0).connect().expect([open(1), arm(15_000)]);
    assert!(host.client().session().is_some());
    host.at(1).opened(1).expect([
        forget(),
        session_dropped(SessionDropReason::TooOld),
        send(1, 1, "1"),
        connected(1),
        disarm(),
    ]);
    assert_eq!(host.client().session(), None);
    // Once is enough.
    host.at(2).flushed(1, 1).expect([]);
    host.at(3).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_003), arm(1_003)]);
    host.at(1_003).timer().expect([open(2), arm(16_003)]);
    host.at(1_004).opened(2).expect([connected(2), disarm()]);
}

#[test]
fn a_session_of_that_very_age_is_not() {
    let mut host = with(quiet(), saved(30 * DAY));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
}

#[test]
fn there_is_nothing_to_wait_for_where_it_was_dropped() {
    let mut host = with(Config { session_max_age: Some(Duration::ZERO), ..wait() }, session());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let actions = [forget(), session_dropped(SessionDropReason::TooOld), connected(1), disarm()];
    host.at(1).opened(1).expect(actions);
    host.at(2).send("1").expect([send(1, 1, "1")]);
}

#[test]
fn age_has_no_limit_where_none_is_set() {
    for before in [UNIX_MS, 31 * DAY] {
        let mut host = with(Config { session_max_age: None, ..quiet() }, saved(before));
        host.at(0).connect().skip();
        host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    }
}

/// A form without a time, and one from a computer whose clock is ahead.
#[test]
fn an_unknown_age_is_none() {
    for saved_at in [0, UNIX_MS + 1, UNIX_MS + 365 * DAY, u64::MAX] {
        let mut host = with(quiet(), Session { saved_at, ..session() });
        host.at(0).connect().skip();
        host.at(1).opened(1).expect([resume(1, "t"), connected(1), disarm()]);
    }
}

/// Another gateway's session is none of ours to drop.
#[test]
fn a_session_of_another_origin_keeps_its_age() {
    let old = Session { origin: Some("wss://other.test".into()), ..saved(365 * DAY) };
    let mut host = with(quiet(), old.clone());
    host.at(0).connect().skip();
    host.at(1).opened(1).expect([connected(1), disarm()]);
    assert_eq!(host.client().session(), Some(old.clone()));
}

#[test]
fn a_session_grows_old_while_there_is_no_connection() {
    let mut host = with(quiet(), session());
    host.at(30 * DAY + 1).connect().expect([open(1), arm(30 * DAY + 15_001)]);
    let actions = [forget(), session_dropped(SessionDropReason::TooOld), connected(1), disarm()];
    host.at(30 * DAY + 2).opened(1).expect(actions);
}

/// A connection that lasts is use.
#[test]
fn a_session_in_use_does_not_grow_old() {
    let mut host = with(quiet(), session());
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    host.at(1).text(1, INIT).skip();
    let end = 60 * DAY;
    host.at(end).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), end + 1_000),
        persist(renewed(end)),
        arm(end + 1_000),
    ]);
    host.at(end + 1_000).timer().expect([open(2), arm(end + 16_000)]);
    host.at(end + 1_001).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
}

/// A disk has better things to do than to write one down that is as good as new.
#[test]
fn a_session_is_saved_anew_after_a_tenth_of_its_time() {
    for (end, saved_anew) in [(3 * DAY, None), (3 * DAY + 1, Some(renewed(3 * DAY + 1)))] {
        let mut host = with(quiet(), session());
        host.at(0).connect().skip();
        host.at(0).opened(1).skip();
        let mut actions = vec![disconnected(1, 1006, lost(), end + 1_000)];
        actions.extend(saved_anew.map(persist));
        actions.push(arm(end + 1_000));
        host.at(end).closed(1, lost()).expect(actions);
    }
}

/// One whose age nobody knows does not become younger.
#[test]
fn a_session_of_unknown_age_is_not_saved_anew() {
    let mut host = with(quiet(), Session { saved_at: 0, ..session() });
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    let end = 4 * DAY;
    host.at(end)
        .closed(1, lost())
        .expect([disconnected(1, 1006, lost(), end + 1_000), arm(end + 1_000)]);
}

/// Also where the gateway asks not to come back, and another's turn is next.
#[test]
fn a_session_in_use_is_saved_anew_whoever_is_next() {
    let fallback_urls = vec!["ws://other.test/".into()];
    let mut host = with(Config { fallback_urls, ..quiet() }, session());
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    let end = 4 * DAY;
    let retry = end + 1_000;
    let ended = disconnected(1, 1008, peer(1008), retry);
    host.at(end).closed(1, peer(1008)).expect([ended, persist(renewed(end)), arm(retry)]);
}

/// Also where the application ended that connection.
#[test]
fn a_session_in_use_until_we_disconnect_does_not_grow_old() {
    let mut host = with(quiet(), session());
    host.at(0).connect().skip();
    host.at(0).opened(1).skip();
    host.at(1).text(1, INIT).skip();
    let end = 60 * DAY;
    host.at(end).disconnect().expect([close(1, 1000), arm(end + 5_000)]);
    let gone = disconnected(1, 1000, CloseReason::Requested, None);
    host.at(end + 1).closed(1, peer(1000)).expect([gone, persist(renewed(end + 1)), disarm()]);
    host.at(end + 1_000).connect().expect([open(2), arm(end + 16_000)]);
    host.at(end + 1_001).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
}

// Failures.

/// Two will do.
fn two() -> Config {
    Config { max_resume_failures: Some(2), max_attempts: None, ..quiet() }
}

/// Makes connection `conn`, which is offered the session, 60 s after the one before.
fn offer(host: &mut Host, conn: u64) {
    host.at(60_000 * conn).connect().skip();
    let actions = host.at(60_000 * conn).opened(conn).take();
    assert_eq!(actions[0], resume(conn, "t"), "connection {conn}");
}

/// The session was dropped with the end of the connection.
#[track_caller]
fn is_dropped(host: &mut Host) {
    let actions = host.take();
    let dropped = [forget(), session_dropped(SessionDropReason::ResumeFailed)];
    assert!(matches!(actions[0], Action::Emit(Event::Disconnected { .. })), "{actions:?}");
    assert_eq!(actions[1..3], dropped);
    assert_eq!(host.client().session(), None);
}

/// It was not.
#[track_caller]
fn is_kept(host: &mut Host) {
    let actions = host.take();
    let is_about = |action: &Action| {
        matches!(action, Action::PersistSession(_) | Action::Emit(Event::SessionDropped { .. }))
    };
    assert!(!actions.iter().any(is_about), "{actions:?}");
    assert!(host.client().session().is_some());
}

#[test]
fn a_session_that_can_not_be_resumed_is_dropped() {
    let mut host = with(two(), session());
    offer(&mut host, 1);
    host.at(60_001).closed(1, lost()).expect([disconnected(1, 1006, lost(), 61_001), arm(61_001)]);
    host.at(61_001).timer().expect([open(2), arm(76_001)]);
    host.at(61_002).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
    host.at(61_003).closed(2, peer(4000)).expect([
        disconnected(2, 4000, peer(4000), 63_003),
        forget(),
        session_dropped(SessionDropReason::ResumeFailed),
        arm(63_003),
    ]);
    // The next one is a new one.
    host.at(63_003).timer().expect([open(3), arm(78_003)]);
    host.at(63_004).opened(3).expect([connected(3), disarm()]);
    let new = r#"{"type":"session-init","token":"u"}"#;
    let issued = Session {
        token: "u".into(),
        client_id: None,
        saved_at: UNIX_MS + 63_005,
        origin: Some(ORIGIN.into()),
    };
    host.at(63_005).text(3, new).expect([persist(issued), event(new)]);
}

#[test]
fn five_by_default() {
    let mut host = with(quiet(), session());
    for conn in 1..=4 {
        offer(&mut host, conn);
        host.closed(conn, lost());
        is_kept(&mut host);
    }
    offer(&mut host, 5);
    host.closed(5, lost());
    is_dropped(&mut host);
}

#[test]
fn without_a_limit_it_is_offered_for_ever() {
    let mut host = with(Config { max_resume_failures: None, ..two() }, session());
    for conn in 1..=50 {
        offer(&mut host, conn);
        host.closed(conn, lost());
        is_kept(&mut host);
    }
}

/// The wait for it is longer than `stable_after`, and yet no sign of a stable connection: else the
/// gateway would be asked every few seconds for ever, and nothing would ever be sent.
#[test]
fn an_answer_that_does_not_come_is_a_failure() {
    let mut host = with(Config { resume: ResumeMode::Wait, ..two() }, session());
    for conn in 1..=2 {
        offer(&mut host, conn);
        host.at(60_000 * conn + 10_000).timer();
        let actions = host.take();
        let gone =
            disconnected(conn, 1006, timeout(Stage::Resume), 60_000 * conn + 10_000 + 1_000 * conn);
        assert_eq!(actions[..2], [abandon(conn), gone]);
        let rest = [forget(), session_dropped(SessionDropReason::ResumeFailed)];
        assert_eq!(actions[2..actions.len() - 1] == rest, conn == 2, "{actions:?}");
    }
}

/// It ended by the gateway's Close frame, and the transport is gone later.
#[test]
fn a_closing_handshake_is_a_failure_as_well() {
    let mut host = with(Config { stable_after: Duration::from_secs(2), ..two() }, session());
    for conn in 1..=2 {
        offer(&mut host, conn);
        host.at(60_000 * conn + 1_000).closing(conn, peer(4001)).skip();
        // How long the handshake takes is no sign of a stable connection.
        host.at(60_000 * conn + 4_000).closed(conn, lost());
        if conn == 2 { is_dropped(&mut host) } else { is_kept(&mut host) }
    }
}

type Between = fn(&mut Host);

/// One failure, then something that is none, then another: what counts?
fn between(deed: Between, breaks_the_row: bool) {
    let mut host = with(two(), session());
    offer(&mut host, 1);
    host.closed(1, lost());
    is_kept(&mut host);
    offer(&mut host, 2);
    deed(&mut host);
    host.skip();
    assert!(host.client().session().is_some());
    assert_eq!(host.client().conn(), None);
    host.at(170_000).network(true).skip();
    if host.client().conn().is_none() {
        offer(&mut host, 3);
    } else {
        host.at(170_000).opened(3).skip();
    }
    host.closed(3, lost());
    if breaks_the_row { is_kept(&mut host) } else { is_dropped(&mut host) }
}

#[test]
fn an_answer_makes_up_for_failures() {
    between(
        |host| {
            host.text(2, INIT).skip();
            host.closed(2, lost());
        },
        true,
    );
    // Also one without a token.
    between(
        |host| {
            host.text(2, r#"{"type":"session-init"}"#).skip();
            host.closed(2, lost());
        },
        true,
    );
}

/// A gateway that resumes without a word: the connections that failed were not in a row.
#[test]
fn a_stable_connection_makes_up_for_failures() {
    between(|host| _ = host.at(125_000).closed(2, lost()), true);
}

/// It says nothing about the session.
#[test]
fn our_own_end_does_not_count() {
    between(
        |host| {
            host.disconnect().skip();
            host.closed(2, peer(1000));
        },
        false,
    );
}

/// It is the network's fault.
#[test]
fn a_loss_without_a_network_does_not_count() {
    between(
        |host| {
            host.network(false).skip();
            host.closed(2, lost());
        },
        false,
    );
}

#[test]
fn a_connection_that_did_not_open_does_not_count() {
    let mut host = with(Config { max_resume_failures: Some(1), ..two() }, session());
    for conn in 1..=5 {
        host.at(60_000 * conn).connect().skip();
        host.closed(conn, unreachable());
        is_kept(&mut host);
    }
}

#[test]
fn a_stable_connection_does_not_count() {
    let mut host = with(Config { max_resume_failures: Some(1), ..two() }, session());
    for conn in 1..=5 {
        offer(&mut host, conn);
        host.at(60_000 * conn + 5_000).closed(conn, lost());
        is_kept(&mut host);
    }
    offer(&mut host, 6);
    host.at(364_999).closed(6, lost());
    is_dropped(&mut host);
}

/// The answer came with the gateway's last words.
#[test]
fn an_answer_during_the_closing_handshake_is_one() {
    let mut host = with(Config { max_resume_failures: Some(1), ..two() }, session());
    offer(&mut host, 1);
    host.at(60_001).closing(1, peer(1001)).skip();
    host.at(60_002).text(1, INIT).skip();
    host.at(60_003).closed(1, lost());
    is_kept(&mut host);
}

/// There is none to drop.
#[test]
fn a_session_that_was_cleared_is_not_dropped() {
    let mut host = with(Config { max_resume_failures: Some(1), ..two() }, session());
    offer(&mut host, 1);
    host.at(60_001).clear_session().expect([forget()]);
    host.at(60_002).closed(1, lost()).expect([disconnected(1, 1006, lost(), 61_002), arm(61_002)]);
}

/// It is dropped even where there is no further attempt: the next start would offer it again.
#[test]
fn it_is_dropped_with_the_last_attempt() {
    let config = Config { max_resume_failures: Some(1), max_attempts: Some(0), ..quiet() };
    let mut host = with(config, session());
    offer(&mut host, 1);
    host.closed(1, lost()).expect([
        disconnected(1, 1006, lost(), None),
        forget(),
        session_dropped(SessionDropReason::ResumeFailed),
        failed(0, hermes_proto::FailReason::Attempts),
    ]);
}

// In the clear.

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
