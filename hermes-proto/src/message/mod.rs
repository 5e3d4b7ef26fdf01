//! The gateway's messages: JSON objects, routed by their `type`.
//!
//! A message is read once. An event keeps the text, and the positions of the documented fields in
//! it; an accessor decodes a field on demand. So the event is small, costs no allocation, and has
//! the whole object as it arrived.

mod binary;
mod envelope;
mod member;
pub(crate) mod route;
mod scan;
mod span;

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

pub use self::binary::Binary;
pub(crate) use self::member::ObjectEnd;
#[cfg(feature = "std")]
pub(crate) use self::scan::unescaped_len;
use self::span::Span;
use crate::Text;
use crate::session::PackedSession;

/// A received message: any JSON value.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Object {
    json: Text,
    /// The positions of the type's documented fields (of `type` itself, for [`Unhandled`]).
    fields: [Span; 2],
}

impl Object {
    /// As [`Span::decode`].
    fn field(&self, index: usize) -> Option<Cow<'_, str>> {
        self.fields.get(index)?.decode(&self.json)
    }
}

/// Declares the type of a message with its two documented fields.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $(#[$first_doc:meta])* $first:ident, $(#[$second_doc:meta])* $second:ident }) => {
        $(#[$doc])*
        ///
        /// A field is a string's content, the JSON text of any other value, or `None` if it is missing
        /// or `null`: a field of an unexpected type does not lose the message.
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Object);

        impl $name {
            $(#[$first_doc])*
            pub fn $first(&self) -> Option<Cow<'_, str>> {
                self.0.field(0)
            }

            $(#[$second_doc])*
            pub fn $second(&self) -> Option<Cow<'_, str>> {
                self.0.field(1)
            }

            /// The whole object as it arrived, valid JSON.
            pub fn json(&self) -> &Text {
                &self.0.json
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0.json).finish()
            }
        }
    };
}

/// The longest field of a session that is kept, in bytes of JSON. A session stays in memory for the
/// client's life, so `max_message_bytes` is no bound for it.
const MAX_SESSION_FIELD: usize = 8 << 10;

/// `session-init`: the gateway issued a session, or acknowledged the one that was resumed.
///
/// Its fields are as in the other messages. A session whose token or client id has more than 8 KiB of
/// JSON is not kept or resumed; a [`Warning`](crate::Event::Warning) precedes its event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionInit {
    object: Object,
    resumed: bool,
}

impl SessionInit {
    /// The secret that resumes the session.
    pub fn token(&self) -> Option<Cow<'_, str>> {
        self.object.field(0)
    }

    /// The client's identity at the gateway.
    pub fn client_id(&self) -> Option<Cow<'_, str>> {
        self.object.field(1)
    }

    /// Whether it is the session that the connection offered, or the one that it has: it has the same
    /// client id, or the same token if one of them has no client id. Otherwise it is a new one.
    ///
    /// A new session is the loss of the gateway's state of the old one only if no `session-init` that is
    /// resumed follows: over a long way the gateway issues a fresh session before the
    /// `session-resume` arrives.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The whole object as it arrived, valid JSON.
    pub fn json(&self) -> &Text {
        &self.object.json
    }

    /// Compares it with the sessions before: it resumes one if it is that one's.
    pub(crate) fn compare<'a>(&mut self, mut before: impl Iterator<Item = &'a PackedSession>) {
        let client_id = self.exact_client_id();
        self.resumed = self.is_small()
            && before.any(|before| match (&client_id, before.client_id()) {
                (Some(id), Some(before)) => id == before,
                _ => self.token().is_some_and(|token| token == before.token()),
            });
    }

    /// The token and client id to keep, exactly as they came. A session without a token can't be kept;
    /// one without a client id can.
    pub(crate) fn session(&self) -> Option<(String, Option<String>)> {
        if !self.is_small() {
            return None;
        }
        let token = self.object.fields[0].exact_string(&self.object.json)?;
        (!token.is_empty()).then(|| (token, self.exact_client_id()))
    }

    /// The reason for which [`session`](Self::session) lacks a field that came.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let [token, client_id] = self.object.fields;
        let json = &*self.object.json;
        let is_lost =
            |field: Span| field.decode(json).is_some() && field.exact_string(json).is_none();
        if !self.is_small() {
            return Some("the session is not kept: its token or client id is larger than 8 KiB");
        }
        if is_lost(token) {
            return Some("the session is not kept: its token is not a string of Unicode text");
        }
        is_lost(client_id).then_some(
            "the session is kept without its client id, which is not a string of Unicode text",
        )
    }

    fn exact_client_id(&self) -> Option<String> {
        self.object.fields[1].exact_string(&self.object.json)
    }

    /// Whether its fields are small enough to be kept.
    fn is_small(&self) -> bool {
        let is_small = |field: Span| field.len() <= MAX_SESSION_FIELD;
        self.object.fields.into_iter().all(is_small)
    }
}

impl fmt::Debug for SessionInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionInit").field(&self.object.json).field(&self.resumed).finish()
    }
}

message! {
    /// `chat` or `chat-message`.
    Chat {
        /// The text.
        text,
        /// The name of its sender.
        sender
    }
}

message! {
    /// `status-update`: the state of an agent.
    StatusUpdate {
        /// The status.
        status,
        /// The agent.
        agent
    }
}

message! {
    /// `pr-notification`: an event of a pull request.
    PrNotification {
        /// The action, such as `opened`.
        action,
        /// The pull request: JSON text if it is an object.
        pr
    }
}

message! {
    /// `player-joined`.
    PlayerJoined {
        /// The player's id.
        id,
        /// The player's name.
        name
    }
}

message! {
    /// `player-left`.
    PlayerLeft {
        /// The player's id.
        id,
        /// The player's name.
        name
    }
}

/// Valid JSON without a route: an object with an unknown `type` or none, or another value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Unhandled(Object);

impl Unhandled {
    /// The `type`: a string's content, or the JSON text of any other value.
    pub fn kind(&self) -> Option<Cow<'_, str>> {
        self.0.field(0)
    }

    /// The whole value as it arrived, valid JSON.
    pub fn json(&self) -> &Text {
        &self.0.json
    }
}

impl fmt::Debug for Unhandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unhandled").field(&self.0.json).finish()
    }
}
