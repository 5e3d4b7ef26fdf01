//! Records of a gateway: messages received, and events of its life.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

/// A message that a gateway has received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The connection it came on: 1 for the first one accepted, and so on.
    pub conn: u64,
    /// The client that sent it.
    pub client_id: String,
    /// The text as it came.
    pub text: String,
}

/// Something that happened, for a log. Its `Display` is one line of JSON:
///
/// ```
/// use hermes_mio::gateway::Record;
///
/// let record = Record::Resumed { conn: 2, client_id: "client-1".into() };
/// assert_eq!(record.to_string(), r#"{"gateway":"resumed","conn":2,"clientId":"client-1"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "gateway", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Record {
    /// A TCP connection was accepted.
    Connected {
        /// The connection: 1 for the first one, and so on.
        conn: u64,
        /// The peer's address.
        peer: SocketAddr,
    },
    /// A connection was given a fresh session.
    SessionInit {
        /// The connection.
        conn: u64,
        /// The new client.
        client_id: String,
    },
    /// A connection took up an earlier session.
    Resumed {
        /// The connection.
        conn: u64,
        /// The client that is back.
        client_id: String,
    },
    /// A message was received.
    Message(Received),
    /// Records were dropped here, since the [log](super::Log)'s reader fell behind.
    RecordsDropped {
        /// Number of records that were dropped.
        records: u64,
    },
    /// A connection ended.
    Disconnected {
        /// The connection.
        conn: u64,
        /// The client that was on it.
        client_id: Option<String>,
        /// Why, in words.
        reason: String,
        /// Texts received on it.
        received: u64,
        /// Texts sent on it.
        sent: u64,
    },
}

/// The reason in [`Record::Disconnected`].
pub(super) type Reason = Cow<'static, str>;

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&line)
    }
}
