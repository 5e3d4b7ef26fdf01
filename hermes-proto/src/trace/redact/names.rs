//! Which names are those of secrets.

/// Parts of the names of secrets.
const SECRET: [&str; 9] = [
    "token",
    "passw",
    "secret",
    "authoriz",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "cookie",
];

/// Longest name that is compared. A longer one counts as a secret's.
pub(super) const MAX_LEN: usize = 128;

pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}
