//! From addresses to a socket that is connected.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use std::vec;

use hermes_proto::{CloseReason, Timestamp};
use mio::net::TcpStream;

use crate::transport::{Slot, Transport};

/// The least time that an address gets before the next one is tried.
const LEAST_SHARE: Duration = Duration::from_millis(250);

/// A connection in the making: each address in turn, until one answers.
#[derive(Debug)]
pub(crate) struct Dial {
    rest: vec::IntoIter<SocketAddr>,
    attempt: Option<Attempt>,
    /// What became of the addresses before, for people.
    failures: String,
}

#[derive(Debug)]
struct Attempt {
    address: SocketAddr,
    socket: TcpStream,
    /// When the next address gets its turn. The last one has all the time that is left.
    deadline: Option<Timestamp>,
}

/// How a [`Dial`] stands.
#[derive(Debug)]
pub(crate) enum Dialed {
    Waiting,
    Up(Transport),
    Failed(CloseReason),
}

impl Dial {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        Dial { rest: addresses.into_iter(), attempt: None, failures: String::new() }
    }

    /// When [`poll`](Self::poll) is to be called even if the socket says nothing.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.attempt.as_ref()?.deadline
    }

    /// Looks at the socket, and goes on to the next address where that one failed. `until` is when
    /// the whole attempt ends: an address gets an equal share of what is left, so one that swallows
    /// everything doesn't use up the others' time.
    pub(crate) fn poll(&mut self, now: Timestamp, until: Timestamp, slot: &Slot) -> Dialed {
        if let Some(mut attempt) = self.attempt.take() {
            let failure = match attempt.is_up() {
                Ok(true) => return Dialed::Up(attempt.into_transport()),
                Ok(false) if attempt.deadline.is_none_or(|deadline| deadline > now) => {
                    self.attempt = Some(attempt);
                    return Dialed::Waiting;
                }
                Ok(false) => io::ErrorKind::TimedOut.into(),
                Err(error) => error,
            };
            slot.remove(&mut attempt.socket);
            self.failed(attempt.address, &failure);
        }
        while let Some(address) = self.rest.next() {
            tracing::debug!(%address, "connecting");
            match connect(address, slot) {
                Ok(socket) => {
                    let more = u32::try_from(self.rest.len()).unwrap_or(u32::MAX);
                    let share = (until - now) / more.saturating_add(1);
                    let deadline = (more > 0).then(|| now + share.max(LEAST_SHARE));
                    self.attempt = Some(Attempt { address, socket, deadline });
                    return Dialed::Waiting;
                }
                Err(error) => self.failed(address, &error),
            }
        }
        Dialed::Failed(CloseReason::Connect { text: std::mem::take(&mut self.failures).into() })
    }

    /// Stops trying.
    pub(crate) fn hang_up(self, slot: &Slot) {
        if let Some(mut attempt) = self.attempt {
            slot.remove(&mut attempt.socket);
        }
    }

    fn failed(&mut self, address: SocketAddr, error: &io::Error) {
        tracing::debug!(%address, %error, "no connection");
        let separator = if self.failures.is_empty() { "" } else { "; " };
        // Writing to a `String` can't fail.
        let _ = write!(self.failures, "{separator}{address}: {error}");
    }
}

impl Attempt {
    /// Whether the connection is made. A socket that is not connected yet has no error and no peer.
    fn is_up(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn into_transport(self) -> Transport {
        // The core writes whole runs of frames, so there is nothing for Nagle to gather.
        if let Err(error) = self.socket.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY can't be set: {error}");
        }
        tracing::debug!(address = %self.address, "the transport is up");
        Transport::Tcp(self.socket)
    }
}

fn connect(address: SocketAddr, slot: &Slot) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    slot.add(&mut socket)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use mio::{Events, Poll, Token};
    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::clock::Clock;

    /// An address at which nobody listens.
    fn refusing() -> SocketAddr {
        listening().local_addr().unwrap()
    }

    fn listening() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }

    /// Dials on a loop of its own, to the end.
    fn dial(addresses: Vec<SocketAddr>, timeout: Duration) -> Dialed {
        let mut poll = Poll::new().unwrap();
        let slot = Slot { registry: poll.registry().try_clone().unwrap(), token: Token(7) };
        let mut events = Events::with_capacity(8);
        let clock = Clock::start();
        let until = clock.now() + timeout;
        let mut dial = Dial::new(addresses);
        loop {
            match dial.poll(clock.now(), until, &slot) {
                Dialed::Waiting => {}
                done => return done,
            }
            let patience = dial.deadline().unwrap_or(until) - clock.now();
            poll.poll(&mut events, Some(patience)).unwrap();
            assert!(clock.now() < until + Duration::from_secs(5), "it hangs");
        }
    }

    #[test]
    fn an_address_that_refuses_gives_way_to_the_next() {
        let listener = listening();
        let here = listener.local_addr().unwrap();
        let outcome = dial(vec![refusing(), refusing(), here], Duration::from_secs(10));
        let Dialed::Up(Transport::Tcp(socket)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(socket.peer_addr().unwrap(), here);
        assert!(socket.nodelay().unwrap());
    }

    #[test]
    fn the_reason_names_every_address() {
        let (one, two) = (refusing(), refusing());
        let outcome = dial(vec![one, two], Duration::from_secs(10));
        let Dialed::Failed(CloseReason::Connect { text }) = outcome else { panic!("{outcome:?}") };
        let refused = "Connection refused (os error 111)";
        if cfg!(target_os = "linux") {
            assert_eq!(text, format!("{one}: {refused}; {two}: {refused}").as_str());
        }
        assert!(text.contains(&one.to_string()) && text.contains(&two.to_string()), "{text}");
    }

    /// A listener whose queue is full does not answer a SYN, on Linux; elsewhere it may refuse.
    #[test]
    fn an_address_that_does_not_answer_has_its_share_of_the_time() {
        let swallowing = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        swallowing.bind(&anywhere.into()).unwrap();
        swallowing.listen(0).unwrap();
        let hole = swallowing.local_addr().unwrap().as_socket().unwrap();
        let filler = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // In progress, as it should be.
            let _ = socket.connect(&hole.into());
            socket
        };
        let _fillers: Vec<Socket> = (0..16).map(|_| filler()).collect();

        let listener = listening();
        let here = listener.local_addr().unwrap();
        let clock = Clock::start();
        let outcome = dial(vec![hole, here], Duration::from_secs(1));
        let Dialed::Up(Transport::Tcp(socket)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(socket.peer_addr().unwrap(), here);
        let took = clock.now() - Timestamp::ZERO;
        // Half of the second.
        if cfg!(target_os = "linux") {
            assert!(took >= Duration::from_millis(450), "{took:?}");
        }
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}
