//! A trace's first line: the machine, its settings and its start.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::stored;
use crate::{Config, Session, Start, StoredOutbox};

/// A trace's first line. Every field has a default, and so has the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    /// The format's version: 1.
    pub trace: u32,
    /// Which machine it is. Default: [`Level::Frames`].
    pub level: Level,
    /// Whether it is a [redacted](super::Recorder::redacted) recording, with stand-ins in place of
    /// secrets. Default: `false`.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub redacted: bool,
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
    /// The stored outbox that the machine starts with. Default: none.
    #[serde(with = "stored", skip_serializing_if = "Option::is_none")]
    pub outbox: Option<StoredOutbox>,
}

impl Default for Header {
    fn default() -> Self {
        Header::new(Level::default(), Config::default(), Start::new([0; 32], 0))
    }
}

impl Header {
    /// The header of a machine that was made with `config` and `start`.
    pub fn new(level: Level, config: Config, start: Start) -> Self {
        let Start { seed, unix_ms, session, outbox } = start;
        let (redacted, auto, until_ms) = (false, false, None);
        Header { trace: 1, level, redacted, auto, until_ms, config, seed, unix_ms, session, outbox }
    }

    pub(super) fn start(&self) -> Start {
        let (session, outbox) = (self.session.clone(), self.outbox.clone());
        Start { seed: self.seed, unix_ms: self.unix_ms, session, outbox }
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
