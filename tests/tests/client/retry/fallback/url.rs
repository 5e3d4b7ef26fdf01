//! `url()`: of the live connection, or of the next.

use super::*;

fn a_session_of_b() -> Host {
    Host::start(two(), saved("t", B))
}

#[test]
fn agrees_before_the_first_connect() {
    let mut host = Host::new(two());
    is_at(&host, A);
    begin(&mut host, A);
    let mut host = a_session_of_b();
    is_at(&host, B);
    begin(&mut host, B);
}

/// The next one is `connect`'s, and that begins with the session's.
#[test]
fn agrees_after_failure() {
    let config = Config { max_attempts: Some(1), ..three() };
    let mut host = Host::start(config, saved("t", A));
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).closed(2, lost()).skip();
    let next = host.client().url().to_string();
    host.at(10_000).connect().expect([open_to(3, &next), arm(25_000)]);
    is_at(&host, A);
}

#[test]
fn agrees_at_rest() {
    let mut host = Host::start(two(), saved("t", A));
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).disconnect().skip();
    let next = host.client().url().to_string();
    host.at(10_000).connect().expect([open_to(3, &next), arm(25_000)]);
    is_at(&host, A);
}

/// A session of A, and a live connection to B in its closing handshake, behind which `connect`
/// wants the next one.
fn on_its_way_out() -> Host {
    let mut host = Host::start(two(), saved("a", A));
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, B);
    host.at(now).opened(2).expect([connected_to(2, B), disarm()]);
    host.at(now + 1).disconnect().expect([close(2, 1000), arm(now + 5_001)]);
    is_at(&host, B);
    host.at(now + 2).connect().expect([]);
    host
}

#[test]
fn is_the_live_connections_until_that_is_gone() {
    let mut host = on_its_way_out();
    is_at(&host, B);
    host.at(1_010).closed(2, lost()).expect([
        disconnected(2, 1006, CloseReason::Requested, 1_010),
        open_to(3, A),
        arm(16_010),
    ]);
    is_at(&host, A);
}

/// What B issues is B's, even on the way out. Else A would be given B's token.
#[test]
fn is_what_a_session_is_bound_to() {
    let mut host = on_its_way_out();
    let init = r#"{"type":"session-init","token":"b"}"#;
    let issued = Session { saved_at: UNIX_MS + 1_005, ..session("b", B) };
    host.at(1_005).text(2, init).expect([persist(issued), event(init)]);
}

/// At random: what is opened is what was said, and what is said is what is connected.
#[test]
fn agrees_with_what_is_opened() {
    let mut rng = hermes_tests::Rng::new(7);
    let mut host = Host::new(Config { max_attempts: None, ..three() });
    let (mut now, mut opens) = (0, 0);
    host.at(now).connect().skip();
    while opens < 300 {
        now += [1, 600, 6_000][rng.below(3)];
        let before = host.client().url().clone();
        let conn = host.client().conn().map_or(0, |conn| conn.0);
        let reasons = [lost(), peer(1001), peer(1008), http(401, None), http(503, None)];
        let actions = match (host.state(), rng.below(4)) {
            (State::Connecting { .. }, 0 | 1) => host.at(now).opened(conn).take(),
            (State::Connecting { .. } | State::Open { .. }, 2) => {
                host.at(now).closed(conn, rng.pick(&reasons).clone()).take()
            }
            (State::Failed { .. } | State::Waiting { .. }, 3) => host.at(now).connect().take(),
            _ => host.at(now).timer().take(),
        };
        for action in &actions {
            match action {
                Action::Open { url, .. } => {
                    opens += 1;
                    assert_eq!((url, url), (&before, host.client().url()));
                }
                Action::Emit(Event::Connected { url, .. }) => {
                    assert_eq!((url, url), (&before, host.client().url()));
                }
                _ => {}
            }
        }
    }
}
