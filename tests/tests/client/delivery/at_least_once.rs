//! `Delivery::AtLeastOnce`: a message is kept until it is proven received, and sent again where it
//! is not. Beside it what `AtMostOnce` does with the same loss.

use hermes_proto::{Config, Delivery, DropReason, OverflowPolicy, Receipts, SendError};
use hermes_tests::*;

/// Without an event for each stage.
fn at_least_once() -> Config {
    Config { delivery: Delivery::AtLeastOnce, ..quiet() }
}

fn at_most_once() -> Config {
    Config { receipts: Receipts::Acknowledged, ..quiet() }
}

/// Messages and bytes in the outbox.
fn outbox(host: &Host) -> (usize, usize) {
    (host.client().outbox_len(), host.client().outbox_bytes())
}

fn texts(host: &Host) -> Vec<String> {
    host.client().outbox().filter_map(|(_, frame)| frame.as_text().map(String::from)).collect()
}

#[test]
fn a_message_is_kept_until_it_is_proven_received() {
    let mut host = Host::connected(at_least_once());
    host.at(10).send("11").expect([send(1, 1, "11"), ping(1, 2)]);
    assert_eq!(outbox(&host), (1, 2));
    host.at(11).flushed(1, 2).expect([]);
    assert_eq!(outbox(&host), (1, 2));
    host.at(40).pong(1, 2).expect([]);
    assert_eq!(outbox(&host), (0, 0));
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.written, stats.acknowledged, stats.rewritten), (1, 1, 1, 0));
}

#[test]
fn what_was_written_and_not_proven_is_sent_again() {
    let mut host = Host::connected(at_least_once());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([]);
    host.at(12).closed(1, lost()).expect([
        in_doubt(1, 1, true),
        disconnected(1, 1006, lost(), 1_012),
        arm(1_012),
    ]);
    host.at(1_012).timer().expect([open(2), arm(16_012)]);
    host.at(1_013).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), disarm()]);
    host.at(1_014).flushed(2, 2).expect([]);
    host.at(1_015).pong(2, 2).expect([]);
    assert_eq!(outbox(&host), (0, 0));
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.written, stats.rewritten), (1, 1, 1));
    assert_eq!((stats.in_doubt, stats.acknowledged), (1, 1));
}

/// The default: the application is told, and nothing arrives twice.
#[test]
fn at_most_once_sends_what_was_written_never_again() {
    let mut host = Host::connected(at_most_once());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(10).send("2").expect([send(1, 3, "2")]);
    host.at(11).flushed(1, 3).expect([written(1, 2)]);
    assert_eq!(outbox(&host), (0, 0));
    host.at(12).closed(1, lost()).expect([
        in_doubt(1, 2, false),
        disconnected(1, 1006, lost(), 1_012),
        arm(1_012),
    ]);
    host.at(1_012).timer().expect([open(2), arm(16_012)]);
    host.at(1_013).opened(2).expect([connected(2), disarm()]);
    // Once is enough, however many connections are lost after it.
    host.at(1_014).send("3").expect([send(2, 1, "3"), ping(2, 2)]);
    host.at(1_015).flushed(2, 1).expect([written(3, 3)]);
    host.at(1_016).pong(2, 2).expect([acknowledged(3, 3)]);
    host.at(1_017).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_017), arm(3_017)]);
    let stats = host.client().stats();
    assert_eq!((stats.written, stats.rewritten), (3, 0));
    assert_eq!((stats.in_doubt, stats.acknowledged, stats.unacknowledged), (2, 1, 0));
}

/// What the system had not taken whole was never received: it is not in doubt, it goes again.
#[test]
fn at_most_once_sends_what_was_not_written_again() {
    let mut host = Host::connected(at_most_once());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    for (seq, text) in (3..).zip(["2", "3", "4"]) {
        host.at(11).send(text).expect([send(1, seq, text)]);
    }
    host.at(12).pong(1, 2).expect([written(1, 1), acknowledged(1, 1), ping(1, 6)]);
    host.at(13).flushed(1, 4).expect([written(2, 3)]);
    // 1 is proven, 2 and 3 are written, 4 was handed over.
    host.at(14).closed(1, lost()).expect([
        in_doubt(2, 3, false),
        disconnected(1, 1006, lost(), 1_014),
        arm(1_014),
    ]);
    assert_eq!(texts(&host), ["4"]);
    host.at(1_014).timer().expect([open(2), arm(16_014)]);
    host.at(1_015).opened(2).expect([send(2, 1, "4"), ping(2, 2), connected(2), disarm()]);
    host.at(1_016).flushed(2, 2).expect([written(4, 4)]);
    host.at(1_017).pong(2, 2).expect([acknowledged(4, 4)]);
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.written), (4, 4));
    assert_eq!((stats.acknowledged, stats.in_doubt), (2, 2));
}

#[test]
fn nothing_is_in_doubt_where_nothing_was_written() {
    for config in [at_least_once(), at_most_once()] {
        let mut host = Host::connected(config);
        host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(12).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_012), arm(1_012)]);
        host.at(1_012).timer().expect([open(2), arm(16_012)]);
        let sends = [send(2, 1, "1"), ping(2, 2), connected(2), disarm()];
        host.at(1_013).opened(2).expect(sends);
        assert_eq!(host.client().stats().in_doubt, 0);
    }
}

#[test]
fn older_messages_go_again_before_newer_ones() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 4, ..at_least_once() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    for (seq, text) in (3..).zip(["2", "3", "4"]) {
        host.at(11).send(text).expect([send(1, seq, text)]);
    }
    host.at(11).send("5").expect([]);
    host.at(12).pong(1, 2).expect([send(1, 6, "5"), ping(1, 7)]);
    host.at(13).flushed(1, 4).expect([]);
    // 1 is proven, 2 and 3 are written, 4 and 5 handed over.
    host.at(14).closed(1, lost()).expect([
        in_doubt(2, 3, true),
        disconnected(1, 1006, lost(), 1_014),
        arm(1_014),
    ]);
    host.at(15).send("6").expect([]);
    assert_eq!(texts(&host), ["2", "3", "4", "5", "6"]);
    host.at(1_014).timer().expect([open(2), arm(16_014)]);
    host.at(1_015).opened(2).expect([
        send(2, 1, "2"),
        send(2, 2, "3"),
        send(2, 3, "4"),
        send(2, 4, "5"),
        ping(2, 5),
        connected(2),
        disarm(),
    ]);
    // The window counts what is not flushed, whether or not it was sent before.
    host.at(1_016).send("7").expect([]);
    host.at(1_017).flushed(2, 2).expect([send(2, 6, "6"), send(2, 7, "7")]);
    host.at(1_018).flushed(2, 7).expect([]);
    host.at(1_019).pong(2, 5).expect([ping(2, 8)]);
    assert_eq!(texts(&host), ["6", "7"]);
    host.at(1_020).pong(2, 8).expect([]);
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.written, stats.rewritten), (7, 7, 2));
    assert_eq!((stats.acknowledged, stats.in_doubt), (7, 2));
}

#[test]
fn a_message_is_in_doubt_as_often_as_it_was_lost() {
    let mut host = Host::connected(Config { max_attempts: None, ..at_least_once() });
    host.at(0).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    for conn in 1..=5 {
        host.flushed(conn, 1).expect([]);
        let retry_at = 60_000 * conn;
        let doubt = in_doubt(1, 1, true);
        let came = host.at(retry_at - 30_000).closed(conn, lost()).take();
        assert_eq!(came[0], doubt, "connection {conn}");
        host.at(retry_at).timer().skip();
        let sends = [send(conn + 1, 1, "1"), ping(conn + 1, 2), connected(conn + 1), disarm()];
        host.at(retry_at).opened(conn + 1).expect(sends);
    }
    let stats = host.client().stats();
    assert_eq!((stats.written, stats.rewritten, stats.in_doubt), (1, 4, 5));
    host.pong(6, 2).expect([]);
    let stats = host.client().stats();
    assert_eq!((stats.written, stats.rewritten, stats.acknowledged), (1, 5, 1));
    assert_eq!(outbox(&host), (0, 0));
}

/// It is in doubt from before; a connection that did not take it adds nothing to that.
#[test]
fn a_connection_that_wrote_nothing_adds_no_doubt() {
    let mut host = Host::connected(at_least_once());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 1).expect([]);
    let doubt = in_doubt(1, 1, true);
    host.at(12).closed(1, lost()).expect([
        doubt.clone(),
        disconnected(1, 1006, lost(), 1_012),
        arm(1_012),
    ]);
    host.at(1_012).timer().expect([open(2), arm(16_012)]);
    host.at(1_013).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), disarm()]);
    host.at(1_014).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_014), arm(3_014)]);
    host.at(3_014).timer().expect([open(3), arm(18_014)]);
    // One that never opened neither.
    let reason = unreachable();
    host.at(3_015)
        .closed(3, reason.clone())
        .expect([disconnected(3, 1006, reason, 7_015), arm(7_015)]);
    host.at(7_015).timer().expect([open(4), arm(22_015)]);
    host.at(7_016).opened(4).expect([send(4, 1, "1"), ping(4, 2), connected(4), disarm()]);
    host.at(7_017).flushed(4, 1).expect([]);
    let gone = [doubt, disconnected(4, 1006, lost(), 15_018), arm(15_018)];
    host.at(7_018).closed(4, lost()).expect(gone);
    assert_eq!(host.client().stats().in_doubt, 2);
}

/// The first of them was proven to have arrived on the second connection.
#[test]
fn what_is_proven_on_the_second_connection_is_done() {
    let config =
        Config { unflushed_max_bytes: 1, receipts: Receipts::Acknowledged, ..at_least_once() };
    let mut host = Host::connected(config);
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1)]);
    host.at(12).send("2").expect([send(1, 3, "2")]);
    host.at(13).flushed(1, 3).expect([written(2, 2)]);
    host.at(14).closed(1, lost()).expect([
        in_doubt(1, 2, true),
        disconnected(1, 1006, lost(), 1_014),
        arm(1_014),
    ]);
    host.at(1_014).timer().expect([open(2), arm(16_014)]);
    host.at(1_015).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), disarm()]);
    // Written once more, which is no news.
    host.at(1_016).flushed(2, 1).expect([send(2, 3, "2")]);
    host.at(1_017).pong(2, 2).expect([acknowledged(1, 1), ping(2, 4)]);
    host.at(1_018).flushed(2, 4).expect([]);
    host.at(1_019).closed(2, lost()).expect([
        in_doubt(2, 2, true),
        disconnected(2, 1006, lost(), 3_019),
        arm(3_019),
    ]);
    assert_eq!(texts(&host), ["2"]);
}

#[test]
fn a_pong_in_the_closing_handshake_spares_a_message_its_second_way() {
    let mut host = Host::connected(at_least_once());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).send("2").expect([send(1, 3, "2")]);
    host.at(12).flushed(1, 3).expect([]);
    host.at(13).disconnect().expect([close(1, 1000), arm(5_013)]);
    host.at(14).pong(1, 2).expect([]);
    host.at(15).closed(1, peer(1000)).expect([
        in_doubt(2, 2, true),
        disconnected(1, 1000, hermes_proto::CloseReason::Requested, None),
        disarm(),
    ]);
    // A stop keeps the outbox, and the next connection sends it.
    host.at(2_000).connect().expect([open(2), arm(17_000)]);
    host.at(2_001).opened(2).expect([send(2, 1, "2"), ping(2, 2), connected(2), disarm()]);
}

#[test]
fn the_outbox_is_full_until_something_is_proven() {
    let mut host = Host::connected(Config { outbox_max_messages: 2, ..at_least_once() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).send("2").expect([send(1, 3, "2")]);
    host.at(12).flushed(1, 3).expect([]);
    // At-most-once would take more: those have left.
    assert!(!host.client().has_room(1));
    assert_eq!(host.try_send("3"), Err(SendError::Full(json("3"))));
    host.expect([]);
    host.at(13).pong(1, 2).expect([ping(1, 4)]);
    assert!(host.client().has_room(1));
    host.at(14).send("3").expect([send(1, 5, "3")]);
    assert_eq!(host.try_send("4"), Err(SendError::Full(json("4"))));
    host.expect([]);
}

#[test]
fn bytes_are_kept_until_they_are_proven() {
    let mut host = Host::connected(Config { outbox_max_bytes: 10, ..at_least_once() });
    host.at(10).send("1111").expect([send(1, 1, "1111"), ping(1, 2)]);
    host.at(11).send("222222").expect([send(1, 3, "222222")]);
    host.at(12).flushed(1, 3).expect([]);
    assert_eq!(host.try_send("3"), Err(SendError::Full(json("3"))));
    host.expect([]);
    host.at(13).pong(1, 2).expect([ping(1, 4)]);
    assert_eq!(outbox(&host), (1, 6));
    host.at(14).send("3333").expect([send(1, 5, "3333")]);
}

/// What is on its way can't give way, nor be recalled; what waits for a connection can, in doubt
/// or not.
#[test]
fn drop_oldest_with_messages_in_doubt() {
    let config =
        Config { outbox_max_messages: 2, overflow: OverflowPolicy::DropOldest, ..at_least_once() };
    let mut host = Host::connected(config);
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).send("2").expect([send(1, 3, "2")]);
    host.at(12).flushed(1, 1).expect([]);
    // One is written and the other handed over.
    assert_eq!(host.try_send("3"), Err(SendError::Full(json("3"))));
    host.expect([]);
    host.at(13).closed(1, lost()).expect([
        in_doubt(1, 1, true),
        disconnected(1, 1006, lost(), 1_013),
        arm(1_013),
    ]);
    host.at(14).send("3").expect([dropped(1, "1")]);
    host.at(1_013).timer().expect([open(2), arm(16_013)]);
    let sends = [send(2, 1, "2"), send(2, 2, "3"), ping(2, 3), connected(2), disarm()];
    host.at(1_014).opened(2).expect(sends);
    host.at(1_015).pong(2, 3).expect([]);
    let stats = host.client().stats();
    assert_eq!((stats.accepted, stats.acknowledged, stats.dropped.outbox_full), (3, 2, 1));
}

#[test]
fn drop_newest_with_messages_in_doubt() {
    let config =
        Config { outbox_max_messages: 1, overflow: OverflowPolicy::DropNewest, ..at_least_once() };
    let mut host = Host::connected(config);
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([]);
    host.at(12).send("2").expect([dropped(2, "2")]);
    host.at(13).pong(1, 2).expect([]);
    host.at(14).send("3").expect([send(1, 3, "3"), ping(1, 4)]);
}

/// Names of messages that were dropped lie within a range, as its documentation says.
#[test]
fn a_range_covers_what_was_dropped() {
    let config = Config {
        outbox_max_messages: 2,
        overflow: OverflowPolicy::DropOldest,
        receipts: Receipts::Acknowledged,
        ..at_least_once()
    };
    let mut host = Host::connected(config);
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1)]);
    let gone = [in_doubt(1, 1, true), disconnected(1, 1006, lost(), 1_012), arm(1_012)];
    host.at(12).closed(1, lost()).expect(gone);
    host.at(13).send("2").expect([]);
    host.at(14).send("3").expect([dropped(1, "1")]);
    host.at(1_012).timer().expect([open(2), arm(16_012)]);
    let sends = [send(2, 1, "2"), send(2, 2, "3"), ping(2, 3), connected(2), disarm()];
    host.at(1_013).opened(2).expect(sends);
    host.at(1_014).flushed(2, 3).expect([written(2, 3)]);
    host.at(1_015).pong(2, 3).expect([acknowledged(1, 3)]);
}

#[test]
fn clear_outbox_leaves_what_is_on_its_way() {
    let config = Config { unflushed_max_bytes: 1, ..at_least_once() };
    let mut host = Host::connected(config);
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([]);
    host.at(12).send("2").expect([send(1, 3, "2")]);
    host.at(13).send("3").expect([]);
    host.at(14).clear_outbox().expect([given_up(3, "3", DropReason::Cleared)]);
    assert_eq!(texts(&host), ["1", "2"]);
    host.at(15).pong(1, 2).expect([ping(1, 4)]);
    host.at(16).flushed(1, 4).expect([]);
    // In doubt, and waiting for a connection: now they can be given up.
    let gone = [in_doubt(2, 2, true), disconnected(1, 1006, lost(), 1_017), arm(1_017)];
    host.at(17).closed(1, lost()).expect(gone);
    host.at(18).clear_outbox().expect([given_up(2, "2", DropReason::Cleared)]);
    host.at(1_017).timer().expect([open(2), arm(16_017)]);
    host.at(1_018).opened(2).expect([connected(2), disarm()]);
    let stats = host.client().stats();
    assert_eq!((stats.acknowledged, stats.in_doubt, stats.dropped.cleared), (1, 1, 2));
}

#[test]
fn at_most_once_clear_outbox_leaves_what_was_handed_over() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..at_most_once() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).send("2").expect([]);
    host.at(12).clear_outbox().expect([given_up(2, "2", DropReason::Cleared)]);
    host.at(13).flushed(1, 2).expect([written(1, 1)]);
    host.at(14).clear_outbox().expect([]);
    host.at(15).pong(1, 2).expect([acknowledged(1, 1)]);
    // Once its connection is gone, what was handed over waits again.
    host.at(20).send("3").expect([send(1, 3, "3"), ping(1, 4)]);
    host.at(21).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_021), arm(1_021)]);
    host.at(22).clear_outbox().expect([given_up(3, "3", DropReason::Cleared)]);
    assert_eq!(outbox(&host), (0, 0));
}

#[test]
fn a_stop_and_a_failure_keep_what_is_in_doubt() {
    let mut host = Host::connected(Config { max_attempts: Some(0), ..at_least_once() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([]);
    host.at(12).closed(1, lost()).expect([
        in_doubt(1, 1, true),
        disconnected(1, 1006, lost(), None),
        failed(0, hermes_proto::FailReason::Attempts),
    ]);
    host.at(2_000).connect().expect([open(2), arm(17_000)]);
    host.at(2_001).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), disarm()]);
    host.at(2_002).flushed(2, 2).expect([]);
    host.at(2_003).disconnect().expect([close(2, 1000), arm(7_003)]);
    host.at(7_003).timer().expect([
        abandon(2),
        in_doubt(1, 1, true),
        disconnected(2, 1006, hermes_proto::CloseReason::Requested, None),
    ]);
    assert_eq!(outbox(&host), (1, 1));
}

/// What was proven takes no room from those that come after.
#[test]
fn what_is_proven_is_out_of_the_way() {
    let config = Config {
        overflow: OverflowPolicy::DropOldest,
        outbox_max_bytes: 10,
        unflushed_max_bytes: 1,
        ..at_least_once()
    };
    let mut host = Host::connected(config);
    host.at(10).send("11111111").expect([send(1, 1, "11111111"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([]);
    host.at(12).pong(1, 2).expect([]);
    host.at(13).send("2").expect([send(1, 3, "2"), ping(1, 4)]);
    host.at(14).send("33333333").expect([]);
    host.at(15).send("444444444").expect([dropped(3, "33333333")]);
    assert_eq!(texts(&host), ["2", "444444444"]);
}

/// The gateway is slow, and the link is lost every time: in the end everything is there, and in
/// order.
#[test]
fn nothing_is_lost_however_often_the_link_is() {
    let config = Config { max_attempts: None, unflushed_max_bytes: 2, ..at_least_once() };
    let mut host = Host::new(config);
    for text in ["1", "2", "3", "4", "5"] {
        host.at(0).send(text).expect([]);
    }
    let mut conn = 0;
    let mut arrived = Vec::new();
    while host.client().outbox_len() > 0 {
        conn += 1;
        assert!(conn < 100, "it ends");
        host.at(60_000 * conn).connect().skip();
        let sent = host.opened(conn).take();
        let of = |at: usize| match sent.get(at) {
            Some(hermes_proto::Action::Send { payload, .. }) => format!("{payload:?}"),
            other => panic!("{other:?}"),
        };
        // Two texts (or the last one), and the fence behind them.
        let last = usize::from(host.client().outbox_len() > 1);
        arrived.extend((0..=last).map(of));
        let fence = last as u64 + 2;
        assert_eq!(sent[last + 1], ping(conn, fence));
        host.flushed(conn, fence).skip();
        // Every third fence is answered in time.
        if conn % 3 == 0 {
            host.pong(conn, fence).skip();
        }
        host.at(60_000 * conn + 1_000).closed(conn, lost()).skip();
    }
    let expected = ["12", "12", "12", "34", "34", "34", "5", "5", "5"].concat();
    let digits: String = arrived.concat().chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, expected);
}
