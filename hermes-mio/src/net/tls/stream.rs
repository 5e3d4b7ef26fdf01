//! A byte stream in TLS, over another byte stream.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use hermes_proto::{CloseReason, Text};
use rustls::pki_types::{IpAddr, ServerName};
use rustls::{ClientConfig, ClientConnection};

use super::verify::explain;
use crate::net::turn::{READS_PER_TURN, Turn};

/// A stream in TLS: first its [handshake](Self::handshake), then plaintext in both directions.
pub(crate) struct TlsStream<T> {
    session: ClientConnection,
    inner: T,
    host: String,
    /// Plaintext bytes in the record that the inner transport has not taken whole.
    pending_plaintext: usize,
    /// The reason why the session accepts no further bytes. Plaintext that it already has is still
    /// read.
    failed: Option<Failure>,
    handshake_bytes: usize,
}

/// The end of a TLS stream by an alert or a bad record. Travels inside an [`io::Error`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(Text);

/// The plaintext of one record (RFC 8446 §5.1).
const RECORD: usize = 1 << 14;

/// Bytes of the peer's handshake. A message of it has 64 KiB at most, and only certificates are
/// long.
const MAX_HANDSHAKE_BYTES: usize = 256 << 10;

/// Characters of a failure's text, which may quote a certificate.
const MAX_TEXT: usize = 300;

impl<T: Read + Write> TlsStream<T> {
    /// `host` is a name or an address.
    pub(crate) fn new(
        config: &Arc<ClientConfig>,
        host: &str,
        inner: T,
    ) -> Result<Self, (T, CloseReason)> {
        match session(config, host) {
            Ok(session) => Ok(TlsStream {
                session,
                inner,
                host: host.to_owned(),
                pending_plaintext: 0,
                failed: None,
                handshake_bytes: 0,
            }),
            Err(failure) => Err((inner, failure.into())),
        }
    }

    /// The stream that carries the records.
    pub(crate) fn inner(&self) -> &T {
        &self.inner
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Goes on with the handshake.
    pub(crate) fn handshake(&mut self) -> Result<Turn, CloseReason> {
        for _ in 0..READS_PER_TURN {
            let flushed = self.flush_tls();
            if !self.session.is_handshaking() {
                let session = &self.session;
                let (version, resumed) = (session.protocol_version(), session.handshake_kind());
                tracing::debug!(host = self.host, ?version, ?resumed, "TLS is up");
                return Ok(Turn::Done);
            }
            match self.fill_tls() {
                Ok(0) => return Err(self.fail(&"the connection ended in the handshake").into()),
                Ok(n) => self.handshake_bytes += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A failed write ends the handshake only when the peer's last bytes are read:
                // they may say why.
                Err(error) if error.kind() == ErrorKind::WouldBlock => match flushed {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => {
                        return Err(self.fail(&error).into());
                    }
                    _ => return Ok(Turn::Waiting),
                },
                Err(error) => return Err(self.fail(&error).into()),
            }
            if let Some(failure) = self.failed.clone() {
                return Err(failure.into());
            }
            if self.handshake_bytes > MAX_HANDSHAKE_BYTES {
                return Err(self.fail(&"its handshake has no end").into());
            }
        }
        Ok(Turn::Yielded)
    }

    /// As [`Read::read`], with one difference: `Interrupted` means that bytes came that make no
    /// plaintext yet, so that a flood of such bytes does not hold up the caller.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read_plaintext(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
        if let Some(failure) = self.failed.clone() {
            return Err(failure.into());
        }
        self.fill_tls()?;
        if self.session.wants_write() {
            // An answer of the TLS layer, such as a KeyUpdate. If the transport is full, it leaves
            // before the next plaintext.
            let _ = self.flush_tls();
        }
        match self.read_plaintext(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(ErrorKind::Interrupted.into())
            }
            done => done,
        }
    }

    /// As [`Write::write`], with two differences. A byte counts as written once the inner transport
    /// has all of its record: the peer can't read a part of a record, so a byte that does not count
    /// was not received. And after a `WouldBlock` the same bytes must come again, perhaps with more
    /// behind them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending_plaintext == 0 {
            self.pending_plaintext =
                self.session.writer().write(&bytes[..bytes.len().min(RECORD)])?;
        }
        self.flush_tls()?;
        Ok(std::mem::take(&mut self.pending_plaintext))
    }

    /// Sends close_notify (RFC 8446 §6.1), so that the peer can tell this end from one that an
    /// attacker made. Returns the stream below, for its own end.
    pub(crate) fn into_closed(mut self) -> T {
        if self.failed.is_none() {
            self.session.send_close_notify();
            let _ = self.flush_tls();
        }
        self.inner
    }

    fn read_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.reader().read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => io::Error::new(
                ErrorKind::UnexpectedEof,
                "the connection ended without TLS' close_notify; its last bytes may be missing",
            ),
            _ => error,
        })
    }

    /// Writes all records that wait.
    fn flush_tls(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.inner) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once. A TLS error goes into `failed`.
    fn fill_tls(&mut self) -> io::Result<usize> {
        let n = self.session.read_tls(&mut self.inner)?;
        if let Err(error) = self.session.process_new_packets() {
            // The alert that tells the peer why, if the transport takes it.
            let _ = self.flush_tls();
            self.failed = Some(self.fail(&explain(&error)));
        }
        Ok(n)
    }

    fn fail(&self, error: &dyn fmt::Display) -> Failure {
        Failure::new(&self.host, error)
    }
}

fn session(config: &Arc<ClientConfig>, host: &str) -> Result<ClientConnection, Failure> {
    let name = match host.parse::<std::net::IpAddr>() {
        Ok(address) => ServerName::IpAddress(IpAddr::from(address)),
        Err(_) => ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::new(host, &"no certificate can have such a name"))?,
    };
    ClientConnection::new(Arc::clone(config), name)
        .map_err(|error| Failure::new(host, &explain(&error)))
}

impl<T: fmt::Debug> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("host", &self.host)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Failure {
    fn new(host: &str, error: &dyn fmt::Display) -> Self {
        let words = format!("{host}: {error}");
        let printable = |char: char| if char.is_control() { ' ' } else { char };
        Failure(words.chars().take(MAX_TEXT).map(printable).collect::<String>().into())
    }
}

impl From<Failure> for CloseReason {
    fn from(failure: Failure) -> Self {
        CloseReason::Tls { text: failure.0 }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::new(ErrorKind::InvalidData, failure)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::Tls;

    /// Both ends of a connection on which hands are shaken. Neither blocks.
    fn pair() -> (TlsStream<TcpStream>, ServerConnection, TcpStream) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let tls = Tls::new().without_system().trust(made.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![made.cert.der().clone()],
                PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let mut client = TlsStream::new(&tls.config().unwrap(), "127.0.0.1", near).unwrap();
        while client.handshake().unwrap() != Turn::Done || server.is_handshaking() {
            // `WouldBlock`, each time that it is the client's turn.
            let _ = server.complete_io(&mut far);
        }
        (client, server, far)
    }

    /// A peer whose handshake message comes in records of a byte each, one with each read.
    struct Endless {
        header: std::vec::IntoIter<u8>,
        at: usize,
        reads: usize,
    }

    /// A record with a byte in it.
    const RECORD_BYTES: usize = 6;

    impl Endless {
        fn connect() -> TlsStream<Endless> {
            // A ServerHello that says to be as long as rustls allows.
            let header = vec![2, 0, 0xff, 0xff].into_iter();
            let made = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
            let tls = Tls::new().without_system().trust(made.cert.pem()).unwrap();
            let inner = Endless { header, at: 0, reads: 0 };
            match TlsStream::new(&tls.config().unwrap(), "gateway.test", inner) {
                Ok(stream) => stream,
                Err((_, reason)) => panic!("{reason}"),
            }
        }
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            let n = buffer.len().min(RECORD_BYTES);
            for byte in &mut buffer[..n] {
                *byte = match self.at % RECORD_BYTES {
                    0 => 22,
                    1 | 2 => 3,
                    3 => 0,
                    4 => 1,
                    _ => self.header.next().unwrap_or(0),
                };
                self.at += 1;
            }
            Ok(n)
        }
    }

    impl Write for Endless {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The loop has others to serve.
    #[test]
    fn a_handshake_reads_a_bounded_number_of_times_in_a_turn() {
        let mut stream = Endless::connect();
        for turn in 1..4 {
            assert_eq!(stream.handshake().unwrap(), Turn::Yielded);
            assert_eq!(stream.inner.reads, READS_PER_TURN * turn);
        }
    }

    /// rustls bounds each message by itself.
    #[test]
    fn a_handshake_has_a_bounded_number_of_bytes() {
        let mut stream = Endless::connect();
        stream.handshake_bytes = MAX_HANDSHAKE_BYTES - READS_PER_TURN * RECORD_BYTES;
        assert_eq!(stream.handshake().unwrap(), Turn::Yielded);
        let reason = stream.handshake().unwrap_err();
        let text = "gateway.test: its handshake has no end".into();
        assert_eq!(reason, CloseReason::Tls { text });
    }

    /// The peer can read every byte that counts as written, and no other.
    #[test]
    fn what_counts_as_written_is_what_the_peer_can_read() {
        let (mut client, mut server, mut far) = pair();
        let text: Vec<u8> = (0..10_000_000).map(|n: u32| (n % 251) as u8).collect();
        let (mut written, mut read) = (0, Vec::new());
        while written < text.len() {
            // Until the system's buffer is full, most likely within a record.
            let blocked = loop {
                match client.write(&text[written..]) {
                    Ok(n) if n > 0 => written += n,
                    Ok(_) => panic!("{written} bytes count, and no more are taken"),
                    Err(error) => break error,
                }
                if written == text.len() {
                    break ErrorKind::WouldBlock.into();
                }
            };
            assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
            // Over loopback, what was written is there to be read, at once or soon.
            let until = Instant::now() + Duration::from_secs(20);
            while read.len() < written {
                assert!(Instant::now() < until, "{written} bytes count, {} are there", read.len());
                match server.read_tls(&mut far) {
                    Ok(n) => assert!(n > 0),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                server.process_new_packets().unwrap();
                let end = server.reader().read_to_end(&mut read).unwrap_err();
                assert_eq!(end.kind(), ErrorKind::WouldBlock);
            }
            assert_eq!(read.len(), written);
        }
        assert!(read == text);
    }
}
