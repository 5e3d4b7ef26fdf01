//! Redaction: stand-ins of equal length in place of secrets, so that a recording without them
//! still replays.
//!
//! In doubt it withholds: a part that it can't follow is replaced as a whole.

mod json;
mod names;
mod stream;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use self::stream::StreamRedactor;
use super::Header;
use super::format::Payload;
use crate::reason::Redirect;
use crate::{CloseReason, Frame, Input, Url};

/// The byte that replaces each byte of a secret.
const STAND_IN: u8 = b'x';

fn stand_in(secret: &str) -> String {
    "x".repeat(secret.len())
}

/// Replaces the secrets in a machine's inputs.
pub(super) struct Redactor {
    /// The byte stream of the latest connection.
    stream: StreamRedactor,
}

impl Redactor {
    /// Replaces the secrets in `header`.
    pub(super) fn new(header: &mut Header) -> Self {
        let config = &mut header.config;
        for (_, value) in &mut config.headers {
            *value = stand_in(value);
        }
        for url in core::iter::once(&mut config.url).chain(&mut config.fallback_urls) {
            *url = redact_query(url).into();
        }
        if let Some(session) = &mut header.session {
            session.token = stand_in(&session.token);
        }
        Redactor { stream: StreamRedactor::default() }
    }

    pub(super) fn input(&mut self, input: Input<Payload>) -> Input<Payload> {
        match input {
            Input::Send(message) => {
                let redacted = redact_frame(message.frame().clone());
                Input::Send(message.with_frame(redacted))
            }
            Input::Credentials { conn, mut credentials } => {
                for (_, value) in &mut credentials.headers {
                    // The stand-in of an invalid header value is invalid too.
                    let stand_in = |c| if matches!(c, '\t' | ' '..='~') { 'x' } else { '\u{1}' };
                    *value = value.chars().map(stand_in).collect();
                }
                credentials.token = credentials.token.map(|token| stand_in(&token));
                Input::Credentials { conn, credentials }
            }
            Input::Received { conn, payload } => {
                Input::Received { conn, payload: self.payload(payload) }
            }
            Input::Opened { conn } => {
                self.stream = StreamRedactor::default();
                Input::Opened { conn }
            }
            Input::Closing { conn, reason } => {
                Input::Closing { conn, reason: redact_redirect(reason) }
            }
            Input::Closed { conn, reason } => {
                Input::Closed { conn, reason: redact_redirect(reason) }
            }
            other => other,
        }
    }

    fn payload(&mut self, payload: Payload) -> Payload {
        match payload {
            Payload::Frame(frame) => Payload::Frame(redact_frame(frame)),
            Payload::Bytes(bytes) => {
                let mut bytes = Vec::from(bytes);
                self.stream.redact(&mut bytes);
                Payload::Bytes(Bytes::from(bytes))
            }
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// The URL with stand-ins for the values in its query.
fn redact_query(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else { return url.into() };
    let query: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => [name, "=", &stand_in(value)].concat(),
            None => stand_in(pair),
        })
        .collect();
    [address, "?", &query.join("&")].concat()
}

/// The reason with stand-ins in the query of the URL that it redirects to.
fn redact_redirect(mut reason: CloseReason) -> CloseReason {
    if let CloseReason::Http { redirect, .. } = &mut reason {
        *redirect = redirect.take().and_then(|redirect| {
            let to = Url::parse(&redact_query(redirect.to.as_str())).ok()?;
            Some(Box::new(Redirect { to, ..*redirect }))
        });
    }
    reason
}

/// Replaces the secrets in a text. Other payloads are not JSON.
fn redact_frame(frame: Frame) -> Frame {
    match frame {
        Frame::Text(text) => Frame::Text(json::redact_text(text)),
        other => other,
    }
}
