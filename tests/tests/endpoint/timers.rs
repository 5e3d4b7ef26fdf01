//! Time: heartbeats over bytes, timeouts, and timers that come early, late, twice or never.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Event, FailReason, Input, State,
    Timestamp, Transmit,
};
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;
use hermes_tests::{config, json, lost, ms, quiet, start, timeout};

/// A heartbeat's frame: a header, a key, and 16 bytes that name it.
const BEAT: usize = 22;

fn dead(at: u64) -> Asks {
    let gone = disconnected(1, 1006, timeout(Stage::Heartbeat), at + 1_000);
    vec![abandon(1), gone, arm(at + 1_000)]
}

#[test]
fn silence_is_asked_after_and_then_the_end() {
    let mut harness = Harness::connected(config());
    let end = harness.request.len();
    assert_eq!(harness.at(25_000).timer(), [send(1, end + BEAT), arm(35_000)]);
    let name = [1_u64.to_be_bytes(), 0_u64.to_be_bytes()].concat();
    assert_eq!(harness.frames(), [Sent::Ping(name)]);
    harness.take(usize::MAX);
    assert_eq!(harness.at(34_999).timer(), [arm(35_000)]);
    // A connection that was up for more than 5 s starts with a full budget.
    assert_eq!(harness.at(35_000).timer(), dead(35_000));
}

/// Even part of a frame, even one that nobody reads to its end.
#[test]
fn any_byte_is_a_sign_of_life() {
    for bytes in [
        pong("anything"),
        text("{}"),
        vec![FIN | TEXT],
        vec![FIN | TEXT, 126],
        vec![FIN | TEXT, 5, b'h'],
        frame(TEXT, ""),
    ] {
        let mut harness = Harness::connected(config());
        harness.at(20_000).receive(&bytes);
        assert_eq!(harness.at(25_000).timer(), [arm(45_000)], "{bytes:?} was heard 20 s in");
        let asked = harness.at(45_000).timer();
        assert_eq!(asked.last(), Some(&arm(55_000)));
        // After the question, too.
        assert_eq!(harness.at(54_999).receive(b"x"), [arm(79_999)], "{bytes:?}");
    }
}

/// "A connection without a single byte is declared dead" (`Config::heartbeat_timeout`), and a read
/// of nothing has none.
#[test]
fn no_byte_is_no_sign_of_life() {
    let mut harness = Harness::connected(config());
    assert_eq!(harness.at(20_000).receive(b""), []);
    let asked = harness.at(25_000).timer();
    assert_eq!(asked.last(), Some(&arm(35_000)));
    assert_eq!(harness.at(30_000).receive(b""), []);
    assert_eq!(harness.at(35_000).timer(), dead(35_000));
}

/// Writing is no sign of life: the operating system takes bytes for a host that is gone.
#[test]
fn what_leaves_is_no_sign_of_life() {
    let mut harness = Harness::connected(config());
    for at in (1_000..36_000).step_by(1_000) {
        harness.at(at).send("1");
        harness.take(usize::MAX);
    }
    // The Ping was sent at 25 s, and left with the message of 26 s.
    let mut actions = harness.at(36_000).timer();
    assert!(matches!(actions.remove(1), Action::Emit(Event::InDoubt { .. })));
    assert_eq!(actions[..2], dead(36_000)[..2]);
}

#[test]
fn a_busy_connection_is_never_asked() {
    let mut harness = Harness::connected(config());
    for at in (0..200_000).step_by(10_000) {
        harness.at(at).receive(frame(TEXT | FIN, "{}"));
        while harness.endpoint.deadline().is_some_and(|due| due <= ms(at + 9_999)) {
            harness.wait();
        }
    }
    assert_eq!(harness.frames(), []);
}

/// A flood whose bytes come in time has no bearing on the timer: one is armed, once.
#[test]
fn a_flood_arms_no_timers() {
    let mut harness = Harness::connected(config());
    for at in 1..20_000 {
        assert_eq!(harness.at(at).receive(pong("")), []);
    }
}

#[test]
fn without_a_heartbeat_there_is_no_timer() {
    let mut harness = Harness::connected(quiet());
    assert_eq!(harness.endpoint.deadline(), None);
    assert_eq!(harness.at(1 << 40).receive(pong("")), []);
    assert_eq!(harness.timer(), []);
}

/// The upgrade is no conversation yet: it has a timeout of its own.
#[test]
fn heartbeats_begin_with_the_connection() {
    let config = Config {
        heartbeat_interval: Some(Duration::from_millis(10)),
        upgrade_timeout: Duration::from_secs(100),
        ..config()
    };
    let mut harness = Harness::new(config);
    harness.connect();
    harness.at(0).opened(1);
    assert_eq!(harness.take(usize::MAX), []);
    assert_eq!(harness.at(50_000).timer(), [arm(100_000)]);
    assert_eq!(harness.at(60_000).upgrade(), [connected(1), arm(60_010)]);
}

#[test]
fn timers_may_come_early_late_twice_or_never() {
    // Early and twice.
    let mut harness = Harness::connected(config());
    for _ in 0..3 {
        assert_eq!(harness.at(10_000).timer(), [arm(25_000)]);
    }
    // Never: any report about the connection does the work, and a command does not. Here the
    // heartbeat is long overdue, and one Ping is sent.
    let end = harness.request.len() + 7;
    assert_eq!(harness.at(100_000).send("1"), [send(1, end)]);
    let end = end + BEAT;
    assert_eq!(harness.take(0), [send(1, end), arm(110_000)]);
    // Late: only the time that a machine sees passes for it.
    let mut slept = harness.clone();
    assert_eq!(harness.at(114_999).timer(), dead(114_999));
    assert_eq!(harness.at(115_500).timer(), [arm(115_999)]);
    assert_eq!(harness.at(900_000).timer(), [open(2), arm(915_000)]);
    // So late that it must have slept, it asks again before it says so. The Ping has not left yet.
    assert_eq!(slept.at(500_000).timer(), [arm(510_000)]);
    slept.take(usize::MAX);
    let end = end + BEAT;
    assert_eq!(slept.at(600_000).timer(), [send(1, end), arm(610_000)]);
    slept.take(usize::MAX);
    let mut actions = slept.at(610_000).timer();
    assert!(matches!(actions.remove(1), Action::Emit(Event::InDoubt { .. })));
    assert_eq!(actions[..2], dead(610_000)[..2]);
}

/// "Due work runs with every input from the transport or the timer. A command never judges a
/// connection" (the contract, 4).
#[test]
fn every_report_does_what_is_due_and_no_command_does() {
    let conn = ConnId(1);
    let commands = || vec![Input::Connect, Input::Send(json("1")), Input::ClearSession];
    for command in commands() {
        let mut harness = Harness::connected(config());
        harness.endpoint.handle(ms(26_000), command.clone(), &mut Actions::new());
        assert_eq!(harness.endpoint.deadline(), Some(ms(25_000)), "{command:?}");
        let mut harness = Harness::new(config());
        harness.connect();
        harness.opened(1);
        harness.endpoint.handle(ms(10_000), command.clone(), &mut Actions::new());
        let client = harness.endpoint.client();
        assert!(matches!(client.state(), State::Connecting { .. }), "{command:?}");
    }
    let inputs = || {
        vec![
            Input::TimerFired,
            Input::Flushed { conn, up_to: 0 },
            Input::Opened { conn },
            Input::Closing { conn, reason: lost() },
        ]
    };
    for input in inputs() {
        let mut harness = Harness::connected(config());
        harness.endpoint.handle(ms(26_000), input.clone(), &mut Actions::new());
        assert_eq!(harness.endpoint.deadline(), Some(ms(36_000)), "{input:?}");
    }
    // The same, on the way to a connection.
    for input in inputs() {
        let mut harness = Harness::new(config());
        harness.connect();
        harness.opened(1);
        harness.endpoint.handle(ms(10_000), input.clone(), &mut Actions::new());
        let client = harness.endpoint.client();
        assert!(matches!(client.state(), State::Waiting { .. }), "{input:?}: {:?}", client.state());
    }
}

#[test]
fn time_does_not_run_backwards() {
    let mut harness = Harness::new(config());
    harness.at(10_000).connect();
    assert_eq!(harness.at(3_000).opened(1), [send(1, harness.request.len()), arm(20_000)]);
    harness.at(0).take(usize::MAX);
    assert_eq!(harness.at(5_000).upgrade(), [connected(1), arm(35_000)]);
    assert_eq!(harness.at(1_000).receive(pong("")), []);
    assert_eq!(harness.at(35_000).timer().last(), Some(&arm(45_000)));
}

/// The end of time is far, and nothing breaks there.
#[test]
fn the_end_of_time() {
    let end = Timestamp::from_micros(u64::MAX);
    let mut endpoint = Endpoint::new(config(), start()).expect("the settings are fine");
    let mut out: Actions<Transmit> = Actions::new();
    endpoint.connect(end, &mut out);
    for input in [
        Input::TimerFired,
        Input::Opened { conn: ConnId(1) },
        Input::Received { conn: ConnId(1), payload: &b"HTTP/1.1 503 X\r\n\r\n"[..] },
        Input::TimerFired,
        Input::Disconnect,
    ] {
        endpoint.handle(end, input, &mut out);
    }
    assert_eq!(endpoint.client().state(), State::Idle);
}

/// A gateway that accepts and then breaks the rules every time is left alone more and more.
#[test]
fn a_gateway_that_breaks_rules_is_not_hammered() {
    let mut harness = Harness::new(quiet());
    harness.connect();
    let mut waits = Vec::new();
    for _ in 0..20 {
        harness.establish();
        harness.receive([0x83, 0]);
        harness.closed(lost());
        let State::Waiting { until: Some(until), .. } = harness.endpoint.client().state() else {
            break;
        };
        waits.push((until - harness.now).as_secs());
        harness.wait();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
    let state = harness.endpoint.client().state();
    assert!(
        matches!(state, State::Failed { attempts: 10, why: FailReason::Attempts, .. }),
        "{state:?}"
    );
}

#[test]
fn a_wait_of_its_own_for_each_stage() {
    let config = Config {
        connect_timeout: Duration::from_millis(10),
        upgrade_timeout: Duration::from_millis(20),
        close_timeout: Duration::from_millis(30),
        heartbeat_interval: Some(Duration::from_millis(40)),
        heartbeat_timeout: Duration::from_millis(50),
        backoff_base: Duration::from_millis(60),
        ..config()
    };
    let mut harness = Harness::new(config);
    assert_eq!(harness.at(0).connect(), [open(1), arm(10)]);
    let mut other = harness.clone();
    let gone = |conn, stage, at| disconnected(conn, 1006, timeout(stage), at);
    assert_eq!(other.at(10).timer(), [abandon(1), gone(1, Stage::Connect, 70), arm(70)]);

    assert_eq!(harness.at(9).opened(1)[1], arm(29));
    let mut other = harness.clone();
    assert_eq!(other.at(29).timer(), [abandon(1), gone(1, Stage::Upgrade, 89), arm(89)]);

    harness.take(usize::MAX);
    assert_eq!(harness.at(28).upgrade(), [connected(1), arm(68)]);
    let mut other = harness.clone();
    assert_eq!(other.at(68).timer()[1], arm(118));
    assert_eq!(other.at(118).timer(), [abandon(1), gone(1, Stage::Heartbeat, 178), arm(178)]);

    assert_eq!(harness.at(30).disconnect()[1], arm(60));
    let gone = disconnected(1, 1006, CloseReason::Requested, None);
    assert_eq!(harness.at(60).timer(), [abandon(1), gone]);
}
