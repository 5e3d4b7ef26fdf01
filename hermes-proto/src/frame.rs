//! Frames, which a client and a WebSocket exchange.

use alloc::string::String;

use bytes::Bytes;

use crate::Text;

/// A WebSocket message or control frame (RFC 6455 §5.4, §5.5), reassembled and unmasked.
///
/// A Close frame is not among them: a connection's end is an
/// [`Input::Closing`](crate::Input::Closing) or an [`Input::Closed`](crate::Input::Closed).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Frame {
    /// A text message. The Hermes gateway sends only these.
    Text(Text),
    /// A binary message. A received one becomes an [`Event::Binary`](crate::Event::Binary);
    /// an application sends one with [`Outgoing::binary`](crate::Outgoing::binary).
    Binary(Bytes),
    /// A Ping, with at most 125 bytes. Its receiver answers with a Pong. A host's own WebSocket
    /// usually does that by itself, and need not hand the Ping on.
    Ping(Bytes),
    /// A Pong, with at most 125 bytes.
    Pong(Bytes),
}

impl Frame {
    /// The payload's length in bytes, without any framing.
    pub fn len(&self) -> usize {
        match self {
            Frame::Text(text) => text.len(),
            Frame::Binary(data) | Frame::Ping(data) | Frame::Pong(data) => data.len(),
        }
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A text message's text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Frame::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A frame to send, with a borrowed payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FrameRef<'a> {
    pub(crate) kind: Kind,
    /// The payload of a text is UTF-8. It is bytes, so that sending does not validate it again.
    pub(crate) payload: &'a [u8],
    /// Whether a message may be [compressed](crate::Outgoing::uncompressed). Control frames never
    /// are (RFC 7692 §6.1).
    pub(crate) is_compressible: bool,
}

/// The kind of a frame that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Text,
    Binary,
    Ping,
    Pong,
}

impl<'a> FrameRef<'a> {
    pub(crate) fn new(kind: Kind, payload: &'a [u8]) -> Self {
        FrameRef { kind, payload, is_compressible: true }
    }

    pub(crate) fn of(frame: &'a Frame) -> Self {
        match frame {
            Frame::Text(text) => FrameRef::new(Kind::Text, text.as_bytes()),
            Frame::Binary(payload) => FrameRef::new(Kind::Binary, payload),
            Frame::Ping(payload) => FrameRef::new(Kind::Ping, payload),
            Frame::Pong(payload) => FrameRef::new(Kind::Pong, payload),
        }
    }

    pub(crate) fn to_frame(self) -> Frame {
        let FrameRef { kind, payload, .. } = self;
        match kind {
            // Lossless: the payload is UTF-8.
            Kind::Text => Frame::Text(Text::from(&*String::from_utf8_lossy(payload))),
            Kind::Binary => Frame::Binary(Bytes::copy_from_slice(payload)),
            Kind::Ping => Frame::Ping(Bytes::copy_from_slice(payload)),
            Kind::Pong => Frame::Pong(Bytes::copy_from_slice(payload)),
        }
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Frame::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Frame::Binary(data) => write!(f, "Binary({} bytes)", data.len()),
            Frame::Ping(data) => f.debug_tuple("Ping").field(data).finish(),
            Frame::Pong(data) => f.debug_tuple("Pong").field(data).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_the_payloads() {
        for (frame, len) in [
            (Frame::Text("é".into()), 2),
            (Frame::Binary(Bytes::from_static(&[0; 3])), 3),
            (Frame::Ping(Bytes::from_static(&[0; 125])), 125),
            (Frame::Pong(Bytes::new()), 0),
        ] {
            assert_eq!((frame.len(), frame.is_empty()), (len, len == 0), "{frame:?}");
        }
        let message = |text: &str| crate::Outgoing::text(text);
        assert_eq!((message("é").len(), message("é").is_empty()), (2, false));
        assert_eq!((message("").len(), message("").is_empty()), (0, true));
    }
}
