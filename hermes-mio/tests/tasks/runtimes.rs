//! One program, on each runtime.

use std::time::Duration;

use hermes_mio::gateway::{Gateway, GatewayOptions};
use hermes_mio::{AsyncClient, AsyncFleet, AsyncSender, Config, Event, FleetOptions, Ticket};

use crate::common::LONG;
use crate::{block_on, chat, numbers, until};

fn echo() -> Gateway {
    Gateway::start(GatewayOptions { echo: true, ..GatewayOptions::default() }).unwrap()
}

/// From connecting to the report.
async fn story(url: String) {
    let mut client = AsyncClient::new(Config::new(url)).unwrap();
    assert_eq!(client.next().await, None, "it is at rest until it is told to connect");
    client.connect();
    let ticket = client.send(&chat(1)).await.unwrap();
    ticket.acknowledged().await.unwrap();
    assert!(ticket.id().is_some());
    until(&mut client, "session-init").await;
    assert!(matches!(until(&mut client, "chat-message").await, Event::Chat(_)));
    let sender = client.sender();
    for n in 2..=9 {
        sender.send(&chat(n)).await.unwrap();
    }
    let report = client.shutdown(LONG).await.unwrap();
    assert_eq!((report.in_doubt, report.unsent), (0, 0), "{report:?}");
    assert_eq!(client.next().await, None);
    assert!(sender.send(&chat(10)).await.is_err());
    // And again.
    client.connect();
    until(&mut client, "ws-connected").await;
    client.disconnect();
    until(&mut client, "ws-disconnected").await;
    assert_eq!(client.next().await, None);
}

#[test]
fn without_a_runtime() {
    let gateway = echo();
    block_on(story(gateway.url()));
    assert_eq!(numbers(&gateway), (1..=9).collect::<Vec<_>>());
}

#[test]
fn on_smol() {
    let gateway = echo();
    smol::block_on(story(gateway.url()));
    assert_eq!(numbers(&gateway), (1..=9).collect::<Vec<_>>());
}

/// Each task has a client, and all share one thread of the fleet's.
#[test]
fn on_tokio_with_many_tasks() {
    const MANY: u64 = 40;
    let gateway = echo();
    let url = gateway.url();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        tokio::spawn(story(url.clone())).await.unwrap();
        let fleet = AsyncFleet::new(FleetOptions::default()).unwrap();
        let mut tasks = Vec::new();
        for n in 0..MANY {
            let (fleet, url) = (fleet.clone(), url.clone());
            tasks.push(tokio::spawn(async move {
                let mut client = fleet.add(Config::new(url)).await.unwrap();
                client.connect();
                client.send(&chat(n)).await.unwrap().acknowledged().await.unwrap();
                let report = client.shutdown(LONG).await.unwrap();
                assert_eq!((report.in_doubt, report.unsent), (0, 0));
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let mut got = numbers(&gateway);
    got.drain(..9);
    got.sort_unstable();
    assert_eq!(got, (0..MANY).collect::<Vec<_>>());
}

#[test]
fn a_setting_that_is_wrong_is_an_error_at_once() {
    let config = Config { url: "ftp://gateway/".into(), ..Config::new("") };
    assert!(AsyncClient::new(config.clone()).is_err());
    let fleet = AsyncFleet::new(FleetOptions::default()).unwrap();
    assert!(block_on(fleet.add(config)).is_err());
}

#[test]
fn a_client_is_looked_at_after_the_commands_before() {
    let gateway = echo();
    let mut client = AsyncClient::new(Config::new(gateway.url())).unwrap();
    block_on(async {
        assert!(client.inspect(|member| member.why()).await.unwrap().starts_with("idle"));
        client.connect();
        until(&mut client, "ws-connected").await;
        client.shutdown(Duration::from_secs(1)).await.unwrap();
        let opened = client.inspect(|member| member.protocol().stats().opened).await.unwrap();
        assert_eq!(opened, 1);
    });
}

/// Tasks move between threads.
#[test]
fn all_of_it_is_send() {
    fn is_send<T: Send>(_: &T) {}
    let mut client = AsyncClient::new(Config::new("ws://127.0.0.1:9/")).unwrap();
    is_send(&client);
    is_send(&client.sender());
    is_send(&client.send("text"));
    is_send(&client.next());
    is_send(&client.shutdown(LONG));
    fn is_sync<T: Send + Sync + 'static>() {}
    is_sync::<AsyncFleet>();
    is_sync::<AsyncSender>();
    is_sync::<Ticket>();
    is_sync::<AsyncClient>();
}
