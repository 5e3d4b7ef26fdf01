//! Sessions are saved beside the loop, and only when there is something new.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::Session;
use hermes_mio::{Client, Event, Fleet, FleetOptions, Options, SessionStore, State, StoreError};
use tungstenite::Message;

type Saved = Arc<Mutex<Vec<Option<String>>>>;

/// A disk that says when it begins with a save, and ends it when it may.
struct SlowStore {
    begins: Sender<()>,
    may_end: Receiver<()>,
    saved: Saved,
}

/// The test's side of it.
struct Disk {
    begun: Receiver<()>,
    end: Sender<()>,
    saved: Saved,
}

impl SlowStore {
    fn new() -> (Self, Disk) {
        let (begins, begun) = mpsc::channel();
        let (end, may_end) = mpsc::channel();
        let saved = Saved::default();
        (SlowStore { begins, may_end, saved: saved.clone() }, Disk { begun, end, saved })
    }
}

impl SessionStore for SlowStore {
    fn load(&mut self, _: &mut Vec<StoreError>) -> Option<Session> {
        None
    }

    fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError> {
        let _ = self.begins.send(());
        // Not for ever: a test that fails must end.
        let _ = self.may_end.recv_timeout(LONG / 2);
        self.saved.lock().unwrap().push(session.map(|session| session.token.clone()));
        Ok(())
    }
}

fn init(token: usize) -> String {
    format!(r#"{{"type":"session-init","token":"t{token}","clientId":"c"}}"#)
}

/// While the disk takes its time, a Ping is answered; of the sessions that came meanwhile only the
/// last is saved; and the loop's end waits for that.
#[test]
fn the_loop_does_not_wait_for_the_disk_and_its_end_does() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        send(&mut socket, &init(0));
        // The first save has begun.
        assert!(matches!(socket.read().unwrap(), Message::Text(_)), "no message");
        // Each in a turn of its own.
        for token in 1..6 {
            socket.send(Message::Ping(vec![token].into())).unwrap();
            assert!(matches!(socket.read().unwrap(), Message::Pong(_)), "no Pong");
            send(&mut socket, &init(token.into()));
        }
        read_close(&mut socket);
    });
    let (store, disk) = SlowStore::new();
    let mut client = Client::new(Options::new(at_most_once(peer.url())).store(store)).unwrap();
    client.connect();
    let init = |event: &Event| matches!(event, Event::SessionInit(_)).then_some(());
    wait_for(&mut client, init);
    disk.begun.recv_timeout(LONG).unwrap();
    client.send("go").unwrap();
    let begin = Instant::now();
    for _ in 1..6 {
        wait_for(&mut client, init);
    }
    assert!(begin.elapsed() < LONG / 4, "the disk held up the loop");
    client.disconnect();
    wait_for(&mut client, disconnected);
    assert_eq!(client.protocol().state(), State::Idle);
    // Not at rest before the save is done.
    assert_eq!(client.poll(Some(Duration::from_millis(20))).unwrap(), None);
    disk.end.send(()).unwrap();
    disk.end.send(()).unwrap();
    assert_eq!(client.poll(None).unwrap(), None);
    let token = |n: usize| Some(format!("t{n}"));
    assert_eq!(*disk.saved.lock().unwrap(), [token(0), token(5)]);
    peer.join();
}

/// The same session again is no news.
#[test]
fn only_changes_are_saved() {
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        for token in [1, 1, 1, 2, 2, 1] {
            send(&mut socket, &init(token));
        }
        read_close(&mut socket);
    });
    let (store, disk) = SlowStore::new();
    (0..6).for_each(|_| disk.end.send(()).unwrap());
    let mut client = Client::new(Options::new(config(peer.url())).store(store)).unwrap();
    client.connect();
    let mut inits = 0;
    while inits < 6 {
        if let Event::SessionInit(_) = next(&mut client) {
            inits += 1;
        }
        // A turn for each, as far as the peer's writes come one by one.
        client.poll(Some(Duration::ZERO)).unwrap().inspect(|event| {
            inits += usize::from(matches!(event, Event::SessionInit(_)));
        });
    }
    disconnect(&mut client);
    let saved = disk.saved.lock().unwrap().clone();
    assert!(saved.len() <= 3, "{saved:?}");
    assert_eq!(saved.last(), Some(&Some("t1".to_owned())));
    peer.join();
}

/// A save that failed, or panicked, is told, and made up for when the same session comes again.
#[test]
fn a_failed_save_is_made_up_for() {
    struct Moody(Saved, usize);
    impl SessionStore for Moody {
        fn load(&mut self, _: &mut Vec<StoreError>) -> Option<Session> {
            None
        }
        fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError> {
            self.1 += 1;
            match self.1 {
                1 => Err(StoreError::Other("the disk is full".into())),
                2 => panic!("the store's own fault"),
                _ => {
                    self.0.lock().unwrap().push(session.map(|session| session.token.clone()));
                    Ok(())
                }
            }
        }
    }
    let (go, may_send) = mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let mut socket = accept(&listener);
        for _ in 0..3 {
            send(&mut socket, &init(1));
            may_send.recv_timeout(LONG).unwrap();
        }
        read_close(&mut socket);
    });
    let saved = Saved::default();
    let store = Moody(saved.clone(), 0);
    let mut client = Client::new(Options::new(config(peer.url())).store(store)).unwrap();
    client.connect();
    for problem in ["the disk is full", "the session store panicked"] {
        let text = wait_for(&mut client, |event| match event {
            Event::Warning { text } => Some(text.to_string()),
            _ => None,
        });
        assert_eq!(text, problem);
        go.send(()).unwrap();
    }
    run_until(&mut client, |_| !saved.lock().unwrap().is_empty());
    go.send(()).unwrap();
    disconnect(&mut client);
    assert_eq!(*saved.lock().unwrap(), [Some("t1".to_owned())]);
    peer.join();
}

/// A client that is removed, or dropped, leaves its last session in the store.
#[test]
fn whoever_goes_has_saved() {
    for removed in [true, false] {
        let peer = Peer::start(|listener| {
            let mut socket = accept(&listener);
            send(&mut socket, &init(1));
            let _ = socket.read();
        });
        let (store, disk) = SlowStore::new();
        let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
        let id = fleet.add(Options::new(config(peer.url())).store(store)).unwrap();
        fleet.get_mut(id).unwrap().connect();
        let until = Instant::now() + LONG;
        while !matches!(fleet.poll(Some(LONG)).unwrap(), Some((_, Event::SessionInit(_)))) {
            assert!(Instant::now() < until);
        }
        disk.begun.recv_timeout(LONG).unwrap();
        let end = disk.end.clone();
        let slow = std::thread::spawn(move || {
            // The client is on its way out, most likely.
            std::thread::yield_now();
            end.send(())
        });
        let left = removed.then(|| fleet.remove(id).unwrap());
        if !removed {
            drop(fleet);
        }
        assert_eq!(*disk.saved.lock().unwrap(), [Some("t1".to_owned())]);
        drop(left);
        slow.join().unwrap().unwrap();
        peer.join();
    }
}

/// One thread for all, made when it is first needed, and gone with its driver.
#[test]
fn one_thread_saves_for_all() {
    const MANY: usize = 5;
    // Other tests of this process have such threads too: they are told apart by what they do.
    struct Named(Arc<Mutex<Vec<std::thread::ThreadId>>>, Arc<AtomicUsize>);
    impl SessionStore for Named {
        fn load(&mut self, _: &mut Vec<StoreError>) -> Option<Session> {
            None
        }
        fn save(&mut self, _: Option<&Session>) -> Result<(), StoreError> {
            let thread = std::thread::current();
            assert_eq!(thread.name(), Some("hermes-session"));
            self.0.lock().unwrap().push(thread.id());
            Ok(())
        }
    }
    impl Drop for Named {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let peer = Peer::start(|listener| {
        let mut sockets: Vec<_> = (0..MANY).map(|_| accept(&listener)).collect();
        sockets.iter_mut().enumerate().for_each(|(n, socket)| send(socket, &init(n)));
        sockets.iter_mut().for_each(read_close);
    });
    let (threads, dropped) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
    for _ in 0..MANY {
        let store = Named(Arc::clone(&threads), Arc::clone(&dropped));
        let id = fleet.add(Options::new(config(peer.url())).store(store)).unwrap();
        fleet.get_mut(id).unwrap().connect();
    }
    let mut inits = 0;
    while inits < MANY {
        if let Some((id, Event::SessionInit(_))) = fleet.poll(Some(LONG)).unwrap() {
            fleet.get_mut(id).unwrap().disconnect();
            inits += 1;
        }
    }
    while fleet.poll(None).unwrap().is_some() {}
    let mut ids = threads.lock().unwrap().clone();
    assert_eq!(ids.len(), MANY);
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    drop(fleet);
    assert_eq!(dropped.load(Ordering::SeqCst), MANY, "the thread keeps stores");
    peer.join();
}
