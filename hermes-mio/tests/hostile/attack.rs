//! An attack, and what a client makes of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hermes_mio::proto::Timestamp;
use hermes_mio::proto::reason::Violation;
use hermes_mio::{Client, CloseReason, Config, Event};
use tungstenite::handshake::derive_accept_key;

use crate::common::*;
use crate::memory;

/// The largest message that a client takes in these tests.
pub(crate) const LARGEST: usize = 256 << 10;

/// What it may hold: the loop's 64 KiB, what was read of it, and the largest message twice over, as
/// it comes and as it is told.
const MEMORY: isize = 1 << 20;

/// How long it waits where a test is about that: long enough for a peer that behaves, and short
/// enough to be waited for.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

/// Until it comes back.
const BACKOFF: Duration = Duration::from_millis(40);

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) reason: CloseReason,
    /// What was heard before.
    pub(crate) heard: Vec<Event>,
    /// How long after `connect`.
    pub(crate) after: Duration,
}

impl End {
    /// Whether it came when [`SHORT`] was over, and soon after that.
    pub(crate) fn is_in_time(&self) -> bool {
        (SHORT..SHORT * 10).contains(&self.after)
    }
}

/// Settings that hold to little memory. Whoever waits does so for [`SHORT`] or for ever.
pub(crate) fn bounded(url: String) -> Config {
    Config {
        connect_timeout: LONG,
        upgrade_timeout: LONG,
        close_timeout: LONG,
        backoff_base: BACKOFF,
        max_message_bytes: LARGEST as u64,
        max_frame_bytes: LARGEST as u64,
        ..config(url)
    }
}

/// How the connection to a peer that does this ends. It hangs up when it has done it.
pub(crate) fn end(attack: impl FnOnce(TcpStream) + Send + 'static) -> End {
    end_with(|_| {}, attack)
}

/// The same for a client with other settings.
pub(crate) fn end_with(
    change: impl FnOnce(&mut Config),
    attack: impl FnOnce(TcpStream) + Send + 'static,
) -> End {
    let peer = Peer::start(|listener| {
        attack(accept_tcp(&listener));
        behave(&listener);
    });
    let mut config = bounded(peer.url());
    change(&mut config);
    let end = end_of(&mut Client::new(config).unwrap());
    peer.join();
    end
}

/// A gateway that does no harm.
fn behave(listener: &TcpListener) {
    read_close(&mut accept(listener));
}

/// How a client's connection ends, and that the next one comes when it should.
pub(crate) fn end_of(client: &mut Client) -> End {
    let (end, bytes) = memory::peak(|| {
        let (end, retry_at) = first_end(client);
        let retry_at = retry_at.expect("another attempt");
        wait_for(client, connected);
        assert!(client.now() >= retry_at, "it comes back too early");
        let stats = client.protocol().stats();
        assert_eq!((stats.attempts, stats.opened - u64::from(was_open(&end))), (2, 1));
        disconnect(client);
        end
    });
    assert!(bytes < MEMORY, "{bytes} bytes for {:?}", end.reason);
    end
}

/// How a client's connection ends, and that it gives up.
pub(crate) fn last_end(attack: impl FnOnce(TcpStream) + Send + 'static) -> End {
    let peer = Peer::start(|listener| attack(accept_tcp(&listener)));
    let mut client = Client::new(bounded(peer.url())).unwrap();
    let (end, retry_at) = first_end(&mut client);
    assert_eq!(retry_at, None, "{end:?}");
    assert!(matches!(next(&mut client), Event::Failed { attempts: 0, .. }));
    peer.join();
    end
}

fn first_end(client: &mut Client) -> (End, Option<Timestamp>) {
    let begin = client.now();
    client.connect();
    let patience = Instant::now();
    let mut heard = Vec::new();
    loop {
        match next(client) {
            Event::Disconnected { reason, retry_at, .. } => {
                // The backoff counts from the end.
                let latest = client.now();
                let ended = retry_at.map_or(latest - begin, |at| (at - begin) - BACKOFF);
                assert!(ended <= latest - begin, "the wait is longer than {BACKOFF:?}");
                return (End { reason, heard, after: ended }, retry_at);
            }
            event => heard.push(event),
        }
        assert!(patience.elapsed() < LONG * 10, "it has no end: {client:?}");
    }
}

fn was_open(end: &End) -> bool {
    end.heard.iter().any(|event| matches!(event, Event::Connected { .. }))
}

/// How a connection fails where the peer, once it is open, breaks the protocol. The peer is told by a
/// code, and hangs up.
pub(crate) fn violation(attack: impl FnOnce(&mut TcpStream) + Send + 'static) -> Violation {
    violation_with(|_| {}, "", attack)
}

/// The same with other settings, and more lines in the answer to the upgrade request.
pub(crate) fn violation_with(
    change: impl FnOnce(&mut Config),
    more: &'static str,
    attack: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> Violation {
    let (told, code) = mpsc::channel();
    let end = end_with(change, move |mut stream| {
        upgrade(&mut stream, more);
        attack(&mut stream);
        told.send(read_close_code(&mut stream)).unwrap();
    });
    let CloseReason::Protocol { violation } = end.reason else { panic!("{end:?}") };
    assert_eq!(code.recv().unwrap(), Some(violation.code()), "{violation:?}");
    violation
}

/// Reads the request; its key's digest.
pub(crate) fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    derive_accept_key(key.unwrap().as_bytes())
}

/// Upgrades, with more header lines.
pub(crate) fn upgrade(stream: &mut TcpStream, more: &str) {
    let accept = read_request(stream);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    );
    stream.write_all(answer.as_bytes()).unwrap();
}

/// A frame with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let length = match length {
        ..126 => vec![length as u8],
        126..65_536 => [&[126], &(length as u16).to_be_bytes()[..]].concat(),
        _ => [&[127], &(length as u64).to_be_bytes()[..]].concat(),
    };
    [&[first], &length[..], payload].concat()
}

/// Until the client hangs up.
pub(crate) fn read_to_end(stream: &mut TcpStream) {
    while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
}

/// For as long as the client listens.
pub(crate) fn write_for_ever(stream: &mut TcpStream, bytes: &[u8]) {
    while stream.write_all(bytes).is_ok() {}
}

/// The same, a byte at a time.
pub(crate) fn dribble_for_ever(stream: &mut TcpStream, mut next: impl FnMut() -> u8) {
    // A wait that a client's end cuts short.
    stream.set_read_timeout(Some(SHORT / 30)).unwrap();
    while stream.write_all(&[next()]).is_ok() {
        match stream.read(&mut [0; 4096]) {
            Ok(1..) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
}

/// The code in the client's Close frame; `None` where the connection ends without one.
pub(crate) fn read_close_code(stream: &mut TcpStream) -> Option<u16> {
    loop {
        // Short frames, which is all that there are here: two bytes, the mask, and the payload.
        let mut head = [0; 6];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        stream.read_exact(&mut payload).ok()?;
        if head[0] == 0x88 {
            let [high, low] = payload[..] else { return None };
            return Some(u16::from_be_bytes([high ^ head[2], low ^ head[3]]));
        }
    }
}
