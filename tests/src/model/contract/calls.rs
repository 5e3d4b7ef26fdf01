//! What a call means before the machine has answered.

use hermes_proto::{CloseReason, DropReason, Event, Input};

use super::connection::Phase;
use super::{Call, Contract, Expected, Intent, ModelState, Shutdown, Verdict, ensure};

impl Contract {
    pub(super) fn on_call(&mut self, call: &Call, expected: &mut Expected) -> Verdict {
        match call {
            Call::Send(message, result) => {
                let right = self.refusal(message);
                ensure!(right.is_none(), "accepted, and should be refused for {right:?}");
                let id = self.accept(message, expected);
                ensure!(*result == Ok(id), "accepted as {result:?}, and should be as {id:?}");
            }
            Call::Input(Input::Send(message)) => match self.refusal(message) {
                None => _ = self.accept(message, expected),
                Some(reason) => {
                    let frame = message.frame().clone();
                    expected.events.push_back(Event::Dropped { id: None, frame, reason });
                }
            },
            Call::Input(input) => self.on_input(input, expected),
        }
        Ok(())
    }

    pub(super) fn on_input(&mut self, input: &Input, expected: &mut Expected) {
        match input {
            Input::Connect => self.on_connect(),
            Input::Disconnect => self.on_disconnect(expected),
            Input::Shutdown { within } => {
                let before = self.shutdown.as_ref();
                let begin = before.map_or(self.stats, |before| before.begin);
                let lost = before.map_or(self.lost_in_doubt, |before| before.lost_before);
                let until = self.now + *within;
                self.shutdown = Some(Shutdown { until, begin, lost_before: lost });
                match &self.place {
                    ModelState::Idle | ModelState::Failed(_) => self.tell(expected),
                    ModelState::Live(link) if link.is_closing() && self.intent == Intent::Stop => {}
                    _ => self.intent = Intent::Drain,
                }
            }
            Input::ClearSession => {
                self.session = None;
                expected.persist.push_back(None);
            }
            Input::SetSession(session) => self.adopt_session(session),
            Input::ClearOutbox => {
                while let Some((id, frame)) = self.outbox.oldest_queued() {
                    let (id, reason) = (Some(id), DropReason::Cleared);
                    expected.events.push_back(Event::Dropped { id, frame, reason });
                    id.into_iter().for_each(|id| self.count_lost(id));
                    self.outbox.remove(id);
                }
            }
            Input::NetworkChanged { online } => self.on_network(*online, expected),
            Input::Credentials { credentials, .. } => self.on_credentials(credentials, expected),
            Input::Postponed { .. } => self.on_postponed(),
            Input::Reached { stage, .. } => self.on_reached(*stage),
            Input::Unread { .. } => self.on_unread(),
            Input::Queued { messages } => self.outbox.queued_at_host = *messages,
            Input::Opened { .. } => self.on_opened(expected),
            Input::Received { payload, .. } => self.on_frame(payload, expected),
            Input::Flushed { up_to, .. } => self.on_flushed(*up_to, expected),
            Input::Closing { reason, .. } => self.on_closing(&not_ours(reason)),
            Input::Closed { reason, .. } => {
                expected.end = self.on_closed(&not_ours(reason), expected);
            }
            Input::Stored { up_to } => self.on_stored(*up_to, expected),
            Input::StoreFailed { .. } => self.on_store_failed(),
            Input::TimerFired => self.timer = None,
            _ => {}
        }
    }

    fn on_disconnect(&mut self, expected: &mut Expected) {
        self.intent = Intent::Stop;
        match &mut self.place {
            ModelState::Live(link) => match &mut link.phase {
                Phase::Closing { reopen, .. } => *reopen = false,
                _ => expected.stop = true,
            },
            _ => self.rest(ModelState::Idle, expected),
        }
    }

    /// The client comes to rest.
    pub(super) fn rest(&mut self, place: ModelState, expected: &mut Expected) {
        // A redirect that came as the time for a shutdown was over is followed by nobody.
        self.retry.go_home();
        self.headers.clear();
        self.place = place;
        self.intent = Intent::Stop;
        self.prefer_session();
        self.tell(expected);
    }

    /// What became of the messages since the shutdown was called, if one was.
    pub(super) fn tell(&mut self, expected: &mut Expected) {
        if let Some(Shutdown { begin, lost_before, .. }) = self.shutdown.take() {
            expected.events.push_back(self.shut_down(&begin, lost_before));
        }
    }

    /// Whether the time for a shutdown is.
    pub(super) fn is_over(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.until <= self.now)
    }

    /// Whether all has arrived, as far as can be known.
    pub(super) fn is_drained(&self) -> bool {
        self.outbox.len() == 0
            && self.outbox.queued_at_host == 0
            && match &self.place {
                ModelState::Live(link) => match link.phase {
                    Phase::Open { .. } => {
                        !self.config.can_ping || link.mute || link.acknowledged == link.sent
                    }
                    Phase::Connecting { .. } => true,
                    Phase::Closing { .. } => false,
                },
                _ => true,
            }
    }
}

/// From a host a request to disconnect is a loss.
fn not_ours(reason: &CloseReason) -> CloseReason {
    match reason {
        CloseReason::Requested => CloseReason::lost(),
        other => other.clone(),
    }
}
