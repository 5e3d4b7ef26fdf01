//! Credentials that expire.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Fresh credentials for one attempt: the answer to
/// [`Action::AskCredentials`](crate::Action::AskCredentials). Withheld from `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Credentials {
    /// Headers for the upgrade request, names and values, behind those of
    /// [`Config::headers`](crate::Config::headers). The handshake's own can't be set.
    pub headers: Vec<(String, String)>,
    /// The token of a session to resume, in place of the saved one's.
    pub token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Credentials")
            .field("headers", &names)
            .field("token", &self.token.as_ref().map(|_| "[withheld]"))
            .finish()
    }
}
