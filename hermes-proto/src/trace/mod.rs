//! The diary of a machine: JSON lines, one input or action each.
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
//! A [`Recorder`] writes one while a machine runs. A [`Replayer`] runs one. A [`Checker`] runs one
//! and compares the machine's actions with the recorded ones. Since a machine is deterministic, a
//! recording of its inputs determines everything else, with one exception: the bytes of a compressed
//! message ([`Config::deflate`]) depend on the version of the compressor too.
//!
//! Times are milliseconds since the start of the trace, with fractions. An absent `conn` is the
//! latest connection. The inputs of level `frames`:
//!
//! | `in` | members |
//! | --- | --- |
//! | `connect`, `disconnect`, `clear-session`, `clear-outbox`, `timer` | |
//! | `send` | `message`, or `text` or base64 `data` if it is not JSON on one line; `ttl_ms`, `volatile`, `uncompressed` |
//! | `shutdown` | `within_ms` |
//! | `network` | `online` |
//! | `credentials` | `conn`, `headers`: names and values, `token` |
//! | `postponed`, `opened` | `conn` |
//! | `text` | `conn`, `data`: the text |
//! | `binary`, `ping`, `pong` | `conn`, `data`: base64 |
//! | `flushed` | `conn`, `up_to` |
//! | `closing`, `closed` | `conn`, `code`, or `cause` and its members |
//!
//! At level `bytes`, `received` (`data`: base64) replaces the frames, and `transmitted` (`count`)
//! replaces `flushed`. The actions, under `out`, are `ask-credentials` and `open` (`url`), `send`
//! (`seq`, and `text` or base64 `data`) or at level `bytes` `transmit` (base64 `data`), `timer`
//! (`due`), `event` (`event`, `detail`), `persist` (`session`), and `close` (`code`).
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

mod checker;
mod format;
mod machine;
mod parse;
mod recorder;
mod redact;
mod replayer;

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::checker::{CheckError, Checker};
pub use self::format::event_line;
pub use self::recorder::Recorder;
pub use self::redact::{SECRET_NAME_PARTS, SECRET_NAME_WORDS};
pub use self::replayer::{Replayer, TraceError};
use crate::{Config, Session, Start};

/// A trace's first line. Every field has a default, and so has the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    /// The format's version: 1.
    pub trace: u32,
    /// Which machine it is. Default: [`Level::Frames`].
    pub level: Level,
    /// Whether the replayer plays the obliging host, which fires the timer when it is due and
    /// reports everything flushed at once. Default: `false`, since a recording has those inputs.
    pub auto: bool,
    /// With `auto`, the time in milliseconds until which the run goes on after the last input.
    /// Default: it ends with the last input.
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
    /// The header of a machine that was made with `config` and `start`.
    pub fn new(level: Level, config: Config, start: Start) -> Self {
        let Start { seed, unix_ms, session } = start;
        Header { trace: 1, level, auto: false, until_ms: None, config, seed, unix_ms, session }
    }

    fn start(&self) -> Start {
        Start { seed: self.seed, unix_ms: self.unix_ms, session: self.session.clone() }
    }
}

/// The machine that a trace is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A [`Client`](crate::Client), with frames in and out.
    #[default]
    Frames,
    /// An [`Endpoint`](crate::Endpoint), with bytes in and out (feature `ws`).
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
