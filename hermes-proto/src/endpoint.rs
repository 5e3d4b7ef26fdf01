//! Client and WebSocket stacked: bytes in, bytes out.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::num::NonZero;
use core::time::Duration;

use serde::Serialize;

use crate::client::{Draft, Purpose, Sink};
use crate::frame::FrameRef;
use crate::util::lazy_box::{ConstDefault, LazyBox};
use crate::{
    Action, Actions, Client, Config, ConfigError, ConnId, Input, MessageId, Outgoing, SendError,
    Start, Timestamp, Transmit, ws,
};

/// A Hermes client on top of a byte stream that the host brings: a [`Client`] and a
/// [`ws::Connection`] stacked.
///
/// It speaks the same vocabulary, about transports in place of WebSockets:
/// [`Opened`](Input::Opened) says that the stream (TCP, TLS) is up, [`Received`](Input::Received)
/// brings what was read off it, and [`Action::Send`] says that [`transmit`](Self::transmit) has
/// something to write. A partial write is no trouble:
///
/// ```no_run
/// # use std::io::Write;
/// # fn write(endpoint: &mut hermes_proto::Endpoint, now: hermes_proto::Timestamp,
/// #     socket: &mut std::net::TcpStream,
/// #     actions: &mut hermes_proto::Actions<hermes_proto::Transmit>) -> std::io::Result<()> {
/// while !endpoint.transmit().is_empty() {
///     let n = socket.write(endpoint.transmit())?;
///     endpoint.transmitted(now, n, actions);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    client: Client,
    wire: Wire,
}

/// The live connection's WebSocket, once the transport is up, and its books.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wire {
    ws: Option<ws::Connection>,
    /// Where each of the client's frames that is not flushed ends, in bytes since the transport
    /// opened.
    ends: Ends,
    /// The client's last frame that is flushed.
    flushed: u64,
}

/// A queue of which a quiet connection never has more than one: a Ping's. That one takes no memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ends {
    first: Option<NonZero<u64>>,
    others: LazyBox<VecDeque<u64>>,
}

impl ConstDefault for VecDeque<u64> {
    const DEFAULT: &'static Self = &VecDeque::new();
}

impl Ends {
    #[inline]
    fn push(&mut self, end: u64) {
        match self.others.get_mut() {
            Some(others) if self.first.is_some() || !others.is_empty() => others.push_back(end),
            _ if self.first.is_none() => self.first = NonZero::new(end),
            _ => self.others.push_back(end),
        }
    }

    /// Removes those up to `taken`, and counts them.
    #[inline]
    fn pop(&mut self, taken: u64) -> u64 {
        let mut count = u64::from(self.first.take_if(|end| end.get() <= taken).is_some());
        if self.first.is_none()
            && let Some(others) = self.others.get_mut()
        {
            while others.front().is_some_and(|end| *end <= taken) {
                others.pop_front();
                count += 1;
            }
        }
        count
    }
}

/// Commands.
impl Endpoint {
    /// As [`Client::new`].
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn new(config: impl Into<Arc<Config>>, start: Start) -> Result<Self, ConfigError> {
        Ok(Endpoint { client: Client::new(config, start)?, wire: Wire::default() })
    }

    /// As [`Client::connect`].
    pub fn connect(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        self.handle(now, Input::Connect, out);
    }

    /// As [`Client::disconnect`].
    pub fn disconnect(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        self.handle(now, Input::Disconnect, out);
    }

    /// As [`Client::shutdown`].
    pub fn shutdown(&mut self, now: Timestamp, within: Duration, out: &mut Actions<Transmit>) {
        self.handle(now, Input::Shutdown { within }, out);
    }

    /// As [`Client::send`].
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub fn send<T: Serialize + ?Sized>(
        &mut self,
        now: Timestamp,
        message: &T,
        out: &mut Actions<Transmit>,
    ) -> Result<MessageId, SendError> {
        let draft = self.client.write(message)?;
        self.send_written(now, draft, out)
    }

    /// As [`Client::send_message`].
    ///
    /// # Errors
    ///
    /// As [`Client::send_message`].
    pub fn send_message(
        &mut self,
        now: Timestamp,
        message: Outgoing,
        out: &mut Actions<Transmit>,
    ) -> Result<MessageId, SendError> {
        self.client.send_via(now, message, &mut self.wire.over(out))
    }

    /// As [`Client::clear_session`].
    pub fn clear_session(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        self.handle(now, Input::ClearSession, out);
    }

    /// As [`Client::clear_outbox`].
    pub fn clear_outbox(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        self.handle(now, Input::ClearOutbox, out);
    }

    /// As [`Client::network_changed`].
    pub fn network_changed(&mut self, now: Timestamp, online: bool, out: &mut Actions<Transmit>) {
        self.handle(now, Input::NetworkChanged { online }, out);
    }

    /// What is to be written to the transport: one contiguous buffer, empty when there is
    /// nothing.
    #[inline]
    pub fn transmit(&self) -> &[u8] {
        self.wire.ws.as_ref().map_or(&[], ws::Connection::transmit)
    }

    /// The operating system took the first `n` bytes of [`transmit`](Self::transmit).
    pub fn transmitted(&mut self, now: Timestamp, n: usize, out: &mut Actions<Transmit>) {
        if let (Some(conn), Some(ws)) = (self.client.conn(), &self.wire.ws) {
            let up_to = ws.taken().saturating_add(n as u64);
            self.handle(now, Input::Flushed { conn, up_to }, out);
        }
    }

    /// The only door: one input in, any number of actions out. It can't fail and never panics.
    pub fn handle(&mut self, now: Timestamp, input: Input<&[u8]>, out: &mut Actions<Transmit>) {
        if !self.client.concerns(&input) {
            return;
        }
        let Endpoint { client, wire } = self;
        client.tick(now);
        let input = match input {
            Input::Opened { conn } => {
                if wire.ws.is_none() && client.is_dialing() {
                    wire.ws = Some(ws::Connection::start(
                        client.shared_config(),
                        client.url(),
                        client.headers(),
                        client.rng(conn, Purpose::WebSocket),
                    ));
                    client.upgrading();
                    wire.announce(0, conn, out);
                }
                return client.settle(&mut wire.over(out));
            }
            Input::Received { conn, payload } => {
                let was_silent = !payload.is_empty() && client.heard();
                let was_open = client.is_open();
                self.on_bytes(now, conn, payload, out);
                self.client.settle(&mut self.wire.over(out));
                // A quiet connection has nothing to do from here on, after its handshake, the
                // gateway's greeting or the answer to a heartbeat; a busy one does not get here.
                if was_silent || !was_open {
                    self.wire.release();
                }
                return;
            }
            // The WebSocket in here knows better.
            Input::Closing { .. } => return client.settle(&mut wire.over(out)),
            Input::Flushed { conn, up_to } => {
                let before = wire.produced();
                let up_to = wire.on_flushed(up_to);
                wire.announce(before, conn, out);
                if client.is_quiet() {
                    // The Ping has left. What it took is given back at once, to be the next one's of
                    // however many quiet connections there are.
                    wire.release();
                }
                Input::Flushed { conn, up_to }
            }
            Input::Closed { conn, reason } => {
                *wire = Wire::default();
                Input::Closed { conn, reason }
            }
            Input::TimerFired => {
                // A busy connection sees it once in a while.
                wire.release();
                Input::TimerFired
            }
            // The rest has no payload.
            other => match other.convert(|_| None) {
                Some(input) => input,
                None => return,
            },
        };
        client.apply(now, input, &mut wire.over(out));
        client.settle(&mut wire.over(out));
    }
}

/// What there is to know.
impl Endpoint {
    /// The client: its state, session, outbox and counters.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// As [`Client::deadline`].
    pub fn deadline(&self) -> Option<Timestamp> {
        self.client.deadline()
    }

    /// The subprotocol that the gateway chose for the live connection.
    pub fn subprotocol(&self) -> Option<&str> {
        self.wire.ws.as_ref().and_then(ws::Connection::subprotocol)
    }

    /// The extensions that the gateway agreed to for the live connection: see
    /// [`ws::Connection::extensions`].
    pub fn extensions(&self) -> Option<&str> {
        self.wire.ws.as_ref().and_then(ws::Connection::extensions)
    }
}

impl Endpoint {
    fn send_written(
        &mut self,
        now: Timestamp,
        draft: Draft,
        out: &mut Actions<Transmit>,
    ) -> Result<MessageId, SendError> {
        self.client.send_written(now, draft, &mut self.wire.over(out))
    }

    fn on_bytes(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        mut bytes: &[u8],
        out: &mut Actions<Transmit>,
    ) {
        let Endpoint { client, wire } = self;
        while let Some(data) = wire.ws.as_ref().and_then(|ws| ws.lone_pong(&mut bytes)) {
            client.on_pong(data, &mut wire.over(out));
        }
        loop {
            let before = wire.produced();
            let Some(event) = wire.ws.as_mut().and_then(|ws| ws.receive(&mut bytes)) else {
                return;
            };
            // Pongs and Close frames that the WebSocket wrote by itself.
            wire.announce(before, conn, out);
            let input = match event {
                ws::Event::Frame(frame) => {
                    client.on_frame(frame, &mut wire.over(out));
                    continue;
                }
                ws::Event::Open => Input::Opened { conn },
                ws::Event::Closing(reason) => Input::Closing { conn, reason },
                ws::Event::Failed(reason) => {
                    *wire = Wire::default();
                    out.push_back(Action::Close { conn, code: None });
                    Input::Closed { conn, reason }
                }
            };
            client.apply(now, input, &mut wire.over(out));
        }
    }
}

impl Wire {
    fn over<'a>(&'a mut self, out: &'a mut Actions<Transmit>) -> Stack<'a> {
        Stack { wire: self, out }
    }

    /// Bytes that were to be transmitted since the transport opened.
    #[inline]
    fn produced(&self) -> u64 {
        self.ws.as_ref().map_or(0, ws::Connection::produced)
    }

    /// Says so if there is more to transmit than there was; once for all that comes in a row.
    /// (Between two connections there is an `Open`.)
    #[inline]
    fn announce(&self, before: u64, conn: ConnId, out: &mut Actions<Transmit>) {
        let produced = self.produced();
        if produced == before {
            return;
        }
        match out.back_mut() {
            Some(Action::Send { seq, .. }) => *seq = produced,
            _ => out.push_back(Action::Send { conn, seq: produced, payload: Transmit }),
        }
    }

    /// Gives back what memory an idle connection has no use for.
    fn release(&mut self) {
        if let Some(ws) = &mut self.ws {
            ws.release();
        }
        self.ends.others.release();
    }

    /// The operating system took the bytes up to `up_to`. The client's last frame that is whole
    /// within them.
    fn on_flushed(&mut self, up_to: u64) -> u64 {
        if let Some(ws) = &mut self.ws {
            let more = up_to.saturating_sub(ws.taken());
            ws.transmitted(usize::try_from(more).unwrap_or(usize::MAX));
            self.flushed += self.ends.pop(ws.taken());
        }
        self.flushed
    }
}

/// The layer below a client: frames go to the WebSocket, everything else to the host.
struct Stack<'a> {
    wire: &'a mut Wire,
    out: &'a mut Actions<Transmit>,
}

impl Sink for Stack<'_> {
    type Payload = Transmit;

    fn host(&mut self) -> &mut Actions<Transmit> {
        self.out
    }

    #[inline]
    fn send(&mut self, conn: ConnId, _: u64, frame: FrameRef<'_>, uncompressed: bool) {
        let Some(ws) = &mut self.wire.ws else { return };
        let before = ws.produced();
        let is_sent = ws.send_ref(frame, uncompressed);
        // A WebSocket in its closing handshake sends nothing more. What it did not send is never
        // flushed, and so goes to the next connection.
        if is_sent {
            self.wire.ends.push(ws.produced());
            self.wire.announce(before, conn, self.out);
        }
    }

    fn close(&mut self, conn: ConnId, code: Option<u16>) {
        match code {
            Some(code) => {
                let before = self.wire.produced();
                if let Some(ws) = &mut self.wire.ws {
                    ws.close(code);
                }
                self.wire.announce(before, conn, self.out);
            }
            None => {
                *self.wire = Wire::default();
                self.out.push_back(Action::Close { conn, code: None });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_come_in_order_and_one_alone_takes_no_memory() {
        let mut ends = Ends::default();
        ends.push(3);
        assert!(ends.others.is_empty());
        ends.push(5);
        ends.push(9);
        assert_eq!((ends.pop(2), ends.pop(3), ends.pop(3)), (0, 1, 0));
        // Behind those that are there.
        ends.push(12);
        assert_eq!((ends.first, ends.others.len()), (None, 3));
        assert_eq!((ends.pop(9), ends.pop(11), ends.pop(12)), (2, 0, 1));
        ends.push(20);
        ends.push(21);
        assert_eq!((ends.pop(30), ends == Ends::default()), (2, true));
    }
}
