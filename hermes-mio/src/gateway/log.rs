//! The log: records on their way to a reader, in bounded memory.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::record::Record;

/// The gateway's end of a log. The gateway never waits for the reader.
#[derive(Clone, Debug)]
pub struct Log {
    records: mpsc::Sender<Record>,
    shared: Arc<Shared>,
    max_bytes: usize,
}

/// The reader's end of a log: an iterator over the records, which waits for the next one and ends
/// when the gateway has stopped.
#[derive(Debug)]
pub struct LogReader {
    records: mpsc::Receiver<Record>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes of the records that wait.
    bytes: AtomicUsize,
    /// Records dropped since the reader was told last.
    dropped: AtomicU64,
}

impl Log {
    /// A log in which records of `max_bytes` together may wait for the reader. Further ones are
    /// dropped, and a [`Record::RecordsDropped`] reports the gap.
    pub fn new(max_bytes: usize) -> (Self, LogReader) {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let log = Log { records: sender, shared: Arc::clone(&shared), max_bytes };
        (log, LogReader { records: receiver, shared })
    }

    /// Returns whether there is a reader.
    pub(super) fn push(&self, record: Record) -> bool {
        let bytes = record_bytes(&record);
        // One record fits at any time: only a reader that falls behind misses any.
        let waiting = self.shared.bytes.load(Ordering::Acquire);
        if waiting > 0 && waiting.saturating_add(bytes) > self.max_bytes {
            self.shared.dropped.fetch_add(1, Ordering::AcqRel);
            return true;
        }
        self.push_gap() && self.push_unbounded(record)
    }

    fn push_gap(&self) -> bool {
        match self.shared.dropped.swap(0, Ordering::AcqRel) {
            0 => true,
            records => self.push_unbounded(Record::RecordsDropped { records }),
        }
    }

    fn push_unbounded(&self, record: Record) -> bool {
        self.shared.bytes.fetch_add(record_bytes(&record), Ordering::AcqRel);
        self.records.send(record).is_ok()
    }
}

impl Iterator for LogReader {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let record = match self.records.try_recv() {
            Ok(record) => record,
            Err(_) => {
                // All that waited was read: what was dropped came behind it.
                let records = self.shared.dropped.swap(0, Ordering::AcqRel);
                if records > 0 {
                    return Some(Record::RecordsDropped { records });
                }
                self.records.recv().ok()?
            }
        };
        self.shared.bytes.fetch_sub(record_bytes(&record), Ordering::AcqRel);
        Some(record)
    }
}

/// Memory of a record, in bytes.
fn record_bytes(record: &Record) -> usize {
    let text = match record {
        Record::Message(message) => message.client_id.len() + message.text.len(),
        Record::Disconnected { reason, .. } => reason.len(),
        _ => 0,
    };
    mem::size_of::<Record>() + text
}
