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
//! message ([`Config::deflate`](crate::Config::deflate)) depend on the version of the compressor too.
//!
//! Times are milliseconds since the start of the trace, with fractions. An absent `conn` is the
//! latest connection. The inputs of level `frames`:
//!
//! | `in` | members |
//! | --- | --- |
//! | `connect`, `disconnect`, `clear-session`, `clear-outbox`, `timer` | |
//! | `set-session` | `session`: `token`, `clientId`, `savedAt`, `origin` |
//! | `send` | `message`, or `text` or base64 `data` if it is not JSON on one line; `ttl_ms`, `volatile`, `uncompressed` |
//! | `shutdown` | `within_ms` |
//! | `network` | `online` |
//! | `stored` | `up_to` |
//! | `store-failed` | `text` |
//! | `loaded` | `messages`: each with `id`, `text` or base64 `data`, `uncompressed`, `expires_unix_ms`; `has_more` |
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
//! (`due`), `event` (`event`, `detail`), `persist` (`session`), `store` (the members of a stored
//! message), `forget` (`from`, `to`), `load` (`after`), and `close` (`code`).
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
mod header;
mod machine;
mod parse;
mod recorder;
mod redact;
mod replayer;
mod stored;

pub use self::checker::{CheckError, Checker};
pub use self::format::event_line;
pub use self::header::{Header, Level};
pub use self::recorder::Recorder;
pub use self::redact::{SECRET_NAME_PARTS, SECRET_NAME_WORDS, is_secret_name};
pub use self::replayer::{Replayer, TraceError};
