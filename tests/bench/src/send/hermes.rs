//! hermes-proto, the whole protocol on, as a host drives it.

use hermes_proto::{
    Action, Actions, Config, ConnId, Delivery, Endpoint, Input, Start, Timestamp, Transmit,
};
use tungstenite::handshake::derive_accept_key;

use super::{Chat, Sender};

/// An endpoint with an open connection, as it comes.
pub fn open() -> (Endpoint, ConnId) {
    open_with(Config::new("ws://gateway.example/ws"))
}

/// The same with other settings.
///
/// # Panics
///
/// Where it does not open.
pub fn open_with(config: Config) -> (Endpoint, ConnId) {
    let now = Timestamp::ZERO;
    let mut actions = Actions::new();
    let start = Start::new([7; 32], 1_700_000_000_000);
    let mut endpoint = Endpoint::new(config, start).expect("a good configuration");
    endpoint.connect(now, &mut actions);
    let conn = endpoint.client().conn().expect("a connection");
    endpoint.handle(now, Input::Opened { conn }, &mut actions);
    let request = String::from_utf8(endpoint.transmit().to_vec()).expect("ASCII");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.expect("a key").as_bytes())
    );
    endpoint.transmitted(now, usize::MAX, &mut actions);
    endpoint.handle(now, Input::Received { conn, payload: answer.as_bytes() }, &mut actions);
    assert!(matches!(endpoint.client().state(), hermes_proto::State::Open { .. }));
    (endpoint, conn)
}

/// Settings for a peer that answers no Ping: no fence follows a message, and the window stays open.
pub fn unanswered() -> Config {
    Config {
        delivery: Delivery::AtMostOnce,
        in_flight_min_bytes: u64::MAX,
        in_flight_max_bytes: u64::MAX,
        ..Config::new("ws://gateway.example/ws")
    }
}

pub(super) struct Hermes {
    endpoint: Endpoint,
    actions: Actions<Transmit>,
}

impl Sender for Hermes {
    fn new() -> Self {
        Hermes { endpoint: open_with(unanswered()).0, actions: Actions::new() }
    }

    fn send(&mut self, messages: &[Chat], mut wire: impl FnMut(&[u8])) {
        let Hermes { endpoint, actions } = self;
        let now = Timestamp::ZERO;
        for message in messages {
            endpoint.send(now, message, actions).expect("room");
        }
        while let Some(action) = actions.pop_front() {
            assert!(matches!(action, Action::Send { .. }));
        }
        let bytes = endpoint.transmit();
        wire(bytes);
        let taken = bytes.len();
        endpoint.transmitted(now, taken, actions);
    }
}
