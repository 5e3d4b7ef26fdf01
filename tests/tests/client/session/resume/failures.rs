//! A session that could not be resumed is dropped.

use super::*;

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
