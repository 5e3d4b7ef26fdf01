//! Hermes on a blocking socket, with nothing but std: an [`Endpoint`] on the thread that calls.
//! `cargo run -p hermes-tests --example thread -- ws://127.0.0.1:8080/` shows what happens.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
use std::io::{Read, Result, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};
use std::{array, env, error::Error, mem, net::TcpStream, thread};

use hermes_proto::*;

/// The shortest wait; and while the system takes no more, how soon it is asked again.
const SOON: Duration = Duration::from_millis(5);

/// A client. Timestamps count from `epoch`.
pub(crate) struct Hermes {
    pub(crate) endpoint: Endpoint,
    pub(crate) actions: Actions<Transmit>,
    pub(crate) epoch: Instant,
    pub(crate) link: Link,
}

pub(crate) enum Link {
    Down,
    Dialing(Receiver<Result<TcpStream>>),
    Up(TcpStream),
}

impl Hermes {
    /// The time for a command: `hermes.endpoint.connect(hermes.now(), &mut hermes.actions)`.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.epoch.elapsed()
    }

    /// The next event, if there is one in time. All work is done in here, and nothing is read while
    /// there are events: a slow application slows its gateway down.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<Event> {
        let (until, mut is_last, mut buffer) = (self.now() + patience, false, [0; 4096]);
        loop {
            if let Link::Up(stream) = &mut self.link {
                let _ = stream.set_nonblocking(true);
                // As much as the system takes. That it fails, reading tells, and why.
                while let Ok(n @ 1..) = stream.write(self.endpoint.transmit()) {
                    let now = Timestamp::ZERO + self.epoch.elapsed();
                    self.endpoint.transmitted(now, n, &mut self.actions);
                }
                let _ = stream.set_nonblocking(false);
            }
            while let Some(action) = self.actions.pop_front() {
                match action {
                    Action::Emit(event) => return Some(event),
                    Action::Open { url, .. } => self.link = Link::dial(&url),
                    Action::Close { .. } => self.link = Link::Down,
                    Action::Send { .. } | Action::ArmTimer(_) => {} // Both are asked for, each turn.
                    Action::PersistSession(_) => {} // For another run: this one knows it.
                    _ => {}                         // `AskCredentials`, which is not configured.
                }
            }
            if mem::replace(&mut is_last, self.now() >= until) {
                return None;
            }
            let due = self.endpoint.deadline().map_or(until, |due| due.min(until)) - self.now();
            let wait = if self.endpoint.transmit().is_empty() { due.max(SOON) } else { SOON };
            let conn = self.endpoint.client().conn().unwrap_or(ConnId(0));
            let input = self.link.wait(conn, wait, &mut buffer);
            // The timer comes after what was received, which it may miss. Early it does no harm.
            self.endpoint.handle(self.now(), input.unwrap_or(Input::TimerFired), &mut self.actions);
        }
    }
}

impl Link {
    fn dial(url: &Url) -> Self {
        let (done, dialing) = channel();
        let address = format!("{}:{}", url.host(), url.port());
        let at_once = |stream: TcpStream| stream.set_nodelay(true).map(|()| stream);
        thread::spawn(move || done.send(TcpStream::connect(address).and_then(at_once)));
        Link::Dialing(dialing)
    }

    fn wait<'b>(&mut self, conn: ConnId, t: Duration, b: &'b mut [u8]) -> Option<Input<&'b [u8]>> {
        let reason = match self {
            Link::Down => {
                thread::sleep(t);
                return None;
            }
            Link::Dialing(dialing) => match dialing.recv_timeout(t).ok()? {
                Ok(stream) => {
                    *self = Link::Up(stream);
                    return Some(Input::Opened { conn });
                }
                Err(error) => CloseReason::Connect { text: error.to_string().into() },
            },
            Link::Up(stream) => match stream.set_read_timeout(Some(t)).and(stream.read(b)) {
                Ok(0) => CloseReason::lost(),
                Ok(n) => return Some(Input::Received { conn, payload: &b[..n] }),
                Err(e) if [WouldBlock, TimedOut, Interrupted].contains(&e.kind()) => return None,
                Err(error) => CloseReason::Lost { text: error.to_string().into() },
            },
        };
        *self = Link::Down;
        Some(Input::Closed { conn, reason })
    }
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).unwrap_or("ws://127.0.0.1:8080/".into());
    // The randomness that std has.
    let seed = array::from_fn(|_| RandomState::new().build_hasher().finish() as u8);
    let start = Start::new(seed, SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let endpoint = Endpoint::new(Config::new(url), start)?;
    let (actions, epoch, link) = (Actions::new(), Instant::now(), Link::Down);
    let mut hermes = Hermes { endpoint, actions, epoch, link };
    hermes.endpoint.connect(hermes.now(), &mut hermes.actions);
    loop {
        println!("{:?}", hermes.next(Duration::from_secs(3600)));
    }
}
