//! Links that look alive and are not, and the other way round: real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Event, Options};
use serde_json::json;

use crate::common::*;

const INTERVAL: Duration = Duration::from_millis(400);
const TIMEOUT: Duration = Duration::from_millis(600);

fn beating(url: String) -> Config {
    Config { heartbeat_interval: Some(INTERVAL), heartbeat_timeout: TIMEOUT, ..config(url) }
}

/// The stream under a WebSocket that is up: nothing is answered by itself there.
fn accept_raw(listener: &std::net::TcpListener) -> TcpStream {
    let stream = accept_tcp(listener);
    let socket = tungstenite::accept(stream.try_clone().unwrap()).unwrap();
    drop(socket);
    stream
}

/// Reads to the end of the connection, and calls `each` whenever there was something, or it was time
/// for it.
fn read_each(stream: &mut TcpStream, mut each: impl FnMut(&mut TcpStream, bool)) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => each(stream, true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                each(stream, false);
            }
            Err(_) => return,
        }
    }
}

/// The end of the connection: its reason, how long after `begin`, and the chats before.
fn end(client: &mut Client, begin: Instant) -> (CloseReason, Duration, usize) {
    let mut chats = 0;
    let (_, reason) = wait_for(client, |event| {
        chats += usize::from(matches!(event, Event::Chat(_)));
        disconnected(event)
    });
    (reason, begin.elapsed(), chats)
}

const DEAD: CloseReason = CloseReason::Timeout { stage: Stage::Heartbeat };

/// Connects to a peer that reads nothing, and fills the buffers, so that the Ping never leaves.
fn times_out_behind_a_full_buffer(options: impl Into<Options>) {
    let mut client = Client::new(options).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    let begin = Instant::now();
    client.send(&json!({"text": "x".repeat(15_000_000)})).unwrap();
    let (reason, took, _) = end(&mut client, begin);
    assert!(matches!(reason, CloseReason::Timeout { .. }), "{reason:?}");
    assert!((INTERVAL + TIMEOUT..LONG / 2).contains(&took), "{took:?}");
}

#[test]
fn a_dead_peer_behind_a_full_buffer_is_found() {
    let (done, over) = std::sync::mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let stream = accept_raw(&listener);
        let _ = over.recv_timeout(LONG);
        drop(stream);
    });
    times_out_behind_a_full_buffer(beating(peer.url()));
    drop(done);
    peer.join();
}

#[cfg(feature = "tls")]
#[test]
fn a_dead_peer_behind_a_full_buffer_is_found_in_tls() {
    use crate::tls::Authority;

    let authority = Authority::new();
    let server = std::sync::Arc::new(authority.good().server());
    let (done, over) = std::sync::mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let mut stream = accept_tcp(&listener);
        let mut session = rustls::ServerConnection::new(server).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut stream).unwrap();
        }
        let socket = tungstenite::accept(rustls::StreamOwned::new(session, stream)).unwrap();
        let _ = over.recv_timeout(LONG);
        drop(socket);
    });
    let url = format!("wss://localhost:{}/", peer.addr.port());
    times_out_behind_a_full_buffer(Options::new(beating(url)).tls(authority.trusted()));
    drop(done);
    peer.join();
}

/// As some proxies answer: it proves nothing but that bytes arrive, and that is enough for the link.
#[test]
fn a_peer_that_answers_with_an_empty_pong_keeps_its_link() {
    const PINGS: usize = 6;
    let peer = Peer::start(|listener| {
        let mut stream = accept_raw(&listener);
        let mut pings = 0;
        read_each(&mut stream, |stream, _| {
            pings += 1;
            if pings <= PINGS {
                let _ = stream.write_all(b"\x8a\x00");
            }
        });
        pings
    });
    let mut client = Client::new(beating(peer.url())).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    let (reason, took, _) = end(&mut client, Instant::now());
    assert_eq!(reason, DEAD);
    // Each of them was another interval's; then came none.
    assert!(took >= INTERVAL * PINGS as u32, "{took:?}");
    client.disconnect();
    drop(client);
    let pings = peer.join();
    assert!(pings > PINGS, "{pings}");
}

/// A peer that talks and never answers a Ping: alive as long as it talks.
#[test]
fn a_mute_peer_lives_until_it_is_silent() {
    const CHATS: usize = 20;
    let peer = Peer::start(|listener| {
        let mut stream = accept_raw(&listener);
        stream.set_read_timeout(Some(INTERVAL / 4)).unwrap();
        let mut chats = 0;
        read_each(&mut stream, |stream, has_read| {
            if !has_read && chats < CHATS {
                chats += 1;
                let _ = stream.write_all(b"\x81\x1a{\"type\":\"chat\",\"text\":\"a\"}");
            }
        });
    });
    let mut client = Client::new(beating(peer.url())).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    let (reason, took, chats) = end(&mut client, Instant::now());
    assert_eq!((reason, chats), (DEAD, CHATS));
    let talked = INTERVAL / 4 * CHATS as u32;
    assert!((talked + TIMEOUT..talked + LONG / 2).contains(&took), "{took:?}");
    client.disconnect();
    drop(client);
    peer.join();
}
