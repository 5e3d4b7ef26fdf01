//! Random streams of frames, good and bad: do we say what tungstenite's client says?

use std::io::{self, Read, Write};

use hermes_proto::close::Violation;
use hermes_proto::ws::Event;
use hermes_proto::{CloseReason, Config, Frame};
use hermes_tests::config;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

const MAX_FRAME: usize = 300;
const MAX_MESSAGE: usize = 500;

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    heard: Vec<Heard>,
    end: End,
}

#[derive(Debug, PartialEq)]
enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// There is none: more may come.
    Open,
    /// A Close frame.
    Closed(u16),
    /// A broken rule; ours has a name.
    Broken(Option<Violation>),
}

/// Where we differ, on purpose: our end, theirs, and why. What was heard is the same even then.
struct Difference {
    ours: fn(End) -> bool,
    theirs: fn(End) -> bool,
    #[allow(dead_code)] // For people.
    why: &'static str,
}

const DIFFERENCES: [Difference; 3] = [
    Difference {
        ours: |end| matches!(end, End::Broken(Some(Violation::BadLength))),
        theirs: |_| true,
        why: "§5.2: \"the minimal number of bytes MUST be used to encode the length\". Tungstenite \
              takes any form, and goes on.",
    },
    Difference {
        ours: |end| matches!(end, End::Broken(Some(Violation::BadCloseCode { .. }))),
        theirs: |end| end == End::Closed(1002),
        why: "The same answer, 1002, under another name: tungstenite hands it to the application \
              as if the peer had sent it.",
    },
    Difference {
        ours: |end| end == End::Closed(1014),
        theirs: |end| end == End::Closed(1002),
        why: "1014 (Bad Gateway) has been in the registry of §11.7 since 2017.",
    },
];

fn ours(bytes: &[u8], dice: &mut Dice) -> Outcome {
    let limits = Config { max_frame_bytes: MAX_FRAME, max_message_bytes: MAX_MESSAGE, ..config() };
    let mut conn = opened(limits);
    let mut outcome = Outcome { heard: Vec::new(), end: End::Open };
    for event in dice.pieces(bytes).into_iter().flat_map(|piece| feed(&mut conn, piece)) {
        assert_eq!(outcome.end, End::Open, "{event:?} after the end");
        match event {
            Event::Frame(frame) => outcome.heard.push(match frame {
                Frame::Text(text) => Heard::Text(text.as_str().to_owned()),
                Frame::Binary(data) => Heard::Binary(data.to_vec()),
                Frame::Ping(data) => Heard::Ping(data.to_vec()),
                Frame::Pong(data) => Heard::Pong(data.to_vec()),
            }),
            Event::Closing(CloseReason::Peer { code, .. }) => outcome.end = End::Closed(code),
            Event::Closing(CloseReason::Protocol { violation }) => {
                outcome.end = End::Broken(Some(violation));
            }
            other => panic!("{other:?}"),
        }
    }
    outcome
}

/// What is to be read, and nobody listens.
struct Stream<'a>(&'a [u8]);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(bytes: &[u8]) -> Outcome {
    let limits = WebSocketConfig::default()
        .read_buffer_size(1_000)
        .max_frame_size(Some(MAX_FRAME))
        .max_message_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_raw_socket(Stream(bytes), Role::Client, Some(limits));
    let mut heard = Vec::new();
    let end = loop {
        heard.push(match socket.read() {
            Ok(Message::Text(text)) => Heard::Text(text.to_string()),
            Ok(Message::Binary(data)) => Heard::Binary(data.to_vec()),
            Ok(Message::Ping(data)) => Heard::Ping(data.to_vec()),
            Ok(Message::Pong(data)) => Heard::Pong(data.to_vec()),
            Ok(Message::Close(frame)) => {
                break End::Closed(frame.map_or(1005, |frame| frame.code.into()));
            }
            Ok(Message::Frame(frame)) => panic!("{frame}"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break End::Open,
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => {
                break End::Broken(None);
            }
            Err(error) => panic!("{error}"),
        });
    };
    Outcome { heard, end }
}

/// Some frames, most of them good.
fn stream(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The message in fragments, as far as it was not sent.
    let mut begun: Option<Vec<u8>> = None;
    for _ in 0..dice.below(15) {
        bytes.extend(if dice.chance(4) {
            bad_frame(dice, begun.is_some())
        } else if dice.chance(30) {
            control(dice)
        } else if let Some(rest) = begun.take() {
            let n = dice.below(rest.len() + 1);
            let (piece, rest) = rest.split_at(n);
            if rest.is_empty() {
                frame(FIN | CONTINUATION, piece)
            } else {
                begun = Some(rest.to_vec());
                frame(CONTINUATION, piece)
            }
        } else {
            let (opcode, payload) = message(dice);
            if dice.chance(50) {
                frame(FIN | opcode, payload)
            } else {
                let (piece, rest) = payload.split_at(dice.below(payload.len() + 1));
                begun = Some(rest.to_vec());
                frame(opcode, piece)
            }
        });
    }
    bytes
}

/// A message, rarely too long, rarely a text that is not UTF-8.
fn message(dice: &mut Dice) -> (u8, Vec<u8>) {
    let most = *dice.pick(&[1, 10, 60, 60, 60, 130]);
    let n = dice.below(most);
    if dice.chance(30) {
        return (BINARY, dice.bytes(n * 4));
    }
    let mut text = dice.text(n).into_bytes();
    if dice.chance(5) && !text.is_empty() {
        let at = dice.below(text.len());
        match dice.below(3) {
            0 => text[at] = dice.roll() as u8,
            1 => text.truncate(at),
            _ => drop(text.remove(at)),
        }
    }
    (TEXT, text)
}

fn control(dice: &mut Dice) -> Vec<u8> {
    let n = *dice.pick(&[0, 1, 2, 124, 125]);
    if dice.chance(80) {
        return frame(FIN | *dice.pick(&[PING, PONG]), dice.bytes(n));
    }
    let code = match dice.below(4) {
        0 => dice.roll() as u16,
        1 => 990 + dice.below(40) as u16,
        _ => *dice.pick(&[1000, 1001, 1014, 3000, 4999]),
    };
    match dice.below(10) {
        0 => frame(FIN | CLOSE, ""),
        1 => frame(FIN | CLOSE, dice.bytes(1)),
        2 => close(code, dice.bytes(4)),
        _ => close(code, dice.text(10)),
    }
}

/// A frame that breaks a rule, though not always: a reserved bit of zero is no reserved bit.
fn bad_frame(dice: &mut Dice, within: bool) -> Vec<u8> {
    let opcode = *dice.pick(&[CONTINUATION, TEXT, BINARY, PING, PONG, CLOSE]);
    let n = *dice.pick(&[0, 1, 2, 125, 126, 300]);
    let payload = vec![b'x'; n];
    match dice.below(8) {
        0 => frame(FIN | opcode | (dice.below(8) as u8) << 4, payload),
        1 => frame(FIN | dice.below(16) as u8, payload),
        2 => {
            let mut masked = frame(FIN | opcode, "");
            masked[1] |= 0x80;
            [masked, dice.bytes(4)].concat()
        }
        3 => frame(dice.below(16) as u8, payload),
        4 => frame(if within { TEXT } else { CONTINUATION }, payload),
        5 => header(FIN | BINARY, *dice.pick(&[301, 0xFFFF, 0x1_0000, 1 << 40, 1 << 63])),
        6 => [
            &[FIN | if within { CONTINUATION } else { BINARY }, 126, 0, n as u8][..],
            &payload[..n % 256],
        ]
        .concat(),
        _ => [&[FIN | PING, 127, 0, 0, 0, 0, 0, 0, 0, n as u8][..], &payload[..n % 256]].concat(),
    }
}

/// A broken rule in a stream that ends early is compared with the whole stream's verdict; that is
/// the one difference which is not a matter of rules.
#[test]
fn the_same_verdicts() {
    let mut met = [0; DIFFERENCES.len()];
    let mut ends = [0; 3];
    for seed in 0..20_000 {
        let mut dice = Dice::new(seed);
        let bytes = stream(&mut dice);
        let cut = &bytes[..if dice.chance(20) { dice.below(bytes.len() + 1) } else { bytes.len() }];
        let ours = ours(cut, &mut dice);
        // We fail at the first byte that tells, tungstenite at the end of its frame.
        let theirs = theirs(if matches!(ours.end, End::Broken(_)) { &bytes } else { cut });
        let differs = |d: &Difference| (d.ours)(ours.end) && (d.theirs)(theirs.end);
        if let Some(difference) = DIFFERENCES.iter().position(differs) {
            met[difference] += 1;
            assert!(theirs.heard.starts_with(&ours.heard), "seed {seed}: {ours:?}, not {theirs:?}");
            continue;
        }
        assert_eq!(ours.heard, theirs.heard, "seed {seed}");
        let kind = match (ours.end, theirs.end) {
            (End::Open, End::Open) => 0,
            (End::Closed(our), End::Closed(their)) if our == their => 1,
            (End::Broken(_), End::Broken(_)) => 2,
            (our, their) => panic!("seed {seed}: {our:?}, not {their:?}"),
        };
        ends[kind] += 1;
    }
    println!("{ends:?}, and {met:?} of the differences");
    assert!(ends.iter().all(|count| *count > 1_000), "a fair share of each: {ends:?}");
    assert!(met.iter().all(|count| *count > 0), "none of the differences is idle: {met:?}");
}
