//! Clients for async programs, on several runtimes, against the gateway.
#![cfg(all(feature = "async", feature = "gateway"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../common/mod.rs"]
mod common;

mod drops;
mod flow;
mod runtimes;
mod tickets;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use common::LONG;
use hermes_mio::gateway::{Gateway, Snapshot};
use hermes_mio::{AsyncClient, Event};
use serde_json::{Value, json};

/// An executor of one future, of a page: the thread sleeps until it is woken. No test waits for ever.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let until = Instant::now() + LONG;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it never comes");
        thread::park_timeout(left);
    }
}

/// Polls a future once, which is not done.
async fn poll_once<F: Future<Output: std::fmt::Debug>>(mut future: std::pin::Pin<&mut F>) {
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        assert!(polled.is_pending(), "{polled:?}");
        Poll::Ready(())
    })
    .await;
}

/// Takes events until there is one of this name.
async fn until(client: &mut AsyncClient, name: &str) -> Event {
    loop {
        let event = client.next().await.unwrap_or_else(|| panic!("at rest before {name}"));
        if event.name() == name {
            return event;
        }
    }
}

fn chat(n: u64) -> Value {
    json!({"type": "chat", "n": n})
}

/// The numbers that the gateway has, in order.
fn numbers(gateway: &Gateway) -> Vec<u64> {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap()["n"].as_u64();
    gateway.received().iter().filter_map(|received| number(&received.text)).collect()
}

fn wait_for(gateway: &Gateway, done: impl FnMut(&Snapshot) -> bool) -> Snapshot {
    gateway.wait_for(LONG, done).unwrap()
}
