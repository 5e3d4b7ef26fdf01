//! An answer to the upgrade request, in any pieces: we take it as tungstenite does, but where we
//! differ [on purpose](crate::ws::answer::DIFFERENCES).

use super::byte_source::{ByteSource, in_pieces};
use crate::ws::answer::compare;
use crate::ws::{ACCEPT, reply, text};

/// Reads an answer.
pub fn run(input: &[u8]) {
    let mut source = ByteSource::new(input);
    let asks = source.bit();
    compare(asks, &source.pieces()).unwrap_or_else(|problem| panic!("{problem}"));
}

/// Answers to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let good = String::from_utf8(reply(ACCEPT)).expect("it is ASCII");
    let with = |more: &str| good.replacen("\r\n", &format!("\r\n{more}\r\n"), 1);
    let answers = [
        good.clone(),
        with("Sec-WebSocket-Protocol: hermes.v1"),
        with("Sec-WebSocket-Protocol: another"),
        with("Sec-WebSocket-Protocol: hermes.v1\r\nSec-WebSocket-Protocol: hermes.v2"),
        with("Sec-WebSocket-Extensions: permessage-deflate"),
        with("Upgrade: h2c"),
        with("Connection: keep-alive"),
        with(&"X: y\r\n".repeat(125)),
        with(&format!("X: {}", "y".repeat(1_000))),
        good.replace("Connection: Upgrade", "connection: keep-alive, upgrade"),
        good.replace("\r\n", "\n"),
        good.replace("1.1", "1.0"),
        good.replace(ACCEPT, "another"),
        good.replace(ACCEPT, &ACCEPT.to_lowercase()),
        good.replace("Upgrade: websocket", "upgrade: WebSocket").replace("-Accept", "-ACCEPT"),
        good.replace("\r\n\r\n", "\r\nSec-WebSocket-Accept: another\r\n\r\n"),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{good}"),
        format!("\r\n{good}"),
        "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n".to_owned(),
        "HTTP/1.1 429 Slow\r\nRetry-After: Thu, 01 Jan 2026 00:00:09 GMT\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 503 Busy\r\nRetry-After: Sunday, 06-Nov-94 08:49:37 GMT\r\n\r\n".to_owned(),
        "HTTP/1.0 404 Not Found\r\n\r\n".to_owned(),
        "HTTP/1.1 301 Moved\r\nLocation: https://[::1]:8443/a/../b?c#d\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\nLocation: ../x\r\n\r\n".to_owned(),
        "HTTP/1.1 307 There\r\nLocation: //u:p@h/\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
    ];
    let mut seeds = Vec::new();
    for (n, answer) in answers.iter().enumerate() {
        let sizes = [&[][..], &[1], &[3, 40]][n % 3];
        for asks in [0, 1] {
            let bytes = [answer.as_bytes(), &text("more")].concat();
            seeds.push([&[asks], &in_pieces(sizes, &bytes)[..]].concat());
        }
    }
    seeds
}
