//! A host, and a source of names' addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// A name and a port: the other end of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// A source of names' addresses.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl Host {
    /// `name` is as in a URL, with an IPv6 address in brackets.
    pub(crate) fn new(name: &str, port: u16) -> Self {
        let plain = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        Host { name: plain.unwrap_or(name).to_owned(), port }
    }

    /// Its address, if the name is one already.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.name.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal() {
            Some(address) => address.fmt(f),
            None => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl Resolver {
    pub(crate) fn new(
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Resolver(Arc::new(resolve))
    }

    /// Blocks for as long as the resolver likes.
    pub(crate) fn resolve(&self, host: &Host) -> io::Result<Vec<SocketAddr>> {
        (self.0)(&host.name, host.port)
    }

    pub(crate) fn is(&self, other: &Resolver) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The system's resolver.
impl Default for Resolver {
    fn default() -> Self {
        Resolver::new(|name, port| (name, port).to_socket_addrs().map(Iterator::collect))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_lookup() {
        let literal = |name| Host::new(name, 80).literal().map(|address| address.to_string());
        assert_eq!(literal("127.0.0.1").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(literal("[::1]").as_deref(), Some("[::1]:80"));
        assert_eq!(literal("localhost"), None);
        assert_eq!(literal("127.0.0.1.nip.io"), None);
    }

    #[test]
    fn hosts_are_shown_as_in_urls() {
        assert_eq!(Host::new("[::1]", 80).to_string(), "[::1]:80");
        assert_eq!(Host::new("a.example", 443).to_string(), "a.example:443");
    }
}
