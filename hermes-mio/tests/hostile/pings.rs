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
        let pings = frame(0x89, b"ping").repeat(100_000);
        for _ in 0..100 {
            stream.write_all(&pings).unwrap();
        }
        stream.write_all(&frame(0x81, br#"{"type":"chat"}"#)).unwrap();
        stream.write_all(&frame(0x88, &1001_u16.to_be_bytes())).unwrap();
        assert_eq!(read_close_code(&mut stream), Some(1001));
    });
    assert_eq!(end.reason, CloseReason::Peer { code: 1001, text: "".into() });
    assert_eq!(names(&end.heard), ["ws-connected", "chat-message"]);
}
