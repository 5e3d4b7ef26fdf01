//! Which names are those of secrets.

use alloc::string::String;

/// Parts of names whose values a [redacted](crate::trace::Recorder::redacted) recording withholds:
/// of members of JSON, and of header fields. Case, `-` and `_` do not count.
pub const SECRET_NAME_PARTS: &[&str] = &[
    "token",
    "passw",
    "passphrase",
    "secret",
    "authoriz",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "signature",
    "cookie",
    "jwt",
    "bearer",
    "session",
];

/// Whole words of such names: `auth` in `x-auth` and `authKey`, not in `author`.
pub const SECRET_NAME_WORDS: &[&str] = &["auth", "pass", "pwd", "key", "sid", "otp", "pin"];

/// Longest name that is compared. A longer one counts as a secret's.
pub(super) const MAX_LEN: usize = 128;

/// Whether a [redacted](crate::trace::Recorder::redacted) recording withholds the value of a JSON
/// member or header field of this name.
pub fn is_secret_name(name: &str) -> bool {
    let (mut letters, mut word, mut was_lower) = (String::new(), String::new(), false);
    let is_word = |word: &str| SECRET_NAME_WORDS.contains(&word);
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && was_lower {
            if is_word(&word) {
                return true;
            }
            word.clear();
        }
        was_lower = c.is_lowercase();
        let lower = c.to_lowercase().filter(|c| c.is_alphanumeric());
        word.extend(lower.clone());
        letters.extend(lower);
    }
    is_word(&word) || SECRET_NAME_PARTS.iter().any(|part| letters.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "token",
            "accessToken",
            "X-Api-Key",
            "api_key",
            "APIKEY",
            "passwd",
            "Password",
            "auth",
            "authKey",
            "X-Auth",
            "jwt",
            "bearer",
            "pwd",
            "pass",
            "accessKey",
            "access-key",
            "privateKey",
            "signature",
            "sessionId",
            "session",
            "key",
            "Set-Cookie",
            "secret",
            "Authorization",
            "credentials",
            "user_pwd",
            "sid",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "type",
            "text",
            "sender",
            "author",
            "passenger",
            "monkey",
            "keyboard",
            "clientId",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Accept",
            "Retry-After",
            "Location",
            "spin",
            "",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
