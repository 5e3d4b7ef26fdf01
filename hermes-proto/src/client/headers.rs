//! The application's headers for an upgrade request, and the gateways that must not have them.

use super::gateways::Gateways;
use super::session::Peer;
use crate::config::PlaintextPolicy;
use crate::{Config, Credentials};

/// The headers for the attempt under way.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    pub(super) config: &'a Config,
    pub(super) fresh: Option<&'a Credentials>,
    pub(super) gateways: &'a Gateways,
}

impl<'a> Headers<'a> {
    /// Names and values: the configured ones, then the fresh ones.
    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let is_sent = self.gateways.is_configured_origin();
        let withholds =
            self.config.plaintext_session == PlaintextPolicy::Refuse && self.is_exposed();
        let headers = self.all().filter(move |_| is_sent);
        let headers = headers.filter(move |(_, _, is_secret)| !(withholds && *is_secret));
        headers.map(|(name, value, _)| (name, value))
    }

    /// Whether secret ones would travel in the clear, and that is not allowed.
    pub(super) fn exposes_secrets(self) -> bool {
        self.config.plaintext_session != PlaintextPolicy::Allow
            && self.is_exposed()
            && self.all().any(|(_, _, is_secret)| is_secret)
    }

    /// Each header, and whether it is secret.
    fn all(self) -> impl Iterator<Item = (&'a str, &'a str, bool)> {
        let fresh = self.fresh.into_iter().flat_map(|fresh| &fresh.headers);
        let configured = self.config.headers.iter().map(|it| (it, is_secret(&it.0)));
        let headers = configured.chain(fresh.map(|it| (it, true)));
        headers.map(|((name, value), is_secret)| (name.as_str(), value.as_str(), is_secret))
    }

    /// Whether the gateway is a fallback in the clear of one with TLS.
    fn is_exposed(self) -> bool {
        self.gateways.is_plaintext_fallback()
            && self.gateways.is_configured_origin()
            && !Peer::new(self.gateways.current(), None).is_private
    }
}

/// Whether a header proves an identity, by its name.
fn is_secret(name: &str) -> bool {
    let secrets = ["Authorization", "Proxy-Authorization", "Cookie"];
    secrets.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}
