//! Round trips.

use super::*;

fn rtt(s: &mut Stats, last: u64, smoothed_micros: u64) {
    s.rtt_last = Some(Duration::from_millis(last));
    s.rtt_smoothed = Some(Duration::from_micros(smoothed_micros));
}

/// Each new one counts an eighth (RFC 6298 §2).
#[test]
fn are_smoothed() {
    let mut count = Count::connected(config());
    let mut now = 25_000;
    for (seq, (last, smoothed)) in
        (1..).zip([(100, 100_000_000), (200, 112_500_000), (20, 100_937_500), (0, 88_320_312)])
    {
        count.quiet(now, Host::timer);
        count.quiet(now, |host| host.flushed(1, seq));
        count.step(
            now + last,
            |host| host.pong(1, seq),
            |s| {
                s.rtt_last = Some(Duration::from_millis(last));
                s.rtt_smoothed = Some(Duration::from_nanos(smoothed));
            },
        );
        now += last + 25_000;
    }
}

/// They begin when the Ping has left, not when it was written: our own buffers are not the way.
#[test]
fn begin_when_the_ping_has_left() {
    let mut count = Count::connected(config());
    count.quiet(25_000, Host::timer);
    count.quiet(29_000, |host| host.flushed(1, 1));
    count.step(29_070, |host| host.pong(1, 1), |s| rtt(s, 70, 70_000));
}

#[test]
fn begin_with_the_ping_where_nobody_said_that_it_left() {
    let mut count = Count::connected(config());
    count.quiet(25_000, Host::timer);
    count.step(25_090, |host| host.pong(1, 1), |s| rtt(s, 90, 90_000));
}

#[test]
fn are_not_measured_by_a_pong_that_answers_nothing() {
    let mut count = Count::connected(config());
    count.quiet(1, |host| host.frame(1, Frame::Pong(vec![].into())));
    count.quiet(2, |host| host.pong(1, 1));
    count.quiet(25_000, Host::timer);
    count.quiet(25_001, |host| host.pong(1, 2));
    count.quiet(25_002, |host| host.frame(1, pong(2, 1)));
}

/// Another network, perhaps, and other times. The latest stays until there is a newer one.
#[test]
fn are_smoothed_anew_on_each_connection() {
    let mut count = Count::connected(config());
    count.quiet(25_000, Host::timer);
    count.step(25_400, |host| host.pong(1, 1), |s| rtt(s, 400, 400_000));
    count.step(25_401, |host| host.closed(1, lost()), |s| s.ended.lost += 1);
    count.step(26_401, Host::timer, |s| s.attempts += 1);
    count.step(
        26_402,
        |host| host.opened(2),
        |s| {
            s.opened += 1;
            s.rtt_smoothed = None;
        },
    );
    count.quiet(51_402, Host::timer);
    count.step(51_412, |host| host.pong(2, 1), |s| rtt(s, 10, 10_000));
}
