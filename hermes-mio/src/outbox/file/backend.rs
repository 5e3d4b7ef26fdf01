//! The file below the database, which is synced as its policy has it.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

use super::Survives;

/// A file whose syncs the policy may leave out, and whose failed syncs are remembered.
///
/// It takes no locks: [`Lock`](super::lock::Lock) says whose the file is.
#[derive(Debug)]
pub(super) struct Backend {
    file: FileBackend,
    survives: Survives,
    /// A sync failed: bytes that the system shows may not be on the disk, and a later sync may say
    /// nothing of them.
    sync_failed: Arc<AtomicBool>,
}

impl Backend {
    pub(super) fn new(
        file: File,
        survives: Survives,
        sync_failed: Arc<AtomicBool>,
    ) -> Result<Self, DatabaseError> {
        Ok(Backend { file: FileBackend::new(file)?, survives, sync_failed })
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.survives {
            // The system has the bytes, in order, whatever becomes of the process.
            Survives::Process => Ok(()),
            Survives::Machine => self.file.sync_data().inspect_err(|_| {
                self.sync_failed.store(true, Ordering::Relaxed);
            }),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}
