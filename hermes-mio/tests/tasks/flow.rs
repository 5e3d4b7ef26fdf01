//! Slow gateways and slow tasks.

use std::pin::pin;

use futures_core::Stream;
use hermes_mio::gateway::{Gateway, GatewayOptions};
use hermes_mio::{AsyncClient, AsyncFleet, Config, Event, FleetOptions, Options};

use crate::common::LONG;
use crate::{block_on, chat, numbers, poll_once, until, wait_for};

/// A sender waits for room, and goes on once the gateway takes messages.
#[test]
fn sending_waits_for_room() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let config = Config { outbox_max_messages: 2, ..Config::new(gateway.url()) };
    let mut client = AsyncClient::new(Options::new(config).sender_capacity(3)).unwrap();
    block_on(async {
        // Two in the outbox, three in the queue.
        for n in 0..2 {
            client.send(&chat(n)).await.unwrap();
        }
        while client.inspect(|member| member.queued()).await.unwrap() > 0 {}
        for n in 2..5 {
            client.send(&chat(n)).await.unwrap();
        }
        let message = chat(5);
        {
            let mut waits = pin!(client.send(&message));
            poll_once(waits.as_mut()).await;
            client.connect();
            waits.await.unwrap();
        }
        let report = client.shutdown(LONG).await.unwrap();
        assert_eq!((report.in_doubt, report.unsent), (0, 0));
    });
    assert_eq!(numbers(&gateway), [0, 1, 2, 3, 4, 5]);
}

/// A flood waits in the socket while the task is busy, and none of it is lost. Others of the fleet go
/// on meanwhile.
#[test]
fn a_task_that_takes_no_events_is_not_flooded() {
    const FLOOD: u64 = 20_000;
    let gateway =
        Gateway::start(GatewayOptions { backlog_bytes: 1 << 30, ..GatewayOptions::default() })
            .unwrap();
    let fleet = AsyncFleet::new(FleetOptions::default()).unwrap();
    block_on(async {
        let mut busy = fleet.add(Config::new(gateway.url())).await.unwrap();
        busy.connect();
        until(&mut busy, "session-init").await;
        for n in 0..FLOOD {
            gateway.broadcast(chat(n).to_string());
        }
        // A busy task: the other one has its whole life meanwhile.
        let mut other = fleet.add(Config::new(gateway.url())).await.unwrap();
        other.connect();
        other.send(&chat(FLOOD)).await.unwrap().acknowledged().await.unwrap();
        other.shutdown(LONG).await.unwrap();

        let read = busy.inspect(|member| member.protocol().stats().received).await.unwrap();
        assert!(read < FLOOD / 2, "{read} were read for a task that took none");
        let mut next = 0;
        while next < FLOOD {
            if let Event::Chat(chat) = until(&mut busy, "chat-message").await {
                let message: serde_json::Value = serde_json::from_str(chat.json()).unwrap();
                assert_eq!(message["n"], next);
                next += 1;
            }
        }
    });
    wait_for(&gateway, |counts| counts.messages == 1);
}

/// The stream of another crate's combinators is the same as `next`.
#[test]
fn it_is_a_stream() {
    let gateway = Gateway::bind("127.0.0.1:0").unwrap();
    let mut client = AsyncClient::new(Config::new(gateway.url())).unwrap();
    client.connect();
    let event = block_on(std::future::poll_fn(|cx| pin!(&mut client).poll_next(cx)));
    assert_eq!(event.unwrap().name(), "ws-connected");
}
