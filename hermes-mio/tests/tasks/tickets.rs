//! What a ticket says of its message's way, from each kind of sender.

use std::time::Duration;

use hermes_mio::gateway::{Fault, Gateway, Target};
use hermes_mio::proto::DropReason;
use hermes_mio::{
    AsyncClient, Client, Config, Delivery, MemoryOutbox, Options, Outgoing, Progress, Receipts,
    Ticket, Undelivered,
};

use crate::common::LONG;
use crate::{block_on, chat, until, wait_for};

fn outgoing(n: u64) -> Outgoing {
    Outgoing::new(&chat(n)).unwrap()
}

/// Whatever the receipts are, and also if nobody polls the stream.
#[test]
fn a_message_is_written_and_then_acknowledged() {
    for receipts in [Receipts::None, Receipts::Written, Receipts::Acknowledged] {
        for delivery in [Delivery::AtLeastOnce, Delivery::AtMostOnce] {
            let gateway = Gateway::bind("127.0.0.1:0").unwrap();
            let config = Config {
                receipts,
                delivery,
                heartbeat_interval: Some(Duration::from_millis(50)),
                ..Config::new(gateway.url())
            };
            let client = AsyncClient::new(config).unwrap();
            block_on(async {
                let ticket = client.send(&chat(1)).await.unwrap();
                client.connect();
                ticket.written().await.unwrap();
                ticket.acknowledged().await.unwrap();
                assert_eq!(ticket.progress(), Progress::Acknowledged);
                assert_eq!(ticket.id().unwrap().0, 1);
            });
        }
    }
}

#[test]
fn a_message_whose_time_is_over_was_dropped() {
    let client = AsyncClient::new(Config::new("ws://127.0.0.1:9/")).unwrap();
    block_on(async {
        let ticket =
            client.send_message(outgoing(1).with_ttl(Duration::from_millis(20))).await.unwrap();
        let end = Undelivered::Dropped(DropReason::Expired);
        assert_eq!(ticket.written().await, Err(end));
        assert_eq!(ticket.progress(), Progress::Ended(end));
        // The outbox never has this one.
        let ticket = client.send_message(outgoing(2).volatile()).await.unwrap();
        let end = Undelivered::Dropped(DropReason::NotNow);
        assert_eq!(ticket.acknowledged().await, Err(end));
        assert_eq!(ticket.id(), None);
    });
}

/// Without a connection; a volatile message is never kept.
#[test]
fn a_message_is_durable_once_the_store_has_it() {
    let store = MemoryOutbox::new();
    let options = Options::new(Config::new("ws://127.0.0.1:9/")).outbox(store.clone());
    let client = AsyncClient::new(options).unwrap();
    block_on(async {
        let kept = client.send(&chat(1)).await.unwrap();
        kept.durable().await.unwrap();
        assert!(kept.is_durable());
        assert_eq!(kept.progress(), Progress::Accepted);
        assert_eq!(store.messages("default").len(), 1, "{:?}", client);
    });

    // Without a store, proof of the arrival is the next best.
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let client = AsyncClient::new(Config::new(gateway.url())).unwrap();
    client.connect();
    block_on(async {
        let ticket = client.send(&chat(1)).await.unwrap();
        ticket.durable().await.unwrap();
        assert_eq!((ticket.progress(), ticket.is_durable()), (Progress::Acknowledged, false));
    });
}

/// At most once, and then again with at least once.
#[test]
fn a_message_whose_connection_is_cut_is_in_doubt_or_sent_again() {
    for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
        let gateway = Gateway::bind("127.0.0.1:0").unwrap();
        let config = Config {
            delivery,
            backoff_base: Duration::from_millis(20),
            ..Config::new(gateway.url())
        };
        let mut client = AsyncClient::new(config).unwrap();
        block_on(async {
            client.connect();
            until(&mut client, "session-init").await;
            gateway.inject(Target::Live, Fault::NoPong);
            let ticket = client.send(&chat(1)).await.unwrap();
            wait_for(&gateway, |counts| counts.messages == 1);
            ticket.written().await.unwrap();
            gateway.inject(Target::Live, Fault::Reset);
            let end = ticket.acknowledged().await;
            match delivery {
                Delivery::AtLeastOnce => assert_eq!(end, Ok(())),
                _ => {
                    assert_eq!(end, Err(Undelivered::InDoubt));
                    assert_eq!(ticket.written().await, Ok(()));
                }
            }
        });
    }
}

/// The clients of loops and threads have the same.
#[test]
fn tickets_of_a_client_and_of_a_sender() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let mut client = Client::new(Config::new(gateway.url())).unwrap();
    let tickets: Vec<Ticket> = vec![
        client.send_tracked(outgoing(1)).unwrap(),
        client.sender().send(&chat(2)).unwrap(),
        client.sender().send_wait(&chat(3)).unwrap(),
    ];
    assert_eq!(tickets[0].progress(), Progress::Accepted);
    assert_eq!(tickets[1].progress(), Progress::Queued);
    client.connect();
    client.shutdown(LONG);
    client.send_tracked(outgoing(4)).unwrap_err();
    while client.poll(None).unwrap().is_some() {}
    for ticket in &tickets {
        assert_eq!(ticket.progress(), Progress::Acknowledged, "{ticket:?}");
    }

    let unsent = client.send_tracked(outgoing(5)).unwrap();
    drop(client);
    assert_eq!(block_on(unsent.acknowledged()), Err(Undelivered::Gone));
}
