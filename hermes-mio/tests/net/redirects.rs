//! Redirects, on real sockets: off by default, followed at once, and nothing of ours to strangers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use hermes_mio::proto::Session;
use hermes_mio::proto::reason::RedirectRefused;
use hermes_mio::{Client, CloseReason, Config, Event, MemoryStore, Options};
use tungstenite::handshake::server::{Request, Response};

use crate::common::*;

/// Answers each of so many connections with a redirect, and sees the client hang up. The requests.
fn redirecting(
    times: usize,
    to: impl Fn(SocketAddr) -> String + Send + 'static,
) -> Peer<Vec<String>> {
    Peer::start(move |listener| {
        let addr = listener.local_addr().unwrap();
        (0..times).map(|_| redirect(&listener, &to(addr))).collect()
    })
}

fn redirect(listener: &TcpListener, to: &str) -> String {
    let mut stream = accept_tcp(listener);
    let request = read_request(&mut stream);
    let answer = format!("HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    // The client is gone before it goes on.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    request
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
    }
    String::from_utf8(request).unwrap()
}

fn following(url: String) -> Config {
    let headers = vec![("Authorization".to_owned(), "Bearer s3cret".to_owned())];
    Config { max_redirects: 3, headers, ..config(url) }
}

/// A client with a session of the gateway's at `url`.
fn with_session(config: Config) -> Client {
    let origin = config.url.trim_end_matches('/').to_owned();
    let saved_at = 0;
    let session =
        Session { token: "s3cret".into(), client_id: None, saved_at, origin: Some(origin) };
    Client::new(Options::new(config).store(MemoryStore::new(Some(session)))).unwrap()
}

fn refused(client: &mut Client) -> (u16, Option<RedirectRefused>) {
    match wait_for(client, disconnected).1 {
        CloseReason::Http { status, redirect: Some(redirect), .. } => (status, redirect.refused),
        other => panic!("{other:?}"),
    }
}

/// From one host to another, and on within that.
#[test]
fn a_stranger_gets_what_is_said_and_nothing_else() {
    let (tell, told) = mpsc::channel();
    #[allow(clippy::result_large_err, reason = "tungstenite's callback has it so")]
    let stranger = Peer::start(move |listener| {
        tell.send(redirect(&listener, "/world?ticket=1")).unwrap();
        let look = |request: &Request, response: Response| {
            assert_eq!(request.uri(), "/world?ticket=1");
            assert!(request.headers().get("authorization").is_none());
            Ok(response)
        };
        let mut socket = tungstenite::accept_hdr(accept_tcp(&listener), look).unwrap();
        // No session comes before it.
        assert_eq!(read_text(&mut socket), r#"{"type":"chat","text":"hello"}"#);
        send(&mut socket, r#"{"type":"chat","text":"so it is"}"#);
        read_close(&mut socket);
    });
    let there = format!("http://{}/", stranger.addr);
    let home = redirecting(1, move |_| there.clone());
    let mut client = with_session(following(home.url()));
    client.send_message(hermes_mio::Outgoing::text(r#"{"type":"chat","text":"hello"}"#)).unwrap();
    client.connect();
    assert_eq!(wait_for(&mut client, chat_text), "so it is");
    let stats = client.protocol().stats();
    assert_eq!((stats.attempts, stats.opened, stats.ended.http), (3, 1, 2));
    disconnect(&mut client);
    assert!(home.join()[0].contains("Authorization: Bearer s3cret\r\n"));
    assert!(!told.recv().unwrap().contains("s3cret"));
    stranger.join();
}

#[test]
fn who_is_at_home_gets_all() {
    let peer = Peer::start(|listener| {
        redirect(&listener, "elsewhere");
        let (mut socket, header) = accept_with(&listener, "authorization");
        assert_eq!(header.as_deref(), Some("Bearer s3cret"));
        assert_eq!(read_text(&mut socket), r#"{"type":"session-resume","token":"s3cret"}"#);
        read_close(&mut socket);
    });
    let mut client = with_session(following(peer.url()));
    client.connect();
    let url = wait_for(&mut client, |event| match event {
        Event::Connected { url, .. } => Some(url.to_string()),
        _ => None,
    });
    assert_eq!(url, format!("{}elsewhere", peer.url()));
    disconnect(&mut client);
    peer.join();
}

#[test]
fn a_circle_is_left_and_tried_again_later() {
    let home = redirecting(8, |addr| format!("ws://{addr}/round"));
    let mut client = client(following(home.url()));
    client.connect();
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(refused(&mut client), (307, None));
        }
        assert_eq!(refused(&mut client), (307, Some(RedirectRefused::TooMany)));
        assert!(client.protocol().url().as_str().ends_with('/'), "{}", client.protocol().url());
    }
    disconnect(&mut client);
    let asked: Vec<_> = home.join().iter().map(|asked| asked[..10].to_owned()).collect();
    let once = ["GET / HTTP", "GET /round", "GET /round", "GET /round"];
    assert_eq!(asked, [once, once].concat());
}

#[test]
fn none_is_followed_by_default() {
    let home = redirecting(1, |_| "ws://192.0.2.1/".to_owned());
    let mut client = client(Config { max_attempts: Some(0), ..config(home.url()) });
    client.connect();
    assert_eq!(refused(&mut client), (307, Some(RedirectRefused::Off)));
    let text = client.why();
    assert!(
        text.contains("a redirect to ws://192.0.2.1/ (not followed: max_redirects is 0)"),
        "{text}"
    );
    home.join();
}
