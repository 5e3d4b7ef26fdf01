//! Against a WebSocket that we did not write: tungstenite's, as the server of random conversations.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Frame};
use hermes_tests::Rng;
use hermes_tests::config;
use hermes_tests::ws::*;
use tungstenite::handshake::server::{NoCallback, Request, Response};
use tungstenite::handshake::{HandshakeError, server::ServerHandshake};
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, frame};
use tungstenite::{Error, Message, WebSocket};

/// The server's end of a wire: what came, and what goes, in pieces of any size.
#[derive(Debug)]
struct Wire {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
    rng: Rng,
}

impl Wire {
    fn new(rng: Rng) -> Self {
        Wire { incoming: VecDeque::new(), outgoing: Vec::new(), rng }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() || self.rng.chance(10) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = 1 + self.rng.below(buffer.len());
        self.incoming.read(&mut buffer[..most])
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.rng.chance(10) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = 1 + self.rng.below(bytes.len());
        self.outgoing.write(&bytes[..most])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_blocked(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A client, a server, and all that each of them heard.
struct Pair {
    rng: Rng,
    client: Connection,
    server: WebSocket<Wire>,
    to_server: Vec<Message>,
    to_client: Vec<Event>,
    /// Why the server reads no more.
    over: Option<Error>,
}

impl Pair {
    /// Upgrades, in random pieces.
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut client =
            Connection::new(config(), [seed as u8; 32]).expect("the settings are fine");
        let mut shake = ServerHandshake::start(Wire::new(rng.clone()), NoCallback, None);
        let mut rounds = 0;
        let server = loop {
            // Tungstenite gives up on more than 64 small pieces.
            carry(&mut client, shake.get_mut().get_mut(), 20 + rng.below(200));
            shake = match shake.handshake() {
                Ok(server) => break server,
                Err(HandshakeError::Interrupted(shake)) => shake,
                Err(error) => panic!("{error}"),
            };
            rounds += 1;
            assert!(rounds < 1_000, "the handshake never ends");
        };
        let (to_server, to_client) = (Vec::new(), Vec::new());
        let mut pair = Pair { rng, client, server, to_server, to_client, over: None };
        pair.settle();
        assert_eq!(pair.to_client.remove(0), Event::Open);
        pair
    }

    /// Moves some of what waits.
    fn step(&mut self) {
        let most = *self.rng.pick(&[1, 10, 1_000, 100_000]);
        carry(&mut self.client, self.server.get_mut(), 1 + self.rng.below(most));
        if self.over.is_none() {
            let heard = self.server.read().map(|message| self.to_server.push(message));
            self.over = heard.err().filter(|error| !is_blocked(error));
        }
        // Even when all is read: a Close frame that was blocked is still in there.
        let flushed = self.server.flush().err().filter(|error| !is_blocked(error));
        self.over = self.over.take().or(flushed);
        let outgoing = &mut self.server.get_mut().outgoing;
        let n = outgoing.len().min(1 + self.rng.below(most));
        let bytes: Vec<u8> = outgoing.drain(..n).collect();
        self.to_client.extend(feed(&mut self.client, &bytes));
    }

    /// Moves all that waits.
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..1_000_000 {
            let before = (self.to_server.len(), self.to_client.len());
            self.step();
            let wire = self.server.get_ref();
            let moved = before != (self.to_server.len(), self.to_client.len())
                || !self.client.transmit().is_empty()
                || !wire.outgoing.is_empty()
                || !wire.incoming.is_empty() && self.over.is_none();
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet == 20 {
                return;
            }
        }
        panic!("it never ends");
    }

    fn serve(&mut self, message: Message) {
        let result = self.server.write(message);
        assert!(result.as_ref().err().is_none_or(is_blocked), "{result:?}");
    }

    /// A message of the server's, in random fragments, perhaps with Pings between them.
    fn serve_fragments(&mut self, is_text: bool, data: &[u8], pings: &mut Vec<Vec<u8>>) {
        let mut pieces = self.rng.pieces(data);
        if self.rng.chance(20) {
            pieces.push(&[]);
        }
        let last = pieces.len().saturating_sub(1);
        for (i, piece) in pieces.iter().enumerate() {
            let opcode = match i {
                0 if is_text => Data::Text,
                0 => Data::Binary,
                _ => Data::Continue,
            };
            let piece = piece.to_vec();
            self.serve(Message::Frame(frame::Frame::message(
                piece,
                OpCode::Data(opcode),
                i == last,
            )));
            if self.rng.chance(10) {
                pings.push(self.some_bytes(125));
                self.serve(Message::Ping(pings[pings.len() - 1].clone().into()));
            }
            if self.rng.chance(30) {
                self.step();
            }
        }
    }

    fn some_bytes(&mut self, most: usize) -> Vec<u8> {
        let n = self.rng.below(most + 1);
        self.rng.bytes(n)
    }
}

/// Takes up to `n` bytes off the client's hands.
fn carry(client: &mut Connection, wire: &mut Wire, n: usize) {
    let n = n.min(client.transmit().len());
    wire.incoming.extend(&client.transmit()[..n]);
    client.transmitted(n);
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}

/// Whether `few` are among `many`, in the same order.
fn in_order<T: PartialEq>(few: &[T], many: &[T]) -> bool {
    let mut many = many.iter();
    few.iter().all(|one| many.any(|other| other == one))
}

/// A random conversation both ways, which ends in silence.
fn converse(pair: &mut Pair) {
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    let (mut client_pings, mut server_pings) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let most = *pair.rng.pick(&[0, 5, 130, 1_000, 70_000]);
        match pair.rng.below(6) {
            0 => {
                let n = pair.rng.below(most + 1);
                let text = pair.rng.text(n);
                from_client.push(Message::text(text.clone()));
                assert!(pair.client.send(&Frame::Text(text.into())));
            }
            1 => {
                let data = pair.some_bytes(most);
                from_client.push(Message::binary(data.clone()));
                assert!(pair.client.send(&Frame::Binary(data.into())));
            }
            2 => {
                let data = pair.some_bytes(125);
                client_pings.push(data.clone());
                assert!(pair.client.send(&Frame::Ping(data.into())));
            }
            3 => {
                let n = pair.rng.below(most + 1);
                let text = pair.rng.text(n);
                from_server.push(Frame::Text(text.as_str().into()));
                if text.is_empty() || pair.rng.chance(50) {
                    pair.serve(Message::text(text));
                } else {
                    pair.serve_fragments(true, text.as_bytes(), &mut server_pings);
                }
            }
            4 => {
                let data = pair.some_bytes(most);
                from_server.push(Frame::Binary(data.clone().into()));
                if data.is_empty() || pair.rng.chance(50) {
                    pair.serve(Message::binary(data));
                } else {
                    pair.serve_fragments(false, &data, &mut server_pings);
                }
            }
            _ => {
                let data = pair.some_bytes(125);
                server_pings.push(data.clone());
                pair.serve(Message::Ping(data.into()));
            }
        }
        for _ in 0..pair.rng.below(20) {
            pair.step();
        }
    }
    pair.settle();
    assert!(pair.over.is_none(), "{:?}", pair.over);

    let (mut data, mut pings, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
    for message in pair.to_server.drain(..) {
        match message {
            Message::Ping(payload) => pings.push(payload.to_vec()),
            Message::Pong(payload) => pongs.push(payload.to_vec()),
            message => data.push(message),
        }
    }
    assert!(data == from_client, "what the server got");
    assert_eq!(pings, client_pings, "Pings at the server");
    assert!(in_order(&pongs, &server_pings), "Pongs at the server");
    assert_eq!(pongs.last(), server_pings.last(), "the last Ping is answered");

    let (mut data, mut pings, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
    for event in pair.to_client.drain(..) {
        match event {
            Event::Frame(Frame::Ping(payload)) => pings.push(payload.to_vec()),
            Event::Frame(Frame::Pong(payload)) => pongs.push(payload.to_vec()),
            Event::Frame(frame) => data.push(frame),
            other => panic!("{other:?}"),
        }
    }
    assert!(data == from_server, "what the client got");
    assert_eq!(pings, server_pings, "Pings at the client");
    assert!(in_order(&pongs, &client_pings), "Pongs at the client");
    assert_eq!(pongs.last(), client_pings.last(), "the last Ping is answered");
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: code.into(), reason: reason.to_owned().into() }
}

#[test]
fn conversations_that_the_client_ends() {
    for seed in 0..60 {
        let mut pair = Pair::new(seed);
        converse(&mut pair);
        let code = *pair.rng.pick(&[1000, 1001, 3000, 4999]);
        pair.client.send(&Frame::Text("last".into()));
        pair.client.close(code);
        pair.settle();
        let close = Message::Close(Some(close_frame(code, "")));
        assert_eq!(pair.to_server, [Message::text("last"), close]);
        assert!(matches!(pair.over, Some(Error::ConnectionClosed)), "{:?}", pair.over);
        assert_eq!(pair.to_client, [closing(code, "")]);
    }
}

#[test]
fn conversations_that_the_server_ends() {
    for seed in 1_000..1_060 {
        let mut pair = Pair::new(seed);
        converse(&mut pair);
        let (frame, closing) = match pair.rng.below(4) {
            0 => (None, closing(1005, "")),
            _ => {
                let code = *pair.rng.pick(&[1000, 1001, 1011, 1013, 3000, 4999]);
                let reason = pair.rng.text(20);
                (Some(close_frame(code, &reason)), closing(code, &reason))
            }
        };
        let result = pair.server.close(frame.clone());
        assert!(result.as_ref().err().is_none_or(is_blocked), "{result:?}");
        pair.settle();
        assert_eq!(pair.to_client, [closing]);
        // The echo has the code, and no reason.
        let echo = frame.map(|frame| CloseFrame { reason: "".into(), ..frame });
        assert_eq!(pair.to_server, [Message::Close(echo)]);
        assert!(matches!(pair.over, Some(Error::ConnectionClosed)), "{:?}", pair.over);
    }
}

#[test]
fn both_end_it_in_the_midst_of_things() {
    for seed in 2_000..2_060 {
        let mut pair = Pair::new(seed);
        for n in 0..20 {
            pair.client.send(&Frame::Text(n.to_string().into()));
            pair.serve(Message::text(n.to_string()));
            pair.step();
        }
        if pair.rng.chance(70) {
            pair.client.close(1000);
        }
        let result = pair.server.close(Some(close_frame(1001, "away")));
        assert!(result.as_ref().err().is_none_or(is_blocked), "{result:?}");
        pair.settle();
        let texts = (0..20).map(|n| n.to_string());
        let events: Vec<_> =
            texts.clone().map(|n| got(&n)).chain([closing(1001, "away")]).collect();
        assert_eq!(pair.to_client, events);
        let data: Vec<_> = pair.to_server.into_iter().filter(is_data).collect();
        assert_eq!(data, texts.map(Message::text).collect::<Vec<_>>());
        assert!(matches!(pair.over, Some(Error::ConnectionClosed)), "{:?}", pair.over);
    }
}

/// Tungstenite's parser reads our request, with everything in it.
#[test]
fn a_server_reads_the_request() {
    let config = Config {
        origin: Some("https://app.test".into()),
        headers: vec![("Authorization".into(), "Bearer s3cret".into())],
        subprotocols: vec!["hermes.v2".into(), "hermes.v1".into()],
        ..Config::new("ws://[::1]:8080/a%20b?c=d")
    };
    let mut client = Connection::new(config, SEED).expect("the settings are fine");
    let mut wire = Wire::new(Rng::new(0));
    carry(&mut client, &mut wire, usize::MAX);
    let mut seen = None;
    #[allow(clippy::result_large_err)] // Tungstenite's.
    let callback = |request: &Request, mut response: Response| {
        seen = Some(request.clone());
        let protocol = "hermes.v1".parse().expect("it is a value");
        response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        Ok(response)
    };
    let mut result = tungstenite::accept_hdr(&mut wire, callback);
    while let Err(HandshakeError::Interrupted(shake)) = result {
        result = shake.handshake();
    }
    assert!(result.is_ok());
    drop(result);
    assert_eq!(feed(&mut client, &wire.outgoing), [Event::Open]);
    assert_eq!(client.subprotocol(), Some("hermes.v1"));

    let request = seen.expect("the callback was called");
    assert_eq!(request.uri(), "/a%20b?c=d");
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    for header in [
        ("host", &b"[::1]:8080"[..]),
        ("origin", b"https://app.test"),
        ("authorization", b"Bearer s3cret"),
        ("sec-websocket-protocol", b"hermes.v2, hermes.v1"),
        ("sec-websocket-version", b"13"),
    ] {
        assert!(headers.contains(&header), "{header:?} in {headers:?}");
    }
    assert_eq!(headers.len(), 8, "{headers:?}");
}

/// A server that says no says why.
#[test]
fn a_server_refuses() {
    for status in [401_u16, 404, 503] {
        let mut client = Connection::new(config(), SEED).expect("the settings are fine");
        let mut wire = Wire::new(Rng::new(status.into()));
        carry(&mut client, &mut wire, usize::MAX);
        #[allow(clippy::result_large_err)] // Tungstenite's.
        let callback = |_: &Request, _: Response| {
            let mut response = tungstenite::http::Response::new(Some("no".to_owned()));
            *response.status_mut() = status.try_into().expect("it is one");
            Err(response)
        };
        let mut result = tungstenite::accept_hdr(&mut wire, callback);
        while let Err(HandshakeError::Interrupted(shake)) = result {
            result = shake.handshake();
        }
        assert!(matches!(result, Err(HandshakeError::Failure(Error::Http(_)))));
        let failed = Event::Failed(CloseReason::Http {
            status,
            retry_after: None,
            redirect: None,
            body: None,
        });
        assert_eq!(feed(&mut client, &wire.outgoing), [failed]);
    }
}
