//! The gateway's stream: TCP, or TLS over it.

use std::io::{self, Read, Write};
#[cfg(feature = "tls")]
use std::sync::Arc;

use mio::net::TcpStream;

/// A gateway's certificate chain and private key.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<rustls::ServerConfig>);

/// A stream, in TLS or in the clear.
pub(super) enum Stream {
    Clear(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

#[cfg(feature = "tls")]
impl ServerTls {
    /// From PEM: the gateway's certificate first, then those between it and its authority.
    ///
    /// # Errors
    ///
    /// If the chain or the key is missing or can't be read, or if they don't belong together.
    pub fn new(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> io::Result<Self> {
        use crate::net::tls::pem;

        let chain = pem::certificates(chain.as_ref(), "of the gateway");
        let chain = chain.map_err(io::Error::other)?;
        let key = pem::private_key(key.as_ref()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(ServerTls(Arc::new(config)))
    }

    pub(super) fn over(&self, socket: TcpStream) -> Result<Stream, rustls::Error> {
        let session = rustls::ServerConnection::new(Arc::clone(&self.0))?;
        Ok(Stream::Tls(Box::new(rustls::StreamOwned::new(session, socket))))
    }
}

impl Stream {
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Stream::Clear(socket) => socket,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// Ends the TLS session (RFC 8446 §6.1), before the socket's writing side ends.
    pub(super) fn close_notify(&mut self) {
        #[cfg(feature = "tls")]
        if let Stream::Tls(stream) = self {
            stream.conn.send_close_notify();
            // It fails only if the peer is gone.
            let _ = stream.flush();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(socket) => socket.flush(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
