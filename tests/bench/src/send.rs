//! From a value to the bytes of a masked frame.

pub(crate) mod floor;
pub mod hermes;
mod tungstenite;
mod yawc;

use serde::Serialize;

use crate::contest::Contender;

/// What an application says.
#[derive(Serialize, Clone)]
pub struct Chat {
    r#type: &'static str,
    text: String,
    sender: &'static str,
}

impl Chat {
    /// The message of that number: 118 bytes, as JSON.
    pub(crate) fn new(n: usize) -> Self {
        Chat {
            r#type: "chat",
            text: format!(
                "message {n:04} of a conversation that has been going on for a while now"
            ),
            sender: "ada lovelace",
        }
    }
}

/// A client of its kind, on an open connection.
pub(crate) trait Sender: Sized + 'static {
    fn new() -> Self;

    /// Makes frames of the messages, and gives them to `wire`, all together.
    fn send(&mut self, messages: &[Chat], wire: impl FnMut(&[u8]));

    fn contender(name: &'static str) -> Contender {
        let check = move || {
            let mut bytes = Vec::new();
            let mut sender = Self::new();
            for batch in messages().chunks(BATCH) {
                sender.send(batch, |more| bytes.extend_from_slice(more));
            }
            let expected: Vec<_> =
                messages().iter().map(|m| serde_json::to_string(m).expect("JSON")).collect();
            assert!(texts(&bytes) == expected, "{name} sends something else");
        };
        Contender::new(name, check, || {
            let mut sender = Self::new();
            let messages = messages();
            Box::new(move || {
                for batch in messages.chunks(BATCH) {
                    sender.send(batch, |bytes| {
                        std::hint::black_box(bytes);
                    });
                }
            })
        })
    }
}

/// Messages between two writes to the socket.
const BATCH: usize = 32;

/// Messages in a round.
pub const MESSAGES: usize = 2_048;

/// Everybody; the floor first, which the others are measured against.
pub fn contenders() -> Vec<Contender> {
    vec![
        floor::Floor::contender("floor"),
        hermes::Hermes::contender("hermes-proto"),
        yawc::Yawc::contender("yawc"),
        tungstenite::Tungstenite::contender("tungstenite"),
    ]
}

fn messages() -> Vec<Chat> {
    (0..MESSAGES).map(Chat::new).collect()
}

/// The texts of masked frames.
fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(*first, 0x81, "a whole text");
        let (length, rest) = match second.checked_sub(0x80).expect("a mask") {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            short => (usize::from(short), rest),
        };
        let (key, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(length);
        let text = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        texts.push(String::from_utf8(text).expect("UTF-8"));
        bytes = rest;
    }
    texts
}
