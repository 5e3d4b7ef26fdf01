//! `ResumeMode::Wait`: nothing passes before `session-init`.

use super::*;

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
    let ended = disconnected(1, 1006, lost(), 1_006);
    host.at(6).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_006)]);
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
        r#"{"type":"session-init","token":"","x":"\ud800"}"#,
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

/// A session of another client.
const FRESH: &str = r#"{"type":"session-init","token":"f","clientId":"d"}"#;

fn fresh(at: u64) -> Session {
    Session { token: "f".into(), client_id: Some("d".into()), ..renewed(at) }
}

/// Over a long way the gateway issues a fresh session before `session-resume` arrives.
#[test]
fn a_fresh_session_opens_no_gate() {
    let mut host = gated(wait());
    host.at(2).text(1, FRESH).expect([persist(fresh(2)), event(FRESH)]);
    assert!(matches!(host.state(), State::Open { resuming: Some(_), .. }));
    host.at(200).text(1, INIT).expect([
        persist(renewed(200)),
        init(session(), INIT),
        send(1, 2, "1"),
        disarm(),
    ]);
    assert_eq!(host.client().stats().resumed, 1);
}

/// The gateway knew nothing of the session: the fresh one was its answer.
#[test]
fn a_fresh_session_alone_opens_the_gate_at_the_deadline() {
    let mut host = gated(wait());
    host.at(2).text(1, FRESH).skip();
    host.at(10_001).timer().expect([send(1, 2, "1")]);
    assert!(matches!(host.state(), State::Open { resuming: None, .. }));
    // The next session of this connection is compared with the one that it has.
    host.at(10_002).text(1, FRESH).expect([persist(fresh(10_002)), init(fresh(2), FRESH)]);
    assert_eq!(host.client().stats().resumed, 0);
}

#[test]
fn a_second_fresh_session_is_the_answer() {
    let mut host = gated(wait());
    host.at(2).text(1, FRESH).skip();
    let other = FRESH.replace("\"d\"", "\"e\"");
    let actions = host.at(200).text(1, other.as_str()).take();
    assert_eq!(actions[1..], [event(other.as_str()), send(1, 2, "1"), disarm()]);
}

/// It was offered, and the gateway will answer.
#[test]
fn the_session_is_cleared_while_it_waits() {
    let mut host = gated(wait());
    host.at(2).clear_session().expect([forget()]);
    assert_eq!(host.client().session(), None);
    let mut other = gated(wait());
    other.at(2).clear_session().expect([forget()]);
    // The gateway resumed it, since it had been offered.
    let answer = [persist(renewed(3)), init(session(), INIT), send(1, 2, "1"), disarm()];
    host.at(3).text(1, INIT).expect(answer);
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
