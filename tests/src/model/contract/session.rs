//! The session: offered to its own gateway, kept, dropped when it is no good.

use std::collections::BTreeMap;
use std::time::Duration;

use hermes_proto::{
    Delivery, Event, Input, PlaintextPolicy, ResumeMode, Session, SessionDropReason, SessionInit,
    Url,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::connection::{ConnectionModel, Phase};
use super::liveness::Judgement;
use super::{Call, Contract, Expected, Verdict, ensure};

impl Contract {
    pub(super) fn use_token(&mut self, token: &str) {
        let client_id = self.session.take().and_then(|session| session.client_id);
        let (token, origin) = (token.to_owned(), Some(self.url().origin().to_owned()));
        self.session = Some(Session { token, client_id, saved_at: self.unix_ms(), origin });
    }

    /// The application's session: for the first gateway, unless it says for which.
    pub(super) fn adopt_session(&mut self, session: &Session) {
        let mut session = session.clone();
        let first = Url::parse(&self.config.url).expect("the client took it");
        session.origin.get_or_insert_with(|| first.origin().to_owned());
        self.session = Some(session);
        self.resume_failures = 0;
    }

    /// A connection is open: owes its first frame, if there is a session for this gateway.
    pub(super) fn offer_session(&mut self, expected: &mut Expected) {
        let own = |session: &&Session| session.origin.as_deref() == Some(self.url().origin());
        let session = self.session.as_ref().filter(|session| !session.token.is_empty());
        let Some(session) = session.filter(own) else { return };
        let age = Duration::from_millis(self.unix_ms().saturating_sub(session.saved_at));
        if session.saved_at > 0 && self.config.session_max_age.is_some_and(|most| age > most) {
            return self.drop_session(SessionDropReason::TooOld, expected);
        }
        if !self.session_allowed_on() {
            return;
        }
        let token = Value::from(session.token.as_str());
        expected.resume = Some(format!(r#"{{"type":"session-resume","token":{token}}}"#).into());
        let until = self.now + self.config.resume_timeout;
        let waits = self.config.resume == ResumeMode::Wait;
        let offered = Box::new(session.clone());
        if let Some(link) = self.link_mut() {
            link.offered = Some(offered);
            if let Phase::Open { gate, .. } = &mut link.phase {
                *gate = waits.then_some(until);
            }
        }
    }

    /// Whether it is nobody else's to read, or may be read.
    fn session_allowed_on(&self) -> bool {
        self.is_private() || self.config.plaintext_session != PlaintextPolicy::Refuse
    }

    fn is_private(&self) -> bool {
        self.url().is_secure() || self.url().is_loopback()
    }

    fn must_be_warned(&self) -> bool {
        !self.is_private() && self.config.plaintext_session != PlaintextPolicy::Allow
    }

    pub(super) fn on_warning(&mut self, text: &str, expected: &mut Expected) -> Verdict {
        if text.starts_with("the session is kept without") || text.contains("session is not kept") {
            ensure!(!std::mem::replace(&mut expected.not_kept, true), "the same warning twice");
            return Ok(());
        }
        if text.starts_with("the outbox store failed") {
            ensure!(std::mem::take(&mut self.store.to_warn), "a warning of a store that works");
            return Ok(());
        }
        if text.contains("answers no Ping") {
            let asks = self.link().is_some_and(|link| {
                matches!(
                    link.judge(self.now, expected.timer, &self.config),
                    Judgement::Ask | Judgement::MayAsk
                )
            });
            ensure!(asks && self.proves_nothing(), "a warning of a peer that answers");
            ensure!(!self.window.unprovable, "a warning once more of a peer that is mute");
            self.find_mute();
            return Ok(());
        }
        if text.contains("can_ping is false") {
            let right = !self.config.can_ping && self.config.delivery == Delivery::AtLeastOnce;
            let once = !std::mem::replace(&mut self.window.unprovable, true);
            ensure!(right && once, "a warning of Pings, and there is no need");
            return Ok(());
        }
        ensure!(self.must_be_warned(), "a warning, and all is well");
        ensure!(!std::mem::replace(&mut self.warned, true), "a warning once more");
        Ok(())
    }

    pub(super) fn on_persist(
        &mut self,
        session: Option<&Session>,
        call: &Call,
        expected: &mut Expected,
    ) -> Verdict {
        let Some(session) = session else {
            ensure!(expected.persist.pop_front() == Some(None), "the saved session is cleared");
            return Ok(());
        };
        if expected.persist.front() == Some(&Some(session.clone())) {
            expected.persist.pop_front();
            return Ok(());
        }
        let received = matches!(call, Call::Input(Input::Received { .. }));
        ensure!(received && !expected.persisted, "a session came from nowhere");
        ensure!(self.session_allowed_on(), "a session is saved that travelled in the clear");
        ensure!(session.origin.as_deref() == Some(self.url().origin()), "another's session");
        ensure!(session.saved_at == self.unix_ms(), "saved at {}", session.saved_at);
        expected.persisted = true;
        self.session = Some(session.clone());
        Ok(())
    }

    /// The gateway has answered. What there was to save was saved before.
    pub(super) fn on_session_init(
        &mut self,
        init: &SessionInit,
        expected: &mut Expected,
    ) -> Verdict {
        let own = |session: &&Session| session.origin.as_deref() == Some(self.url().origin());
        // Values as they came: half a surrogate pair is no text.
        let json: BTreeMap<String, &RawValue> =
            serde_json::from_str(init.json()).unwrap_or_default();
        let raw = |field: &str| json.get(field).map(|raw| raw.get()).filter(|raw| *raw != "null");
        let text = |field: &str| serde_json::from_str::<String>(raw(field)?).ok();
        let small = |field: &str| raw(field).is_none_or(|raw| raw.len() <= 8 << 10);
        let is_small = small("token") && small("clientId");
        let (token, client_id) = (text("token"), text("clientId"));
        let is_lost = |field: &str| raw(field).is_some() && text(field).is_none();
        let warned = std::mem::take(&mut expected.not_kept);
        let warns = !is_small || is_lost("token") || is_lost("clientId");
        ensure!(warned == warns, "warned of what is not kept: {warned}");
        let before = expected.session.as_ref().filter(own);
        let offered = self.link().and_then(|link| link.offered.as_deref());
        let resumes = |before: &Session| match (&client_id, &before.client_id) {
            (Some(id), Some(before)) => id == before,
            _ => token.as_ref().is_some_and(|token| *token == before.token),
        };
        let resumed = is_small && before.into_iter().chain(offered).any(resumes);
        ensure!(init.resumed() == resumed, "resumed: {}, not {resumed}", init.resumed());
        self.stats.resumed += u64::from(offered.is_some() && resumed);
        self.resume_failures = 0;
        let has_token = is_small && token.as_ref().is_some_and(|token| !token.is_empty());
        let right = has_token && self.session_allowed_on();
        ensure!(
            expected.persisted == right,
            "a session is saved: {}, not {right}",
            expected.persisted
        );
        if right {
            let saved = self.session.as_ref();
            let agree = saved.is_some_and(|saved| {
                Some(saved.token.as_str()) == token.as_deref()
                    && saved.client_id.as_deref() == client_id.as_deref()
            });
            ensure!(agree, "another session is saved than {init:?}");
        }
        let warned = self.warned || !has_token || !self.must_be_warned();
        ensure!(warned, "no warning of a session in the clear");
        let Some(link) = self.link_mut() else { return Ok(()) };
        // The first fresh session may have left the gateway before the offer arrived there.
        let may_have_crossed = has_token && !resumed && !link.has_fresh && link.offered.is_some();
        link.has_fresh = may_have_crossed;
        if !may_have_crossed {
            link.offered = None;
            if let Phase::Open { gate, .. } = &mut link.phase {
                *gate = None;
            }
        }
        Ok(())
    }

    /// A connection to `origin` has ended, perhaps by our own wish.
    pub(super) fn judge_session(
        &mut self,
        link: &ConnectionModel,
        was_stable: bool,
        ours: bool,
        origin: &str,
        expected: &mut Expected,
    ) {
        let unix_ms = self.unix_ms();
        if was_stable {
            self.resume_failures = 0;
            // It was in use until now: saved anew where a tenth of its time has passed.
            let Some(most) = self.config.session_max_age else { return };
            let own = self.session.as_mut();
            let own = own.filter(|own| own.origin.as_deref() == Some(origin) && own.saved_at > 0);
            let Some(own) = own else { return };
            if Duration::from_millis(unix_ms.saturating_sub(own.saved_at)) > most / 10 {
                own.saved_at = unix_ms;
                expected.persist.push_back(Some(own.clone()));
            }
        } else if link.offered.is_some() && !link.has_fresh && !ours && self.offline.is_none() {
            self.resume_failures += 1;
            let most = self.config.max_resume_failures;
            if self.session.is_some() && most.is_some_and(|most| self.resume_failures >= most) {
                self.drop_session(SessionDropReason::ResumeFailed, expected);
            }
        }
    }

    fn drop_session(&mut self, reason: SessionDropReason, expected: &mut Expected) {
        self.session = None;
        self.resume_failures = 0;
        expected.persist.push_back(None);
        expected.events.push_back(Event::SessionDropped { reason });
    }
}
