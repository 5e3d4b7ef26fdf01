//! What the application sends.

use alloc::string::{String, ToString};
use core::time::Duration;

use serde::Serialize;
use serde::de::{Deserialize, IgnoredAny};

use crate::Text;

/// A message on its way out: text that is known to be JSON.
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
    text: Text,
    ttl: Option<Duration>,
    volatile: bool,
}

impl Outgoing {
    /// Writes a message as JSON.
    ///
    /// # Errors
    ///
    /// [`SendError::Serialize`], where its `Serialize` fails.
    pub fn new<T: Serialize + ?Sized>(message: &T) -> Result<Self, SendError> {
        match serde_json::to_string(message) {
            Ok(json) => Ok(Outgoing::text_is_json(json.into())),
            Err(error) => Err(SendError::Serialize(error.to_string())),
        }
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
            Ok(()) => Ok(Outgoing::text_is_json(text)),
            Err(error) => Err(SendError::NotJson(text, error.to_string())),
        }
    }

    fn text_is_json(text: Text) -> Self {
        Outgoing { text, ttl: None, volatile: false }
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

    /// Its own time to live, if it has one.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Whether it is [volatile](Self::volatile).
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// The same message with another text, which is JSON; else with `null`.
    #[cfg(feature = "trace")]
    pub(crate) fn with_text(self, text: Text) -> Self {
        let text = Outgoing::from_json(text).map_or_else(|_| "null".into(), Outgoing::into_text);
        Outgoing { text, ..self }
    }

    /// The JSON.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// The JSON.
    pub fn into_text(self) -> Text {
        self.text
    }

    /// The JSON's length in bytes; what the outbox counts.
    #[allow(clippy::len_without_is_empty)] // JSON is never empty.
    pub fn len(&self) -> usize {
        self.text.len()
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
    /// The message's text.
    pub fn into_text(self) -> Option<Text> {
        match self {
            SendError::Full(message)
            | SendError::TooLarge(message)
            | SendError::NotNow(message)
            | SendError::ShuttingDown(message) => Some(message.into_text()),
            SendError::NotJson(text, _) => Some(text),
            SendError::Serialize(_) => None,
        }
    }
}
