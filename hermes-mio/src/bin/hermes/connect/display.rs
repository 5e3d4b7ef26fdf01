//! The client's events: JSON lines for programs, and words for people.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hermes_mio::{Client, Waited};
use hermes_proto::reason::Stage;
use hermes_proto::trace::event_line;
use hermes_proto::{ConnId, Event, State};

use super::args::Args;
use super::input::Input;
use super::signals;
use crate::{Failure, output};

/// Runs a client, and shows its events, until the client is at rest.
pub(super) struct Display<'a> {
    client: &'a mut Client,
    input: &'a Input,
    args: &'a Args,
    /// Set by a signal that asks for the reason of the current state.
    is_asked: Arc<AtomicBool>,
    was_connected: bool,
    is_ending: bool,
    failure: Option<Failure>,
    /// The state that was explained last.
    explained: Option<ExplainedState>,
    /// The connection whose steps were shown last, and how many of them.
    timed: (Option<ConnId>, usize),
}

/// A state without the numbers that change all the time.
type ExplainedState = (mem::Discriminant<State>, Option<Stage>, Option<ConnId>);

/// How often to look for changes of the state that come without an event.
const EXPLAIN_INTERVAL: Duration = Duration::from_millis(100);

impl<'a> Display<'a> {
    pub(super) fn new(
        client: &'a mut Client,
        input: &'a Input,
        args: &'a Args,
    ) -> io::Result<Self> {
        let is_asked = signals::watch(client.sender())?;
        Ok(Display {
            client,
            input,
            args,
            is_asked,
            was_connected: false,
            is_ending: false,
            failure: None,
            explained: None,
            timed: (None, 0),
        })
    }

    pub(super) fn run(mut self) -> Result<(), Failure> {
        let timeout = self.is_verbose().then_some(EXPLAIN_INTERVAL);
        loop {
            self.end_if_done();
            let waited = self.client.wait(timeout)?;
            self.explain();
            match waited {
                Waited::Event(event) => {
                    output::line(&event_line(self.client.now(), &event))?;
                    self.comment(event);
                }
                Waited::AtRest => return self.failure.map_or(Ok(()), Err),
                // A wait with a timeout does not tell rest.
                Waited::Woken | Waited::TimedOut => match self.client.protocol().state() {
                    State::Idle | State::Failed { .. } => {
                        return self.failure.map_or(Ok(()), Err);
                    }
                    _ => continue,
                },
            }
        }
    }

    /// Shuts down at the end of input. Without any input a connection is made all the same, which
    /// shows whether it can be made.
    fn end_if_done(&mut self) {
        let has_ended =
            self.input.ended.load(Ordering::Acquire) && (self.was_connected || self.unsent() > 0);
        if has_ended && !self.args.stay && !mem::replace(&mut self.is_ending, true) {
            self.client.shutdown(Duration::from_millis(self.args.shutdown_timeout));
        }
    }

    /// Words about the state, if a signal asks or a verbose run has a new state.
    fn explain(&mut self) {
        if self.is_verbose() {
            self.show_steps();
        }
        let state = self.client.protocol().state();
        let stage = match state {
            State::Connecting { stage, .. } => Some(stage),
            _ => None,
        };
        let state = (mem::discriminant(&state), stage, self.client.protocol().conn());
        let has_changed = self.explained.replace(state) != Some(state);
        let is_asked = self.is_asked.swap(false, Ordering::Relaxed);
        if is_asked || has_changed && self.is_verbose() {
            eprintln!("hermes: {}", self.client.why());
        }
    }

    /// The connection's new steps, each with its time.
    fn show_steps(&mut self) {
        let (conn, timings) = (self.client.protocol().conn(), self.client.timings());
        if conn.is_some() && self.timed.0 != conn {
            self.timed = (conn, 0);
        }
        for (name, took) in timings.steps().skip(self.timed.1) {
            eprintln!("hermes: {name} {took:.1?}");
            self.timed.1 += 1;
        }
    }

    /// Words about an event.
    fn comment(&mut self, event: Event) {
        match event {
            Event::Connected { url, .. } => {
                self.was_connected = true;
                eprintln!("hermes: connected to {url:?}");
            }
            Event::Disconnected { reason, retry_at: Some(at), .. } => {
                let wait = at - self.client.now();
                eprintln!("hermes: {reason}; next attempt in {wait:.1?}");
            }
            Event::Disconnected { reason, .. } => eprintln!("hermes: {reason}"),
            Event::Failed { attempts, why } => {
                let unsent = self.unsent();
                let failure = format!(
                    "gave up: {why} (reconnects: {attempts}); messages that were not sent: {unsent}"
                );
                self.failure = Some(failure.into());
            }
            Event::InDoubt { from, to, resend } => {
                let fate = if resend { "are sent again" } else { "may not have arrived" };
                eprintln!("hermes: messages {} to {} {fate}", from.0, to.0);
            }
            Event::SessionDropped { reason } => {
                eprintln!("hermes: the session was dropped: {reason}");
            }
            Event::ShutDown { in_doubt, unsent, .. } => self.comment_end(in_doubt, unsent),
            Event::Warning { text } => eprintln!("hermes: warning: {text}"),
            _ => {}
        }
    }

    fn comment_end(&mut self, in_doubt: u64, unsent: u64) {
        let unsent = unsent + self.client.queued() as u64;
        if in_doubt + unsent == 0 {
            if self.is_verbose() {
                eprintln!("hermes: the gateway has everything that was sent");
            }
        } else if self.failure.is_none() {
            let failure = format!(
                "messages that were not sent: {unsent}; that may not have arrived: {in_doubt}"
            );
            self.failure = Some(failure.into());
        }
    }

    fn unsent(&self) -> usize {
        self.client.protocol().outbox_len() + self.client.queued()
    }

    fn is_verbose(&self) -> bool {
        self.args.verbose > 0
    }
}
