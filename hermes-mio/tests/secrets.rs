//! What a log shows, at its most talkative: never a secret.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use common::*;
use hermes_mio::proto::{Credentials, SendError, Session};
use hermes_mio::{Client, Config, Event, Options, SessionStore, StoreError};
use serde_json::json;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A store that always fails.
struct Broken;

impl SessionStore for Broken {
    fn load(&mut self, warnings: &mut Vec<StoreError>) -> Option<Session> {
        warnings.push(StoreError::Other("broken".into()));
        Some(Session { token: "SAVED-TOKEN".into(), client_id: None, saved_at: 0, origin: None })
    }
    fn save(&mut self, _: Option<&Session>) -> Result<(), StoreError> {
        Err(StoreError::Other("broken".into()))
    }
}

/// One test in this file: the log is the process's.
#[test]
fn a_log_holds_no_secrets() {
    let log = Log::default();
    let writer = log.clone();
    tracing::subscriber::set_global_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish(),
    )
    .unwrap();

    let peer = Peer::start(|listener| {
        // Refuses the first upgrade, …
        let mut stream = accept_tcp(&listener);
        let mut request = [0; 4096];
        let n = stream.read(&mut request).unwrap();
        let request = String::from_utf8_lossy(&request[..n]).into_owned();
        for secret in ["QUERY-SECRET", "HEADER-SECRET", "FRESH-SECRET"] {
            assert!(request.contains(secret), "{request}");
        }
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
        drop(stream);
        // … drops the second connection, …
        drop(accept(&listener));
        // … issues a session on the third, and says all kinds of things.
        let mut socket = accept(&listener);
        assert!(read_text(&mut socket).contains("SAVED-TOKEN"));
        send(&mut socket, r#"{"type":"session-init","token":"NEW-TOKEN","clientId":"c"}"#);
        assert!(read_text(&mut socket).contains("CHAT-SECRET"));
        send(&mut socket, r#"{"type":"chat","text":"CHAT-SECRET"}"#);
        send(&mut socket, r#"{"type":"later","text":"CHAT-SECRET"}"#);
        send(&mut socket, "CHAT-SECRET, which is no JSON");
        socket.send(tungstenite::Message::binary(&b"CHAT-SECRET"[..])).unwrap();
        read_close(&mut socket);
    });
    let url = format!("ws://localhost:{}/?access=QUERY-SECRET", peer.addr.port());
    let settings = Config {
        headers: vec![("Authorization".into(), "Bearer HEADER-SECRET".into())],
        outbox_max_messages: 1,
        ..at_most_once(url)
    };
    // Fresh credentials, of which one is no good: a line end would forge another header.
    let mut values = ["Bearer FRESH-SECRET", "BAD-SECRET\r\nX: y"].into_iter();
    let options = Options::new(settings).store(Broken).credentials(move |_| {
        let value = values.next().unwrap_or("Bearer FRESH-SECRET").to_owned();
        Ok(Credentials { headers: vec![("X-Fresh".into(), value)], token: None })
    });
    let mut debug = format!("{options:?}");
    let mut client = Client::new(options).unwrap();
    let message = json!({"type": "chat", "token": "SENT-TOKEN", "text": "CHAT-SECRET"});
    client.send(&message).unwrap();
    assert!(matches!(client.send(&message), Err(SendError::Full(_))));
    client.connect();
    wait_for(&mut client, |event| {
        debug.push_str(&format!("{event:?}"));
        matches!(event, Event::SessionInit(_)).then_some(())
    });
    // The first went down with the second connection.
    client.send(&message).unwrap();
    wait_for(&mut client, |event| {
        debug.push_str(&format!("{event:?}"));
        matches!(event, Event::Malformed { .. }).then_some(())
    });
    client.sender().send(&message).unwrap();
    client.clear_session();
    debug.push_str(&format!("{client:?} {:?}", client.sender()));
    disconnect(&mut client);
    peer.join();

    // Nor where nothing comes of it.
    let settings = Config {
        headers: vec![("Authorization".into(), "Bearer HEADER-SECRET".into())],
        max_attempts: Some(0),
        ..config("ws://nonexistent.invalid/?access=QUERY-SECRET")
    };
    let mut client = Client::new(settings).unwrap();
    client.connect();
    wait_for(&mut client, disconnected);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for said in ["INFO", "WARN", "DEBUG", "TRACE", "connected", "resolving", "broken", "503"] {
        assert!(text.contains(said), "no {said:?} in\n{text}");
    }
    for secret in [
        "QUERY-SECRET",
        "HEADER-SECRET",
        "FRESH-SECRET",
        "BAD-SECRET",
        "SAVED-TOKEN",
        "NEW-TOKEN",
        "SENT-TOKEN",
    ] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
        assert!(!debug.contains(secret), "{secret} in {debug}");
    }
    // What people say is nobody else's business either.
    assert!(!text.contains("CHAT-SECRET"), "{text}");
}
