//! A driver in a loop of the application's own, with other things in it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::*;
use hermes_mio::{CloseReason, Config, Driver, Event, ReadBuffer, State};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::json;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const GUEST: Token = Token(2);
const DRIVERS: usize = 10;

/// An application: an echo server and any number of Hermes clients, on one loop.
struct Application {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    buffer: ReadBuffer,
    drivers: Vec<Driver>,
    listener: TcpListener,
    guest: Option<TcpStream>,
    /// Bytes echoed, and wake-ups.
    echoed: usize,
    woken: usize,
}

impl Application {
    fn new(configs: impl IntoIterator<Item = Config>) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        let drivers = configs
            .into_iter()
            .enumerate()
            .map(|(index, config)| {
                let token = Token(DRIVERS + index * Driver::TOKENS);
                let registry = poll.registry().try_clone().unwrap();
                Driver::new(config, registry, token, Arc::clone(&waker)).unwrap()
            })
            .collect();
        let events = Events::with_capacity(8);
        let buffer = ReadBuffer::new();
        let (guest, echoed, woken) = (None, 0, 0);
        Application { poll, events, waker, buffer, drivers, listener, guest, echoed, woken }
    }

    /// One turn. Returns what the drivers had to tell.
    fn turn(&mut self, patience: Duration) -> Vec<(usize, Event)> {
        let timeout = self.drivers.iter().filter_map(Driver::timeout).fold(patience, Duration::min);
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
            _ => {}
        }
        for event in &self.events {
            let taken =
                self.drivers.iter_mut().filter_map(|d| d.ready(event).then_some(())).count();
            assert_eq!(taken, usize::from(event.token().0 >= DRIVERS));
            match event.token() {
                WAKER => self.woken += 1,
                LISTENER => {
                    let (mut guest, _) = self.listener.accept().unwrap();
                    self.poll.registry().register(&mut guest, GUEST, Interest::READABLE).unwrap();
                    self.guest = Some(guest);
                }
                GUEST => {
                    let mut bytes = [0; 64];
                    let guest = self.guest.as_mut().unwrap();
                    while let Ok(n @ 1..) = guest.read(&mut bytes) {
                        guest.write_all(&bytes[..n]).unwrap();
                        self.echoed += n;
                    }
                }
                _ => {}
            }
        }
        let mut told = Vec::new();
        for (index, driver) in self.drivers.iter_mut().enumerate() {
            driver.run(&mut self.buffer);
            told.extend(std::iter::from_fn(|| driver.next_event()).map(|event| (index, event)));
        }
        told
    }

    /// Turns until `done`; the events go through its hands.
    fn run(&mut self, mut done: impl FnMut(&mut Self, Vec<(usize, Event)>) -> bool) {
        let until = Instant::now() + LONG;
        loop {
            let told = self.turn(Duration::from_millis(50));
            if done(self, told) {
                return;
            }
            assert!(Instant::now() < until, "it never comes: {:?}", self.drivers);
        }
    }
}

#[test]
fn a_driver_shares_the_loop() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let text = read_text(&mut socket);
        send(&mut socket, &text);
        read_close(&mut socket);
    });
    let mut application = Application::new([config(peer.url())]);
    assert_eq!(application.drivers[0].timeout(), None, "nothing to do, nothing to wait for");
    application.drivers[0].connect();
    assert_eq!(application.drivers[0].timeout(), Some(Duration::ZERO));

    // Somebody else uses the loop at the same time, …
    let mut guest =
        std::net::TcpStream::connect(application.listener.local_addr().unwrap()).unwrap();
    guest.write_all(b"hello").unwrap();
    // … and another thread sends.
    let sender = application.drivers[0].sender();
    let thread = std::thread::spawn(move || sender.send(&json!({"type": "chat", "text": "hi"})));

    let mut names = Vec::new();
    application.run(|application, told| {
        names.extend(told.iter().map(|(_, event)| event.name()));
        names.contains(&"chat-message") && application.echoed == 5
    });
    assert_eq!(names, ["ws-connected", "chat-message"]);
    assert!(application.woken > 0);
    thread.join().unwrap().unwrap();

    // The heartbeat is what it waits for now.
    let timeout = application.drivers[0].timeout().unwrap();
    assert!(timeout > Duration::from_secs(20) && timeout <= Duration::from_secs(25), "{timeout:?}");

    application.drivers[0].disconnect();
    application.run(|_, told| {
        told.iter().any(|(_, event)| disconnected(event) == Some((1000, CloseReason::Requested)))
    });
    assert_eq!(application.drivers[0].timeout(), None);
    peer.join();
}

/// Several on one loop: same buffer, same waker, a token each.
#[test]
fn drivers_share_a_loop_among_them() {
    const CLIENTS: usize = 8;
    let peer = Peer::start(|listener| {
        let mut sockets: Vec<_> = (0..CLIENTS).map(|_| accept(&listener)).collect();
        for socket in &mut sockets {
            let text = read_text(socket);
            send(socket, &text);
        }
        sockets.iter_mut().for_each(read_close);
    });
    let mut application = Application::new((0..CLIENTS).map(|_| config(peer.url())));
    for (index, driver) in application.drivers.iter_mut().enumerate() {
        driver.connect();
        driver.send(&json!({"type": "chat", "text": index})).unwrap();
    }
    let mut answered = [false; CLIENTS];
    application.run(|_, told| {
        for (index, event) in told {
            if let Some(text) = chat_text(&event) {
                assert_eq!(text, index.to_string());
                answered[index] = true;
            }
        }
        answered.iter().all(|answered| *answered)
    });
    application.drivers.iter_mut().for_each(Driver::disconnect);
    application.run(|application, _| {
        application.drivers.iter().all(|driver| driver.core().state() == State::Idle)
    });
    peer.join();
}

/// An application that takes no events stops the flow, and nothing piles up.
#[test]
fn events_that_are_not_taken_stop_the_reading() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let mut sent = 0_u64;
        // As much as fits into the socket's buffers, and the client's patience.
        socket.get_mut().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let text = "x".repeat(1_000);
        let frame =
            tungstenite::Message::text(format!("{{\"type\":\"chat\",\"text\":\"{text}\"}}"));
        while sent < 100_000 && socket.send(frame.clone()).is_ok() {
            sent += 1;
        }
        sent
    });
    let mut application = Application::new([config(peer.url())]);
    let driver = &mut application.drivers[0];
    driver.connect();
    let until = Instant::now() + LONG;
    while !peer.is_finished() {
        assert!(Instant::now() < until);
        let driver = &mut application.drivers[0];
        let timeout = driver.timeout().unwrap_or(LONG).max(Duration::from_millis(5));
        application.poll.poll(&mut application.events, Some(timeout)).unwrap();
        for event in &application.events {
            driver.ready(event);
        }
        driver.run(&mut application.buffer);
    }
    let sent = peer.join();
    assert!(sent < 100_000, "the flow was never stopped");
    // One more read at most, after the limit.
    let waiting = std::iter::from_fn(|| application.drivers[0].next_event()).count();
    assert!((1_024..1_024 + 80).contains(&waiting), "{waiting}");
}

/// An application that was busy between its poll and `run`: the answer came meanwhile, so no
/// readiness event told of it.
#[test]
fn a_late_turn_looks_at_the_socket_first() {
    let ponger = Ponger::start();
    let mut application = Application::new([ponger.config()]);
    application.drivers[0].connect();
    application.run(|_, told| told.iter().any(|(_, event)| connected(event).is_some()));
    application.run(|_, _| ponger.is_pinged());
    ponger.pong_and_be_busy();
    let driver = &mut application.drivers[0];
    driver.run(&mut application.buffer);
    assert!(matches!(driver.core().state(), State::Open { .. }), "{driver:?}");
    assert_eq!(driver.next_event(), None);
    application.drivers.clear();
    ponger.peer.join();
}

/// What senders brought has no room, and there is no gateway: the driver has its own deadline.
#[test]
fn a_shutdown_is_part_of_the_timeout() {
    let hour = Duration::from_secs(3_600);
    let settings = Config {
        outbox_max_messages: 1,
        backoff_base: hour,
        backoff_cap: hour,
        ..Config::new("ws://127.0.0.1:1/")
    };
    let mut application = Application::new([settings]);
    application.drivers[0].connect();
    application.run(|_, told| told.iter().any(|(_, event)| disconnected(event).is_some()));
    application.drivers[0].send(&1).unwrap();
    application.drivers[0].sender().send(&2).unwrap();
    let timeout = application.drivers[0].timeout().unwrap();
    assert!(timeout > hour / 2, "{timeout:?}");

    let begin = Instant::now();
    application.drivers[0].shutdown(Duration::from_millis(50));
    let timeout = application.drivers[0].timeout().unwrap();
    assert!(timeout <= Duration::from_millis(50) && !timeout.is_zero(), "{timeout:?}");
    let mut turns = 0;
    application.run(|_, told| {
        turns += 1;
        told.iter().any(|(_, event)| shut_down(event) == Some((0, 0, 1)))
    });
    assert!(begin.elapsed() >= Duration::from_millis(50) && turns < 5, "{turns} turns");
    assert_eq!((application.drivers[0].timeout(), application.drivers[0].queued()), (None, 1));
}

/// A driver that goes leaves nothing in the loop.
#[test]
fn a_dropped_driver_closes_its_socket() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        socket.read().unwrap_err().to_string()
    });
    let mut application = Application::new([config(peer.url())]);
    application.drivers[0].connect();
    application.run(|_, told| told.iter().any(|(_, event)| connected(event).is_some()));
    application.drivers.clear();
    peer.join();
    application.waker.wake().unwrap();
    application.turn(LONG);
    assert_eq!(application.woken, 1);
}
