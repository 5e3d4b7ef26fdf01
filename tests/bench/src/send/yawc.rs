//! yawc, polled by hand, and serde_json before it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::Sink;
use yawc::{Frame, Options, Role, WebSocket};

use super::{Chat, Sender};
use crate::link::Link;

pub(super) struct Yawc {
    link: Link,
    socket: WebSocket<Link>,
}

impl Sender for Yawc {
    fn new() -> Self {
        let link = Link::new(0);
        let socket = WebSocket::from_stream(link.clone(), Role::Client, Options::default());
        Yawc { link, socket: socket.expect("good options") }
    }

    fn send(&mut self, messages: &[Chat], mut wire: impl FnMut(&[u8])) {
        let mut context = Context::from_waker(Waker::noop());
        let mut socket = Pin::new(&mut self.socket);
        for message in messages {
            let json = serde_json::to_vec(message).expect("JSON");
            let Poll::Ready(Ok(())) = socket.as_mut().poll_ready(&mut context) else {
                panic!("no room");
            };
            socket.as_mut().start_send(Frame::text(json)).expect("an open connection");
        }
        let Poll::Ready(Ok(())) = socket.poll_flush(&mut context) else { panic!("no room") };
        self.link.take(|bytes| wire(bytes));
    }
}
