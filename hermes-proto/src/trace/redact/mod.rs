//! Redaction: stand-ins of equal length in place of secrets, so that a recording without them
//! still replays.
//!
//! In doubt it withholds: a part that it can't follow is replaced as a whole.

mod json;
mod names;
mod stand_in;
mod stream;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

pub use self::names::{SECRET_NAME_PARTS, SECRET_NAME_WORDS, is_secret_name};
use self::stand_in::{STAND_IN, stand_in};
use self::stream::StreamRedactor;
use super::format::Payload;
use super::header::Header;
use crate::reason::Redirect;
use crate::{CloseReason, Frame, Input, StoredMessage, Url};

/// Replaces the secrets in a machine's inputs.
pub(super) struct Redactor {
    /// The byte stream of the latest connection.
    stream: StreamRedactor,
}

impl Redactor {
    /// Replaces the secrets in `header`.
    pub(super) fn new(header: &mut Header) -> Self {
        header.redacted = true;
        let config = &mut header.config;
        for (_, value) in &mut config.headers {
            *value = stand_in(value);
        }
        for url in core::iter::once(&mut config.url).chain(&mut config.fallback_urls) {
            *url = redact_url(url).into();
        }
        redact_subprotocols(&mut config.subprotocols);
        if let Some(session) = &mut header.session {
            session.token = stand_in(&session.token);
        }
        if let Some(outbox) = &mut header.outbox {
            outbox.messages.iter_mut().for_each(redact_stored);
        }
        Redactor { stream: StreamRedactor::default() }
    }

    pub(super) fn input(&mut self, input: Input<Payload>) -> Input<Payload> {
        match input {
            Input::Send(message) => {
                let redacted = redact_frame(message.frame().clone());
                Input::Send(message.with_frame(redacted))
            }
            Input::Loaded { mut messages, has_more } => {
                messages.iter_mut().for_each(redact_stored);
                Input::Loaded { messages, has_more }
            }
            Input::SetSession(mut session) => {
                session.token = stand_in(&session.token);
                Input::SetSession(session)
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
                Input::Closing { conn, reason: redact_reason(reason) }
            }
            Input::Closed { conn, reason } => Input::Closed { conn, reason: redact_reason(reason) },
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

/// Tokens travel in the names of subprotocols. The stand-ins are of equal length and differ.
fn redact_subprotocols(names: &mut [String]) {
    for index in 0..names.len() {
        let (before, rest) = names.split_at_mut(index);
        let Some(name) = rest.first_mut() else { return };
        let len = name.len();
        let suffixes = (0_u32..).map(|n| if n == 0 { String::new() } else { n.to_string() });
        let mut candidates = suffixes.map(|suffix| {
            let suffix: String = suffix.chars().take(len).collect();
            "x".repeat(len - suffix.len()) + &suffix
        });
        if let Some(unique) = candidates.by_ref().take(1_000).find(|name| !before.contains(name)) {
            *name = unique;
        }
    }
}

/// The URL with stand-ins for its userinfo, the values in its query, and its fragment.
fn redact_url(url: &str) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, None), |(url, f)| (url, Some(f)));
    let (address, query) = url.split_once('?').map_or((url, None), |(a, query)| (a, Some(query)));
    let mut redacted = redact_userinfo(address);
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) => [name, "=", &stand_in(value)].concat(),
            None => stand_in(pair),
        });
        redacted = [redacted, pairs.collect::<Vec<_>>().join("&")].join("?");
    }
    if let Some(fragment) = fragment {
        redacted = [redacted, stand_in(fragment)].join("#");
    }
    redacted
}

fn redact_userinfo(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("//") else { return address.into() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((userinfo, host)) = authority.rsplit_once('@') else { return address.into() };
    [scheme, "//", &stand_in(userinfo), "@", host, path].concat()
}

/// The reason with stand-ins in the URL that it redirects to, for the body of a gateway's refusal,
/// and for the words of a proxy, which may have a body in them.
fn redact_reason(mut reason: CloseReason) -> CloseReason {
    match &mut reason {
        CloseReason::Http { redirect, body, .. } => {
            *redirect = redirect.take().and_then(|redirect| {
                let to = Url::parse(&redact_url(redirect.to.as_str())).ok()?;
                Some(Box::new(Redirect { to, ..*redirect }))
            });
            *body = body.take().map(|body| stand_in(&body).into());
        }
        CloseReason::Proxy { text, .. } => *text = stand_in(text).into(),
        _ => {}
    }
    reason
}

/// A stored message has the secrets of one that is sent.
fn redact_stored(stored: &mut StoredMessage) {
    let redacted = redact_frame(stored.message.frame().clone());
    stored.message = stored.message.clone().with_frame(redacted);
}

/// Replaces the secrets in a text, and a binary message as a whole. Pings and Pongs have none.
fn redact_frame(frame: Frame) -> Frame {
    match frame {
        Frame::Text(text) => Frame::Text(json::redact_text(text)),
        Frame::Binary(data) => Frame::Binary(Vec::from_iter(data.iter().map(|_| STAND_IN)).into()),
        control => control,
    }
}
