//! The machine's diary: JSON lines, one input or action each.
//!
//! A trace is a [`Header`] and then inputs, actions, or both:
//!
//! ```text
//! {"trace":1,"level":"frames","auto":true,"config":{"url":"ws://localhost/"}}
//! {"at":0,"in":"connect"}
//! {"at":0,"in":"send","message":{"type":"chat","text":"hi"}}
//! {"at":5,"in":"opened","conn":1}
//! {"at":20,"in":"closed","conn":1,"code":1006}
//! ```
//!
//! A [`Recorder`] writes one while a machine runs; a [`Replayer`] runs one, and a [`Checker`]
//! also compares what the machine does with what the trace says it did. Since a machine is
//! deterministic, a recording of the inputs is a recording of everything. One thing depends on more
//! than this crate's version: what a compressed message looks like ([`Config::deflate`]) is the
//! compressor's, another version of which may make other bytes of it.
//!
//! Times are milliseconds since the trace's start, with fractions. An absent `conn` is the newest
//! connection. At level `frames` the inputs are
//!
//! | `in` | with |
//! | --- | --- |
//! | `connect`, `disconnect`, `clear-session`, `clear-outbox`, `timer` | |
//! | `send` | `message`, or where it is not JSON on one line `text` or base64 `data`; `ttl_ms`, `volatile`, `uncompressed` |
//! | `shutdown` | `within_ms` |
//! | `network` | `online` |
//! | `credentials` | `conn`, `headers`: names and values, `token` |
//! | `postponed`, `opened` | `conn` |
//! | `text` | `conn`, `data`: the text |
//! | `binary`, `ping`, `pong` | `conn`, `data`: base64 |
//! | `flushed` | `conn`, `up_to` |
//! | `closing`, `closed` | `conn`, `code`, or `cause` and what belongs to it |
//!
//! At level `bytes` `received` (`data`: base64) stands in place of the frames, and `transmitted`
//! (`count`) in place of `flushed`. The actions, under `out`, are `ask-credentials` and `open`
//! (`url`), `send` (`seq`,
//! and `text` or base64 `data`) or at level `bytes` `transmit` (base64 `data`), `timer` (`due`),
//! `event` (`event`, `detail`), `persist` (`session`), and `close` (`code`).
//!
//! ```
//! let mut replayer = hermes_proto::trace::Replayer::new();
//! let mut out = String::new();
//! for line in [r#"{"trace":1,"config":{"url":"ws://a/"}}"#, r#"{"at":2,"in":"connect"}"#] {
//!     replayer.feed(line, &mut out)?;
//! }
//! assert_eq!(out, concat!(
//!     r#"{"at":2,"out":"open","conn":1,"url":"ws://a/"}"#, "\n",
//!     r#"{"at":2,"out":"timer","due":15002}"#, "\n",
//! ));
//! # Ok::<(), hermes_proto::trace::TraceError>(())
//! ```

mod line;
mod record;
mod redact;
mod replay;

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::line::event_line;
pub use self::record::Recorder;
pub use self::replay::{CheckError, Checker, Replayer, TraceError};
use crate::{Config, Session, Start};

/// A trace's first line. Every field has a default, and so has the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    /// The format's version: 1.
    pub trace: u32,
    /// What the machine is. Default: [`Level::Frames`].
    pub level: Level,
    /// Whether the replayer plays the obliging host: it fires the timer when it is due, and
    /// reports everything flushed at once. Default: no, the trace has it all.
    pub auto: bool,
    /// With `auto`: until when time goes on after the last input, in milliseconds. Default: not
    /// at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<f64>,
    /// The machine's settings.
    pub config: Config,
    /// The machine's seed, as 64 hexadecimal digits. Default: zeros.
    #[serde(with = "hex")]
    pub seed: [u8; 32],
    /// [`Start::unix_ms`]. Default: 0.
    pub unix_ms: u64,
    /// The session that the machine starts with. Default: none.
    pub session: Option<Session>,
}

impl Default for Header {
    fn default() -> Self {
        Header::new(Level::default(), Config::default(), Start::new([0; 32], 0))
    }
}

impl Header {
    /// The header for a machine made with these.
    pub fn new(level: Level, config: Config, start: Start) -> Self {
        let Start { seed, unix_ms, session } = start;
        Header { trace: 1, level, auto: false, until_ms: None, config, seed, unix_ms, session }
    }

    fn start(&self) -> Start {
        Start { seed: self.seed, unix_ms: self.unix_ms, session: self.session.clone() }
    }
}

/// Which machine a trace is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A [`Client`](crate::Client): frames in, frames out.
    #[default]
    Frames,
    /// An [`Endpoint`](crate::Endpoint): bytes in, bytes out (feature `ws`).
    Bytes,
}

/// A seed as hexadecimal digits.
mod hex {
    use super::*;

    pub(super) fn serialize<S: Serializer>(seed: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(64);
        for byte in seed {
            text.push_str(&format!("{byte:02x}"));
        }
        s.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(d)?;
        let wrong = || serde::de::Error::custom("a seed is 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut seed = [0; 32];
        for (index, byte) in seed.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(seed)
    }
}
