//! What a gateway sends: streams of frames, made from a fixed seed.

use std::fmt;

use serde_json::{Value, json};

/// A mix of messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// The gateway's daily bread: 70 % chat of 40 to 200 characters, the other types, and some that
    /// have no route; 170 bytes a frame.
    M1,
    /// Chat of 4 KiB.
    M2,
    /// Chat of 64 KiB.
    M3,
    /// Chat of 240 bytes in Chinese.
    M4,
    /// Chat of 4 KiB in Chinese.
    M5,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mix::M1 => "M1",
            Mix::M2 => "M2",
            Mix::M3 => "M3",
            Mix::M4 => "M4",
            Mix::M5 => "M5",
        })
    }
}

/// A stream of whole frames.
pub struct Load {
    /// The frames.
    pub bytes: Vec<u8>,
    /// How many.
    pub messages: u64,
}

impl Load {
    /// Bytes a frame.
    pub fn mean(&self) -> u64 {
        self.bytes.len() as u64 / self.messages
    }

    /// The frames, one by one.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let size = match *rest {
                [] => return None,
                [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([high, low])),
                [_, short @ 0..126, ..] => 2 + usize::from(short),
                _ => unimplemented!("no message here is so long"),
            };
            let (frame, others) = rest.split_at(size);
            rest = others;
            Some(frame)
        })
    }
}

impl Mix {
    /// Some of it: 1 MiB, about.
    pub fn load(self) -> Load {
        let mut dice = Dice(0x5eed);
        let messages = match self {
            Mix::M1 => 4_000,
            Mix::M2 => 200,
            Mix::M3 => 20,
            Mix::M4 => 3_000,
            Mix::M5 => 200,
        };
        let mut bytes = Vec::new();
        for _ in 0..messages {
            let message = match self {
                Mix::M1 => daily(&mut dice),
                Mix::M2 => chat(&mut dice, 4 << 10),
                Mix::M3 => chat(&mut dice, 64 << 10),
                Mix::M4 => chat_of(chinese(&mut dice, 240), &mut dice),
                Mix::M5 => chat_of(chinese(&mut dice, 4 << 10), &mut dice),
            };
            frame(message.as_bytes(), &mut bytes);
        }
        Load { bytes, messages }
    }
}

/// A text frame as a server sends it.
fn frame(payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x81);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        middle @ 126..=0xFFFF => {
            out.push(126);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(payload);
}

fn daily(dice: &mut Dice) -> String {
    match dice.below(100) {
        0..70 => {
            let length = 40 + dice.below(161);
            chat(dice, length)
        }
        70..80 => {
            let (status, agent) = (text(dice, 20), dice.name());
            object("status-update", &[("status", json!(status)), ("agent", json!(agent))])
        }
        80..87 => {
            let number = dice.below(10_000);
            let title = text(dice, 50);
            let url = format!("https://gitea.example/hermes/hermes/pulls/{number}");
            let pr = json!({"number": number, "title": title, "url": url});
            object("pr-notification", &[("action", json!("opened")), ("pr", pr)])
        }
        87..91 => {
            let (id, name) = (dice.id(), dice.name());
            object("player-joined", &[("id", json!(id)), ("name", json!(name))])
        }
        91..95 => {
            let (id, name) = (dice.id(), dice.name());
            object("player-left", &[("id", json!(id)), ("name", json!(name))])
        }
        _ => {
            let at = [dice.below(1_000), dice.below(1_000), dice.below(1_000)];
            let (id, name) = (dice.id(), dice.name());
            object("position", &[("id", json!(id)), ("name", json!(name)), ("at", json!(at))])
        }
    }
}

fn chat(dice: &mut Dice, length: usize) -> String {
    chat_of(text(dice, length), dice)
}

fn chat_of(text: String, dice: &mut Dice) -> String {
    let sender = dice.name();
    object("chat", &[("text", json!(text)), ("sender", json!(sender))])
}

/// The fields in the order in which a gateway writes them, the type first, and behind them one
/// that nobody documents.
fn object(kind: &str, fields: &[(&str, Value)]) -> String {
    let mut json = format!("{{\"type\":\"{kind}\"");
    for (name, value) in fields {
        json += &format!(",\"{name}\":{value}");
    }
    json + ",\"at\":1700000000123}"
}

/// About so many bytes of words. One text in ten has letters beyond ASCII, one in twenty something
/// that JSON escapes.
fn text(dice: &mut Dice, length: usize) -> String {
    const WORDS: [&str; 16] = [
        "the", "gateway", "said", "that", "a", "message", "came", "from", "far", "away", "and",
        "nobody", "knows", "who", "sent", "it",
    ];
    const FOREIGN: [&str; 4] = ["naïve", "grüße", "世界", "🚀"];
    let (foreign, escapes) = (dice.below(10) == 0, dice.below(20) == 0);
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        let among = if foreign && dice.below(8) == 0 { &FOREIGN[..] } else { &WORDS[..] };
        text += among[dice.below(among.len())];
        text += match dice.below(16) {
            0 if escapes => "\n\"",
            _ => " ",
        };
    }
    text
}

/// About so many bytes of Chinese words, with their own punctuation: all of it beyond ASCII.
fn chinese(dice: &mut Dice, length: usize) -> String {
    const WORDS: [&str; 8] = ["世界", "消息", "很远", "地方", "没有人", "知道", "谁", "发送的"];
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text += WORDS[dice.below(WORDS.len())];
        text += if dice.below(8) == 0 { "，" } else { "" };
    }
    text
}

/// SplitMix64: a few lines, and the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn name(&mut self) -> &'static str {
        ["ada", "grace", "linus", "barbara", "donald", "margaret"][self.below(6)]
    }

    fn id(&mut self) -> String {
        format!("player-{:06}", self.below(1_000_000))
    }
}
