//! From addresses to a socket that is connected.

use std::io;
use std::net::SocketAddr;

use hermes_proto::{CloseReason, Timestamp};
use mio::net::TcpStream;

use crate::net::happy_eyeballs::HappyEyeballs;
use crate::net::socket_options::SocketOptions;
use crate::net::transport::{Registration, Transport};

/// Attempts at several addresses, of which the first to connect is kept.
#[derive(Debug)]
pub(crate) struct Dial {
    /// Prefix of the addresses in texts: "the proxy ", or nothing.
    prefix: &'static str,
    addresses: HappyEyeballs,
    socket_options: SocketOptions,
    attempts: Vec<Attempt>,
}

#[derive(Debug)]
struct Attempt {
    address: SocketAddr,
    socket: TcpStream,
}

/// The result of a turn.
#[derive(Debug)]
pub(crate) enum Dialed {
    Waiting,
    Up(Transport),
    Failed(CloseReason),
}

impl Dial {
    pub(crate) fn new(
        prefix: &'static str,
        addresses: HappyEyeballs,
        socket_options: SocketOptions,
    ) -> Self {
        Dial { prefix, addresses, socket_options, attempts: Vec::new() }
    }

    /// When [`poll`](Self::poll) is to be called even if no socket is ready.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.addresses.deadline()
    }

    /// Whether it has tried an address.
    pub(crate) fn has_started(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Looks at the open sockets, and opens those that are due.
    pub(crate) fn poll(&mut self, now: Timestamp, registration: &Registration<'_>) -> Dialed {
        let mut index = 0;
        while let Some(attempt) = self.attempts.get(index) {
            match attempt.is_up() {
                Ok(false) => index += 1,
                Ok(true) => {
                    let winner = self.attempts.swap_remove(index);
                    self.close_attempts(registration);
                    return Dialed::Up(winner.into_transport());
                }
                Err(error) => {
                    let mut attempt = self.attempts.swap_remove(index);
                    registration.remove(&mut attempt.socket);
                    self.failed(now, attempt.address, &error);
                }
            }
        }
        while let Some(address) = self.addresses.next_due(now) {
            tracing::debug!(%address, "connecting");
            match self.connect(address, registration) {
                Ok(socket) => self.attempts.push(Attempt { address, socket }),
                Err(error) => self.failed(now, address, &error),
            }
        }
        if self.addresses.has_failed() { Dialed::Failed(self.failure()) } else { Dialed::Waiting }
    }

    /// The fate of each address, as a reason.
    pub(crate) fn failure(&self) -> CloseReason {
        CloseReason::Connect { text: format!("{}{}", self.prefix, self.addresses).into() }
    }

    /// The current step, for people.
    pub(crate) fn describe(&self) -> String {
        let to: Vec<String> =
            self.attempts.iter().map(|attempt| attempt.address.to_string()).collect();
        format!("connecting to {}{}", self.prefix, to.join(", "))
    }

    /// Stops trying.
    pub(crate) fn close(mut self, registration: &Registration<'_>) {
        self.close_attempts(registration);
    }

    fn connect(
        &self,
        address: SocketAddr,
        registration: &Registration<'_>,
    ) -> io::Result<TcpStream> {
        let mut socket = self.socket_options.connect(address)?;
        registration.add(&mut socket)?;
        Ok(socket)
    }

    fn close_attempts(&mut self, registration: &Registration<'_>) {
        for mut attempt in self.attempts.drain(..) {
            registration.remove(&mut attempt.socket);
        }
    }

    fn failed(&mut self, now: Timestamp, address: SocketAddr, error: &io::Error) {
        tracing::debug!(%address, %error, "no connection");
        self.addresses.failed(now, address, error);
    }
}

impl Attempt {
    /// Whether the connection is made. Until then a socket has no error and no peer.
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
        tracing::debug!(address = %self.address, "the transport is up");
        Transport::Tcp(self.socket)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use mio::{Events, Poll, Token};
    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::driver::clock::Clock;

    const LONG: Duration = Duration::from_secs(20);

    /// An address without a listener.
    fn refusing() -> SocketAddr {
        listening().local_addr().unwrap()
    }

    fn listening() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    }

    /// A listener whose queue is full does not answer a SYN, on Linux; elsewhere it may refuse.
    struct Hole {
        addr: SocketAddr,
        _sockets: Vec<Socket>,
    }

    fn swallowing() -> Hole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap();
        let filler = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // In progress, as it should be.
            let _ = socket.connect(&addr);
            socket
        };
        let fillers = (0..16).map(filler);
        let addr = addr.as_socket().unwrap();
        Hole { addr, _sockets: fillers.chain([listener]).collect() }
    }

    /// Dials on a loop of its own, to the end.
    fn dial(addresses: Vec<SocketAddr>, delay: Duration) -> Dialed {
        let mut poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let registration = Registration { registry: &registry, token: Token(7) };
        let mut events = Events::with_capacity(8);
        let clock = Clock::start();
        let until = clock.now() + LONG;
        let mut dial =
            Dial::new("", HappyEyeballs::new(addresses, delay), SocketOptions::default());
        loop {
            match dial.poll(clock.now(), &registration) {
                Dialed::Waiting => {}
                done => {
                    assert!(dial.attempts.is_empty(), "losers are closed");
                    return done;
                }
            }
            let patience = dial.deadline().unwrap_or(until) - clock.now();
            poll.poll(&mut events, Some(patience)).unwrap();
            assert!(clock.now() < until, "it hangs");
        }
    }

    #[test]
    fn an_address_that_refuses_gives_way_to_the_next_at_once() {
        let listener = listening();
        let here = listener.local_addr().unwrap();
        let outcome = dial(vec![refusing(), refusing(), here], LONG * 2);
        let Dialed::Up(Transport::Tcp(socket)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(socket.peer_addr().unwrap(), here);
        assert!(socket.nodelay().unwrap());
    }

    #[test]
    fn the_reason_names_every_address() {
        let (one, two) = (refusing(), refusing());
        let outcome = dial(vec![one, two], LONG * 2);
        let Dialed::Failed(CloseReason::Connect { text }) = outcome else { panic!("{outcome:?}") };
        let refused = "Connection refused (os error 111)";
        if cfg!(target_os = "linux") {
            assert_eq!(text, format!("{one}: {refused}; {two}: {refused}").as_str());
        }
        assert!(text.contains(&one.to_string()) && text.contains(&two.to_string()), "{text}");
    }

    #[test]
    fn an_address_that_does_not_answer_has_a_rival_after_the_delay() {
        let (hole, listener) = (swallowing(), listening());
        let here = listener.local_addr().unwrap();
        let clock = Clock::start();
        let outcome = dial(vec![hole.addr, hole.addr, here], Duration::from_millis(100));
        let Dialed::Up(Transport::Tcp(socket)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(socket.peer_addr().unwrap(), here);
        let took = clock.now() - Timestamp::ZERO;
        if cfg!(target_os = "linux") {
            assert!(took >= Duration::from_millis(200), "{took:?}");
        }
    }
}
