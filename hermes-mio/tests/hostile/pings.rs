//! Pings, which want to be answered.

use std::io::Write;

use hermes_mio::CloseReason;

use crate::attack::*;
use crate::common::names;

/// From a peer that reads none of the answers until it has sent them all.
#[test]
fn ten_million_pings() {
    let end = end(|mut stream| {
        upgrade(&mut stream, "");
        // With a message now and then, which does not wait for the end of it.
        let pings = frame(0x89, b"ping").repeat(100_000);
        let chat = frame(0x81, br#"{"type":"chat"}"#);
        for _ in 0..100 {
            stream.write_all(&pings).unwrap();
            stream.write_all(&chat).unwrap();
        }
        stream.write_all(&frame(0x88, &1001_u16.to_be_bytes())).unwrap();
        assert_eq!(read_close_code(&mut stream), Some(1001));
    });
    assert_eq!(end.reason, CloseReason::Peer { code: 1001, text: "".into() });
    let mut heard = names(&end.heard).into_iter();
    assert_eq!(heard.next(), Some("ws-connected"));
    assert_eq!(heard.filter(|name| *name == "chat-message").count(), 100);
}
