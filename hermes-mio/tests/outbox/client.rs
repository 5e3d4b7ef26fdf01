//! Clients with stores, on real sockets.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::*;
use hermes_mio::proto::{Config, MessageId, StoredOutbox};
use hermes_mio::{
    Client, Error, Event, Fleet, FleetOptions, LoadLimits, MemoryOutbox, Options, OutboxChange,
    OutboxError, OutboxStore, Receipts, SharedOutbox,
};
use serde_json::json;

fn receipts(url: impl AsRef<str>) -> Config {
    Config { receipts: Receipts::Acknowledged, ..config(url) }
}

/// Nobody listens there.
fn nowhere() -> Config {
    Config { max_attempts: None, ..receipts("ws://127.0.0.1:9/") }
}

fn durable(event: &Event) -> Option<(u64, u64)> {
    match event {
        Event::Durable { from, to } => Some((from.0, to.0)),
        _ => None,
    }
}

/// A store that says when a commit begins, and ends it as it is told.
struct SlowStore {
    memory: MemoryOutbox,
    begins: Sender<Vec<OutboxChange>>,
    ends: Receiver<Result<(), &'static str>>,
}

/// The test's side of it.
struct Disk {
    memory: MemoryOutbox,
    begun: Receiver<Vec<OutboxChange>>,
    end: Sender<Result<(), &'static str>>,
}

impl SlowStore {
    fn new() -> (Self, Disk) {
        let memory = MemoryOutbox::new();
        let ((begins, begun), (end, ends)) = (mpsc::channel(), mpsc::channel());
        let disk = Disk { memory: memory.clone(), begun, end };
        (SlowStore { memory, begins, ends }, disk)
    }
}

impl OutboxStore for SlowStore {
    fn load(
        &mut self,
        client: &str,
        after: MessageId,
        limits: LoadLimits,
        warnings: &mut Vec<OutboxError>,
    ) -> Result<StoredOutbox, OutboxError> {
        self.memory.load(client, after, limits, warnings)
    }

    fn commit(&mut self, changes: &[OutboxChange]) -> Result<(), OutboxError> {
        let _ = self.begins.send(changes.to_vec());
        // Not for ever: a test that fails must end.
        match self.ends.recv_timeout(LONG / 2) {
            Ok(Err(problem)) => Err(OutboxError::Other(problem.into())),
            _ => self.memory.commit(changes),
        }
    }
}

/// The ids that a commit stores, by client.
fn stores(changes: &[OutboxChange]) -> Vec<(&str, u64)> {
    changes
        .iter()
        .filter_map(|change| match change {
            OutboxChange::Store { client, message } => Some((&**client, message.id.0)),
            OutboxChange::Forget { .. } => None,
        })
        .collect()
}

#[test]
fn the_next_client_sends_what_the_one_before_has_left_and_the_store_forgets_it() {
    let outbox = MemoryOutbox::new();
    let mut client = Client::new(Options::new(nowhere()).outbox(outbox.clone())).unwrap();
    client.connect();
    for n in 1..=3 {
        client.send(&json!({"n": n})).unwrap();
    }
    let mut last = 0;
    while last < 3 {
        last = wait_for(&mut client, durable).1;
    }
    drop(client);
    assert_eq!(outbox.messages("default").len(), 3);
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let texts: Vec<String> = (0..4).map(|_| read_text(&mut socket)).collect();
        read_close(&mut socket);
        texts
    });
    let mut client =
        Client::new(Options::new(receipts(peer.url())).outbox(outbox.clone())).unwrap();
    assert_eq!(client.send(&json!({"n": 4})).unwrap(), MessageId(4));
    client.connect();
    client.shutdown(LONG);
    assert_eq!(wait_for(&mut client, shut_down), (4, 0, 0));
    // At rest, the store is up to date.
    while client.poll(None).unwrap().is_some() {}
    assert_eq!(outbox.messages("default"), []);
    assert_eq!(peer.join(), [1, 2, 3, 4].map(|n| json!({ "n": n }).to_string()));
}

/// While the disk takes its time, a Ping is answered; and all that came meanwhile, of all clients, is
/// one commit.
#[test]
fn the_loop_does_not_wait_for_the_disk_and_a_turn_is_one_commit() {
    const CLIENTS: u64 = 10;
    let (store, disk) = SlowStore::new();
    let outbox = SharedOutbox::new(store);
    let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
    let options =
        |n: u64| Options::new(nowhere()).outbox(outbox.clone()).outbox_name(n.to_string());
    let ids: Vec<_> = (0..CLIENTS).map(|n| fleet.add(options(n)).unwrap()).collect();
    let turn = |fleet: &mut Fleet, messages: usize| {
        for id in &ids {
            for _ in 0..messages {
                fleet.get_mut(*id).unwrap().send(&json!({})).unwrap();
            }
        }
        fleet.poll(Some(Duration::ZERO)).unwrap();
    };
    turn(&mut fleet, 2);
    let first = disk.begun.recv_timeout(LONG).unwrap();
    assert_eq!(stores(&first).len() as u64, 2 * CLIENTS);
    // The disk is busy. Turns go on.
    turn(&mut fleet, 1);
    turn(&mut fleet, 1);
    disk.end.send(Ok(())).unwrap();
    let second = disk.begun.recv_timeout(LONG).unwrap();
    let mut expected: Vec<(String, u64)> = Vec::new();
    (0..CLIENTS).for_each(|n| expected.extend([3, 4].map(|id| (n.to_string(), id))));
    let second: Vec<_> =
        stores(&second).into_iter().map(|(name, id)| (name.to_owned(), id)).collect();
    assert_eq!(second, expected);
    disk.end.send(Ok(())).unwrap();
    drop(fleet);
    assert_eq!(disk.memory.messages("9").len(), 4);
}

/// A store that fails, or panics, is told once, and has everything in the end.
#[test]
fn a_store_that_fails_is_tried_again_with_all_that_is_not_durable() {
    let (store, disk) = SlowStore::new();
    let config = Config { store_retry: Duration::from_millis(20), ..nowhere() };
    let mut client = Client::new(Options::new(config).outbox(store)).unwrap();
    client.send(&json!({"n": 1})).unwrap();
    client.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(stores(&disk.begun.recv_timeout(LONG).unwrap()), [("default", 1)]);
    // These wait behind the commit that fails.
    client.send(&json!({"n": 2})).unwrap();
    client.poll(Some(Duration::ZERO)).unwrap();
    disk.end.send(Err("the disk is full")).unwrap();
    let text = wait_for(&mut client, |event| match event {
        Event::Warning { text } => Some(text.to_string()),
        _ => None,
    });
    assert!(text.contains("the disk is full") && text.contains("not durable"), "{text}");
    assert!(client.why().contains("not durable"), "{}", client.why());
    client.send(&json!({"n": 3})).unwrap();
    run_until(&mut client, |_| match disk.begun.try_recv() {
        Ok(changes) => {
            assert_eq!(stores(&changes), [("default", 1), ("default", 2), ("default", 3)]);
            true
        }
        Err(_) => false,
    });
    disk.end.send(Ok(())).unwrap();
    assert_eq!(wait_for(&mut client, durable), (1, 3));
    assert_eq!(client.protocol().stats().not_durable, 0);
    // Dropping it waits for nothing: all is done.
    drop(client);
    assert_eq!(disk.memory.messages("default").len(), 3);
}

#[test]
fn settings_that_can_not_be_are_errors() {
    let field = |options: Options| match Client::new(options) {
        Err(Error::Config(error)) => error.field,
        other => panic!("{other:?}"),
    };
    let durable = Config { durable: true, ..config("ws://localhost/") };
    assert_eq!(field(Options::new(durable)), "durable");
    let of = |name: &str| {
        Options::new(config("ws://localhost/")).outbox(MemoryOutbox::new()).outbox_name(name)
    };
    assert_eq!(field(of("")), "outbox_name");
    assert_eq!(field(of(&"n".repeat(129))), "outbox_name");
    assert!(Client::new(of(&"n".repeat(128))).is_ok());
    assert_eq!(
        field(Options::new(at_most_once("ws://localhost/")).outbox(MemoryOutbox::new())),
        "durable"
    );

    // A name is one client's, for as long as it lives.
    let shared = SharedOutbox::new(MemoryOutbox::new());
    let options = || Options::new(config("ws://localhost/")).outbox(shared.clone());
    let first = Client::new(options()).unwrap();
    assert_eq!(field(options()), "outbox_name");
    drop(first);
    assert!(Client::new(options()).is_ok());
}

/// A store that can't be read at the start is an error, and not an empty outbox.
#[test]
fn a_store_that_can_not_be_loaded_is_an_error() {
    struct Broken(Arc<Mutex<u32>>);
    impl OutboxStore for Broken {
        fn load(
            &mut self,
            _: &str,
            _: MessageId,
            _: LoadLimits,
            _: &mut Vec<OutboxError>,
        ) -> Result<StoredOutbox, OutboxError> {
            *self.0.lock().unwrap() += 1;
            Err(OutboxError::Other("no such disk".into()))
        }
        fn commit(&mut self, _: &[OutboxChange]) -> Result<(), OutboxError> {
            Ok(())
        }
    }
    let loads = Arc::default();
    let options = Options::new(config("ws://localhost/")).outbox(Broken(Arc::clone(&loads)));
    let error = Client::new(options).unwrap_err();
    assert!(matches!(error, Error::Outbox(_)) && error.to_string() == "no such disk", "{error}");
    assert_eq!(*loads.lock().unwrap(), 1);
}
