//! Whatever a recorder writes, a checker reads: any settings, any inputs, at any time.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.

use std::time::Duration;

use hermes_proto::trace::{Checker, Header, Level, Recorder};
use hermes_proto::{
    Actions, Client, CloseReason, Config, ConnId, Credentials, Endpoint, Frame, Input, Jitter,
    Outgoing, Session, Start, Timestamp,
};
use hermes_tests::Rng;

/// Durations at which rounding and clamping differ.
const DURATIONS: [Duration; 14] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_nanos(999),
    Duration::from_nanos(1_500),
    Duration::from_nanos(1_000_700),
    Duration::from_nanos(83_000_400),
    Duration::from_millis(1),
    Duration::from_millis(250),
    Duration::from_secs(30),
    Duration::from_millis(1_000_000_000_000),
    Duration::from_millis(1_000_000_000_001),
    Duration::from_micros(u64::MAX),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

const TEXTS: [&str; 11] = [
    "{\"a\":{\"id\":1}}",
    "null",
    "1e999",
    "-0.0",
    "[]",
    " {\"type\":\n\"chat\"} ",
    "{\"type\":\"chat\",\"text\":\"\\ud800 \u{2028}\"}",
    "{\"type\":\"session-init\",\"token\":null,\"clientId\":7}",
    "{\"type\":\"session-init\",\"token\":\"t\",\"clientId\":\"c\"}",
    "not JSON",
    "",
];

fn config(rng: &mut Rng) -> Config {
    let mut duration = || *rng.pick(&DURATIONS);
    let mut config = Config {
        backoff_base: duration(),
        backoff_cap: duration(),
        stable_after: duration(),
        min_connect_interval: duration(),
        max_retry_after: duration(),
        credentials_timeout: duration(),
        connect_timeout: duration(),
        upgrade_timeout: duration(),
        close_timeout: duration(),
        heartbeat_timeout: duration(),
        suspend_threshold: duration(),
        resume_timeout: duration(),
        max_elapsed: Some(duration()),
        heartbeat_interval: Some(duration()),
        message_ttl: Some(duration()),
        session_max_age: Some(duration()),
        close_delays: [(1013, duration())].into(),
        ..Config::new("ws://gateway.example/ws")
    };
    config.jitter = *rng.pick(&[Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated]);
    config.ask_credentials = rng.chance(20);
    config.message_id_member = rng.chance(50).then(|| "id".into());
    // What is left out is its default, which may be needed for the others to be valid.
    let default = Config::default();
    for field in [
        &mut config.backoff_base,
        &mut config.credentials_timeout,
        &mut config.connect_timeout,
        &mut config.upgrade_timeout,
        &mut config.close_timeout,
        &mut config.heartbeat_timeout,
        &mut config.suspend_threshold,
        &mut config.resume_timeout,
    ] {
        *field = (*field).max(Duration::from_millis(1));
    }
    config.heartbeat_interval = config.heartbeat_interval.map(|d| d.max(default.backoff_base));
    config.backoff_cap = config.backoff_cap.max(config.backoff_base);
    config
}

fn message(rng: &mut Rng) -> Outgoing {
    let text = *rng.pick(&TEXTS);
    let message = match rng.below(3) {
        0 => Outgoing::binary(rng.bytes(3)),
        1 => Outgoing::text(text),
        _ => Outgoing::from_json(text).unwrap_or_else(|_| Outgoing::text(text)),
    };
    let message = if rng.chance(30) { message.with_ttl(*rng.pick(&DURATIONS)) } else { message };
    if rng.chance(20) { message.volatile() } else { message }
}

fn session(token: &str, origin: Option<&str>) -> Session {
    let (token, origin) = (token.into(), origin.map(String::from));
    Session { token, client_id: None, saved_at: 7, origin }
}

fn start() -> Start {
    Start::new([7; 32], 1_700_000_000_000)
}

/// An input that needs no payload, or `None` for one that does.
fn plain<P>(rng: &mut Rng, conn: ConnId) -> Option<Input<P>> {
    let reasons = [CloseReason::lost(), CloseReason::Peer { code: 1013, text: "later".into() }];
    Some(match rng.below(25) {
        0..4 => Input::Connect,
        4 => Input::Disconnect,
        5 => Input::Shutdown { within: *rng.pick(&DURATIONS) },
        6..9 => Input::Send(message(rng)),
        9 => Input::NetworkChanged { online: rng.chance(70) },
        10 => Input::ClearSession,
        11 => Input::ClearOutbox,
        12 => Input::Credentials { conn, credentials: Credentials::default() },
        13..17 => Input::Opened { conn },
        17 => Input::Closed { conn, reason: rng.pick(&reasons).clone() },
        18 => Input::Postponed { conn },
        19 => Input::Flushed { conn, up_to: *rng.pick(&[0, 1, 3, 1_000, u64::MAX]) },
        20..22 => Input::TimerFired,
        22 => Input::SetSession(session("t\u{e9}", Some("ws://other"))),
        _ => return None,
    })
}

/// Later, by a little or a lot.
fn later(rng: &mut Rng, now: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
    let most = if rng.chance(2) { 14 } else { 9 };
    match deadline {
        Some(deadline) if rng.chance(40) => deadline.max(now),
        _ => now + *rng.pick(&DURATIONS[..most]),
    }
}

#[track_caller]
fn replays(recording: &str) {
    let mut checker = Checker::new();
    for line in recording.lines() {
        checker.feed(line).unwrap_or_else(|error| panic!("{error}\n{recording}"));
    }
    checker.finish().unwrap_or_else(|error| panic!("{error}\n{recording}"));
}

#[test]
fn what_a_recorder_writes_a_checker_reads_at_level_frames() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let config = config(&mut rng);
        let mut client = Client::new(config.clone(), start()).unwrap();
        let header = Header::new(Level::Frames, config, start());
        let redacts = rng.chance(50);
        let mut recorder =
            if redacts { Recorder::redacted(header) } else { Recorder::new(header) }.unwrap();
        let (mut trace, mut now) = (String::new(), Timestamp::ZERO);
        recorder.header(&mut trace);
        for _ in 0..40 {
            now = later(&mut rng, now, client.deadline());
            let conn = client.conn().unwrap_or(ConnId(1));
            let input = plain(&mut rng, conn).unwrap_or_else(|| Input::Received {
                conn,
                payload: match rng.below(4) {
                    0 => Frame::Binary(rng.bytes(5).into()),
                    1 => Frame::Pong(rng.bytes(16).into()),
                    2 => Frame::Ping(rng.bytes(2).into()),
                    _ => Frame::Text((*rng.pick(&TEXTS)).into()),
                },
            });
            let mut actions = Actions::new();
            recorder.client_input(now, &input, &mut trace);
            client.handle(now, input, &mut actions);
            recorder.client_actions(now, &actions, &mut trace);
        }
        replays(&trace);
    }
}

#[test]
fn what_a_recorder_writes_a_checker_reads_at_level_bytes() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let config = config(&mut rng);
        let mut endpoint = Endpoint::new(config.clone(), start()).unwrap();
        let header = Header::new(Level::Bytes, config, start());
        let redacts = rng.chance(50);
        let mut recorder =
            if redacts { Recorder::redacted(header) } else { Recorder::new(header) }.unwrap();
        let (mut trace, mut now) = (String::new(), Timestamp::ZERO);
        recorder.header(&mut trace);
        for _ in 0..40 {
            now = later(&mut rng, now, endpoint.deadline());
            let conn = endpoint.client().conn().unwrap_or(ConnId(1));
            let request = endpoint.transmit().to_vec();
            let bytes = match rng.below(3) {
                0 if request.ends_with(b"\r\n\r\n") => hermes_tests::ws::reply_to(&request),
                1 => hermes_tests::ws::text(*rng.pick(&TEXTS)),
                _ => rng.bytes(9),
            };
            let input = plain(&mut rng, conn)
                .unwrap_or_else(|| Input::Received { conn, payload: &bytes[..] });
            let mut actions = Actions::new();
            recorder.endpoint_input(now, &input, &mut trace);
            endpoint.handle(now, input, &mut actions);
            recorder.endpoint_actions(now, &endpoint, &actions, &mut trace);
        }
        replays(&trace);
    }
}
