//! Histories of an endpoint and its host, drawn from a seed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermes_proto::trace::{Header, Level, Recorder};
use hermes_proto::{
    Actions, CloseReason, Config, ConnId, Delivery, Endpoint, Input, Jitter, Outgoing,
    OverflowPolicy, Start, Timestamp, Transmit,
};

/// Steps of a history.
const STEPS: usize = 300;

/// The recording of a history: its inputs, and what the endpoint did.
pub(crate) fn generate(seed: u64) -> String {
    let mut history = History::new(seed);
    for _ in 0..STEPS {
        history.step();
    }
    history.out
}

struct History {
    rng: Rng,
    now: Timestamp,
    endpoint: Endpoint,
    recorder: Recorder,
    out: String,
    /// Messages that the application sent.
    sent: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let config = draw_config(&mut rng);
        let start = || Start::new([seed as u8; 32], 1_700_000_000_000);
        let endpoint = Endpoint::new(config.clone(), start()).expect("the settings are fine");
        let header = Header::new(Level::Bytes, config, start());
        let recorder = Recorder::new(header).expect("the settings are fine");
        let mut out = String::new();
        recorder.header(&mut out);
        History { rng, now: Timestamp::ZERO, endpoint, recorder, out, sent: 0 }
    }

    fn step(&mut self) {
        self.now = self.now + Duration::from_micros(self.rng.below(400_000));
        let conn = self.endpoint.client().conn().unwrap_or(ConnId(0));
        match self.rng.below(24) {
            0 | 1 => self.input(Input::Connect),
            2 => self.input(Input::Closed { conn, reason: CloseReason::lost() }),
            3 => self.wait(),
            4..7 => self.open(conn),
            7..12 => self.send(),
            12..18 => self.take(),
            18 if self.rng.below(8) == 0 => self.input(Input::Disconnect),
            19 => {
                let online = self.rng.below(4) > 0;
                self.input(Input::NetworkChanged { online });
            }
            _ => self.receive(conn),
        }
    }

    fn input(&mut self, input: Input<&[u8]>) {
        let mut actions = Actions::new();
        self.recorder.endpoint_input(self.now, &input, &mut self.out);
        self.endpoint.handle(self.now, input, &mut actions);
        self.record(&actions);
    }

    fn record(&mut self, actions: &Actions<Transmit>) {
        self.recorder.endpoint_actions(self.now, &self.endpoint, actions, &mut self.out);
    }

    fn wait(&mut self) {
        self.now = self.endpoint.deadline().map_or(self.now, |due| due.max(self.now));
        self.input(Input::TimerFired);
    }

    /// The transport is up, and the gateway answers the request.
    fn open(&mut self, conn: ConnId) {
        self.input(Input::Opened { conn });
        let request = String::from_utf8_lossy(self.endpoint.transmit()).into_owned();
        let Some(key) = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        else {
            return;
        };
        let key = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = BASE64.encode(sha1_smol::Sha1::from(key).digest().bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.transmitted(request.len());
        self.input(Input::Received { conn, payload: answer.as_bytes() });
    }

    fn send(&mut self) {
        let length = self.rng.below(200) as usize;
        self.sent += 1;
        let message = match self.rng.below(4) {
            0 => Outgoing::binary(self.rng.bytes(length)),
            1 => Outgoing::text("größer ".repeat(length / 8)).volatile(),
            2 => {
                Outgoing::text(format!("{{\"n\":{}}}", self.sent)).with_ttl(Duration::from_secs(2))
            }
            _ => Outgoing::from_json(format!("{{\"type\":\"chat\",\"n\":{}}}", self.sent))
                .expect("it is JSON"),
        };
        self.input(Input::Send(message));
    }

    fn take(&mut self) {
        let waiting = self.endpoint.transmit().len();
        let count = self.rng.below(2 * waiting as u64 + 1) as usize;
        self.transmitted(count.min(waiting));
    }

    fn transmitted(&mut self, count: usize) {
        let mut actions = Actions::new();
        self.out.push_str(&format!("transmitted {count}\n"));
        self.endpoint.transmitted(self.now, count, &mut actions);
        self.record(&actions);
    }

    /// Bytes from the gateway: frames, whole or cut, and seldom noise.
    fn receive(&mut self, conn: ConnId) {
        let length = self.rng.below(300) as usize;
        let mut bytes = match self.rng.below(8) {
            0 => frame(0x89, &self.rng.bytes(length.min(125))),
            1 => frame(0x82, &self.rng.bytes(length)),
            2 => frame(0x81, br#"{"type":"session-init","token":"t0k","clientId":"c1"}"#),
            // The answer to the latest Ping has its payload: a number of the client's.
            3..6 => frame(0x8A, &self.rng.bytes(8)),
            6 => frame(0x81, format!(r#"{{"type":"chat","n":{length}}}"#).as_bytes()),
            _ if self.rng.below(6) == 0 => self.rng.bytes(length),
            _ => frame(0x81, "ü".repeat(length).as_bytes()),
        };
        if self.rng.below(10) == 0 {
            let cut = self.rng.below(bytes.len() as u64 + 1) as usize;
            bytes.truncate(cut);
        }
        self.input(Input::Received { conn, payload: &bytes });
    }
}

/// Settings that make much happen, and limits that only 64 bits can hold.
fn draw_config(rng: &mut Rng) -> Config {
    Config {
        max_attempts: None,
        jitter: [Jitter::None, Jitter::Full, Jitter::Decorrelated][rng.below(3) as usize],
        heartbeat_interval: Some(Duration::from_millis(500)),
        delivery: [Delivery::AtLeastOnce, Delivery::AtMostOnce][rng.below(2) as usize],
        overflow: [OverflowPolicy::Refuse, OverflowPolicy::DropOldest][rng.below(2) as usize],
        outbox_max_messages: [5_000_000_000, 20][rng.below(2) as usize],
        outbox_max_bytes: [5_000_000_000, 2_000][rng.below(2) as usize],
        unflushed_max_bytes: [u64::MAX, 500][rng.below(2) as usize],
        max_frame_bytes: [u64::MAX, 1_000][rng.below(2) as usize],
        max_message_bytes: [u64::MAX, 400][rng.below(2) as usize],
        ..Config::new("ws://127.0.0.1/")
    }
}

/// A frame of the gateway, which masks none.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from([first]);
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => bytes.push(length),
        _ => {
            bytes.push(126);
            bytes.extend((payload.len() as u16).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
