//! The machine that a trace is about, at either level, and the lines of its actions.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

#[cfg(feature = "ws")]
use super::format::JsonLine;
use super::format::{Payload, TraceInput, map_payload, sent_frame, write_action};
use super::header::{Header, Level};
use crate::{Action, Actions, Client, ConfigError, ConnId, Frame, Input, Timestamp};
#[cfg(feature = "ws")]
use crate::{Endpoint, Transmit};

/// A [`Client`] or an [`Endpoint`], as the header says, that writes down its actions.
#[derive(Debug)]
pub(super) struct Machine {
    kind: Kind,
    writer: ActionWriter,
    latest_conn: ConnId,
}

#[derive(Debug)]
enum Kind {
    Frames(Box<Client>),
    #[cfg(feature = "ws")]
    Bytes(Box<Endpoint>),
}

impl Machine {
    pub(super) fn new(header: &Header) -> Result<Self, ConfigError> {
        let writer = ActionWriter::new(header)?;
        let (config, start) = (header.config.clone(), header.start());
        let kind = match header.level {
            Level::Frames => Kind::Frames(Box::new(Client::new(config, start)?)),
            #[cfg(feature = "ws")]
            Level::Bytes => Kind::Bytes(Box::new(Endpoint::new(config, start)?)),
            #[cfg(not(feature = "ws"))]
            Level::Bytes => {
                let problem = "\"bytes\" needs hermes-proto's feature `ws`".to_string();
                return Err(ConfigError { field: "level", problem });
            }
        };
        Ok(Machine { kind, writer, latest_conn: ConnId(0) })
    }

    /// The connection of the latest attempt; `ConnId(0)` before the first.
    pub(super) fn latest_conn(&self) -> ConnId {
        self.latest_conn
    }

    pub(super) fn client(&self) -> &Client {
        match &self.kind {
            Kind::Frames(client) => client,
            #[cfg(feature = "ws")]
            Kind::Bytes(endpoint) => endpoint.client(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.client().deadline()
    }

    /// Handles an input, and writes the actions. Returns the input by which an obliging host
    /// reports that everything was flushed, if anything waits for that.
    pub(super) fn handle(
        &mut self,
        now: Timestamp,
        input: TraceInput,
        out: &mut String,
    ) -> Option<TraceInput> {
        match &mut self.kind {
            Kind::Frames(client) => {
                let TraceInput::Plain(input) = input else { return None };
                let frame = |payload| match payload {
                    Payload::Frame(frame) => frame,
                    Payload::Bytes(bytes) => Frame::Binary(bytes),
                };
                let mut actions = Actions::new();
                client.handle(now, map_payload(input, frame), &mut actions);
                self.writer.frames(now, &actions, out);
                self.latest_conn = latest_conn(&actions).unwrap_or(self.latest_conn);
                let (conn, up_to) = last_sent(&actions)?;
                Some(TraceInput::Plain(Input::Flushed { conn, up_to }))
            }
            #[cfg(feature = "ws")]
            Kind::Bytes(endpoint) => {
                let mut actions = Actions::new();
                handle_bytes(endpoint, &self.writer.offsets, now, input, &mut actions);
                self.writer.bytes(now, &actions, endpoint.transmit(), out);
                self.latest_conn = latest_conn(&actions).unwrap_or(self.latest_conn);
                let (conn, count) = (endpoint.client().conn()?, endpoint.transmit().len() as u64);
                (count > 0).then_some(TraceInput::Transmitted { conn, count })
            }
        }
    }
}

#[cfg(feature = "ws")]
fn handle_bytes(
    endpoint: &mut Endpoint,
    offsets: &StreamOffsets,
    now: Timestamp,
    input: TraceInput,
    actions: &mut Actions<Transmit>,
) {
    match input {
        TraceInput::Transmitted { conn, count } => {
            let waiting = endpoint.transmit().len() as u64;
            let written = offsets.of(conn).queued.saturating_sub(waiting);
            let up_to = written.saturating_add(count);
            endpoint.handle(now, Input::Flushed { conn, up_to }, actions);
        }
        TraceInput::Plain(Input::Received { conn, payload: Payload::Bytes(payload) }) => {
            endpoint.handle(now, Input::Received { conn, payload: &payload[..] }, actions);
        }
        TraceInput::Plain(input) => endpoint.handle(now, map_payload(input, |_| &[][..]), actions),
    }
}

fn latest_conn<P>(actions: &Actions<P>) -> Option<ConnId> {
    actions.iter().rev().find_map(|action| match action {
        Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => Some(*conn),
        _ => None,
    })
}

fn last_sent<P>(actions: &Actions<P>) -> Option<(ConnId, u64)> {
    actions.iter().rev().find_map(|action| match action {
        Action::Send { conn, seq, .. } => Some((*conn, *seq)),
        _ => None,
    })
}

/// Writes the lines of a machine's actions.
#[derive(Debug)]
pub(super) struct ActionWriter {
    /// The origin of the configured URL.
    origin: String,
    #[cfg(feature = "ws")]
    offsets: StreamOffsets,
}

impl ActionWriter {
    pub(super) fn new(header: &Header) -> Result<Self, ConfigError> {
        Ok(ActionWriter {
            origin: header.config.validate()?.0.origin().to_string(),
            #[cfg(feature = "ws")]
            offsets: StreamOffsets::default(),
        })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Writes a client's actions.
    pub(super) fn frames(&self, at: Timestamp, actions: &Actions, out: &mut String) {
        for action in actions {
            let sent = |conn, seq, frame: &Frame| sent_frame(at, conn, seq, frame);
            write_action(at, action, &self.origin, sent, out);
        }
    }

    /// Writes an endpoint's actions. The bytes that they send are the end of `transmit`.
    #[cfg(feature = "ws")]
    pub(super) fn bytes(
        &mut self,
        at: Timestamp,
        actions: &Actions<Transmit>,
        transmit: &[u8],
        out: &mut String,
    ) {
        // Offset of the end of `transmit` in the stream.
        let end = last_sent(actions).map(|(_, seq)| seq);
        for action in actions {
            let offsets = &mut self.offsets;
            let sent = |conn, seq: u64, _: &Transmit| {
                let index = |offset: u64| {
                    let from_end = usize::try_from(end.unwrap_or(offset) - offset);
                    transmit.len().saturating_sub(from_end.unwrap_or(usize::MAX))
                };
                let new = index(offsets.of(conn).queued)..index(seq);
                offsets.queue(conn, seq);
                let bytes = transmit.get(new).unwrap_or_default();
                JsonLine::action(at, "transmit").conn(conn).data(bytes)
            };
            write_action(at, action, &self.origin, sent, out);
        }
    }

    /// Counts an endpoint's actions that are not written.
    #[cfg(feature = "ws")]
    pub(super) fn skip(&mut self, actions: &Actions<Transmit>) {
        for action in actions {
            if let Action::Send { conn, seq, .. } = action {
                self.offsets.queue(*conn, *seq);
            }
        }
    }

    /// The input of a trace for `Input::Flushed` of an endpoint.
    #[cfg(feature = "ws")]
    pub(super) fn flushed(&mut self, conn: ConnId, up_to: u64) -> TraceInput {
        TraceInput::Transmitted { conn, count: self.offsets.write(conn, up_to) }
    }
}

/// Offsets in the byte stream of the latest connection, by which totals become counts and counts
/// become totals.
#[cfg(feature = "ws")]
#[derive(Clone, Copy, Debug, Default)]
struct StreamOffsets {
    conn: Option<ConnId>,
    /// Bytes that the transport took.
    written: u64,
    /// Bytes that were handed to the transport or wait for it.
    queued: u64,
}

#[cfg(feature = "ws")]
impl StreamOffsets {
    /// The offsets of `conn`: zeros if it is another connection than the latest.
    fn of(self, conn: ConnId) -> Self {
        if self.conn == Some(conn) {
            self
        } else {
            StreamOffsets { conn: Some(conn), written: 0, queued: 0 }
        }
    }

    fn queue(&mut self, conn: ConnId, end: u64) {
        *self = StreamOffsets { queued: end, ..self.of(conn) };
    }

    /// How many bytes a report of `up_to` adds to those before.
    fn write(&mut self, conn: ConnId, up_to: u64) -> u64 {
        // Bytes of an ended connection count from its beginning, and change nothing here.
        if self.conn != Some(conn) {
            return up_to;
        }
        let count = up_to.saturating_sub(self.written);
        self.written = self.written.max(up_to).min(self.queued);
        count
    }
}
