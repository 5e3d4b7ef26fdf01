//! Messages from accepted to acknowledged.

use super::*;

#[test]
fn queued_written_confirmed() {
    let mut count = Count::new(config());
    count.step(0, |host| host.send("1"), |s| queued(s, 1));
    count.step(0, |host| host.send("2"), |s| queued(s, 1));
    count.step(1, Host::connect, |s| s.attempts += 1);
    count.step(
        2,
        |host| host.opened(1),
        |s| {
            s.opened += 1;
            s.bytes_sent += 2;
        },
    );
    count.step(3, |host| host.send("3"), handed);
    count.step(4, |host| host.flushed(1, 1), |s| flushed(s, 1));
    count.quiet(5, |host| host.flushed(1, 1));
    count.quiet(5, |host| host.flushed(1, 0));
    count.step(6, |host| host.flushed(1, 3), |s| flushed(s, 2));
    // The heartbeat's Ping is no message, and its Pong proves all of them.
    count.quiet(25_002, Host::timer);
    count.quiet(25_010, |host| host.flushed(1, 4));
    count.step(
        25_060,
        |host| host.pong(1, 4),
        |s| {
            s.acknowledged += 3;
            s.unacknowledged -= 3;
            s.rtt_last = Some(Duration::from_millis(50));
            s.rtt_smoothed = s.rtt_last;
        },
    );
    count.quiet(25_061, |host| host.pong(1, 4));
}

#[test]
fn bytes_are_those_of_the_text() {
    let text = "\"\u{e9}\u{20ac}\"";
    assert_eq!(text.len(), 7);
    let mut count = Count::connected(quiet());
    count.step(
        1,
        |host| host.send(text),
        |s| {
            s.accepted += 1;
            s.bytes_sent += 7;
            s.outbox_messages += 1;
            s.outbox_bytes += 7;
        },
    );
}

/// A Pong proves what went before its Ping, and nothing behind it.
#[test]
fn a_pong_confirms_what_was_before_the_ping() {
    let mut count = Count::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
    count.step(1, |host| host.send("1"), handed);
    count.step(2, |host| host.send("2"), handed);
    count.step(3, |host| host.flushed(1, 3), |s| flushed(s, 2));
    count.step(
        4,
        |host| host.pong(1, 2),
        |s| {
            s.acknowledged += 1;
            s.unacknowledged -= 1;
            s.rtt_last = Some(Duration::from_millis(1));
            s.rtt_smoothed = s.rtt_last;
        },
    );
}

/// Whose answer is here has left, though nobody said so.
#[test]
fn a_pong_before_the_flush_writes_and_confirms() {
    let mut count = Count::connected(config());
    count.step(1, |host| host.send("1"), handed);
    count.quiet(25_000, Host::timer);
    count.step(
        25_040,
        |host| host.pong(1, 2),
        |s| {
            flushed(s, 1);
            s.acknowledged += 1;
            s.unacknowledged -= 1;
            s.rtt_last = Some(Duration::from_millis(40));
            s.rtt_smoothed = s.rtt_last;
        },
    );
    count.quiet(25_041, |host| host.flushed(1, 2));
}

#[test]
fn a_connection_ends_with_messages_in_doubt() {
    let mut count = Count::connected(quiet());
    for n in 1..=3 {
        count.step(n, |host| host.send("1"), handed);
    }
    count.step(4, |host| host.flushed(1, 2), |s| flushed(s, 2));
    count.step(
        5,
        |host| host.closed(1, lost()),
        |s| {
            s.ended.lost += 1;
            s.in_doubt += 2;
            s.unacknowledged = 0;
        },
    );
    count.step(1_005, Host::timer, |s| s.attempts += 1);
    // The third never left whole, and goes again: its bytes twice, and the message once.
    count.step(
        1_006,
        |host| host.opened(2),
        |s| {
            s.opened += 1;
            s.bytes_sent += 1;
        },
    );
    count.step(1_007, |host| host.flushed(2, 1), |s| flushed(s, 1));
}

/// In its closing handshake they are still on the way.
#[test]
fn a_closing_handshake_leaves_them_unproven() {
    let mut count = Count::connected(quiet());
    count.step(1, |host| host.send("1"), handed);
    count.quiet(2, Host::disconnect);
    count.step(3, |host| host.flushed(1, 1), |s| flushed(s, 1));
    count.step(
        4,
        |host| host.closed(1, peer(1000)),
        |s| {
            s.ended.requested += 1;
            s.in_doubt += 1;
            s.unacknowledged = 0;
        },
    );
}

#[test]
fn at_least_once_writes_again() {
    let mut count = Count::connected(Config { delivery: Delivery::AtLeastOnce, ..quiet() });
    count.step(1, |host| host.send("1"), handed);
    count.step(2, |host| host.send("2"), handed);
    // Written, and still in the outbox.
    let kept = |s: &mut Stats| {
        s.written += 2;
        s.unacknowledged += 2;
    };
    count.step(3, |host| host.flushed(1, 3), kept);
    count.step(
        4,
        |host| host.closed(1, lost()),
        |s| {
            s.ended.lost += 1;
            s.in_doubt += 2;
            s.unacknowledged = 0;
        },
    );
    count.step(1_004, Host::timer, |s| s.attempts += 1);
    count.step(
        1_005,
        |host| host.opened(2),
        |s| {
            s.opened += 1;
            s.bytes_sent += 2;
        },
    );
    count.step(
        1_006,
        |host| host.flushed(2, 3),
        |s| {
            s.rewritten += 2;
            s.unacknowledged += 2;
        },
    );
    count.step(
        1_016,
        |host| host.pong(2, 3),
        |s| {
            s.acknowledged += 2;
            s.unacknowledged = 0;
            s.outbox_messages -= 2;
            s.outbox_bytes -= 2;
            s.rtt_last = Some(Duration::from_millis(10));
            s.rtt_smoothed = s.rtt_last;
        },
    );
}

#[test]
fn clearing_the_session_or_the_network_moves_nothing() {
    let mut count = Count::connected(config());
    count.quiet(1, Host::clear_session);
    count.quiet(2, |host| host.network(false));
    count.quiet(3, |host| host.network(true));
    count.quiet(4, Host::clear_outbox);
}
