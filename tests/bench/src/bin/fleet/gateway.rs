//! A gateway that does as little as it can: says yes, issues a session, answers Pings.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};
use tungstenite::handshake::derive_accept_key;

struct Peer {
    socket: TcpStream,
    upgraded: bool,
    head: Vec<u8>,
}

pub fn run(port: u16) -> ! {
    crate::process::raise_file_limit();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("it can be set");
    socket.set_nonblocking(true).expect("it can be set");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("a free port");
    socket.listen(4_096).expect("it listens");
    let mut listener = TcpListener::from_std(socket.into());
    println!("{}", listener.local_addr().expect("it is bound").port());
    let mut poll = Poll::new().expect("a poll");
    let mut events = Events::with_capacity(1_024);
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).expect("it is new");
    let mut peers = HashMap::<usize, Peer>::new();
    let mut buffer = vec![0; 64 << 10];
    let mut next = 1;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
            _ => {}
        }
        for event in &events {
            let Token(token) = event.token();
            if token == 0 {
                while let Ok((mut socket, _)) = listener.accept() {
                    let interest = Interest::READABLE;
                    poll.registry().register(&mut socket, Token(next), interest).expect("new");
                    peers.insert(next, Peer { socket, upgraded: false, head: Vec::new() });
                    next += 1;
                }
            } else if let Some(peer) = peers.get_mut(&token)
                && !peer.serve(token, &mut buffer)
            {
                peers.remove(&token);
            }
        }
    }
}

impl Peer {
    /// Whether it is still there.
    fn serve(&mut self, number: usize, buffer: &mut [u8]) -> bool {
        loop {
            let n = match self.socket.read(buffer) {
                Ok(0) => return false,
                Ok(n) => n,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            if self.upgraded {
                // Nothing but Pings comes here, whole and masked.
                let mut frames = &buffer[..n];
                while let [0x89, length, rest @ ..] = frames {
                    let length = usize::from(length & 0x7f);
                    let (key, rest) = rest.split_at(4);
                    let (payload, rest) = rest.split_at(length);
                    let mut pong = vec![0x8a, length as u8];
                    pong.extend(
                        payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key),
                    );
                    if self.socket.write_all(&pong).is_err() {
                        return false;
                    }
                    frames = rest;
                }
                continue;
            }
            self.head.extend_from_slice(&buffer[..n]);
            let head = String::from_utf8_lossy(&self.head);
            let Some(end) = head.find("\r\n\r\n") else { continue };
            let key = head[..end]
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
                .map_or("", |(_, key)| key);
            let accept = derive_accept_key(key.as_bytes());
            let init = format!(
                r#"{{"type":"session-init","token":"{number:032x}","clientId":"{number:016x}"}}"#
            );
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n\u{1}{}{init}",
                char::from(init.len() as u8)
            );
            let mut answer = answer.into_bytes();
            // The first byte of the frame is no character.
            let at = answer.len() - init.len() - 2;
            answer[at] = 0x81;
            if self.socket.write_all(&answer).is_err() {
                return false;
            }
            self.upgraded = true;
            self.head = Vec::new();
        }
    }
}
