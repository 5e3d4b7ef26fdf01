//! Sending from other threads.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::{
    Client, CloseReason, Config, EnqueueError, Error, Options, Outgoing, SendError, Sender, Waited,
};
use serde::Serialize;
use serde_json::json;

#[derive(Serialize, serde::Deserialize)]
struct Numbered {
    thread: u64,
    n: u64,
}

/// Four threads against a tiny queue and a tiny outbox: everything arrives once, and in order for
/// each thread.
#[test]
fn four_threads_in_order() {
    const EACH: u64 = 500;
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let mut last = BTreeMap::new();
        for _ in 0..4 * EACH {
            let Numbered { thread, n } = serde_json::from_str(&read_text(&mut socket)).unwrap();
            let expected = last.entry(thread).or_insert(0);
            assert_eq!(n, *expected, "thread {thread}");
            *expected += 1;
        }
        read_close(&mut socket);
        last
    });
    let config = Config { outbox_max_messages: 2, ..config(peer.url()) };
    let mut client = Client::new(Options::new(config).sender_capacity(3)).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let sender = client.sender();
            thread::spawn(move || {
                for n in 0..EACH {
                    sender.send_wait(&Numbered { thread, n }).unwrap();
                }
                sender.wake();
            })
        })
        .collect();
    client.connect();
    while !threads.iter().all(|thread| thread.is_finished()) {
        // `wake` ends this, and so does every event.
        client.wait(Some(LONG)).unwrap();
        assert!(client.protocol().outbox_len() <= 2);
        assert!(client.queued() <= 3);
        assert_eq!(client.protocol().stats().dropped.total(), 0);
    }
    client.shutdown(LONG);
    assert_eq!(wait_for(&mut client, disconnected).1, CloseReason::Requested);
    assert_eq!(peer.join(), BTreeMap::from([(0, EACH), (1, EACH), (2, EACH), (3, EACH)]));
    assert_eq!(client.protocol().stats().written, 4 * EACH);
}

/// Where there is no room, the sender hears of it, and nobody else suffers.
#[test]
fn a_full_queue_hands_the_message_back() {
    let config = Config {
        outbox_max_messages: 2,
        outbox_max_bytes: 100,
        // The senders' messages push nothing out.
        overflow: hermes_mio::proto::OverflowPolicy::DropOldest,
        ..config("ws://127.0.0.1:1/")
    };
    let mut client = Client::new(Options::new(config).sender_capacity(3)).unwrap();
    let sender = client.sender();
    let number = |n: u64| sender.send(&json!({ "n": n }));
    for n in 0..3 {
        number(n).unwrap();
    }
    assert_eq!(number(3), Err(EnqueueError::Full(Outgoing::from_json(r#"{"n":3}"#).unwrap())));

    // The client takes what its outbox has room for, and there is room here again.
    client.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!((client.protocol().outbox_len(), client.queued()), (2, 1));
    number(3).unwrap();
    number(4).unwrap();
    assert!(matches!(number(5), Err(EnqueueError::Full(_))));
    client.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!((client.protocol().outbox_len(), client.queued()), (2, 3));
    assert_eq!(client.protocol().stats().dropped.total(), 0);
    assert!(client.protocol().outbox_len() + client.queued() > 0);
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let client = client(Config { outbox_max_bytes: 100, ..config("ws://127.0.0.1:1/") });
    let sender = client.sender();
    let text = |bytes: usize| "x".repeat(bytes - 2);
    sender.send(&text(60)).unwrap();
    assert!(matches!(sender.send(&text(60)), Err(EnqueueError::Full(_))));
    sender.send(&text(40)).unwrap();
    assert!(matches!(sender.send(&text(101)), Err(EnqueueError::TooLarge(_))));
    assert!(matches!(sender.send_wait(&text(101)), Err(EnqueueError::TooLarge(_))));
}

/// A message that the queue takes fits into the outbox with its identity.
#[test]
fn the_queue_leaves_room_for_identities() {
    let member = Some("id".to_owned());
    let mut client = client(Config {
        message_id_member: member,
        outbox_max_bytes: 100,
        ..config("ws://127.0.0.1:1/")
    });
    let most = 100 - client.protocol().config().message_id_bytes();
    let sender = client.sender();
    // Braces, a name and quotes around it.
    let object = |bytes: usize| json!({"a": "x".repeat(bytes - 8)});
    assert!(matches!(sender.send(&object(most + 1)), Err(EnqueueError::TooLarge(_))));
    sender.send(&object(most)).unwrap();
    client.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!((client.protocol().outbox_len(), client.queued()), (1, 0));
    // The longest identity is of the largest message id, of 20 digits.
    assert_eq!(client.protocol().outbox_bytes(), 100 - 19);
    // It waits in the queue: nothing is refused.
    sender.send(&object(most)).unwrap();
    client.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!((client.protocol().outbox_len(), client.queued()), (1, 1));
}

#[test]
fn what_can_not_be_written_does_not_enter_the_queue() {
    struct Odd;
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("odd"))
        }
    }
    let client = client(config("ws://127.0.0.1:1/"));
    let sender = client.sender();
    let error = sender.send(&Odd).unwrap_err();
    assert_eq!(error, EnqueueError::Unwritable(SendError::Serialize("odd".into())));
    assert_eq!(error.into_message(), None);
    assert_eq!(client.queued(), 0);
}

#[test]
fn the_queue_has_room_for_one_at_least() {
    let options = Options::new(config("ws://127.0.0.1:1/")).sender_capacity(0);
    let Err(Error::Config(error)) = Client::new(options) else { panic!("it was taken") };
    assert_eq!(error.to_string(), "config: `sender_capacity` must be at least 1");
}

/// Each thread that waits for room is released when the client goes, or shuts down.
#[test]
fn a_client_that_goes_releases_all_its_senders() {
    let message = || Outgoing::new(&2).unwrap();
    let shut_down: fn(&mut Option<Client>) = |client| client.as_mut().unwrap().shutdown(LONG);
    for (end, refusal) in [
        (shut_down, EnqueueError::ShuttingDown(message())),
        (|client| drop(client.take()), EnqueueError::Gone(message())),
    ] {
        let config = config("ws://127.0.0.1:1/");
        let client = Client::new(Options::new(config).sender_capacity(1)).unwrap();
        let sender = client.sender();
        sender.send(&1).unwrap();
        let (result, results) = mpsc::channel();
        let names: Vec<_> = (0..4).map(|n| format!("waits-{n}")).collect();
        for name in &names {
            let (sender, result) = (sender.clone(), result.clone());
            let wait = move || result.send(sender.send_wait(&2)).unwrap();
            thread::Builder::new().name(name.clone()).spawn(wait).unwrap();
        }
        names.iter().for_each(|name| until_asleep(name));
        let mut client = Some(client);
        end(&mut client);
        for _ in names {
            // A thread that is not woken never answers.
            let refused = results.recv_timeout(LONG).expect("it waits for ever");
            assert_eq!(refused, Err(refusal.clone()));
        }
        assert_eq!(sender.send(&2), Err(refusal));
    }
}

/// Waits until the thread of this name sleeps, on systems that tell.
fn until_asleep(name: &str) {
    let state = || {
        std::fs::read_dir("/proc/self/task").unwrap().find_map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).ok()?;
            // `tid (name) state …`
            let (head, tail) = stat.rsplit_once(") ")?;
            head.ends_with(&format!("({name}")).then(|| tail.starts_with('S'))
        })
    };
    let until = Instant::now() + LONG;
    while cfg!(target_os = "linux") && state() != Some(true) {
        assert!(Instant::now() < until, "{name} never sleeps");
        thread::yield_now();
    }
}

#[test]
fn a_sender_wakes_a_client_that_sleeps() {
    let peer = Peer::echo();
    let mut client = client(config(peer.url()));
    client.connect();
    wait_for(&mut client, connected);
    let sender = client.sender();
    let thread = thread::spawn(move || sender.send(&json!({"type": "chat", "text": "woken"})));
    assert_eq!(chat_text(&next(&mut client)).unwrap(), "woken");
    thread.join().unwrap().unwrap();

    // And without a message.
    let sender = client.sender();
    let thread = thread::spawn(move || sender.wake());
    assert_eq!(client.wait(None).unwrap(), Waited::Woken);
    thread.join().unwrap();
    disconnect(&mut client);
    peer.join();
}

#[test]
fn handles_go_everywhere() {
    fn is<T: Send + Sync + Clone + 'static>() {}
    fn moves<T: Send + 'static>() {}
    is::<Sender>();
    moves::<Client>();
    moves::<hermes_mio::Driver>();
}
