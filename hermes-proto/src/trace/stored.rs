//! Messages of the outbox store, as a trace has them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Frame, MessageId, Outgoing, StoredMessage, StoredOutbox, Text};

/// A [`StoredMessage`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRecord {
    id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    uncompressed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_unix_ms: Option<u64>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl From<&StoredMessage> for MessageRecord {
    fn from(stored: &StoredMessage) -> Self {
        let StoredMessage { id, message, expires_unix_ms } = stored;
        let (text, data) = match message.frame() {
            Frame::Text(text) => (Some(text.clone()), None),
            Frame::Binary(data) | Frame::Ping(data) | Frame::Pong(data) => {
                (None, Some(BASE64.encode(data)))
            }
        };
        let (uncompressed, expires_unix_ms) = (message.is_uncompressed(), *expires_unix_ms);
        MessageRecord { id: id.0, text, data, uncompressed, expires_unix_ms }
    }
}

impl TryFrom<MessageRecord> for StoredMessage {
    type Error = String;

    fn try_from(record: MessageRecord) -> Result<Self, String> {
        let message = match (record.text, record.data) {
            (Some(text), None) => Outgoing::text(text),
            (None, Some(data)) => Outgoing::binary(
                BASE64.decode(data).map_err(|error| format!("\"data\" is not base64: {error}"))?,
            ),
            _ => return Err("a stored message needs \"text\" or \"data\"".to_string()),
        };
        let message = if record.uncompressed { message.uncompressed() } else { message };
        let (id, expires_unix_ms) = (MessageId(record.id), record.expires_unix_ms);
        Ok(StoredMessage { id, message, expires_unix_ms })
    }
}

/// Records of stored messages, to be written.
pub(super) fn records(messages: &[StoredMessage]) -> Vec<MessageRecord> {
    messages.iter().map(MessageRecord::from).collect()
}

/// Stored messages of a JSON array of records.
pub(super) fn parse(json: &str) -> Result<Vec<StoredMessage>, String> {
    let records: Vec<MessageRecord> =
        serde_json::from_str(json).map_err(|error| super::parse::json_problem(&error))?;
    records.into_iter().map(StoredMessage::try_from).collect()
}

/// A [`StoredOutbox`] in a header.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboxRecord {
    next_id: u64,
    #[serde(default)]
    messages: Vec<MessageRecord>,
    #[serde(default)]
    has_more: bool,
}

pub(super) fn serialize<S: Serializer>(
    outbox: &Option<StoredOutbox>,
    s: S,
) -> Result<S::Ok, S::Error> {
    let record = outbox.as_ref().map(|outbox| OutboxRecord {
        next_id: outbox.next_id.0,
        messages: records(&outbox.messages),
        has_more: outbox.has_more,
    });
    record.serialize(s)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<StoredOutbox>, D::Error> {
    let Some(record) = Option::<OutboxRecord>::deserialize(d)? else { return Ok(None) };
    let messages = record.messages.into_iter().map(StoredMessage::try_from);
    let messages = messages.collect::<Result<_, _>>().map_err(serde::de::Error::custom)?;
    let (next_id, has_more) = (MessageId(record.next_id), record.has_more);
    Ok(Some(StoredOutbox { next_id, messages, has_more }))
}
