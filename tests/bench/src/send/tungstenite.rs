//! tungstenite's socket, and serde_json before it.

use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use super::{Chat, Sender};
use crate::link::Link;

pub(super) struct Tungstenite {
    link: Link,
    socket: WebSocket<Link>,
}

impl Sender for Tungstenite {
    fn new() -> Self {
        let link = Link::new(0);
        Tungstenite {
            link: link.clone(),
            socket: WebSocket::from_raw_socket(link, Role::Client, None),
        }
    }

    fn send(&mut self, messages: &[Chat], mut wire: impl FnMut(&[u8])) {
        for message in messages {
            let text = serde_json::to_string(message).expect("JSON");
            self.socket.write(Message::text(text)).expect("room");
        }
        self.socket.flush().expect("a link");
        self.link.take(|bytes| wire(bytes));
    }
}
