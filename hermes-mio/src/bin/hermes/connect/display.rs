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
use super::outcome::Outcome;
use crate::signals::{self, Request};
use crate::words::say;
use crate::{Failure, output};

/// Runs a client, and shows its events, until the client is at rest.
pub(super) struct Display<'a> {
    client: &'a mut Client,
    input: &'a Input,
    args: &'a Args,
    requests: Arc<Requests>,
    was_connected: bool,
    is_ending: bool,
    /// Why standard output takes nothing more.
    output_failure: Option<io::Error>,
    has_given_up: bool,
    outcome: Outcome,
    /// The state that was explained last.
    explained: Option<ExplainedState>,
    /// The connection whose steps were shown last, and how many of them.
    timed: (Option<ConnId>, usize),
}

/// Requests by signals.
#[derive(Default)]
struct Requests {
    end: AtomicBool,
    explain: AtomicBool,
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
        let requests = Arc::new(Requests::default());
        let (asked, sender) = (Arc::clone(&requests), client.sender());
        signals::watch(move |request| {
            match request {
                Request::Explain => asked.explain.store(true, Ordering::Relaxed),
                Request::End(name) => {
                    asked.end.store(true, Ordering::Relaxed);
                    say!("hermes: {name}: sending what is left; a second signal ends at once");
                }
            }
            sender.wake();
        })?;
        Ok(Display {
            client,
            input,
            args,
            requests,
            was_connected: false,
            is_ending: false,
            output_failure: None,
            has_given_up: false,
            outcome: Outcome::default(),
            explained: None,
            timed: (None, 0),
        })
    }

    /// # Errors
    ///
    /// If messages may not have arrived, if the client gave up, or if standard output failed.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let timeout = self.is_verbose().then_some(EXPLAIN_INTERVAL);
        loop {
            self.end_if_due();
            let waited = self.client.wait(timeout)?;
            self.explain();
            match waited {
                Waited::Event(event) => {
                    self.outcome.on_event(&event);
                    self.print(&event_line(self.client.now(), &event));
                    self.comment(event);
                }
                Waited::AtRest => return self.finish(),
                // A wait with a timeout does not tell rest.
                Waited::Woken | Waited::TimedOut => match self.client.protocol().state() {
                    State::Idle | State::Failed { .. } => return self.finish(),
                    _ => continue,
                },
            }
        }
    }

    /// Prints the statistics, and judges the run.
    fn finish(mut self) -> Result<(), Failure> {
        if self.args.stats {
            let stats = serde_json::to_string(&self.client.protocol().stats())?;
            self.print(&format!("{{\"stats\":{stats}}}"));
        }
        // A shutdown's report has counted them.
        if !self.is_ending {
            self.outcome.add_unsent(self.unsent() as u64);
        }
        if self.args.outbox.is_some() {
            let stats = self.client.protocol().stats();
            let in_outbox = stats.outbox_messages as u64;
            self.outcome.set_kept(in_outbox.saturating_sub(stats.not_durable));
        }
        if self.is_verbose() && self.outcome.failure().is_none() {
            say!("hermes: the gateway has everything that was sent");
        }
        match (self.outcome.failure(), self.output_failure) {
            (Some(failure), _) => Err(failure.into()),
            (None, Some(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("standard output failed: {error}").into())
            }
            (None, _) if self.has_given_up => Err("no message was lost".into()),
            (None, _) => Ok(()),
        }
    }

    /// Shuts down at the end of input. Without any input a connection is made all the same, which
    /// shows whether it can be made.
    fn end_if_due(&mut self) {
        let input_ended = self.input.has_ended() && (self.was_connected || self.unsent() > 0);
        let is_due = input_ended && !self.args.stay
            || self.requests.end.load(Ordering::Relaxed)
            || self.output_failure.is_some();
        if is_due && !mem::replace(&mut self.is_ending, true) {
            self.outcome.on_shutdown();
            self.client.shutdown(Duration::from_millis(self.args.shutdown_timeout));
        }
    }

    /// A line for standard output. If its reader left, or if it fails, the client shuts down.
    fn print(&mut self, line: &str) {
        if self.output_failure.is_none()
            && let Err(error) = output::line(line)
        {
            self.output_failure = Some(error);
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
        let is_asked = self.requests.explain.swap(false, Ordering::Relaxed);
        if is_asked || has_changed && self.is_verbose() {
            say!("hermes: {}", self.client.why());
        }
    }

    /// The connection's new steps, each with its time.
    fn show_steps(&mut self) {
        let (conn, timings) = (self.client.protocol().conn(), self.client.timings());
        if conn.is_some() && self.timed.0 != conn {
            self.timed = (conn, 0);
        }
        for (name, took) in timings.steps().skip(self.timed.1) {
            say!("hermes: {name} {took:.1?}");
            self.timed.1 += 1;
        }
    }

    /// Words about an event.
    fn comment(&mut self, event: Event) {
        match event {
            Event::Connected { url, .. } => {
                self.was_connected = true;
                say!("hermes: connected to {url:?}");
            }
            Event::Disconnected { reason, retry_at: Some(at), .. } => {
                match at - self.client.now() {
                    Duration::ZERO => say!("hermes: {reason}; next attempt at once"),
                    wait => say!("hermes: {reason}; next attempt in {wait:.1?}"),
                }
            }
            Event::Disconnected { reason, .. } => say!("hermes: {reason}"),
            Event::Failed { attempts, why } => {
                self.has_given_up = true;
                say!("hermes: gave up: {why} (reconnects: {attempts})");
            }
            Event::InDoubt { from, to, resend } => {
                let fate = if resend { ", and are sent again" } else { "" };
                say!("hermes: messages {} to {} are in doubt{fate}", from.0, to.0);
            }
            Event::SessionDropped { reason } => {
                say!("hermes: the session was dropped: {reason}");
            }
            Event::Warning { text } => say!("hermes: warning: {text}"),
            _ => {}
        }
    }

    fn unsent(&self) -> usize {
        self.client.protocol().outbox_len() + self.client.queued()
    }

    fn is_verbose(&self) -> bool {
        self.args.verbose > 0
    }
}
