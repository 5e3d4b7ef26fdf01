//! From `connect()` to `ws-connected`.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{Actions, Client, Config, ConnId, Frame, Input, Session, Start, State};
use hermes_tests::*;

#[test]
fn connect_opens_a_connection() {
    let mut host = Host::new(config());
    assert_eq!(host.state(), State::Idle);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let (conn, stage, deadline) = (ConnId(1), Stage::Connect, ms(15_000));
    assert_eq!(host.state(), State::Connecting { conn, stage, deadline, attempt: 0 });
    host.at(20).opened(1).expect([connected(1), arm(25_020)]);
    assert_eq!(host.state(), State::Open { conn: ConnId(1), since: ms(20), resuming: None });
    assert_eq!(host.client().stats().opened, 1);
}

#[test]
fn connect_does_nothing_where_there_is_a_connection() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).connect().expect([]);
    host.at(20).opened(1).expect([connected(1), arm(25_020)]);
    host.at(21).connect().expect([]);
    host.at(22).closing(1, peer(1001)).expect([arm(5_022)]);
    host.at(23).connect().expect([]);
}

#[test]
fn without_connect_nothing_happens() {
    let mut host = Host::new(config());
    host.at(0).timer().expect([]);
    host.at(1).disconnect().expect([]);
    host.at(2).send("1").expect([]);
    host.at(1_000_000).timer().expect([]);
    assert_eq!((host.state(), host.client().deadline()), (State::Idle, None));
}

#[test]
fn first_the_session_then_the_outbox_in_order_then_the_news() {
    let session = Session { token: "t".into(), client_id: None, saved_at: 0, origin: None };
    let mut host = Host::start(config(), Start { session: Some(session), ..start() });
    host.at(0).send("1").expect([]);
    host.at(1).connect().expect([open(1), arm(15_001)]);
    host.at(2).send("2").expect([]);
    host.at(3).opened(1).expect([
        resume(1, "t"),
        send(1, 2, "1"),
        send(1, 3, "2"),
        connected(1),
        arm(25_003),
    ]);
    host.at(4).send("3").expect([send(1, 4, "3")]);
}

#[test]
fn a_connection_opens_once() {
    let mut host = Host::connected(config());
    host.at(10).opened(1).expect([]);
    host.at(20).closing(1, peer(1000)).expect([arm(5_020)]);
    host.at(21).opened(1).expect([]);
    assert_eq!(host.client().stats().opened, 1);
}

/// A host that says such things is confused, which is no reason for the machine to be.
#[test]
fn what_comes_before_the_connection_is_open_is_ignored() {
    let mut host = Host::new(config());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let stats = host.client().stats();
    host.at(1).text(1, r#"{"type":"session-init","token":"t"}"#).expect([]);
    host.at(2).frame(1, Frame::Binary(vec![0].into())).expect([]);
    host.at(2).frame(1, pong(1, 1)).expect([]);
    host.at(3).flushed(1, 7).expect([]);
    host.at(4).closing(1, peer(1001)).expect([]);
    assert_eq!((host.client().session(), host.client().stats()), (None, stats));
    host.at(5).opened(1).expect([send(1, 1, "1"), connected(1), arm(25_005)]);
}

#[test]
fn a_connection_that_does_not_open_in_time_is_dropped() {
    let mut host = Host::new(Config { connect_timeout: Duration::from_millis(700), ..config() });
    host.at(0).connect().expect([open(1), arm(700)]);
    let reason = timeout(Stage::Connect);
    host.at(700).timer().expect([
        abandon(1),
        disconnected(1, 1006, reason.clone(), 1_700),
        arm(1_700),
    ]);
    host.at(701).opened(1).expect([]);
    let (until, after) = (Some(ms(1_700)), Some(reason));
    assert_eq!(host.state(), State::Waiting { until, attempt: 1, after, asked: None });
}

#[test]
fn a_setting_that_can_not_be_is_named() {
    let field = |config| Client::new(config, start()).expect_err("it can't be").field;
    assert_eq!(field(Config::new("ftp://gateway.test/")), "url");
    assert_eq!(field(Config { outbox_max_messages: 0, ..config() }), "outbox_max_messages");
    assert_eq!(field(Config { close_timeout: Duration::ZERO, ..config() }), "close_timeout_ms");
    assert_eq!(
        field(Config { backoff_cap: Duration::from_millis(999), ..config() }),
        "backoff_cap_ms"
    );
}

/// The commands are thin methods over the one door.
#[test]
fn a_command_is_an_input() {
    let mut by_name = Client::new(quiet(), start()).unwrap();
    let mut by_input = by_name.clone();
    let (mut actions, mut others) = (Actions::new(), Actions::new());

    by_name.connect(ms(1), &mut actions);
    by_input.handle(ms(1), Input::Connect, &mut others);
    by_name.send_message(ms(2), json("1"), &mut actions).unwrap();
    by_input.handle(ms(2), Input::Send(json("1")), &mut others);
    by_name.send(ms(3), &[2], &mut actions).unwrap();
    by_input.handle(ms(3), Input::Send(json("[2]")), &mut others);
    by_name.clear_session(ms(4), &mut actions);
    by_input.handle(ms(4), Input::ClearSession, &mut others);
    let session = Session { token: "t".into(), client_id: None, saved_at: 1, origin: None };
    by_name.set_session(ms(4), session.clone(), &mut actions);
    by_input.handle(ms(4), Input::SetSession(session), &mut others);
    by_name.network_changed(ms(5), false, &mut actions);
    by_input.handle(ms(5), Input::NetworkChanged { online: false }, &mut others);
    by_name.clear_outbox(ms(6), &mut actions);
    by_input.handle(ms(6), Input::ClearOutbox, &mut others);
    let within = Duration::from_secs(1);
    by_name.shutdown(ms(7), within, &mut actions);
    by_input.handle(ms(7), Input::Shutdown { within }, &mut others);
    by_name.disconnect(ms(8), &mut actions);
    by_input.handle(ms(8), Input::Disconnect, &mut others);

    assert_eq!((actions, by_name), (others, by_input));
}
