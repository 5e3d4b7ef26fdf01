//! The tables of an outbox file.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use hermes_proto::MessageId;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, StorageBackend, Table, TableDefinition,
    TableError,
};

use super::record::{ClientRecord, Message, Record};

/// [Records](Record) of messages, by client and id.
const MESSAGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("messages");

/// [Records](Record) of clients, by name.
const CLIENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("clients");

/// Pages in memory. An outbox is written far more often than read.
const CACHE_BYTES: usize = 4 << 20;

/// Messages of all clients, and the next id of each.
#[derive(Debug)]
pub(super) struct Tables {
    database: Database,
}

/// Why the tables can't be used.
#[derive(Debug)]
pub(super) enum Problem {
    /// The file is damaged, or something else. In words.
    Damaged(String),
    /// A record that no file can hold. In words.
    Unstorable(String),
    /// The system failed.
    Failed(redb::Error),
}

/// A change to the tables.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit<'a> {
    Insert(Message<'a>),
    /// Removes a client's messages in this range, both ends included.
    Remove {
        client: &'a str,
        from: MessageId,
        to: MessageId,
    },
    /// The next message has this id at least.
    Reserve {
        client: &'a str,
        next_id: MessageId,
        first_id: MessageId,
    },
}

impl Tables {
    /// Opens the tables, which are made if the storage is empty, and checks every page of them.
    pub(super) fn open(storage: impl StorageBackend) -> Result<Self, Problem> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let is_new = storage.len().map_err(redb::Error::Io)? == 0;
        let database = builder.create_with_backend(storage)?;
        if is_new {
            let transaction = database.begin_write()?;
            transaction.open_table(MESSAGES)?;
            transaction.open_table(CLIENTS)?;
            transaction.commit()?;
        }
        let transaction = database.begin_read()?;
        transaction.open_table(MESSAGES)?;
        transaction.open_table(CLIENTS)?;
        transaction.close()?;
        Ok(Tables { database })
    }

    /// Makes changes, all or none.
    pub(super) fn edit<'a>(
        &self,
        edits: impl IntoIterator<Item = Edit<'a>>,
    ) -> Result<(), Problem> {
        let transaction = self.database.begin_write()?;
        {
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut clients = transaction.open_table(CLIENTS)?;
            // The least record that each client must have.
            let mut touched = BTreeMap::new();
            for edit in edits {
                let (client, next_id, first_id) = apply(edit, &mut messages)?;
                let least = touched.entry(client).or_insert((next_id, first_id));
                *least = (least.0.max(next_id), least.1.max(first_id));
            }
            for (client, (next_id, first_id)) in touched {
                update_client(client, next_id, first_id, &messages, &mut clients)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The id of a client's next message.
    pub(super) fn next_id(&self, client: &str) -> Result<MessageId, Problem> {
        let clients = self.database.begin_read()?.open_table(CLIENTS)?;
        Ok(client_record(&clients, client, |record| record.next_id)?.unwrap_or(MessageId(1)))
    }

    /// Shows a client's messages behind `after`, in order, for as long as `visit` returns `true`.
    /// Returns whether it took them all.
    pub(super) fn visit(
        &self,
        client: &str,
        after: MessageId,
        mut visit: impl FnMut(Message<'_>) -> Result<bool, Problem>,
    ) -> Result<bool, Problem> {
        let messages = self.database.begin_read()?.open_table(MESSAGES)?;
        let Some(first) = after.0.checked_add(1) else { return Ok(true) };
        for entry in messages.range((client, first)..=(client, u64::MAX))? {
            let (_, value) = entry?;
            if !visit(decode_message(value.value())?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Shows all records.
    pub(super) fn visit_all(
        &self,
        mut visit: impl FnMut(Record<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let transaction = self.database.begin_read()?;
        for entry in transaction.open_table(CLIENTS)?.iter()? {
            visit(decode(entry?.1.value())?)?;
        }
        for entry in transaction.open_table(MESSAGES)?.iter()? {
            visit(decode(entry?.1.value())?)?;
        }
        Ok(())
    }
}

impl<'a> Edit<'a> {
    /// The change that brings a record of another file.
    pub(super) fn of(record: Record<'a>) -> Self {
        match record {
            Record::Message(message) => Edit::Insert(message),
            Record::Client(ClientRecord { client, next_id, first_id }) => {
                Edit::Reserve { client, next_id, first_id }
            }
        }
    }
}

impl Problem {
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Problem::Damaged(problem) | Problem::Unstorable(problem) => io::Error::other(problem),
            Problem::Failed(redb::Error::Io(error)) => error,
            Problem::Failed(error) => io::Error::other(error),
        }
    }
}

/// Changes the messages. Returns the client, and the least `next_id` and `first_id` of its record.
fn apply<'a>(
    edit: Edit<'a>,
    messages: &mut Table<'_, (&'static str, u64), &'static [u8]>,
) -> Result<(&'a str, MessageId, MessageId), Problem> {
    let after = |id: MessageId| MessageId(id.0.saturating_add(1));
    Ok(match edit {
        Edit::Insert(message) => {
            let bytes = encode(&Record::Message(message))?;
            messages.insert((message.client, message.id.0), &bytes[..])?;
            (message.client, after(message.id), MessageId(1))
        }
        Edit::Remove { client, from, to } => {
            messages.retain_in((client, from.0)..=(client, to.0), |_, _| false)?;
            (client, after(to), MessageId(1))
        }
        Edit::Reserve { client, next_id, first_id } => (client, next_id, first_id),
    })
}

fn update_client(
    client: &str,
    next_id: MessageId,
    first_id: MessageId,
    messages: &Table<'_, (&'static str, u64), &'static [u8]>,
    clients: &mut Table<'_, &'static str, &'static [u8]>,
) -> Result<(), Problem> {
    let old = client_record(clients, client, |record| (record.next_id, record.first_id))?;
    let (old_next, old_first) = old.unwrap_or((MessageId(1), MessageId(1)));
    let next_id = next_id.max(old_next);
    let first_left = first_message(messages, client)?.unwrap_or(next_id);
    let first_id = first_id.max(old_first).max(first_left);
    if old != Some((next_id, first_id)) {
        let record = encode(&Record::Client(ClientRecord { client, next_id, first_id }))?;
        clients.insert(client, &record[..])?;
    }
    Ok(())
}

fn first_message(
    messages: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    client: &str,
) -> Result<Option<MessageId>, Problem> {
    let first = messages.range((client, 0)..=(client, u64::MAX))?.next().transpose()?;
    Ok(first.map(|(key, _)| MessageId(key.value().1)))
}

fn client_record<T>(
    clients: &impl ReadableTable<&'static str, &'static [u8]>,
    client: &str,
    read: impl FnOnce(ClientRecord<'_>) -> T,
) -> Result<Option<T>, Problem> {
    let Some(value) = clients.get(client)? else { return Ok(None) };
    match decode(value.value())? {
        Record::Client(record) => Ok(Some(read(record))),
        Record::Message(_) => Err(Problem::Damaged("a message in place of a client".to_owned())),
    }
}

fn encode(record: &Record<'_>) -> Result<Vec<u8>, Problem> {
    record.encode().ok_or_else(|| Problem::Unstorable("a message of 4 GiB or more".to_owned()))
}

fn decode(bytes: &[u8]) -> Result<Record<'_>, Problem> {
    Record::decode(bytes).ok_or_else(|| Problem::Damaged("a record is damaged".to_owned()))
}

fn decode_message(bytes: &[u8]) -> Result<Message<'_>, Problem> {
    match decode(bytes)? {
        Record::Message(message) => Ok(message),
        Record::Client(_) => Err(Problem::Damaged("a client in place of a message".to_owned())),
    }
}

impl From<redb::Error> for Problem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(problem) => Problem::Damaged(problem),
            // Not a file of redb at all.
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Problem::Damaged("it is no outbox".to_owned())
            }
            // The file ends before a page that it should have.
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Problem::Damaged("it is cut short".to_owned())
            }
            redb::Error::UpgradeRequired(_)
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_) => Problem::Damaged("it is no outbox".to_owned()),
            error => Problem::Failed(error),
        }
    }
}

macro_rules! from_errors {
    ($($error:ty),+) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        })+
    };
}
from_errors!(
    redb::DatabaseError,
    redb::TransactionError,
    TableError,
    redb::StorageError,
    redb::CommitError
);
