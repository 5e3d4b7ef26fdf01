//! The whole stack, held to the bound in the crate's documentation, under whatever a peer can think
//! of.
//!
//! What an attack sends is made before the counting starts, and the events that come of it are
//! dropped as they come: what is counted is the endpoint, the actions of one call, and the messages
//! that the application sends.

use std::time::Duration;

use hermes_proto::{
    Actions, CloseReason, Config, ConnId, Credentials, Delivery, Endpoint, Input, Outgoing,
    OverflowPolicy, Receipts, Timestamp, Transmit,
};
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;
use hermes_tests::{Rng, config, start};

use crate::measure;

/// What the host reads at once. A queue doubles; so a little more than a power of two.
const READ: usize = 260;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The formula. `read` is the largest input, `door` the bytes of URLs, headers and credentials.
fn bound(config: &Config, read: usize, door: usize) -> usize {
    3 * config.max_message_bytes
        + 5 * config.outbox_max_bytes
        + 512 * config.outbox_max_messages
        + 6 * config.unflushed_max_bytes
        + 18 * config.max_header_bytes
        + 192 * read
        + 5 * door
        + 640 * KIB
        + if config.deflate { config.max_message_bytes + MIB } else { 0 }
}

/// The number in the documentation is what the formula says.
#[test]
fn the_documented_number() {
    let number = format!("{} MiB", bound(&Config::default(), 64 * KIB, 0).div_ceil(MIB));
    for text in
        [include_str!("../../../hermes-proto/src/lib.rs"), include_str!("../../../README.md")]
    {
        assert!(text.contains(&number), "{number} is not there");
    }
}

/// An endpoint, and a host that keeps nothing.
pub(crate) struct Victim {
    pub(crate) endpoint: Endpoint,
    now: Timestamp,
}

impl Victim {
    pub(crate) fn new(config: Config) -> Self {
        let endpoint = Endpoint::new(config, start()).expect("the settings are fine");
        Victim { endpoint, now: Timestamp::ZERO }
    }

    fn conn(&self) -> ConnId {
        self.endpoint.client().conn().unwrap_or(ConnId(0))
    }

    fn input(&mut self, input: Input<&[u8]>) {
        self.endpoint.handle(self.now, input, &mut Actions::new());
    }

    pub(crate) fn send(&mut self, message: Outgoing) -> bool {
        self.endpoint.send_message(self.now, message, &mut Actions::new()).is_ok()
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let conn = self.conn();
        for payload in bytes.chunks(READ) {
            self.input(Input::Received { conn, payload });
        }
    }

    /// The system takes so much, or what there is.
    pub(crate) fn take(&mut self, n: usize) {
        let mut out: Actions<Transmit> = Actions::new();
        self.endpoint.transmitted(self.now, n, &mut out);
    }

    /// Goes on to the deadline, if there is one.
    pub(crate) fn wait(&mut self) {
        self.now = self.endpoint.deadline().unwrap_or(self.now);
        self.input(Input::TimerFired);
    }

    /// Another transport that is up.
    pub(crate) fn dial(&mut self, credentials: Credentials) {
        self.lose();
        self.input(Input::Connect);
        if self.endpoint.client().conn().is_none() {
            self.wait();
        }
        let conn = self.conn();
        self.input(Input::Credentials { conn, credentials });
        self.input(Input::Opened { conn });
    }

    /// A connection that is open.
    pub(crate) fn establish(&mut self) {
        self.dial(Credentials::default());
        let answer = reply_to(self.endpoint.transmit());
        self.take(usize::MAX);
        self.receive(&answer);
    }

    fn lose(&mut self) {
        let conn = self.conn();
        self.input(Input::Closed { conn, reason: CloseReason::lost() });
    }
}

/// Settings under which little is much: three that differ in what is large.
pub(crate) fn besieged() -> [Config; 3] {
    let small = Config {
        max_message_bytes: 8 * KIB,
        max_frame_bytes: 8 * KIB,
        max_header_bytes: KIB,
        outbox_max_messages: 33,
        outbox_max_bytes: 4 * KIB,
        unflushed_max_bytes: KIB,
        max_attempts: None,
        ..config()
    };
    [
        Config {
            max_message_bytes: 30_000,
            max_frame_bytes: 10_000,
            unflushed_max_bytes: 0,
            delivery: Delivery::AtLeastOnce,
            ..small.clone()
        },
        Config {
            outbox_max_messages: 257,
            outbox_max_bytes: 10_000,
            unflushed_max_bytes: 20_000,
            receipts: Receipts::Acknowledged,
            ..small.clone()
        },
        small,
    ]
}

/// The most that an endpoint with these settings held in all its life; no more than the formula
/// says.
pub(crate) fn hold(
    config: &Config,
    door: usize,
    attack: impl FnOnce(&mut Victim),
) -> (Victim, usize) {
    let (victim, peak, left) = measure(|| {
        let mut victim = Victim::new(config.clone());
        attack(&mut victim);
        victim
    });
    let most = bound(config, READ, door);
    assert!(peak <= most, "{peak} bytes, and {most} are promised: {config:?}");
    (victim, left)
}

/// Something again and again: more of it than an endpoint may hold, twice.
pub(crate) fn flood(config: &Config, unit: &[u8]) -> Vec<u8> {
    unit.repeat(2 * bound(config, READ, 0) / unit.len())
}

#[test]
fn answers_without_end() {
    for config in besieged() {
        for line in ["x", "x\n", "x:\n", "X-Line: of a header\r\n"] {
            let endless = [b"HTTP/1.1 101 Yes\r\n".to_vec(), flood(&config, line.as_bytes())];
            let endless = endless.concat();
            // Just within the limit, and then whole.
            let lines = line.repeat((config.max_header_bytes - 30) / line.len());
            let whole = format!("HTTP/1.1 101 Yes\r\n{lines}\r\n\r\n");
            hold(&config, 0, |victim| {
                victim.dial(Credentials::default());
                victim.receive(&endless);
                victim.dial(Credentials::default());
                endless.chunks(1).take(READ).for_each(|byte| victim.receive(byte));
                victim.dial(Credentials::default());
                victim.receive(whole.as_bytes());
            });
        }
        let interim = flood(&config, b"HTTP/1.1 100 Continue\r\nX-Pad: x\r\n\r\n");
        hold(&config, 0, |victim| {
            victim.dial(Credentials::default());
            victim.receive(&interim);
        });
    }
}

#[test]
fn messages_as_large_as_can_be() {
    for config in besieged() {
        for opcode in [TEXT, BINARY] {
            for size in [1, 7, 100, 1_000, config.max_frame_bytes] {
                // A Ping and an empty fragment between, as if there were time for that.
                let between = [ping([0; 125]), frame(CONTINUATION, "")].concat();
                let fragment = [frame(CONTINUATION, vec![b'x'; size]), between].concat();
                let count = config.max_message_bytes / size;
                let message = [frame(opcode, ""), fragment.repeat(count)].concat();
                let last = frame(FIN | CONTINUATION, "");
                let endless = flood(&config, &fragment);
                hold(&config, 0, |victim| {
                    for _ in 0..2 {
                        // One that ends, one that has no end, and one that is cut short.
                        victim.establish();
                        victim.receive(&message);
                        victim.receive(&last);
                        victim.receive(&message);
                        victim.receive(&endless);
                        victim.establish();
                        victim.receive(&message);
                    }
                });
            }
        }
    }
}

#[test]
fn floods_of_control_frames() {
    for config in besieged() {
        for unit in [ping(""), ping([0; 125]), pong(""), pong([0xFF; 125])] {
            let many = flood(&config, &unit);
            for take in [0, 1, usize::MAX] {
                hold(&config, 0, |victim| {
                    victim.establish();
                    for piece in many.chunks(READ) {
                        victim.receive(piece);
                        victim.take(take);
                    }
                });
            }
        }
    }
}

#[test]
fn floods_of_messages() {
    for config in besieged() {
        for unit in [text(""), text("x"), text(r#"{"type":"later"}"#), binary("")] {
            let many = flood(&config, &unit);
            hold(&config, 0, |victim| {
                victim.establish();
                victim.receive(&many);
            });
        }
    }
}

/// Each of them is saved in place of the one before.
#[test]
fn floods_of_sessions() {
    const LIMIT: usize = 8 * KIB;
    let init = |token: &str, id: &str| {
        text(format!(r#"{{"type":"session-init","token":"{token}","clientId":"{id}"}}"#))
    };
    for config in besieged() {
        let config = Config { max_message_bytes: MIB, max_frame_bytes: MIB, ..config };
        let sizes = [1, LIMIT - 2, LIMIT, 100_000, MIB / 2 - 100];
        let plain = sizes.map(|size| init(&"t".repeat(size), &"c".repeat(size)));
        let escaped =
            sizes.map(|size| init(&r"\u0001".repeat(size / 6), &r"\ud83d".repeat(size / 6)));
        let (mut victim, _) = hold(&config, 0, |victim| {
            for init in plain.iter().chain(&escaped).cycle().take(100) {
                victim.establish();
                victim.receive(init);
            }
        });
        let ((), _, left) = measure(|| {
            victim.establish();
            plain.iter().chain(&escaped).for_each(|init| victim.receive(init));
            victim.wait();
        });
        assert!(left <= 2 * LIMIT + KIB, "{left} bytes of a session are kept");
    }
}

/// What comes behind the end of a conversation is nobody's.
#[test]
fn floods_after_the_close() {
    for config in besieged() {
        let many = flood(&config, &[ping([0; 125]), text("{}"), close(1000, "")].concat());
        let ends: [&[u8]; 4] = [
            &close(1000, [b'x'; 123]),
            &frame(FIN | CLOSE, ""),
            &[0xFF; 14],
            &frame(FIN | TEXT, [0xFF]),
        ];
        for end in ends {
            hold(&config, 0, |victim| {
                victim.establish();
                victim.receive(end);
                victim.receive(&many);
            });
        }
        hold(&config, 0, |victim| {
            victim.establish();
            victim.input(Input::Disconnect);
            victim.receive(&many);
        });
    }
}

/// A peer that takes nothing, or next to nothing, and an application that goes on.
#[test]
fn outboxes_that_nobody_empties() {
    for base in besieged() {
        let sizes = [0, 1, 100, 1_000, base.outbox_max_bytes];
        let policies =
            [OverflowPolicy::Refuse, OverflowPolicy::DropOldest, OverflowPolicy::DropNewest];
        for (size, overflow) in sizes.into_iter().flat_map(|size| policies.map(|how| (size, how))) {
            let message_ttl = Some(Duration::from_secs(3_600));
            let config = Config { overflow, message_ttl, ..base.clone() };
            let ping = ping([0; 125]);
            for take in [0, 1, 1_000, usize::MAX] {
                hold(&config, 0, |victim| {
                    for _ in 0..3 {
                        victim.establish();
                        for n in 0..2 * config.outbox_max_messages {
                            let message = match n % 2 {
                                0 => Outgoing::binary(vec![0; size]),
                                _ => Outgoing::new(&"x".repeat(size.saturating_sub(2)))
                                    .expect("a string is JSON"),
                            };
                            victim.send(message);
                            victim.receive(&ping);
                            victim.take(take);
                        }
                        victim.wait();
                    }
                });
            }
        }
    }
}

/// After ten thousand messages there is no more than after a hundred.
#[test]
fn a_conversation_without_end() {
    for config in besieged() {
        let config = Config { message_ttl: Some(Duration::from_secs(3_600)), ..config };
        let answer = text(r#"{"type":"chat","text":"hi"}"#);
        let round = |victim: &mut Victim| {
            victim.send(Outgoing::text("1"));
            let asked = sent(victim.endpoint.transmit());
            victim.take(usize::MAX);
            victim.receive(&answer);
            for frame in asked {
                if let Sent::Ping(data) = frame {
                    victim.receive(&pong(data));
                }
            }
        };
        let (mut victim, _) = hold(&config, 0, |victim| {
            victim.establish();
            (0..100).for_each(|_| round(victim));
        });
        let ((), _, left) = measure(|| (0..10_000).for_each(|_| round(&mut victim)));
        assert!(left <= KIB, "{left} bytes more than before");
        assert_eq!(victim.endpoint.client().stats().written, 10_100);
    }
}

/// After a thousand connections there is no more than after a hundred.
#[test]
fn reconnects_by_the_thousand() {
    for config in besieged() {
        let ends = [close(1013, [b'x'; 123]), frame(FIN | TEXT, [0xFF]), text("{}")];
        let refusal = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\n\r\n";
        let round = |victim: &mut Victim| {
            for end in &ends {
                victim.establish();
                victim.send(Outgoing::text("1"));
                victim.take(usize::MAX);
                victim.receive(end);
            }
            victim.dial(Credentials::default());
            victim.receive(refusal);
            victim.dial(Credentials::default());
            victim.wait();
        };
        let (mut victim, _) = hold(&config, 0, |victim| (0..100).for_each(|_| round(victim)));
        let ((), _, left) = measure(|| (0..1_000).for_each(|_| round(&mut victim)));
        assert!(left <= KIB, "{left} bytes more than before");
    }
}

/// Each is to a URL as long as can be.
#[test]
fn redirects_without_end() {
    let config = Config {
        max_header_bytes: 8_200,
        max_redirects: 20,
        max_attempts: None,
        ..besieged()[2].clone()
    };
    let answer = format!("HTTP/1.1 302 There\r\nLocation: /{}\r\n\r\n", "x".repeat(7_999));
    hold(&config, 0, |victim| {
        for _ in 0..10 {
            victim.dial(Credentials::default());
            for _ in 0..=20 {
                victim.receive(answer.as_bytes());
                let conn = victim.conn();
                victim.input(Input::Opened { conn });
            }
        }
        assert_eq!(victim.endpoint.client().stats().attempts, 210);
    });
}

/// What the host brings is gone with the attempt that it was brought for, but for the token.
#[test]
fn doors_with_many_locks() {
    // A little more than a power of two.
    const SIZE: usize = 66_000;
    let header = || vec![("Authorization".to_owned(), "x".repeat(SIZE))];
    for base in besieged() {
        let configured = Config { headers: header(), ask_credentials: true, ..base.clone() };
        for (config, own, token) in [
            (configured, false, false),
            (base.clone(), true, false),
            (base.clone(), false, true),
            (base, true, true),
        ] {
            let config = Config { ask_credentials: true, ..config };
            let door = SIZE * (config.headers.len() + usize::from(own) + usize::from(token));
            let (_, left) = hold(&config, door, |victim| {
                for _ in 0..100 {
                    let headers = if own { header() } else { Vec::new() };
                    let token = token.then(|| "t".repeat(SIZE));
                    victim.dial(Credentials { headers, token });
                    let answer = reply_to(victim.endpoint.transmit());
                    victim.take(usize::MAX);
                    victim.receive(&answer);
                    victim.take(usize::MAX);
                }
                victim.lose();
            });
            let kept = SIZE * (config.headers.len() + usize::from(token));
            assert!(left <= kept + 64 * KIB, "{left} bytes are kept");
        }
    }
}

/// A peer that says just enough to be alive, and answers nothing; a machine that sleeps, and a
/// network that comes and goes.
#[test]
fn questions_that_nobody_answers() {
    for config in besieged() {
        let word = pong("");
        hold(&config, 0, |victim| {
            victim.establish();
            for n in 0..20_000 {
                victim.wait();
                victim.now = victim.now + Duration::from_secs(60);
                victim.input(Input::TimerFired);
                victim.input(Input::NetworkChanged { online: n % 2 == 0 });
                victim.receive(&word);
            }
        });
    }
}

/// With the default settings and the largest reads: an application that sends all it may, to a peer
/// that takes nothing of it, and says as much as it may.
#[test]
fn the_defaults_under_siege() {
    const READ: usize = 64 * KIB;
    let config = Config { delivery: Delivery::AtLeastOnce, ..config() };
    let fragment = frame(CONTINUATION, [b'x'; 1_000]);
    let reads = fragment.repeat(READ / fragment.len());
    let little = text("").repeat(READ / 2);
    let mut victim = Victim::new(config.clone());
    victim.establish();
    let ((), peak, _) = measure(|| {
        let conn = victim.conn();
        let receive = |victim: &mut Victim, payload: &[u8]| {
            victim.input(Input::Received { conn, payload });
        };
        victim.send(Outgoing::binary(vec![0; config.outbox_max_bytes]));
        receive(&mut victim, &little);
        receive(&mut victim, &frame(TEXT, ""));
        for _ in 0..config.max_message_bytes / reads.len() {
            receive(&mut victim, &reads);
        }
    });
    let most = bound(&config, READ, 0);
    assert!((most / 2..=most).contains(&peak), "{peak} bytes, and {most} are promised");
}

/// All of it in any order.
#[test]
fn anything_goes() {
    for (seed, config) in (0..30).zip(besieged().into_iter().cycle()) {
        let mut rng = Rng::new(seed);
        let most = config.max_frame_bytes;
        let frames: Vec<Vec<u8>> = [TEXT, BINARY, CONTINUATION, FIN | TEXT, FIN | CONTINUATION]
            .into_iter()
            .flat_map(|first| [0, 1, 100, most].map(|size| frame(first, vec![b'7'; size])))
            .chain([ping([0; 125]), pong(""), close(1001, ""), text("{}"), vec![b'7'; most]])
            .collect();
        hold(&config, 0, |victim| {
            for _ in 0..5_000 {
                match rng.below(40) {
                    0 => victim.lose(),
                    1 => victim.wait(),
                    2 => victim.input(Input::Disconnect),
                    3 => victim.input(Input::ClearOutbox),
                    4..10 if victim.endpoint.client().conn().is_none() => victim.establish(),
                    10..16 => {
                        let size = *rng.pick(&[0, 1, 100, config.outbox_max_bytes]);
                        let sent = victim.send(Outgoing::binary(vec![0; size]));
                        std::hint::black_box(sent);
                    }
                    16..20 => victim.take(*rng.pick(&[0, 1, 100, usize::MAX])),
                    _ => {
                        let frame = rng.pick(&frames);
                        victim.receive(&frame[..frame.len() - rng.below(frame.len().min(2))]);
                    }
                }
            }
        });
    }
}
