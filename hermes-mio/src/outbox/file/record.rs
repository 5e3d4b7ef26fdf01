//! The records of an outbox file, as bytes.
//!
//! A record carries its client, its id and a checksum, so that it can be found and trusted by itself
//! in a file whose tree is damaged.

use hermes_proto::MessageId;

/// The start of each record. Its first byte is in no UTF-8 text.
pub(super) const MAGIC: [u8; 8] = *b"\xFFHermes\x01";

/// Magic, checksum, kind, length of the name, length of the payload, and three numbers.
pub(super) const HEADER_BYTES: usize = 8 + 4 + 1 + 1 + 4 + 3 * 8;

/// A record, whose name and payload are slices of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A message of a client.
    Message(Message<'a>),
    /// What is known of a client beside its messages.
    Client(ClientRecord<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) client: &'a str,
    pub(super) id: MessageId,
    pub(super) kind: Kind,
    pub(super) expires_unix_ms: Option<u64>,
    pub(super) stored_unix_ms: u64,
    pub(super) payload: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientRecord<'a> {
    pub(super) client: &'a str,
    /// The id of the next message.
    pub(super) next_id: MessageId,
    /// Messages before it are forgotten: those that a damaged file still shows are not taken along.
    pub(super) first_id: MessageId,
}

/// What a message is beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) binary: bool,
    pub(super) uncompressed: bool,
}

const BINARY: u8 = 1;
const UNCOMPRESSED: u8 = 2;
const CLIENT: u8 = 0x80;

/// The lengths in a header.
struct Lengths {
    name: usize,
    payload: usize,
}

impl Lengths {
    fn of(header: &[u8; HEADER_BYTES]) -> Self {
        let payload = u32::from_le_bytes([header[14], header[15], header[16], header[17]]);
        Lengths { name: header[13].into(), payload: payload as usize }
    }
}

/// The length of the record that begins with this header.
pub(super) fn record_bytes(header: &[u8; HEADER_BYTES]) -> usize {
    let Lengths { name, payload } = Lengths::of(header);
    HEADER_BYTES.saturating_add(name).saturating_add(payload)
}

impl<'a> Record<'a> {
    /// Its bytes. `None` if the name has more than 255 bytes, or the payload 4 GiB or more.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let (kind, client, numbers, payload) = match self {
            Record::Message(message) => {
                let binary = if message.kind.binary { BINARY } else { 0 };
                let uncompressed = if message.kind.uncompressed { UNCOMPRESSED } else { 0 };
                // No message expires at the epoch.
                let expires = message.expires_unix_ms.map_or(0, |at| at.max(1));
                let numbers = [message.id.0, expires, message.stored_unix_ms];
                (binary | uncompressed, message.client, numbers, message.payload)
            }
            Record::Client(client) => {
                let numbers = [client.next_id.0, client.first_id.0, 0];
                (CLIENT, client.client, numbers, &[][..])
            }
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + client.len() + payload.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(kind);
        bytes.push(u8::try_from(client.len()).ok()?);
        bytes.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(client.as_bytes());
        bytes.extend_from_slice(payload);
        let checksum = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        Some(bytes)
    }

    /// The record of these bytes. `None` if they are no whole record.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let Lengths { name, payload } = Lengths::of(header);
        let checksum = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let is_whole = header.starts_with(&MAGIC)
            && rest.len() == name.checked_add(payload)?
            && checksum == crc32fast::hash(&bytes[12..]);
        if !is_whole {
            return None;
        }
        let number = |n: usize| {
            let at = 18 + 8 * n;
            header[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
        };
        let (name, payload) = rest.split_at(name);
        let client = str::from_utf8(name).ok()?;
        Some(if header[12] == CLIENT {
            let (next_id, first_id) = (MessageId(number(0)?), MessageId(number(1)?));
            Record::Client(ClientRecord { client, next_id, first_id })
        } else {
            let binary = header[12] & BINARY != 0;
            let uncompressed = header[12] & UNCOMPRESSED != 0;
            Record::Message(Message {
                client,
                id: MessageId(number(0)?),
                kind: Kind { binary, uncompressed },
                expires_unix_ms: number(1).filter(|at| *at != 0),
                stored_unix_ms: number(2)?,
                payload,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> [Record<'static>; 3] {
        let message = Message {
            client: "default",
            id: MessageId(7),
            kind: Kind { binary: false, uncompressed: true },
            expires_unix_ms: Some(1),
            stored_unix_ms: u64::MAX,
            payload: b"{\"n\":1}",
        };
        let kind = Kind { binary: true, uncompressed: false };
        [
            Record::Message(message),
            Record::Message(Message { kind, expires_unix_ms: None, payload: b"", ..message }),
            Record::Client(ClientRecord {
                client: "\u{e9}",
                next_id: MessageId(u64::MAX),
                first_id: MessageId(3),
            }),
        ]
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for record in records() {
            let bytes = record.encode().unwrap();
            assert_eq!(Record::decode(&bytes), Some(record));
            assert_eq!(record_bytes(bytes.first_chunk().unwrap()), bytes.len());
        }
    }

    #[test]
    fn a_record_with_any_other_bit_is_none() {
        for record in records() {
            let bytes = record.encode().unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Record::decode(&bytes), None, "bit {bit}");
            }
            for len in 0..bytes.len() {
                assert_eq!(Record::decode(&bytes[..len]), None, "{len} bytes");
            }
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let client = "n".repeat(256);
        let record =
            ClientRecord { client: &client[..255], next_id: MessageId(1), first_id: MessageId(1) };
        assert!(Record::Client(record).encode().is_some());
        assert_eq!(Record::Client(ClientRecord { client: &client, ..record }).encode(), None);
    }
}
