//! tungstenite's socket, and serde behind it.

use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::{Receiver, message};
use crate::link::Link;
use crate::seen::Seen;

pub(super) struct Flat(WebSocket<Link>);

impl Receiver for Flat {
    fn new(link: Link, _: usize) -> Self {
        Flat(WebSocket::from_raw_socket(link, Role::Client, None))
    }

    fn receive(&mut self, seen: &mut impl Seen) {
        while let Ok(Message::Text(text)) = self.0.read() {
            let message: message::Flat<'_> = serde_json::from_str(&text).expect("a message");
            message.show(seen);
        }
    }
}

pub(super) struct Tagged(WebSocket<Link>);

impl Receiver for Tagged {
    fn new(link: Link, _: usize) -> Self {
        Tagged(WebSocket::from_raw_socket(link, Role::Client, None))
    }

    fn receive(&mut self, seen: &mut impl Seen) {
        while let Ok(Message::Text(text)) = self.0.read() {
            let message: message::Tagged = serde_json::from_str(&text).expect("a message");
            message.show(seen);
        }
    }
}
