//! A stable connection keeps its gateway.

use super::*;

#[test]
fn is_made_again_where_it_was() {
    let mut host = Host::new(three());
    begin(&mut host, A);
    let mut now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    for conn in 2..6 {
        let end = up(&mut host, now, conn, B, 5_000);
        now = on_to(&mut host, end, conn, lost(), 1_000, B);
    }
    // Until one is not stable.
    on_to(&mut host, now, 6, lost(), 2_000, C);
}

#[test]
fn is_made_again_where_it_was_after_a_restart() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let end = up(&mut host, 0, 1, A, 60_000);
    on_to(&mut host, end, 1, peer(1012), 5_000, A);
}

/// That the application stopped for a while is not its fault.
#[test]
fn is_made_again_where_it_was_after_a_stop() {
    let mut host = Host::new(three());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    let end = up(&mut host, now, 2, B, 60_000);
    host.at(end).disconnect().expect([close(2, 1000), arm(end + 5_000)]);
    let gone = disconnected(2, 1000, CloseReason::Requested, None);
    host.at(end).closed(2, peer(1000)).expect([gone, disarm()]);
    is_at(&host, B);
    host.at(end + 1).connect().expect([open_to(3, B), arm(end + 15_001)]);
}
