//! Random streams of frames, good and bad.

use super::bits::*;
use super::{close, frame, header};
use crate::Rng;

/// Some frames, most of them good.
pub fn stream(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The message in fragments, as far as it was not sent.
    let mut begun: Option<Vec<u8>> = None;
    for _ in 0..rng.below(15) {
        bytes.extend(if rng.chance(4) {
            bad_frame(rng, begun.is_some())
        } else if rng.chance(30) {
            control(rng)
        } else if let Some(rest) = begun.take() {
            let n = rng.below(rest.len() + 1);
            let (piece, rest) = rest.split_at(n);
            if rest.is_empty() {
                frame(FIN | CONTINUATION, piece)
            } else {
                begun = Some(rest.to_vec());
                frame(CONTINUATION, piece)
            }
        } else {
            let (opcode, payload) = message(rng);
            if rng.chance(50) {
                frame(FIN | opcode, payload)
            } else {
                let (piece, rest) = payload.split_at(rng.below(payload.len() + 1));
                begun = Some(rest.to_vec());
                frame(opcode, piece)
            }
        });
    }
    bytes
}

/// A message, rarely too long, rarely a text that is not UTF-8.
fn message(rng: &mut Rng) -> (u8, Vec<u8>) {
    let most = *rng.pick(&[1, 10, 60, 60, 60, 130]);
    let n = rng.below(most);
    if rng.chance(30) {
        return (BINARY, rng.bytes(n * 4));
    }
    let mut text = rng.text(n).into_bytes();
    if rng.chance(5) && !text.is_empty() {
        let at = rng.below(text.len());
        match rng.below(3) {
            0 => text[at] = rng.next_u64() as u8,
            1 => text.truncate(at),
            _ => drop(text.remove(at)),
        }
    }
    (TEXT, text)
}

fn control(rng: &mut Rng) -> Vec<u8> {
    let n = *rng.pick(&[0, 1, 2, 124, 125]);
    if rng.chance(80) {
        return frame(FIN | *rng.pick(&[PING, PONG]), rng.bytes(n));
    }
    let code = match rng.below(4) {
        0 => rng.next_u64() as u16,
        1 => 990 + rng.below(40) as u16,
        _ => *rng.pick(&[1000, 1001, 1014, 3000, 4999]),
    };
    match rng.below(10) {
        0 => frame(FIN | CLOSE, ""),
        1 => frame(FIN | CLOSE, rng.bytes(1)),
        2 => close(code, rng.bytes(4)),
        _ => close(code, rng.text(10)),
    }
}

/// A frame that breaks a rule, though not always: a reserved bit of zero is no reserved bit.
fn bad_frame(rng: &mut Rng, within: bool) -> Vec<u8> {
    let opcode = *rng.pick(&[CONTINUATION, TEXT, BINARY, PING, PONG, CLOSE]);
    let n = *rng.pick(&[0, 1, 2, 125, 126, 300]);
    let payload = vec![b'x'; n];
    match rng.below(8) {
        0 => frame(FIN | opcode | (rng.below(8) as u8) << 4, payload),
        1 => frame(FIN | rng.below(16) as u8, payload),
        2 => {
            let mut masked = frame(FIN | opcode, "");
            masked[1] |= 0x80;
            [masked, rng.bytes(4)].concat()
        }
        3 => frame(rng.below(16) as u8, payload),
        4 => frame(if within { TEXT } else { CONTINUATION }, payload),
        5 => header(FIN | BINARY, *rng.pick(&[301, 0xFFFF, 0x1_0000, 1 << 40, 1 << 63])),
        6 => [
            &[FIN | if within { CONTINUATION } else { BINARY }, 126, 0, n as u8][..],
            &payload[..n % 256],
        ]
        .concat(),
        _ => [&[FIN | PING, 127, 0, 0, 0, 0, 0, 0, 0, n as u8][..], &payload[..n % 256]].concat(),
    }
}
