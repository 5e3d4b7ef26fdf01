//! A Hermes gateway for local development and for tests, on one thread of its own.
//!
//! It keeps sessions, relays chat, and **shows [faults](Fault) on request**: a client is only as
//! good as its behaviour when the link is cut, half-open, slow or refused. Its WebSocket is
//! tungstenite's server side, so client and gateway don't share an implementation, or its mistakes.
//!
//! ```
//! use hermes_mio::gateway::{Gateway, Fault, Target};
//! use std::time::Duration;
//!
//! let gateway = Gateway::bind("127.0.0.1:0")?;
//! let (client, _) = tungstenite::client(gateway.url(), std::net::TcpStream::connect(gateway.addr())?)
//!     .expect("an upgrade");
//! gateway.wait_for(Duration::from_secs(5), |counts| counts.joined == 1)?;
//! gateway.inject(Target::Live, Fault::Reset);
//! gateway.wait_for(Duration::from_secs(5), |counts| counts.open == 0)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Protocol
//!
//! Messages are texts: JSON objects with a `type`. Any path is upgraded.
//!
//! - **A session** begins with the first text. If that is `{"type":"session-resume","token":T}`,
//!   the gateway answers with `{"type":"session-init","token":…,"clientId":…,"resumed":true}` for a
//!   `T` that it knows, and with a fresh session and `"resumed":false` for one that it doesn't. Any
//!   other first text, and [a grace](GatewayOptions::resume_grace) of silence, bring a fresh
//!   session. So a client gets exactly one `session-init`: a client with a token gets no new
//!   identity that it would have to throw away, and a client without one need not speak first. The
//!   exception is a `session-resume` that comes first, but after the grace: a second `session-init`
//!   follows, and the fresh session of the first one is forgotten.
//! - **A second connection** that resumes a session takes it over, as needed by a client whose old
//!   link is half-open: the old connection is closed with 4000, and the others hear nothing of it.
//! - **The others** get `{"type":"player-joined","id":…}` when a client gets its session and
//!   `{"type":"player-left","id":…}` when its connection ends.
//! - **`chat` and `chat-message`** go to all others (and [back](GatewayOptions::echo), if asked) as
//!   `{"type":"chat","sender":…}` with all other fields as they were written. A `status-update`
//!   goes to the others as it is. Everything else is counted, and answered with nothing.
//! - **A slow receiver** is closed with 1013 once [too much](GatewayOptions::backlog_bytes) waits
//!   for it. It never holds up the others.
//!
//! This is not a gateway for production: it trusts everyone, keeps every session for ever, and
//! its [tokens can be guessed](GatewayOptions::token_seed).

mod dedupe;
mod faults;
mod faulty_stream;
mod hub;
mod log;
mod message;
mod metrics;
mod options;
mod peer;
mod record;
mod server;
mod sessions;
mod tls;
mod upgrade;

pub use faults::{Fault, ScriptedRetryAfter, Target, UnknownFault};
pub use log::{Log, LogReader};
pub use metrics::{Snapshot, Timeout};
pub use options::GatewayOptions;
pub use record::{Received, Record};
pub use sessions::StoredSession;
#[cfg(feature = "tls")]
pub use tls::ServerTls;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::Waker;

use server::{Command, Server};

/// A running gateway. Dropping it stops it.
///
/// Every call is carried out by the gateway's thread before it returns: a fault affects every later
/// connection, and counts include all that a client can have seen before. Share it in an
/// [`Arc`](std::sync::Arc).
#[derive(Debug)]
pub struct Gateway {
    addr: SocketAddr,
    scheme: &'static str,
    commands: mpsc::Sender<Command>,
    waker: Waker,
    /// Taken on drop.
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway with the default [`GatewayOptions`] on the first of the addresses that is
    /// free.
    ///
    /// # Errors
    ///
    /// If the address can't be resolved or bound, or as for [`Gateway::start`].
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        for addr in addr.to_socket_addrs()? {
            result = Self::start(GatewayOptions { addr, ..GatewayOptions::default() });
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Starts a gateway.
    ///
    /// # Errors
    ///
    /// If the address can't be bound, or the system is out of threads or file descriptors.
    pub fn start(options: GatewayOptions) -> io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        #[cfg(feature = "tls")]
        let scheme = if options.tls.is_some() { "wss" } else { "ws" };
        #[cfg(not(feature = "tls"))]
        let scheme = "ws";
        let (server, waker) = Server::new(options, inbox)?;
        let addr = server.addr;
        let thread =
            thread::Builder::new().name("hermes-gateway".into()).spawn(move || server.run())?;
        Ok(Gateway { addr, scheme, commands, waker, thread: Some(thread) })
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL: `ws://127.0.0.1:PORT/`, or `wss://` in TLS.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.addr)
    }

    /// Its counts.
    pub fn snapshot(&self) -> Snapshot {
        self.ask(|server| server.hub.metrics.counts)
    }

    /// Waits until `until` holds of the counts, and returns them. `until` sees the counts of this
    /// moment and then every change, except changes that began and ended in one turn of the loop.
    ///
    /// # Errors
    ///
    /// [`Timeout`], if `until` does not hold within `deadline`.
    pub fn wait_for(
        &self,
        deadline: Duration,
        mut until: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot, Timeout> {
        let deadline = peer::after(Instant::now(), deadline);
        let (watcher, changes) = mpsc::channel();
        let mut snapshot = self.ask(move |server| server.hub.metrics.watch(watcher));
        while !until(&snapshot) {
            let left = deadline.saturating_duration_since(Instant::now());
            snapshot = changes.recv_timeout(left).map_err(|_| Timeout { snapshot })?;
        }
        Ok(snapshot)
    }

    /// The messages it has received, in order: the newest, as many as
    /// [`GatewayOptions::record_bytes`] lets it keep. [`Snapshot::messages`] counts them all.
    pub fn received(&self) -> Vec<Received> {
        self.ask(|server| server.hub.metrics.received())
    }

    /// The sessions that can be resumed, for [`GatewayOptions::sessions`] of a gateway to come.
    pub fn sessions(&self) -> Vec<StoredSession> {
        self.ask(|server| server.hub.sessions.export())
    }

    /// Sends a text, as it is, to every client that has a session. Returns how many that are.
    pub fn broadcast(&self, text: impl Into<String>) -> usize {
        let text = text.into().into();
        self.ask(move |server| server.hub.broadcast(text, None))
    }

    /// Sends a text, as it is, to one client. Returns whether it is there.
    pub fn send_to(&self, client_id: impl Into<String>, text: impl Into<String>) -> bool {
        let (client_id, text) = (client_id.into(), text.into().into());
        self.ask(move |server| server.hub.send_to(&client_id, text))
    }

    /// Injects a fault. Returns how many live connections it affects.
    pub fn inject(&self, target: Target, fault: Fault) -> usize {
        self.ask(move |server| server.hub.inject(target, fault))
    }

    /// Clears all faults: those for connections to come are forgotten, and live connections
    /// recover. A half-open one reads what has piled up and goes on.
    pub fn clear_faults(&self) {
        self.ask(|server| server.hub.clear_faults());
    }

    /// Stops listening: new connections are refused by the system. Live ones stay.
    ///
    /// Together with `inject(Target::Live, Fault::Reset)` and [`Gateway::listen`], this
    /// is a restart that keeps its sessions.
    pub fn pause(&self) {
        self.ask(Server::pause);
    }

    /// Listens again, on the same address. Does nothing if it listens already.
    ///
    /// # Errors
    ///
    /// If the address can't be bound, for example because another process took it meanwhile.
    pub fn listen(&self) -> io::Result<()> {
        self.ask(Server::listen)
    }

    /// Stops: sends each connection a close frame (1001), closes the sockets without waiting for
    /// an answer, and ends the thread. Dropping the gateway does the same.
    pub fn stop(self) {}

    /// Runs `command` on the gateway's thread, and waits for the result.
    fn ask<R: Send + 'static>(&self, command: impl FnOnce(&mut Server) -> R + Send + 'static) -> R {
        let (reply, answer) = mpsc::channel();
        self.tell(Box::new(move |server| {
            // The caller waits below.
            let _ = reply.send(command(server));
        }));
        answer.recv().expect("the gateway's thread runs until its handle is dropped")
    }

    fn tell(&self, command: Command) {
        // If the thread is gone, the caller finds out by the missing answer.
        let _ = self.commands.send(command);
        if let Err(e) = self.waker.wake() {
            tracing::error!("the gateway's thread can't be woken: {e}");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.tell(Box::new(Server::stop));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the gateway's thread has panicked");
        }
    }
}
