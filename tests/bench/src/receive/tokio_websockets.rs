//! tokio-websockets, polled by hand, so that no runtime is measured.

use std::task::{Context, Poll, Waker};

use futures_util::StreamExt;
use tokio_websockets::{ClientBuilder, WebSocketStream};

use super::{Receiver, message};
use crate::link::Link;
use crate::seen::Seen;

pub(super) struct Flat(WebSocketStream<Link>);

impl Receiver for Flat {
    fn new(link: Link, _: usize) -> Self {
        Flat(ClientBuilder::new().take_over(link))
    }

    fn receive(&mut self, seen: &mut impl Seen) {
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(next) = self.0.poll_next_unpin(&mut context) {
            let text = next.expect("an open connection").expect("a message");
            let text = text.as_text().expect("a text");
            let message: message::Flat<'_> = serde_json::from_str(text).expect("a message");
            message.show(seen);
        }
    }
}
