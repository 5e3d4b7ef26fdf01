//! A gateway that refuses for good.

use super::*;

#[test]
fn go_to_the_next() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    on_to(&mut host, 0, 1, http(401, None), 1_000, B);

    let mut host = Host::new(two());
    begin(&mut host, A);
    host.at(0).opened(1).skip();
    on_to(&mut host, 1, 1, peer(1008), 1_000, B);
}

/// Also after a stable connection, which any other end would stay with.
#[test]
fn go_to_the_next_after_a_stable_connection() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let end = up(&mut host, 0, 1, A, 60_000);
    on_to(&mut host, end, 1, peer(1008), 1_000, B);
}

#[test]
fn of_all_are_the_end() {
    let mut host = Host::new(three());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
    let now = on_to(&mut host, now, 2, http(404, None), 2_000, C);
    host.at(now).closed(3, http(403, None)).expect([
        disconnected(3, 1006, http(403, None), None),
        failed(2, FailReason::Fatal),
        disarm(),
    ]);
}

/// A gateway that said so is left out from then on.
#[test]
fn leave_a_gateway_out() {
    let mut host = Host::new(three());
    begin(&mut host, A);
    let mut now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
    for (conn, next, wait) in [(2, C, 2), (3, B, 4), (4, C, 8), (5, B, 16)] {
        now = on_to(&mut host, now, conn, lost(), wait * 1_000, next);
    }
    // Of two, one is left: again and again.
    let now = on_to(&mut host, now, 6, http(401, None), 30_000, C);
    let now = on_to(&mut host, now, 7, lost(), 30_000, C);
    host.at(now).closed(8, http(401, None)).expect([
        disconnected(8, 1006, http(401, None), None),
        failed(7, FailReason::Fatal),
        disarm(),
    ]);
}

#[test]
fn in_any_order() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    let now = on_to(&mut host, now, 2, http(401, None), 2_000, A);
    host.at(now).closed(3, http(401, None)).expect([
        disconnected(3, 1006, http(401, None), None),
        failed(2, FailReason::Fatal),
        disarm(),
    ]);
}

/// Who knows what it says by now?
#[test]
fn are_forgotten_with_a_stable_connection() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
    let end = up(&mut host, now, 2, B, 5_000);
    let now = on_to(&mut host, end, 2, lost(), 1_000, B);
    let now = on_to(&mut host, now, 3, lost(), 2_000, A);
    on_to(&mut host, now, 4, http(401, None), 4_000, B);
}

#[test]
fn are_forgotten_with_connect() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, http(401, None), 1_000, B);
    host.at(now).closed(2, http(401, None)).skip();
    let now = now + 1_000;
    host.at(now).connect().expect([open_to(3, B), arm(now + 15_000)]);
    let now = on_to(&mut host, now, 3, http(401, None), 1_000, A);
    host.at(now).closed(4, http(401, None)).expect([
        disconnected(4, 1006, http(401, None), None),
        failed(1, FailReason::Fatal),
        disarm(),
    ]);
}

/// The next one is a reconnect, and needs a budget.
#[test]
fn do_not_lend_attempts() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..two() });
    begin(&mut host, A);
    host.at(0).closed(1, http(401, None)).expect([
        disconnected(1, 1006, http(401, None), None),
        failed(0, FailReason::Attempts),
        disarm(),
    ]);
}
