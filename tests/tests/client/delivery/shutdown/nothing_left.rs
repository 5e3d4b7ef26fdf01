//! A shutdown of a client that has nothing to send.

use super::*;

#[test]
fn a_client_that_was_never_connected() {
    let mut host = Host::new(quiet());
    host.at(5).shutdown(1_000).expect([shut_down(0, 0, 0)]);
    assert_eq!((host.state(), host.client().deadline()), (State::Idle, None));
}

/// A host that slept over the end of it has news of a network first.
#[test]
fn nothing_begins_once_its_time_is_over() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_001), arm(1_001)]);
    host.at(2).shutdown(500).expect([arm(502)]);
    host.at(60_000).network(true).expect([]);
    host.at(60_000).timer().expect([shut_down(0, 0, 1)]);
}

/// It makes no connection for it.
#[test]
fn a_client_that_is_not_connected_keeps_its_outbox() {
    let mut host = Host::new(quiet());
    host.at(5).send("1").expect([]);
    host.at(5).send("2").expect([]);
    host.at(6).shutdown(1_000).expect([shut_down(0, 0, 2)]);
    assert_eq!(host.client().outbox_len(), 2);
    // The next connection has them.
    host.at(7).connect().expect([open(1), arm(15_007)]);
    host.at(8).opened(1).expect([send(1, 1, "1"), send(1, 2, "2"), connected(1), disarm()]);
}

#[test]
fn a_client_that_has_failed() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..quiet() });
    host.at(0).send("1").expect([]);
    host.at(0).connect().skip();
    let gone = [disconnected(1, 1006, lost(), None), failed(0, FailReason::Attempts), disarm()];
    host.at(1).closed(1, lost()).expect(gone);
    host.at(2).shutdown(1_000).expect([shut_down(0, 0, 1)]);
    assert!(matches!(host.state(), State::Failed { .. }));
}

#[test]
fn an_empty_client_that_connects() {
    let mut host = Host::new(quiet());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(5).shutdown(1_000).expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_client_that_waits_for_credentials() {
    let config = || Config { ask_credentials: true, ..quiet() };
    let mut host = Host::new(config());
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    let gone = [abandon(1), ended(1, 1006), shut_down(0, 0, 0), disarm()];
    host.at(5).shutdown(1_000).expect(gone);
    // With something left it goes on.
    let mut host = Host::new(config());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host.at(5).shutdown(1_000).expect([arm(1_005)]);
    host.at(6).credentials(1, Credentials::default()).expect([open(1)]);
    host.at(1_005).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 1)]);
}

#[test]
fn an_empty_client_that_is_connected() {
    let mut host = Host::connected(quiet());
    host.at(5).shutdown(60_000).expect([close(1, 1000), arm(5_005)]);
    host.at(6).closing(1, peer(1000)).expect([]);
    host.at(7).closed(1, lost()).expect([ended(1, 1000), shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
    assert_eq!(host.client().stats().ended.requested, 1);
}

#[test]
fn an_empty_client_that_waits() {
    let mut host = Host::connected(quiet());
    host.at(5).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_005), arm(1_005)]);
    host.at(6).shutdown(60_000).expect([shut_down(0, 0, 0), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn an_empty_client_whose_peer_closes() {
    let mut host = Host::connected(quiet());
    host.at(5).closing(1, peer(1001)).expect([arm(5_005)]);
    host.at(6).shutdown(1_000).expect([arm(1_006)]);
    // There is nothing to come back for.
    let gone = [disconnected(1, 1001, peer(1001), None), shut_down(0, 0, 0), disarm()];
    host.at(7).closed(1, lost()).expect(gone);
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn a_client_that_is_disconnecting() {
    let mut host = Host::connected(quiet());
    host.at(4).send("1").expect([send(1, 1, "1")]);
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).shutdown(60_000).expect([]);
    refuses(&mut host);
    host.at(7).closed(1, peer(1000)).expect([ended(1, 1000), shut_down(0, 0, 1), disarm()]);
}

/// The closing handshake is included, whoever began it.
#[test]
fn a_client_that_is_disconnecting_has_no_longer() {
    let mut host = Host::connected(quiet());
    host.at(5).disconnect().expect([close(1, 1000), arm(5_005)]);
    host.at(6).shutdown(1_000).expect([arm(1_006)]);
    host.at(1_006).timer().expect([abandon(1), ended(1, 1006), shut_down(0, 0, 0)]);
}

#[test]
fn an_empty_client_without_a_network() {
    let mut host = Host::connected(quiet());
    host.at(1).network(false).expect([]);
    host.at(5).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_005)]);
    host.at(6).shutdown(60_000).expect([shut_down(0, 0, 0)]);
}
