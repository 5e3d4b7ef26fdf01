//! Uploads over loopback: what the window and its fences cost.
//!
//! A client has a backlog for a gateway on a core of its own, which reads frames, answers Pings, and
//! says so when it has them all. The contenders are one client with different settings, and take
//! turns.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use hermes_mio::proto::{Config, Delivery, Event};
use hermes_mio::{Client, Options, Outgoing, Sender};

use crate::cores::{self, bind_to};

/// Turns in which each contender has a backlog.
const TURNS: usize = 40;
/// Bytes of a backlog, roughly.
const BACKLOG: usize = 16 << 20;

/// Measures, and prints a table for each length of message.
///
/// # Panics
///
/// Where there is no loopback, or only one core.
pub fn main() {
    let [here, there] = cores::two();
    let gateway = gateway(there);
    bind_to(here);
    for length in [118, 4 << 10, 64 << 10] {
        let connect = |(_, change): (_, Change)| Upload::connect(gateway, length, change);
        let mut kept = SETTINGS.map(connect);
        // The first two turns are none: memory is asked for, and windows open.
        (0..2).for_each(|_| kept.iter_mut().for_each(|upload| _ = upload.run()));
        let later = by_turns(|index| kept[index].run());
        let first = by_turns(|index| connect(SETTINGS[index]).run());
        println!("\nMessages of {length} bytes\n");
        println!("| | throughput | MB/s | a connection's first backlog | MB/s |");
        println!("| --- | --- | --- | --- | --- |");
        for (index, (name, _)) in SETTINGS.iter().enumerate() {
            let [(later, later_rate), (first, first_rate)] =
                [&later, &first].map(|rates| compare(&rates[index], &rates[0]));
            println!("| {name} | {later:.3} | {later_rate:.0} | {first:.3} | {first_rate:.0} |");
        }
    }
}

/// Rates of each contender, in turns so short that what else the machine does concerns all.
fn by_turns(mut run: impl FnMut(usize) -> f64) -> [Vec<f64>; SETTINGS.len()] {
    let mut rates = SETTINGS.map(|_| Vec::new());
    for turn in 0..TURNS {
        for nth in 0..SETTINGS.len() {
            let index = (turn + nth) % SETTINGS.len();
            rates[index].push(run(index));
        }
    }
    rates
}

/// The median ratio of rates to those measured next to them, and the median rate in MB/s.
fn compare(own: &[f64], first: &[f64]) -> (f64, f64) {
    let ratios = own.iter().zip(first).map(|(own, first)| own / first).collect();
    (median(ratios), median(own.to_vec()) / 1e6)
}

type Change = fn(&mut Config);

/// What they are measured against comes first.
const SETTINGS: [(&str, Change); 3] = [
    ("at-least-once, no window", |config| {
        (config.in_flight_min_bytes, config.in_flight_max_bytes) = (u64::MAX, u64::MAX);
    }),
    ("at-least-once", |_| {}),
    ("at-most-once", |config| config.delivery = Delivery::AtMostOnce),
];

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A client with a backlog.
struct Upload {
    client: Client,
    sender: Sender,
    message: Outgoing,
    messages: usize,
}

impl Upload {
    fn connect(gateway: SocketAddr, length: usize, change: Change) -> Self {
        let messages = BACKLOG / length;
        let mut config = Config {
            delivery: Delivery::AtLeastOnce,
            outbox_max_messages: 2 * messages as u64,
            outbox_max_bytes: 4 * BACKLOG as u64,
            ..Config::new(format!("ws://{gateway}/"))
        };
        change(&mut config);
        let options = Options::new(config).sender_capacity(messages);
        let mut client = Client::new(options).expect("a client");
        client.connect();
        // Sends from the client write to the socket at once, each by itself.
        let sender = client.sender();
        while !matches!(client.poll(None), Ok(Some(Event::Connected { .. }))) {}
        let message = Outgoing::text("x".repeat(length));
        Upload { client, sender, message, messages }
    }

    /// Bytes per second until the gateway has the backlog.
    fn run(&mut self) -> f64 {
        let start = Instant::now();
        for _ in 0..self.messages {
            self.sender.send_message(self.message.clone()).expect("room");
        }
        let event = self.client.poll(None).expect("no error");
        assert!(matches!(event, Some(Event::Chat(_))), "{event:?}");
        (self.messages * self.message.len()) as f64 / start.elapsed().as_secs_f64()
    }
}

/// A gateway on this core; where it listens.
fn gateway(core: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        bind_to(core);
        for stream in listener.incoming() {
            std::thread::spawn(|| serve(stream.expect("a client")));
        }
    });
    address
}

/// Reads frames until the client is gone: a Pong for each Ping, and a text after each backlog.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).expect("an option");
    let socket = tungstenite::accept(stream).expect("a WebSocket");
    // The client says nothing before it is connected, so there is nothing else in there.
    let mut stream = socket.get_ref().try_clone().expect("a socket");
    let (mut buffer, mut start, mut end) = (vec![0; 256 << 10], 0, 0);
    // Messages of the backlog that are to come.
    let mut left = 0;
    loop {
        let n = stream.read(&mut buffer[end..]).ok().filter(|n| *n > 0)?;
        end += n;
        while let Some((first, key, payload, size)) = frame(&buffer[start..end]) {
            if first == 0x89 {
                let text = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
                let mut pong = vec![0x8A, payload.len() as u8];
                pong.extend(text);
                stream.write_all(&pong).ok()?;
            } else if first == 0x81 {
                if left == 0 {
                    left = BACKLOG / payload.len();
                }
                left -= 1;
                if left == 0 {
                    let chat = r#"{"type":"chat","text":"all"}"#;
                    stream.write_all(&[0x81, chat.len() as u8]).ok()?;
                    stream.write_all(chat.as_bytes()).ok()?;
                }
            }
            start += size;
        }
        buffer.copy_within(start..end, 0);
        (start, end) = (0, end - start);
    }
}

/// A masked frame: its first byte, key and payload, and its size.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8], usize)> {
    let [first, second, ..] = *bytes else { return None };
    let (length, head) = match second & 0x7F {
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    let size = head + 4 + length;
    Some((first, bytes.get(head..head + 4)?, bytes.get(head + 4..size)?, size))
}
