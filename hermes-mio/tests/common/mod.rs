//! A peer on a thread of its own, and patience with a limit.
#![allow(dead_code)] // Each test file uses a part of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hermes_mio::Client;
use hermes_mio::proto::{Config, Delivery, Event};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

/// As long as anything here may take. Reached only by what fails.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A server's side of a WebSocket, as tungstenite has it.
pub(crate) type Socket = WebSocket<TcpStream>;

/// Runs `story` on a thread, with a listener on a free port.
pub(crate) struct Peer<T = ()> {
    pub(crate) addr: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Peer<T> {
    pub(crate) fn start(story: impl FnOnce(TcpListener) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        Peer { addr, thread: thread::spawn(move || story(listener)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    /// The story's end.
    pub(crate) fn join(self) -> T {
        self.thread.join().expect("the peer's story ends well")
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Peer<String> {
    /// One that answers a text with the same, and waits for the Close frame. The text is its end.
    pub(crate) fn echo() -> Self {
        Peer::start(|listener| {
            let mut socket = accept(&listener);
            let text = read_text(&mut socket);
            send(&mut socket, &text);
            read_close(&mut socket);
            text
        })
    }
}

/// Accepts a connection. No read or write on it takes for ever.
pub(crate) fn accept_tcp(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Accepts a connection and upgrades it.
pub(crate) fn accept(listener: &TcpListener) -> Socket {
    tungstenite::accept(accept_tcp(listener)).unwrap()
}

/// Accepts a connection and upgrades it. Also returns the request's header of this name.
#[allow(clippy::result_large_err, reason = "tungstenite's callback has it so")]
pub(crate) fn accept_with(listener: &TcpListener, header: &str) -> (Socket, Option<String>) {
    let mut value = None;
    let look = |request: &Request, response: Response| {
        value = request.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
        Ok(response)
    };
    let socket = tungstenite::accept_hdr(accept_tcp(listener), look).unwrap();
    (socket, value)
}

/// The next text.
pub(crate) fn read_text<S: Read + Write>(socket: &mut WebSocket<S>) -> String {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("no text: {other:?}"),
        }
    }
}

/// Reads until the client's Close frame was answered and the connection is over.
pub(crate) fn read_close<S: Read + Write>(socket: &mut WebSocket<S>) {
    while socket.read().is_ok() {}
}

pub(crate) fn send<S: Read + Write>(socket: &mut WebSocket<S>, text: &str) {
    socket.send(Message::text(text)).unwrap();
}

/// A peer that answers a Ping while the client isn't looking.
pub(crate) struct Ponger {
    pub(crate) peer: Peer,
    pinged: Receiver<()>,
    may_pong: Sender<()>,
    ponged: Receiver<()>,
}

impl Ponger {
    /// What a loaded machine may need to pass the Ping on.
    pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

    pub(crate) fn start() -> Self {
        let (has_ping, pinged) = mpsc::channel();
        let (may_pong, go) = mpsc::channel();
        let (has_pong, ponged) = mpsc::channel();
        let peer = Peer::start(move |listener| {
            let mut socket = accept(&listener);
            assert!(matches!(socket.read().unwrap(), Message::Ping(_)));
            has_ping.send(()).unwrap();
            go.recv_timeout(LONG).unwrap();
            socket.flush().unwrap();
            has_pong.send(()).unwrap();
            read_close(&mut socket);
        });
        Ponger { peer, pinged, may_pong, ponged }
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            heartbeat_interval: Some(Self::PATIENCE),
            heartbeat_timeout: Self::PATIENCE,
            ..config(self.peer.url())
        }
    }

    pub(crate) fn is_pinged(&self) -> bool {
        self.pinged.try_recv().is_ok()
    }

    /// Answers the Ping, and keeps the caller busy until the client's patience is over.
    pub(crate) fn pong_and_be_busy(&self) {
        self.may_pong.send(()).unwrap();
        self.ponged.recv_timeout(LONG).unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Self::PATIENCE * 5 / 4 {
            std::hint::spin_loop();
        }
    }
}

/// Settings for tests: impatient.
pub(crate) fn config(url: impl AsRef<str>) -> Config {
    Config {
        backoff_base: Duration::from_millis(10),
        backoff_cap: Duration::from_millis(50),
        ..Config::new(url)
    }
}

/// For a story in which no Ping follows a message, and a message that was written is done.
pub(crate) fn at_most_once(url: impl AsRef<str>) -> Config {
    Config { delivery: Delivery::AtMostOnce, ..config(url) }
}

pub(crate) fn client(config: Config) -> Client {
    Client::new(config).unwrap()
}

/// The next event.
pub(crate) fn next(client: &mut Client) -> Event {
    client.poll(Some(LONG)).unwrap().unwrap_or_else(|| panic!("nothing happens: {client:?}"))
}

/// Polls until an event is as wanted; others are passed over.
pub(crate) fn wait_for<T>(client: &mut Client, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let until = Instant::now() + LONG;
    loop {
        if let Some(found) = wanted(&next(client)) {
            return found;
        }
        assert!(Instant::now() < until, "it never comes: {client:?}");
    }
}

pub(crate) fn connected(event: &Event) -> Option<()> {
    matches!(event, Event::Connected { .. }).then_some(())
}

pub(crate) fn disconnected(event: &Event) -> Option<(u16, hermes_mio::proto::CloseReason)> {
    match event {
        Event::Disconnected { code, reason, .. } => Some((*code, reason.clone())),
        _ => None,
    }
}

/// A shutdown's report: acknowledged, in doubt, unsent.
pub(crate) fn shut_down(event: &Event) -> Option<(u64, u64, u64)> {
    match event {
        Event::ShutDown { acknowledged, in_doubt, unsent, .. } => {
            Some((*acknowledged, *in_doubt, *unsent))
        }
        _ => None,
    }
}

pub(crate) fn chat_text(event: &Event) -> Option<String> {
    match event {
        Event::Chat(chat) => Some(chat.text().unwrap_or_default().into_owned()),
        _ => None,
    }
}

/// All events until the client is at rest.
pub(crate) fn events_to_the_end(client: &mut Client) -> Vec<Event> {
    let until = Instant::now() + LONG;
    let mut events = Vec::new();
    while let Some(event) = client.poll(None).unwrap() {
        assert!(Instant::now() < until, "it never rests: {client:?}");
        events.push(event);
    }
    events
}

pub(crate) fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

/// Polls until something holds.
pub(crate) fn run_until(client: &mut Client, mut done: impl FnMut(&mut Client) -> bool) {
    let until = Instant::now() + LONG;
    while !done(client) {
        assert!(Instant::now() < until, "it never comes: {client:?}");
        client.poll(Some(Duration::from_millis(5))).unwrap();
    }
}

/// Says goodbye, and sees to it that the client comes to rest.
pub(crate) fn disconnect(client: &mut Client) {
    client.disconnect();
    let until = Instant::now() + LONG;
    while client.poll(None).unwrap().is_some() {
        assert!(Instant::now() < until, "it never rests: {client:?}");
    }
}
