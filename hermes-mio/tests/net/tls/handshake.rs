//! How a connection begins.

use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hermes_mio::proto::reason::Stage;
use hermes_mio::{CloseReason, Config, Event, Tls};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::authority::{Authority, named};
use super::peer::*;
use crate::common::*;

#[test]
fn messages_pass_in_both_versions_of_tls() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new();
        let server = Arc::new(authority.good().server_with(&[version], None));
        let peer = Peer::start(move |listener| {
            let mut socket = accept_wss(&listener, &server);
            let text = read_text(&mut socket);
            send(&mut socket, &text);
            let session = &socket.get_ref().conn;
            let seen = (
                session.protocol_version(),
                session.server_name().map(str::to_owned),
                session.alpn_protocol().map(<[u8]>::to_vec),
            );
            read_close(&mut socket);
            seen
        });
        let mut client = tls_client(config(url(&peer)), authority.trusted());
        client.connect();
        client.send(&serde_json::json!({"type": "chat", "text": "in private"})).unwrap();
        assert_eq!(wait_for(&mut client, chat_text), "in private");
        disconnect(&mut client);
        let seen = peer.join();
        let (name, alpn) = (Some("localhost".to_owned()), Some(b"http/1.1".to_vec()));
        assert_eq!(seen, (Some(version.version), name, alpn));
    }
}

/// An address has no SNI (RFC 6066 §3), and a certificate can be for one.
#[test]
fn a_certificate_can_be_an_addresss() {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        let mut socket = accept_wss(&listener, &server);
        assert_eq!(socket.get_ref().conn.server_name(), None);
        read_close(&mut socket);
    });
    let mut client = tls_client(config(format!("wss://{}/", peer.addr)), authority.trusted());
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
}

/// So does another client that has a clone of the same `Tls`.
#[test]
fn a_client_that_comes_back_resumes_its_tls_session() {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        (0..3)
            .map(|_| {
                let mut socket = accept_wss(&listener, &server);
                read_text(&mut socket);
                let kind = socket.get_ref().conn.handshake_kind();
                // The end of a process, say.
                drop(socket);
                kind
            })
            .collect::<Vec<_>>()
    });
    let tls = authority.trusted();
    let mut first = tls_client(config(url(&peer)), tls.clone());
    first.connect();
    for _ in 0..2 {
        first.send(&serde_json::json!({"type": "a"})).unwrap();
        wait_for(&mut first, disconnected);
    }
    first.disconnect();
    let mut second = tls_client(config(url(&peer)), tls);
    second.connect();
    second.send(&serde_json::json!({"type": "b"})).unwrap();
    wait_for(&mut second, disconnected);
    let resumed = Some(HandshakeKind::Resumed);
    assert_eq!(peer.join(), [Some(HandshakeKind::Full), resumed, resumed]);
}

/// A peer that says nothing has `connect_timeout`, and the reason says what it did not do.
#[test]
fn a_handshake_has_a_deadline() {
    let (done, end) = mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let stream = accept_tcp(&listener);
        let _ = end.recv_timeout(LONG);
        drop(stream);
    });
    let config = Config { connect_timeout: Duration::from_millis(200), ..config(url(&peer)) };
    let mut client = tls_client(config, Tls::new().trust(Authority::new().pem()).unwrap());
    client.connect();
    match next(&mut client) {
        Event::Disconnected { code: 1006, reason, retry_at: Some(_), .. } => {
            assert_eq!(reason, CloseReason::Timeout { stage: Stage::Tls });
        }
        other => panic!("{other:?}"),
    }
    client.disconnect();
    drop(done);
    peer.join();
}

#[test]
fn a_peer_that_does_not_speak_tls_is_told_from_one_that_does() {
    let peer = Peer::start(|listener| {
        let mut stream = accept_tcp(&listener);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let mut hello = [0; 4096];
        while matches!(stream.read(&mut hello), Ok(1..)) {}
    });
    let text = failure(&url(&peer), Authority::new().trusted());
    assert!(text.starts_with("localhost: it does not speak TLS"), "{text}");
    peer.join();
}

/// The other way round: `ws://` where `wss://` is spoken.
#[test]
fn a_peer_that_speaks_tls_is_told_to_a_client_that_does_not() {
    let server = Arc::new(Authority::new().good().server());
    let peer = Peer::start(move |listener| try_accept_tls(&listener, &server).is_err());
    let mut client = client(Config { max_attempts: Some(0), ..config(peer.url()) });
    client.connect();
    let (_, reason) = disconnected(&next(&mut client)).unwrap();
    assert!(reason.to_string().contains("use wss://"), "{reason}");
    assert!(peer.join());
}

#[test]
fn a_peer_that_hangs_up_in_the_handshake_is_told() {
    let peer = Peer::start(|listener| {
        let mut stream = accept_tcp(&listener);
        // All of it, so that the end is a FIN.
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).unwrap() > 0);
    });
    let text = failure(&url(&peer), Authority::new().trusted());
    assert!(text.starts_with("localhost: the connection ended in the handshake"), "{text}");
    peer.join();
}

/// ALPN: a server that speaks something else there says so at once.
#[test]
fn a_server_without_http_1_is_told() {
    let authority = Authority::new();
    let mut server = authority.good().server();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let server = Arc::new(server);
    let peer = Peer::start(move |listener| try_accept_tls(&listener, &server).is_err());
    let text = failure(&url(&peer), authority.trusted());
    assert_eq!(text, "localhost: it does not speak http/1.1 there");
    assert!(peer.join());
}

/// A server that asks for a certificate. In TLS 1.3 the client learns of its refusal only when its
/// own handshake is done.
#[test]
fn a_client_shows_its_certificate_where_one_is_asked_for() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new();
        let server = authority.good().server_with(&[version], Some(&authority));
        let server = Arc::new(server);
        let peer = Peer::start(move |listener| {
            let refused = try_accept_tls(&listener, &server).is_err();
            let mut socket = accept_wss(&listener, &server);
            let shown = socket.get_ref().conn.peer_certificates().map(<[_]>::len);
            read_close(&mut socket);
            (refused, shown)
        });
        let text = failure(&url(&peer), authority.trusted());
        assert!(text.starts_with("localhost: it refused: alert "), "{text}");

        let identity = authority.issue(&named("a client", &[]));
        let tls = authority.trusted().identity(&identity.chain, &identity.key).unwrap();
        let mut client = tls_client(config(url(&peer)), tls);
        client.connect();
        wait_for(&mut client, connected);
        disconnect(&mut client);
        assert_eq!(peer.join(), (true, Some(1)));
    }
}

/// Two attempts fail as TLS does, and the first one's wait is the policy's.
pub(super) fn failure(url: &str, tls: Tls) -> String {
    let mut client = tls_client(Config { max_attempts: Some(0), ..config(url) }, tls);
    client.connect();
    let (code, reason) = disconnected(&next(&mut client)).unwrap();
    assert_eq!(code, 1006);
    let CloseReason::Tls { text } = reason else { panic!("{reason:?}") };
    text.as_str().to_owned()
}

/// Neither is a session or a header carried out of TLS, nor what is said without them.
#[test]
fn no_redirect_leads_out_of_tls() {
    let authority = Authority::new();
    let server = Arc::new(authority.good().server());
    let peer = Peer::start(move |listener| {
        let mut stream = accept_tls(&listener, &server);
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).unwrap() > 0);
        let to = listener.local_addr().unwrap();
        let answer = format!("HTTP/1.1 302 There\r\nLocation: http://{to}/\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        read_goodbye(&mut stream);
    });
    let config = Config { max_redirects: 5, max_attempts: Some(0), ..config(url(&peer)) };
    let mut client = tls_client(config, authority.trusted());
    client.connect();
    let reason = wait_for(&mut client, disconnected).1;
    assert!(reason.to_string().ends_with("(not followed: it leads from wss to ws)"), "{reason}");
    peer.join();
}
