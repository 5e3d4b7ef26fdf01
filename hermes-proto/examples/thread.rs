//! An adapter for a blocking socket, with std alone: an [`Endpoint`] runs on the calling thread.
//!
//! ```console
//! $ cargo run -p hermes-proto --example thread -- ws://127.0.0.1:8080/
//! ```
//!
//! It prints each event. Standard input is not read; `wss://` is refused, since there is no TLS here.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a host has clocks")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind::{Interrupted, TimedOut, Unsupported, WouldBlock};
use std::io::{Error, Read, Result, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};
use std::{array, env, mem, net::TcpStream, thread};

use hermes_proto::*;

/// The shortest wait, and the pause between two tries to write while the socket's buffer is full.
const SOON: Duration = Duration::from_millis(5);

/// An endpoint and its socket. Timestamps count from `epoch`.
pub(crate) struct Hermes {
    pub(crate) endpoint: Endpoint,
    pub(crate) actions: Actions<Transmit>,
    pub(crate) epoch: Instant,
    pub(crate) transport: Transport,
}

pub(crate) enum Transport {
    Down,
    Dialing(Receiver<Result<TcpStream>>),
    Up(TcpStream),
}

impl Hermes {
    /// The time for a command: `hermes.endpoint.connect(hermes.now(), &mut hermes.actions)`.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.epoch.elapsed()
    }

    /// The next event within `timeout`. All work is done in this call. Nothing is read while events
    /// wait, so a slow application slows its gateway down.
    pub(crate) fn next(&mut self, timeout: Duration) -> Option<Event> {
        let (until, mut is_last, mut buffer) = (self.now() + timeout, false, [0; 4096]);
        loop {
            if let Transport::Up(stream) = &mut self.transport {
                let _ = stream.set_nonblocking(true);
                // As much as the system takes. An error is ignored: the read below returns it, too.
                while let Ok(n @ 1..) = stream.write(self.endpoint.transmit()) {
                    let now = Timestamp::ZERO + self.epoch.elapsed();
                    self.endpoint.transmitted(now, n, &mut self.actions);
                }
                let _ = stream.set_nonblocking(false);
            }
            while let Some(action) = self.actions.pop_front() {
                match action {
                    Action::Emit(event) => return Some(event),
                    Action::Open { url, .. } => self.transport = Transport::dial(&url),
                    Action::Close { .. } => self.transport = Transport::Down,
                    Action::Send { .. } | Action::ArmTimer(_) => {} // Read in each turn below.
                    Action::PersistSession(_) => {} // A file could keep it for the next run.
                    _ => {}                         // `AskCredentials`: off by default.
                }
            }
            if mem::replace(&mut is_last, self.now() >= until) {
                return None;
            }
            let due = self.endpoint.deadline().map_or(until, |due| due.min(until)) - self.now();
            let wait = if self.endpoint.transmit().is_empty() { due.max(SOON) } else { SOON };
            let conn = self.endpoint.client().conn().unwrap_or(ConnId(0));
            let input = self.transport.wait(conn, wait, &mut buffer);
            // Input before the timer: a Pong that waits in the socket must count before the deadline.
            // A timer that fires early does no harm.
            self.endpoint.handle(self.now(), input.unwrap_or(Input::TimerFired), &mut self.actions);
        }
    }
}

impl Transport {
    fn dial(url: &Url) -> Self {
        let (done, dialing) = channel();
        let url = url.clone();
        // Names are resolved here, too, which can take long.
        thread::spawn(move || done.send(connect(&url)));
        Transport::Dialing(dialing)
    }

    fn wait<'b>(&mut self, conn: ConnId, t: Duration, b: &'b mut [u8]) -> Option<Input<&'b [u8]>> {
        let reason = match self {
            Transport::Down => {
                thread::sleep(t);
                return None;
            }
            Transport::Dialing(dialing) => match dialing.recv_timeout(t).ok()? {
                Ok(stream) => {
                    *self = Transport::Up(stream);
                    return Some(Input::Opened { conn });
                }
                Err(error) => CloseReason::Connect { text: error.to_string().into() },
            },
            Transport::Up(stream) => match stream.set_read_timeout(Some(t)).and(stream.read(b)) {
                Ok(0) => CloseReason::lost(),
                Ok(n) => return Some(Input::Received { conn, payload: &b[..n] }),
                Err(e) if [WouldBlock, TimedOut, Interrupted].contains(&e.kind()) => return None,
                Err(error) => CloseReason::Lost { text: error.to_string().into() },
            },
        };
        *self = Transport::Down;
        Some(Input::Closed { conn, reason })
    }
}

fn connect(url: &Url) -> Result<TcpStream> {
    refuse_tls(url)?;
    let stream = TcpStream::connect(format!("{}:{}", url.host(), url.port()))?;
    stream.set_nodelay(true)?; // A small message must not wait for the next one.
    Ok(stream)
}

/// There is no TLS here, and a `wss://` gateway must not be spoken to in the clear.
fn refuse_tls(url: &Url) -> Result<()> {
    let text = "wss:// needs TLS, which this example does not have: use a ws:// URL";
    if url.is_secure() { Err(Error::new(Unsupported, text)) } else { Ok(()) }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let url = Url::parse(&env::args().nth(1).unwrap_or("ws://127.0.0.1:8080/".into()))?;
    refuse_tls(&url)?;
    // std's only random numbers: `RandomState` draws them from the operating system.
    let seed = array::from_fn(|_| RandomState::new().build_hasher().finish() as u8);
    let start = Start::new(seed, SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let endpoint = Endpoint::new(Config::new(url.as_str()), start)?;
    let (actions, epoch, transport) = (Actions::new(), Instant::now(), Transport::Down);
    let mut hermes = Hermes { endpoint, actions, epoch, transport };
    hermes.endpoint.connect(hermes.now(), &mut hermes.actions);
    loop {
        if let Some(event) = hermes.next(Duration::from_secs(3600)) {
            println!("{event:?}");
        }
    }
}
