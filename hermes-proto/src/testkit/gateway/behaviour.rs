//! The behaviour of the gateway, as plain data.

use alloc::string::String;
use core::time::Duration;

/// How a [`Gateway`](super::Gateway) behaves. By default well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// The response to a new connection.
    pub accept: ConnectResponse,
    /// Whether it reads. While it does not, the buffers of each connection fill up.
    pub reads: bool,
    /// Bytes that it reads per second on each connection. Default: no limit.
    pub read_rate: Option<u64>,
    /// Time that it takes for each text message, in which it reads nothing more of that
    /// connection. Default: none.
    pub processing: Duration,
    /// Whether it sends anything at all.
    pub answers: bool,
    /// How it answers Pings.
    pub pongs: PongMode,
    /// Whether it resumes sessions. If not, each connection gets a new session.
    pub resumes: bool,
    /// Time that a new connection has for its first message, before it gets a new session. A
    /// `session-resume` that is later resumes too. Default: 200 ms.
    pub resume_grace: Duration,
    /// Whether it relays chats to the other clients.
    pub relays: bool,
    /// Whether it relays a client's chats to that client too.
    pub echoes: bool,
    /// Whether it also sends wrong things at random: texts that are not JSON, invalid sessions,
    /// Pongs for Pings that were never sent or were answered before, frames that violate the
    /// protocol.
    pub byzantine: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            accept: ConnectResponse::Yes,
            reads: true,
            read_rate: None,
            processing: Duration::ZERO,
            answers: true,
            pongs: PongMode::Prompt,
            resumes: true,
            resume_grace: Duration::from_millis(200),
            relays: true,
            echoes: false,
            byzantine: false,
        }
    }
}

/// How a [`Gateway`](super::Gateway) answers Pings (RFC 6455 §5.5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PongMode {
    /// With their payload, at once.
    #[default]
    Prompt,
    /// With their payload, this much later.
    Late(Duration),
    /// With an empty payload.
    Empty,
    /// With a payload of its own.
    Foreign,
    /// Never.
    Never,
}

/// The response of a [`Gateway`](super::Gateway) to a new connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectResponse {
    /// It is accepted, upgraded, and served.
    #[default]
    Yes,
    /// It is refused at once, as on a port without a listener.
    Refuse,
    /// It is never answered.
    Ignore,
    /// The upgrade is answered with an HTTP status.
    Status {
        /// The status.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// The upgrade is redirected (RFC 9110 §15.4), and accepted if it asks for the target of the
    /// redirect. Endpoints follow if [`max_redirects`](crate::Config::max_redirects) allows it.
    Redirect {
        /// The status: 301, 302, 307 or 308.
        code: u16,
        /// `Location`: a URL, or a path.
        to: String,
    },
    /// The upgrade is accepted, and then the connection ends without a Close frame.
    EndAfterUpgrade,
    /// The upgrade is accepted, and then the connection is closed with this code.
    Close(u16),
    /// A server of another protocol answers.
    NotHttp,
}
