//! An adapter for tokio: an [`Endpoint`] on any stream that is [`AsyncRead`] and [`AsyncWrite`].
//!
//! ```console
//! $ cargo run -p hermes-proto --example tokio -- ws://127.0.0.1:8080/
//! ```
//!
//! It prints each event. `wss://` is refused: for TLS, let `dial` return tokio-rustls' stream.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a host has clocks")]

use std::future::pending;
use std::{env, error::Error, io, mem, pin::Pin, time::Duration, time::SystemTime};

use hermes_proto::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::{net::TcpStream, time::Instant, time::sleep};

/// An endpoint and its stream, which `dial` makes. Timestamps count from `epoch`.
pub(crate) struct Hermes<S> {
    pub(crate) endpoint: Endpoint,
    pub(crate) actions: Actions<Transmit>,
    pub(crate) epoch: Instant,
    pub(crate) dial: fn(Url) -> Dialing<S>,
    pub(crate) transport: Transport<S>,
}

pub(crate) type Dialing<S> = Pin<Box<dyn Future<Output = io::Result<S>>>>;

pub(crate) enum Transport<S> {
    Down,
    Dialing(Dialing<S>),
    Up(ReadHalf<S>, WriteHalf<S>, Written),
}

#[derive(Default)]
pub(crate) struct Written {
    /// Bytes that the stream took and may hold in a buffer of its own, as TLS does.
    unflushed: usize,
    /// Bytes flushed on this connection.
    flushed: u64,
}

impl<S: AsyncRead + AsyncWrite> Hermes<S> {
    /// The time for a command: `hermes.endpoint.connect(hermes.now(), &mut hermes.actions)`.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.epoch.elapsed()
    }

    /// The next event. All work is done in this call. Nothing is read while events wait, so a slow
    /// application slows its gateway down. Cancel safe: `select!` may drop the future at any `await`.
    pub(crate) async fn next(&mut self) -> Event {
        let mut buffer = [0; 4096];
        loop {
            while let Some(action) = self.actions.pop_front() {
                match action {
                    Action::Emit(event) => return event,
                    Action::Open { url, .. } => {
                        self.transport = Transport::Dialing((self.dial)(url))
                    }
                    Action::Close { .. } => self.transport = Transport::Down,
                    Action::Send { .. } | Action::ArmTimer(_) => {} // Read in each turn below.
                    Action::PersistSession(_) => {} // A file could keep it for the next run.
                    _ => {}                         // `AskCredentials`: off by default.
                }
            }
            // A timer that fires early does no harm, so one is always set.
            let wait = self.endpoint.deadline().map_or(Duration::MAX, |due| due - self.now());
            let conn = self.endpoint.client().conn().unwrap_or(ConnId(0));
            let input = tokio::select! {
                biased; // Received bytes count before a deadline that has passed.
                input = self.transport.run(conn, self.endpoint.transmit(), &mut buffer) => input,
                () = sleep(wait) => Input::TimerFired,
            };
            self.endpoint.handle(self.now(), input, &mut self.actions);
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Transport<S> {
    async fn run<'b>(&mut self, conn: ConnId, out: &[u8], buffer: &'b mut [u8]) -> Input<&'b [u8]> {
        let reason = match self {
            Transport::Down => pending().await,
            Transport::Dialing(dialing) => match dialing.await.map(split) {
                Ok((reader, writer)) => {
                    *self = Transport::Up(reader, writer, Written::default());
                    return Input::Opened { conn };
                }
                Err(error) => CloseReason::Connect { text: error.to_string().into() },
            },
            Transport::Up(reader, writer, written) => tokio::select! {
                biased; // Writing ends when `out` is empty. The read returns the error of a write.
                Ok(()) = async {
                    if written.unflushed == 0 {
                        // Kept outside this future: a cancelled flush must not write twice.
                        written.unflushed = writer.write(out).await?;
                    }
                    writer.flush().await
                }, if !out.is_empty() => {
                    written.flushed += mem::take(&mut written.unflushed) as u64;
                    return Input::Flushed { conn, up_to: written.flushed };
                }
                read = reader.read(buffer) => match read {
                    Ok(0) => CloseReason::lost(),
                    Ok(n) => return Input::Received { conn, payload: &buffer[..n] },
                    Err(error) => CloseReason::Lost { text: error.to_string().into() },
                },
            },
        };
        *self = Transport::Down;
        Input::Closed { conn, reason }
    }
}

pub(crate) fn dial(url: Url) -> Dialing<TcpStream> {
    Box::pin(async move {
        refuse_tls(&url)?;
        let stream = TcpStream::connect(format!("{}:{}", url.host(), url.port())).await?;
        stream.set_nodelay(true)?; // A small message must not wait for the next one.
        Ok(stream)
    })
}

/// There is no TLS here, and a `wss://` gateway must not be spoken to in the clear.
fn refuse_tls(url: &Url) -> io::Result<()> {
    let text = "wss:// needs TLS, which this example does not have: use a ws:// URL";
    if url.is_secure() { Err(io::Error::new(io::ErrorKind::Unsupported, text)) } else { Ok(()) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = Url::parse(&env::args().nth(1).unwrap_or("ws://127.0.0.1:8080/".into()))?;
    refuse_tls(&url)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let start = Start::new(seed, SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let endpoint = Endpoint::new(Config::new(url.as_str()), start)?;
    let (actions, epoch, transport) = (Actions::new(), Instant::now(), Transport::Down);
    let mut hermes = Hermes { endpoint, actions, epoch, dial, transport };
    hermes.endpoint.connect(hermes.now(), &mut hermes.actions);
    loop {
        println!("{:?}", hermes.next().await);
    }
}
