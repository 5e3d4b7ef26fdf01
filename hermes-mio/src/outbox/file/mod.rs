//! The outbox in a file.

mod backend;
mod convert;
#[cfg(test)]
mod crash_tests;
mod database;
mod lock;
mod record;
mod repair;
mod salvage;

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hermes_proto::{MessageId, StoredOutbox};

use self::backend::Backend;
use self::convert::{edit, restored, summarize};
use self::database::{Edit, Problem, Tables};
use self::lock::{Lock, LockError};
use self::record::Record;
use super::{LoadLimits, OutboxChange, OutboxError, OutboxStore};
use crate::private_file;

/// An outbox in a file, an embedded database ([redb](https://docs.rs/redb)), that only its owner can
/// read (mode 0600).
///
/// At any moment, and after a crash, it holds what was committed. The disk's word is taken for it: a
/// disk that says it has written and has not can lose messages and damage the file. The file is at
/// least 72 KiB, and grows with the messages in it to some two or three times their bytes; it shrinks
/// when it is opened.
///
/// It is for one process: a second one is [refused](OutboxError::InUse), by a lock on a file beside
/// it, `NAME.lock`, which stays. Clients of one process share it as a [`SharedOutbox`](crate::SharedOutbox).
///
/// Every page is checked when the file is opened. A damaged file is set aside as `NAME.corrupt` (or
/// `NAME.corrupt-1`, and so on), with a warning, and the messages in it that can be read are taken
/// along: some of them may have been acknowledged before, and are sent again.
///
/// Only regular files are taken, and no symbolic links. Missing directories are made (mode 0700).
#[derive(Debug)]
pub struct FileOutbox {
    path: PathBuf,
    survives: Survives,
    /// Held from the first use on.
    lock: Option<Lock>,
    /// `None` before the first use, and after a failure, which the database does not outlive.
    tables: Option<Tables>,
    sync_failed: Arc<AtomicBool>,
}

/// The failure that a [`FileOutbox`] survives: each message reported durable is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Survives {
    /// The process's death, such as by `kill -9`. A commit is a write. If the machine dies, the file
    /// may be damaged, and messages of its last seconds are lost.
    Process,
    /// The machine's death too, such as by a power failure. A commit is a write and a sync.
    #[default]
    Machine,
}

/// A client's messages in a [`FileOutbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxSummary {
    /// The client's name.
    pub client: String,
    /// The number of its messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was stored, in milliseconds since 1970.
    pub oldest_unix_ms: Option<u64>,
}

impl FileOutbox {
    /// An outbox in the file at `path`, which need not exist. It is opened, and locked, when it is
    /// first used.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileOutbox {
            path: path.into(),
            survives: Survives::default(),
            lock: None,
            tables: None,
            sync_failed: Arc::default(),
        }
    }

    /// The failure that it survives. Default: [`Survives::Machine`].
    #[must_use]
    pub fn survives(self, survives: Survives) -> Self {
        FileOutbox { survives, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, by client.
    ///
    /// # Errors
    ///
    /// If it can't be used.
    pub fn summary(
        &mut self,
        warnings: &mut Vec<OutboxError>,
    ) -> Result<Vec<OutboxSummary>, OutboxError> {
        let mut clients: Vec<OutboxSummary> = Vec::new();
        self.with_tables("read", warnings, |tables| {
            tables.visit_all(|record| {
                summarize(&mut clients, &record);
                Ok(())
            })
        })?;
        Ok(clients)
    }

    /// Forgets all messages of all clients.
    ///
    /// # Errors
    ///
    /// If it can't be used. Then nothing is forgotten.
    pub fn clear(&mut self, warnings: &mut Vec<OutboxError>) -> Result<(), OutboxError> {
        self.with_tables("write", warnings, |tables| {
            let mut clients = Vec::new();
            tables.visit_all(|record| {
                if let Record::Client(client) = record {
                    clients.push((client.client.to_owned(), client.next_id));
                }
                Ok(())
            })?;
            tables.edit(clients.iter().map(|(client, next_id)| Edit::Remove {
                client,
                from: MessageId(0),
                to: MessageId(next_id.0.saturating_sub(1)),
            }))
        })
    }

    /// Runs `f` on the open tables. After a failure they are opened anew the next time: the database
    /// does not go on after an I/O error.
    fn with_tables<T>(
        &mut self,
        action: &'static str,
        warnings: &mut Vec<OutboxError>,
        f: impl FnOnce(&Tables) -> Result<T, Problem>,
    ) -> Result<T, OutboxError> {
        let tables = match self.tables.take() {
            Some(tables) => tables,
            None => self.open(warnings)?,
        };
        // The database may panic at pages that are damaged.
        let done = panic::catch_unwind(AssertUnwindSafe(|| f(&tables)))
            .unwrap_or_else(|_| Err(Problem::Damaged("the database panicked".to_owned())));
        match done {
            Ok(value) => {
                self.tables = Some(tables);
                Ok(value)
            }
            Err(Problem::Unstorable(problem)) => {
                self.tables = Some(tables);
                Err(OutboxError::Other(problem.into()))
            }
            Err(Problem::Damaged(problem)) => {
                drop(tables);
                Err(self.take_along(&problem).unwrap_or_else(|error| error))
            }
            Err(problem) => Err(self.problem(action, problem)),
        }
    }
}

/// Opening.
impl FileOutbox {
    fn open(&mut self, warnings: &mut Vec<OutboxError>) -> Result<Tables, OutboxError> {
        if self.lock.is_none() {
            self.lock = Some(self.lock()?);
        }
        let found = private_file::check_unlinked(&self.path);
        let metadata = match found.map_err(|error| self.failure("open", error))? {
            Some(metadata) if metadata.len() > 0 => metadata,
            // An empty file has no message either.
            _ => {
                let created = self.replace(None, |_| Ok(()));
                created.map_err(|error| self.failure("create", error))?;
                return self.open_file().map_err(|problem| self.problem("open", problem));
            }
        };
        self.make_private(&metadata, warnings);
        match self.open_file() {
            Ok(tables) if !self.sync_failed.load(Ordering::Relaxed) => return Ok(tables),
            Ok(tables) => self.rewrite(&tables)?,
            Err(Problem::Damaged(problem)) => warnings.push(self.take_along(&problem)?),
            Err(problem) => return Err(self.problem("open", problem)),
        }
        self.sync_failed.store(false, Ordering::Relaxed);
        self.open_file().map_err(|problem| self.problem("open", problem))
    }

    fn lock(&self) -> Result<Lock, OutboxError> {
        let directory = private_file::parent(&self.path);
        let made = private_file::make_directories(directory);
        made.map_err(|error| self.failure("make the directory of", error))?;
        Lock::acquire(&self.path).map_err(|error| match error {
            LockError::Held(owner) => OutboxError::InUse { path: self.path.clone(), owner },
            LockError::Io(error) => self.failure("lock", error),
        })
    }

    fn open_file(&self) -> Result<Tables, Problem> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.map_err(redb::Error::Io)?;
        open_tables(file, self.survives, &self.sync_failed)
    }

    fn make_private(&self, metadata: &Metadata, warnings: &mut Vec<OutboxError>) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                match std::fs::set_permissions(&self.path, PermissionsExt::from_mode(0o600)) {
                    Ok(()) => warnings.push(OutboxError::Exposed { path: self.path.clone(), mode }),
                    Err(error) => warnings.push(self.failure("set the mode of", error)),
                }
            }
        }
        #[cfg(not(unix))]
        let _ = (metadata, warnings);
    }

    fn problem(&self, action: &'static str, problem: Problem) -> OutboxError {
        self.failure(action, problem.into_io())
    }

    fn failure(&self, action: &'static str, source: io::Error) -> OutboxError {
        OutboxError::File { action, path: self.path.clone(), source }
    }
}

impl OutboxStore for FileOutbox {
    fn load(
        &mut self,
        client: &str,
        after: MessageId,
        limits: LoadLimits,
        warnings: &mut Vec<OutboxError>,
    ) -> Result<StoredOutbox, OutboxError> {
        self.with_tables("read", warnings, |tables| {
            let (mut messages, mut bytes) = (Vec::new(), 0_u64);
            let has_all = tables.visit(client, after, |message| {
                bytes = bytes.saturating_add(message.payload.len() as u64);
                let fits = (messages.len() as u64) < limits.messages && bytes <= limits.bytes;
                // The core says that a message fits into no outbox.
                if fits || messages.is_empty() {
                    messages.push(restored(&message)?);
                    return Ok(true);
                }
                Ok(false)
            })?;
            Ok(StoredOutbox { next_id: tables.next_id(client)?, messages, has_more: !has_all })
        })
    }

    fn commit(&mut self, changes: &[OutboxChange]) -> Result<(), OutboxError> {
        let mut warnings = Vec::new();
        let stored_unix_ms = unix_ms();
        let done = self.with_tables("write", &mut warnings, |tables| {
            tables.edit(changes.iter().map(|change| edit(change, stored_unix_ms)))
        });
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        done
    }
}

fn open_tables(
    file: File,
    survives: Survives,
    sync_failed: &Arc<AtomicBool>,
) -> Result<Tables, Problem> {
    let storage = Backend::new(file, survives, Arc::clone(sync_failed))?;
    // The database may panic at pages that are damaged.
    panic::catch_unwind(AssertUnwindSafe(|| Tables::open(storage)))
        .unwrap_or_else(|_| Err(Problem::Damaged("the database panicked".to_owned())))
}

/// The wall clock.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
