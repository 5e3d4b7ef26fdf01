//! A server in TLS, on a thread of its own.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use hermes_mio::{Client, Config, Options, Tls};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::WebSocket;

use crate::common::*;

/// A connection in TLS, on the server's side.
pub(crate) type Secure = StreamOwned<ServerConnection, TcpStream>;

/// A WebSocket in it.
pub(crate) type SecureSocket = WebSocket<Secure>;

/// Where the peer is, by its name.
pub(crate) fn url(peer: &Peer<impl Send + 'static>) -> String {
    format!("wss://localhost:{}/", peer.addr.port())
}

pub(crate) fn tls_client(config: Config, tls: Tls) -> Client {
    Client::new(Options::new(config).tls(tls)).unwrap()
}

/// Accepts a connection, and shakes hands.
pub(crate) fn accept_tls(listener: &TcpListener, config: &Arc<ServerConfig>) -> Secure {
    try_accept_tls(listener, config).unwrap()
}

/// The same; an error is what went wrong in the handshake.
pub(crate) fn try_accept_tls(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
) -> std::io::Result<Secure> {
    let mut stream = accept_tcp(listener);
    let mut session = ServerConnection::new(Arc::clone(config)).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(session, stream))
}

/// Accepts a connection, shakes hands, and upgrades.
pub(crate) fn accept_wss(listener: &TcpListener, config: &Arc<ServerConfig>) -> SecureSocket {
    tungstenite::accept(accept_tls(listener, config)).unwrap()
}

/// Reads the rest. Whether it ends with TLS' goodbye.
pub(crate) fn read_goodbye(stream: &mut Secure) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return false,
            Err(error) => panic!("{error}"),
        }
    }
}
