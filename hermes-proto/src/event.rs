//! What the application learns.

use crate::{
    Chat, CloseReason, ConnId, Frame, MessageId, PlayerJoined, PlayerLeft, PrNotification,
    SessionInit, StatusUpdate, Text, Timestamp, Unhandled, Url,
};

/// What the application learns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// `ws-connected`: the connection is open; `session-resume` and what the outbox held are on
    /// their way.
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
        /// What happened.
        reason: CloseReason,
        /// When the next attempt begins; `None` where there is none.
        retry_at: Option<Timestamp>,
    },
    /// `ws-failed`: [`max_attempts`](crate::Config::max_attempts) reconnects in a row came to
    /// nothing. The outbox keeps its messages, and `connect` starts again with a full budget.
    Failed {
        /// How many reconnects there were.
        attempts: u32,
    },
    /// `session-init`.
    SessionInit(SessionInit),
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
    /// `unhandled`: JSON that has no route.
    Unhandled(Unhandled),
    /// `malformed`: a text that is not JSON, or a binary message. The connection goes on.
    Malformed {
        /// What arrived.
        frame: Frame,
        /// What is wrong with it.
        error: Text,
    },
    /// `message-dropped`: a message left the outbox without being sent.
    Dropped {
        /// Its name; `None` where the outbox never took it.
        id: Option<MessageId>,
        /// The message.
        text: Text,
        /// Why.
        reason: DropReason,
    },
    /// `warning`: something that people should look at, and that stops nothing.
    Warning {
        /// What, for people.
        text: Text,
    },
}

impl Event {
    /// The event's name in traces and on the command line: the reference's, where it has one.
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
            Event::Malformed { .. } => "malformed",
            Event::Dropped { .. } => "message-dropped",
            Event::Warning { .. } => "warning",
        }
    }
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DropReason {
    /// The outbox was full, and the [overflow policy](crate::Overflow) chose this message.
    #[error("the outbox is full")]
    OutboxFull,
    /// It is larger than [`outbox_max_bytes`](crate::Config::outbox_max_bytes).
    #[error("the message is larger than outbox_max_bytes")]
    TooLarge,
}
