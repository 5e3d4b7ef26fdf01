//! Messages that are dropped, by reason.

use super::*;

fn by_input(text: &str) -> impl FnOnce(&mut Host) -> &mut Host {
    let input = Input::Send(json(text));
    |host| host.input(input)
}

/// What `send` hands back was never counted.
#[test]
fn not_those_that_were_handed_back() {
    let config = Config { outbox_max_messages: 1, outbox_max_bytes: 3, ..config() };
    let mut count = Count::new(config);
    count.step(0, |host| host.send("1"), |s| queued(s, 1));
    for text in ["2", "4444", "not json"] {
        count.quiet(1, |host| {
            assert!(host.try_send(text).is_err());
            host
        });
    }
    count.quiet(1, |host| {
        assert!(host.try_send_message(json("5").volatile()).is_err());
        host
    });
}

/// As an input there is nobody to hand it back to.
#[test]
fn those_that_were_refused() {
    let config = Config { outbox_max_messages: 1, outbox_max_bytes: 3, ..config() };
    let mut count = Count::new(config);
    count.step(0, by_input("4444"), |s| s.dropped.too_large += 1);
    count.step(0, |host| host.input(Input::Send(json("5").volatile())), |s| s.dropped.not_now += 1);
    count.step(0, by_input("1"), |s| queued(s, 1));
    count.step(0, by_input("2"), |s| s.dropped.outbox_full += 1);
    count.step(1, Host::connect, |s| s.attempts += 1);
    count.quiet(2, |host| host.shutdown(10_000));
    count.step(3, by_input("3"), |s| s.dropped.shutting_down += 1);
    assert_eq!(count.stats.dropped.total(), 4);
}

#[test]
fn the_oldest() {
    let config =
        Config { outbox_max_messages: 2, overflow: OverflowPolicy::DropOldest, ..config() };
    let mut count = Count::new(config);
    count.step(0, |host| host.send("1"), |s| queued(s, 1));
    count.step(0, |host| host.send("2"), |s| queued(s, 1));
    count.step(
        0,
        |host| host.send("3"),
        |s| {
            s.accepted += 1;
            s.dropped.outbox_full += 1;
        },
    );
}

#[test]
fn several_of_the_oldest() {
    let config = Config { outbox_max_bytes: 4, overflow: OverflowPolicy::DropOldest, ..config() };
    let mut count = Count::new(config);
    for _ in 0..4 {
        count.step(0, |host| host.send("1"), |s| queued(s, 1));
    }
    count.step(
        0,
        |host| host.send("333"),
        |s| {
            s.accepted += 1;
            s.dropped.outbox_full += 3;
            (s.outbox_messages, s.outbox_bytes) = (2, 4);
        },
    );
}

#[test]
fn the_newest() {
    let config =
        Config { outbox_max_messages: 1, overflow: OverflowPolicy::DropNewest, ..config() };
    let mut count = Count::new(config);
    count.step(0, |host| host.send("1"), |s| queued(s, 1));
    // It had a name, and so it was accepted.
    count.step(
        0,
        |host| host.send("2"),
        |s| {
            s.accepted += 1;
            s.dropped.outbox_full += 1;
        },
    );
}

#[test]
fn the_expired() {
    let mut count = Count::new(config());
    let ttl = Duration::from_secs(1);
    count.step(0, |host| host.send_message(json("1").with_ttl(ttl)), |s| queued(s, 1));
    count.step(0, |host| host.send("2"), |s| queued(s, 1));
    count.quiet(999, Host::timer);
    count.step(1_000, Host::timer, |s| {
        s.dropped.expired += 1;
        s.outbox_messages -= 1;
        s.outbox_bytes -= 1;
    });
}

#[test]
fn the_cleared() {
    let mut count = Count::new(config());
    count.step(0, |host| host.send("1"), |s| queued(s, 1));
    count.step(0, |host| host.send("2"), |s| queued(s, 1));
    count.step(1, Host::clear_outbox, |s| {
        s.dropped.cleared += 2;
        (s.outbox_messages, s.outbox_bytes) = (0, 0);
    });
    count.quiet(2, Host::clear_outbox);
}

#[test]
fn the_volatile_under_a_connection_that_ended() {
    let mut count = Count::connected(quiet());
    count.step(1, |host| host.send_message(json("1").volatile()), handed);
    count.step(
        2,
        |host| host.closed(1, lost()),
        |s| {
            s.ended.lost += 1;
            s.dropped.connection_lost += 1;
            (s.outbox_messages, s.outbox_bytes) = (0, 0);
        },
    );
}
