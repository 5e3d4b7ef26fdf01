//! A proxy's refusal.

use hermes_proto::CloseReason;

/// A proxy's reason for not leading there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProxyRefusal {
    /// HTTP's status, or SOCKS5's reply.
    pub(super) status: Option<u16>,
    pub(super) text: String,
}

/// Characters of a proxy's own text: its reason phrase, and the body of its refusal.
pub(super) const MAX_TEXT: usize = 200;

impl ProxyRefusal {
    pub(super) fn new(text: &str) -> Self {
        Self::with(None, text)
    }

    pub(super) fn with(status: Option<u16>, text: &str) -> Self {
        let printable = |char: char| if char.is_control() { ' ' } else { char };
        ProxyRefusal { status, text: text.chars().take(MAX_TEXT).map(printable).collect() }
    }

    /// As the end of a connection by way of `server`.
    pub(super) fn of(self, server: &str) -> CloseReason {
        CloseReason::Proxy { status: self.status, text: format!("{server}: {}", self.text).into() }
    }
}
