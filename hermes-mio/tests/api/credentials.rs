//! Fresh credentials before each attempt, from a source that may take its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Credentials, Error, Event, Options, State};

fn bearer(token: impl std::fmt::Display) -> Result<Credentials, String> {
    let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    Ok(Credentials { headers, token: None })
}

fn no_credentials(event: &Event) -> Option<String> {
    match event {
        Event::Disconnected { reason: CloseReason::Credentials { text }, .. } => {
            Some(text.as_str().to_owned())
        }
        _ => None,
    }
}

/// A source whose calls wait until they may go on, and are counted.
struct Source {
    calls: Arc<AtomicUsize>,
    go: Sender<()>,
    began: Receiver<()>,
}

impl Source {
    fn new() -> (Self, impl FnMut(&hermes_mio::proto::Url) -> Result<Credentials, String> + Send) {
        let (go, may_go) = mpsc::channel();
        let (has_begun, began) = mpsc::channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let source = move |_: &_| {
            let call = 1 + counter.fetch_add(1, Ordering::SeqCst);
            has_begun.send(()).unwrap();
            may_go.recv_timeout(LONG).map_err(|error| error.to_string())?;
            bearer(call)
        };
        (Source { calls, go, began }, source)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[test]
fn each_attempt_has_its_own() {
    let peer = Peer::start(|listener| {
        let seen: Vec<_> = (0..3).map(|_| accept_with(&listener, "Authorization").1).collect();
        let (mut socket, last) = accept_with(&listener, "Authorization");
        read_close(&mut socket);
        (seen, last)
    });
    let url = peer.url();
    let mut calls = 0;
    let options = Options::new(config(url.clone())).credentials(move |asked| {
        assert_eq!(asked.as_str(), url);
        calls += 1;
        bearer(calls)
    });
    let mut client = Client::new(options).unwrap();
    assert!(client.protocol().config().ask_credentials);
    client.connect();
    for _ in 0..4 {
        wait_for(&mut client, connected);
    }
    disconnect(&mut client);
    let (seen, last) = peer.join();
    let bearer = |n| Some(format!("Bearer {n}"));
    assert_eq!((seen, last), (vec![bearer(1), bearer(2), bearer(3)], bearer(4)));
}

#[test]
fn a_token_takes_the_place_of_the_saved_one() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let text = read_text(&mut socket);
        read_close(&mut socket);
        text
    });
    let options = Options::new(config(peer.url()))
        .credentials(|_| Ok(Credentials { headers: Vec::new(), token: Some("fresh".into()) }));
    let mut client = Client::new(options).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    client.shutdown(LONG);
    wait_for(&mut client, shut_down);
    assert_eq!(peer.join(), r#"{"type":"session-resume","token":"fresh"}"#);
}

#[test]
fn a_source_that_blocks_holds_nothing_up() {
    let peer = Peer::start(|listener| {
        let (mut socket, header) = accept_with(&listener, "Authorization");
        let text = read_text(&mut socket);
        read_close(&mut socket);
        (header, text)
    });
    let (source, call) = Source::new();
    let mut client = Client::new(Options::new(config(peer.url())).credentials(call)).unwrap();
    client.connect();
    source.began.recv_timeout(LONG).unwrap();
    for n in 0..5 {
        let begin = Instant::now();
        assert_eq!(client.poll(Some(Duration::from_millis(10))).unwrap(), None);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        client.send(&n).unwrap();
    }
    let state = client.protocol().state();
    assert!(matches!(state, State::Connecting { stage: Stage::Credentials, .. }), "{state:?}");
    assert!(client.why().contains("for credentials for"), "{}", client.why());
    source.go.send(()).unwrap();
    // The waker ends a poll that has no end of its own.
    wait_for(&mut client, connected);
    disconnect(&mut client);
    assert_eq!(peer.join(), (Some("Bearer 1".into()), "0".into()));
    assert_eq!(source.calls(), 1);
}

/// An answer that is late is nobody's, and a slow source is not called twice at a time.
#[test]
fn a_late_answer_is_thrown_away() {
    let peer = Peer::start(|listener| {
        let (mut socket, header) = accept_with(&listener, "Authorization");
        read_close(&mut socket);
        header
    });
    let (source, call) = Source::new();
    let config = Config { credentials_timeout: Duration::from_millis(20), ..config(peer.url()) };
    let mut client = Client::new(Options::new(config).credentials(call)).unwrap();
    client.connect();
    for _ in 0..4 {
        let (code, reason) = disconnected(&next(&mut client)).unwrap();
        assert_eq!((code, reason), (1006, CloseReason::Timeout { stage: Stage::Credentials }));
    }
    assert_eq!(source.calls(), 1);
    // The call under way, and the one for the attempt that waits by then.
    source.go.send(()).unwrap();
    source.go.send(()).unwrap();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    assert_eq!((peer.join(), source.calls()), (Some("Bearer 2".into()), 2));
}

#[test]
fn nobody_is_asked_for_an_attempt_that_has_ended() {
    let (source, call) = Source::new();
    let options = Options::new(config("ws://127.0.0.1:1/")).credentials(call);
    let mut client = Client::new(options).unwrap();
    client.connect();
    source.began.recv_timeout(LONG).unwrap();
    client.disconnect();
    // Another one, which waits for the call under way, and ends before it does.
    client.connect();
    assert!(matches!(client.protocol().state(), State::Connecting { .. }), "{client:?}");
    client.disconnect();
    let events = events_to_the_end(&mut client);
    assert_eq!(names(&events), ["ws-disconnected", "ws-disconnected"]);
    source.go.send(()).unwrap();
    source.go.send(()).unwrap();
    // The answer's wake-up ends one of these; there is nothing to do about it.
    for _ in 0..5 {
        assert_eq!(client.poll(Some(Duration::from_millis(20))).unwrap(), None);
    }
    assert_eq!(source.calls(), 1);
}

#[test]
fn an_error_and_a_panic_fail_the_attempt() {
    let peer = Peer::start(|listener| {
        let (mut socket, header) = accept_with(&listener, "Authorization");
        read_close(&mut socket);
        header
    });
    let mut calls = 0;
    let options = Options::new(config(peer.url())).credentials(move |_| {
        calls += 1;
        match calls {
            1 => Err("the vault is sealed".to_owned()),
            2 => panic!("as it is to, in this test"),
            3 => Ok(Credentials { headers: vec![("no name".into(), "x".into())], token: None }),
            _ => bearer(calls),
        }
    });
    let mut client = Client::new(options).unwrap();
    client.connect();
    assert_eq!(no_credentials(&next(&mut client)).unwrap(), "the vault is sealed");
    let text = no_credentials(&next(&mut client)).unwrap();
    assert_eq!(text, "the source of credentials panicked");
    let text = no_credentials(&next(&mut client)).unwrap();
    assert!(text.contains("header") && !text.contains("no name"), "{text}");
    wait_for(&mut client, connected);
    disconnect(&mut client);
    assert_eq!(peer.join(), Some("Bearer 4".into()));
    assert_eq!(client.protocol().stats().ended.credentials, 3);
}

#[test]
fn asking_needs_somebody_to_ask() {
    let config = Config { ask_credentials: true, ..config("ws://127.0.0.1:1/") };
    let Err(Error::Config(error)) = Client::new(config) else { panic!("it can't be") };
    assert_eq!(error.field, "ask_credentials");
    assert!(error.to_string().contains("Options::credentials"), "{error}");
}

/// A client that is dropped leaves its thread behind, and nobody waits for it.
#[test]
fn a_dropped_client_waits_for_no_answer() {
    let (source, call) = Source::new();
    let options = Options::new(config("ws://127.0.0.1:1/")).credentials(call);
    let mut client = Client::new(options).unwrap();
    client.connect();
    source.began.recv_timeout(LONG).unwrap();
    let begin = Instant::now();
    drop(client);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    source.go.send(()).unwrap();
}
