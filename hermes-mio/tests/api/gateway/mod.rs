//! The development gateway, as its clients see it: over real sockets, through tungstenite's own
//! blocking client. Nothing here sleeps; whatever is awaited has a deadline.

mod conversation;
mod faults;
mod handle;
mod limits;
mod sessions;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use hermes_mio::gateway::{Fault, Gateway, GatewayOptions, Log, Record, Target};
use serde_json::{Value, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

const DEADLINE: Duration = Duration::from_secs(20);

struct Client {
    socket: WebSocket<TcpStream>,
}

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Client {
    /// A TCP connection, and no more.
    fn raw(gateway: &Gateway) -> TcpStream {
        let stream = TcpStream::connect(gateway.addr()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn upgrade(gateway: &Gateway) -> tungstenite::Result<WebSocket<TcpStream>> {
        match tungstenite::client(gateway.url(), Self::raw(gateway)) {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Failure(error)) => Err(error),
            Err(HandshakeError::Interrupted(_)) => panic!("the upgrade took too long"),
        }
    }

    /// An open WebSocket.
    fn connect(gateway: &Gateway) -> Self {
        Client { socket: Self::upgrade(gateway).unwrap() }
    }

    /// A client with a fresh session, and its token.
    fn join(gateway: &Gateway) -> (Self, String) {
        let mut client = Self::connect(gateway);
        let init = client.hear();
        assert_eq!(init["type"], "session-init");
        (client, init["token"].as_str().unwrap().to_owned())
    }

    fn say(&mut self, message: Value) {
        self.say_text(&message.to_string());
    }

    fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    fn hear_text(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                return text.to_string();
            }
        }
    }

    fn hear(&mut self) -> Value {
        serde_json::from_str(&self.hear_text()).unwrap()
    }

    fn hear_until_text(&mut self, mut is_it: impl FnMut(&str) -> bool) -> String {
        loop {
            let text = self.hear_text();
            if is_it(&text) {
                return text;
            }
        }
    }

    /// All that is said up to and with the one awaited.
    fn hear_until(&mut self, mut is_it: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut heard = vec![self.hear()];
        while !is_it(heard.last().unwrap()) {
            heard.push(self.hear());
        }
        heard
    }

    /// All that is said up to this moment.
    fn hear_all(&mut self, gateway: &Gateway) -> Vec<Value> {
        gateway.broadcast(r#"{"type":"that's all"}"#);
        let mut heard = self.hear_until(|text| text["type"] == "that's all");
        heard.pop();
        heard
    }

    fn assert_nothing_else_was_said(&mut self, gateway: &Gateway) {
        assert_eq!(self.hear_all(gateway), [] as [Value; 0]);
    }

    /// Reads to the end, and returns the code of the close frame, if there is one.
    fn hear_end(&mut self) -> Option<u16> {
        let mut code = None;
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(Error::Io(e)) if e.kind() == ErrorKind::WouldBlock => panic!("no end"),
                Err(_) => return code,
            }
        }
    }
}

fn gateway() -> Gateway {
    start(GatewayOptions::default())
}

/// On loopback a short grace is enough, unless a test has one of its own.
fn start(options: GatewayOptions) -> Gateway {
    let is_default = options.resume_grace == GatewayOptions::default().resume_grace;
    let resume_grace = if is_default { Duration::from_millis(50) } else { options.resume_grace };
    Gateway::start(GatewayOptions { resume_grace, ..options }).unwrap()
}

fn close(code: u16, reason: &str) -> Fault {
    Fault::Close { code, reason: reason.to_owned() }
}

fn assert_reset(result: tungstenite::Result<Message>) {
    let Err(Error::Io(e)) = result else { panic!("not reset: {result:?}") };
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
}

fn assert_nothing_to_read(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
}
