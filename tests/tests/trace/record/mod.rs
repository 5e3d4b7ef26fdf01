//! Recordings replay to the byte, at both levels, with and without their secrets.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.

mod bytes;
mod frames;
mod secrets;

use std::collections::BTreeSet;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hermes_proto::reason::RetryAfter;
use hermes_proto::trace::{Checker, Header, Level, Recorder};
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Credentials, Delivery, Endpoint, Event,
    Frame, Input, Outgoing, Receipts, ResumeMode, Session, Start, Timestamp, Transmit, reason,
};
use hermes_tests::ws::{reply_to, text};
use hermes_tests::{json, pong, redirect};

const SECRETS: [&str; 7] = [
    "s3cret-token",
    "s3cret-query",
    "s3cret-flag",
    "s3cret-header",
    "s3cret-cookie",
    "s3cret-fresh",
    "s3cret-other",
];

fn config() -> Config {
    Config {
        headers: vec![("Authorization".into(), "Bearer s3cret-header".into())],
        receipts: Receipts::Written,
        ..Config::new("ws://gateway.example/ws?key=s3cret-query&s3cret-flag&v=1")
    }
}

fn start() -> Start {
    let session = Session {
        token: "s3cret-token-0".into(),
        client_id: Some("c".into()),
        saved_at: 1,
        origin: None,
    };
    Start { session: Some(session), ..Start::new([3; 32], 1_700_000_000_000) }
}

/// With all that a host can be asked for, and told.
fn talkative() -> Config {
    Config {
        ask_credentials: true,
        max_redirects: 1,
        fallback_urls: vec!["ws://b.example/ws?key=s3cret-other".into()],
        delivery: Delivery::AtLeastOnce,
        receipts: Receipts::Acknowledged,
        resume: ResumeMode::Wait,
        max_resume_failures: Some(1),
        outbox_max_bytes: 1_000,
        ..config()
    }
}

/// What opens the door, and a session in place of the saved one.
fn credentials() -> Credentials {
    Credentials {
        headers: vec![("X-Fresh".into(), "s3cret-fresh".into())],
        token: Some("s3cret-token-1".into()),
    }
}

fn recorder(level: Level, redact: bool) -> Recorder {
    recorder_of(config(), level, redact)
}

fn recorder_of(config: Config, level: Level, redact: bool) -> Recorder {
    let header = Header::new(level, config, start());
    if redact { Recorder::redacted(header).unwrap() } else { Recorder::new(header).unwrap() }
}

/// Checks that a recording replays, and how many actions it has.
fn replays(recording: &str) -> u64 {
    let mut checker = Checker::new();
    for line in recording.lines() {
        checker.feed(line).unwrap_or_else(|error| panic!("{error}\n{recording}"));
    }
    checker.finish().unwrap_or_else(|error| panic!("{error}\n{recording}"))
}

/// A client whose inputs and actions are recorded.
struct RecordedClient {
    client: Client,
    recorder: Recorder,
    trace: String,
}

impl RecordedClient {
    fn new(config: Config, redact: bool) -> Self {
        let recorder = recorder_of(config.clone(), Level::Frames, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        RecordedClient { client: Client::new(config, start()).unwrap(), recorder, trace }
    }

    fn handle(&mut self, now: Timestamp, input: Input<Frame>) -> Actions {
        let mut actions = Actions::new();
        self.recorder.client_input(now, &input, &mut self.trace);
        self.client.handle(now, input, &mut actions);
        self.recorder.client_actions(now, &actions, &mut self.trace);
        actions
    }
}

/// An endpoint whose inputs and actions are recorded.
struct RecordedEndpoint {
    endpoint: Endpoint,
    recorder: Recorder,
    trace: String,
}

impl RecordedEndpoint {
    fn new(config: Config, redact: bool) -> Self {
        let recorder = recorder_of(config.clone(), Level::Bytes, redact);
        let mut trace = String::new();
        recorder.header(&mut trace);
        RecordedEndpoint { endpoint: Endpoint::new(config, start()).unwrap(), recorder, trace }
    }

    fn handle(&mut self, now: Timestamp, input: Input<&[u8]>) -> Actions<Transmit> {
        let mut actions = Actions::new();
        self.recorder.endpoint_input(now, &input, &mut self.trace);
        self.endpoint.handle(now, input, &mut actions);
        self.recorder.endpoint_actions(now, &self.endpoint, &actions, &mut self.trace);
        actions
    }
}

/// All secrets are in the one and none in the other, base64 and masks looked through.
fn withholds(plain: &str, redacted: &str) {
    use base64::Engine as _;
    let readable = |trace: &str| {
        let mut readable = trace.to_string();
        let mut joined = Vec::new();
        for line in trace.lines() {
            // A number may be too large for a `Value`; such a line has no data.
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let data = line.get("data").and_then(|data| data.as_str()).unwrap_or_default();
            if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(data) {
                // Sent frames, unmasked where the masks are: a short frame per line will do.
                if let [0x81, length, key @ ..] = &bytes[..]
                    && line.get("out").is_some()
                    && *length < 0xFE
                {
                    let (key, payload) = key.split_at(4);
                    let payload = payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k);
                    readable.push_str(&String::from_utf8_lossy(&payload.collect::<Vec<_>>()));
                }
                if line.get("in").is_some() {
                    joined.extend_from_slice(&bytes);
                } else {
                    readable.push_str(&String::from_utf8_lossy(&bytes));
                }
            }
        }
        readable.push_str(&String::from_utf8_lossy(&joined));
        readable
    };
    let (plain, redacted) = (readable(plain), readable(redacted));
    assert!(plain.contains("s3cret-token") && plain.contains("s3cret-query"));
    for secret in SECRETS {
        assert!(!redacted.contains(secret), "{secret} in {redacted}");
    }
}
