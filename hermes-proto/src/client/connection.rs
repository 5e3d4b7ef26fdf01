//! The connection: its phases, from the first stage of an attempt to the end.

use alloc::boxed::Box;

use super::context::Context;
use crate::config::ResumeMode;
use crate::reason::{Stage, code};
use crate::session::PackedSession;
use crate::{CloseReason, ConnId, Credentials, FailReason, Timestamp};

/// The one connection that there may be, and the names of all that there were.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    /// Connections that were named.
    pub(super) conn_count: u64,
    /// Credentials that the host brought for the attempt under way.
    pub(super) credentials: Option<Box<Credentials>>,
    /// Whether the live connection's bytes stay within this machine, if the host said so.
    pub(super) hop_is_private: Option<bool>,
}

/// Where a client is in a connection's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    Connecting {
        conn: ConnId,
        deadline: Timestamp,
        stage: Stage,
    },
    Open(OpenConnection),
    Closing(OpenConnection, Box<Closing>),
    /// The next attempt begins at `until`, and not while there is no network.
    Waiting {
        until: Timestamp,
        counts_as_retry: bool,
    },
    Failed(FailReason),
}

/// A connection that is open, or in its closing handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenConnection {
    pub(super) conn: ConnId,
    pub(super) since: Timestamp,
    /// A session was offered, and the gateway has not said what became of it.
    resume: Option<Box<PendingResume>>,
    /// Bytes arrived.
    pub(super) saw_bytes: bool,
    /// When news of a network last caused a Ping.
    pub(super) last_probe: Option<Timestamp>,
}

/// A `session-resume` without its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PendingResume {
    /// The session that was offered.
    offered: PackedSession,
    /// The outbox is held until the answer, and until this time at the latest.
    deadline: Option<Timestamp>,
    /// The gateway issued another session. It may have done so before the offer arrived.
    has_fresh: bool,
}

/// A closing handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Closing {
    pub(super) why: CloseReason,
    /// Code of the peer's first Close frame, or of its violation.
    code: Option<u16>,
    pub(super) deadline: Timestamp,
    /// Whether the connection was stable when the handshake began: its length proves nothing.
    was_stable: bool,
    /// `connect` followed `disconnect`: the next connection opens as soon as this one has ended.
    pub(super) reopen: bool,
}

/// How a connection ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The host reported it.
    Reported(CloseReason),
    /// This machine gives it up.
    GivenUp(CloseReason),
}

/// A connection that has ended, or that was never open.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) conn: ConnId,
    pub(super) code: u16,
    pub(super) reason: CloseReason,
    /// The connection, if it was open.
    pub(super) open: Option<OpenConnection>,
    pub(super) was_stable: bool,
    pub(super) reopen: bool,
}

/// What a deadline of the connection asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// The wait for the next attempt is over.
    Attempt,
    /// The outbox is held no longer.
    Messages,
    /// This stage took too long.
    TimedOut(Stage),
}

impl Connection {
    pub(super) fn new() -> Self {
        Connection { phase: Phase::Idle, conn_count: 0, credentials: None, hop_is_private: None }
    }

    /// The live connection, if there is one.
    pub(super) fn conn(&self) -> Option<ConnId> {
        match &self.phase {
            Phase::Connecting { conn, .. } => Some(*conn),
            Phase::Open(open) | Phase::Closing(open, _) => Some(open.conn),
            Phase::Idle | Phase::Waiting { .. } | Phase::Failed(_) => None,
        }
    }

    #[cfg(feature = "ws")]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// The connection that messages go to: it is open, and the outbox is not held for a
    /// `session-resume`.
    #[inline]
    pub(super) fn sendable(&self) -> Option<ConnId> {
        match &self.phase {
            Phase::Open(open) if open.resume_deadline().is_none() => Some(open.conn),
            _ => None,
        }
    }

    /// The session that was offered and of which the gateway has not said what became.
    pub(super) fn offered(&self) -> Option<&PackedSession> {
        let (Phase::Open(open) | Phase::Closing(open, _)) = &self.phase else { return None };
        open.resume.as_ref().map(|resume| &resume.offered)
    }

    /// The connection that frames come from: what arrives in a closing handshake counts.
    #[inline]
    pub(super) fn receiving_mut(&mut self) -> Option<&mut OpenConnection> {
        match &mut self.phase {
            Phase::Open(open) | Phase::Closing(open, _) => Some(open),
            _ => None,
        }
    }

    /// Whether the host is making the transport: it has the credentials, and nothing is open.
    #[cfg(feature = "ws")]
    pub(super) fn is_dialing(&self) -> bool {
        matches!(self.phase, Phase::Connecting { stage, .. } if is_dial(stage))
    }

    /// Names the next connection.
    pub(super) fn next_conn(&mut self) -> ConnId {
        self.conn_count += 1;
        self.hop_is_private = None;
        ConnId(self.conn_count)
    }

    pub(super) fn wait(&mut self, until: Timestamp, counts_as_retry: bool) {
        self.phase = Phase::Waiting { until, counts_as_retry };
    }

    /// An attempt enters a stage, with the full time for it.
    pub(super) fn enter_stage(&mut self, conn: ConnId, stage: Stage, cx: &Context<'_>) {
        self.phase = Phase::Connecting { conn, deadline: cx.now + cx.timeout_for(stage), stage };
    }

    /// The host reports which part of making a transport it has reached. All parts share one
    /// deadline.
    pub(super) fn on_reached(&mut self, reached: Stage) {
        if let Phase::Connecting { stage, .. } = &mut self.phase
            && is_dial(*stage)
            && is_dial(reached)
        {
            *stage = reached;
        }
    }

    /// The host reports where the bytes of the attempt go.
    pub(super) fn on_hop(&mut self, is_private: bool) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.hop_is_private = Some(is_private);
        }
    }

    /// The host has not begun with the stage: the time for it starts anew.
    pub(super) fn on_postponed(&mut self, cx: &Context<'_>) {
        if let Phase::Connecting { conn, stage, .. } = self.phase
            && (stage == Stage::Credentials || is_dial(stage))
        {
            self.enter_stage(conn, stage, cx);
        }
    }

    /// The transport below a WebSocket to come is up: the answer to the upgrade request is next.
    #[cfg(feature = "ws")]
    pub(super) fn on_transport_open(&mut self, cx: &Context<'_>) {
        if let Phase::Connecting { conn, .. } = self.phase {
            self.enter_stage(conn, Stage::Upgrade, cx);
        }
    }

    /// The attempt that may become open, if there is one.
    pub(super) fn opening(&self) -> Option<ConnId> {
        match self.phase {
            Phase::Connecting { conn, stage, .. } if stage != Stage::Credentials => Some(conn),
            _ => None,
        }
    }

    /// A closing handshake begins, or the peer answers the one that we began.
    pub(super) fn begin_closing(&mut self, why: CloseReason, cx: &Context<'_>) {
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Open(open) => {
                let code = match &why {
                    CloseReason::Requested => None,
                    other => Some(other.code()),
                };
                let was_stable = open.is_stable(cx);
                let deadline = cx.now + cx.config.close_timeout;
                let closing = Closing { why, code, deadline, was_stable, reopen: false };
                self.phase = Phase::Closing(open, Box::new(closing));
            }
            Phase::Closing(open, mut closing) => {
                closing.code.get_or_insert(why.code());
                self.phase = Phase::Closing(open, closing);
            }
            other => self.phase = other,
        }
    }

    /// Ends the connection, if there is one.
    pub(super) fn end(&mut self, end: &End, cx: &Context<'_>) -> Option<Ended> {
        let (reason, default_code) = match end {
            End::Reported(reason) => (reason.clone(), reason.code()),
            End::GivenUp(reason) => (reason.clone(), code::ABNORMAL),
        };
        match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Connecting { conn, .. } => Some(Ended {
                conn,
                code: default_code,
                reason,
                open: None,
                was_stable: false,
                reopen: false,
            }),
            Phase::Open(open) => Some(Ended {
                conn: open.conn,
                code: default_code,
                reason,
                was_stable: open.is_stable(cx),
                open: Some(open),
                reopen: false,
            }),
            Phase::Closing(open, closing) => Some(Ended {
                conn: open.conn,
                code: closing.code.unwrap_or(default_code),
                reason: closing.why,
                open: Some(open),
                was_stable: closing.was_stable,
                reopen: closing.reopen,
            }),
            other => {
                self.phase = other;
                None
            }
        }
    }
}

/// The passing of time.
impl Connection {
    /// When something is due. Without a network no attempt is.
    #[inline]
    pub(super) fn deadline(&self, is_online: bool) -> Option<Timestamp> {
        match &self.phase {
            Phase::Open(open) => open.resume_deadline(),
            Phase::Connecting { deadline, .. } => Some(*deadline),
            Phase::Closing(_, closing) => Some(closing.deadline),
            Phase::Waiting { until, .. } => Some(*until).filter(|_| is_online),
            Phase::Idle | Phase::Failed(_) => None,
        }
    }

    /// The deadline has come.
    pub(super) fn on_deadline(&mut self, cx: &Context<'_>) -> Due {
        match &mut self.phase {
            Phase::Connecting { stage, deadline, .. } => {
                if cx.now - *deadline < cx.config.suspend_threshold {
                    return Due::TimedOut(*stage);
                }
                // The host was suspended; restart the timeout.
                *deadline = cx.now + cx.timeout_for(*stage);
                Due::Nothing
            }
            Phase::Closing(..) => Due::TimedOut(Stage::Close),
            Phase::Waiting { .. } => Due::Attempt,
            Phase::Open(open) => open.on_deadline(cx),
            Phase::Idle | Phase::Failed(_) => Due::Nothing,
        }
    }
}

impl OpenConnection {
    pub(super) fn new(conn: ConnId, cx: &Context<'_>) -> Self {
        OpenConnection { conn, since: cx.now, resume: None, saw_bytes: false, last_probe: None }
    }

    /// A session was offered.
    pub(super) fn mark_resume_sent(&mut self, mut offered: PackedSession, cx: &Context<'_>) {
        // Its time is of no use here: two machines that differ in it alone are equal.
        offered.saved_at = 0;
        let holds = cx.config.resume == ResumeMode::Wait;
        let deadline = holds.then(|| cx.now + cx.config.resume_timeout);
        self.resume = Some(Box::new(PendingResume { offered, deadline, has_fresh: false }));
    }

    /// Whether the gateway has said nothing at all of the session that was offered.
    pub(super) fn is_resume_unanswered(&self) -> bool {
        self.resume.as_ref().is_some_and(|resume| !resume.has_fresh)
    }

    /// Until when the outbox is held for the gateway's answer.
    #[inline]
    pub(super) fn resume_deadline(&self) -> Option<Timestamp> {
        self.resume.as_ref()?.deadline
    }

    pub(super) fn resume_deadline_mut(&mut self) -> Option<&mut Timestamp> {
        self.resume.as_mut()?.deadline.as_mut()
    }

    /// `session-init` came. `is_fresh`: it issues another session than the one that was offered. The
    /// first fresh one may have left before the offer arrived, so another answer can follow.
    pub(super) fn on_session_init(&mut self, is_fresh: bool) {
        match &mut self.resume {
            Some(resume) if is_fresh && !resume.has_fresh => resume.has_fresh = true,
            resume => *resume = None,
        }
    }

    /// Bytes arrived. Returns whether they are the first ones.
    #[cfg(feature = "ws")]
    pub(super) fn on_bytes(&mut self) -> bool {
        !core::mem::replace(&mut self.saw_bytes, true)
    }

    /// News of a network: whether to ask if the connection still works.
    pub(super) fn probe(&mut self, cx: &Context<'_>) -> bool {
        if self.last_probe.is_some_and(|at| cx.now - at < cx.config.min_connect_interval) {
            return false;
        }
        self.last_probe = Some(cx.now);
        true
    }

    /// Whether the connection was up for long enough, and of use.
    fn is_stable(&self, cx: &Context<'_>) -> bool {
        self.resume_deadline().is_none() && cx.now - self.since >= cx.config.stable_after
    }

    fn on_deadline(&mut self, cx: &Context<'_>) -> Due {
        let is_answered = !self.is_resume_unanswered();
        let Some(until) = self.resume_deadline_mut() else { return Due::Nothing };
        if is_answered {
            // The fresh session was the answer.
            self.resume = None;
            return Due::Messages;
        }
        if cx.now - *until < cx.config.suspend_threshold {
            return Due::TimedOut(Stage::Resume);
        }
        // The host was suspended; restart the timeout.
        *until = cx.now + cx.config.resume_timeout;
        Due::Nothing
    }
}

/// Whether a stage is a part of making the transport.
fn is_dial(stage: Stage) -> bool {
    matches!(stage, Stage::Resolve | Stage::Connect | Stage::Proxy | Stage::Tls)
}
