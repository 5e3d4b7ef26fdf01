//! Names to addresses, off the loop: `getaddrinfo` blocks, for as long as it likes.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use hermes_proto::Url;
use mio::Waker;

/// A lookup on a thread of its own. The thread holds nothing but its end of a channel, so it is
/// simply left behind where nobody wants its answer any more.
#[derive(Debug)]
pub(crate) struct Lookup {
    host: String,
    port: u16,
    answer: Receiver<io::Result<Vec<SocketAddr>>>,
}

impl Lookup {
    /// Begins to look up the URL's host. `waker` is called once there is an answer.
    pub(crate) fn start(url: &Url, waker: Arc<Waker>) -> io::Result<Self> {
        let (reply, answer) = mpsc::sync_channel(1);
        let (host, port) = (url.host().to_owned(), url.port());
        let lookup = Lookup { host: host.clone(), port, answer };
        thread::Builder::new().name("hermes-resolve".into()).spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            // Where the driver is gone there is nobody to tell.
            if reply.send(found).is_ok()
                && let Err(error) = waker.wake()
            {
                tracing::error!("the loop can't be woken: {error}");
            }
        })?;
        Ok(lookup)
    }

    /// One that has its answer already.
    #[cfg(test)]
    pub(crate) fn answered(url: &Url, found: Vec<SocketAddr>) -> Self {
        let (reply, answer) = mpsc::sync_channel(1);
        reply.send(Ok(found)).expect("there is room for one");
        Lookup { host: url.host().to_owned(), port: url.port(), answer }
    }

    /// Whether its answer is this URL's.
    pub(crate) fn is_for(&self, url: &Url) -> bool {
        (self.host.as_str(), self.port) == (url.host(), url.port())
    }

    /// The answer, once there is one: at least one address, each of them once.
    pub(crate) fn poll(&self) -> Option<io::Result<Vec<SocketAddr>>> {
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

/// The URL's address, where its host is one already.
pub(crate) fn literal(url: &Url) -> Option<SocketAddr> {
    let host = url.host();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip, url.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_lookup() {
        let literal = |url| literal(&Url::parse(url).unwrap()).map(|address| address.to_string());
        assert_eq!(literal("ws://127.0.0.1/").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(literal("ws://[::1]:8080/").as_deref(), Some("[::1]:8080"));
        assert_eq!(literal("ws://localhost/"), None);
        assert_eq!(literal("ws://127.0.0.1.nip.io/"), None);
    }
}
