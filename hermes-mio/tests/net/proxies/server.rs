//! A proxy, on threads of its own: HTTP CONNECT and SOCKS5, as simple as can be.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use mio::{Events, Interest, Poll, Token};

use crate::common::*;

/// What a client's stream is to a proxy.
pub(crate) trait Stream: Read + Write + Send + 'static {
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

#[cfg(feature = "tls")]
impl Stream for crate::tls::Secure {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

/// Which language a proxy speaks.
#[derive(Clone, Copy)]
pub(crate) enum Language {
    Http,
    Socks5,
}

/// A proxy that leads everybody to one gateway, wherever they ask for.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    /// What each client asked for, and its login.
    pub(crate) asked: Receiver<(String, Option<String>)>,
}

impl Proxy {
    pub(crate) fn start(language: Language, gateway: SocketAddr) -> Self {
        Self::start_with(language, gateway, Ok)
    }

    /// `welcome` makes a stream of a socket that was accepted.
    pub(crate) fn start_with<S: Stream>(
        language: Language,
        gateway: SocketAddr,
        welcome: impl Fn(TcpStream) -> io::Result<S> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (asks, asked) = mpsc::channel();
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                socket.set_read_timeout(Some(LONG)).unwrap();
                let Ok(mut client) = welcome(socket) else { continue };
                let ask = match language {
                    Language::Http => speak_http(&mut client),
                    Language::Socks5 => speak_socks5(&mut client),
                };
                if asks.send(ask).is_err() {
                    return; // Its test is over.
                }
                let gateway = TcpStream::connect(gateway).unwrap();
                thread::spawn(move || relay(client, gateway));
            }
        });
        Proxy { addr, asked }
    }
}

fn speak_http(client: &mut impl Stream) -> (String, Option<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    client.write_all(b"HTTP/1.1 200 Here you are\r\n\r\n").unwrap();
    client.flush().unwrap();
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").unwrap().split_once(' ').unwrap().0;
    let login = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
    (target.to_owned(), login.map(str::to_owned))
}

fn speak_socks5(client: &mut impl Stream) -> (String, Option<String>) {
    let take = |client: &mut dyn Read, n: usize| {
        let mut bytes = vec![0; n];
        client.read_exact(&mut bytes).unwrap();
        bytes
    };
    let hello = take(client, 2);
    let methods = take(client, hello[1].into());
    let mut login = None;
    if methods.contains(&2) {
        client.write_all(&[5, 2]).unwrap();
        let length = take(client, 2)[1];
        let name = take(client, length.into());
        let length = take(client, 1)[0];
        let password = take(client, length.into());
        login = Some(String::from_utf8([name, vec![b':'], password].concat()).unwrap());
        client.write_all(&[1, 0]).unwrap();
    } else {
        client.write_all(&[5, 0]).unwrap();
    }
    assert_eq!(take(client, 4), [5, 1, 0, 3], "a name");
    let length = take(client, 1)[0];
    let name = String::from_utf8(take(client, length.into())).unwrap();
    let port = take(client, 2);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    (format!("{name}:{}", u16::from_be_bytes([port[0], port[1]])), login)
}

/// Passes on what each says to the other, to the end of one of them.
fn relay(mut client: impl Stream, mut gateway: TcpStream) {
    client.socket().set_nonblocking(true).unwrap();
    gateway.set_nonblocking(true).unwrap();
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(8);
    let mut watched = Vec::new();
    for (token, socket) in [client.socket(), &gateway].into_iter().enumerate() {
        let mut socket = mio::net::TcpStream::from_std(socket.try_clone().unwrap());
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(token), both).unwrap();
        watched.push(socket);
    }
    let (mut there, mut back) = (Vec::new(), Vec::new());
    loop {
        let moved = pass(&mut client, &mut gateway, &mut there)
            .and_then(|there| Ok(there | pass(&mut gateway, &mut client, &mut back)?));
        match moved {
            Ok(true) => {}
            Ok(false) => {
                poll.poll(&mut events, Some(LONG)).unwrap();
                if events.is_empty() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    for socket in [client.socket(), &gateway] {
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Passes on what there is. Whether that was anything; an error is the end.
fn pass(from: &mut impl Read, to: &mut impl Write, kept: &mut Vec<u8>) -> io::Result<bool> {
    let would_block = |error: &io::Error| error.kind() == ErrorKind::WouldBlock;
    let mut moved = false;
    if kept.is_empty() {
        let mut buffer = [0; 16 << 10];
        match from.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                kept.extend(&buffer[..n]);
                moved = true;
            }
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(error),
        }
    }
    match to.write(kept) {
        Ok(n) => {
            moved |= n > 0;
            kept.drain(..n);
        }
        Err(error) if would_block(&error) => {}
        Err(error) => return Err(error),
    }
    match to.flush() {
        Err(error) if !would_block(&error) => Err(error),
        _ => Ok(moved),
    }
}
