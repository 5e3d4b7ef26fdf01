//! Compressed messages, both ways, against zlib-rs' own streams.

use hermes_proto::ws::{Connection, Event};
use hermes_proto::{Config, Frame};
use tungstenite::handshake::derive_accept_key;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::contest::{Contender, Contest};

/// What a message does not send (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

const WORDS: [&str; 24] = [
    "the", "message", "about", "tomorrow", "review", "deploy", "server", "green", "status", "when",
    "you", "have", "time", "today", "build", "failed", "passed", "again", "branch", "release",
    "thanks", "morning", "question", "cache",
];

/// Messages of the same kind, the same with each call: JSON of about `size` bytes, with words and
/// numbers.
fn messages(size: usize, count: usize) -> Vec<Vec<u8>> {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    let mut message = move |n: usize| {
        let at = 1_700_000_000_000 + 731 * n;
        let mut text =
            format!("{{\"type\":\"chat\",\"sender\":{},\"at\":{at},\"text\":\"", below(50));
        while text.len() < size {
            text += WORDS[below(24) as usize];
            text += &if below(6) == 0 { format!(" {} ", below(100_000)) } else { " ".into() };
        }
        (text + "\"}").into_bytes()
    };
    (0..count).map(&mut message).collect()
}

/// A connection that compresses all, as the server agreed to.
fn open(level: u8, bits: u8) -> Connection {
    let config = Config {
        deflate: true,
        deflate_level: level,
        deflate_client_max_window_bits: bits,
        ..Config::new("ws://gateway.example/ws")
    };
    let mut conn = Connection::new(config, [7; 32]).expect("a good configuration");
    let request = String::from_utf8(conn.transmit().to_vec()).expect("ASCII");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        derive_accept_key(key.expect("a key").as_bytes())
    );
    conn.transmitted(usize::MAX);
    assert_eq!(conn.receive(&mut answer.as_bytes()), Some(Event::Open));
    conn
}

/// Compresses messages as one stream; `show` gets each as it is sent.
fn zlib_deflate(coder: &mut Deflate, messages: &[Vec<u8>], mut show: impl FnMut(&[u8])) {
    let mut out = vec![0; 2 * messages.iter().map(Vec::len).max().unwrap_or_default() + 64];
    for message in messages {
        let before = coder.total_out();
        coder.compress(message, &mut out, DeflateFlush::SyncFlush).expect("it never fails");
        let length = (coder.total_out() - before) as usize;
        show(out[..length].strip_suffix(&TAIL).expect("a flush"));
    }
}

/// Inflates messages as one stream; `show` gets each.
fn zlib_inflate(coder: &mut Inflate, payloads: &[Vec<u8>], mut show: impl FnMut(&[u8])) {
    let mut out = vec![0; 1 << 20];
    for payload in payloads {
        let before = coder.total_out();
        for part in [payload, &TAIL[..]] {
            let at = (coder.total_out() - before) as usize;
            coder.decompress(part, &mut out[at..], InflateFlush::NoFlush).expect("a good one");
        }
        show(&out[..(coder.total_out() - before) as usize]);
    }
}

/// Bytes and messages in a client's frames.
fn frames(mut bytes: &[u8], mut show: impl FnMut(bool, Vec<u8>)) {
    while let [first, second, rest @ ..] = bytes {
        let (length, rest) = match second & 0x7F {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("8")) as usize, &rest[8..]),
            short => (usize::from(short), rest),
        };
        let (key, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(length);
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        show(first & 0x40 != 0, payload.collect());
        bytes = rest;
    }
}

/// Sends, and receives, messages of a size at a level; zlib-rs is first.
fn contest(size: usize, count: usize, level: u8, bits: u8) -> [Contest; 2] {
    let name = |what| format!("{what}, messages of {size} bytes, level {level}, window {bits}");
    let messages: &[_] = messages(size, count).leak();
    let mut payloads = Vec::new();
    let zlib = move || Deflate::new(level.into(), false, bits);
    zlib_deflate(&mut zlib(), messages, |payload| payloads.push(payload.to_vec()));
    let total: usize = messages.iter().map(Vec::len).sum();
    let compressed: usize = payloads.iter().map(Vec::len).sum();
    let wire: Vec<u8> = payloads.iter().flat_map(|payload| server_frame(payload)).collect();
    let (payloads, wire): (&[_], &[u8]) = (payloads.leak(), wire.leak());

    let send_check = move || {
        let mut conn = open(level, bits);
        messages.iter().for_each(|message| assert!(conn.send(&text(message))));
        let (mut sent, mut heard) = (0, Vec::new());
        let mut inflate = Inflate::new(false, 15);
        frames(conn.transmit(), |is_deflated, payload| {
            sent += payload.len();
            match is_deflated {
                true => zlib_inflate(&mut inflate, &[payload], |text| heard.push(text.to_vec())),
                false => heard.push(payload),
            }
        });
        assert!(heard == messages, "it sends something else");
        let ratio = |n: usize| n as f64 / total as f64;
        eprintln!(
            "{size} bytes, level {level}, window {bits}: size {:.3}, zlib {:.3}",
            ratio(sent),
            ratio(compressed)
        );
    };
    let receive_check = move || {
        let (mut conn, mut input, mut heard) = (open(level, bits), wire, Vec::new());
        while let Some(event) = conn.receive(&mut input) {
            let Event::Frame(Frame::Text(text)) = event else { panic!("{event:?}") };
            heard.push(text.as_bytes().to_vec());
        }
        assert!(heard == messages, "it hears something else");
    };
    let nothing = || {};
    let sending = vec![
        Contender::new("zlib-rs, one stream", nothing, move || {
            let mut coder = zlib();
            Box::new(move || {
                zlib_deflate(&mut coder, messages, |bytes| {
                    std::hint::black_box(bytes);
                });
            })
        }),
        Contender::new("hermes-proto, ws::Connection", send_check, move || {
            let mut conn = open(level, bits);
            let frames: Vec<Frame> = messages.iter().map(|message| text(message)).collect();
            Box::new(move || {
                for frames in frames.chunks(32) {
                    frames.iter().for_each(|frame| assert!(conn.send(frame)));
                    std::hint::black_box(conn.transmit());
                    conn.transmitted(usize::MAX);
                }
            })
        }),
    ];
    let receiving = vec![
        Contender::new("zlib-rs, one stream", nothing, move || {
            let mut coder = Inflate::new(false, 15);
            Box::new(move || {
                zlib_inflate(&mut coder, payloads, |text| {
                    std::hint::black_box(text);
                });
            })
        }),
        Contender::new("hermes-proto, ws::Connection", receive_check, move || {
            let mut conn = open(level, bits);
            Box::new(move || {
                let mut input = wire;
                while let Some(event) = conn.receive(&mut input) {
                    assert!(matches!(std::hint::black_box(event), Event::Frame(_)));
                }
            })
        }),
    ];
    let messages = count as u64;
    [
        Contest { name: name("sending"), messages, contenders: sending },
        Contest { name: name("receiving"), messages, contenders: receiving },
    ]
}

/// All of them.
pub fn contests() -> Vec<Contest> {
    let mut contests = Vec::new();
    for (level, bits) in [(1, 12), (1, 15), (6, 12), (6, 15)] {
        for (size, count) in [(150, 2_000), (4_096, 200), (65_536, 16)] {
            contests.extend(contest(size, count, level, bits));
        }
    }
    contests
}

fn text(message: &[u8]) -> Frame {
    Frame::Text(str::from_utf8(message).expect("UTF-8").into())
}

/// A compressed text, whole, as a server sends it.
fn server_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xC1];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..65_536 => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
