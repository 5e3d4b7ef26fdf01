//! What the application sends.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;
use serde::de::{Deserialize, IgnoredAny};

use bytes::Bytes;

use crate::{Frame, Text, json};

/// A message on its way out: text that is known to be JSON, or what a gateway takes beside it.
///
/// `send` makes one by itself. It is made first where the JSON is written on one thread and sent
/// on another, or where there is only text:
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
    /// [`SendError::Serialize`], where its `Serialize` fails.
    pub fn new<T: Serialize + ?Sized>(message: &T) -> Result<Self, SendError> {
        let mut bytes = Vec::new();
        json::write(message, &mut bytes).map_err(SendError::not_written)?;
        // JSON is UTF-8.
        let text = String::from_utf8(bytes);
        text.map(Outgoing::text).map_err(|error| SendError::Serialize(error.to_string()))
    }

    /// Takes text that is JSON already, and keeps it to the letter.
    ///
    /// # Errors
    ///
    /// [`SendError::NotJson`], where it is not.
    pub fn from_json(text: impl Into<Text>) -> Result<Self, SendError> {
        let text = text.into();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        match IgnoredAny::deserialize(&mut deserializer).and_then(|_| deserializer.end()) {
            Ok(()) => Ok(Outgoing::text(text)),
            Err(error) => Err(SendError::NotJson(text, error.to_string())),
        }
    }

    /// Takes any text, as it is. The Hermes gateway takes JSON alone
    /// ([`from_json`](Self::from_json)); this is for one that takes more.
    pub fn text(text: impl Into<Text>) -> Self {
        Outgoing::of(Frame::Text(text.into()))
    }

    /// Takes a binary message. As [`text`](Self::text), for a gateway that takes more than JSON;
    /// what such a gateway sends is an [`Event::Malformed`](crate::Event::Malformed) here, with
    /// all of it.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Outgoing::of(Frame::Binary(data.into()))
    }

    pub(crate) fn of(frame: Frame) -> Self {
        Outgoing { frame, ttl: None, volatile: false, uncompressed: false }
    }

    /// Gives the message up where it could not be handed to a connection within `ttl` of being
    /// sent, with an [`Event::Dropped`](crate::Event::Dropped). What was handed over is not
    /// recalled; where its connection ends before it has left, it is given up then, or when its
    /// time is over. Default:
    /// [`message_ttl`](crate::Config::message_ttl).
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Outgoing { ttl: Some(ttl), ..self }
    }

    /// Makes the message one that is worth nothing later, such as a position in a world: it is
    /// handed to an open connection at once, with nothing waiting before it, or refused with
    /// [`SendError::NotNow`]. Where that connection ends before it has left (with
    /// [`Delivery::AtLeastOnce`](crate::Delivery::AtLeastOnce), before it is proven to have
    /// arrived), it is given up with an [`Event::Dropped`](crate::Event::Dropped).
    #[must_use]
    pub fn volatile(self) -> Self {
        Outgoing { volatile: true, ..self }
    }

    /// Sends the message as it is where [`deflate`](crate::Config::deflate) is on. For one that has a
    /// secret in it, next to or after something that others choose: how well the two compress together
    /// tells those who see its length whether they are alike. A `session-resume` is sent like this.
    #[must_use]
    pub fn uncompressed(self) -> Self {
        Outgoing { uncompressed: true, ..self }
    }

    /// Its own time to live, if it has one.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Whether it is [volatile](Self::volatile).
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Whether it is to be sent [uncompressed](Self::uncompressed).
    pub fn is_uncompressed(&self) -> bool {
        self.uncompressed
    }

    /// The same message with another payload.
    #[cfg(feature = "trace")]
    pub(crate) fn with_frame(self, frame: Frame) -> Self {
        Outgoing { frame, ..self }
    }

    /// The message, as it goes out: a text or binary one.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The message, as it goes out.
    pub fn into_frame(self) -> Frame {
        self.frame
    }

    /// The payload's length in bytes; what the outbox counts.
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// Whether the payload is empty; JSON never is.
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }
}

/// A message that could not be taken. It is in here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The outbox is full, and its policy is to refuse. Try again when it has drained.
    #[error(
        "the outbox is full; wait until it has drained, or raise outbox_max_messages or \
         outbox_max_bytes"
    )]
    Full(Outgoing),
    /// No outbox of this size can ever take it.
    #[error("a message of {} bytes is larger than outbox_max_bytes", .0.len())]
    TooLarge(Outgoing),
    /// The message is [volatile](Outgoing::volatile), and can't leave at once.
    #[error("a volatile message can't be sent now; there is no open connection with room for it")]
    NotNow(Outgoing),
    /// A [`shutdown`](crate::Client::shutdown) is under way; `connect` takes it back.
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

    /// The message, as it would have gone out.
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
