//! Names to addresses, off the loop.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::MemberId;
use crate::driver::notify::Notifier;
use crate::net::lookup_pool::{self, Answer, Ticket};

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

/// A loop's lookups that wait for their answer, one for each host and resolver at most.
///
/// A lookup outlives the attempt that asked for it, until its clients are removed: their next
/// attempt at the same host takes the answer, and a slow name server gets each question once at a
/// time.
pub(crate) struct Lookups {
    /// Names this loop among those of the process.
    owner: u64,
    /// Lookups of the process that may run at a time before those of this loop wait.
    limit: usize,
    pending: Vec<Pending>,
}

struct Pending {
    host: Host,
    resolver: Resolver,
    ticket: Arc<Ticket>,
    wanted_by: Vec<MemberId>,
}

/// The result of a lookup.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) host: Host,
    pub(crate) addresses: Answer,
    pub(crate) wanted_by: Vec<MemberId>,
}

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

impl Lookups {
    pub(crate) fn new(limit: usize) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        Lookups { owner, limit, pending: Vec::new() }
    }

    /// Has a host looked up for a member.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(crate) fn want(
        &mut self,
        host: &Host,
        resolver: &Resolver,
        member: MemberId,
        notifier: &Arc<Notifier>,
    ) -> io::Result<()> {
        let same = |pending: &&mut Pending| pending.host == *host && pending.resolver.is(resolver);
        if let Some(pending) = self.pending.iter_mut().find(same) {
            if !pending.wanted_by.contains(&member) {
                pending.wanted_by.push(member);
            }
            return Ok(());
        }
        let ticket = lookup_pool::look_up(host, resolver, self.owner, self.limit, notifier)?;
        let (host, resolver) = (host.clone(), resolver.clone());
        self.pending.push(Pending { host, resolver, ticket, wanted_by: vec![member] });
        Ok(())
    }

    /// A member is gone. Its lookup is called off if no other member wants it.
    pub(crate) fn forget(&mut self, member: MemberId) {
        self.pending.retain_mut(|pending| {
            pending.wanted_by.retain(|other| *other != member);
            !pending.wanted_by.is_empty()
        });
    }

    /// A lookup that has its answer.
    pub(crate) fn poll(&mut self) -> Option<Found> {
        let mut pending = self.pending.iter().enumerate();
        let (index, addresses) =
            pending.find_map(|(index, it)| Some((index, it.ticket.answer.get()?.clone())))?;
        let Pending { host, wanted_by, .. } = self.pending.swap_remove(index);
        Some(Found { host, addresses, wanted_by })
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
