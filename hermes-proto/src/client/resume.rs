//! The session: offered to the gateway that issued it, kept, and dropped when it is no good.

use alloc::format;
use alloc::string::{String, ToString};

use serde::Serialize;

use super::Client;
use super::lifecycle::{Link, Phase, Sink};
use crate::config::{PlaintextPolicy, ResumeMode};
use crate::session::PackedSession;
use crate::{Action, Event, Frame, Outgoing, Session, SessionDropReason, SessionInit, Url};

impl Client {
    /// Takes what the application brought, for the gateway of the attempt under way.
    pub(super) fn use_token(&mut self, token: String) {
        let client_id =
            self.session.take().and_then(|session| session.client_id().map(String::from));
        let session = Session { token, client_id, saved_at: self.unix_ms(), origin: None };
        self.session = PackedSession::new(&session, self.url().origin());
    }

    /// The connection's first frame, where there is a session to resume. Only the origin that
    /// issued the token gets it.
    pub(super) fn session_resume(&mut self, out: &mut impl Sink) -> Option<Frame> {
        let session = self.session.as_ref()?;
        if session.token().is_empty() || !session.belongs_to(self.url()) {
            return None;
        }
        let age = self.unix_ms().saturating_sub(session.saved_at);
        let is_too_old = |most: core::time::Duration| u128::from(age) > most.as_millis();
        // A form without a time, which only others write, is of unknown age.
        if session.saved_at > 0 && self.config.session_max_age.is_some_and(is_too_old) {
            self.drop_session(SessionDropReason::TooOld, out);
            return None;
        }
        if !self.session_allowed_on(out) {
            return None;
        }
        #[derive(Serialize)]
        #[serde(tag = "type", rename = "session-resume")]
        struct ResumeMessage<'a> {
            token: &'a str,
        }
        let token = self.session.as_ref()?.token();
        Outgoing::new(&ResumeMessage { token }).ok().map(Outgoing::into_frame)
    }

    /// The session was offered on this connection.
    pub(super) fn offered(&self, link: &mut Link) {
        link.offered = true;
        if self.config.resume == ResumeMode::Wait {
            link.gate = Some(self.now + self.config.resume_timeout);
        }
    }

    /// `session-init`: keeps the session, before the application hears of it.
    pub(super) fn on_session_init(&mut self, init: &mut SessionInit, out: &mut impl Sink) {
        init.compare(self.session.as_ref().filter(|session| session.belongs_to(self.url())));
        self.resume_failures = 0;
        if let Phase::Open(link) | Phase::Closing(link, _) = &mut self.phase {
            if link.offered && init.resumed() {
                self.stats.rare.resumed += 1;
            }
            link.offered = false;
            link.gate = None;
        }
        if !init.is_small() {
            let text = "the session is not kept: its token or client id is larger than 8 KiB";
            return out.push(Action::Emit(Event::Warning { text: text.into() }));
        }
        let Some((token, client_id)) = init.session() else { return };
        if !self.session_allowed_on(out) {
            return;
        }
        let origin = Some(self.url().origin().to_string());
        let session = Session { token, client_id, saved_at: self.unix_ms(), origin };
        self.session = PackedSession::new(&session, self.url().origin());
        out.push(Action::PersistSession(Some(session)));
    }

    /// A connection that came to nothing has ended, and not by our own wish.
    pub(super) fn doubt_session(&mut self, link: &Link, out: &mut impl Sink) {
        if link.offered && self.offline.is_none() {
            self.resume_failures += 1;
            let most = self.config.max_resume_failures;
            if self.session.is_some() && most.is_some_and(|most| self.resume_failures >= most) {
                self.drop_session(SessionDropReason::ResumeFailed, out);
            }
        }
    }

    /// A session that was in use until now is not as old as it looks. It is saved anew where a
    /// tenth of its time has passed: a disk has better things to do than that at each end.
    pub(super) fn refresh_session(&mut self, out: &mut impl Sink) {
        let Some(most) = self.config.session_max_age else { return };
        let unix_ms = self.unix_ms();
        let Some(session) = self.session.as_mut() else { return };
        let age = unix_ms.saturating_sub(session.saved_at);
        if session.saved_at > 0 && u128::from(age) > (most / 10).as_millis() {
            session.saved_at = unix_ms;
            out.push(Action::PersistSession(Some(session.session())));
        }
    }

    fn drop_session(&mut self, reason: SessionDropReason, out: &mut impl Sink) {
        self.session = None;
        self.resume_failures = 0;
        out.push(Action::PersistSession(None));
        out.push(Action::Emit(Event::SessionDropped { reason }));
    }

    /// Whether a session may travel to this gateway. Warns, once, where it goes in the clear.
    fn session_allowed_on(&mut self, out: &mut impl Sink) -> bool {
        let is_private = |url: &Url| url.is_secure() || url.is_loopback();
        let policy = self.config.plaintext_session;
        if policy == PlaintextPolicy::Allow || is_private(self.url()) {
            return true;
        }
        if !core::mem::replace(&mut self.warned, true) {
            let origin = self.url().origin();
            let text = match policy {
                PlaintextPolicy::Refuse => format!(
                    "no session with {origin}: it would travel in the clear, and plaintext_session \
                     is \"refuse\"; use wss://"
                ),
                _ => format!(
                    "the session with {origin} travels in the clear; use wss://, or set \
                     plaintext_session to \"refuse\" or \"allow\""
                ),
            };
            out.push(Action::Emit(Event::Warning { text: text.into() }));
        }
        policy != PlaintextPolicy::Refuse
    }
}

impl PackedSession {
    pub(super) fn belongs_to(&self, url: &Url) -> bool {
        self.origin() == url.origin()
    }
}
