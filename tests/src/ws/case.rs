//! A [`Connection`] and what it makes of received bytes, however they are cut.

use hermes_proto::reason::Violation;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Frame};

use super::wire::{Sent, reply, sent, text};
use super::{ACCEPT, SEED};

/// A connection whose request was taken, and not answered.
pub fn upgrading(config: Config) -> Connection {
    let mut conn = Connection::new(config, SEED).expect("the settings are fine");
    conn.transmitted(usize::MAX);
    conn
}

/// An open connection, with nothing to send.
pub fn opened(config: Config) -> Connection {
    let mut conn = upgrading(config);
    assert_eq!(feed(&mut conn, &reply(ACCEPT)), [Event::Open]);
    conn
}

/// Hands the connection one read's bytes.
pub fn feed(conn: &mut Connection, mut bytes: &[u8]) -> Vec<Event> {
    let events = std::iter::from_fn(|| conn.receive(&mut bytes)).collect();
    assert!(bytes.is_empty(), "{} bytes were left", bytes.len());
    events
}

/// Messages and controls as events.
pub fn frames(frames: impl IntoIterator<Item = Frame>) -> Vec<Event> {
    frames.into_iter().map(Event::Frame).collect()
}

/// The event of a text.
pub fn got(text: &str) -> Event {
    Event::Frame(Frame::Text(text.into()))
}

/// The event of a Ping.
pub fn pinged(data: &[u8]) -> Event {
    Event::Frame(Frame::Ping(data.to_vec().into()))
}

/// The event of the peer's Close frame.
pub fn closing(code: u16, text: &str) -> Event {
    Event::Closing(CloseReason::Peer { code, text: text.into() })
}

/// The event of a broken rule.
pub fn broken(violation: Violation) -> Event {
    Event::Closing(CloseReason::Protocol { violation })
}

/// What a connection receives, and what is to come of it however the bytes are cut.
pub struct Case {
    /// What it is about.
    pub name: String,
    /// What arrives.
    pub bytes: Vec<u8>,
    /// All that happens.
    pub events: Vec<Event>,
    /// All that is sent.
    pub sent: Vec<Sent>,
}

impl Case {
    /// A case in which nothing is sent.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>, events: Vec<Event>) -> Self {
        Case { name: name.into(), bytes, events, sent: Vec::new() }
    }

    /// A broken rule, answered with a Close frame.
    pub fn violation(name: impl Into<String>, bytes: Vec<u8>, violation: Violation) -> Self {
        let sent = vec![Sent::Close(Some(violation.code()))];
        Case { sent, ..Case::new(name, bytes, vec![broken(violation)]) }
    }

    /// Runs it on copies of `conn`: whole, byte by byte, cut in two anywhere, and with more behind
    /// it.
    pub fn check(&self, conn: &Connection) {
        let expected = self.run(conn, [&*self.bytes]);
        assert_eq!(expected.0, self.events, "{}: events", self.name);
        let sent = sent(&expected.1);
        assert_eq!(sent, self.sent, "{}: what was sent", self.name);

        let bytes = self.bytes.chunks(1);
        assert_eq!(self.run(conn, bytes), expected, "{}: byte by byte", self.name);
        for at in self.cuts() {
            let (head, tail) = self.bytes.split_at(at);
            let result = self.run(conn, [head, tail]);
            assert_eq!(result, expected, "{}: cut at {at}", self.name);
        }

        let more = [&self.bytes[..], &text("more")].concat();
        let (mut events, bytes) = self.run(conn, [&*more]);
        if !matches!(self.events.last(), Some(Event::Closing(_) | Event::Failed(_))) {
            assert_eq!(events.pop(), Some(got("more")), "{}: with more behind it", self.name);
        }
        assert_eq!((events, bytes), expected, "{}: with more behind it", self.name);
    }

    fn run<'a>(
        &self,
        conn: &Connection,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Event>, Vec<u8>) {
        let mut conn = conn.clone();
        let events = pieces.into_iter().flat_map(|piece| feed(&mut conn, piece)).collect();
        (events, conn.transmit().to_vec())
    }

    /// Every place of something short; the first and last ones, and some between, of the rest.
    fn cuts(&self) -> impl Iterator<Item = usize> {
        let n = self.bytes.len();
        (0..=n).filter(move |at| n <= 600 || *at < 20 || n - at < 20 || at.is_power_of_two())
    }
}
