//! Proxies on the way to a gateway.

use std::io::{Read, Write};
use std::net::TcpStream;

use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Options, Proxy};

use crate::attack::*;
use crate::common::*;

/// How the way through a proxy that does this ends.
fn end_at_proxy(scheme: &str, attack: impl FnOnce(TcpStream) + Send + 'static) -> End {
    let proxy = Peer::start(|listener| {
        attack(accept_tcp(&listener));
        let mut stream = accept_tcp(&listener);
        lead_here(&mut stream);
        read_close(&mut tungstenite::accept(stream).unwrap());
    });
    let url = format!("{scheme}://{}", proxy.addr);
    let config = Config { connect_timeout: SHORT, ..bounded("ws://127.0.0.1:9/".to_owned()) };
    let options = Options::new(config).proxy(Proxy::new(&url).unwrap());
    let end = end_of(&mut Client::new(options).unwrap());
    assert_eq!(end.heard, []);
    proxy.join();
    end
}

/// A proxy that behaves, and is the gateway, too: HTTP CONNECT, or SOCKS5 to an IPv4 address.
fn lead_here(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut read = |stream: &mut TcpStream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.extend(byte);
        request.clone()
    };
    loop {
        match read(stream)[..] {
            [5, 1, 0] => stream.write_all(&[5, 0]).unwrap(),
            [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, _, _] => {
                return stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            }
            [b'C', .., b'\r', b'\n', b'\r', b'\n'] => {
                return stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            }
            _ => {}
        }
    }
}

fn times_out(scheme: &str, attack: impl FnOnce(TcpStream) + Send + 'static) {
    let end = end_at_proxy(scheme, attack);
    assert_eq!(end.reason, CloseReason::Timeout { stage: Stage::Proxy });
    assert!(end.is_in_time(), "{end:?}");
}

#[test]
fn nothing_at_all_after_the_accept() {
    for scheme in ["http", "socks5"] {
        times_out(scheme, |mut stream| read_to_end(&mut stream));
    }
}

#[test]
fn an_answer_a_byte_at_a_time() {
    times_out("http", |mut stream| {
        let mut answer = b"HTTP/1.1 200 OK\r\nX: ".iter().copied();
        dribble_for_ever(&mut stream, || answer.next().unwrap_or(b'x'));
    });
}

/// Whole answers, each of them an interim one.
#[test]
fn interim_answers_without_end() {
    let end = end_at_proxy("http", |mut stream| {
        write_for_ever(&mut stream, &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000));
    });
    let CloseReason::Proxy { status: None, text } = &end.reason else { panic!("{end:?}") };
    assert!(text.ends_with(": its answer has no end"), "{text}");
}

/// A refusal is told also if its body never ends, or never comes.
#[test]
fn a_refusal_with_a_body_without_end() {
    const HEAD: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n";
    let end = end_at_proxy("http", |mut stream| {
        stream.write_all(HEAD).unwrap();
        write_for_ever(&mut stream, &[b'x'; 10_000]);
    });
    let CloseReason::Proxy { status: Some(403), text } = &end.reason else { panic!("{end:?}") };
    assert!(text.ends_with(&format!(": Forbidden: {}", "x".repeat(200))), "{text}");
    let end = end_at_proxy("http", |mut stream| {
        stream.write_all(HEAD).unwrap();
        read_to_end(&mut stream);
    });
    let CloseReason::Proxy { status: Some(403), text } = &end.reason else { panic!("{end:?}") };
    assert!(text.ends_with(": Forbidden"), "{text}");
}

#[test]
fn answers_without_end() {
    for (scheme, answer) in [
        ("http", &b"HTTP/1.1 200 OK\r\nX: "[..]),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("socks5", &[5, 0]),
        ("http", &[0xa5; 3]),
        ("socks5", &[0xa5; 3]),
    ] {
        let end = end_at_proxy(scheme, move |mut stream| {
            // In one piece: what comes after a good answer may as well be the gateway's.
            stream.write_all(&[answer, &[b'x'; 10_000]].concat()).unwrap();
            write_for_ever(&mut stream, &[b'x'; 10_000]);
        });
        assert!(matches!(end.reason, CloseReason::Proxy { status: None, .. }), "{end:?}");
    }
}
