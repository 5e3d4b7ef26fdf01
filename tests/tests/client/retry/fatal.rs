//! Ends after which no retry helps: two tables, of close codes and of HTTP statuses.

use std::collections::BTreeSet;
use std::time::Duration;

use hermes_proto::reason::{RetryAfter, Stage, Violation};
use hermes_proto::{CloseReason, Config, DropReason, Event, FailReason, State};
use hermes_tests::*;

/// An attempt that begins at 0 and is answered so at 10 ms is the last one.
#[track_caller]
fn is_fatal(config: &Config, reason: CloseReason) -> Host {
    let mut host = Host::new(config.clone());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(10).closed(1, reason.clone()).expect([
        disconnected(1, reason.code(), reason.clone(), None),
        failed(0, FailReason::Fatal),
        disarm(),
    ]);
    let (why, after) = (FailReason::Fatal, Some(reason));
    assert_eq!(host.state(), State::Failed { attempts: 0, why, after });
    host.at(1_000_000).timer().expect([]);
    host
}

/// An attempt that is answered so is not.
#[track_caller]
fn is_retried(config: &Config, reason: CloseReason) {
    let config = Config { close_delays: [].into(), ..config.clone() };
    let mut host = Host::new(config);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(10)
        .closed(1, reason.clone())
        .expect([disconnected(1, reason.code(), reason, 1_010), arm(1_010)]);
    host.at(1_010).timer().expect([open(2), arm(16_010)]);
}

#[test]
fn the_default_statuses() {
    let fatal = [400, 401, 403, 404, 410, 426];
    assert_eq!(Config::default().fatal_statuses, fatal.into());
    for status in (200..600).filter(|status| status % 100 < 32) {
        match fatal.contains(&status) {
            true => drop(is_fatal(&config(), http(status, None))),
            false => is_retried(&config(), http(status, None)),
        }
    }
}

#[test]
fn the_default_close_codes() {
    assert_eq!(Config::default().fatal_close_codes, [1008].into());
    for code in (1000..=1015).chain([3000, 3999, 4000, 4008, 4999]) {
        match code {
            1008 => drop(is_fatal(&config(), peer(code))),
            _ => is_retried(&config(), peer(code)),
        }
    }
}

#[test]
fn tables_of_ones_own() {
    let config = Config {
        fatal_close_codes: [1001, 4000].into(),
        fatal_statuses: [500, 503].into(),
        ..config()
    };
    for reason in [peer(1001), peer(4000), http(500, None), http(503, None)] {
        is_fatal(&config, reason);
    }
    // They take the place of the defaults.
    for reason in [peer(1008), peer(4001), http(401, None), http(404, None), http(502, None)] {
        is_retried(&config, reason);
    }
}

#[test]
fn empty_tables() {
    let none = BTreeSet::new;
    let config = Config { fatal_close_codes: none(), fatal_statuses: none(), ..config() };
    for reason in [peer(1008), http(400, None), http(401, None), http(426, None)] {
        is_retried(&config, reason);
    }
}

/// A code and a status are different things, even where they are the same number.
#[test]
fn the_tables_are_two() {
    let only = |number| [number].into();
    let codes = Config { fatal_close_codes: only(500), fatal_statuses: [].into(), ..config() };
    is_retried(&codes, http(500, None));
    let statuses = Config { fatal_close_codes: [].into(), fatal_statuses: only(1001), ..config() };
    is_retried(&statuses, peer(1001));
}

/// What the gateway may ask for does not matter where it says that it will never be.
#[test]
fn fatal_counts_before_a_wait_that_is_asked_for() {
    let config =
        Config { fatal_close_codes: [1013].into(), fatal_statuses: [429, 503].into(), ..config() };
    is_fatal(&config, peer(1013));
    is_fatal(&config, http(503, RetryAfter::Seconds(60)));
    is_fatal(&config, http(429, RetryAfter::UnixSeconds(u64::MAX)));
}

/// The table is about what the gateway says. Where nobody said anything, or where the verdict was
/// ours, another attempt may well help.
#[test]
fn only_what_the_gateway_says_is_fatal() {
    let config = Config { fatal_close_codes: (1000..=4999).collect(), ..config() };
    let violation = Violation::FrameTooLarge { bytes: 1 << 40 };
    for reason in [
        lost(),
        unreachable(),
        CloseReason::Resolve { text: "no such name".into() },
        CloseReason::Tls { text: "expired".into() },
        CloseReason::Proxy { status: Some(403), text: "p:3128".into() },
        CloseReason::Credentials { text: "locked".into() },
        CloseReason::Protocol { violation },
    ] {
        is_retried(&config, reason);
    }
    let mut host = Host::new(config);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let gone = disconnected(1, 1006, timeout(Stage::Connect), 16_000);
    host.at(15_000).timer().expect([abandon(1), gone, arm(16_000)]);
}

/// A Close frame without a code is said too.
#[test]
fn no_code_is_a_code() {
    is_fatal(&Config { fatal_close_codes: [1005].into(), ..config() }, peer(1005));
}

#[test]
fn an_open_connection_that_is_closed_for_good() {
    // The host saw the Close frame, and then the end;
    let mut host = Host::connected(quiet());
    host.at(10).closing(1, peer(1008)).expect([arm(5_010)]);
    host.at(11).closed(1, lost()).expect([
        disconnected(1, 1008, peer(1008), None),
        failed(0, FailReason::Fatal),
        disarm(),
    ]);
    // or only the end;
    let mut host = Host::connected(quiet());
    host.at(11)
        .closed(1, peer(1008))
        .expect([disconnected(1, 1008, peer(1008), None), failed(0, FailReason::Fatal)]);
    // or no end.
    let mut host = Host::connected(quiet());
    host.at(10).closing(1, peer(1008)).expect([arm(5_010)]);
    host.at(5_010).timer().expect([
        abandon(1),
        disconnected(1, 1008, peer(1008), None),
        failed(0, FailReason::Fatal),
    ]);
}

/// However long it held.
#[test]
fn a_stable_connection_that_is_closed_for_good() {
    let mut host = Host::connected(config());
    host.at(24_999).closed(1, peer(1008)).expect([
        disconnected(1, 1008, peer(1008), None),
        failed(0, FailReason::Fatal),
        disarm(),
    ]);
}

/// The reconnects before it are told.
#[test]
fn in_the_midst_of_a_budget() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([open(2), arm(16_000)]);
    host.at(1_000).closed(2, lost()).expect([disconnected(2, 1006, lost(), 3_000), arm(3_000)]);
    host.at(3_000).timer().expect([open(3), arm(18_000)]);
    host.at(3_010).closed(3, http(401, None)).expect([
        disconnected(3, 1006, http(401, None), None),
        failed(2, FailReason::Fatal),
        disarm(),
    ]);
}

/// A budget that is used up as well is not the reason.
#[test]
fn at_the_end_of_a_budget() {
    is_fatal(&Config { max_attempts: Some(0), ..config() }, http(401, None));
    is_fatal(&Config { max_elapsed: Some(Duration::ZERO), ..config() }, peer(1008));
}

/// It is the gateway's answer to our own Close frame, not its wish.
#[test]
fn a_code_in_a_handshake_that_we_began_is_not_fatal() {
    let mut host = Host::connected(quiet());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(11).closing(1, peer(1008)).expect([]);
    host.at(12)
        .closed(1, peer(1008))
        .expect([disconnected(1, 1008, CloseReason::Requested, None), disarm()]);
    assert_eq!(host.state(), State::Idle);

    // Nor where we want another connection by then.
    let mut host = Host::connected(quiet());
    host.at(10).disconnect().expect([close(1, 1000), arm(5_010)]);
    host.at(11).connect().expect([]);
    host.at(12).closing(1, peer(1008)).expect([]);
    host.at(13).closed(1, lost()).expect([
        disconnected(1, 1008, CloseReason::Requested, 13),
        open(2),
        arm(15_013),
    ]);
}

/// We failed the connection, with a Close frame; its answer does not turn that into another end.
#[test]
fn a_code_in_a_handshake_that_a_violation_began_is_not_fatal() {
    let reason = CloseReason::Protocol { violation: Violation::Masked };
    let mut host = Host::connected(quiet());
    host.at(10).closing(1, reason.clone()).expect([arm(5_010)]);
    host.at(11).closing(1, peer(1008)).expect([]);
    host.at(12).closed(1, peer(1008)).expect([disconnected(1, 1002, reason, 1_012), arm(1_012)]);
}

/// The first Close frame counts.
#[test]
fn a_second_code_is_not_fatal() {
    let mut host = Host::connected(quiet());
    host.at(10).closing(1, peer(1001)).expect([arm(5_010)]);
    host.at(11).closing(1, peer(1008)).expect([]);
    host.at(12)
        .closed(1, peer(1008))
        .expect([disconnected(1, 1001, peer(1001), 1_012), arm(1_012)]);
}

/// Nobody wanted another attempt: it is the end that was asked for.
#[test]
fn a_fatal_end_on_the_way_out_is_no_failure() {
    let mut host = Host::connected(quiet());
    host.at(10).closing(1, peer(1008)).expect([arm(5_010)]);
    host.at(11).disconnect().expect([]);
    host.at(12).closed(1, lost()).expect([disconnected(1, 1008, peer(1008), None), disarm()]);
    assert_eq!(host.state(), State::Idle);
}

/// What was not sent waits for the next `connect`.
#[test]
fn the_outbox_stays() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2)
        .closed(1, peer(1008))
        .expect([disconnected(1, 1008, peer(1008), None), failed(0, FailReason::Fatal)]);
    host.at(3).send("2").expect([]);
    assert_eq!(host.client().outbox_len(), 2);
    host.at(600).connect().expect([open(2), arm(15_600)]);
    host.at(601).opened(2).expect([send(2, 1, "1"), send(2, 2, "2"), connected(2), disarm()]);
}

#[test]
fn the_dead_stay_dead() {
    let mut host = is_fatal(&quiet(), peer(1008));
    host.opened(1).expect([]);
    host.text(1, "1").expect([]);
    host.closed(1, peer(1013)).expect([]);
    host.network(true).expect([]);
    host.network(false).expect([]);
    host.network(true).expect([]);
    assert!(matches!(host.state(), State::Failed { why: FailReason::Fatal, .. }));
}

/// An application that calls `connect` whenever it hears of a failure does not hammer the gateway.
#[test]
fn connect_after_it_respects_the_floor() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let mut now = 0;
    for conn in 1..=5 {
        host.at(now + 10).closed(conn, http(401, None)).expect([
            disconnected(conn, 1006, http(401, None), None),
            failed(0, FailReason::Fatal),
            disarm(),
        ]);
        host.at(now + 10).connect().expect([arm(now + 500)]);
        let after = Some(http(401, None));
        let until = Some(ms(now + 500));
        assert_eq!(host.state(), State::Waiting { until, attempt: 0, after, asked: None });
        // Once more does not bring it forward, nor put it off.
        host.at(now + 100).connect().expect([]);
        now += 500;
        host.at(now).timer().expect([open(conn + 1), arm(now + 15_000)]);
    }
}

#[test]
fn connect_after_the_floor_is_done_at_once() {
    let mut host = is_fatal(&config(), http(401, None));
    host.at(1_000_000).connect().expect([open(2), arm(1_015_000)]);

    // It counts from the attempt's begin, not from its end.
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(500).closed(1, http(401, None)).skip();
    host.at(500).connect().expect([open(2), arm(15_500)]);

    let mut host = Host::new(Config { min_connect_interval: Duration::ZERO, ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, http(401, None)).skip();
    host.at(0).connect().expect([open(2), arm(15_000)]);
}

#[test]
fn disconnect_within_the_floor() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(10).closed(1, http(401, None)).skip();
    host.at(20).connect().expect([arm(500)]);
    host.at(30).disconnect().expect([disarm()]);
    assert_eq!(host.state(), State::Idle);
    host.at(500).timer().expect([]);
}

#[test]
fn connect_after_it_has_a_full_budget() {
    let mut host = Host::new(Config { max_attempts: Some(1), ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_000), arm(1_000)]);
    host.at(1_000).timer().expect([open(2), arm(16_000)]);
    host.at(1_010).closed(2, http(401, None)).expect([
        disconnected(2, 1006, http(401, None), None),
        failed(1, FailReason::Fatal),
        disarm(),
    ]);
    host.at(2_000).connect().expect([open(3), arm(17_000)]);
    host.at(2_000).closed(3, lost()).expect([disconnected(3, 1006, lost(), 3_000), arm(3_000)]);
    host.at(3_000).timer().expect([open(4), arm(18_000)]);
    host.at(3_000).closed(4, lost()).expect([
        disconnected(4, 1006, lost(), None),
        failed(1, FailReason::Attempts),
        disarm(),
    ]);
}

/// What is fatal was said by somebody who can be reached.
#[test]
fn while_offline_it_is_as_fatal() {
    let mut host = Host::new(config());
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).network(false).expect([]);
    host.at(2).closed(1, http(403, None)).expect([
        disconnected(1, 1006, http(403, None), None),
        failed(0, FailReason::Fatal),
        disarm(),
    ]);
    host.at(3).network(true).expect([]);
}

/// The shutdown ends with it, and says what is left.
#[test]
fn during_a_shutdown() {
    let mut host = Host::connected(quiet());
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(2).shutdown(10_000).expect([ping(1, 2), arm(10_002)]);
    host.at(3).closed(1, peer(1008)).expect([
        disconnected(1, 1008, peer(1008), None),
        failed(0, FailReason::Fatal),
        shut_down(0, 0, 1),
        disarm(),
    ]);
    assert!(matches!(host.state(), State::Failed { .. }));
    assert_eq!(host.client().outbox_len(), 1);
}

/// What the outbox drops because of it comes in between: the failure is the last word.
#[test]
fn volatile_messages_go_first() {
    let mut host = Host::connected(quiet());
    host.at(1).send_message(json("1").volatile()).expect([send(1, 1, "1")]);
    host.at(2).closed(1, peer(1008)).expect([
        given_up(1, "1", DropReason::ConnectionLost),
        disconnected(1, 1008, peer(1008), None),
        failed(0, FailReason::Fatal),
    ]);
}

#[test]
fn for_people() {
    let texts =
        [FailReason::Attempts, FailReason::Elapsed, FailReason::Fatal].map(|why| why.to_string());
    assert_eq!(
        texts,
        ["max_attempts are used up", "max_elapsed is used up", "a retry would not help"]
    );
    assert_eq!(Event::Failed { attempts: 0, why: FailReason::Fatal }.name(), "ws-failed");
}
