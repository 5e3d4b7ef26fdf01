//! Messages from the application.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;
use serde::de::{Deserialize, IgnoredAny};

use bytes::Bytes;

use crate::{Frame, Text, json};

/// A message to send: text that is known to be JSON, or other text or binary data.
///
/// `send` makes one by itself. An application makes one if it writes JSON on one thread and sends
/// it on another, or if it has the text already:
///
/// ```
/// use hermes_proto::Outgoing;
///
/// let message = Outgoing::from_json(r#"{"type":"chat","text":"hi"}"#)?;
/// assert!(Outgoing::from_json("{type: chat}").is_err());
/// # Ok::<(), hermes_proto::SendError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// A text or binary message.
    frame: Frame,
    ttl: Option<Duration>,
    volatile: bool,
    uncompressed: bool,
}

impl Outgoing {
    /// Writes a message as JSON.
    ///
    /// # Errors
    ///
    /// [`SendError::Serialize`] if its `Serialize` fails.
    pub fn new<T: Serialize + ?Sized>(message: &T) -> Result<Self, SendError> {
        let mut bytes = Vec::new();
        json::write(message, &mut bytes).map_err(SendError::not_written)?;
        // JSON is UTF-8.
        let text = String::from_utf8(bytes);
        text.map(Outgoing::text).map_err(|error| SendError::Serialize(error.to_string()))
    }

    /// Takes text that is JSON already, and sends it unchanged.
    ///
    /// # Errors
    ///
    /// [`SendError::NotJson`] if it is not JSON.
    pub fn from_json(text: impl Into<Text>) -> Result<Self, SendError> {
        let text = text.into();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        match IgnoredAny::deserialize(&mut deserializer).and_then(|_| deserializer.end()) {
            Ok(()) => Ok(Outgoing::text(text)),
            Err(error) => Err(SendError::NotJson(text, error.to_string())),
        }
    }

    /// Takes any text, unchecked. For gateways that accept text beside JSON: the Hermes gateway
    /// does not (see [`from_json`](Self::from_json)).
    pub fn text(text: impl Into<Text>) -> Self {
        Outgoing::of(Frame::Text(text.into()))
    }

    /// Takes a binary message, for gateways that accept one, as [`text`](Self::text). A binary
    /// message from such a gateway is an [`Event::Binary`](crate::Event::Binary).
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Outgoing::of(Frame::Binary(data.into()))
    }

    pub(crate) fn of(frame: Frame) -> Self {
        Outgoing { frame, ttl: None, volatile: false, uncompressed: false }
    }

    /// Limits the time in the outbox: a message that was not sent on a connection within `ttl` of
    /// being accepted is dropped, with an [`Event::Dropped`](crate::Event::Dropped). A message that
    /// was sent is not recalled; if its connection ends before it has left, it is dropped once its
    /// time is over. Default: [`message_ttl`](crate::Config::message_ttl).
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Outgoing { ttl: Some(ttl), ..self }
    }

    /// For a message without value later, such as a position in a world: it is sent on an open
    /// connection at once, if nothing waits before it, or refused with [`SendError::NotNow`]. If
    /// the connection ends before the message has left (with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce): before it is acknowledged), it is
    /// dropped, with an [`Event::Dropped`](crate::Event::Dropped).
    #[must_use]
    pub fn volatile(self) -> Self {
        Outgoing { volatile: true, ..self }
    }

    /// Sends the message uncompressed, also with [`deflate`](crate::Config::deflate). For a message
    /// with a secret: compressed together with text that an attacker chooses, its length would show
    /// how alike the two are. `session-resume` is always sent like this.
    #[must_use]
    pub fn uncompressed(self) -> Self {
        Outgoing { uncompressed: true, ..self }
    }

    /// The message's own time to live, if any.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Whether the message is [volatile](Self::volatile).
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Whether the message is sent [uncompressed](Self::uncompressed).
    pub fn is_uncompressed(&self) -> bool {
        self.uncompressed
    }

    /// The same message with another payload.
    #[cfg(feature = "trace")]
    pub(crate) fn with_frame(self, frame: Frame) -> Self {
        Outgoing { frame, ..self }
    }

    /// The frame to send: a text or binary message.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The frame to send, by value.
    pub fn into_frame(self) -> Frame {
        self.frame
    }

    /// The payload's length in bytes, which the outbox counts.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Whether the payload is empty; JSON never is.
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }
}

/// A message that was not accepted. The error holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The outbox is full, and its policy is to refuse. Send again when it has drained.
    #[error(
        "the outbox is full; wait until it has drained, or raise outbox_max_messages or \
         outbox_max_bytes"
    )]
    Full(Outgoing),
    /// The message is larger than the whole outbox, or is with the
    /// [identity](crate::Config::message_id_member) that it would get.
    #[error("a message of {} bytes is larger than outbox_max_bytes", .0.len())]
    TooLarge(Outgoing),
    /// The message is [volatile](Outgoing::volatile), and can't be sent at once.
    #[error("a volatile message can't be sent now; there is no open connection with room for it")]
    NotNow(Outgoing),
    /// A [`shutdown`](crate::Client::shutdown) is under way; `connect` cancels it.
    #[error("the client is shutting down")]
    ShuttingDown(Outgoing),
    /// Not JSON.
    #[error("the message is not JSON: {1}")]
    NotJson(Text, String),
    /// The value's `Serialize` failed; there is no text.
    #[error("the message can't be written as JSON: {0}")]
    Serialize(String),
}

impl SendError {
    #[cold]
    pub(crate) fn not_written(error: serde_json::Error) -> Self {
        SendError::Serialize(error.to_string())
    }

    /// The frame that was not sent.
    pub fn into_frame(self) -> Option<Frame> {
        match self {
            SendError::Full(message)
            | SendError::TooLarge(message)
            | SendError::NotNow(message)
            | SendError::ShuttingDown(message) => Some(message.into_frame()),
            SendError::NotJson(text, _) => Some(Frame::Text(text)),
            SendError::Serialize(_) => None,
        }
    }
}
