//! Takes along what can be read of a damaged file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use hermes_proto::MessageId;

use super::database::Problem;
use super::record::{ClientRecord, HEADER_BYTES, MAGIC, Record, record_bytes};

/// The records of a file, found by their marks and not by the file's tree.
///
/// A file has old copies of its pages too. A message that was forgotten is not taken along if any
/// copy of its client's record says so; one that nothing says so of is sent again, which is a
/// repetition and no loss.
#[derive(Debug, Default)]
pub(super) struct Salvage {
    /// Offset of each message, by client and id.
    messages: BTreeMap<String, BTreeMap<MessageId, u64>>,
    /// The newest record of each client.
    clients: BTreeMap<String, (MessageId, MessageId)>,
}

/// Bytes that are searched at a time.
const CHUNK_BYTES: u64 = 1 << 20;

impl Salvage {
    /// Searches a file. Takes memory for the places of messages, and for the longest message.
    pub(super) fn search(file: &mut File) -> io::Result<Self> {
        let mut salvage = Salvage::default();
        let (mut chunk, mut start, mut record_end) = (Vec::new(), 0, 0);
        loop {
            file.seek(SeekFrom::Start(start))?;
            chunk.clear();
            file.by_ref().take(CHUNK_BYTES).read_to_end(&mut chunk)?;
            for at in marks(&chunk).map(|at| start + at as u64) {
                // The payload's bytes are the application's, whatever they look like.
                if at < record_end {
                    continue;
                }
                let Some(bytes) = read_record(file, at)? else { continue };
                if let Some(record) = Record::decode(&bytes) {
                    salvage.note(&record, at);
                    record_end = at + bytes.len() as u64;
                }
            }
            if (chunk.len() as u64) < CHUNK_BYTES {
                break;
            }
            // The last bytes of this chunk may begin a mark.
            start += (chunk.len() - (MAGIC.len() - 1)) as u64;
        }
        salvage.leave_out_forgotten();
        Ok(salvage)
    }

    fn note(&mut self, record: &Record<'_>, at: u64) {
        match record {
            Record::Message(message) => {
                let messages = self.messages.entry(message.client.to_owned()).or_default();
                messages.insert(message.id, at);
            }
            Record::Client(client) => {
                let newest = self.clients.entry(client.client.to_owned()).or_default();
                // Both only ever grow.
                *newest = (newest.0.max(client.next_id), newest.1.max(client.first_id));
            }
        }
    }

    fn leave_out_forgotten(&mut self) {
        for (client, (_, first_id)) in &self.clients {
            if let Some(messages) = self.messages.get_mut(client) {
                *messages = messages.split_off(first_id);
            }
        }
    }

    /// The number of messages.
    pub(super) fn len(&self) -> u64 {
        self.messages.values().map(|messages| messages.len() as u64).sum()
    }

    /// Shows all records, the messages from the file that was searched.
    pub(super) fn records(
        &self,
        file: &mut File,
        mut show: impl FnMut(Record<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        for (client, &(next_id, first_id)) in &self.clients {
            show(Record::Client(ClientRecord { client, next_id, first_id }))?;
        }
        for at in self.messages.values().flat_map(BTreeMap::values) {
            let bytes = read_record(file, *at).map_err(redb::Error::Io)?;
            // Unless the file has changed since.
            if let Some(record) = bytes.as_deref().and_then(Record::decode) {
                show(record)?;
            }
        }
        Ok(())
    }
}

/// The places of marks in a chunk.
fn marks(chunk: &[u8]) -> impl Iterator<Item = usize> {
    let is_mark = |(at, window): (usize, &[u8])| (window == MAGIC).then_some(at);
    chunk.windows(MAGIC.len()).enumerate().filter_map(is_mark)
}

/// The bytes of the record at this offset, if the file is long enough.
fn read_record(file: &mut File, at: u64) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    let Some(len) = bytes.first_chunk().map(record_bytes) else { return Ok(None) };
    if file.metadata()?.len().saturating_sub(at) < len as u64 {
        return Ok(None);
    }
    file.by_ref().take((len - HEADER_BYTES) as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len() == len).then_some(bytes))
}
