//! Lookups of names share the process's threads, so these tests have a process of their own, and run
//! one after the other.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Error, Event, Fleet, FleetOptions, Options};

use common::*;

fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name server that answers nothing before it is told to.
#[derive(Default)]
struct NameServer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Questions, in the order in which they came.
    asked: Vec<String>,
    waiting: usize,
    /// How many may be answered in all.
    answers: usize,
    peak: usize,
}

impl NameServer {
    fn start() -> Arc<Self> {
        Arc::default()
    }

    fn options(self: &Arc<Self>, config: Config, to: SocketAddr) -> Options {
        let server = Arc::clone(self);
        Options::new(config).resolver(move |name, _| server.resolve(name, to))
    }

    fn resolve(&self, name: &str, to: SocketAddr) -> io::Result<Vec<SocketAddr>> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(name.to_owned());
        state.waiting += 1;
        state.peak = state.peak.max(state.waiting);
        self.changed.notify_all();
        let (mut state, timeout) =
            self.changed.wait_timeout_while(state, LONG, |state| state.answers == 0).unwrap();
        assert!(!timeout.timed_out());
        state.answers -= 1;
        state.waiting -= 1;
        self.changed.notify_all();
        Ok(vec![to])
    }

    /// Waits until so many questions wait for an answer.
    fn wait_for(&self, waiting: usize) {
        let state = self.state.lock().unwrap();
        let (state, timeout) =
            self.changed.wait_timeout_while(state, LONG, |state| state.waiting < waiting).unwrap();
        assert!(!timeout.timed_out(), "{} wait, not {waiting}", state.waiting);
    }

    /// Answers so many questions, and waits until all of them are.
    fn answer(&self, questions: usize) {
        let mut state = self.state.lock().unwrap();
        state.answers += questions;
        self.changed.notify_all();
        let (state, timeout) =
            self.changed.wait_timeout_while(state, LONG, |state| state.answers > 0).unwrap();
        assert!(!timeout.timed_out(), "{} are not asked", state.answers);
    }

    fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    fn peak(&self) -> usize {
        self.state.lock().unwrap().peak
    }
}

fn url(name: impl std::fmt::Display) -> Config {
    config(format!("ws://{name}.test/"))
}

/// The default of `FleetOptions::max_lookups`.
const DEFAULT: usize = 32;

/// Lookups can't be called off, but those that have not begun are.
#[test]
fn clients_that_are_dropped_leave_few_threads() {
    let _alone = alone();
    let server = NameServer::start();
    let nobody = "127.0.0.1:1".parse().unwrap();
    let first = server.options(url("sibling"), nobody);
    for n in 0..300 {
        let mut options = server.options(url(n), nobody);
        if n % 2 == 0 {
            options = first.for_sibling();
        }
        let mut client = Client::new(options).unwrap();
        client.connect();
        client.poll(Some(Duration::ZERO)).unwrap();
    }
    server.wait_for(DEFAULT);
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let mut client = Client::new(server.options(url("last"), peer.addr)).unwrap();
    client.connect();
    client.poll(Some(Duration::ZERO)).unwrap();
    server.answer(DEFAULT + 1);
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
    let asked = server.asked();
    assert_eq!(server.peak(), DEFAULT);
    assert_eq!(asked.len(), DEFAULT + 1, "those of dropped clients are not asked");
    assert_eq!(asked.iter().collect::<HashSet<_>>().len(), DEFAULT + 1, "each name once");
    assert_eq!(asked.last().unwrap(), "last.test");
}

/// A loop with many names takes turns with the others.
#[test]
fn loops_take_turns() {
    const MANY: usize = 20;
    let _alone = alone();
    let server = NameServer::start();
    let nobody = "127.0.0.1:1".parse().unwrap();
    let options = FleetOptions::default().max_lookups(2);
    let mut fleet = Fleet::new(options).unwrap();
    for n in 0..MANY {
        let config = Config { max_attempts: Some(0), ..url(n) };
        let id = fleet.add(server.options(config, nobody)).unwrap();
        fleet.get_mut(id).unwrap().connect();
    }
    fleet.poll(Some(Duration::ZERO)).unwrap();
    server.wait_for(2);
    let mut other = Fleet::new(FleetOptions::default().max_lookups(2)).unwrap();
    let id = other.add(server.options(url("other"), nobody)).unwrap();
    other.get_mut(id).unwrap().connect();
    other.poll(Some(Duration::ZERO)).unwrap();
    for _ in 0..2 {
        server.answer(1);
        server.wait_for(2);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.contains(&"other.test".to_owned()), "{asked:?}");
    // All have their answer, two at a time.
    server.answer(MANY - 1);
    let mut failed = 0;
    while let Some((_, event)) = fleet.poll(None).unwrap() {
        failed += usize::from(matches!(event, Event::Failed { .. }));
    }
    assert_eq!((failed, server.peak(), server.asked().len()), (MANY, 2, MANY + 1));
}

/// An attempt whose lookup has to wait is no longer one for that.
#[test]
fn the_wait_for_a_thread_counts() {
    let _alone = alone();
    let server = NameServer::start();
    let nobody = "127.0.0.1:1".parse().unwrap();
    let mut fleet = Fleet::new(FleetOptions::default().max_lookups(1)).unwrap();
    let config = |n: usize| Config {
        max_attempts: Some(0),
        connect_timeout: Duration::from_millis(200),
        ..url(n)
    };
    for n in 0..3 {
        let id = fleet.add(server.options(config(n), nobody)).unwrap();
        fleet.get_mut(id).unwrap().connect();
    }
    let begin = std::time::Instant::now();
    let mut reasons = Vec::new();
    while let Some((_, event)) = fleet.poll(None).unwrap() {
        reasons.extend(disconnected(&event).map(|(_, reason)| reason));
    }
    assert_eq!(reasons, vec![CloseReason::Timeout { stage: Stage::Resolve }; 3]);
    assert!(begin.elapsed() < LONG / 2, "{:?}", begin.elapsed());
    assert_eq!(server.asked().len(), 1);
    drop(fleet);
    server.answer(1);
    // It was the last: the two that nobody waits for are not asked.
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let mut client = Client::new(server.options(url("last"), peer.addr)).unwrap();
    client.connect();
    client.poll(Some(Duration::ZERO)).unwrap();
    server.answer(1);
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn at_least_one_is_needed() {
    let Err(Error::Config(error)) = Fleet::new(FleetOptions::default().max_lookups(0)) else {
        panic!()
    };
    assert_eq!(error.to_string(), "config: `max_lookups` must be at least 1");
}
