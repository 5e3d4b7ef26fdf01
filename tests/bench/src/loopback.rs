//! Over loopback: hermes-mio, and a mio loop by hand.
//!
//! A thread is the gateway, on tungstenite's socket: to `"flood"` it answers with a load, to
//! anything else with the same. The contenders take turns on the main thread, each on a connection
//! of its own, and what the gateway costs concerns both alike.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use hermes_mio::{Client, Config, Event};
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tungstenite::Message;

use crate::load::{Load, Mix};
use crate::receive::{floor, hermes, message::Flat};
use crate::seen::Count;

/// Loads in a flood.
const LOADS: u64 = 10;
/// Floods, and turns of round trips.
const TURNS: usize = 30;
/// Round trips in a turn.
const TRIPS: usize = 500;

/// Measures, and prints two tables.
///
/// # Panics
///
/// Where there is no loopback.
pub fn main() {
    let mut contenders: [(&str, Box<dyn Contender>); 2] = [
        ("bare mio + floor2", Box::new(Bare::connect(gateway()))),
        ("hermes-mio", Box::new(Hermes::connect(gateway()))),
    ];
    let messages = LOADS * Mix::M1.load().messages;

    let mut costs = [Vec::new(), Vec::new()];
    // The first turn is none: memory is asked for, connections find their pace.
    for turn in 0..=TURNS {
        for ((_, contender), costs) in contenders.iter_mut().zip(&mut costs) {
            let before = cpu_ns();
            contender.flood(messages);
            let cost = (cpu_ns() - before) as f64 / messages as f64;
            costs.extend((turn > 0).then_some(cost));
        }
    }
    println!(
        "\nCPU per message (M1), in floods of {messages}\n\n| | CPU | ns |\n| --- | --- | --- |"
    );
    let ratios: Vec<f64> = costs[1].iter().zip(&costs[0]).map(|(one, other)| one / other).collect();
    let ratios = [1.0, quantile(&ratios, 0.5)];
    for ((name, _), (costs, ratio)) in contenders.iter().zip(costs.iter().zip(ratios)) {
        println!("| {name} | {ratio:.2} | {:.0} |", quantile(costs, 0.5));
    }

    let mut trips = [Vec::new(), Vec::new()];
    for turn in 0..=TURNS {
        for ((_, contender), trips) in contenders.iter_mut().zip(&mut trips) {
            for _ in 0..TRIPS {
                let start = Instant::now();
                contender.round_trip();
                let trip = start.elapsed().as_nanos() as f64 / 1_000.0;
                trips.extend((turn > 0).then_some(trip));
            }
        }
    }
    println!(
        "\nRound trip of a chat\n\n| | p50 | µs | p99 | µs |\n| --- | --- | --- | --- | --- |"
    );
    let of = |trips: &[f64]| [quantile(trips, 0.5), quantile(trips, 0.99)];
    let [bare50, bare99] = of(&trips[0]);
    for ((name, _), trips) in contenders.iter().zip(&trips) {
        let [p50, p99] = of(trips);
        println!("| {name} | {:.2} | {p50:.1} | {:.2} | {p99:.1} |", p50 / bare50, p99 / bare99);
    }
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
    /// Asks for a flood, and receives it.
    fn flood(&mut self, messages: u64);

    /// Says something, and hears it again.
    fn round_trip(&mut self);
}

/// A gateway for a single connection; its URL.
fn gateway() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_nodelay(true).expect("an option");
        let mut socket = tungstenite::accept(stream).expect("a WebSocket");
        let Load { bytes, .. } = Mix::M1.load();
        // Until the client is gone.
        while let Ok(message) = socket.read() {
            let is_answered = match message {
                Message::Text(text) if text == "\"flood\"" => {
                    (0..LOADS).try_for_each(|_| socket.get_mut().write_all(&bytes)).is_ok()
                }
                Message::Text(_) => socket.send(message).is_ok(),
                _ => true,
            };
            if !is_answered {
                return;
            }
        }
    });
    format!("ws://{address}/")
}

fn chat() -> serde_json::Value {
    json!({"type": "chat", "text": "is anybody there? it is quiet out here", "sender": "ada"})
}

/// The least that there can be between a socket and [`Flat`].
struct Bare {
    poll: Poll,
    events: Events,
    stream: mio::net::TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Frames, masked.
    flood: Vec<u8>,
    chat: Vec<u8>,
}

impl Bare {
    fn connect(url: String) -> Self {
        let address = url.trim_start_matches("ws://").trim_end_matches('/');
        let stream = TcpStream::connect(address).expect("a gateway");
        stream.set_nodelay(true).expect("an option");
        let (socket, _) = tungstenite::client(&url, stream).expect("a WebSocket");
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
            flood: masked("\"flood\""),
            chat: masked(&chat().to_string()),
        }
    }

    fn receive(&mut self, messages: u64) -> Count {
        let mut seen = Count::default();
        let mut left = messages;
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => panic!("the gateway is gone"),
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if left == 0 {
                        return seen;
                    }
                    self.poll.poll(&mut self.events, None).expect("a poll");
                }
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
    }
}

impl Contender for Bare {
    fn flood(&mut self, messages: u64) {
        self.stream.write_all(&self.flood).expect("room");
        std::hint::black_box(self.receive(messages).bytes);
    }

    fn round_trip(&mut self) {
        self.stream.write_all(&self.chat).expect("room");
        std::hint::black_box(self.receive(1).bytes);
    }
}

/// A short frame under a mask of zeros.
fn masked(text: &str) -> Vec<u8> {
    assert!(text.len() < 126);
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// The adapter with a loop of its own.
struct Hermes {
    client: Client,
    chat: serde_json::Value,
}

impl Hermes {
    fn connect(url: String) -> Self {
        let mut client = Client::new(Config::new(url)).expect("a client");
        client.connect();
        while !matches!(client.poll(None), Ok(Some(Event::Connected { .. }))) {}
        Hermes { client, chat: chat() }
    }

    fn receive(&mut self, messages: u64) -> Count {
        let mut seen = Count::default();
        for _ in 0..messages {
            let event = self.client.poll(None).expect("a poll").expect("an event");
            hermes::show(&event, &mut seen);
        }
        seen
    }
}

impl Contender for Hermes {
    fn flood(&mut self, messages: u64) {
        self.client.send("flood").expect("room");
        std::hint::black_box(self.receive(messages).bytes);
    }

    fn round_trip(&mut self) {
        self.client.send(&self.chat).expect("room");
        std::hint::black_box(self.receive(1).bytes);
    }
}
