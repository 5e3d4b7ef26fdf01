//! A client by itself, against tungstenite's server side.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::reason::Stage;
use hermes_mio::proto::{CloseReason, Config, Event, Outgoing, SendError, State};
use hermes_mio::{Client, Credentials, Error, Options, Recording};
use serde_json::json;
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;

#[test]
fn chat_there_and_back() {
    let peer = Peer::echo();
    let mut client = client(config(peer.url()));
    client.connect();
    assert!(matches!(next(&mut client), Event::Connected { .. }));
    client.send(&json!({"type": "chat", "text": "hi"})).unwrap();
    assert_eq!(chat_text(&next(&mut client)).unwrap(), "hi");
    // Until the gateway has answered for it.
    run_until(&mut client, |client| client.protocol().outbox_len() == 0);

    client.disconnect();
    let (code, reason) = disconnected(&next(&mut client)).unwrap();
    assert_eq!((code, reason), (1000, CloseReason::Requested));
    assert_eq!(client.poll(None).unwrap(), None);
    assert_eq!(client.protocol().state(), State::Idle);
    assert_eq!(peer.join(), r#"{"text":"hi","type":"chat"}"#);
}

/// Also where the answer comes within the turn of the loop that asked.
#[test]
fn a_round_trip_takes_time() {
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let receipts = hermes_mio::proto::Receipts::Acknowledged;
    let mut client = client(Config { receipts, ..config(peer.url()) });
    client.connect();
    for round in 1..=1_000 {
        // The fence of the second one leaves when the first one's is answered.
        client.send(&round).unwrap();
        client.send(&round).unwrap();
        run_until(&mut client, |client| client.protocol().stats().acknowledged == 2 * round);
        let stats = client.protocol().stats();
        assert!(stats.rtt_last > Some(Duration::ZERO), "round {round}: {stats:?}");
    }
    disconnect(&mut client);
    peer.join();
}

#[test]
fn a_timeout_is_kept_and_rest_ends_the_loop() {
    let mut client = client(config("ws://127.0.0.1:1/"));
    assert_eq!(client.poll(None).unwrap(), None, "at rest from the start");
    let begin = Instant::now();
    assert_eq!(client.poll(Some(Duration::from_millis(50))).unwrap(), None);
    assert!(begin.elapsed() >= Duration::from_millis(50));
    assert_eq!(client.poll(Some(Duration::ZERO)).unwrap(), None);
}

#[test]
fn a_dropped_connection_is_made_again() {
    let peer = Peer::start(|listener| {
        drop(accept(&listener));
        let mut socket = accept(&listener);
        send(&mut socket, r#"{"type":"chat","text":"again"}"#);
        read_close(&mut socket);
    });
    let mut client = client(config(peer.url()));
    client.connect();
    wait_for(&mut client, connected);
    let (code, reason) = disconnected(&next(&mut client)).unwrap();
    assert_eq!(code, 1006);
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");
    wait_for(&mut client, connected);
    assert_eq!(chat_text(&next(&mut client)).unwrap(), "again");
    disconnect(&mut client);
    peer.join();
}

/// The server closes properly; its reason gets through, and its side sees our Close frame.
#[test]
fn the_peers_close_frame_is_answered() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let frame = CloseFrame { code: 4001.into(), reason: "enough".into() };
        socket.close(Some(frame)).unwrap();
        let answer = loop {
            match socket.read() {
                Ok(Message::Close(frame)) => break frame,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        u16::from(answer.unwrap().code)
    });
    let mut client = client(Config { max_attempts: Some(0), ..config(peer.url()) });
    client.connect();
    let (code, reason) = wait_for(&mut client, disconnected);
    assert_eq!((code, reason), (4001, CloseReason::Peer { code: 4001, text: "enough".into() }));
    assert!(matches!(next(&mut client), Event::Failed { attempts: 0, .. }));
    assert_eq!(client.poll(None).unwrap(), None, "gave up, and rests");
    assert_eq!(peer.join(), 4001);
}

/// Close frame and FIN come at once, while we still have megabytes to send: the reason that counts
/// is in the frame, not in the broken pipe.
#[test]
fn a_close_frame_is_read_though_writing_fails() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let frame = CloseFrame { code: 4002.into(), reason: "too much".into() };
        socket.close(Some(frame)).unwrap();
        // The socket goes while unread bytes wait in it: what follows is a RST.
        let mut some = [0; 1];
        socket.get_mut().read_exact(&mut some).unwrap();
    });
    let mut client = client(Config { max_attempts: Some(0), ..config(peer.url()) });
    for number in 0..200 {
        client.send(&json!({"type": "chat", "text": "x".repeat(50_000), "n": number})).unwrap();
    }
    client.connect();
    let (code, reason) = wait_for(&mut client, disconnected);
    // The RST may still overtake the frame, if the system throws away what it has received.
    if cfg!(target_os = "linux") {
        assert_eq!(code, 4002, "{reason:?}");
    }
    peer.join();
}

/// Numbered messages through a gateway that hangs up after every few: none is lost, none doubled.
///
/// What the system took and the peer never read is lost by any client that has no
/// acknowledgements, so this peer reads until the end of the stream.
#[test]
fn the_outbox_survives_reconnects() {
    const MESSAGES: u64 = 2_000;
    let counted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&counted);
    let peer = Peer::start(move |listener| {
        let mut numbers = Vec::new();
        while numbers.len() < MESSAGES as usize {
            let mut socket = accept(&listener);
            for _ in 0..300.min(MESSAGES as usize - numbers.len()) {
                numbers.push(number(&read_text(&mut socket)));
                counter.store(numbers.len() as u64, Ordering::Relaxed);
            }
            // Says goodbye in good order, and reads what was already on its way.
            socket.close(None).unwrap();
            while let Ok(message) = socket.read() {
                if let Message::Text(text) = message {
                    numbers.push(number(&text));
                }
            }
            counter.store(numbers.len() as u64, Ordering::Relaxed);
        }
        numbers
    });
    let mut client = client(at_most_once(peer.url()));
    client.connect();
    let mut sent = 0;
    run_until(&mut client, |client| {
        // Never so far ahead that one connection could take it all.
        while sent < MESSAGES.min(counted.load(Ordering::Relaxed) + 100) {
            client.send(&json!({"type": "chat", "n": sent})).unwrap();
            sent += 1;
        }
        peer.is_finished()
    });
    assert_eq!(client.protocol().stats().written, MESSAGES);
    assert!(client.protocol().stats().opened > 4, "{:?}", client.protocol().stats());
    assert_eq!(peer.join(), (0..MESSAGES).collect::<Vec<_>>());
}

/// The link breaks in the middle of a frame: that one goes again, whole, and first.
#[test]
fn a_frame_that_was_cut_goes_again() {
    const MESSAGES: u64 = 400;
    let (go, may_break) = mpsc::channel();
    let peer = Peer::start(move |listener| {
        let socket = accept(&listener);
        may_break.recv_timeout(LONG).unwrap();
        drop(socket);
        let mut socket = accept(&listener);
        let mut numbers = vec![number(&read_text(&mut socket))];
        while numbers.last() != Some(&(MESSAGES - 1)) {
            numbers.push(number(&read_text(&mut socket)));
        }
        read_close(&mut socket);
        numbers
    });
    let mut client = client(Config { outbox_max_bytes: 64 << 20, ..at_most_once(peer.url()) });
    client.connect();
    wait_for(&mut client, connected);
    let padding = "x".repeat(60_000);
    for n in 0..MESSAGES {
        client.send(&json!({"type": "chat", "n": n, "text": padding})).unwrap();
    }
    fill(&mut client);
    go.send(()).unwrap();
    wait_for(&mut client, disconnected);
    let taken = client.protocol().stats().written;
    assert!(0 < taken && taken < MESSAGES, "{taken}");
    client.shutdown(LONG);
    let (code, _) = wait_for(&mut client, disconnected);
    assert_eq!(code, 1000);
    assert_eq!(peer.join(), (taken..MESSAGES).collect::<Vec<_>>());
}

/// A client that is dropped says FIN, not RST, though it has not read everything: what it sent is
/// not taken back.
#[test]
fn a_dropped_client_takes_nothing_back() {
    let (unread, has_unread) = mpsc::channel();
    let (dropped, was_dropped) = mpsc::channel();
    let peer = Peer::start(move |listener| {
        let mut socket = accept(&listener);
        send(&mut socket, r#"{"type":"chat","text":"never read"}"#);
        unread.send(()).unwrap();
        was_dropped.recv_timeout(LONG).unwrap();
        let text = read_text(&mut socket);
        (text, socket.read().unwrap_err())
    });
    let mut client = client(at_most_once(peer.url()));
    client.connect();
    wait_for(&mut client, connected);
    has_unread.recv_timeout(LONG).unwrap();
    client.send(&json!({"type": "chat", "text": "the last word"})).unwrap();
    drop(client);
    dropped.send(()).unwrap();
    let (text, end) = peer.join();
    assert!(text.contains("the last word"), "{text}");
    let fin = tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    assert!(matches!(&end, tungstenite::Error::Protocol(error) if *error == fin), "{end:?}");
}

/// A peer that does not read fills the socket's buffers; the rest waits in the outbox, and goes on
/// when it does.
#[test]
fn partial_writes_arrive_whole_and_in_order() {
    const MESSAGES: u64 = 240;
    let (go, may_read) = mpsc::channel();
    let peer = Peer::start(move |listener| {
        let mut socket = accept(&listener);
        may_read.recv_timeout(LONG).unwrap();
        let numbers: Vec<u64> = (0..MESSAGES).map(|_| number(&read_text(&mut socket))).collect();
        read_close(&mut socket);
        numbers
    });
    let mut client = client(Config { outbox_max_bytes: 64 << 20, ..config(peer.url()) });
    client.connect();
    wait_for(&mut client, connected);
    let padding = "x".repeat(100_000);
    for n in 0..MESSAGES {
        client.send(&json!({"type": "chat", "n": n, "text": padding})).unwrap();
    }
    fill(&mut client);
    go.send(()).unwrap();
    client.shutdown(LONG);
    let (code, reason) = wait_for(&mut client, disconnected);
    assert_eq!((code, reason), (1000, CloseReason::Requested));
    assert_eq!(client.protocol().outbox_len(), 0);
    assert_eq!(peer.join(), (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn a_half_open_link_is_noticed() {
    let (done, end) = mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let socket = accept(&listener);
        // There, and silent: it reads nothing, so it answers no Ping.
        let _ = end.recv_timeout(LONG);
        drop(socket);
    });
    let mut client = client(Config {
        heartbeat_interval: Some(Duration::from_millis(50)),
        heartbeat_timeout: Duration::from_millis(50),
        max_attempts: Some(0),
        ..config(peer.url())
    });
    client.connect();
    wait_for(&mut client, connected);
    let begin = Instant::now();
    let (code, reason) = wait_for(&mut client, disconnected);
    assert_eq!((code, reason), (1006, CloseReason::Timeout { stage: Stage::Heartbeat }));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(done);
    peer.join();
}

/// An application that is busy for longer than the heartbeat's patience finds the link alive, if
/// the peer's answer waits in the socket: in `poll`, and in a command before it.
#[test]
fn a_busy_application_does_not_kill_a_live_link() {
    for command in [false, true] {
        let ponger = Ponger::start();
        let mut client = client(ponger.config());
        client.connect();
        wait_for(&mut client, connected);
        run_until(&mut client, |_| ponger.is_pinged());
        ponger.pong_and_be_busy();
        if command {
            client.send(&json!({"type": "chat"})).unwrap();
            assert!(matches!(client.protocol().state(), State::Open { .. }), "{client:?}");
        }
        assert_eq!(client.poll(Some(Duration::ZERO)).unwrap(), None);
        assert!(matches!(client.protocol().state(), State::Open { .. }), "{client:?}");
        disconnect(&mut client);
        ponger.peer.join();
    }
}

/// A peer that writes as fast as it can: `poll` yields steadily, timeouts are kept, and commands
/// get through.
#[test]
fn a_flood_starves_nobody() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let stream = socket.get_mut().try_clone().unwrap();
        let flood = std::thread::spawn(move || {
            let mut stream = stream;
            // Texts of 25 bytes, unmasked, many at once.
            let frame = b"\x81\x19{\"type\":\"chat\",\"text\":1}\n";
            let frames = frame.repeat(4_000);
            while stream.write_all(&frames).is_ok() {}
        });
        let mut heard = Vec::new();
        while heard.len() < 20 {
            heard.push(number(&read_text(&mut socket)));
        }
        read_close(&mut socket);
        // Its echo is somewhere in the flood, so the client would wait for it, if it has not given
        // up on this peer already.
        let _ = socket.get_mut().shutdown(std::net::Shutdown::Both);
        flood.join().unwrap();
        heard
    });
    let mut client = client(at_most_once(peer.url()));
    client.connect();
    wait_for(&mut client, connected);

    // An application that does something every 10 ms, and takes events in between.
    let (mut events, mut ticks) = (0_u64, 0_u64);
    let mut longest = Duration::ZERO;
    let mut tick = Instant::now() + Duration::from_millis(10);
    while ticks < 20 {
        let left = tick.saturating_duration_since(Instant::now());
        let begin = Instant::now();
        let event = client.poll(Some(left)).unwrap();
        longest = longest.max(begin.elapsed().saturating_sub(left));
        if let Some(event) = event {
            assert_eq!(chat_text(&event).unwrap(), "1");
            events += 1;
        }
        if Instant::now() >= tick {
            client.send(&json!({"type": "tick", "n": ticks})).unwrap();
            ticks += 1;
            tick = Instant::now() + Duration::from_millis(10);
        }
    }
    assert!(events > 1_000, "{events} events");
    assert!(longest < Duration::from_millis(500), "a poll was {longest:?} late");
    disconnect(&mut client);
    assert_eq!(peer.join(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_refused_message_comes_back() {
    let mut client = client(Config { outbox_max_messages: 1, ..config("ws://127.0.0.1:1/") });
    assert_eq!(client.send(&json!({})).unwrap().0, 1);
    let message = Outgoing::from_json("[ ]").unwrap();
    assert_eq!(client.send_message(message.clone()), Err(SendError::Full(message)));
    assert!(!client.protocol().has_room(1));
}

#[test]
fn settings_are_checked() {
    let Err(Error::Config(error)) = Client::new(Config::new("ftp://localhost/")) else { panic!() };
    assert_eq!(error.field, "url");
}

#[cfg(unix)]
#[test]
fn a_recording_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trace");
    // Also where it was there before, with other permissions.
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let recording = Recording::create(&path, false).unwrap();
    let options = Options::new(config("ws://127.0.0.1:1/")).tap(recording);
    Client::new(options).unwrap().send(&json!({"type": "chat"})).unwrap();
    let trace = std::fs::read_to_string(&path).unwrap();
    assert!(trace.starts_with(r#"{"trace":1,"#), "{trace}");
    assert!(trace.contains(r#""in":"send""#), "{trace}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Everything goes through one door: a recording of a run, replayed, does the same.
#[test]
fn a_recording_replays_to_the_same_actions() {
    use hermes_mio::proto::trace::Checker;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    for redacted in [false, true] {
        let peer = Peer::start(|listener| {
            let mut socket = accept(&listener);
            send(&mut socket, r#"{"type":"session-init","token":"s3cret-0","clientId":"c"}"#);
            assert_eq!(number(&read_text(&mut socket)), 0);
            drop(socket);
            let mut socket = accept(&listener);
            assert!(read_text(&mut socket).contains("s3cret-0"));
            for n in 1..3 {
                assert_eq!(number(&read_text(&mut socket)), n);
            }
            send(&mut socket, r#"{"type":"chat","text":"done"}"#);
            read_close(&mut socket);
        });
        let written = Shared::default();
        let recording = if redacted {
            Recording::redacted(written.clone())
        } else {
            Recording::complete(written.clone())
        };
        let mut calls = 0;
        let options =
            Options::new(at_most_once(peer.url())).tap(recording).credentials(move |_| {
                calls += 1;
                let fresh = ("Authorization".to_owned(), format!("Bearer s3cret-{calls}"));
                if calls == 1 { Err("none yet".to_owned()) } else { Ok(credentials([fresh])) }
            });
        let mut client = Client::new(options).unwrap();
        client.send(&json!({"type": "chat", "n": 9})).unwrap();
        client.clear_outbox();
        client.network_changed(false);
        client.connect();
        client.network_changed(true);
        client.send(&json!({"type": "chat", "n": 0})).unwrap();
        let large = "x".repeat(config("ws://a/").largest_message());
        assert!(client.send(&large).is_err());
        let (_, reason) = wait_for(&mut client, disconnected);
        assert!(matches!(reason, CloseReason::Credentials { .. }), "{reason:?}");
        wait_for(&mut client, disconnected);
        client.send(&json!({"type": "chat", "n": 1})).unwrap();
        client.sender().send(&json!({"type": "chat", "n": 2})).unwrap();
        wait_for(&mut client, chat_text);
        client.clear_session();
        client.shutdown(LONG);
        wait_for(&mut client, shut_down);
        peer.join();

        let trace = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        for secret in ["s3cret-0", "s3cret-2"] {
            assert_eq!(trace.contains(secret), !redacted, "{secret}");
        }
        for input in ["clear-outbox", "network", "credentials", "shutdown"] {
            assert!(trace.contains(&format!(r#""in":"{input}""#)), "{input}");
        }
        let mut checker = Checker::new();
        for line in trace.lines() {
            checker.feed(line).unwrap_or_else(|error| panic!("{error}\n{trace}"));
        }
        checker.finish().unwrap_or_else(|error| panic!("{error}\n{trace}"));
        assert!(trace.lines().count() > 20, "{trace}");
    }
}

/// Polls until the socket takes no more, while the peer does not read.
fn fill(client: &mut Client) {
    let mut left = usize::MAX;
    run_until(client, |client| {
        let before = std::mem::replace(&mut left, client.protocol().outbox_len());
        left == before
    });
    assert!(left > 0, "everything fits into the socket's buffers");
}

fn credentials(headers: [(String, String); 1]) -> Credentials {
    Credentials { headers: headers.into(), token: None }
}

fn number(text: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    value["n"].as_u64().unwrap_or_else(|| panic!("{text}"))
}
