//! The loop: the listener, the sockets' readiness, and the handle's commands.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;

use super::hub::{Conn, Hub};
use super::options::GatewayOptions;
use super::tls::Stream;

/// A request of a handle to the loop.
pub(super) type Command = Box<dyn FnOnce(&mut Server) + Send>;

pub(super) struct Server {
    pub(super) hub: Hub,
    pub(super) addr: SocketAddr,
    poll: Poll,
    commands: mpsc::Receiver<Command>,
    listener: Option<TcpListener>,
    /// When to accept again, after the system had no socket to give.
    accept_at: Option<Instant>,
    last_conn: Conn,
    stopping: bool,
}

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// mio asks for 128, which a thousand clients that all come back at once would overrun.
const ACCEPT_QUEUE: i32 = 4096;

/// How long to wait if the system has no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Server {
    pub(super) fn new(
        options: GatewayOptions,
        commands: mpsc::Receiver<Command>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut server = Server {
            addr: options.addr,
            hub: Hub::new(options),
            poll,
            commands,
            listener: None,
            accept_at: None,
            last_conn: 0,
            stopping: false,
        };
        server.listen()?;
        Ok((server, waker))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.stopping {
            match self.poll.poll(&mut events, self.timeout()) {
                Ok(()) => self.turn(&events),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    tracing::error!("the gateway stops, as it can't poll: {e}");
                    break;
                }
            }
        }
        self.hub.close_all();
    }

    // Commands.

    pub(super) fn listen(&mut self) -> io::Result<()> {
        if self.listener.is_some() {
            return Ok(());
        }
        let mut listener = TcpListener::bind(self.addr)?;
        SockRef::from(&listener).listen(ACCEPT_QUEUE)?;
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        self.addr = listener.local_addr()?;
        self.listener = Some(listener);
        self.hub.metrics.counts.listening = true;
        Ok(())
    }

    pub(super) fn pause(&mut self) {
        if let Some(mut listener) = self.listener.take() {
            // Closing the listener is the point, and that can't fail.
            let _ = self.poll.registry().deregister(&mut listener);
        }
        self.accept_at = None;
        self.hub.metrics.counts.listening = false;
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    // One turn of the loop.

    /// How long to wait for the sockets: not at all, until the next deadline, or without a limit.
    fn timeout(&self) -> Option<Duration> {
        if self.hub.has_input() {
            return Some(Duration::ZERO);
        }
        let deadline = self.hub.deadline().into_iter().chain(self.accept_at).min()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    fn turn(&mut self, events: &Events) {
        let now = Instant::now();
        self.hub.now = now;
        while let Ok(command) = self.commands.try_recv() {
            command(self);
        }
        for event in events {
            self.on_event(event);
        }
        if self.accept_at.take_if(|at| *at <= now).is_some() {
            self.accept();
        }
        self.hub.turn();
    }

    fn on_event(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => {}
            Token(conn) => self.hub.on_ready(conn, event.is_read_closed() || event.is_error()),
        }
    }

    fn accept(&mut self) {
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok((stream, addr)) => self.admit(stream, addr),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    _ => {
                        tracing::warn!("the gateway can't accept a connection for now: {e}");
                        self.accept_at = Some(self.hub.now + ACCEPT_PAUSE);
                        return;
                    }
                },
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, addr: SocketAddr) {
        self.last_conn += 1;
        let conn = self.last_conn;
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(e) = self.poll.registry().register(&mut stream, Token(conn), interest) {
            tracing::warn!("the gateway can't watch another connection: {e}");
            return;
        }
        // Without it, messages are only slower.
        let _ = stream.set_nodelay(true);
        #[cfg(feature = "tls")]
        let stream = match &self.hub.options.tls {
            None => Stream::Clear(stream),
            Some(tls) => match tls.over(stream) {
                Ok(stream) => stream,
                Err(e) => return tracing::warn!("the gateway can't speak TLS: {e}"),
            },
        };
        #[cfg(not(feature = "tls"))]
        let stream = Stream::Clear(stream);
        self.hub.add(conn, stream, addr);
    }
}
