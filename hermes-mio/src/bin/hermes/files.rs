//! Files that were named on the command line.

use std::fs;
use std::path::Path;

use crate::Failure;

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| format!("can't read {}: {error}", file.display()).into())
}
