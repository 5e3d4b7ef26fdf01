//! Client and WebSocket stacked: bytes in, bytes out.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

use serde::Serialize;

use crate::client::{Output, Pending, Purpose, runs_due_work};
use crate::frame::FrameRef;
use crate::{
    Action, Actions, Client, CloseReason, Config, ConfigError, ConnId, Input, MessageId, Outgoing,
    SendError, Session, Start, Timestamp, Transmit, ws,
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
    ws: WsState,
}

/// The live connection's WebSocket, once the transport is up, and the client's frames in it.
#[derive(Clone, Debug, Default, PartialEq)]
struct WsState {
    connection: Option<ws::Connection>,
    /// End of each of the client's frames that is not flushed, in bytes since the transport opened.
    frame_ends: VecDeque<u64>,
    /// The client's latest frame that is flushed.
    flushed: u64,
}

/// Commands.
impl Endpoint {
    /// As [`Client::new`].
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn new(config: impl Into<Arc<Config>>, start: Start) -> Result<Self, ConfigError> {
        Ok(Endpoint { client: Client::new(config, start)?, ws: WsState::default() })
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
        let pending = self.client.machine.write(message)?;
        self.send_written(now, pending, out)
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
        self.client.machine.send_message(now, message, &mut self.ws.output(out))
    }

    /// As [`Client::clear_session`].
    pub fn clear_session(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        self.handle(now, Input::ClearSession, out);
    }

    /// As [`Client::set_session`].
    pub fn set_session(&mut self, now: Timestamp, session: Session, out: &mut Actions<Transmit>) {
        self.handle(now, Input::SetSession(session), out);
    }

    /// As [`Client::clear_outbox`].
    pub fn clear_outbox(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        self.handle(now, Input::ClearOutbox, out);
    }

    /// As [`Client::network_changed`].
    pub fn network_changed(&mut self, now: Timestamp, online: bool, out: &mut Actions<Transmit>) {
        self.handle(now, Input::NetworkChanged { online }, out);
    }

    /// The bytes to write to the transport: one contiguous buffer, empty if there are none.
    #[inline]
    pub fn transmit(&self) -> &[u8] {
        self.ws.connection.as_ref().map_or(&[], ws::Connection::transmit)
    }

    /// The operating system took the first `n` bytes of [`transmit`](Self::transmit).
    pub fn transmitted(&mut self, now: Timestamp, n: usize, out: &mut Actions<Transmit>) {
        if let (Some(conn), Some(connection)) = (self.client.conn(), &self.ws.connection) {
            let up_to = connection.bytes_written().saturating_add(n as u64);
            self.handle(now, Input::Flushed { conn, up_to }, out);
        }
    }

    /// The only door: one input in, any number of actions out. It can't fail and never panics.
    pub fn handle(&mut self, now: Timestamp, input: Input<&[u8]>, out: &mut Actions<Transmit>) {
        if !self.client.machine.is_current(&input) {
            return;
        }
        let runs_due_work = runs_due_work(&input);
        // `TimerFired` disarms the timer.
        let was_due = runs_due_work && self.client.deadline().is_some_and(|due| due <= now);
        let is_idle = self.apply(now, input, out);
        if was_due {
            self.end_due_refusal(now, out);
        }
        self.client.machine.finish(runs_due_work, &mut self.ws.output(out));
        if is_idle {
            self.ws.on_idle();
        }
    }

    /// Does what an input asks for, without due work. Returns whether the connection is likely to be
    /// idle after it.
    #[inline(always)]
    fn apply(&mut self, now: Timestamp, input: Input<&[u8]>, out: &mut Actions<Transmit>) -> bool {
        match input {
            Input::Opened { conn } => {
                self.client.machine.advance_to(now);
                self.on_opened(conn, out);
                false
            }
            Input::Received { conn, payload } => {
                self.client.machine.advance_to(now);
                self.on_received(now, conn, payload, out)
            }
            Input::Flushed { conn, up_to } => {
                self.client.machine.advance_to(now);
                let before = self.ws.bytes_written();
                let up_to = self.on_flushed(conn, up_to, out);
                // The Ping of a quiet connection has left, and no other frame follows soon.
                let is_idle = self.client.machine.is_idle();
                // A part of a frame is progress too; a report of nothing is none.
                if self.ws.bytes_written() > before {
                    self.dispatch::<&[u8]>(now, Input::Flushed { conn, up_to }, out);
                }
                is_idle
            }
            // Ignored: the WebSocket of this layer sees the closing handshake itself.
            Input::Closing { .. } => {
                self.client.machine.advance_to(now);
                false
            }
            Input::Closed { conn, reason } => {
                // The end of the transport is the end of a refusal's body.
                let reason = self.ws.refusal().unwrap_or(reason);
                self.ws = WsState::default();
                self.dispatch::<&[u8]>(now, Input::Closed { conn, reason }, out);
                false
            }
            // A busy connection arms its timer rarely, so that this costs it little.
            Input::TimerFired => {
                self.dispatch(now, input, out);
                true
            }
            other => {
                self.dispatch(now, other, out);
                false
            }
        }
    }
}

/// Queries.
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
        self.ws.connection.as_ref().and_then(ws::Connection::subprotocol)
    }

    /// The extensions that were negotiated for the live connection: see
    /// [`ws::Connection::extensions`].
    pub fn extensions(&self) -> Option<&str> {
        self.ws.connection.as_ref().and_then(ws::Connection::extensions)
    }
}

impl Endpoint {
    /// Hands an input to the client.
    fn dispatch<P>(&mut self, now: Timestamp, input: Input<P>, out: &mut Actions<Transmit>) {
        self.client.machine.dispatch(now, input, &mut self.ws.output(out));
    }

    fn send_written(
        &mut self,
        now: Timestamp,
        pending: Pending,
        out: &mut Actions<Transmit>,
    ) -> Result<MessageId, SendError> {
        self.client.machine.send_written(now, pending, &mut self.ws.output(out))
    }

    /// The transport is up: begins the opening handshake.
    fn on_opened(&mut self, conn: ConnId, out: &mut Actions<Transmit>) {
        let Endpoint { client, ws } = self;
        if ws.connection.is_some() || !client.machine.is_dialing() {
            return;
        }
        ws.connection = Some(ws::Connection::start(
            client.shared_config(),
            client.url(),
            client.headers(),
            client.machine.start.rng(conn, Purpose::WebSocket),
        ));
        client.machine.on_transport_open();
        ws.note_output(0, conn, out);
    }

    /// The operating system took the bytes up to `up_to`. Returns the client's latest frame that is
    /// whole within them.
    fn on_flushed(&mut self, conn: ConnId, up_to: u64, out: &mut Actions<Transmit>) -> u64 {
        let before = self.ws.bytes_queued();
        let flushed = self.ws.on_flushed(up_to);
        // A Pong that waited for room was queued.
        self.ws.note_output(before, conn, out);
        flushed
    }

    /// Ends a refused attempt whose time is over before the refusal's body is complete. The refusal is
    /// the reason, and not the timeout.
    fn end_due_refusal(&mut self, now: Timestamp, out: &mut Actions<Transmit>) {
        let (Some(conn), Some(reason)) = (self.client.conn(), self.ws.refusal()) else { return };
        self.ws = WsState::default();
        out.push_back(Action::Close { conn, code: None });
        self.dispatch::<&[u8]>(now, Input::Closed { conn, reason }, out);
    }

    /// Returns whether the connection is likely to be idle after this: these bytes end its opening
    /// handshake, or its silence. They are the gateway's greeting, or the answer to a heartbeat.
    fn on_received(
        &mut self,
        now: Timestamp,
        conn: ConnId,
        mut bytes: &[u8],
        out: &mut Actions<Transmit>,
    ) -> bool {
        let Endpoint { client, ws } = self;
        let was_silent = !bytes.is_empty() && client.machine.on_activity();
        let was_open = client.machine.is_open();
        loop {
            let before = ws.bytes_queued();
            let event = ws.connection.as_mut().and_then(|ws| ws.receive(&mut bytes));
            let Some(event) = event else { break };
            // Pongs and Close frames that the WebSocket queued by itself.
            ws.note_output(before, conn, out);
            let input = match event {
                ws::Event::Frame(frame) => {
                    client.machine.on_frame(frame, &mut ws.output(out));
                    continue;
                }
                ws::Event::Open => Input::Opened { conn },
                ws::Event::Closing(reason) => Input::Closing { conn, reason },
                ws::Event::Failed(reason) => {
                    *ws = WsState::default();
                    out.push_back(Action::Close { conn, code: None });
                    Input::Closed { conn, reason }
                }
            };
            client.machine.dispatch::<&[u8]>(now, input, &mut ws.output(out));
        }
        was_silent || !was_open
    }
}

impl WsState {
    /// The output of a client that stands on this WebSocket.
    fn output<'a>(&'a mut self, actions: &'a mut Actions<Transmit>) -> EndpointOutput<'a> {
        EndpointOutput { ws: self, actions }
    }

    /// The gateway's refusal of the opening handshake, if its body is incomplete.
    fn refusal(&self) -> Option<CloseReason> {
        self.connection.as_ref()?.refusal()
    }

    /// Bytes that were queued since the transport opened.
    #[inline]
    fn bytes_queued(&self) -> u64 {
        self.connection.as_ref().map_or(0, ws::Connection::bytes_queued)
    }

    /// Bytes that the operating system took since the transport opened.
    fn bytes_written(&self) -> u64 {
        self.connection.as_ref().map_or(0, ws::Connection::bytes_written)
    }

    /// Tells the host, if more bytes are queued than `before`. One action for all that are queued in
    /// a row. (Between those of two connections there is an `Open`.)
    #[inline]
    fn note_output(&self, before: u64, conn: ConnId, actions: &mut Actions<Transmit>) {
        let queued = self.bytes_queued();
        if queued == before {
            return;
        }
        match actions.back_mut() {
            Some(Action::Send { seq, .. }) => *seq = queued,
            _ => actions.push_back(Action::Send { conn, seq: queued, payload: Transmit }),
        }
    }

    /// As [`Endpoint::on_flushed`].
    fn on_flushed(&mut self, up_to: u64) -> u64 {
        if let Some(ws) = &mut self.connection {
            let more = up_to.saturating_sub(ws.bytes_written());
            ws.transmitted(usize::try_from(more).unwrap_or(usize::MAX));
            let written = ws.bytes_written();
            while self.frame_ends.front().is_some_and(|end| *end <= written) {
                self.frame_ends.pop_front();
                self.flushed += 1;
            }
        }
        self.flushed
    }

    /// Frees memory that an idle connection does not need.
    fn on_idle(&mut self) {
        if let Some(ws) = &mut self.connection {
            ws.on_idle();
        }
        if self.frame_ends.is_empty() {
            self.frame_ends = VecDeque::new();
        }
    }
}

/// The output of a client: frames go to the WebSocket, everything else to the host.
struct EndpointOutput<'a> {
    ws: &'a mut WsState,
    actions: &'a mut Actions<Transmit>,
}

impl Output for EndpointOutput<'_> {
    type Payload = Transmit;

    fn actions(&mut self) -> &mut Actions<Transmit> {
        self.actions
    }

    #[inline]
    fn send(&mut self, conn: ConnId, _: u64, frame: FrameRef<'_>) {
        let Some(ws) = &mut self.ws.connection else { return };
        let before = ws.bytes_queued();
        let is_queued = ws.send_ref(frame);
        // A WebSocket in its closing handshake refuses it. Such a frame is never flushed, and so it
        // goes to the next connection.
        if is_queued {
            self.ws.frame_ends.push_back(ws.bytes_queued());
            self.ws.note_output(before, conn, self.actions);
        }
    }

    fn close(&mut self, conn: ConnId, code: Option<u16>) {
        match code {
            Some(code) => {
                let before = self.ws.bytes_queued();
                if let Some(ws) = &mut self.ws.connection {
                    ws.close(code);
                }
                self.ws.note_output(before, conn, self.actions);
            }
            None => {
                *self.ws = WsState::default();
                self.actions.push_back(Action::Close { conn, code: None });
            }
        }
    }
}
