//! A loop whose application is slow, or busy, or makes work for itself.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::OverflowPolicy;
use hermes_mio::{
    Client, Config, Driver, Event, Fleet, FleetOptions, MemberId, Options, ReadBuffer, State,
};
use mio::{Events, Poll, Token, Waker};
use serde_json::json;
use tungstenite::Message;

/// More small texts than an application takes in a moment, in few reads.
const BURST: usize = 4_000;

/// Unmasked texts, one after the other.
fn burst() -> Vec<u8> {
    let text = r#"{"type":"chat","text":"drip"}"#;
    [&[0x81, text.len() as u8], text.as_bytes()].concat().repeat(BURST)
}

/// What a slow application does with an event.
fn work() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1) {
        std::hint::spin_loop();
    }
}

/// One client's events take the application seconds; meanwhile another client's Ping is answered,
/// and a sender's message leaves.
#[test]
fn a_slow_application_holds_up_no_other_client() {
    use std::io::Write;

    let noisy = Peer::start(|listener| {
        let mut socket = accept(&listener);
        socket.get_mut().write_all(&burst()).unwrap();
        read_close(&mut socket);
    });
    let (go, may_ping) = mpsc::channel::<()>();
    let (done, is_done) = mpsc::channel::<()>();
    let quiet = Peer::start(move |listener| {
        let mut socket = accept(&listener);
        may_ping.recv_timeout(LONG).unwrap();
        socket.send(Message::Ping(vec![1].into())).unwrap();
        let (mut ponged, mut spoken) = (false, false);
        while !(ponged && spoken) {
            match socket.read().unwrap() {
                Message::Pong(_) => ponged = true,
                Message::Text(_) => spoken = true,
                _ => {}
            }
        }
        done.send(()).unwrap();
        read_close(&mut socket);
    });
    let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
    let [noisy_id, quiet_id] =
        [noisy.url(), quiet.url()].map(|url| fleet.add(config(url)).unwrap());
    fleet.get_mut(quiet_id).unwrap().connect();
    while !matches!(fleet.poll(Some(LONG)).unwrap(), Some((_, Event::Connected { .. }))) {}
    fleet.get_mut(noisy_id).unwrap().connect();
    let sender = fleet.get(quiet_id).unwrap().sender();
    let mut taken = 0;
    let until = Instant::now() + LONG;
    while is_done.try_recv().is_err() {
        assert!(Instant::now() < until && taken < BURST, "held up for {taken} events");
        if let Some((_, Event::Chat(_))) = fleet.poll(Some(Duration::from_millis(20))).unwrap() {
            taken += 1;
            if taken == 1 {
                go.send(()).unwrap();
                sender.send(&json!({"type": "chat"})).unwrap();
            }
            work();
        }
    }
    // A few turns of some milliseconds each, and a busy machine.
    assert!(taken < BURST / 4, "after {taken} events");
    for id in [noisy_id, quiet_id] {
        fleet.get_mut(id).unwrap().disconnect();
    }
    while fleet.poll(None).unwrap().is_some() {}
    noisy.join();
    quiet.join();
}

/// The Pong lies behind more events than wait for the application at a time: the link lives.
#[test]
fn no_verdict_on_a_link_that_is_full_and_unread() {
    use std::io::Write;

    let patience = Duration::from_millis(400);
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        assert!(matches!(socket.read().unwrap(), Message::Ping(_)));
        // tungstenite's Pong follows the texts.
        socket.get_mut().write_all(&burst()).unwrap();
        read_close(&mut socket);
    });
    let mut client = client(Config {
        heartbeat_interval: Some(patience),
        heartbeat_timeout: patience,
        max_attempts: Some(0),
        ..config(peer.url())
    });
    client.connect();
    wait_for(&mut client, connected);
    let begin = Instant::now();
    let mut taken = 0;
    while taken < BURST {
        let event = client.poll(Some(LONG)).unwrap().expect("there are more");
        assert!(matches!(event, Event::Chat(_)), "{event:?} after {taken}");
        taken += 1;
        work();
    }
    assert!(begin.elapsed() > patience * 4, "that was too fast to tell");
    assert!(matches!(client.protocol().state(), State::Open { .. }), "{client:?}");
    client.disconnect();
    while client.poll(None).unwrap().is_some() {}
    peer.join();
}

/// An application that is busy after `connect` for longer than the connect timeout: the attempt
/// has all its time from the first turn on.
#[test]
fn a_late_first_turn_costs_no_attempt() {
    for name in ["127.0.0.1", "gateway.test"] {
        let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
        let (address, (has_answered, answered)) = (peer.addr, mpsc::channel());
        let timeout = Duration::from_millis(100);
        let settings = Config {
            connect_timeout: timeout,
            upgrade_timeout: LONG,
            max_attempts: Some(0),
            ..config(format!("ws://{name}:{}/", address.port()))
        };
        let options = Options::new(settings).resolver(move |_, _| {
            has_answered.send(()).unwrap();
            Ok(vec![address])
        });
        let mut client = Client::new(options).unwrap();
        client.connect();
        if name == "gateway.test" {
            answered.recv_timeout(LONG).unwrap();
        }
        let begin = Instant::now();
        while begin.elapsed() < timeout * 2 {
            std::hint::spin_loop();
        }
        let event = next(&mut client);
        assert!(connected(&event).is_some(), "{name}: {event:?}");
        disconnect(&mut client);
        peer.join();
    }
}

/// An application that sends again whatever was dropped makes an event with each: the loop turns
/// all the same, and connects.
#[test]
fn sending_again_what_was_dropped_does_not_keep_the_loop() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let texts = [read_text(&mut socket), read_text(&mut socket)];
        read_close(&mut socket);
        texts
    });
    let mut client = client(Config {
        outbox_max_messages: 2,
        overflow: OverflowPolicy::DropOldest,
        ..at_most_once(peer.url())
    });
    for n in 0..3 {
        client.send(&json!({ "n": n })).unwrap();
    }
    client.connect();
    let until = Instant::now() + Duration::from_secs(10);
    let mut drops = 0_u64;
    loop {
        assert!(Instant::now() < until, "{drops} drops, and no connection");
        match client.poll(Some(LONG)).unwrap() {
            Some(Event::Dropped { .. }) => {
                drops += 1;
                client.send(&json!({ "n": 3 })).unwrap();
            }
            Some(Event::Connected { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(drops > 0);
    run_until(&mut client, |client| client.protocol().outbox_len() == 0);
    disconnect(&mut client);
    peer.join();
}

/// `poll` waits for an event, and is not ended by a wake-up; `wait` tells all there is to tell.
#[test]
fn a_wake_up_is_no_end() {
    use hermes_mio::Waited;

    let peer = Peer::echo();
    let mut client = client(config(peer.url()));
    assert_eq!(client.wait(None).unwrap(), Waited::AtRest);
    assert_eq!(client.wait(Some(Duration::from_millis(1))).unwrap(), Waited::TimedOut);
    client.sender().wake();
    assert_eq!(client.poll(None).unwrap(), None, "at rest");
    client.sender().wake();
    client.sender().wake();
    assert_eq!(client.wait(Some(LONG)).unwrap(), Waited::Woken, "also at rest");
    assert_eq!(client.wait(Some(Duration::ZERO)).unwrap(), Waited::TimedOut, "once");

    client.connect();
    wait_for(&mut client, connected);
    let sender = client.sender();
    let thread = std::thread::spawn(move || {
        for _ in 0..10 {
            sender.wake();
        }
        sender.send(&json!({"type": "chat", "text": "woken"}))
    });
    assert_eq!(chat_text(&client.poll(None).unwrap().unwrap()).unwrap(), "woken");
    thread.join().unwrap().unwrap();
    // The loop of the README.
    client.disconnect();
    client.sender().wake();
    let mut names = Vec::new();
    while let Some(event) = client.poll(None).unwrap() {
        names.push(event.name());
    }
    assert_eq!(names, ["ws-disconnected"]);
    peer.join();
}

/// Other threads can interrupt an application that never runs out of events.
#[test]
fn a_wake_up_gets_through_a_flood() {
    use hermes_mio::Waited;
    use std::io::Write;

    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        while socket.get_mut().write_all(&burst()).is_ok() {}
    });
    let mut client = Client::new(config(peer.url())).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    wait_for(&mut client, chat_text);
    client.sender().wake();
    let mut taken = 0;
    while client.wait(None).unwrap() != Waited::Woken {
        taken += 1;
        assert!(taken < BURST, "held up");
        work();
    }
    drop(client);
    peer.join();
}

/// A text of 64 KiB, so that few events come of many bytes.
fn large_text() -> Vec<u8> {
    let json = format!(r#"{{"type":"chat","text":"{}"}}"#, "x".repeat(0xff00));
    [&[0x81, 126][..], &(json.len() as u16).to_be_bytes(), json.as_bytes()].concat()
}

/// Peers that write until the system takes no more, and clients of a driver that have read nothing
/// of it.
struct Flooded {
    poll: Poll,
    driver: Driver,
    ids: Vec<MemberId>,
    peers: Vec<Peer>,
    /// A peer keeps its socket as long as its own is there.
    leases: Vec<mpsc::Sender<()>>,
    /// Number of bytes that wait for each client.
    waiting: Vec<usize>,
}

impl Flooded {
    fn new(clients: usize, options: FleetOptions) -> Self {
        use std::io::{ErrorKind, Write};

        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let registry = poll.registry().try_clone().unwrap();
        let driver = Driver::new(registry, 1..100, waker, options).unwrap();
        let (ids, peers, leases, waiting) = (vec![], vec![], vec![], vec![]);
        let mut flooded = Flooded { poll, driver, ids, peers, leases, waiting };
        for _ in 0..clients {
            let (may_write, go) = mpsc::channel::<()>();
            let (tell, is_full) = mpsc::channel();
            let peer = Peer::start(move |listener| {
                let socket = accept(&listener);
                go.recv_timeout(LONG).unwrap();
                let mut stream = socket.get_ref();
                stream.set_nonblocking(true).unwrap();
                let (text, mut written) = (large_text(), 0);
                let error = loop {
                    match stream.write(&text[written % text.len()..]) {
                        Ok(n) => written += n,
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                tell.send(written).unwrap();
                let _ = go.recv_timeout(LONG);
            });
            let id = flooded.driver.add(config(peer.url())).unwrap();
            flooded.driver.get_mut(id).unwrap().connect();
            flooded.turn_until(|event| matches!(event, Event::Connected { .. }));
            may_write.send(()).unwrap();
            flooded.waiting.push(is_full.recv_timeout(LONG).unwrap());
            flooded.ids.push(id);
            flooded.peers.push(peer);
            flooded.leases.push(may_write);
        }
        flooded
    }

    fn turn_until(&mut self, is_it: impl Fn(&Event) -> bool) {
        let (mut events, mut buffer) = (Events::with_capacity(8), ReadBuffer::new());
        let until = Instant::now() + LONG;
        loop {
            assert!(Instant::now() < until, "in vain");
            let _ = self.poll.poll(&mut events, Some(Duration::from_millis(20)));
            events.iter().for_each(|event| _ = self.driver.ready(event));
            self.driver.run(&mut buffer);
            while let Some((_, event)) = self.driver.next_event() {
                if is_it(&event) {
                    return;
                }
            }
        }
    }

    fn end(self) {
        drop((self.driver, self.leases));
        self.peers.into_iter().for_each(Peer::join);
    }

    /// One turn. Returns the number of bytes of texts that each client read in it.
    fn turn(&mut self) -> Vec<usize> {
        let mut events = Events::with_capacity(8);
        let _ = self.poll.poll(&mut events, Some(Duration::ZERO));
        events.iter().for_each(|event| _ = self.driver.ready(event));
        let received = |driver: &Driver, id| {
            driver.get(id).map_or(0, |client| client.protocol().stats().bytes_received as usize)
        };
        let before: Vec<_> = self.ids.iter().map(|id| received(&self.driver, *id)).collect();
        self.driver.run(&mut ReadBuffer::new());
        let after = self.ids.iter().map(|id| received(&self.driver, *id));
        after.zip(before).map(|(after, before)| after - before).collect()
    }
}

/// One read.
const READ: usize = 64 << 10;

/// However much waits for the clients of a loop.
#[test]
fn one_turn_reads_a_bounded_number_of_bytes() {
    let most = 3 * READ;
    let options = FleetOptions::default().max_read_per_turn(most);
    let mut flooded = Flooded::new(12, options);
    assert!(flooded.waiting.iter().sum::<usize>() > 8 * most, "{:?}", flooded.waiting);
    let read = flooded.turn();
    // An event counts the text, which may have begun in the turn before.
    let total: usize = read.iter().sum();
    assert!((READ..most + READ).contains(&total), "{read:?}");
    flooded.end();
}

/// However much waits for one client: 16 reads are its share of a turn.
#[test]
fn one_client_reads_a_bounded_number_of_bytes_in_a_turn() {
    let mut flooded = Flooded::new(1, FleetOptions::default());
    assert!(flooded.waiting[0] > 24 * READ, "{:?}", flooded.waiting);
    let read = flooded.turn();
    assert!((READ..17 * READ).contains(&read[0]), "{read:?}");
    flooded.end();
}

/// The defaults are bounds, and invalid ones are refused.
#[test]
fn limits_of_a_turn_are_settings() {
    for (options, field) in [
        (FleetOptions::default().max_waiting_events(0), "max_waiting_events"),
        (FleetOptions::default().max_read_per_turn(0), "max_read_per_turn"),
    ] {
        let error = Fleet::new(options).expect_err("nothing is too little").to_string();
        assert!(error.contains(field) && error.contains("at least 1"), "{error}");
    }
    let mut flooded = Flooded::new(1, FleetOptions::default().max_waiting_events(2));
    flooded.turn();
    // One read brings an end of a text, and perhaps a whole one.
    let events = std::iter::from_fn(|| flooded.driver.next_event()).count();
    assert!((1..=3).contains(&events), "{events} events wait");
    flooded.end();
}
