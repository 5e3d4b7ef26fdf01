//! Files that were named on the command line.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::Failure;

pub(crate) fn open(file: &Path) -> Result<File, Failure> {
    check(file).and_then(|()| File::open(file)).map_err(|error| problem(file, &error))
}

#[cfg(feature = "tls")]
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    check(file).and_then(|()| std::fs::read(file)).map_err(|error| problem(file, &error))
}

/// Systems open a directory and fail later, or call it a lack of permission.
fn check(file: &Path) -> io::Result<()> {
    if file.is_dir() {
        return Err(io::Error::other("it is a directory; name a file"));
    }
    Ok(())
}

fn problem(file: &Path, error: &io::Error) -> Failure {
    format!("can't read {}: {error}", file.display()).into()
}
