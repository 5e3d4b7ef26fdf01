//! What a server sends, in any pieces: we hear and say what tungstenite does, but where we differ
//! [on purpose](crate::ws::verdict::DIFFERENCES).

use super::byte_source::{ByteSource, in_pieces};
use crate::Rng;
use crate::ws::bits::{FIN, PING, TEXT};
use crate::ws::stream::stream;
use crate::ws::verdict::compare;
use crate::ws::{close, header, text};

/// Reads a stream.
pub fn run(input: &[u8]) {
    let pieces = ByteSource::new(input).pieces();
    compare(&pieces).unwrap_or_else(|problem| panic!("{problem}"));
}

/// Streams to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(1);
    let mut seeds = Vec::new();
    for sizes in [&[][..], &[1], &[2, 5], &[30]] {
        seeds.extend((0..30).map(|_| in_pieces(sizes, &stream(&mut rng))));
    }
    // Each difference, and lengths in forms that a length does not have.
    let lengths = [&[FIN | TEXT, 126, 0, 5][..], &[FIN | PING, 127, 0, 0, 0, 0, 0, 0, 0, 1]];
    seeds.extend(lengths.map(|bytes| in_pieces(&[], bytes)));
    seeds.extend([0x40, 0x20, 0x10].map(|bit| in_pieces(&[], &[FIN | bit | TEXT, 0])));
    seeds.extend([1004, 1014].map(|code| in_pieces(&[], &close(code, ""))));
    seeds.push(in_pieces(&[], &header(FIN | TEXT, 1 << 63)));
    seeds.push(in_pieces(&[], &text("\u{1f40e}".repeat(40))));
    seeds
}
