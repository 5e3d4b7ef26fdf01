//! JSON without std: by serde_json, which can then write only into memory of its own.

use alloc::vec::Vec;

use serde::Serialize;

/// Appends a value to `to`.
///
/// # Errors
///
/// If its `Serialize` fails.
pub(crate) fn write<T>(value: &T, to: &mut Vec<u8>) -> Result<(), serde_json::Error>
where
    T: Serialize + ?Sized,
{
    to.extend_from_slice(&serde_json::to_vec(value)?);
    Ok(())
}
