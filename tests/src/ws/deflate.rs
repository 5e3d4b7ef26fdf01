//! The other side of permessage-deflate (RFC 7692): a gateway whose coders are zlib's, in C.

use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hermes_proto::Config;
use hermes_proto::ws::{Connection, Event};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::ws::bits::{BINARY, FIN, RSV1, TEXT};
use crate::ws::{ACCEPT, feed, frame, read_raw, reply, reply_to, upgrading};

/// The extension without a parameter.
pub const PLAIN: &str = "permessage-deflate";

/// What a message does not send (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Settings with compression, of everything.
pub fn config() -> Config {
    Config { deflate: true, deflate_min_bytes: 0, ..crate::config() }
}

/// An answer to the upgrade with these extensions.
pub fn answer(extensions: &str) -> Vec<u8> {
    with(reply(ACCEPT), extensions)
}

/// An answer to this request with these extensions.
pub fn answer_to(request: &[u8], extensions: &str) -> Vec<u8> {
    with(reply_to(request), extensions)
}

fn with(mut answer: Vec<u8>, extensions: &str) -> Vec<u8> {
    answer.truncate(answer.len() - 2);
    [&answer[..], b"Sec-WebSocket-Extensions: ", extensions.as_bytes(), b"\r\n\r\n"].concat()
}

/// An open connection, to whose offer these extensions were the answer.
pub fn agreed(config: Config, extensions: &str) -> Connection {
    let mut conn = upgrading(config);
    assert_eq!(feed(&mut conn, &answer(extensions)), [Event::Open]);
    conn
}

/// A compressed text, whole.
pub fn deflated_text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | RSV1 | TEXT, payload)
}

/// A compressed binary message, whole.
pub fn deflated_binary(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | RSV1 | BINARY, payload)
}

/// A gateway's coders, which live as long as the connection does.
pub struct Gateway {
    compress: Compress,
    decompress: Decompress,
    resets_compress: bool,
    resets_decompress: bool,
    client_bits: u8,
    /// What the client may refer to, and not a byte more.
    ring: Vec<u8>,
    ring_at: usize,
}

/// A message that the client sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its opcode.
    pub opcode: u8,
    /// Whether it was compressed.
    pub deflated: bool,
    /// How long it was on the wire, without its header.
    pub length: usize,
    /// What it says.
    pub message: Vec<u8>,
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Heard { opcode, deflated, length, message } = self;
        let message: String = message.escape_ascii().take(100).map(char::from).collect();
        write!(f, "Heard({opcode:#x}, deflated: {deflated}, {length} bytes, {message})")
    }
}

impl Gateway {
    /// Coders for what was agreed on.
    pub fn new(extensions: &str) -> Self {
        let bits = |name: &str| {
            let (_, value) = extensions.split_once(name)?;
            value.split([';', ',', ' ']).next()?.parse::<u8>().ok()
        };
        // zlib has no window of 8 bits. Of one of 9 its compressor uses less than half.
        let server_bits = bits("server_max_window_bits=").unwrap_or(15).max(9);
        let client_bits = bits("client_max_window_bits=").unwrap_or(15);
        Gateway {
            compress: Compress::new_with_window_bits(Compression::new(9), false, server_bits),
            decompress: Decompress::new_with_window_bits(false, client_bits.max(9)),
            resets_compress: extensions.contains("server_no_context_takeover"),
            resets_decompress: extensions.contains("client_no_context_takeover"),
            client_bits,
            ring: vec![0; 1 << client_bits],
            ring_at: 0,
        }
    }

    /// A message as it is sent.
    pub fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        if self.resets_compress {
            self.compress.reset();
        }
        let mut out = Vec::with_capacity(message.len() + 64);
        // Without it zlib flushes nothing where there is nothing new to flush.
        let status = self.compress.compress_vec(&[], &mut out, FlushCompress::None);
        assert!(status.is_ok() && out.is_empty(), "{status:?}");
        let begin = self.compress.total_in();
        loop {
            let taken = (self.compress.total_in() - begin) as usize;
            let status =
                self.compress.compress_vec(&message[taken..], &mut out, FlushCompress::Sync);
            assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "{status:?}");
            if out.len() < out.capacity() {
                break;
            }
            out.reserve(4_096);
        }
        assert!(out.ends_with(&TAIL), "zlib flushes");
        out.truncate(out.len() - TAIL.len());
        out
    }

    /// What a message says. No byte of it may refer to anything outside the window.
    pub fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let input = [payload, &TAIL].concat();
        if self.resets_decompress {
            self.decompress.reset(false);
            // What was before is not to be found any more.
            self.ring.fill(0);
        }
        let mut message = Vec::new();
        let begin = self.decompress.total_in();
        loop {
            let taken = (self.decompress.total_in() - begin) as usize;
            message.reserve(4_096);
            let flush = FlushDecompress::None;
            let status = self.decompress.decompress_vec(&input[taken..], &mut message, flush);
            assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "{status:?}");
            if message.len() < message.capacity() {
                assert_eq!((self.decompress.total_in() - begin) as usize, input.len());
                break;
            }
        }
        assert!(message == self.inflate_in_ring(&input), "within {} bits", self.client_bits);
        message
    }

    /// The same in memory that has the size of the window, for zlib looks farther back than that.
    fn inflate_in_ring(&mut self, mut input: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        let mut coder = DecompressorOxide::new();
        loop {
            let (ring, at) = (&mut self.ring, self.ring_at);
            let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let (status, read, written) = decompress(&mut coder, input, ring, at, flags);
            input = &input[read..];
            message.extend(&ring[at..at + written]);
            self.ring_at = (at + written) % ring.len();
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput => return message,
                other => panic!("{other:?} within {} bits", self.client_bits),
            }
        }
    }

    /// Reads the messages that the client sent: whole, and nothing else.
    pub fn read(&mut self, mut bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        while !bytes.is_empty() {
            let raw = read_raw(bytes).expect("it is whole");
            bytes = &bytes[raw.size..];
            let deflated = raw.first & RSV1 != 0;
            let opcode = raw.first & 0x0F;
            assert_eq!(raw.first & !RSV1, FIN | opcode, "a message in one frame");
            let length = raw.payload.len();
            let message = if deflated { self.inflate(&raw.payload) } else { raw.payload };
            heard.push(Heard { opcode, deflated, length, message });
        }
        heard
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gateway")
    }
}
