//! The wait that a gateway asks for is about that gateway.

use hermes_proto::reason::RetryAfter;

use super::*;

fn busy(seconds: u64) -> CloseReason {
    http(503, RetryAfter::Seconds(seconds))
}

#[test]
fn the_other_gateway_is_not_asked_to_wait() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    // And A's wish stands when its turn would be: B is tried again.
    let now = on_to(&mut host, 0, 1, busy(7_200), 1_000, B);
    let now = on_to(&mut host, now, 2, unreachable(), 2_000, B);
    on_to(&mut host, now, 3, unreachable(), 4_000, B);
}

#[test]
fn it_has_its_turn_again_when_its_wait_is_over() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, busy(3), 1_000, B);
    let now = on_to(&mut host, now, 2, unreachable(), 2_000, B);
    let now = on_to(&mut host, now, 3, unreachable(), 4_000, A);
    on_to(&mut host, now, 4, unreachable(), 8_000, B);
}

/// If all ask for a wait, the shortest is waited for.
#[test]
fn all_ask_for_a_wait() {
    let mut host = Host::new(two());
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, busy(100), 1_000, B);
    // B until 301 s, A until 100 s.
    let now = on_to(&mut host, now, 2, busy(300), 99_000, A);
    // A until 160 s.
    on_to(&mut host, now, 3, busy(60), 60_000, A);
}

/// News of a network does not end A's wait, and B has none.
#[test]
fn a_network_ends_the_wait_for_the_other_gateway() {
    let mut host = Host::new(Config { backoff_base: Duration::from_secs(10), ..two() });
    begin(&mut host, A);
    let gone = [disconnected(1, 1006, busy(60), 10_000), arm(10_000)];
    host.at(0).closed(1, busy(60)).expect(gone);
    host.at(5_000).network(true).expect([open_to(2, B), arm(20_000)]);
}

/// The last end of a connection to a gateway says what it wishes.
#[test]
fn an_older_wish_is_forgotten() {
    let mut host = Host::new(quiet());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, busy(60)).expect([disconnected(1, 1006, busy(60), 60_000), arm(60_000)]);
    host.at(1_000).connect().expect([open(2), arm(16_000)]);
    host.at(1_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_000), arm(3_000)]);
}
