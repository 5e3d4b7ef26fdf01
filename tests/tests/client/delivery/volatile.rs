//! Volatile messages: now or not at all.

use std::time::Duration;

use hermes_proto::{
    Action, CloseReason, Config, Delivery, DropReason, Event, Input, Outgoing, OverflowPolicy,
    Receipts, ResumeMode, SendError, Session, Start, State,
};
use hermes_tests::*;

fn volatile(text: &str) -> Outgoing {
    json(text).volatile()
}

/// It is handed back, and nothing has changed.
#[track_caller]
fn not_now(host: &mut Host, text: &str) {
    let before = host.client().clone();
    assert_eq!(host.try_send_message(volatile(text)), Err(SendError::NotNow(volatile(text))));
    host.expect([]);
    assert_eq!(*host.client(), before);
}

fn connection_lost(id: u64, text: &str) -> Action {
    given_up(id, text, DropReason::ConnectionLost)
}

#[test]
fn a_message_is_volatile_by_its_own_wish() {
    assert!(!json("1").is_volatile());
    assert!(volatile("1").is_volatile());
    assert!(volatile("1").with_ttl(Duration::from_secs(1)).is_volatile());
}

#[test]
fn an_open_connection_takes_it_at_once() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
    host.at(1).send_message(volatile("1")).expect([send(1, 1, "1"), ping(1, 2)]);
    // Behind others that are on their way, in their order.
    host.at(2).send("2").expect([send(1, 3, "2")]);
    host.at(3).send_message(volatile("3")).expect([send(1, 4, "3")]);
    host.at(4).flushed(1, 4).expect([written(1, 3)]);
    host.at(5).pong(1, 2).expect([acknowledged(1, 1), ping(1, 5)]);
    host.at(6).pong(1, 5).expect([acknowledged(2, 3)]);
}

#[test]
fn without_an_open_connection_it_is_refused() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..quiet() });
    not_now(&mut host, "1");
    host.at(0).connect().expect([open(1), arm(15_000)]);
    not_now(&mut host, "1");
    host.at(1).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_001), arm(1_001)]);
    not_now(&mut host, "1");
    host.at(1_001).timer().expect([open(2), arm(16_001)]);
    host.at(1_002).opened(2).expect([connected(2), disarm()]);
    host.at(1_003).send_message(volatile("1")).expect([send(2, 1, "1")]);
    host.at(1_004).flushed(2, 1).expect([]);
    host.at(1_005).closing(2, peer(1008)).expect([arm(6_005)]);
    not_now(&mut host, "1");
    host.at(1_006).closed(2, lost()).skip();
    assert!(matches!(host.state(), State::Failed { .. }));
    not_now(&mut host, "1");
    host.at(2_000).connect().expect([open(3), arm(17_000)]);
    host.at(2_001).opened(3).expect([connected(3), disarm()]);
    host.at(2_002).disconnect().expect([close(3, 1000), arm(7_002)]);
    not_now(&mut host, "1");
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.dropped.total(), stats.outbox_messages), (1, 0, 0));
}

#[test]
fn before_the_session_is_resumed_it_is_refused() {
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    };
    let start = Start { session: Some(session), ..start() };
    let mut host = Host::start(Config { resume: ResumeMode::Wait, ..quiet() }, start);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), arm(10_001)]);
    not_now(&mut host, "1");
    host.at(2).text(1, r#"{"type":"session-init"}"#).skip();
    host.at(3).send_message(volatile("1")).expect([send(1, 2, "1")]);
}

/// With a full window it would have to wait.
#[test]
fn what_can_not_leave_at_once_is_refused() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 4, ..quiet() });
    host.at(1).send("11").expect([send(1, 1, "11")]);
    not_now(&mut host, "333");
    host.at(1).send_message(volatile("22")).expect([send(1, 2, "22")]);
    not_now(&mut host, "3");
    host.at(2).flushed(1, 1).expect([]);
    host.at(2).send_message(volatile("33")).expect([send(1, 3, "33")]);
    // Something else waits: no overtaking.
    host.at(3).send("444").expect([]);
    host.at(4).flushed(1, 2).expect([]);
    not_now(&mut host, "5");
    host.at(5).flushed(1, 3).expect([send(1, 4, "444")]);
    host.at(6).send_message(volatile("5")).expect([send(1, 5, "5")]);
}

#[test]
fn one_larger_than_the_window_goes_alone() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 4, ..quiet() });
    host.at(1).send_message(volatile("12345678")).expect([send(1, 1, "12345678")]);
    not_now(&mut host, "2");
    host.at(2).flushed(1, 1).expect([]);
    host.at(3).send("3").expect([send(1, 2, "3")]);
    not_now(&mut host, "12345678");
}

/// What came over a channel can't be handed back.
#[test]
fn as_an_input_it_comes_back_as_an_event() {
    let mut host = Host::new(quiet());
    host.at(0).input(Input::Send(volatile("1"))).expect([refused("1", DropReason::NotNow)]);
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.dropped.not_now), (0, 1));
}

/// The outbox counts it like any other, for as long as it is in there.
#[test]
fn it_needs_room_in_the_outbox() {
    let mut host = Host::connected(Config { outbox_max_bytes: 4, ..quiet() });
    let large = volatile("12345");
    assert_eq!(host.try_send_message(large.clone()), Err(SendError::TooLarge(large)));
    host.expect([]);
    host.at(1).send("333").expect([send(1, 1, "333")]);
    assert_eq!(host.try_send_message(volatile("22")), Err(SendError::Full(volatile("22"))));
    host.expect([]);
    host.at(2).send_message(volatile("4")).expect([send(1, 2, "4")]);
    host.at(3).flushed(1, 2).expect([]);
    // Nothing gives way to it.
    let config = Config { outbox_max_messages: 1, overflow: OverflowPolicy::DropOldest, ..quiet() };
    let mut host = Host::new(config);
    host.at(0).send("1").expect([]);
    not_now(&mut host, "2");
}

#[test]
fn it_does_not_outlive_its_connection() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).send_message(volatile("2")).expect([send(1, 2, "2")]);
    host.at(3).send("3").expect([send(1, 3, "3")]);
    host.at(4).send_message(volatile("4")).expect([send(1, 4, "4")]);
    host.at(5).closed(1, lost()).expect([
        connection_lost(2, "2"),
        connection_lost(4, "4"),
        disconnected(1, 1006, lost(), 1_005),
        arm(1_005),
    ]);
    host.at(1_005).timer().expect([open(2), arm(16_005)]);
    let sends = [send(2, 1, "1"), send(2, 2, "3"), connected(2), disarm()];
    host.at(1_006).opened(2).expect(sends);
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.dropped.connection_lost), (4, 2));
    assert_eq!((stats.outbox_messages, stats.outbox_bytes), (2, 2));
}

#[test]
fn it_is_given_up_however_the_connection_ends() {
    type End = fn(&mut Host);
    let ends: [(End, Vec<Action>); 3] = [
        // The application wants it.
        (
            |host| {
                host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
                host.at(2).closed(1, peer(1000));
            },
            vec![
                connection_lost(1, "1"),
                disconnected(1, 1000, CloseReason::Requested, None),
                disarm(),
            ],
        ),
        // Nobody answers.
        (
            |host| {
                host.at(1).disconnect().expect([close(1, 1000), arm(5_001)]);
                host.at(5_001).timer();
            },
            vec![
                abandon(1),
                connection_lost(1, "1"),
                disconnected(1, 1006, CloseReason::Requested, None),
            ],
        ),
        // The gateway wants it.
        (
            |host| {
                host.at(1).closing(1, peer(1008)).expect([arm(5_001)]);
                host.at(2).closed(1, lost());
            },
            vec![
                connection_lost(1, "1"),
                disconnected(1, 1008, peer(1008), None),
                failed(0, hermes_proto::FailReason::Fatal),
                disarm(),
            ],
        ),
    ];
    for (end, actions) in ends {
        let mut host = Host::connected(quiet());
        host.at(0).send_message(volatile("1")).expect([send(1, 1, "1")]);
        end(&mut host);
        host.expect(actions);
        assert_eq!(host.client().outbox_len(), 0);
    }
}

/// It has left: at-most-once asks no more of any message.
#[test]
fn what_was_written_at_most_once_is_in_doubt_like_others() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
    host.at(1).send_message(volatile("1")).expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).send_message(volatile("2")).expect([send(1, 3, "2")]);
    host.at(3).flushed(1, 2).expect([written(1, 1)]);
    host.at(4).closed(1, lost()).expect([
        in_doubt(1, 1, false),
        connection_lost(2, "2"),
        disconnected(1, 1006, lost(), 1_004),
        arm(1_004),
    ]);
}

/// Not sent again, and so lost perhaps: that is what it asked for.
#[test]
fn at_least_once_makes_no_difference_to_it() {
    let config = Config { delivery: Delivery::AtLeastOnce, ..quiet() };
    let mut host = Host::connected(config);
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).send_message(volatile("2")).expect([send(1, 3, "2")]);
    host.at(3).send("3").expect([send(1, 4, "3")]);
    host.at(4).send_message(volatile("4")).expect([send(1, 5, "4")]);
    host.at(5).flushed(1, 4).expect([]);
    host.at(6).closed(1, lost()).expect([
        in_doubt(1, 3, true),
        connection_lost(2, "2"),
        connection_lost(4, "4"),
        disconnected(1, 1006, lost(), 1_006),
        arm(1_006),
    ]);
    host.at(1_006).timer().expect([open(2), arm(16_006)]);
    let sends = [send(2, 1, "1"), send(2, 2, "3"), ping(2, 3), connected(2), disarm()];
    host.at(1_007).opened(2).expect(sends);
    host.at(1_008).pong(2, 3).expect([]);
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.acknowledged, stats.dropped.connection_lost), (4, 2, 2));
}

#[test]
fn at_least_once_it_can_be_proven() {
    let config =
        Config { delivery: Delivery::AtLeastOnce, receipts: Receipts::Acknowledged, ..quiet() };
    let mut host = Host::connected(config);
    host.at(1).send_message(volatile("1")).expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(2).flushed(1, 2).expect([written(1, 1)]);
    assert_eq!(host.client().outbox_len(), 1);
    host.at(3).pong(1, 2).expect([acknowledged(1, 1)]);
    host.at(4).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_004), arm(1_004)]);
    assert_eq!(host.client().stats().dropped.total(), 0);
}

/// At-least-once the outbox may be full of what is written; then it is full for this one, too.
#[test]
fn an_outbox_full_of_unproven_messages_refuses_it() {
    for (overflow, is_refused) in
        [(OverflowPolicy::Refuse, true), (OverflowPolicy::DropNewest, false)]
    {
        let delivery = Delivery::AtLeastOnce;
        let config = Config { delivery, overflow, outbox_max_messages: 1, ..quiet() };
        let mut host = Host::connected(config);
        host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(2).flushed(1, 2).expect([]);
        if is_refused {
            let full = host.try_send_message(volatile("2"));
            assert_eq!(full, Err(SendError::Full(volatile("2"))));
            host.expect([]);
        } else {
            host.send_message(volatile("2")).expect([dropped(2, "2")]);
        }
    }
}

/// It can't wait, and so a time to live is no matter.
#[test]
fn a_time_to_live_makes_no_difference_to_it() {
    let mut host = Host::connected(Config { message_ttl: Some(Duration::ZERO), ..quiet() });
    host.at(1).send_message(volatile("1")).expect([send(1, 1, "1")]);
    host.at(2)
        .send_message(volatile("2").with_ttl(Duration::from_secs(1)))
        .expect([send(1, 2, "2")]);
    host.at(60_000).flushed(1, 1).expect([]);
    // One reason is enough.
    host.at(60_001).closed(1, lost()).expect([
        in_doubt(1, 1, false),
        connection_lost(2, "2"),
        disconnected(1, 1006, lost(), 61_001),
        arm(61_001),
    ]);
}

#[test]
fn the_event_has_the_message() {
    let mut host = Host::connected(quiet());
    host.at(1).send_message(volatile(r#"{"x":1}"#)).expect([send(1, 1, r#"{"x":1}"#)]);
    let came = host.at(2).closed(1, lost()).take();
    let [Action::Emit(Event::Dropped { id: Some(id), frame, reason }), _, _] = &*came else {
        panic!("{came:?}");
    };
    assert_eq!((id.0, frame.as_text()), (1, Some(r#"{"x":1}"#)));
    assert_eq!(reason.to_string(), "the connection ended under a volatile message");
}
