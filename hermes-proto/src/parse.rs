//! Messages as types of the application.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};

use serde::Deserialize;

use crate::{Event, Text};

/// A message that could not be parsed as the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The event is no message with JSON, such as a lost connection.
    #[error("{event} is no message with JSON")]
    NoJson {
        /// The event's name.
        event: &'static str,
    },
    /// The message does not have the type's shape.
    #[error("{event}{}: {problem}", of_type(.kind.as_deref()))]
    Mismatch {
        /// The event's name.
        event: &'static str,
        /// The message's `type`, if the event is [`Unhandled`](Event::Unhandled).
        kind: Option<String>,
        /// The fault, with its line and column in the message.
        problem: String,
    },
}

fn of_type(kind: Option<&str>) -> String {
    kind.map(|kind| alloc::format!(" of type {kind:?}")).unwrap_or_default()
}

impl Event {
    /// The JSON of a message from the gateway, as it arrived; `None` for any other event.
    pub fn json(&self) -> Option<&Text> {
        Some(match self {
            Event::SessionInit(message) => message.json(),
            Event::Chat(message) => message.json(),
            Event::StatusUpdate(message) => message.json(),
            Event::PrNotification(message) => message.json(),
            Event::PlayerJoined(message) => message.json(),
            Event::PlayerLeft(message) => message.json(),
            Event::Unhandled(message) => message.json(),
            _ => return None,
        })
    }

    /// A message from the gateway as a type of the application, for example an enum of its own
    /// messages:
    ///
    /// ```
    /// # use hermes_proto::Event;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// #[serde(tag = "type", rename_all = "kebab-case")]
    /// enum Message<'a> {
    ///     Chat { text: &'a str },
    ///     Weather { celsius: f64 },
    /// }
    ///
    /// fn show(event: &Event) {
    ///     match event.parse() {
    ///         Ok(Message::Chat { text }) => println!("{text}"),
    ///         Ok(Message::Weather { celsius }) => println!("{celsius} °C"),
    ///         Err(error) => println!("{error}"),
    ///     }
    /// }
    /// # #[cfg(feature = "testkit")]
    /// # {
    /// # let event = hermes_proto::testkit::event(r#"{"type":"weather","celsius":21.5}"#).unwrap();
    /// # assert!(matches!(event.parse(), Ok(Message::Weather { celsius: 21.5 })));
    /// # show(&event);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the event is no message with JSON, or the JSON does not have the type's shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ParseError> {
        let event = self.name();
        let Some(json) = self.json() else { return Err(ParseError::NoJson { event }) };
        serde_json::from_str(json).map_err(|error| {
            let kind = match self {
                Event::Unhandled(message) => message.kind().map(|kind| (*kind).to_owned()),
                _ => None,
            };
            ParseError::Mismatch { event, kind, problem: error.to_string() }
        })
    }
}
