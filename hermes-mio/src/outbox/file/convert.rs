//! Messages of the core as records of the file, and back.

use hermes_proto::{Frame, Outgoing, StoredMessage};

use super::OutboxSummary;
use super::database::{Edit, Problem};
use super::record::{Kind, Message, Record};
use crate::outbox::OutboxChange;

pub(super) fn edit(change: &OutboxChange, stored_unix_ms: u64) -> Edit<'_> {
    match change {
        OutboxChange::Store { client, message } => {
            let (binary, payload) = match message.message.frame() {
                Frame::Binary(data) => (true, &data[..]),
                Frame::Text(text) => (false, text.as_bytes()),
                _ => (false, &[][..]),
            };
            Edit::Insert(Message {
                client,
                id: message.id,
                kind: Kind { binary, uncompressed: message.message.is_uncompressed() },
                expires_unix_ms: message.expires_unix_ms,
                stored_unix_ms,
                payload,
            })
        }
        OutboxChange::Forget { client, from, to } => Edit::Remove { client, from: *from, to: *to },
    }
}

pub(super) fn restored(message: &Message<'_>) -> Result<StoredMessage, Problem> {
    let outgoing = if message.kind.binary {
        Outgoing::binary(message.payload.to_vec())
    } else {
        let text = str::from_utf8(message.payload);
        Outgoing::text(text.map_err(|_| Problem::Damaged("a text is not UTF-8".to_owned()))?)
    };
    let outgoing = if message.kind.uncompressed { outgoing.uncompressed() } else { outgoing };
    let expires_unix_ms = message.expires_unix_ms;
    Ok(StoredMessage { id: message.id, message: outgoing, expires_unix_ms })
}

pub(super) fn summarize(clients: &mut Vec<OutboxSummary>, record: &Record<'_>) {
    let name = match record {
        Record::Client(client) => client.client,
        Record::Message(message) => message.client,
    };
    // In the order of names: first the clients, then their messages.
    let at = match clients.binary_search_by(|summary| summary.client.as_str().cmp(name)) {
        Ok(at) => at,
        Err(at) => {
            let client = name.to_owned();
            let summary = OutboxSummary { client, messages: 0, bytes: 0, oldest_unix_ms: None };
            clients.insert(at, summary);
            at
        }
    };
    if let Record::Message(message) = record {
        let summary = &mut clients[at];
        summary.messages += 1;
        summary.bytes += message.payload.len() as u64;
        let oldest = summary.oldest_unix_ms.unwrap_or(u64::MAX);
        summary.oldest_unix_ms = Some(oldest.min(message.stored_unix_ms));
    }
}
