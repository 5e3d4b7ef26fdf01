//! Answers to the upgrade request, good and bad, as we take them and as tungstenite does.

use hermes_proto::reason::UpgradeError;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Url};
use tungstenite::error::{Error, ProtocolError, SubProtocolError};
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::{ClientHandshake, Request, Response};
use tungstenite::handshake::machine::TryParse;

use super::SEED;
use super::verdict::Stream;
use crate::dsl::actions::{URL, config};

/// The largest header, for us.
pub const MAX_HEADER: usize = 1_000;
/// What is asked for, if anything is.
pub const SUBPROTOCOLS: [&str; 2] = ["hermes.v2", "hermes.v1"];

const END_OF_HEADER: &[u8] = b"\r\n\r\n";

/// Where we differ, on purpose.
pub struct Difference {
    is_met: fn(&Answer<'_>, ours: &End, theirs: &End) -> bool,
    /// Who is right.
    pub why: &'static str,
}

/// All there are.
pub const DIFFERENCES: [Difference; 11] = [
    Difference {
        is_met: |answer, ours, _| *ours == failed(UpgradeError::NotHttp) && !answer.begins_well(),
        why: "A peer of another kind is told by its first wrong byte, an empty line in front of \
              the answer included. Tungstenite waits for more, and skips empty lines.",
    },
    Difference {
        is_met: |answer, ours, _| {
            let most = answer.0.len() + END_OF_HEADER.len();
            *ours == failed(UpgradeError::HeaderTooLarge) && most >= MAX_HEADER
        },
        why: "We have a limit of our own.",
    },
    Difference {
        is_met: |answer, _, theirs| {
            *theirs == failed(UpgradeError::NotHttp) && answer.lines() > 124
        },
        why: "Tungstenite takes no more than 124 lines. Our limit is in bytes.",
    },
    Difference {
        is_met: |answer, ours, theirs| {
            matches!(ours, End::Refused(_))
                && *theirs == failed(UpgradeError::NotHttp)
                && answer.0.starts_with(b"HTTP/1.0 ")
        },
        why: "An old server that says no is told from one that makes no sense.",
    },
    Difference {
        is_met: |answer, ours, theirs| {
            *theirs == failed(UpgradeError::NoConnectionUpgrade)
                && *ours != *theirs
                && answer.all("connection").any(|value| {
                    value.split(',').any(|token| {
                        token.trim_matches([' ', '\t']).eq_ignore_ascii_case("upgrade")
                    })
                })
        },
        why: "RFC 9110 §7.6.1: `Connection` is a list. Tungstenite takes `Upgrade` alone.",
    },
    Difference {
        is_met: |answer, ours, _| {
            let name = match ours {
                End::Failed(UpgradeError::NoUpgrade) => "upgrade",
                End::Failed(UpgradeError::AcceptMismatch) => "sec-websocket-accept",
                End::Failed(UpgradeError::UnexpectedSubprotocol) => "sec-websocket-protocol",
                _ => return false,
            };
            answer.all(name).count() > 1
        },
        why: "RFC 6455 §11.3: these come once. Tungstenite takes the first.",
    },
    Difference {
        is_met: |answer, ours, _| {
            *ours == failed(UpgradeError::UnexpectedExtension)
                && answer.all("sec-websocket-extensions").next().is_some()
        },
        why: "RFC 6455 §4.1: an extension that nobody asked for fails the connection. Tungstenite \
              has that on its list.",
    },
    Difference {
        is_met: |answer, ours, theirs| {
            *theirs == End::Failed(UpgradeError::UnexpectedSubprotocol)
                && matches!(ours, End::Open { subprotocol: None, .. })
                && answer.all("sec-websocket-protocol").next().is_none()
        },
        why: "RFC 6455 §4.2.2: a server need not choose any of the subprotocols. Tungstenite \
              insists.",
    },
    Difference {
        is_met: |answer, ours, theirs| {
            *ours == failed(UpgradeError::BadLocation)
                && matches!(theirs, End::Refused(301 | 302 | 307 | 308))
                && answer.all("location").next().is_some()
        },
        why: "Tungstenite does not look where a redirect leads.",
    },
    Difference {
        is_met: |answer, _, theirs| *theirs == failed(UpgradeError::NotHttp) && answer.has_fold(),
        why: "RFC 9112 §5.2: a client reads a folded line as one line. Tungstenite fails.",
    },
    Difference {
        is_met: |answer, ours, theirs| {
            *ours == failed(UpgradeError::Tls)
                && matches!(theirs, End::Waiting | End::Failed(UpgradeError::NotHttp))
                && matches!(answer.0, [0x15 | 0x16, ..])
        },
        why: "We say that a peer speaks TLS. To tungstenite it makes no sense.",
    },
];

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Nothing yet.
    Waiting,
    /// An open connection.
    Open {
        /// How long the answer is.
        bytes: usize,
        /// What the server chose.
        subprotocol: Option<String>,
    },
    /// Another status than 101.
    Refused(u16),
    /// No answer that could be one.
    Failed(UpgradeError),
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// We agree.
    Same(End),
    /// One of the [`DIFFERENCES`].
    Differs(usize),
}

/// Lets both read an answer: us in these pieces and whole. `asks` is whether we asked for
/// subprotocols.
///
/// # Errors
///
/// Where they come to different ends.
pub fn compare(asks: bool, pieces: &[&[u8]]) -> Result<Verdict, String> {
    // What does not change is made once: a fuzzer comes here often.
    thread_local! {
        static BEGUN: [(Connection, Request); 2] = [false, true].map(begin);
    }
    let (conn, request) = BEGUN.with(|begun| begun[usize::from(asks)].clone());
    let bytes = pieces.concat();
    let end = ours(&conn, pieces);
    let whole = ours(&conn, &[&bytes]);
    if end != whole {
        return Err(format!("{end:?} in pieces, {whole:?} as a whole"));
    }
    // Tungstenite has never heard of interim answers (RFC 9110 §15.2): it need not.
    let interim = interim(&bytes);
    let answer = Answer(&bytes[interim..]);
    let theirs = theirs(request, answer.0);
    let ours = match end {
        End::Open { bytes, subprotocol } => End::Open { bytes: bytes - interim, subprotocol },
        // We look at a header when it is whole.
        End::Waiting if theirs != End::Waiting => ours(&conn, &[&bytes, END_OF_HEADER]),
        end => end,
    };
    if let Some(difference) = DIFFERENCES.iter().position(|d| (d.is_met)(&answer, &ours, &theirs)) {
        return Ok(Verdict::Differs(difference));
    }
    if ours == theirs {
        return Ok(Verdict::Same(ours));
    }
    Err(format!("{ours:?}, and tungstenite: {theirs:?}"))
}

fn failed(error: UpgradeError) -> End {
    End::Failed(error)
}

/// An answer, and what may follow it.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn begins_well(&self) -> bool {
        let is = |start: &[u8]| self.0.iter().zip(start).all(|(a, b)| a == b);
        is(b"HTTP/1.1 ") || is(b"HTTP/1.0 ")
    }

    fn has_fold(&self) -> bool {
        self.0.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t']))
    }

    fn lines(&self) -> usize {
        self.0.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The values of a header, one for each time it is there.
    fn all(&self, name: &str) -> impl Iterator<Item = String> {
        let parsed = Response::try_parse(self.0).ok().flatten();
        let headers = parsed.map(|(_, response)| response.headers().clone()).unwrap_or_default();
        let values: Vec<_> = headers.get_all(name).iter().cloned().collect();
        values.into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

/// How long the interim answers at the beginning are.
fn interim(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Ok(Some((size, response))) = Response::try_parse(rest)
        && rest.starts_with(b"HTTP/1.1 ")
        && size < MAX_HEADER
        && response.status().is_informational()
        && response.status() != 101
    {
        rest = &rest[size..];
    }
    bytes.len() - rest.len()
}

fn ours(conn: &Connection, pieces: &[&[u8]]) -> End {
    let mut conn = conn.clone();
    let mut before = 0;
    for piece in pieces {
        let mut rest = *piece;
        match conn.receive(&mut rest) {
            None => before += piece.len(),
            Some(Event::Open) => {
                let bytes = before + piece.len() - rest.len();
                return End::Open { bytes, subprotocol: conn.subprotocol().map(str::to_owned) };
            }
            Some(Event::Failed(CloseReason::Http { status, redirect, .. })) => {
                if let Some(redirect) = redirect {
                    let to = redirect.to.as_str();
                    assert_eq!(Url::parse(to).as_ref(), Ok(&redirect.to), "a redirect is a URL");
                }
                return End::Refused(status);
            }
            Some(Event::Failed(CloseReason::Upgrade { error })) => return End::Failed(error),
            Some(other) => panic!("{other:?}"),
        }
    }
    // A refusal whose body is still to come.
    match conn.transport_closed() {
        Some(Event::Failed(CloseReason::Http { status, .. })) => End::Refused(status),
        Some(other) => panic!("{other:?}"),
        None => End::Waiting,
    }
}

fn theirs(request: Request, bytes: &[u8]) -> End {
    let shake = ClientHandshake::start(Stream(bytes), request, None).expect("it is a request");
    let error = match shake.handshake() {
        Ok((_, response)) => {
            let size = Response::try_parse(bytes).ok().flatten().map(|(size, _)| size);
            let chosen = response.headers().get("sec-websocket-protocol");
            let subprotocol = chosen.and_then(|value| value.to_str().ok()).map(str::to_owned);
            return End::Open { bytes: size.unwrap_or_default(), subprotocol };
        }
        Err(HandshakeError::Interrupted(_)) => return End::Waiting,
        Err(HandshakeError::Failure(error)) => error,
    };
    End::Failed(match error {
        Error::Http(response) => return End::Refused(response.status().as_u16()),
        Error::Protocol(ProtocolError::MissingUpgradeWebSocketHeader) => UpgradeError::NoUpgrade,
        Error::Protocol(ProtocolError::MissingConnectionUpgradeHeader) => {
            UpgradeError::NoConnectionUpgrade
        }
        Error::Protocol(ProtocolError::SecWebSocketAcceptKeyMismatch) => {
            UpgradeError::AcceptMismatch
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol
            | SubProtocolError::InvalidSubProtocol
            | SubProtocolError::ServerSentSubProtocolNoneRequested,
        )) => UpgradeError::UnexpectedSubprotocol,
        // The name is not even ASCII.
        Error::Utf8(_) => UpgradeError::UnexpectedSubprotocol,
        _ => UpgradeError::NotHttp,
    })
}

/// A connection that waits for an answer, and its request as tungstenite would make it: with the
/// same headers, the key above all.
fn begin(asks: bool) -> (Connection, Request) {
    let subprotocols = SUBPROTOCOLS.iter().filter(|_| asks).map(|&name| name.to_owned()).collect();
    let config =
        Config { max_header_bytes: MAX_HEADER as u64, max_redirects: 1, subprotocols, ..config() };
    let mut conn = Connection::new(config, SEED).expect("the settings are fine");
    let text = std::str::from_utf8(conn.transmit()).expect("a request is ASCII");
    let mut request = Request::builder().uri(URL);
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let request = request.body(()).expect("our headers are headers");
    conn.transmitted(usize::MAX);
    (conn, request)
}
