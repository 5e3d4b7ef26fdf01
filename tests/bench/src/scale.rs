//! Costs that grow as they should: the same work with more around it.

use std::time::Duration;

use hermes_proto::{Actions, ConnId, Endpoint, Input, Timestamp, Transmit};

use crate::contest::{Contender, Contest};
use crate::load::{Load, Mix};
use crate::send::hermes::{open_with, unanswered};

/// Messages in a round.
const MESSAGES: u64 = 2_000;

/// Each as a contest between sizes, of which the first is the usual one.
pub fn contests() -> Vec<Contest> {
    let load = Mix::M1.load();
    let sizes =
        |sizes: &[usize], name: fn(usize) -> String, work: fn(usize) -> Box<dyn FnMut()>| {
            let contender = |&size| Contender::new(name(size), || {}, move || work(size));
            sizes.iter().map(contender).collect()
        };
    vec![
        Contest {
            name: "send a message and have one leave, with others waiting".into(),
            messages: MESSAGES,
            contenders: sizes(&[0, 100, 1_000, 10_000, 100_000], waiting, |waiting| {
                let mut connection = Connection::waiting(waiting);
                Box::new(move || (0..MESSAGES).for_each(|_| connection.send()))
            }),
        },
        Contest {
            name: "receive a message (M1), with others waiting to be sent".into(),
            messages: load.messages,
            contenders: sizes(&[0, 100, 1_000, 10_000, 100_000], waiting, |waiting| {
                let mut connection = Connection::waiting(waiting);
                let load = Mix::M1.load();
                Box::new(move || connection.receive(&load, 16 << 10))
            }),
        },
        Contest {
            name: "receive a message (M1), one of several connections in turn".into(),
            messages: load.messages,
            contenders: sizes(
                &[1, 10, 100, 1_000],
                |n| format!("{n} connections"),
                |n| {
                    let mut connections: Vec<_> = (0..n).map(|_| Connection::waiting(0)).collect();
                    let load = Mix::M1.load();
                    let mut turn = 0;
                    Box::new(move || {
                        for message in load.frames() {
                            connections[turn].read(message);
                            turn = (turn + 1) % n;
                        }
                    })
                },
            ),
        },
        Contest {
            name: "receive a message (M1), by the size of a read".into(),
            messages: load.messages,
            contenders: sizes(
                &[16 << 10, 64 << 10, 1_400, 167, 16, 1],
                |n| format!("{n} bytes"),
                |n| {
                    let mut connection = Connection::waiting(0);
                    let load = Mix::M1.load();
                    Box::new(move || connection.receive(&load, n))
                },
            ),
        },
    ]
}

fn waiting(messages: usize) -> String {
    format!("{messages} waiting")
}

struct Connection {
    endpoint: Endpoint,
    conn: ConnId,
    now: Timestamp,
    actions: Actions<Transmit>,
    /// How long a frame is.
    frame: usize,
}

impl Connection {
    /// One with so many messages in its outbox.
    fn waiting(messages: usize) -> Self {
        let mut config = unanswered();
        config.outbox_max_messages = config.outbox_max_messages.max(2 * messages as u64);
        let (endpoint, conn) = open_with(config);
        let (now, actions) = (Timestamp::ZERO, Actions::new());
        let mut connection = Connection { endpoint, conn, now, actions, frame: 0 };
        for _ in 0..messages {
            connection.push();
        }
        connection
    }

    fn push(&mut self) {
        let message = [("type", "chat"), ("text", "a message of a conversation that goes on")];
        let before = self.endpoint.transmit().len();
        self.endpoint.send(self.now, &message, &mut self.actions).expect("room");
        self.frame = self.frame.max(self.endpoint.transmit().len() - before);
        self.actions.clear();
    }

    fn send(&mut self) {
        self.push();
        self.endpoint.transmitted(self.now, self.frame, &mut self.actions);
        self.actions.clear();
    }

    fn receive(&mut self, load: &Load, size: usize) {
        load.bytes.chunks(size).for_each(|bytes| self.read(bytes));
    }

    fn read(&mut self, payload: &[u8]) {
        self.now = self.now + Duration::from_micros(100);
        let input = Input::Received { conn: self.conn, payload };
        self.endpoint.handle(self.now, input, &mut self.actions);
        self.actions.clear();
    }
}
