//! Names to addresses, off the loop: `getaddrinfo` blocks, for as long as it likes.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use crate::MemberId;
use crate::driver::notify::Notifier;

/// A name and a port: where a socket is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// Who knows the addresses of a name.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The lookups of a loop that are under way, one for each host and resolver at most.
///
/// They outlive the connections that wanted them: the next one to the same host takes the answer,
/// so that a slow name server gets each question once at a time, and one thread.
#[derive(Debug, Default)]
pub(crate) struct Lookups(Vec<Lookup>);

/// A lookup on a thread of its own. The thread holds nothing but its end of a channel, so it is
/// simply left behind where nobody wants its answer any more.
#[derive(Debug)]
struct Lookup {
    host: Host,
    resolver: Resolver,
    answer: Receiver<io::Result<Vec<SocketAddr>>>,
    /// Which members want to know.
    wanted_by: Vec<MemberId>,
}

/// What a lookup came to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) host: Host,
    /// At least one, each of them once.
    pub(crate) addresses: Result<Vec<SocketAddr>, String>,
    pub(crate) wanted_by: Vec<MemberId>,
}

impl Host {
    /// `name` is as in a URL, where an IPv6 address is in brackets.
    pub(crate) fn new(name: &str, port: u16) -> Self {
        let plain = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        Host { name: plain.unwrap_or(name).to_owned(), port }
    }

    /// Its address, where the name is one already.
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

    /// Begins to look a host up, and wakes the loop once there is an answer.
    fn look_up(
        &self,
        host: Host,
        notifier: Arc<Notifier>,
    ) -> io::Result<Receiver<io::Result<Vec<SocketAddr>>>> {
        let (reply, answer) = mpsc::sync_channel(1);
        let resolve = Arc::clone(&self.0);
        thread::Builder::new().name("hermes-resolve".into()).spawn(move || {
            let found = panic::catch_unwind(AssertUnwindSafe(|| resolve(&host.name, host.port)))
                .unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")));
            // Where the driver is gone there is nobody to tell.
            if reply.send(found).is_ok() {
                notifier.wake();
            }
        })?;
        Ok(answer)
    }

    fn is(&self, other: &Resolver) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The system's.
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
    /// Has a host looked up for a member, by the lookup that there is or a new one.
    pub(crate) fn want(
        &mut self,
        host: &Host,
        resolver: &Resolver,
        member: MemberId,
        notifier: &Arc<Notifier>,
    ) -> io::Result<()> {
        let running = |lookup: &&mut Lookup| lookup.host == *host && lookup.resolver.is(resolver);
        if let Some(lookup) = self.0.iter_mut().find(running) {
            if !lookup.wanted_by.contains(&member) {
                lookup.wanted_by.push(member);
            }
            return Ok(());
        }
        tracing::debug!(host = host.name, "resolving");
        let answer = resolver.look_up(host.clone(), Arc::clone(notifier))?;
        let (host, resolver) = (host.clone(), resolver.clone());
        self.0.push(Lookup { host, resolver, answer, wanted_by: vec![member] });
        Ok(())
    }

    /// One that has its answer.
    pub(crate) fn poll(&mut self) -> Option<Found> {
        let mut lookups = self.0.iter().enumerate();
        let (index, answer) = lookups.find_map(|(index, lookup)| Some((index, lookup.poll()?)))?;
        let Lookup { host, wanted_by, .. } = self.0.swap_remove(index);
        Some(Found { host, addresses: answer.map_err(|error| error.to_string()), wanted_by })
    }
}

impl Lookup {
    fn poll(&self) -> Option<io::Result<Vec<SocketAddr>>> {
        let answer = match self.answer.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("the lookup's thread died")),
        };
        Some(answer.and_then(|mut found| {
            let mut seen = Vec::new();
            found.retain(|address| {
                let new = !seen.contains(address);
                seen.push(*address);
                new
            });
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            Ok(found)
        }))
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
