//! Over loopback: hermes-mio, and a mio loop by hand.
//!
//! Threads are the gateway, on tungstenite's socket: to one message they answer with a flood, to
//! any other with the same. The contenders take turns on the main thread, each on a connection of
//! its own, and what the gateway costs concerns all alike. Each has its [core](crate::cores).

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use hermes_mio::{Client, Config, Delivery, Event};
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};
use tungstenite::Message;

use crate::cores::{self, bind_to};
use crate::load::{Load, Mix};
use crate::receive::{floor, hermes, message::Flat};
use crate::seen::Count;
use crate::send::{self, Chat, Sender as _};

/// A loop by hand, and clients.
const CONTENDERS: usize = 3;
/// The number of the message that asks for a flood.
const PLEASE: usize = 0;
/// Loads in a flood.
const LOADS: u64 = 10;
/// Turns in which each has a flood.
const FLOODS: usize = 60;
/// Turns in which each makes round trips, and how many each.
const TURNS: usize = 400;
const TRIPS: usize = 25;

/// Measures, and prints a table for each place of the gateway. With a contender's name it alone
/// works, for a profiler.
///
/// # Panics
///
/// Where there is no loopback, or only one core.
pub fn main() {
    let only = std::env::args().skip(1).find(|arg| arg != "--bench");
    let [here, there] = cores::two();
    for (core, place) in [(here, "the client's core"), (there, "a core of its own")] {
        let gateway = gateway(core);
        bind_to(here);
        let hermes = |delivery| Box::new(Hermes::connect(gateway, delivery));
        let mut contenders: [(&str, Box<dyn Contender>); CONTENDERS] = [
            ("bare mio + floor2", Box::new(Bare::connect(gateway))),
            ("hermes-mio, at-most-once", hermes(Delivery::AtMostOnce)),
            ("hermes-mio", hermes(Delivery::AtLeastOnce)),
        ];
        let (please, chat) = (Chat::new(PLEASE), Chat::new(PLEASE + 1));
        let messages = LOADS * Mix::M1.load().messages;
        let flood = |contender: &mut dyn Contender| {
            contender.send(&please);
            contender.receive(messages)
        };
        let trip = |contender: &mut dyn Contender| {
            contender.send(&chat);
            contender.receive(1)
        };
        if let Some(only) = &only {
            let is_it = |(name, _): &&mut (&str, _)| name.contains(only.as_str());
            let (_, contender) = contenders.iter_mut().find(is_it).expect("one of that name");
            (0..FLOODS).for_each(|_| assert!(flood(&mut **contender) > 0));
            (0..TURNS * TRIPS).for_each(|_| assert!(trip(&mut **contender) > 0));
            continue;
        }
        let seen = contenders.each_mut().map(|(_, contender)| flood(&mut **contender));
        assert_eq!(seen, [seen[0]; CONTENDERS], "all see the same");

        println!("\nThe gateway on {place}\n");
        println!("| | CPU a message | ns | trip, p50 | µs | p99 | µs |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        let costs = by_turns(&mut contenders, FLOODS, |contender| {
            let before = cpu_ns();
            black_box(flood(contender));
            vec![(cpu_ns() - before) as f64 / messages as f64]
        });
        let trips = by_turns(&mut contenders, TURNS, |contender| {
            // It finds in the core's cache what the other has left there.
            black_box(trip(contender));
            let measure = |_| {
                let start = Instant::now();
                black_box(trip(contender));
                start.elapsed().as_nanos() as f64 / 1_000.0
            };
            (0..TRIPS).map(measure).collect()
        });
        // Of neighbours in time, since a core is at times half as fast as at others.
        for (index, (name, _)) in contenders.iter().enumerate() {
            let cost: Vec<f64> =
                costs[index].iter().zip(&costs[0]).map(|(ours, bare)| ours / bare).collect();
            let [p50, p99] = [0.5, 0.99].map(|part| quantile(&trips[index], part));
            let [bare50, bare99] = [0.5, 0.99].map(|part| quantile(&trips[0], part));
            println!(
                "| {name} | {:.2} | {:.0} | {:.2} | {p50:.1} | {:.2} | {p99:.1} |",
                quantile(&cost, 0.5),
                quantile(&costs[index], 0.5),
                p50 / bare50,
                p99 / bare99
            );
        }
    }
}

/// What was measured of each, in turns so short that what else the machine does concerns all, and
/// each as often first as last.
fn by_turns(
    contenders: &mut [(&str, Box<dyn Contender>); CONTENDERS],
    turns: usize,
    measure: impl Fn(&mut dyn Contender) -> Vec<f64>,
) -> [Vec<f64>; CONTENDERS] {
    let mut values = [const { Vec::new() }; CONTENDERS];
    // The first two turns are none: memory is asked for, connections find their pace.
    for turn in 0..turns + 2 {
        for nth in 0..CONTENDERS {
            let index = (turn + nth) % CONTENDERS;
            let more = measure(&mut *contenders[index].1);
            values[index].extend(if turn < 2 { Vec::new() } else { more });
        }
    }
    values
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * part) as usize]
}

/// What this thread has cost so far, the system's work for it included.
fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// A client of its kind, on an open connection.
trait Contender {
    fn send(&mut self, message: &Chat);

    /// Receives so many, which are all there is to come; what they say, in bytes.
    fn receive(&mut self, messages: u64) -> u64;
}

/// A gateway on this core; where it listens.
fn gateway(core: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        bind_to(core);
        let load: &'static Load = Box::leak(Box::new(Mix::M1.load()));
        // A thread each, on the same core.
        for stream in listener.incoming() {
            std::thread::spawn(|| serve(stream.expect("a client"), load));
        }
    });
    address
}

/// Until the client is gone.
fn serve(stream: TcpStream, load: &Load) -> Option<()> {
    stream.set_nodelay(true).expect("an option");
    let mut socket = tungstenite::accept(stream).expect("a WebSocket");
    let please = serde_json::to_string(&Chat::new(PLEASE)).expect("JSON");
    loop {
        match socket.read().ok()? {
            Message::Text(text) if text == please => {
                (0..LOADS).try_for_each(|_| socket.get_mut().write_all(&load.bytes)).ok()?;
            }
            message @ Message::Text(_) => socket.send(message).ok()?,
            _ => {}
        }
    }
}

/// The least that there can be between a socket and [`Flat`], and between [`Chat`] and a socket.
struct Bare {
    poll: Poll,
    events: Events,
    stream: mio::net::TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    sender: send::floor::Floor,
}

impl Bare {
    fn connect(gateway: SocketAddr) -> Self {
        let stream = TcpStream::connect(gateway).expect("a gateway");
        stream.set_nodelay(true).expect("an option");
        let url = format!("ws://{gateway}/");
        let (socket, _) = tungstenite::client(url, stream).expect("a WebSocket");
        // The gateway says nothing before it is asked, so there is nothing else in there.
        let stream = socket.get_ref().try_clone().expect("a socket");
        stream.set_nonblocking(true).expect("an option");
        let mut stream = mio::net::TcpStream::from_std(stream);
        let poll = Poll::new().expect("a poll");
        poll.registry().register(&mut stream, Token(0), Interest::READABLE).expect("a poll");
        Bare {
            poll,
            events: Events::with_capacity(16),
            stream,
            buffer: vec![0; 64 << 10],
            start: 0,
            end: 0,
            sender: send::floor::Floor::new(),
        }
    }

    /// Receives so many, which are all there is to come.
    fn receive(&mut self, messages: u64) -> u64 {
        let mut seen = Count::default();
        let mut left = messages;
        let mut is_drained = true;
        while left > 0 {
            if is_drained {
                self.poll.poll(&mut self.events, None).expect("a poll");
            }
            let room = &mut self.buffer[self.end..];
            match self.stream.read(room) {
                Ok(0) => panic!("the gateway is gone"),
                Ok(n) => {
                    // What comes after a read that leaves room is an event of its own.
                    is_drained = n < room.len();
                    self.end += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => is_drained = true,
                Err(error) => panic!("{error}"),
            }
            while let Some((payload, size)) = floor::frame(&self.buffer[self.start..self.end]) {
                let text = simdutf8::basic::from_utf8(payload).expect("a text");
                let message: Flat<'_> = serde_json::from_str(text).expect("a message");
                message.show(&mut seen);
                self.start += size;
                left -= 1;
            }
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        seen.bytes
    }
}

impl Contender for Bare {
    fn send(&mut self, message: &Chat) {
        let stream = &mut self.stream;
        let wire = |bytes: &[u8]| stream.write_all(bytes).expect("room");
        self.sender.send(std::slice::from_ref(message), wire);
    }

    fn receive(&mut self, messages: u64) -> u64 {
        Bare::receive(self, messages)
    }
}

/// The adapter with a loop of its own.
struct Hermes(Client);

impl Hermes {
    fn connect(gateway: SocketAddr, delivery: Delivery) -> Self {
        let config = Config { delivery, ..Config::new(format!("ws://{gateway}/")) };
        let mut client = Client::new(config).expect("a client");
        client.connect();
        while !matches!(client.poll(None), Ok(Some(Event::Connected { .. }))) {}
        Hermes(client)
    }
}

impl Contender for Hermes {
    fn send(&mut self, message: &Chat) {
        self.0.send(message).expect("room");
    }

    fn receive(&mut self, messages: u64) -> u64 {
        let mut seen = Count::default();
        for _ in 0..messages {
            let Ok(Some(event)) = self.0.poll(None) else { panic!("no event") };
            hermes::show(&event, &mut seen);
        }
        seen.bytes
    }
}
