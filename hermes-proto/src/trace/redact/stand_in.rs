//! Stand-ins of secrets.

use alloc::string::String;

/// The byte that replaces each byte of a secret.
pub(super) const STAND_IN: u8 = b'x';

/// A text of the secret's length, so that positions in a recording stay right.
pub(super) fn stand_in(secret: &str) -> String {
    "x".repeat(secret.len())
}
