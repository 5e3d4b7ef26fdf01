//! Compressed messages, good and bad, in any fragments: they say to us what they say to zlib. And back:
//! zlib reads what we send. A copy without coders hears and sends the same.

use flate2::{Decompress, FlushDecompress, Status};
use hermes_proto::reason::Violation;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config, Frame};

use super::byte_source::ByteSource;
use crate::Rng;
use crate::ws::bits::{BINARY, CONTINUATION, FIN, RSV1, TEXT};
use crate::ws::deflate::{Gateway, PLAIN, agreed, config};
use crate::ws::{feed, frame};

/// The longest message. Bombs are longer.
const LIMIT: usize = 2_000;

/// A message as it is sent, before a source's bytes: flags, and their number.
const RAW: u8 = 1;
const IS_TEXT: u8 = 2;
const FRAGMENTS: u8 = 4;
const SLOW: u8 = 8;
/// A message that the client sends instead.
const SENT: u8 = 16;

/// Reads messages, as long as they are good.
pub fn run(input: &[u8]) {
    let mut source = ByteSource::new(input);
    let takes_over = !source.bit();
    let extensions = if takes_over { PLAIN } else { ALONE };
    let mut conn = CONNECTIONS.with(|connections| connections[usize::from(takes_over)].clone());
    let mut gateway = Gateway::new(extensions);
    let mut context = Vec::new();
    while !source.is_over() {
        let [flags, length] = source.array();
        let bytes = source.bytes(length.into());
        let mut copy = conn.clone();
        if flags & SENT != 0 {
            send(&mut conn, &mut copy, &mut gateway, bytes);
            continue;
        }
        let payload = if flags & RAW == 0 { gateway.deflate(bytes) } else { bytes.to_vec() };
        let right = inflate(&context, &payload);
        let came = receive(&mut conn, flags, &payload);
        assert_eq!(came, receive(&mut copy, flags, &payload), "of {}", payload.escape_ascii());
        assert!(conn == copy, "after {}", payload.escape_ascii());
        let is_text = flags & IS_TEXT != 0;
        match right {
            Some(message) if message.len() > LIMIT => {
                assert!(matches!(came, Err(Violation::MessageTooLarge { .. })), "{came:?}");
                return;
            }
            Some(message) if is_text && str::from_utf8(&message).is_err() => {
                assert_eq!(came, Err(Violation::InvalidUtf8));
                return;
            }
            Some(message) => {
                assert_eq!(came, Ok(message.clone()), "of {}", payload.escape_ascii());
                if takes_over {
                    context.extend(message);
                }
            }
            None => {
                // It may be too long before it is bad.
                let too_large = matches!(came, Err(Violation::MessageTooLarge { .. }));
                assert!(too_large || came == Err(Violation::BadDeflate), "{came:?}");
                return;
            }
        }
    }
}

/// Messages to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(1);
    let mut seeds = Vec::new();
    for flags in 0..16 {
        let mut seed = vec![flags / 8];
        for _ in 0..4 {
            let length = rng.below(20);
            let text = rng.text(length);
            let bytes = if flags & RAW == 0 {
                text.into_bytes()
            } else {
                let mut gateway = Gateway::new(ALONE);
                gateway.deflate(text.repeat(30).as_bytes())
            };
            seed.extend([flags, bytes.len() as u8]);
            seed.extend(bytes);
        }
        seeds.push(seed);
    }
    // Both ways.
    let mut both = vec![0];
    for n in 0..40 {
        let message = format!("{{\"type\":\"chat\",\"n\":{}}}", n % 7 * 1_001);
        both.extend([if n % 3 == 0 { IS_TEXT } else { SENT }, message.len() as u8]);
        both.extend(message.into_bytes());
    }
    seeds.push(both);
    // RFC 7692 §7.2.3: a block without compression, and a last one.
    for payload in [&b"\x00\x05\x00\xfa\xffHello\x00"[..], b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"] {
        seeds.push([&[0, RAW | IS_TEXT, payload.len() as u8], payload].concat());
    }
    // A bomb.
    let bomb = Gateway::new(ALONE).deflate(&[b'x'; 10_000]);
    seeds.push([&[0, RAW, bomb.len() as u8], &bomb[..]].concat());
    // Three bytes from as far back as there is anything, and from the window's far end, 32 KiB: no
    // compressor looks there. A fixed block with one match each (RFC 1951 §3.2).
    let long = Gateway::new(ALONE).deflate(&[b'x'; 1_900]);
    let long = [&[RAW, long.len() as u8], &long[..]].concat();
    for (before, back) in [
        (b"\0\x04abcd".to_vec(), &[0x02, 0x62, 0, 0][..]),
        (long.repeat(18), &[0x02, 0xDE, 0xFF, 0x0F, 0]),
    ] {
        seeds.push([&[0], &before[..], &[RAW, back.len() as u8], back].concat());
    }
    seeds
}

/// No message refers to another.
const ALONE: &str = "permessage-deflate; server_no_context_takeover";

thread_local! {
    static CONNECTIONS: [Connection; 2] = [ALONE, PLAIN].map(|extensions| {
        agreed(Config { max_message_bytes: LIMIT as u64, ..config() }, extensions)
    });
}

fn send(conn: &mut Connection, copy: &mut Connection, gateway: &mut Gateway, message: &[u8]) {
    for conn in [&mut *conn, copy] {
        assert!(conn.send(&Frame::Binary(message.to_vec().into())));
    }
    assert_eq!(conn.transmit(), copy.transmit(), "of {}", message.escape_ascii());
    let heard = gateway.read(conn.transmit());
    assert!(heard.len() == 1 && heard[0].message == message);
    for conn in [&mut *conn, copy] {
        conn.transmitted(usize::MAX);
    }
    assert!(conn == copy);
}

fn receive(conn: &mut Connection, flags: u8, payload: &[u8]) -> Result<Vec<u8>, Violation> {
    let opcode = if flags & IS_TEXT != 0 { TEXT } else { BINARY };
    let bytes = if flags & FRAGMENTS == 0 {
        frame(FIN | RSV1 | opcode, payload)
    } else {
        let (head, tail) = payload.split_at(payload.len() / 2);
        [frame(RSV1 | opcode, head), frame(FIN | CONTINUATION, tail)].concat()
    };
    let size = if flags & SLOW == 0 { bytes.len() } else { 1 };
    let events: Vec<_> = bytes.chunks(size).flat_map(|piece| feed(conn, piece)).collect();
    match &*events {
        [Event::Frame(Frame::Text(text))] if opcode == TEXT => Ok(text.as_bytes().to_vec()),
        [Event::Frame(Frame::Binary(data))] if opcode == BINARY => Ok(data.to_vec()),
        [Event::Closing(CloseReason::Protocol { violation })] => Err(*violation),
        other => panic!("{other:?}"),
    }
}

/// What a message says that follows these; `None` where it is bad.
fn inflate(context: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let ends = [&[1, 0, 0, 0xFF, 0xFF][..], &[0, 0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF]];
    let [one, other] = ends.map(|end| inflate_before(context, payload, end));
    one.filter(|message| message.len() > LIMIT || other.is_some())
}

/// The same, if it is followed by these blocks.
fn inflate_before(context: &[u8], payload: &[u8], end: &[u8]) -> Option<Vec<u8>> {
    let mut said = context.to_vec();
    let mut coder = coder_behind(&said);
    let mut is_done = false;
    // A block that shows that the one before it was whole is read as nothing else.
    let parts: [&[u8]; 3] = [payload, &[0, 0, 0xFF, 0xFF], end];
    for (index, part) in parts.into_iter().enumerate() {
        let mut input = part;
        // A last block ends zlib's work, and not the message (RFC 7692 §7.2.3.4).
        while !(is_done && input.is_empty()) {
            if is_done {
                coder = coder_behind(&said);
            }
            said.reserve(4_096);
            let before = (coder.total_in(), said.len());
            let status = coder.decompress_vec(input, &mut said, FlushDecompress::None).ok()?;
            input = &input[(coder.total_in() - before.0) as usize..];
            is_done = status == Status::StreamEnd;
            if index > 0 && said.len() > before.1 {
                return None;
            }
            let is_full = said.len() == said.capacity();
            if said.len() - context.len() > 10 * LIMIT || !is_done && !is_full {
                break;
            }
        }
    }
    let is_long = said.len() - context.len() > LIMIT;
    (is_done || is_long).then(|| said.split_off(context.len()))
}

/// A coder for what may refer to this.
fn coder_behind(said: &[u8]) -> Decompress {
    let mut coder = Decompress::new(false);
    let window = &said[said.len().saturating_sub(1 << 15)..];
    if !window.is_empty() {
        coder.set_dictionary(window).expect("any bytes will do");
    }
    coder
}
