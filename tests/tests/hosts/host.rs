//! What the stories want of an adapter.

use std::time::{Duration, Instant, SystemTime};

use hermes_proto::{
    Actions, Client, Config, Endpoint, Event, Input, Outgoing, Start, Timestamp, Transmit, Url,
};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::tokio_example::Dialing;
use crate::{thread_example, tokio_example, tungstenite_example};

/// As long as anything here may take. Reached only by what fails.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) trait Host {
    fn start(config: Config) -> Self;
    fn connect(&mut self);
    fn disconnect(&mut self);
    /// Whether there was room for it.
    fn send(&mut self, message: Outgoing) -> bool;
    fn next(&mut self, patience: Duration) -> Option<Event>;
    /// Gives everything that may run by itself the time to do so, while no event is taken.
    fn idle(&mut self);

    /// Passes over the events that there are.
    fn pass(&mut self) {
        while self.next(Duration::ZERO).is_some() {}
    }

    /// Goes on until an event is as wanted.
    fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let end = Instant::now() + LONG;
        let mut seen = Vec::new();
        while Instant::now() < end {
            if let Some(event) = self.next(Duration::from_millis(100)) {
                if let Some(found) = wanted(&event) {
                    return found;
                }
                seen.push(event);
            }
        }
        panic!("in vain: {seen:?}");
    }

    /// Goes on until something holds.
    fn run_until(&mut self, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + LONG;
        while !done() {
            assert!(Instant::now() < end, "in vain");
            self.next(Duration::from_millis(10));
        }
    }

    /// Waits for room, which comes as soon as the adapter has its turn.
    fn send_with_patience(&mut self, message: &Outgoing) {
        let end = Instant::now() + LONG;
        while !self.send(message.clone()) {
            assert!(Instant::now() < end, "in vain");
            self.next(Duration::from_millis(10));
        }
    }

    fn until_connected(&mut self) {
        self.until(|event| matches!(event, Event::Connected { .. }).then_some(()));
    }

    /// Whether it was resumed.
    fn until_session(&mut self) -> bool {
        self.until(|event| match event {
            Event::SessionInit(session) => Some(session.resumed()),
            _ => None,
        })
    }
}

fn start() -> Start {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Start::new(seed, unix.as_millis().try_into().unwrap())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) type OnThread = thread_example::Hermes;

impl Host for OnThread {
    fn start(config: Config) -> Self {
        let endpoint = Endpoint::new(config, start()).unwrap();
        let (epoch, transport) = (Instant::now(), thread_example::Transport::Down);
        thread_example::Hermes { endpoint, actions: Actions::new(), epoch, transport }
    }

    fn connect(&mut self) {
        self.endpoint.connect(self.now(), &mut self.actions);
    }

    fn disconnect(&mut self) {
        self.endpoint.disconnect(self.now(), &mut self.actions);
    }

    fn send(&mut self, message: Outgoing) -> bool {
        self.endpoint.send_message(self.now(), message, &mut self.actions).is_ok()
    }

    fn next(&mut self, patience: Duration) -> Option<Event> {
        thread_example::Hermes::next(self, patience)
    }

    fn idle(&mut self) {}
}

pub(crate) struct OnTokio<S> {
    runtime: Runtime,
    hermes: tokio_example::Hermes<S>,
}

/// A stream of tokio's.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Sized {
    fn dial(url: Url) -> Dialing<Self>;
}

impl Stream for TcpStream {
    fn dial(url: Url) -> Dialing<Self> {
        tokio_example::dial(url)
    }
}

/// Keeps what it is given until it is flushed, as TLS may.
impl Stream for BufStream<TcpStream> {
    fn dial(url: Url) -> Dialing<Self> {
        Box::pin(async { Ok(BufStream::new(tokio_example::dial(url).await?)) })
    }
}

impl<S: Stream> OnTokio<S> {
    fn command(&mut self, command: impl FnOnce(&mut Endpoint, Timestamp, &mut Actions<Transmit>)) {
        let now = self.hermes.now();
        command(&mut self.hermes.endpoint, now, &mut self.hermes.actions);
    }
}

impl<S: Stream> Host for OnTokio<S> {
    fn start(config: Config) -> Self {
        let endpoint = Endpoint::new(config, start()).unwrap();
        let (actions, epoch) = (Actions::new(), tokio::time::Instant::now());
        let transport = tokio_example::Transport::Down;
        let hermes = tokio_example::Hermes { endpoint, actions, epoch, dial: S::dial, transport };
        OnTokio { runtime: runtime(), hermes }
    }

    fn connect(&mut self) {
        self.command(|endpoint, now, out| endpoint.connect(now, out));
    }

    fn disconnect(&mut self) {
        self.command(|endpoint, now, out| endpoint.disconnect(now, out));
    }

    fn send(&mut self, message: Outgoing) -> bool {
        let mut sent = false;
        self.command(|endpoint, now, out| sent = endpoint.send_message(now, message, out).is_ok());
        sent
    }

    /// Gives `next` up each time.
    fn next(&mut self, patience: Duration) -> Option<Event> {
        self.runtime.block_on(async { timeout(patience, self.hermes.next()).await.ok() })
    }

    fn idle(&mut self) {
        self.runtime.block_on(tokio::task::yield_now());
    }
}

pub(crate) struct OnTungstenite {
    runtime: Runtime,
    commands: mpsc::Sender<Input>,
    events: mpsc::Receiver<Event>,
}

impl Host for OnTungstenite {
    fn start(config: Config) -> Self {
        let client = Client::new(config, start()).unwrap();
        let ((commands, orders), (happened, events)) = (mpsc::channel(16), mpsc::channel(16));
        let runtime = runtime();
        runtime.spawn(tungstenite_example::run(client, orders, happened));
        OnTungstenite { runtime, commands, events }
    }

    fn connect(&mut self) {
        self.runtime.block_on(self.commands.send(Input::Connect)).unwrap();
    }

    fn disconnect(&mut self) {
        self.runtime.block_on(self.commands.send(Input::Disconnect)).unwrap();
    }

    fn send(&mut self, message: Outgoing) -> bool {
        self.idle();
        self.commands.try_send(Input::Send(message)).is_ok()
    }

    fn next(&mut self, patience: Duration) -> Option<Event> {
        self.idle();
        self.runtime.block_on(async { timeout(patience, self.events.recv()).await.ok().flatten() })
    }

    /// Until nothing runs that could.
    fn idle(&mut self) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    }
}
