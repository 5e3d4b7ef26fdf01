//! The lock that keeps an outbox for one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::private_file;

/// The lock of an outbox: a file beside it, `NAME.lock`, that holds the id of the process which has
/// it locked. The system unlocks it when that process ends, however it ends. The file stays.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// Why an outbox could not be locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// A process has it: this one, if it could be read.
    Held(Option<u32>),
    Io(io::Error),
}

impl Lock {
    /// Locks the outbox at `path`.
    pub(super) fn acquire(path: &Path) -> Result<Self, LockError> {
        let lock_path = lock_path(path);
        let mut file = open(&lock_path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(read_owner(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let mut lock = Lock { file };
        lock.write_owner().map_err(LockError::Io)?;
        Ok(lock)
    }

    fn write_owner(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(std::process::id().to_string().as_bytes())
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    private_file::check_unlinked(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private_file::only_for_owner(&mut options);
    options.open(path)
}

/// The process that has the lock. `None` if it has not written its id yet, or the system lets nobody
/// else read a locked file.
fn read_owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(16).read_to_string(&mut text)).ok()?;
    text.parse().ok()
}
