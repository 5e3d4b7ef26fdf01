//! Events for the application.

use serde::{Deserialize, Serialize};

use crate::{
    Binary, Chat, CloseReason, ConnId, Frame, MessageId, PlayerJoined, PlayerLeft, PrNotification,
    SessionInit, StatusUpdate, Text, Timestamp, Unhandled, Url,
};

/// An event for the application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// `ws-connected`: the connection is open. `session-resume` was sent, if there is a session,
    /// and the outbox behind it, or ([`ResumeMode::Wait`](crate::ResumeMode::Wait)) after the
    /// gateway's answer.
    Connected {
        /// The connection.
        conn: ConnId,
        /// The gateway.
        url: Url,
    },
    /// `ws-disconnected`: a connection ended, or could not be made.
    Disconnected {
        /// The connection.
        conn: ConnId,
        /// The close code (RFC 6455 §7.1.5).
        code: u16,
        /// The reason.
        reason: CloseReason,
        /// When the next attempt begins, or a redirect is followed, which is at once. Without a
        /// [network](crate::Client::network_changed): the earliest time, once there is one. `None`
        /// if no attempt follows.
        retry_at: Option<Timestamp>,
    },
    /// `ws-failed`: there will be no further attempt. The outbox keeps its messages, and `connect`
    /// starts again with a full budget.
    Failed {
        /// The number of reconnects.
        attempts: u32,
        /// The reason.
        why: FailReason,
    },
    /// `session-init`: the gateway issued a session, or [resumed](SessionInit::resumed) the one
    /// before.
    SessionInit(SessionInit),
    /// `session-dropped`: the session is forgotten, also in the store. The gateway will issue a new
    /// one.
    SessionDropped {
        /// The reason.
        reason: SessionDropReason,
    },
    /// `chat-message`, from the types `chat` and `chat-message`.
    Chat(Chat),
    /// `status-update`.
    StatusUpdate(StatusUpdate),
    /// `pr-notification`.
    PrNotification(PrNotification),
    /// `player-joined`.
    PlayerJoined(PlayerJoined),
    /// `player-left`.
    PlayerLeft(PlayerLeft),
    /// `unhandled`: JSON without a known `type`.
    Unhandled(Unhandled),
    /// `binary`: a binary message. The connection goes on.
    Binary(Binary),
    /// `malformed`: a text that is not JSON. The connection goes on.
    Malformed {
        /// The message.
        text: Text,
        /// Its fault.
        error: Text,
    },
    /// `messages-durable`: the [outbox store](crate#durability) has these messages: they survive the
    /// process. The range covers all names up to its end, except those of an earlier range and
    /// messages that were acknowledged or dropped before. Only if
    /// [`receipts`](crate::Config::receipts) asks for `Written` or `Acknowledged`.
    Durable {
        /// The first message.
        from: MessageId,
        /// The last message.
        to: MessageId,
    },
    /// `messages-written`: the operating system has taken every byte of these messages, for the
    /// first time. The range covers all names up to its end, except dropped messages. Only if
    /// [`receipts`](crate::Config::receipts) asks for it.
    Written {
        /// The first message; directly behind the range before.
        from: MessageId,
        /// The last message.
        to: MessageId,
    },
    /// `messages-acknowledged`: the peer's WebSocket endpoint has these messages; a
    /// [fence](crate#fences) proved it. The range covers all names up to its end, except dropped
    /// messages and those of an earlier range. With
    /// [`Receipts::Acknowledged`](crate::Receipts::Acknowledged), and during a
    /// [`shutdown`](crate::Client::shutdown).
    Acknowledged {
        /// The first message.
        from: MessageId,
        /// The last message.
        to: MessageId,
    },
    /// `messages-in-doubt`: a connection ended with these messages written and not proven to be
    /// received: they may have arrived, or not. All names in the range are covered, but for those
    /// that were dropped. Where [fences](crate#fences) follow the messages.
    InDoubt {
        /// The first message.
        from: MessageId,
        /// The last message.
        to: MessageId,
        /// Whether they are sent again, and so may arrive twice
        /// ([`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce)).
        resend: bool,
    },
    /// `message-dropped`: a message was given up. It was not sent, or (with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce), after an `InDoubt`) not sent again.
    Dropped {
        /// Its name; `None` if the outbox never accepted it.
        id: Option<MessageId>,
        /// The message.
        frame: Frame,
        /// The reason.
        reason: DropReason,
    },
    /// `shut-down`: the last event of a [`shutdown`](crate::Client::shutdown), with the fate of all
    /// messages since it was called.
    ShutDown {
        /// Messages that were acknowledged.
        acknowledged: u64,
        /// Messages that were written, before the call or after it, and may have arrived or not.
        /// `InDoubt` events named them.
        in_doubt: u64,
        /// Messages that were not written. They are still in the [outbox](crate::Client::outbox).
        unsent: u64,
        /// Of those in doubt and unsent: durable. The [outbox store](crate#durability) has them, and
        /// the next process sends them. Messages that the store has and the client never loaded are
        /// not counted here.
        durable: u64,
    },
    /// `warning`: a fault for people to look at, which stops nothing.
    Warning {
        /// The text, for people.
        text: Text,
    },
}

impl Event {
    /// The event's name in traces and on the command line: the reference client's, if it has one.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Connected { .. } => "ws-connected",
            Event::Disconnected { .. } => "ws-disconnected",
            Event::Failed { .. } => "ws-failed",
            Event::SessionInit(_) => "session-init",
            Event::Chat(_) => "chat-message",
            Event::StatusUpdate(_) => "status-update",
            Event::PrNotification(_) => "pr-notification",
            Event::PlayerJoined(_) => "player-joined",
            Event::PlayerLeft(_) => "player-left",
            Event::Unhandled(_) => "unhandled",
            Event::Binary(_) => "binary",
            Event::Malformed { .. } => "malformed",
            Event::SessionDropped { .. } => "session-dropped",
            Event::Durable { .. } => "messages-durable",
            Event::Written { .. } => "messages-written",
            Event::Acknowledged { .. } => "messages-acknowledged",
            Event::InDoubt { .. } => "messages-in-doubt",
            Event::Dropped { .. } => "message-dropped",
            Event::ShutDown { .. } => "shut-down",
            Event::Warning { .. } => "warning",
        }
    }
}

/// The reason for dropping a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DropReason {
    /// The outbox was full, and the [overflow policy](crate::OverflowPolicy) chose this message.
    #[error("the outbox is full")]
    OutboxFull,
    /// It is larger than [`outbox_max_bytes`](crate::Config::outbox_max_bytes).
    #[error("the message is larger than outbox_max_bytes")]
    TooLarge,
    /// Its [time to live](crate::Outgoing::with_ttl) was over before it could be sent on a
    /// connection, or sent again.
    #[error("the message's time to live is over")]
    Expired,
    /// It is [volatile](crate::Outgoing::volatile), and could not be sent at once.
    #[error("a volatile message could not be sent at once")]
    NotNow,
    /// It is [volatile](crate::Outgoing::volatile), and its connection ended first.
    #[error("the connection ended under a volatile message")]
    ConnectionLost,
    /// The application [cleared the outbox](crate::Client::clear_outbox).
    #[error("the outbox was cleared")]
    Cleared,
    /// A [`shutdown`](crate::Client::shutdown) is under way.
    #[error("the client is shutting down")]
    ShuttingDown,
}

/// The reason for giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailReason {
    /// [`max_attempts`](crate::Config::max_attempts) reconnects in a row failed.
    #[error("max_attempts are used up")]
    Attempts,
    /// [`max_elapsed`](crate::Config::max_elapsed) would pass before the next one.
    #[error("max_elapsed is used up")]
    Elapsed,
    /// The connection ended for a reason that a retry would not change:
    /// [`fatal_close_codes`](crate::Config::fatal_close_codes),
    /// [`fatal_statuses`](crate::Config::fatal_statuses).
    #[error("a retry would not help")]
    Fatal,
}

/// The reason for dropping a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SessionDropReason {
    /// It is older than [`session_max_age`](crate::Config::session_max_age).
    #[error("it is older than session_max_age")]
    TooOld,
    /// [`max_resume_failures`](crate::Config::max_resume_failures) connections in a row that were
    /// offered it ended.
    #[error("it could not be resumed")]
    ResumeFailed,
}
