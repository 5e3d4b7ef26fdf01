//! What happens, as bytes: settings first, and then one verb after the other.

use std::time::Duration;

use hermes_proto::reason::{RetryAfter, Stage, Violation};
use hermes_proto::trace::{Header, Level, Recorder};
use hermes_proto::{
    CloseReason, Config, Credentials, Delivery, Frame, Jitter, OverflowPolicy, PlaintextPolicy,
    Receipts, ResumeMode, Timestamp,
};

use super::byte_source::ByteSource;
use crate::Rng;
use crate::dsl::actions::{UNIX_MS, URL, http, lost, peer, redirect};
use crate::model::sim_host::{Conn, Op, Report, Setup, StoreReport, TOKEN};

/// How many bytes the settings take. With zeros a client is an obliging one, with short waits and
/// tight bounds: all that there is to happen happens soon.
pub const SETTINGS: usize = 40;

/// The latest time that a trace can have.
pub(super) const RECORDED: Timestamp = Timestamp::from_millis(4_000_000_000_000);

/// Whether a history is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recording {
    None,
    Whole,
    Redacted,
}

impl Recording {
    /// A recorder, if there is to be one.
    pub(super) fn recorder(self, level: Level, begin: &Setup) -> Option<Recorder> {
        let header = Header::new(level, begin.config.clone(), begin.start());
        let recorder = match self {
            Recording::None => return None,
            Recording::Whole => Recorder::new(header),
            Recording::Redacted => Recorder::redacted(header),
        };
        Some(recorder.expect("the settings are fine"))
    }
}

/// The settings, off the front of a history.
pub(super) fn begin(source: &mut ByteSource<'_>) -> (Setup, Recording) {
    let source = &mut ByteSource::new(source.bytes(SETTINGS));
    let fallbacks = source.pick(&[&[][..], &["ws://b.test/"], &["wss://other.test/", URL]]);
    let backoff = millis(source.pick(&[100, 1, 1_000, 2_000]));
    let can_ping = !source.bit();
    let delivery = source.pick(&[Delivery::AtMostOnce, Delivery::AtLeastOnce]);
    let receipts = source.pick(&[Receipts::None, Receipts::Written, Receipts::Acknowledged]);
    let mut config = Config {
        fallback_urls: fallbacks.iter().map(|&url| url.into()).collect(),
        ask_credentials: source.bit(),
        backoff_base: backoff,
        backoff_cap: backoff * source.pick(&[4, 1, 30]),
        max_attempts: source.pick(&[Some(3), None, Some(0), Some(1)]),
        max_elapsed: source.pick(&[None, Some(0), Some(3_000), Some(20_000)]).map(millis),
        jitter: source.pick(&[Jitter::None, Jitter::Equal, Jitter::Full, Jitter::Decorrelated]),
        stable_after: millis(source.pick(&[1_000, 0, 3_000])),
        min_connect_interval: millis(source.pick(&[500, 0, 1_500])),
        max_retry_after: millis(source.pick(&[3_000, 0, 500])),
        close_delays: source
            .pick(&[None, Some(0), Some(4_000)])
            .map(|delay| (1013, millis(delay)))
            .into_iter()
            .collect(),
        credentials_timeout: millis(source.pick(&[1_000, 1, 3_000])),
        connect_timeout: millis(source.pick(&[1_000, 1, 3_000])),
        upgrade_timeout: millis(source.pick(&[1_000, 1, 3_000])),
        close_timeout: millis(source.pick(&[1_000, 1, 3_000])),
        resume_timeout: millis(source.pick(&[1_000, 1, 3_000])),
        heartbeat_interval: source.pick(&[Some(2_000), None, Some(1), Some(500)]).map(millis),
        heartbeat_timeout: millis(source.pick(&[1_000, 1, 2_000])),
        suspend_threshold: millis(source.pick(&[2_000, 1, 500])),
        can_ping,
        // Only the answer to a Ping proves anything.
        delivery: if can_ping { delivery } else { Delivery::AtMostOnce },
        receipts: if can_ping { receipts } else { Receipts::Written },
        message_ttl: source.pick(&[None, Some(0), Some(2_000)]).map(millis),
        resume: source.pick(&[ResumeMode::Optimistic, ResumeMode::Wait]),
        plaintext_session: source.pick(&[
            PlaintextPolicy::Allow,
            PlaintextPolicy::Warn,
            PlaintextPolicy::Refuse,
        ]),
        session_max_age: source.pick(&[Some(60_000), None, Some(0), Some(10_000)]).map(millis),
        max_resume_failures: source.pick(&[Some(2), None, Some(1)]),
        outbox_max_messages: source.pick(&[4, 1, 2]),
        outbox_max_bytes: source.pick(&[100, 1, 40]),
        unflushed_max_bytes: source.pick(&[40, 0, 10]),
        overflow: source.pick(&[
            OverflowPolicy::Refuse,
            OverflowPolicy::DropOldest,
            OverflowPolicy::DropNewest,
        ]),
        ..Config::new(URL)
    };
    let origin = source.pick(&[None, Some("ws://b.test"), Some("wss://other.test")]);
    let age = source.pick(&[None, Some(0), Some(9_000), Some(20_000)]);
    let session = source.pick(&[None, Some((origin, age))]);
    let recording = source.pick(&[Recording::None, Recording::Whole, Recording::Redacted]);
    let seed = source.byte();
    config.max_redirects = source.pick(&[1, 0, 2]);
    config.message_id_member = source.pick(&[None, Some("n"), Some("id")]).map(String::from);
    // Drawn with the seed: the kept inputs stay what they are.
    config.durable = config.delivery == Delivery::AtLeastOnce && seed % 4 == 2;
    (Setup { config, seed, session }, recording)
}

/// Something that happens. As a byte it is its place in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The host does what is to be done next.
    Cooperate,
    /// `connect()`.
    Connect,
    /// A message; with its length, and flags: volatile (1), as an input (2), a time to live (4, 8).
    Send,
    /// With the connection, as all that follows up to `Credentials`; from 205 on it is
    /// another report: of the outbox store, messages that wait at the host, unread bytes, a stage, a
    /// wait for its turn.
    Opened,
    /// With a frame's number.
    Frame,
    /// With a length, and a text.
    Text,
    /// With the number of Pings that came after the one which is answered.
    Pong,
    /// With the percentage that is flushed; zero is all, and more is possible.
    Flushed,
    /// With a reason's number.
    Closed,
    /// With a reason's number.
    Closing,
    /// With a number: good ones or bad ones.
    Credentials,
    /// The timer's time has come; with how exactly.
    Due,
    /// Time passes; with how much.
    Pass,
    /// The timer fires.
    Timer,
    /// `disconnect()`.
    Disconnect,
    /// `shutdown()`; with a time, in 20 milliseconds.
    Shutdown,
    /// `clear_session()`.
    ClearSession,
    /// `clear_outbox()`.
    ClearOutbox,
    /// There is a network.
    Online,
    /// There is none.
    Offline,
}

impl Verb {
    /// All there are.
    pub const ALL: [Verb; 20] = [
        Verb::Cooperate,
        Verb::Connect,
        Verb::Send,
        Verb::Opened,
        Verb::Frame,
        Verb::Text,
        Verb::Pong,
        Verb::Flushed,
        Verb::Closed,
        Verb::Closing,
        Verb::Credentials,
        Verb::Due,
        Verb::Pass,
        Verb::Timer,
        Verb::Disconnect,
        Verb::Shutdown,
        Verb::ClearSession,
        Verb::ClearOutbox,
        Verb::Online,
        Verb::Offline,
    ];

    /// The op, with what belongs to it read off the source.
    pub(super) fn op(self, source: &mut ByteSource<'_>) -> Op {
        match self {
            Verb::Cooperate => Op::Cooperate,
            Verb::Connect => Op::Connect,
            Verb::Send => {
                let [bytes, flags] = source.array();
                Op::Send {
                    bytes: 1 + usize::from(bytes % 70),
                    volatile: flags & 1 != 0,
                    as_input: flags & 2 != 0,
                    ttl: [None, Some(0), Some(500), Some(3_000)][usize::from(flags / 4 % 4)]
                        .map(millis),
                }
            }
            Verb::Opened => match source.byte() {
                byte @ 240.. => Op::Report(conn(byte), Report::Postponed),
                byte @ 230.. => Op::Report(conn(byte), Report::Reached(stage(byte))),
                byte @ 220.. => Op::Report(conn(byte), Report::Unread),
                byte @ 210.. => Op::Queued(u64::from(byte % 3)),
                209 => Op::Store(StoreReport::Failed),
                byte @ 205.. => Op::Store(StoreReport::Done(usize::from(byte - 204) * 25)),
                byte => Op::Report(conn(byte), Report::Opened),
            },
            Verb::Frame => Op::Report(conn(source.byte()), Report::Received(frame(source.byte()))),
            Verb::Text => {
                let conn = conn(source.byte());
                let length = source.byte();
                let text = String::from_utf8_lossy(source.bytes(length.into()));
                Op::Report(conn, Report::Received(Frame::Text((&*text).into())))
            }
            Verb::Pong => Op::Report(conn(source.byte()), Report::Pong((source.byte() % 4).into())),
            Verb::Flushed => {
                let conn = conn(source.byte());
                let percent = match source.byte() {
                    0 => 100,
                    u8::MAX => u64::MAX,
                    other => u64::from(other) % 101,
                };
                Op::Report(conn, Report::Flushed(percent))
            }
            Verb::Closed => Op::Report(conn(source.byte()), Report::Closed(reason(source.byte()))),
            Verb::Closing => {
                Op::Report(conn(source.byte()), Report::Closing(reason(source.byte())))
            }
            Verb::Credentials => {
                Op::Report(conn(source.byte()), Report::Credentials(credentials(source.byte())))
            }
            Verb::Due => {
                let byte = source.byte();
                let off_by = [0, 0, -1, 1, -9_999, 9_999, 1_500_000, 9_000_000];
                Op::Due { off_by: off_by[usize::from(byte / 2 % 8)], fires: byte.is_multiple_of(2) }
            }
            Verb::Pass => Op::Pass(source.pick(&[
                1_000,
                100_000,
                1_000_000,
                3_000_000,
                -1_000,
                -3_000_000,
                10_000_000,
                100_000_000,
                100_000_000_000,
                // A hundred years: a history is over before time is.
                3_155_760_000_000_000,
                1,
                -1,
            ])),
            Verb::Timer => Op::Timer,
            Verb::Disconnect => Op::Disconnect,
            Verb::Shutdown => Op::Shutdown(millis(u64::from(source.byte()) * 20)),
            Verb::ClearSession => Op::ClearSession,
            Verb::ClearOutbox => Op::ClearOutbox,
            Verb::Online => Op::Network(true),
            Verb::Offline => Op::Network(false),
        }
    }
}

/// Histories to begin with: what a good day is like, and days of chance.
pub(super) fn seeds(verbs: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(1);
    let mut seeds = Vec::new();
    for percent in [0, 10, 30, 60, 100] {
        for chores in [20, 60, 90] {
            seeds.extend((0..4).map(|_| by_chance(&mut rng, verbs, percent, chores)));
        }
    }
    seeds
}

/// A history with so many percent of the settings by chance, and so many percent of chores that
/// the host does.
pub fn by_chance(rng: &mut Rng, verbs: usize, settings: usize, chores: usize) -> Vec<u8> {
    let setting = |_| if rng.chance(settings) { rng.next_u64() as u8 } else { 0 };
    let mut history: Vec<u8> = (0..SETTINGS).map(setting).collect();
    history.extend([Verb::Connect as u8, 0, 0, Verb::Send as u8, 3, 0]);
    for _ in 0..80 {
        let byte = rng.next_u64() as u8;
        history.push(match rng.below(100) {
            n if n < chores => Verb::Cooperate as u8,
            n if n % 2 == 0 => rng.below(verbs) as u8,
            n if n % 3 == 0 => 0,
            _ => byte,
        });
    }
    history
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn conn(byte: u8) -> Conn {
    match byte % 16 {
        12 => Conn::Earlier(1),
        13 => Conn::Earlier(3),
        14 => Conn::Unborn(0),
        15 => Conn::Unborn(u64::MAX),
        _ => Conn::Live,
    }
}

fn stage(byte: u8) -> Stage {
    let stages = [Stage::Resolve, Stage::Connect, Stage::Proxy, Stage::Tls, Stage::Upgrade];
    stages[usize::from(byte) % stages.len()]
}

fn frame(number: u8) -> Frame {
    let init = |fields: &str| format!(r#"{{"type":"session-init"{fields}}}"#);
    let text = |text: &str| Frame::Text(text.into());
    match number % 12 {
        0 => text(&init(&format!(r#","token":"{TOKEN}","clientId":"c""#))),
        1 => text(r#"{"type":"chat","text":"hi"}"#),
        2 => text(&init(&format!(r#","token":"{TOKEN}","clientId":"d""#))),
        3 => text(&init(r#","clientId":"d""#)),
        4 => text(&init(r#","token":"""#)),
        5 => text("null"),
        6 => text(&format!(r#"{{"token":"{TOKEN}""#)),
        7 => Frame::Binary(TOKEN.as_bytes().to_vec().into()),
        8 => Frame::Ping(Vec::new().into()),
        9 => Frame::Ping(b"are you there?".to_vec().into()),
        10 => Frame::Pong(Vec::new().into()),
        _ => Frame::Pong(b"I am here".to_vec().into()),
    }
}

fn reason(number: u8) -> CloseReason {
    match number % 17 {
        0 => lost(),
        1 => peer(1000),
        2 => peer(1001),
        3 => peer(1008),
        4 => peer(1013),
        5 => http(401, None),
        6 => http(503, RetryAfter::Seconds(2)),
        7 => http(503, RetryAfter::Seconds(u64::MAX)),
        8 => http(429, RetryAfter::UnixSeconds(UNIX_MS / 1_000 + 3)),
        9 => http(429, RetryAfter::UnixSeconds(0)),
        10 => CloseReason::Credentials { text: "none".into() },
        11 => CloseReason::Requested,
        12 => CloseReason::Resolve { text: "no such host".into() },
        13 => redirect(302, "ws://other.test/"),
        14 => redirect(307, "wss://gateway.test/x?y"),
        15 => redirect(308, URL),
        _ => CloseReason::Protocol { violation: Violation::Masked },
    }
}

fn credentials(number: u8) -> Credentials {
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let (headers, token) = match number % 6 {
        0 => (header("Authorization", TOKEN), None),
        1 => (Vec::new(), Some(TOKEN)),
        2 => (Vec::new(), None),
        3 => (header("host", TOKEN), None),
        4 => (header("X", "\r\n"), Some("")),
        _ => (header("X", ""), Some(TOKEN)),
    };
    Credentials { headers, token: token.map(str::to_owned) }
}
