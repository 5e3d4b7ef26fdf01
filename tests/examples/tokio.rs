//! Hermes in tokio: an [`Endpoint`] on whatever is [`AsyncRead`] and [`AsyncWrite`].
//! `cargo run -p hermes-tests --example tokio -- ws://127.0.0.1:8080/` shows what happens.

use std::{
    env, error::Error, future::pending, io, mem, pin::Pin, time::Duration, time::SystemTime,
};

use hermes_proto::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::{net::TcpStream, time::Instant, time::sleep};

/// A client whose streams come from `dial`. Timestamps count from `epoch`.
pub(crate) struct Hermes<S> {
    pub(crate) endpoint: Endpoint,
    pub(crate) actions: Actions<Transmit>,
    pub(crate) epoch: Instant,
    pub(crate) dial: fn(Url) -> Dialing<S>,
    pub(crate) link: Link<S>,
}

pub(crate) type Dialing<S> = Pin<Box<dyn Future<Output = io::Result<S>>>>;

pub(crate) enum Link<S> {
    Down,
    Dialing(Dialing<S>),
    /// So many bytes the stream has taken and may keep for a while, if it is TLS; so many have left.
    Up(ReadHalf<S>, WriteHalf<S>, usize, u64),
}

impl<S: AsyncRead + AsyncWrite> Hermes<S> {
    /// The time for a command: `hermes.endpoint.connect(hermes.now(), &mut hermes.actions)`.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.epoch.elapsed()
    }

    /// The next event. All work is done in here, and nothing is read while there are events: a slow
    /// application slows its gateway down. It can be given up and called again, as `select!` does.
    pub(crate) async fn next(&mut self) -> Event {
        let mut buffer = [0; 4096];
        loop {
            while let Some(action) = self.actions.pop_front() {
                match action {
                    Action::Emit(event) => return event,
                    Action::Open { url, .. } => self.link = Link::Dialing((self.dial)(url)),
                    Action::Close { .. } => self.link = Link::Down,
                    Action::Send { .. } | Action::ArmTimer(_) => {} // Both are asked for below.
                    Action::PersistSession(_) => {} // For another run: this one knows it.
                    _ => {}                         // `AskCredentials`, which is not configured.
                }
            }
            // A timer that is early does no harm, so there is always one.
            let wait = self.endpoint.deadline().map_or(Duration::MAX, |due| due - self.now());
            let conn = self.endpoint.client().conn().unwrap_or(ConnId(0));
            let input = tokio::select! {
                biased; // What was received may be what the timer is about to miss.
                input = self.link.run(conn, self.endpoint.transmit(), &mut buffer) => input,
                () = sleep(wait) => Input::TimerFired,
            };
            self.endpoint.handle(self.now(), input, &mut self.actions);
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Link<S> {
    async fn run<'b>(&mut self, conn: ConnId, out: &[u8], buffer: &'b mut [u8]) -> Input<&'b [u8]> {
        let reason = match self {
            Link::Down => pending().await,
            Link::Dialing(dialing) => match dialing.await.map(split) {
                Ok((reader, writer)) => {
                    *self = Link::Up(reader, writer, 0, 0);
                    return Input::Opened { conn };
                }
                Err(error) => CloseReason::Connect { text: error.to_string().into() },
            },
            Link::Up(reader, writer, taken, flushed) => tokio::select! {
                biased; // Writing comes to an end; that it fails, reading tells, and why.
                Ok(()) = async {
                    if *taken == 0 {
                        *taken = writer.write(out).await?; // Whoever gives up here, has it in `taken`.
                    }
                    writer.flush().await
                }, if !out.is_empty() => {
                    *flushed += mem::take(taken) as u64;
                    return Input::Flushed { conn, up_to: *flushed };
                }
                read = reader.read(buffer) => match read {
                    Ok(0) => CloseReason::lost(),
                    Ok(n) => return Input::Received { conn, payload: &buffer[..n] },
                    Err(error) => CloseReason::Lost { text: error.to_string().into() },
                },
            },
        };
        *self = Link::Down;
        Input::Closed { conn, reason }
    }
}

pub(crate) fn dial(url: Url) -> Dialing<TcpStream> {
    Box::pin(async move {
        let stream = TcpStream::connect(format!("{}:{}", url.host(), url.port())).await?;
        stream.set_nodelay(true)?; // A message that waits for others helps nobody.
        Ok(stream)
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).unwrap_or("ws://127.0.0.1:8080/".into());
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let start = Start::new(seed, SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as u64);
    let endpoint = Endpoint::new(Config::new(url), start)?;
    let (actions, epoch, link) = (Actions::new(), Instant::now(), Link::Down);
    let mut hermes = Hermes { endpoint, actions, epoch, dial, link };
    hermes.endpoint.connect(hermes.now(), &mut hermes.actions);
    loop {
        println!("{:?}", hermes.next().await);
    }
}
