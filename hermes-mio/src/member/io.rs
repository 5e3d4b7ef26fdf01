//! One turn of a client: connecting, reading, writing, and the work that is due.

use std::io::{ErrorKind, Read as _, Write as _};

use hermes_proto::{CloseReason, Input};

use super::{Intake, Member};
use crate::driver::read_buffer::ReadBuffer;
use crate::driver::readiness::Readiness;
use crate::driver::shared::Shared;
use crate::net::connection::{Connection, OpenTransport};
use crate::net::handshake::Progress;
use crate::net::lookups::Found;
use crate::net::transport::ended_by;
use crate::timings::Step;

/// Reads, or writes, of one client in one turn: enough to be efficient, and few enough that a flood
/// does not hold up the rest of the loop.
const CALLS_PER_TURN: usize = 16;

/// Messages taken from the senders in one turn.
const MESSAGES_PER_TURN: usize = 1_024;

impl Member {
    /// Takes note of a readiness event.
    pub(crate) fn ready(&mut self, event: &mio::event::Event) {
        self.connection.ready(event);
    }

    /// Reads and writes what is ready, takes messages from senders, and does the work that is due.
    /// Bounded, also while the gateway floods it.
    pub(crate) fn run(
        &mut self,
        shared: &mut Shared,
        buffer: &mut ReadBuffer,
        readiness: Readiness,
    ) {
        let is_due = self.due().is_some_and(|due| due <= shared.now);
        let is_connecting = matches!(self.connection, Connection::Connecting { .. });
        if is_due && (readiness == Readiness::Partial || is_connecting) {
            // A late loop looks at the socket before the clock: the bytes that the timer is about
            // to miss may wait there. And an attempt has timers of its own.
            self.connection.assume_ready();
        }
        self.run_outbox(shared);
        self.run_credentials(shared);
        if is_due {
            self.restart_connect_timeout(shared);
        }
        self.run_connecting(shared);
        self.report_stage(shared);
        self.read(shared, buffer);
        self.write(shared);
        self.run_senders(shared);
        self.run_timer(shared);
        self.write(shared);
        debug_assert!(
            self.connection.conn().is_none_or(|conn| self.protocol().conn() == Some(conn))
        );
    }

    /// Takes the addresses of a host that it asked for.
    pub(crate) fn resolved(&mut self, shared: &mut Shared, found: &Found) {
        match std::mem::replace(&mut self.connection, Connection::Down) {
            // An answer for an attempt that has ended is of no use, unless the next one asks for the
            // same host.
            Connection::Resolving { conn, route } if route.leads_to(&found.host) => {
                match &found.addresses {
                    Ok(addresses) => {
                        self.stopwatch.done(Step::Resolve, shared.now);
                        let connecting = self.connector.dial(addresses.clone(), *route);
                        let connecting = Box::new(connecting);
                        self.connection = Connection::Connecting { conn, connecting, ready: true };
                    }
                    Err(error) => {
                        let whose = route.hop_prefix();
                        let text = format!("{whose}{}: {error}", found.host.name).into();
                        self.closed(shared, conn, CloseReason::Resolve { text });
                    }
                }
            }
            connection => self.connection = connection,
        }
    }

    fn run_credentials(&mut self, shared: &mut Shared) {
        let live = self.protocol().conn();
        let source = self.attachments.get_mut().and_then(|more| more.credential_source.as_mut());
        let Some(source) = source else { return };
        let waker = || self.notifier.client_waker(self.id.index());
        let Some((conn, answer)) = source.poll(live, waker) else { return };
        let input = match answer {
            Ok(credentials) => Input::Credentials { conn, credentials },
            Err(text) => {
                let reason = CloseReason::Credentials { text: text.into() };
                Input::Closed { conn, reason }
            }
        };
        self.step(shared, input);
    }

    /// Restarts the timeout of an attempt that has not started though its time is over: the loop was
    /// busy, not the network slow.
    fn restart_connect_timeout(&mut self, shared: &mut Shared) {
        if let Connection::Connecting { conn, connecting, .. } = &self.connection
            && !connecting.has_started()
        {
            let conn = *conn;
            self.step(shared, Input::Postponed { conn });
        }
    }

    fn run_connecting(&mut self, shared: &mut Shared) {
        let Connection::Connecting { conn, connecting, ready } = &mut self.connection else {
            return;
        };
        if !std::mem::take(ready) {
            return;
        }
        let conn = *conn;
        match connecting.poll(shared.now, &shared.registration(self.id), &mut self.stopwatch) {
            Progress::Waiting => {}
            Progress::Yielded => *ready = true,
            Progress::Up(transport) => {
                let private = connecting.is_private();
                self.connection = Connection::Up(OpenTransport::new(conn, transport));
                // Before the request, whose session token may have to stay here.
                if !self.endpoint.client().url().is_secure() {
                    self.step(shared, Input::Hop { conn, private });
                }
                self.step(shared, Input::Opened { conn });
            }
            Progress::Failed(reason) => self.closed(shared, conn, reason),
        }
    }

    /// Tells the machine which stage the attempt is at: a timeout names it.
    fn report_stage(&mut self, shared: &mut Shared) {
        if let Some((conn, stage)) = self.unreported_stage() {
            self.step(shared, Input::Reached { conn, stage });
        }
    }

    fn read(&mut self, shared: &mut Shared, buffer: &mut ReadBuffer) {
        for call in 0..CALLS_PER_TURN {
            let Connection::Up(stream) = &mut self.connection else { return };
            if !stream.readable || shared.read_budget == 0 || shared.is_full(self.id) {
                return;
            }
            let conn = stream.conn;
            let ended = match stream.transport.read(&mut buffer.0) {
                Ok(0) => CloseReason::lost(),
                Ok(n) => {
                    tracing::trace!(%conn, bytes = n, "read");
                    shared.read_budget = shared.read_budget.saturating_sub(n);
                    let is_short = n < buffer.0.len();
                    if is_short
                        && !stream.peer_may_have_closed
                        && stream.transport.short_read_drains()
                    {
                        stream.readable = false;
                    }
                    // The bytes may answer what was written since the turn began.
                    if call > 0 {
                        shared.tick();
                    }
                    self.step(shared, Input::Received { conn, payload: &buffer.0[..n] });
                    // The echo of a Close frame goes out before the end of the stream is read.
                    self.write(shared);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    (stream.readable, stream.peer_may_have_closed) = (false, false);
                    if stream.broken.is_none() {
                        return;
                    }
                    CloseReason::lost()
                }
                Err(error) => ended_by(&error),
            };
            let reason = match (ended, stream.broken.take()) {
                (CloseReason::Lost { .. }, Some(text)) => CloseReason::Lost { text: *text },
                (ended, _) => ended,
            };
            return self.closed(shared, conn, reason);
        }
    }

    pub(super) fn write(&mut self, shared: &mut Shared) {
        for _ in 0..CALLS_PER_TURN {
            let Connection::Up(stream) = &mut self.connection else { return };
            let bytes = self.endpoint.transmit();
            if bytes.is_empty() || !stream.can_write() {
                return;
            }
            let conn = stream.conn;
            let error = match stream.transport.write(bytes) {
                Ok(n) if n > 0 => {
                    tracing::trace!(%conn, bytes = n, "written");
                    stream.written += n as u64;
                    let up_to = stream.written;
                    self.step(shared, Input::Flushed { conn, up_to });
                    continue;
                }
                Ok(_) => ErrorKind::WriteZero.into(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stream.writable = false;
                    return;
                }
                Err(error) => error,
            };
            // The peer's last words are still read: a Close frame says better why this ended.
            stream.broken = Some(Box::new(error.to_string().into()));
            stream.readable = true;
        }
    }

    /// Takes messages that the outbox has room for. The others wait in the senders' sight.
    fn run_senders(&mut self, shared: &mut Shared) {
        let mut dropped = false;
        for _ in 0..MESSAGES_PER_TURN {
            if !self.has_room_for_sender() {
                break;
            }
            let Some(queued) = self.queue().and_then(|queue| queue.pop()) else { break };
            let is_volatile = queued.message.is_volatile();
            let is_accepted = self.accept_queued(shared, queued);
            debug_assert!(is_accepted || is_volatile, "there is room");
            dropped |= is_volatile || !is_accepted;
        }
        // The machine has counted those that it accepted.
        if dropped && self.intake == Intake::Draining {
            self.report_queued(shared);
        }
    }

    fn run_timer(&mut self, shared: &mut Shared) {
        if self.endpoint.deadline().is_none_or(|due| due > shared.now) {
            return;
        }
        let input = match &self.connection {
            // An attempt that waits for the throttle is not late.
            Connection::Queued(attempt) => Input::Postponed { conn: attempt.conn },
            // The socket is read once the application has taken events. A silent link would not be
            // readable.
            Connection::Up(stream) if stream.readable && shared.is_full(self.id) => {
                let conn = stream.conn;
                self.step(shared, Input::Unread { conn });
                Input::TimerFired
            }
            _ => Input::TimerFired,
        };
        self.step(shared, input);
    }

    /// Tells the machine how many messages it can expect from the queue before a shutdown is over.
    pub(super) fn report_queued(&mut self, shared: &mut Shared) {
        let messages = self.queued() as u64;
        self.step(shared, Input::Queued { messages });
    }
}
