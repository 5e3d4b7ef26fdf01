//! Random streams of frames, good and bad.

use super::bits::*;
use super::{Dice, close, frame, header};

/// Some frames, most of them good.
pub fn stream(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The message in fragments, as far as it was not sent.
    let mut begun: Option<Vec<u8>> = None;
    for _ in 0..dice.below(15) {
        bytes.extend(if dice.chance(4) {
            bad_frame(dice, begun.is_some())
        } else if dice.chance(30) {
            control(dice)
        } else if let Some(rest) = begun.take() {
            let n = dice.below(rest.len() + 1);
            let (piece, rest) = rest.split_at(n);
            if rest.is_empty() {
                frame(FIN | CONTINUATION, piece)
            } else {
                begun = Some(rest.to_vec());
                frame(CONTINUATION, piece)
            }
        } else {
            let (opcode, payload) = message(dice);
            if dice.chance(50) {
                frame(FIN | opcode, payload)
            } else {
                let (piece, rest) = payload.split_at(dice.below(payload.len() + 1));
                begun = Some(rest.to_vec());
                frame(opcode, piece)
            }
        });
    }
    bytes
}

/// A message, rarely too long, rarely a text that is not UTF-8.
fn message(dice: &mut Dice) -> (u8, Vec<u8>) {
    let most = *dice.pick(&[1, 10, 60, 60, 60, 130]);
    let n = dice.below(most);
    if dice.chance(30) {
        return (BINARY, dice.bytes(n * 4));
    }
    let mut text = dice.text(n).into_bytes();
    if dice.chance(5) && !text.is_empty() {
        let at = dice.below(text.len());
        match dice.below(3) {
            0 => text[at] = dice.roll() as u8,
            1 => text.truncate(at),
            _ => drop(text.remove(at)),
        }
    }
    (TEXT, text)
}

fn control(dice: &mut Dice) -> Vec<u8> {
    let n = *dice.pick(&[0, 1, 2, 124, 125]);
    if dice.chance(80) {
        return frame(FIN | *dice.pick(&[PING, PONG]), dice.bytes(n));
    }
    let code = match dice.below(4) {
        0 => dice.roll() as u16,
        1 => 990 + dice.below(40) as u16,
        _ => *dice.pick(&[1000, 1001, 1014, 3000, 4999]),
    };
    match dice.below(10) {
        0 => frame(FIN | CLOSE, ""),
        1 => frame(FIN | CLOSE, dice.bytes(1)),
        2 => close(code, dice.bytes(4)),
        _ => close(code, dice.text(10)),
    }
}

/// A frame that breaks a rule, though not always: a reserved bit of zero is no reserved bit.
fn bad_frame(dice: &mut Dice, within: bool) -> Vec<u8> {
    let opcode = *dice.pick(&[CONTINUATION, TEXT, BINARY, PING, PONG, CLOSE]);
    let n = *dice.pick(&[0, 1, 2, 125, 126, 300]);
    let payload = vec![b'x'; n];
    match dice.below(8) {
        0 => frame(FIN | opcode | (dice.below(8) as u8) << 4, payload),
        1 => frame(FIN | dice.below(16) as u8, payload),
        2 => {
            let mut masked = frame(FIN | opcode, "");
            masked[1] |= 0x80;
            [masked, dice.bytes(4)].concat()
        }
        3 => frame(dice.below(16) as u8, payload),
        4 => frame(if within { TEXT } else { CONTINUATION }, payload),
        5 => header(FIN | BINARY, *dice.pick(&[301, 0xFFFF, 0x1_0000, 1 << 40, 1 << 63])),
        6 => [
            &[FIN | if within { CONTINUATION } else { BINARY }, 126, 0, n as u8][..],
            &payload[..n % 256],
        ]
        .concat(),
        _ => [&[FIN | PING, 127, 0, 0, 0, 0, 0, 0, 0, n as u8][..], &payload[..n % 256]].concat(),
    }
}
