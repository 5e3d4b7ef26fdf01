//! Whether each action of the machine's answer is due.

use hermes_proto::reason::Stage;
use hermes_proto::{Action, CloseReason, DropReason, Event, Input};

use super::{Call, Contract, End, Expected, ModelState, Verdict, ensure};

impl Contract {
    pub(super) fn on_action(
        &mut self,
        action: &Action,
        call: &Call,
        expected: &mut Expected,
    ) -> Verdict {
        match action {
            Action::AskCredentials { conn, url } => {
                ensure!(self.config.ask_credentials, "{conn}: nobody has credentials");
                ensure!(!self.retry.is_redirected(), "{conn}: credentials for a redirect");
                self.begin(*conn, url, Stage::Credentials, expected)
            }
            Action::Open { conn, url } => {
                if expected.dial.take() == Some(true) {
                    return self.dial(*conn, url);
                }
                // A redirect is within an attempt that had them.
                let asks = self.config.ask_credentials && !self.retry.is_redirected();
                ensure!(!asks, "{conn} is opened without credentials");
                self.begin(*conn, url, Stage::Connect, expected)
            }
            Action::Send { conn, seq, payload } => self.on_send(*conn, *seq, payload, expected),
            Action::ArmTimer(due) => {
                ensure!(*due != self.timer, "the timer is set to what it is set to");
                self.timer = *due;
                Ok(())
            }
            Action::Close { conn, code } => self.on_close(*conn, *code, expected),
            Action::PersistSession(session) => self.on_persist(session.as_ref(), call, expected),
            Action::Emit(event) => self.on_event(event, call, expected),
            Action::StoreMessage(stored) => self.on_store_message(stored),
            Action::ForgetMessages { from, to } => self.on_forget(*from, *to),
            other => Err(format!("unheard of: {other:?}")),
        }
    }

    fn on_event(&mut self, event: &Event, call: &Call, expected: &mut Expected) -> Verdict {
        match event {
            Event::Connected { conn, url } => {
                ensure!(std::mem::take(&mut expected.connected), "ws-connected once more");
                ensure!(expected.resume.is_none(), "ws-connected before the session was resumed");
                let live = self.link().map(|link| link.conn);
                ensure!(live == Some(*conn), "ws-connected of {conn}, while there is {live:?}");
                ensure!(url == self.url(), "ws-connected to {url}, not to {}", self.url());
                Ok(())
            }
            Event::Disconnected { conn, code, reason, retry_at } => {
                let open = &expected.events;
                ensure!(open.is_empty(), "ws-disconnected comes before {open:?}");
                let Some(end) = expected.end.take() else {
                    return Err(format!("ws-disconnected of {conn}, which did not end"));
                };
                let right = (end.conn, end.code, &end.reason);
                // What is wrong with the credentials is for people to read.
                let wrong =
                    |reason: &CloseReason| matches!(reason, CloseReason::Credentials { .. });
                let agree = *reason == end.reason || wrong(reason) && wrong(&end.reason);
                ensure!(
                    agree && (*conn, *code) == (end.conn, end.code),
                    "ws-disconnected should be of {right:?}"
                );
                let end = End { reason: reason.clone(), ..end };
                self.on_end(end, *retry_at, expected)
            }
            Event::Dropped { id: Some(id), reason: DropReason::Expired, frame } => {
                let entry = self.outbox.get(*id);
                let Some(entry) = entry else { return Err(format!("{id:?} expired, and is gone")) };
                ensure!(entry.frame == *frame, "{id:?} expired as another");
                ensure!(!entry.is_sent(), "{id:?} expired in other custody");
                let right = entry.expires;
                ensure!(right.is_some_and(|at| at <= self.now), "{id:?} expires at {right:?}");
                self.stats.dropped.expired += 1;
                self.count_lost(*id);
                self.outbox.remove(Some(*id));
                Ok(())
            }
            Event::Warning { text } => self.on_warning(text, expected),
            Event::SessionInit(init) => {
                self.is_gateways(event, call)?;
                self.on_session_init(init, expected)
            }
            Event::Binary(_)
            | Event::Chat(_)
            | Event::StatusUpdate(_)
            | Event::PrNotification(_)
            | Event::PlayerJoined(_)
            | Event::PlayerLeft(_) => self.is_gateways(event, call),
            Event::Unhandled(_) => {
                self.stats.unhandled += 1;
                self.is_gateways(event, call)
            }
            Event::Malformed { .. } => {
                self.stats.malformed += 1;
                self.is_gateways(event, call)
            }
            told => {
                if let (Event::ShutDown { .. }, ModelState::Waiting { .. }) = (told, &self.place)
                    && self.is_draining()
                {
                    self.end_wait(expected)?;
                }
                let next = expected.events.iter().position(|event| event.name() == told.name());
                let next = next.and_then(|index| expected.events.remove(index));
                ensure!(next.as_ref() == Some(told), "{told:?} should be {next:?}");
                if let Event::ShutDown { .. } = told {
                    ensure!(expected.events.is_empty(), "more to tell of a shutdown that is over");
                }
                if let Event::Dropped { reason, .. } = told {
                    self.count_drop(*reason);
                }
                Ok(())
            }
        }
    }

    /// A shutdown ends while there is no connection.
    fn end_wait(&mut self, expected: &mut Expected) -> Verdict {
        ensure!(self.is_over() || self.is_drained(), "a shutdown ends too early");
        self.rest(ModelState::Idle, expected);
        Ok(())
    }

    fn is_gateways(&self, event: &Event, call: &Call) -> Verdict {
        let received = matches!(call, Call::Input(Input::Received { .. }));
        ensure!(received, "{} came from nowhere", event.name());
        Ok(())
    }
}
