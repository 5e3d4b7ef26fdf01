//! How messages are written as JSON without std: by serde_json, which then writes into memory of its
//! own alone.

use alloc::vec::Vec;

use serde::Serialize;

/// Writes a value behind what is there.
///
/// # Errors
///
/// Where its `Serialize` fails.
pub(crate) fn write<T>(value: &T, to: &mut Vec<u8>) -> Result<(), serde_json::Error>
where
    T: Serialize + ?Sized,
{
    to.extend_from_slice(&serde_json::to_vec(value)?);
    Ok(())
}
