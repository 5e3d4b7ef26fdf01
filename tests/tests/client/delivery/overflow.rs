//! A full outbox: what gives way, and who hears of it.

use hermes_proto::{
    Config, DropReason, Input, MessageId, OverflowPolicy,
    OverflowPolicy::{DropNewest, DropOldest, Refuse},
    SendError,
};
use hermes_tests::*;

/// Room for three messages and ten bytes; a window of four bytes.
fn small(overflow: OverflowPolicy) -> Config {
    Config {
        overflow,
        outbox_max_messages: 3,
        outbox_max_bytes: 10,
        unflushed_max_bytes: 4,
        ..quiet()
    }
}

const EIGHT: &str = "88888888";
const ELEVEN: &str = "11111111111";

#[test]
fn refuse_hands_the_message_back() {
    for (texts, one_more) in [(vec!["1", "2", "3"], "4"), (vec!["1", EIGHT], "22")] {
        let mut host = Host::new(small(Refuse));
        texts.iter().for_each(|text| _ = host.send(text).expect([]));
        let before = host.client().clone();
        assert!(!host.client().has_room(one_more.len()));
        assert_eq!(host.try_send(one_more), Err(SendError::Full(json(one_more))));
        host.expect([]);
        assert_eq!(*host.client(), before);
        // As an input it can't be handed back, and comes back as an event.
        let refusal = refused(one_more, DropReason::OutboxFull);
        host.input(Input::Send(json(one_more))).expect([refusal]);
        assert_eq!(
            (host.client().outbox_len(), host.client().stats().dropped.outbox_full),
            (texts.len(), 1)
        );
    }
}

#[test]
fn the_bounds_are_inclusive() {
    for overflow in [Refuse, DropOldest, DropNewest] {
        let mut host = Host::new(small(overflow));
        host.send("1").expect([]);
        assert!(host.client().has_room(9) && !host.client().has_room(10));
        host.send("1").expect([]);
        host.send(EIGHT).expect([]);
        assert_eq!((host.client().outbox_len(), host.client().outbox_bytes()), (3, 10));
    }
}

/// The names are given to those who are accepted, so none is missing afterwards.
#[test]
fn who_is_refused_has_no_name() {
    let mut host = Host::new(small(Refuse));
    ["1", "2", "3"].iter().for_each(|text| _ = host.send(text).expect([]));
    host.try_send("4").unwrap_err();
    host.try_send("nonsense").unwrap_err();
    host.at(0).connect().skip();
    host.opened(1).skip();
    host.flushed(1, 3).skip();
    assert_eq!(host.try_send("5"), Ok(MessageId(4)));
    host.expect([send(1, 4, "5")]);
}

#[test]
fn what_no_outbox_can_take_is_too_large_whatever_the_policy() {
    for overflow in [Refuse, DropOldest, DropNewest] {
        let mut host = Host::new(small(overflow));
        host.send("1").expect([]);
        assert_eq!(host.try_send(ELEVEN), Err(SendError::TooLarge(json(ELEVEN))));
        host.expect([]);
        let refusal = refused(ELEVEN, DropReason::TooLarge);
        host.input(Input::Send(json(ELEVEN))).expect([refusal]);
        assert_eq!(host.client().outbox_len(), 1);
    }
}

#[test]
fn the_oldest_give_way() {
    let mut host = Host::new(small(DropOldest));
    ["1", "2", "3"].iter().for_each(|text| _ = host.send(text).expect([]));
    host.send("4").expect([dropped(1, "1")]);
    assert_eq!(host.try_send(EIGHT), Ok(MessageId(5)));
    // As many as need be, and no more.
    host.expect([dropped(2, "2")]);
    host.send("666").expect([dropped(3, "3"), dropped(4, "4"), dropped(5, EIGHT)]);
    host.at(0).connect().skip();
    host.at(0).opened(1).expect([send(1, 1, "666"), connected(1), disarm()]);
    assert_eq!(host.client().stats().dropped.outbox_full, 5);
}

/// The operating system may have half of them by now.
#[test]
fn the_oldest_that_were_handed_over_do_not_give_way() {
    let mut host = Host::connected(small(DropOldest));
    host.send("11").expect([send(1, 1, "11")]);
    host.send("22").expect([send(1, 2, "22")]);
    host.send("3").expect([]);
    host.send("4").expect([dropped(3, "3")]);
    // With all that may go gone, there is room for 6 bytes.
    assert_eq!(host.try_send("5555555"), Err(SendError::Full(json("5555555"))));
    host.expect([]);
    host.send("666666").expect([dropped(4, "4")]);
    host.flushed(1, 1).expect([]);
    host.flushed(1, 2).expect([send(1, 3, "666666")]);
}

#[test]
fn where_all_were_handed_over_drop_oldest_refuses() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 10, ..small(DropOldest) });
    for (seq, text) in (1..).zip(["1", "2", "3"]) {
        host.send(text).expect([send(1, seq, text)]);
    }
    assert_eq!(host.try_send("4"), Err(SendError::Full(json("4"))));
    host.expect([]);
    host.input(Input::Send(json("4"))).expect([refused("4", DropReason::OutboxFull)]);
}

/// With its connection gone a message waits again like any other.
#[test]
fn what_was_handed_over_to_a_dead_connection_may_give_way() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 10, ..small(DropOldest) });
    for (seq, text) in (1..).zip(["1", "2", "3"]) {
        host.send(text).expect([send(1, seq, text)]);
    }
    host.at(1).closed(1, lost()).skip();
    host.at(2).send("4").expect([dropped(1, "1")]);
}

#[test]
fn what_waits_during_the_closing_handshake_may_give_way() {
    let mut host = Host::connected(small(DropOldest));
    host.send("1111").expect([send(1, 1, "1111")]);
    host.send("2").expect([]);
    host.at(1).closing(1, peer(1001)).expect([arm(5_001)]);
    host.at(2).send("3").expect([]);
    host.at(3).send("4").expect([dropped(2, "2")]);
    host.at(4).flushed(1, 1).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().stats().written), (2, 1));
}

#[test]
fn the_newest_gives_way() {
    let mut host = Host::new(small(DropNewest));
    ["1", "2", "3"].iter().for_each(|text| _ = host.send(text).expect([]));
    // It was accepted, and has a name by which its end is told.
    assert_eq!(host.try_send("4"), Ok(MessageId(4)));
    host.expect([dropped(4, "4")]);
    host.input(Input::Send(json("5"))).expect([dropped(5, "5")]);
    assert_eq!((host.client().outbox_len(), host.client().stats().dropped.outbox_full), (3, 2));
}

#[test]
fn flushing_makes_room() {
    for overflow in [Refuse, DropOldest, DropNewest] {
        let mut host = Host::connected(small(overflow));
        host.send("1").expect([send(1, 1, "1")]);
        host.send("2").expect([send(1, 2, "2")]);
        host.send("3").expect([send(1, 3, "3")]);
        assert!(!host.client().has_room(1));
        host.flushed(1, 1).expect([]);
        assert!(host.client().has_room(8) && !host.client().has_room(9));
        host.send("4").expect([send(1, 4, "4")]);
    }
}
