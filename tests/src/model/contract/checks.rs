//! After each call: nothing is left undone, and what the client says of itself is right.

use std::ops::RangeInclusive;

use hermes_proto::{Client, PlaintextPolicy, State, Timestamp};

use super::{Contract, Expected, Intent, ModelState, Verdict, ensure};

impl Contract {
    pub(super) fn check_expected(&self, expected: &Expected) -> Verdict {
        ensure!(expected.resume.is_none(), "the session was not resumed");
        ensure!(!expected.connected, "no ws-connected");
        ensure!(!expected.stop, "the connection was not closed");
        ensure!(expected.dial.is_none(), "credentials came, and nothing of them");
        let gone = expected.end.as_ref().map(|end| end.conn);
        ensure!(gone.is_none(), "no ws-disconnected for {gone:?}");
        ensure!(expected.events.is_empty(), "nobody was told of {:?}", expected.events);
        ensure!(!expected.not_kept, "a warning of a session that did not come");
        ensure!(expected.persist.is_empty(), "not persisted: {:?}", expected.persist);
        Ok(())
    }

    pub(super) fn check_time(&mut self, client: &Client, runs_due_work: bool) -> Verdict {
        let (deadline, timer, now) = (client.deadline(), self.timer, self.now);
        ensure!(deadline == timer, "deadline() is {deadline:?}, the timer is set to {timer:?}");
        let may_be_past = !runs_due_work;
        ensure!(
            may_be_past || deadline.is_none_or(|due| due > now),
            "at {now:?} the timer is at {timer:?}"
        );
        let shutdown = self.shutdown.as_ref().map(|shutdown| shutdown.until);
        let exact = [self.outbox.expiry(), shutdown, self.store.retry_at].into_iter().flatten();
        let exact: Vec<_> = exact.map(|at| at..=at).collect();
        let all = exact.iter().cloned().chain(self.due());
        let right = all.reduce(|a, b| *a.start().min(b.start())..=*a.end().min(b.end()));
        ensure!(
            match (&right, timer) {
                (Some(right), Some(timer)) => right.contains(&timer),
                (right, timer) => right.is_none() && timer.is_none(),
            },
            "the timer is set to {timer:?}, and should be to {right:?}"
        );
        Ok(())
    }

    /// When something is to be done about a connection, or the next one.
    pub(super) fn due(&self) -> Option<RangeInclusive<Timestamp>> {
        match &self.place {
            ModelState::Idle | ModelState::Failed(_) => None,
            ModelState::Waiting { until, .. } => {
                Some(until.clone()).filter(|_| self.offline.is_none())
            }
            ModelState::Live(link) => link.due(&self.config),
        }
    }

    pub(super) fn check_state(&mut self, client: &Client) -> Verdict {
        let (conn, state) = (client.conn(), client.state());
        let live = self.link().map(|link| link.conn);
        ensure!(conn == live, "conn() is {conn:?}, and live is {live:?}");
        ensure!(client.url() == self.url(), "url() is {}, not {}", client.url(), self.url());
        // At a fallback in the clear of a gateway with TLS, if that is refused, only what is no secret.
        let first_is_secure = self.config.url.starts_with("wss:");
        let is_exposed =
            first_is_secure && !client.url().is_secure() && !client.url().is_loopback();
        let withholds = is_exposed && self.config.plaintext_session == PlaintextPolicy::Refuse;
        let is_secret =
            |name: &str| ["authorization", "cookie"].contains(&&*name.to_ascii_lowercase());
        let fresh = self.headers.iter().filter(|_| !withholds);
        let configured = self.config.headers.iter();
        let headers = configured.filter(|(name, _)| !withholds || !is_secret(name)).chain(fresh);
        let headers = headers.filter(|_| self.retry.is_at_home());
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        ensure!(client.headers().eq(headers), "headers() are not what was set and brought");

        // A wait that nobody was told of is known from here on.
        if let (ModelState::Waiting { until, .. }, State::Waiting { until: Some(said), .. }) =
            (&mut self.place, &state)
            && until.contains(said)
        {
            *until = *said..=*said;
        }
        let attempt = self.retry.attempts;
        let after = self.last_end.as_ref().map(|end| end.reason.clone());
        let right = match &self.place {
            ModelState::Idle => State::Idle,
            ModelState::Failed(why) => State::Failed { attempts: attempt, why: *why, after },
            ModelState::Waiting { until, spends } => State::Waiting {
                until: Some(*until.start()).filter(|_| self.offline.is_none()),
                attempt: attempt + u32::from(*spends),
                after,
                asked: self.last_end.as_ref().and_then(|end| end.asked),
            },
            ModelState::Live(link) => link.state(attempt),
        };
        ensure!(state == right, "state() is {state:?}, and should be {right:?}");
        let rests = matches!(self.place, ModelState::Idle | ModelState::Failed(_));
        let wants = self.intent != Intent::Stop;
        ensure!(!rests || !wants, "at rest, though a connection is wanted");
        ensure!(wants || !matches!(self.place, ModelState::Waiting { .. }), "waiting for nothing");
        Ok(())
    }

    pub(super) fn check_books(&self, client: &Client) -> Verdict {
        ensure!(
            client.session() == self.session,
            "session() is {:?}, and should be {:?}",
            client.session(),
            self.session
        );
        let outbox = self.outbox.iter().map(|(id, frame)| (id, frame.clone()));
        ensure!(client.outbox().eq(outbox), "the outbox is not what it should be");
        let (len, bytes) = (self.outbox.len(), self.outbox.bytes());
        let said = (client.outbox_len(), client.outbox_bytes());
        ensure!(said == (len, bytes), "the outbox says {said:?}, and has {:?}", (len, bytes));
        let most = (self.config.outbox_max_messages, self.config.outbox_max_bytes);
        let fits = len as u64 <= most.0 && bytes as u64 <= most.1;
        ensure!(fits, "the outbox has {said:?}, of {most:?} at most");
        let mut stats = self.stats;
        (stats.outbox_messages, stats.outbox_bytes) = (len, bytes);
        stats.unacknowledged = self.link().map_or(0, |link| link.written - link.acknowledged);
        (stats.durable, stats.not_durable) = (self.store.confirmed, self.not_durable());
        ensure!(client.stats() == stats, "stats() are {:?}, not {stats:?}", client.stats());
        Ok(())
    }
}
