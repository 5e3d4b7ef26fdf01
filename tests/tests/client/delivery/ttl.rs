//! Time to live: what could not be handed to a connection in time is given up.

use std::time::Duration;

use hermes_proto::{
    Action, Config, Delivery, DropReason, Event, FailReason, Outgoing, OverflowPolicy, State,
    Timestamp,
};
use hermes_tests::*;

/// Everything lives for a second.
fn second() -> Config {
    Config { message_ttl: Some(Duration::from_secs(1)), ..quiet() }
}

fn ttl(text: &str, millis: u64) -> Outgoing {
    json(text).with_ttl(Duration::from_millis(millis))
}

fn expired(id: u64, text: &str) -> Action {
    given_up(id, text, DropReason::Expired)
}

#[test]
fn messages_live_for_ever_unless_something_else_is_said() {
    assert_eq!((Config::default().message_ttl, json("1").ttl()), (None, None));
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    assert_eq!(host.client().deadline(), None);
    host.at(1_000_000_000).timer().expect([]);
    assert_eq!(host.client().outbox_len(), 1);
}

#[test]
fn a_message_is_given_up_when_its_time_is_over() {
    let mut host = Host::new(quiet());
    host.at(0).send_message(ttl("1", 1_000)).expect([arm(1_000)]);
    host.at(0).send("2").expect([]);
    host.at(999).timer().expect([arm(1_000)]);
    host.at(1_000).timer().expect([expired(1, "1")]);
    assert_eq!((host.client().outbox_len(), host.client().stats().dropped.expired), (1, 1));
}

#[test]
fn a_time_of_its_own_goes_before_the_configured_one() {
    let mut host = Host::new(second());
    host.at(0).send("1").expect([arm(1_000)]);
    host.at(0).send_message(ttl("2", 500)).expect([arm(500)]);
    host.at(0).send_message(ttl("3", 2_000)).expect([]);
    host.at(500).timer().expect([expired(2, "2"), arm(1_000)]);
    host.at(1_000).timer().expect([expired(1, "1"), arm(2_000)]);
    host.at(2_000).timer().expect([expired(3, "3")]);
}

/// By their time, and together in order.
#[test]
fn several_are_given_up_at_once() {
    let mut host = Host::new(quiet());
    for (text, millis) in [("1", 300), ("2", 100), ("3", 300), ("4", 200), ("5", 100)] {
        host.at(0).send_message(ttl(text, millis)).skip();
    }
    host.at(100).timer().expect([expired(2, "2"), expired(5, "5"), arm(200)]);
    host.at(300).timer().expect([expired(4, "4"), expired(1, "1"), expired(3, "3")]);
}

/// It may have been in the way of one behind it.
#[test]
fn what_waited_behind_it_goes_when_it_is_given_up() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 5, ..quiet() });
    host.at(1).send("123").expect([send(1, 1, "123")]);
    host.at(1).send_message(ttl("456", 1_000)).expect([arm(1_001)]);
    host.at(1).send("7").expect([]);
    host.at(1_001).timer().expect([expired(2, "456"), send(1, 2, "7")]);
}

#[test]
fn it_is_given_up_wherever_the_client_is() {
    type Begin = fn(&mut Host);
    let states: [(Begin, Option<u64>); 5] = [
        (|_| {}, None),
        // Connecting, until 15 s.
        (|host| _ = host.connect().expect([open(1), arm(15_000)]), Some(15_000)),
        // Waiting, until 30 s.
        (
            |host| {
                host.connect().skip();
                host.closed(1, lost()).skip();
            },
            Some(30_000),
        ),
        // Closing, until 5 s.
        (
            |host| {
                host.connect().skip();
                host.opened(1).skip();
                host.closing(1, peer(1001)).skip();
            },
            Some(5_000),
        ),
        // Failed.
        (
            |host| {
                host.connect().skip();
                let gone = disconnected(1, 1008, peer(1008), None);
                let actions = [gone, failed(0, FailReason::Fatal), disarm()];
                host.closed(1, peer(1008)).expect(actions);
            },
            None,
        ),
    ];
    for (begin, deadline) in states {
        let mut host = Host::new(Config { backoff_base: Duration::from_secs(30), ..quiet() });
        host.at(0);
        begin(&mut host);
        host.at(0).send_message(ttl("1", 1_000)).expect([arm(1_000)]);
        host.at(0).send_message(ttl("2", 2_000)).expect([]);
        host.at(1_000).timer().expect([expired(1, "1"), arm(2_000)]);
        host.at(2_000).timer().expect([expired(2, "2")].into_iter().chain(deadline.map(arm)));
    }
}

#[test]
fn it_is_given_up_while_there_is_no_network() {
    let mut host = Host::new(quiet());
    host.at(0).network(false).expect([]);
    host.at(0).connect().expect([]);
    host.at(0).send_message(ttl("1", 1_000)).expect([arm(1_000)]);
    host.at(1_000).timer().expect([expired(1, "1")]);
    host.at(2_000).network(true).expect([open(1), arm(17_000)]);
}

#[test]
fn it_is_given_up_behind_a_full_window() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..quiet() });
    host.at(0).send_message(ttl("1", 1_000)).expect([send(1, 1, "1")]);
    host.at(0).send_message(ttl("2", 1_000)).expect([arm(1_000)]);
    host.at(0).send_message(ttl("3", 2_000)).expect([]);
    // The first one is on its way.
    host.at(1_000).timer().expect([expired(2, "2"), arm(2_000)]);
    host.at(1_500).flushed(1, 1).expect([send(1, 2, "3"), disarm()]);
}

#[test]
fn what_was_handed_over_is_not_recalled() {
    let mut host = Host::connected(second());
    host.at(0).send("1").expect([send(1, 1, "1")]);
    assert_eq!(host.client().deadline(), None);
    host.at(60_000).timer().expect([]);
    host.at(60_001).flushed(1, 1).expect([]);
    assert_eq!((host.client().stats().written, host.client().stats().dropped.total()), (1, 0));
}

#[test]
fn a_connection_in_time_is_in_time() {
    for at in [1, 999] {
        let mut host = Host::new(second());
        host.at(0).send("1").expect([arm(1_000)]);
        host.at(0).connect().expect([open(1)]);
        host.at(at).opened(1).expect([send(1, 1, "1"), connected(1), disarm()]);
    }
}

/// Where the connection ends before it has left, the time counts again.
#[test]
fn time_counts_again_where_the_connection_ends_first() {
    // There is some left.
    let mut host = Host::connected(Config { message_ttl: Some(Duration::from_secs(3)), ..quiet() });
    host.at(0).send("1").expect([send(1, 1, "1")]);
    host.at(100).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_100), arm(1_100)]);
    host.at(1_100).timer().expect([open(2), arm(3_000)]);
    let mut other =
        Host::connected(Config { message_ttl: Some(Duration::from_secs(3)), ..quiet() });
    host.at(2_999).opened(2).expect([send(2, 1, "1"), connected(2), disarm()]);
    // There is none.
    other.at(0).send("1").expect([send(1, 1, "1")]);
    other.at(3_000).closed(1, lost()).expect([
        disconnected(1, 1006, lost(), 4_000),
        expired(1, "1"),
        arm(4_000),
    ]);
    assert_eq!(other.client().outbox_len(), 0);
}

/// It was written, and may have arrived: not sent again.
#[test]
fn time_is_over_for_one_in_doubt() {
    let mut host = Host::connected(Config { delivery: Delivery::AtLeastOnce, ..second() });
    host.at(0).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(1).flushed(1, 2).expect([]);
    host.at(500).send("2").expect([send(1, 3, "2")]);
    host.at(501).flushed(1, 3).expect([]);
    host.at(1_200).closed(1, lost()).expect([
        in_doubt(1, 2, true),
        disconnected(1, 1006, lost(), 2_200),
        expired(1, "1"),
        arm(1_500),
    ]);
    host.at(1_500).timer().expect([expired(2, "2"), arm(2_200)]);
    host.at(2_200).timer().expect([open(2), arm(17_200)]);
    host.at(2_201).opened(2).expect([connected(2), disarm()]);
    let stats = host.client().stats();
    assert_eq!((stats.in_doubt, stats.dropped.expired, stats.acknowledged), (2, 2, 0));
}

/// At-most-once: what was written is no longer here to be given up.
#[test]
fn what_was_written_does_not_expire() {
    let mut host = Host::connected(second());
    host.at(0).send("1").expect([send(1, 1, "1")]);
    host.at(1).flushed(1, 1).expect([]);
    let ended = disconnected(1, 1006, lost(), 3_000);
    host.at(2_000).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(3_000)]);
    assert_eq!(host.client().stats().dropped.total(), 0);
}

/// A machine that slept, or a loop that was busy: the timer comes late, and what its connection
/// had to say comes first. That is no reason to send what should not be sent any more.
#[test]
fn what_is_over_is_not_handed_over_late() {
    let mut host = Host::new(second());
    host.at(0).send("1").expect([arm(1_000)]);
    host.at(0).connect().expect([open(1)]);
    host.at(1_000).opened(1).expect([expired(1, "1"), connected(1), disarm()]);

    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..second() });
    host.at(0).send("1").expect([send(1, 1, "1")]);
    host.at(0).send("2").expect([arm(1_000)]);
    host.at(3_600_000).flushed(1, 1).expect([expired(2, "2"), disarm()]);
}

/// Now or never, without a word about volatile.
#[test]
fn a_time_of_nothing() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..quiet() });
    host.at(5).send_message(ttl("1", 0)).expect([send(1, 1, "1")]);
    host.at(5).send_message(ttl("2", 0)).expect([expired(2, "2")]);
    let mut host = Host::new(quiet());
    host.at(5).send_message(ttl("1", 0)).expect([expired(1, "1")]);
    assert_eq!(host.client().outbox_len(), 0);
}

/// Some 292,000 years.
#[test]
fn a_time_without_end() {
    let mut host = Host::new(quiet());
    let end = Timestamp::from_micros(u64::MAX);
    let message = json("1").with_ttl(Duration::MAX);
    host.at(5).send_message(message).expect([Action::ArmTimer(Some(end))]);
    host.at(u64::MAX / 1_000).timer().expect([Action::ArmTimer(Some(end))]);
    assert_eq!(host.client().outbox_len(), 1);
}

#[test]
fn what_goes_otherwise_needs_no_timer() {
    // It gave way.
    let config = Config { outbox_max_messages: 1, overflow: OverflowPolicy::DropOldest, ..quiet() };
    let mut host = Host::new(config);
    host.at(0).send_message(ttl("1", 1_000)).expect([arm(1_000)]);
    host.at(0).send("2").expect([dropped(1, "1"), disarm()]);
    // It was cleared.
    let mut host = Host::new(second());
    host.at(0).send("1").expect([arm(1_000)]);
    host.at(1).clear_outbox().expect([given_up(1, "1", DropReason::Cleared), disarm()]);
    // It was never there.
    let config = Config { outbox_max_messages: 1, overflow: OverflowPolicy::DropNewest, ..quiet() };
    let mut host = Host::new(config);
    host.at(0).send("1").expect([]);
    host.at(0).send_message(ttl("2", 1_000)).expect([dropped(2, "2")]);
    let mut host = Host::new(Config { outbox_max_messages: 1, ..quiet() });
    host.at(0).send("1").expect([]);
    host.try_send_message(ttl("2", 1_000)).expect_err("it is full");
    host.expect([]);
    assert_eq!(host.client().deadline(), None);
}

/// Its place is free for another.
#[test]
fn a_message_that_is_over_makes_room() {
    let mut host = Host::new(Config { outbox_max_messages: 1, ..second() });
    host.at(0).send("1").expect([arm(1_000)]);
    host.at(999).try_send("2").expect_err("it is full");
    host.expect([]);
    host.at(1_000).timer().expect([expired(1, "1")]);
    host.at(1_001).send("2").expect([arm(2_001)]);
}

#[test]
fn the_order_of_the_others_is_kept() {
    let mut host = Host::new(quiet());
    host.at(0).send("1").expect([]);
    host.at(0).send_message(ttl("2", 1_000)).expect([arm(1_000)]);
    host.at(0).send("3").expect([]);
    host.at(0).send_message(ttl("4", 1_000)).expect([]);
    host.at(0).send("5").expect([]);
    host.at(1_000).timer().expect([expired(2, "2"), expired(4, "4")]);
    host.at(1_001).connect().expect([open(1), arm(16_001)]);
    let sends = [send(1, 1, "1"), send(1, 2, "3"), send(1, 3, "5"), connected(1), disarm()];
    host.at(1_002).opened(1).expect(sends);
}

/// The whole message comes back, for the application to do something about it.
#[test]
fn the_event_has_the_message() {
    let mut host = Host::new(second());
    host.at(0).send(r#"{"type":"move","x":1}"#).expect([arm(1_000)]);
    let Event::Dropped { id, frame, reason } = host.at(1_000).timer().event() else {
        panic!("dropped");
    };
    let message = r#"{"type":"move","x":1}"#;
    assert_eq!((id.map(|id| id.0), frame.as_text()), (Some(1), Some(message)));
    assert_eq!(reason.to_string(), "the message's time to live is over");
    assert_eq!(host.state(), State::Idle);
}

#[test]
fn the_setting_in_json() {
    let config: Config =
        serde_json::from_str(r#"{"url":"ws://h/","message_ttl_ms":1500}"#).expect("it is one");
    assert_eq!(config.message_ttl, Some(Duration::from_millis(1_500)));
}
