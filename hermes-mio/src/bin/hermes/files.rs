//! Files that the command reads and writes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::Failure;

/// A file that was named on the command line.
#[cfg(feature = "tls")]
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| format!("can't read {}: {error}", file.display()).into())
}

/// Writes a file that only its owner can read. At any moment, and after any crash, it has all of
/// its old content or all of the new.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    replace(file, bytes).map_err(|error| format!("can't write {}: {error}", file.display()).into())
}

fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    check_kind(file)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    // Mode 0600.
    let mut new = tempfile::Builder::new().prefix(".hermes-").tempfile_in(directory)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
}

/// Fails for anything but a regular file: a rename would replace a device or a pipe by a file.
pub(crate) fn check_kind(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(metadata) if !metadata.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
