//! Peers that are to speak TLS.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Options};
use rustls::{ServerConnection, StreamOwned};

use crate::attack::*;
use crate::authority::Authority;
use crate::common::*;

/// How the handshake with a peer that does this ends. The gateway that behaves comes by the same
/// port, and so speaks TLS, too.
fn end_in_tls(attack: impl FnOnce(TcpStream) + Send + 'static) -> End {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        attack(accept_tcp(&listener));
        let session = ServerConnection::new(server).unwrap();
        let stream = StreamOwned::new(session, accept_tcp(&listener));
        read_close(&mut tungstenite::accept(stream).unwrap());
    });
    let config = Config {
        // A handshake that succeeds takes its time on a busy machine.
        connect_timeout: SHORT * 2,
        ..bounded(peer.url().replace("ws://", "wss://"))
    };
    let mut client = Client::new(Options::new(config).tls(authority.trusted())).unwrap();
    let end = end_of(&mut client);
    assert_eq!(end.heard, []);
    peer.join();
    end
}

fn times_out(attack: impl FnOnce(TcpStream) + Send + 'static) {
    let end = end_in_tls(attack);
    assert_eq!(end.reason, CloseReason::Timeout { stage: Stage::Tls });
    assert!(end.is_in_time(), "{end:?}");
}

#[test]
fn nothing_at_all_after_the_accept() {
    times_out(|mut stream| read_to_end(&mut stream));
}

#[test]
fn a_record_a_byte_at_a_time() {
    times_out(|mut stream| {
        let mut record = [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc].into_iter();
        dribble_for_ever(&mut stream, || record.next().unwrap_or(0));
    });
}

/// A message that says to be 16 MiB long.
#[test]
fn a_handshake_without_end() {
    let end = end_in_tls(|mut stream| {
        let begin = [0x16, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff];
        stream.write_all(&[&begin[..], &[0; 0x4000 - 4]].concat()).unwrap();
        write_for_ever(&mut stream, &[&[0x16, 3, 3, 0x40, 0][..], &[0; 0x4000]].concat());
    });
    assert!(matches!(end.reason, CloseReason::Tls { .. }), "{end:?}");
}

#[test]
fn noise() {
    for noise in [[0xa5; 10_000], [0x16; 10_000], [0; 10_000]] {
        let end = end_in_tls(move |mut stream| write_for_ever(&mut stream, &noise));
        assert!(matches!(end.reason, CloseReason::Tls { .. }), "{end:?}");
    }
}
