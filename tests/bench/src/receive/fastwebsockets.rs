//! fastwebsockets, polled by hand, so that no runtime is measured.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fastwebsockets::{OpCode, Role, WebSocket};

use super::{Receiver, message};
use crate::link::Link;
use crate::seen::Seen;

pub(super) struct Flat(WebSocket<Link>);

impl Receiver for Flat {
    fn new(link: Link, _: usize) -> Self {
        Flat(WebSocket::after_handshake(link, Role::Client))
    }

    fn receive(&mut self, seen: &mut impl Seen) {
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(frame) = pin!(self.0.read_frame()).poll(&mut context) {
            let frame = frame.expect("a frame");
            assert!(frame.fin && frame.opcode == OpCode::Text);
            // It has checked that this is UTF-8 and gives out bytes; serde_json checks again.
            let message: message::Flat<'_> =
                serde_json::from_slice(&frame.payload).expect("a message");
            message.show(seen);
        }
    }
}
