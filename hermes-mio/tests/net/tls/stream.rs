//! A connection that is up, and how it ends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use hermes_mio::{CloseReason, Config, Event};
use rustls::{ServerConnection, StreamOwned};
use serde_json::json;
use tungstenite::Message;

use super::authority::Authority;
use super::peer::*;
use crate::common::*;

/// An unmasked text frame.
fn frame(text: &str) -> Vec<u8> {
    assert!(text.len() < 126);
    [&[0x81, text.len() as u8], text.as_bytes()].concat()
}

/// What the client tells of a connection whose server does this once it is open, to its end.
fn told_of(server_does: impl FnOnce(SecureSocket) + Send + 'static) -> Vec<Event> {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| server_does(accept_wss(&listener, &server)));
    let config = Config { max_attempts: Some(0), ..config(url(&peer)) };
    let mut client = tls_client(config, authority.trusted());
    client.connect();
    let mut events = events_to_the_end(&mut client);
    peer.join();
    assert!(matches!(events.remove(0), Event::Connected { .. }));
    assert!(matches!(events.pop(), Some(Event::Failed { .. })));
    events
}

fn end(events: &[Event]) -> CloseReason {
    events.last().and_then(disconnected).unwrap().1
}

/// So that the server does not take the end of a client for somebody else's doing.
#[test]
fn a_client_says_goodbye_however_it_ends() {
    for is_polite in [true, false] {
        let authority = Authority::new();
        let server = Arc::new(authority.good().server());
        let peer = Peer::start(move |listener| {
            let mut socket = accept_wss(&listener, &server);
            if is_polite {
                read_close(&mut socket);
                socket.get_ref().sock.shutdown(Shutdown::Write).unwrap();
            }
            read_goodbye(socket.get_mut())
        });
        let mut client = tls_client(config(url(&peer)), authority.trusted());
        client.connect();
        wait_for(&mut client, connected);
        if is_polite {
            disconnect(&mut client);
        }
        drop(client);
        assert!(peer.join(), "polite: {is_polite}");
    }
}

/// RFC 8446 §6.1: an end without a goodbye may be an attacker's.
#[test]
fn an_end_is_told_from_a_cut() {
    let ended = told_of(|mut socket| {
        let stream = socket.get_mut();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    assert_eq!(end(&ended), CloseReason::lost());
    let cut = told_of(drop);
    let CloseReason::Lost { text } = end(&cut) else { panic!("{cut:?}") };
    assert!(text.contains("without TLS' close_notify"), "{text}");
}

#[test]
fn an_alert_in_the_midst_of_a_frame_is_the_reason() {
    let events = told_of(|mut socket| {
        let Secure { conn, sock } = socket.get_mut();
        let whole = frame(r#"{"type":"chat","text":"whole"}"#);
        let half = &frame(r#"{"type":"chat","text":"half"}"#)[..9];
        conn.writer().write_all(&[&whole, half].concat()).unwrap();
        // What makes no sense to the server has it send a fatal alert.
        let nonsense =
            [0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
        assert_eq!(conn.read_tls(&mut &nonsense[..]).unwrap(), nonsense.len());
        conn.process_new_packets().unwrap_err();
        while conn.wants_write() {
            conn.write_tls(sock).unwrap();
        }
        // Hears the client out.
        while matches!(sock.read(&mut [0; 1024]), Ok(1..)) {}
    });
    // What came before it counts.
    assert_eq!(events.first().and_then(chat_text).as_deref(), Some("whole"));
    let CloseReason::Tls { text } = end(&events) else { panic!("{events:?}") };
    assert_eq!(text.as_str(), "localhost: it refused: alert BadRecordMac");
    assert_eq!(events.len(), 2);
}

#[test]
fn a_record_that_was_tampered_with_is_the_reason() {
    let events = told_of(|mut socket| {
        let Secure { conn, sock } = socket.get_mut();
        let text = frame(r#"{"type":"chat","text":"true"}"#);
        conn.writer().write_all(&text).unwrap();
        let mut records = Vec::new();
        conn.write_tls(&mut records).unwrap();
        let good = records.len();
        conn.writer().write_all(&text).unwrap();
        conn.write_tls(&mut records).unwrap();
        records[good + 7] ^= 1;
        sock.write_all(&records).unwrap();
        // It hears of it by an alert.
        let mut stream = rustls::Stream::new(conn, sock);
        let error = stream.read(&mut [0; 1024]).unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    });
    assert_eq!(events.first().and_then(chat_text).as_deref(), Some("true"));
    let CloseReason::Tls { text } = end(&events) else { panic!("{events:?}") };
    assert_eq!(text.as_str(), "localhost: cannot decrypt peer's message");
    assert_eq!(events.len(), 2);
}

/// RFC 8446 §4.6.3: whoever is asked for new keys has them before the next text.
#[test]
fn keys_can_be_renewed() {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        let mut socket = accept_wss(&listener, &server);
        for n in 0..5 {
            let Secure { conn, sock } = socket.get_mut();
            conn.refresh_traffic_keys().unwrap();
            while conn.wants_write() {
                conn.write_tls(sock).unwrap();
            }
            send(&mut socket, &json!({"type": "chat", "text": n.to_string()}).to_string());
            assert_eq!(read_text(&mut socket), json!({"n": n}).to_string());
        }
        read_close(&mut socket);
    });
    let mut client = tls_client(config(url(&peer)), authority.trusted());
    client.connect();
    for n in 0..5 {
        assert_eq!(wait_for(&mut client, chat_text), n.to_string());
        client.send(&json!({"n": n})).unwrap();
    }
    disconnect(&mut client);
    peer.join();
}

/// A socket that sends one byte at a time.
struct Dribble(TcpStream);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(1);
        self.0.read(&mut buffer[..n])
    }
}

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        let session = ServerConnection::new(server).unwrap();
        let stream = StreamOwned::new(session, Dribble(accept_tcp(&listener)));
        let mut socket = tungstenite::accept(stream).unwrap();
        for _ in 0..3 {
            let text = read_text(&mut socket);
            send(&mut socket, &text);
        }
        read_close(&mut socket);
    });
    let mut client = tls_client(config(url(&peer)), authority.trusted());
    client.connect();
    for n in 0..3 {
        let text = format!("{n}{}", "x".repeat(700));
        client.send(&json!({"type": "chat", "text": text})).unwrap();
        assert_eq!(wait_for(&mut client, chat_text), text);
    }
    disconnect(&mut client);
    peer.join();
}

/// More than the buffers of both systems, in both directions, past a peer that doesn't read for a
/// while: records are written in parts.
#[test]
fn much_passes_whole_and_in_order() {
    const MESSAGES: usize = 150;
    const BYTES: usize = 100_000;
    let text = |n: usize| format!("{n} {}", "abcdefg".repeat(BYTES / 7));
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        let mut socket = accept_wss(&listener, &server);
        for n in 0..MESSAGES {
            send(&mut socket, &json!({"type": "chat", "text": text(n)}).to_string());
        }
        for n in 0..MESSAGES {
            let whole = json!({"text": text(n)}).to_string();
            assert!(read_text(&mut socket) == whole, "message {n}");
        }
        read_close(&mut socket);
    });
    let mut client = tls_client(config(url(&peer)), authority.trusted());
    for n in 0..MESSAGES {
        client.send(&json!({"text": text(n)})).unwrap();
    }
    client.connect();
    for n in 0..MESSAGES {
        assert!(wait_for(&mut client, chat_text) == text(n), "message {n}");
    }
    run_until(&mut client, |client| client.protocol().outbox_len() == 0);
    disconnect(&mut client);
    assert_eq!(client.protocol().stats().written, MESSAGES as u64);
    peer.join();
}

/// A Ping is answered though the application has nothing to say.
#[test]
fn pings_are_answered() {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        let mut socket = accept_wss(&listener, &server);
        socket.send(Message::Ping("are you there".into())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong("are you there".into()));
        send(&mut socket, r#"{"type":"chat","text":"so you are"}"#);
        read_close(&mut socket);
    });
    let mut client = tls_client(config(url(&peer)), authority.trusted());
    client.connect();
    assert_eq!(wait_for(&mut client, chat_text), "so you are");
    disconnect(&mut client);
    peer.join();
}
