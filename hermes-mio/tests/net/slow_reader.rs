//! Peers that read slowly, and answer a Ping when they get to it: real sockets, plain and in TLS.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hermes_mio::{Client, Config, Delivery, Event, Options};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tungstenite::{Message, WebSocket};

use crate::common::*;
use crate::tls::Authority;

/// A socket that is read at so many bytes per second.
struct Paced {
    socket: TcpStream,
    rate: u64,
    begin: Instant,
    read: u64,
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The time at which the bytes before this read are due.
        let due = Duration::from_micros(self.read * 1_000_000 / self.rate);
        if let Some(early) = due.checked_sub(self.begin.elapsed()) {
            thread::sleep(early);
        }
        let n = buffer.len().min(16 << 10);
        let n = self.socket.read(&mut buffer[..n])?;
        if n == 0 {
            return Ok(0);
        }
        // Time in which nothing was there to be read does not count.
        if self.read == 0 || due + Duration::from_millis(200) < self.begin.elapsed() {
            (self.begin, self.read) = (Instant::now(), 0);
        }
        self.read += n as u64;
        Ok(n)
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A listener whose sockets keep little of what they are sent.
fn listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(8).unwrap();
    socket.into()
}

/// Reads texts until the client closes. Their lengths.
fn texts<S: Read + Write>(mut socket: WebSocket<S>) -> Vec<usize> {
    let mut lengths = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => lengths.push(text.len()),
            Ok(_) => {}
            Err(_) => return lengths,
        }
    }
}

/// Sends `count` messages of `length` bytes to a peer that reads at `rate`, and shuts down.
fn deliver(is_secure: bool, count: usize, length: usize, rate: u64, change: fn(&mut Config)) {
    let (listener, authority) = (listener(), Authority::new());
    let addr = listener.local_addr().unwrap();
    let server = Arc::new(authority.good().server());
    let peer = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        let socket = Paced { socket, rate, begin: Instant::now(), read: 0 };
        let config = Some(
            tungstenite::protocol::WebSocketConfig::default()
                .max_message_size(None)
                .max_frame_size(None),
        );
        let lengths = if is_secure {
            let session = rustls::ServerConnection::new(server).unwrap();
            let stream = rustls::StreamOwned::new(session, socket);
            texts(tungstenite::accept_with_config(stream, config).unwrap())
        } else {
            texts(tungstenite::accept_with_config(socket, config).unwrap())
        };
        // Nobody comes again.
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        lengths
    });
    let scheme = if is_secure { "wss" } else { "ws" };
    let mut config = Config {
        delivery: Delivery::AtLeastOnce,
        heartbeat_interval: Some(Duration::from_secs(1)),
        heartbeat_timeout: Duration::from_secs(2),
        outbox_max_bytes: 64 << 20,
        outbox_max_messages: 10_000,
        ..config(format!("{scheme}://localhost:{}/", addr.port()))
    };
    change(&mut config);
    let resolve = move |_: &str, _| Ok(vec![addr]);
    let options = Options::new(config).tls(authority.trusted()).resolver(resolve);
    let mut client = Client::new(options).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    // With quotes and braces around it.
    let message = json!("x".repeat(length - 2));
    for _ in 0..count {
        client.send(&message).unwrap();
    }
    let limit = Duration::from_secs((count * length) as u64 / rate) * 2 + LONG;
    client.shutdown(limit);
    let begin = Instant::now();
    let report = loop {
        let event = client.poll(Some(limit)).unwrap();
        match event.unwrap_or_else(|| panic!("nothing happens: {client:?}")) {
            Event::ShutDown { in_doubt, unsent, .. } => break (in_doubt, unsent),
            Event::Disconnected { reason, .. } => {
                assert_eq!(reason, hermes_mio::CloseReason::Requested, "{:?}", begin.elapsed());
            }
            _ => {}
        }
    };
    assert_eq!(report, (0, 0));
    assert_eq!(client.protocol().stats().opened, 1);
    drop(client);
    assert_eq!(peer.join().unwrap(), vec![length; count]);
}

const MB: usize = 1_000_000;

macro_rules! deliveries {
    ($($name:ident: $count:expr, $length:expr, $rate:expr;)*) => {
        mod plain {
            use super::*;
            $(#[test] fn $name() { deliver(false, $count, $length, $rate, |_| {}); })*
        }
        mod tls {
            use super::*;
            $(#[test] fn $name() { deliver(true, $count, $length, $rate, |_| {}); })*
        }
    };
}

deliveries! {
    one_of_1_mb: 1, MB, 250_000;
    one_of_3_mb: 1, 3 * MB, 500_000;
    one_of_8_mb: 1, 8 * MB, 1_000_000;
    one_of_12_mb: 1, 12 * MB, 1_000_000;
    many_of_1_kb: 4_000, 1_000, 512_000;
}

/// Longer than the default heartbeat's interval and its timeout.
#[test]
fn at_default_settings() {
    deliver(false, 1, 12 * MB, 250_000, |config| {
        let defaults = Config::default();
        config.heartbeat_interval = defaults.heartbeat_interval;
        config.heartbeat_timeout = defaults.heartbeat_timeout;
    });
}
