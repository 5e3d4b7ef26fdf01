//! The end of a connection: who began it, what it is called, and how long it may take.

use hermes_proto::CloseReason::{self, Requested};
use hermes_proto::reason::{UpgradeError, Violation};
use hermes_proto::{Frame, Session, State};
use hermes_tests::*;

#[test]
fn a_loss_says_what_the_host_knows() {
    let text = || "reset by peer".into();
    for (reason, code) in [
        (lost(), 1006),
        (CloseReason::Lost { text: text() }, 1006),
        (CloseReason::Resolve { text: text() }, 1006),
        (CloseReason::Connect { text: text() }, 1006),
        (CloseReason::Tls { text: text() }, 1006),
        (CloseReason::Http { status: 503, retry_after: None, redirect: None, body: None }, 1006),
        (CloseReason::Upgrade { error: UpgradeError::AcceptMismatch }, 1006),
        (CloseReason::Protocol { violation: Violation::Masked }, 1002),
        (CloseReason::Protocol { violation: Violation::InvalidUtf8 }, 1007),
        (CloseReason::Protocol { violation: Violation::MessageTooLarge { bytes: 9 } }, 1009),
        (CloseReason::Peer { code: 1000, text: "bye".into() }, 1000),
        (peer(1005), 1005),
        (peer(4_321), 4_321),
    ] {
        let gone = [disconnected(1, code, reason.clone(), 1_010), arm(1_010)];
        let mut host = Host::new(quiet());
        host.at(0).connect().skip();
        host.at(10).closed(1, reason.clone()).expect(gone.clone());
        let mut host = Host::connected(quiet());
        host.at(10).closed(1, reason).expect(gone);
    }
}

/// As a browser's `CloseEvent` has it.
#[test]
fn an_end_that_was_requested_has_a_code() {
    assert_eq!(Requested.code(), 1000);
}

/// Only the machine knows whether the application wanted it.
#[test]
fn a_host_can_not_claim_that_it_was_requested() {
    let mut host = Host::connected(quiet());
    host.at(10).closed(1, Requested).expect([disconnected(1, 1006, lost(), 1_010), arm(1_010)]);
}

#[test]
fn the_peers_close_frame_names_the_end() {
    let mut host = Host::connected(config());
    host.at(10).closing(1, peer(1001)).expect([arm(5_010)]);
    assert!(matches!(host.state(), State::Closing { .. }));
    host.at(40).closed(1, lost()).expect([disconnected(1, 1001, peer(1001), 1_040), arm(1_040)]);
}

/// The code is the first Close frame's (RFC 6455 §7.1.5).
#[test]
fn a_second_close_frame_changes_nothing() {
    let mut host = Host::connected(config());
    host.at(10).closing(1, peer(1001)).expect([arm(5_010)]);
    host.at(11).closing(1, peer(4000)).expect([]);
    host.at(40).closed(1, lost()).expect([disconnected(1, 1001, peer(1001), 1_040), arm(1_040)]);
}

#[test]
fn the_peers_answer_has_the_code_of_our_close() {
    let mut host = Host::connected(config());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(20).closing(1, peer(4000)).expect([]);
    host.at(30).closed(1, lost()).expect([disconnected(1, 4000, Requested, None), disarm()]);
}

#[test]
fn without_an_answer_the_transports_end_has_the_code() {
    let mut host = Host::connected(config());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(30).closed(1, lost()).expect([disconnected(1, 1006, Requested, None), disarm()]);
}

#[test]
fn a_handshake_that_does_not_end_is_cut_short() {
    let mut host = Host::connected(quiet());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(5_009).timer().expect([arm(5_010)]);
    host.at(5_010).timer().expect([abandon(1), disconnected(1, 1006, Requested, None)]);

    let mut host = Host::connected(quiet());
    host.at(10).closing(1, peer(1001)).expect([arm(5_010)]);
    let gone = [abandon(1), disconnected(1, 1001, peer(1001), 6_010), arm(6_010)];
    host.at(5_010).timer().expect(gone);
}

/// A talkative peer must not put off the end.
#[test]
fn what_arrives_does_not_prolong_the_handshake() {
    let mut host = Host::connected(config());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    for now in [1_000, 2_000, 5_009] {
        host.at(now).text(1, "0").expect([event("0")]);
    }
    host.at(5_010).text(1, "0").expect([
        event("0"),
        abandon(1),
        disconnected(1, 1006, Requested, None),
        disarm(),
    ]);
}

/// It was sent to us all the same.
#[test]
fn what_arrives_during_the_handshake_is_told() {
    let init = r#"{"type":"session-init","token":"t"}"#;
    let (token, origin) = ("t".to_owned(), Some(ORIGIN.to_owned()));
    let session = Session { token, client_id: None, saved_at: UNIX_MS + 20, origin };
    let mut host = Host::connected(config());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(20).text(1, init).expect([persist(session.clone()), event(init)]);
    host.at(30).closed(1, peer(1000)).expect([disconnected(1, 1000, Requested, None), disarm()]);
    assert_eq!(host.client().session(), Some(session.clone()));
}

#[test]
fn nothing_is_sent_once_the_handshake_has_begun() {
    let mut host = Host::connected(config());
    host.at(10).send("1").expect([send(1, 1, "1")]);
    host.at(11).closing(1, peer(1001)).expect([arm(5_011)]);
    host.at(12).send("2").expect([]);
    // That the first one left counts; that there is room now does not.
    host.at(13).flushed(1, 1).expect([]);
    assert_eq!(host.client().outbox_len(), 1);
    host.at(14).frame(1, Frame::Ping(vec![].into())).expect([]);
    let ended = disconnected(1, 1001, peer(1001), 1_015);
    host.at(15).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_015)]);
    host.at(1_015).timer().expect([open(2), arm(16_015)]);
    host.at(1_016).opened(2).expect([send(2, 1, "2"), connected(2), arm(26_016)]);
}
