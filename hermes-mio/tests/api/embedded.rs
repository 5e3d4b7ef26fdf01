//! A driver in a loop of the application's own, with other things in it.

use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::Jitter;
use hermes_mio::{
    CloseReason, Config, Driver, Event, FleetOptions, MemberId, MemberMut, Outgoing, ReadBuffer,
    State,
};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::json;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const GUEST: Token = Token(2);
const CLIENTS: std::ops::Range<usize> = 10..200;

/// An application: an echo server and any number of Hermes clients, on one loop.
struct Application {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    buffer: ReadBuffer,
    driver: Driver,
    ids: Vec<MemberId>,
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
        let registry = poll.registry().try_clone().unwrap();
        let options = FleetOptions::default().timer_slack(Duration::ZERO).jitter(Jitter::None);
        let mut driver = Driver::new(registry, CLIENTS, Arc::clone(&waker), options).unwrap();
        let ids = configs.into_iter().map(|config| driver.add(config).unwrap()).collect();
        let events = Events::with_capacity(8);
        let buffer = ReadBuffer::new();
        let (guest, echoed, woken) = (None, 0, 0);
        Application { poll, events, waker, buffer, driver, ids, listener, guest, echoed, woken }
    }

    fn client(&mut self, index: usize) -> MemberMut<'_> {
        self.driver.get_mut(self.ids[index]).unwrap()
    }

    /// One turn. Returns what the drivers had to tell.
    fn turn(&mut self, patience: Duration) -> Vec<(usize, Event)> {
        let timeout = self.driver.timeout().unwrap_or(patience).min(patience);
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
            _ => {}
        }
        for event in &self.events {
            assert_eq!(self.driver.ready(event), CLIENTS.contains(&event.token().0));
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
        self.driver.run(&mut self.buffer);
        let index = |id| self.ids.iter().position(|known| *known == id).unwrap();
        std::iter::from_fn(|| self.driver.next_event())
            .map(|(id, event)| (index(id), event))
            .collect()
    }

    /// Turns until `done`; the events go through its hands.
    fn run(&mut self, mut done: impl FnMut(&mut Self, Vec<(usize, Event)>) -> bool) {
        let until = Instant::now() + LONG;
        loop {
            let told = self.turn(Duration::from_millis(50));
            if done(self, told) {
                return;
            }
            assert!(Instant::now() < until, "it never comes: {:?}", self.driver);
        }
    }
}

#[test]
fn a_driver_shares_the_loop() {
    let peer = Peer::echo();
    let mut application = Application::new([at_most_once(peer.url())]);
    assert_eq!(application.driver.timeout(), None, "nothing to do, nothing to wait for");
    application.client(0).connect();
    assert_eq!(application.driver.timeout(), Some(Duration::ZERO));

    // Somebody else uses the loop at the same time, …
    let mut guest =
        std::net::TcpStream::connect(application.listener.local_addr().unwrap()).unwrap();
    guest.write_all(b"hello").unwrap();
    // … and another thread sends.
    let sender = application.client(0).sender();
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
    let timeout = application.driver.timeout().unwrap();
    assert!(timeout > Duration::from_secs(20) && timeout <= Duration::from_secs(25), "{timeout:?}");

    application.client(0).disconnect();
    application.run(|_, told| {
        told.iter().any(|(_, event)| disconnected(event) == Some((1000, CloseReason::Requested)))
    });
    assert_eq!(application.driver.timeout(), None);
    peer.join();
}

/// Several in one driver: same buffer, same waker, a token each.
#[test]
fn clients_share_a_driver() {
    const MANY: usize = 8;
    let peer = Peer::start(|listener| {
        let mut sockets: Vec<_> = (0..MANY).map(|_| accept(&listener)).collect();
        for socket in &mut sockets {
            let text = read_text(socket);
            send(socket, &text);
        }
        sockets.iter_mut().for_each(read_close);
    });
    let mut application = Application::new((0..MANY).map(|_| config(peer.url())));
    for index in 0..MANY {
        application.client(index).connect();
        application.client(index).send(&json!({"type": "chat", "text": index})).unwrap();
    }
    let mut answered = [false; MANY];
    application.run(|_, told| {
        for (index, event) in told {
            if let Some(text) = chat_text(&event) {
                assert_eq!(text, index.to_string());
                answered[index] = true;
            }
        }
        answered.iter().all(|answered| *answered)
    });
    (0..MANY).for_each(|index| application.client(index).disconnect());
    application.run(|application, _| {
        application.driver.iter().all(|client| client.protocol().state() == State::Idle)
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
    application.client(0).connect();
    let until = Instant::now() + LONG;
    while !peer.is_finished() {
        assert!(Instant::now() < until);
        let driver = &mut application.driver;
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
    let mut waiting = 0;
    while application.driver.timeout() == Some(Duration::ZERO)
        && application.driver.next_event().is_some()
    {
        waiting += 1;
    }
    assert!((256..256 + 80).contains(&waiting), "{waiting}");
}

/// However many events wait, an application that is slow with them has turns in between.
#[test]
fn slow_events_end_their_turn() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let text = r#"{"type":"chat"}"#;
        let burst = [&[0x81, text.len() as u8], text.as_bytes()].concat().repeat(1_000);
        socket.get_mut().write_all(&burst).unwrap();
        read_close(&mut socket);
    });
    let mut application = Application::new([config(peer.url())]);
    application.client(0).connect();
    let (mut taken, mut turns) = (0, 0);
    let until = Instant::now() + LONG;
    while taken < 1_000 {
        assert!(Instant::now() < until, "{taken} events");
        let driver = &mut application.driver;
        let timeout = driver.timeout().unwrap_or(LONG).min(LONG);
        application.poll.poll(&mut application.events, Some(timeout)).unwrap();
        for event in &application.events {
            driver.ready(event);
        }
        driver.run(&mut application.buffer);
        while let Some((_, event)) = driver.next_event() {
            taken += usize::from(matches!(event, Event::Chat(_)));
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
        }
        turns += 1;
        if (1..1_000).contains(&taken) {
            assert_eq!(driver.timeout(), Some(Duration::ZERO), "the others wait");
        }
    }
    // A turn ends after 5 ms, by a clock of some milliseconds.
    assert!(turns > 50, "{turns} turns for a second of work");
    application.client(0).disconnect();
    application.run(|_, told| told.iter().any(|(_, event)| disconnected(event).is_some()));
    peer.join();
}

/// An application that was busy between its poll and `run`: the answer came meanwhile, so no
/// readiness event told of it.
#[test]
fn a_late_turn_looks_at_the_socket_first() {
    let ponger = Ponger::start();
    let mut application = Application::new([ponger.config()]);
    application.client(0).connect();
    application.run(|_, told| told.iter().any(|(_, event)| connected(event).is_some()));
    application.run(|_, _| ponger.is_pinged());
    ponger.pong_and_be_busy();
    let driver = &mut application.driver;
    driver.run(&mut application.buffer);
    assert_eq!(driver.next_event(), None);
    assert!(matches!(application.client(0).protocol().state(), State::Open { .. }));
    drop(application);
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
    application.client(0).connect();
    application.run(|_, told| told.iter().any(|(_, event)| disconnected(event).is_some()));
    application.client(0).send(&1).unwrap();
    application.client(0).sender().send(&2).unwrap();
    // It has woken the loop, for nothing.
    application.turn(LONG);
    let timeout = application.driver.timeout().unwrap();
    assert!(timeout > hour / 2, "{timeout:?}");

    let begin = Instant::now();
    application.client(0).shutdown(Duration::from_millis(50));
    let timeout = application.driver.timeout().unwrap();
    assert!(timeout <= Duration::from_millis(50) && !timeout.is_zero(), "{timeout:?}");
    let mut turns = 0;
    application.run(|_, told| {
        turns += 1;
        told.iter().any(|(_, event)| shut_down(event) == Some((0, 0, 2)))
    });
    assert!(begin.elapsed() >= Duration::from_millis(50) && turns < 5, "{turns} turns");
    assert_eq!((application.driver.timeout(), application.client(0).queued()), (None, 1));
}

/// However much is due at the same time: what else the loop does has its turn between.
#[test]
fn what_is_due_is_done_by_and_by() {
    const MANY: usize = 40;
    let ttl = Duration::from_millis(1);
    let mut application = Application::new((0..MANY).map(|_| Config::new("ws://127.0.0.1:1/")));
    for index in 0..MANY {
        let message = Outgoing::new(&index).unwrap().with_ttl(ttl);
        application.client(index).send_message(message).unwrap();
    }
    let due = application.client(0).now() + ttl;
    while application.client(0).now() < due {
        std::thread::yield_now();
    }
    for dropped in [16, 16, 8] {
        assert_eq!(application.driver.timeout(), Some(Duration::ZERO));
        assert_eq!(application.turn(LONG).len(), dropped);
    }
    assert_eq!(application.driver.timeout(), None);
}

/// A client that goes leaves nothing in the loop.
#[test]
fn a_removed_client_closes_its_socket() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        socket.read().unwrap_err().to_string()
    });
    let mut application = Application::new([config(peer.url())]);
    application.client(0).connect();
    application.run(|_, told| told.iter().any(|(_, event)| connected(event).is_some()));
    let id = application.ids[0];
    assert!(application.driver.timeout().is_some(), "it has a heartbeat");
    assert!(application.driver.remove(id).is_some());
    assert_eq!(application.driver.timeout(), None);
    peer.join();
    application.waker.wake().unwrap();
    application.turn(LONG);
    assert_eq!(application.woken, 1);
}
