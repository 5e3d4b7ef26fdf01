//! Futures and handles that are dropped at any time.

use std::pin::pin;
use std::sync::mpsc;

use hermes_mio::gateway::Gateway;
use hermes_mio::proto::Session;
use hermes_mio::{
    AsyncClient, AsyncFleet, Config, EnqueueError, FleetOptions, Options, SessionStore, StoreError,
    Undelivered,
};

use crate::common::LONG;
use crate::{block_on, chat, numbers, poll_once, until, wait_for};

/// A message whose future is dropped before it is done is not sent; no other message suffers.
#[test]
fn a_dropped_send_sends_nothing() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let config = Config { outbox_max_messages: 1, ..Config::new(gateway.url()) };
    let mut client = AsyncClient::new(Options::new(config).sender_capacity(1)).unwrap();
    block_on(async {
        client.send(&chat(0)).await.unwrap();
        while client.inspect(|member| member.queued()).await.unwrap() > 0 {}
        client.send(&chat(1)).await.unwrap();
        for polls in 0..3 {
            let message = chat(99);
            let mut dropped = pin!(client.send(&message));
            for _ in 0..polls {
                poll_once(dropped.as_mut()).await;
            }
        }
        client.connect();
        client.send(&chat(2)).await.unwrap();
        client.shutdown(LONG).await.unwrap();
    });
    assert_eq!(numbers(&gateway), [0, 1, 2]);
}

/// No event is lost with a dropped `next`, and a shutdown goes on without its future.
#[test]
fn a_dropped_wait_loses_nothing() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let mut client = AsyncClient::new(Config::new(gateway.url())).unwrap();
    block_on(async {
        client.connect();
        poll_once(pin!(client.next()).as_mut()).await;
        drop(client.next());
        let ticket = client.send(&chat(1)).await.unwrap();
        drop(ticket.acknowledged());
        let mut waits = pin!(ticket.acknowledged());
        poll_once(waits.as_mut()).await;
        assert_eq!(client.next().await.unwrap().name(), "ws-connected");
        waits.await.unwrap();
        {
            let mut shutdown = pin!(client.shutdown(LONG));
            poll_once(shutdown.as_mut()).await;
        }
        until(&mut client, "shut-down").await;
        assert_eq!(client.next().await, None);
    });
    assert_eq!(numbers(&gateway), [1]);
}

/// A client that nobody waited for is removed.
#[test]
fn a_dropped_add_adds_nothing() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let fleet = AsyncFleet::new(FleetOptions::default()).unwrap();
    let (dropped, drops) = mpsc::channel();
    for polls in 0..2 {
        let options = Options::new(Config::new(gateway.url())).store(Told(dropped.clone()));
        let mut adding = Box::pin(fleet.add(options));
        block_on(async {
            for _ in 0..polls {
                poll_once(adding.as_mut()).await;
            }
        });
        drop(adding);
        drops.recv_timeout(LONG).unwrap();
    }
    drop(fleet);
}

/// A dropped client is removed: its connection ends, its senders and tickets are told, and once nobody
/// has the fleet its thread ends.
#[test]
fn the_last_handle_ends_the_thread() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let fleet = AsyncFleet::new(FleetOptions::default()).unwrap();
    let (dropped, drops) = mpsc::channel();
    let options = || Options::new(Config::new(gateway.url())).store(Told(dropped.clone()));
    let (first, second) = block_on(async {
        (fleet.add(options()).await.unwrap(), fleet.add(options()).await.unwrap())
    });
    let unsent = block_on(first.send(&chat(1))).unwrap();
    second.connect();
    wait_for(&gateway, |counts| counts.open == 1);

    let sender = first.sender();
    drop(first);
    drops.recv_timeout(LONG).unwrap();
    assert_eq!(block_on(unsent.acknowledged()), Err(Undelivered::Gone));
    assert_eq!(block_on(unsent.written()), Err(Undelivered::Gone));
    assert!(matches!(block_on(sender.send(&chat(2))), Err(EnqueueError::Gone(_))));

    drop(fleet);
    assert_eq!(gateway.snapshot().open, 1, "the second client keeps the fleet");
    drop(second);
    drops.recv_timeout(LONG).unwrap();
    wait_for(&gateway, |counts| counts.open == 0);
    drop(dropped);
    assert!(drops.recv_timeout(LONG).is_err(), "nothing of the thread is left");
}

/// A store that tells of its end.
struct Told(mpsc::Sender<()>);

impl SessionStore for Told {
    fn load(&mut self, _warnings: &mut Vec<StoreError>) -> Option<Session> {
        None
    }

    fn save(&mut self, _session: Option<&Session>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
