//! The session: offered to the gateway that issued it, kept, and dropped when it is of no use.

use alloc::format;
use alloc::string::{String, ToString};

use serde::Serialize;

use super::context::Context;
use super::output::Output;
use crate::config::PlaintextPolicy;
use crate::session::PackedSession;
use crate::{Action, Event, Frame, Outgoing, Session, SessionDropReason, SessionInit, Url};

/// The session that is kept, and its failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionState {
    pub(super) kept: Option<PackedSession>,
    /// Connections in a row that were offered the session and ended unstable.
    pub(super) resume_failures: u32,
    /// The warning of a session in the clear was given.
    pub(super) plaintext_warned: bool,
    /// The warning of secret headers in the clear was given.
    headers_warned: bool,
}

/// The gateway of a connection, as far as a session is concerned.
pub(super) struct Peer<'a> {
    pub(super) url: &'a Url,
    /// Whether the bytes stay private up to it: on TLS, or within this machine.
    pub(super) is_private: bool,
}

impl<'a> Peer<'a> {
    /// TLS is private on every hop. Without it, the host's word counts, and else the URL's name.
    pub(super) fn new(url: &'a Url, hop_is_private: Option<bool>) -> Self {
        let is_private = url.is_secure() || hop_is_private.unwrap_or(url.is_loopback());
        Peer { url, is_private }
    }
}

impl SessionState {
    pub(super) fn new(session: Option<&Session>, url: &Url) -> Self {
        let kept = session.and_then(|session| PackedSession::new(session, url.origin()));
        let (plaintext_warned, headers_warned) = (false, false);
        SessionState { kept, resume_failures: 0, plaintext_warned, headers_warned }
    }

    /// The origin that issued the session.
    pub(super) fn origin(&self) -> Option<&str> {
        self.kept.as_ref().map(PackedSession::origin)
    }

    /// Whether there is a session that this gateway issued.
    pub(super) fn belongs_to(&self, url: &Url) -> bool {
        self.origin() == Some(url.origin())
    }

    pub(super) fn clear(&mut self, out: &mut impl Output) {
        self.kept = None;
        out.push(Action::PersistSession(None));
    }

    /// Takes a session that the application brought. `url`: the gateway of one without an origin.
    pub(super) fn adopt(&mut self, session: &Session, url: &Url) {
        self.kept = PackedSession::new(session, url.origin());
        self.resume_failures = 0;
    }

    /// Takes a token that the application brought for the gateway of the attempt under way.
    pub(super) fn set_token(&mut self, token: String, url: &Url, cx: &Context<'_>) {
        let client_id = self.kept.take().and_then(|kept| kept.client_id().map(String::from));
        let session = Session { token, client_id, saved_at: cx.unix_ms(), origin: None };
        self.kept = PackedSession::new(&session, url.origin());
    }

    /// The session that a connection offers, and its first frame, if there is a session to resume:
    /// only the origin that issued the token gets it.
    pub(super) fn resume_frame(
        &mut self,
        peer: &Peer<'_>,
        cx: &Context<'_>,
        out: &mut impl Output,
    ) -> Option<(PackedSession, Frame)> {
        let kept = self.kept.as_ref()?;
        if kept.token().is_empty() || kept.origin() != peer.url.origin() {
            return None;
        }
        let age = cx.unix_ms().saturating_sub(kept.saved_at);
        let is_too_old = |most: core::time::Duration| u128::from(age) > most.as_millis();
        // A stored form without a time, which other clients write, is of unknown age.
        if kept.saved_at > 0 && cx.config.session_max_age.is_some_and(is_too_old) {
            self.drop_session(SessionDropReason::TooOld, out);
            return None;
        }
        if !self.session_allowed_on(peer, cx, out) {
            return None;
        }
        #[derive(Serialize)]
        #[serde(tag = "type", rename = "session-resume")]
        struct ResumeMessage<'a> {
            token: &'a str,
        }
        let offered = self.kept.clone()?;
        let message = Outgoing::new(&ResumeMessage { token: offered.token() }).ok()?;
        Some((offered, message.into_frame()))
    }

    /// `session-init`: keeps the session, before the application hears of it. `offered`: the session
    /// that this connection offered, if its answer is to come. A fresh session may have replaced it
    /// here before the offer arrived.
    pub(super) fn on_session_init(
        &mut self,
        init: &mut SessionInit,
        offered: Option<&PackedSession>,
        peer: &Peer<'_>,
        cx: &Context<'_>,
        out: &mut impl Output,
    ) {
        let kept = self.kept.as_ref().filter(|kept| kept.origin() == peer.url.origin());
        init.compare(offered.into_iter().chain(kept));
        self.resume_failures = 0;
        if let Some(text) = init.problem() {
            out.push(Action::Emit(Event::Warning { text: text.into() }));
        }
        let Some((token, client_id)) = init.session() else { return };
        if !self.session_allowed_on(peer, cx, out) {
            return;
        }
        let origin = Some(peer.url.origin().to_string());
        let session = Session { token, client_id, saved_at: cx.unix_ms(), origin };
        self.kept = PackedSession::new(&session, peer.url.origin());
        out.push(Action::PersistSession(Some(session)));
    }

    /// An open connection ended. `was_issuer`: its gateway issued the session; `is_unproven`: its
    /// gateway was offered the session and did not answer.
    pub(super) fn on_end(
        &mut self,
        was_stable: bool,
        was_issuer: bool,
        is_unproven: bool,
        cx: &Context<'_>,
        out: &mut impl Output,
    ) {
        if was_stable {
            self.resume_failures = 0;
            if was_issuer {
                self.touch_session(cx, out);
            }
        } else if is_unproven {
            self.count_resume_failure(cx, out);
        }
    }

    /// A connection that was offered the session ended unstable, and not by our own wish.
    fn count_resume_failure(&mut self, cx: &Context<'_>, out: &mut impl Output) {
        self.resume_failures += 1;
        let most = cx.config.max_resume_failures;
        if self.kept.is_some() && most.is_some_and(|most| self.resume_failures >= most) {
            self.drop_session(SessionDropReason::ResumeFailed, out);
        }
    }

    /// A session was in use until the end of a stable connection: its age counts from here. It is
    /// saved again only after a tenth of its greatest age, to spare the disk.
    fn touch_session(&mut self, cx: &Context<'_>, out: &mut impl Output) {
        let Some(most) = cx.config.session_max_age else { return };
        let unix_ms = cx.unix_ms();
        let Some(kept) = self.kept.as_mut() else { return };
        let age = unix_ms.saturating_sub(kept.saved_at);
        if kept.saved_at > 0 && u128::from(age) > (most / 10).as_millis() {
            kept.saved_at = unix_ms;
            out.push(Action::PersistSession(Some(kept.session())));
        }
    }

    fn drop_session(&mut self, reason: SessionDropReason, out: &mut impl Output) {
        self.resume_failures = 0;
        self.clear(out);
        out.push(Action::Emit(Event::SessionDropped { reason }));
    }

    /// Warns once of secret headers that a fallback without TLS gets, or does not get.
    pub(super) fn warn_of_headers(
        &mut self,
        url: &Url,
        policy: PlaintextPolicy,
        out: &mut impl Output,
    ) {
        if core::mem::replace(&mut self.headers_warned, true) {
            return;
        }
        let origin = url.origin();
        let text = match policy {
            PlaintextPolicy::Refuse => format!(
                "no headers with secrets for {origin}: they would travel in the clear, and \
                 plaintext_session is \"refuse\"; use wss://"
            ),
            _ => format!(
                "headers with secrets go to {origin} in the clear, and the first gateway is \
                 wss://; use wss://, or set plaintext_session to \"refuse\" or \"allow\""
            ),
        };
        out.push(Action::Emit(Event::Warning { text: text.into() }));
    }

    /// Whether a session may travel to this gateway. Warns once if it goes in the clear.
    fn session_allowed_on(
        &mut self,
        peer: &Peer<'_>,
        cx: &Context<'_>,
        out: &mut impl Output,
    ) -> bool {
        let policy = cx.config.plaintext_session;
        if policy == PlaintextPolicy::Allow || peer.is_private {
            return true;
        }
        if !core::mem::replace(&mut self.plaintext_warned, true) {
            let origin = peer.url.origin();
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
