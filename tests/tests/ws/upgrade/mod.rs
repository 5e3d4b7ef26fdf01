//! The opening handshake (RFC 6455 §4.1).

mod accepted;
mod not_http;
mod order;
mod refused;
mod request;

use hermes_proto::CloseReason;
use hermes_proto::reason::UpgradeError;
use hermes_proto::ws::{Connection, Event};
use hermes_tests::ws::*;

/// An answer to the request, in which `{A}` stands for the right `Sec-WebSocket-Accept`.
fn answer(text: &str) -> Vec<u8> {
    text.replace("{A}", ACCEPT).into_bytes()
}

fn failed(error: UpgradeError) -> Vec<Event> {
    vec![Event::Failed(CloseReason::Upgrade { error })]
}

fn check(conn: &Connection, answer: Vec<u8>, events: Vec<Event>) {
    let name = answer[..answer.len().min(200)].escape_ascii().to_string();
    Case::new(name, answer, events).check(conn);
}

const GOOD: [&str; 20] = [
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    // In any order, with whatever else.
    "HTTP/1.1 101 Switching Protocols\r\nServer: x\r\nSec-WebSocket-Accept: {A}\r\n\
     Connection: Upgrade\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nUpgrade: websocket\r\n\
     Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
    // Names and tokens without regard to case.
    "HTTP/1.1 101 Switching Protocols\r\nUPGRADE: WebSocket\r\nconnection: UPGRADE\r\n\
     sec-webSOCKET-accept: {A}\r\n\r\n",
    // `Connection` is a list, on one line or several.
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade,keep-alive\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: , \t Upgrade ,,\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    // The reason phrase is for people.
    "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 101 404 Not Found\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    // White space around a value means nothing.
    "HTTP/1.1 101 X\r\nUpgrade:websocket\r\nConnection:\tUpgrade \r\n\
     Sec-WebSocket-Accept:   {A} \t\r\n\r\n",
    // A lone LF ends a line (RFC 9112 §2.2), even the last one.
    "HTTP/1.1 101 X\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {A}\n\n",
    "HTTP/1.1 101 X\r\nUpgrade: websocket\nConnection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\n",
    "HTTP/1.1 101 X\nUpgrade: websocket\r\nConnection: Upgrade\nSec-WebSocket-Accept: {A}\n\r\n",
    // A folded line is one line (obs-fold, RFC 9112 §5.2), however it is folded.
    "HTTP/1.1 101 X\r\nUpgrade:\r\n websocket\r\nConnection: keep-alive,\r\n\t Upgrade\r\n\
     Sec-WebSocket-Accept:\r\n \r\n {A}\r\n \r\n\r\n",
    "HTTP/1.1 101 X\nX: y\n\tz\nUpgrade: websocket\n \nConnection:\n Upgrade\nSec-WebSocket-Accept:\n {A}\n\n",
    // Interim answers (RFC 9110 §15.2) are passed over.
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 100\r\n\r\n\
     HTTP/1.1 199 X\r\nUpgrade: h2c\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Accept: {A}\r\n\r\n",
    "HTTP/1.1 102 X\n\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: {A}\r\n\r\n",
];
