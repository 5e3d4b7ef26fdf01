//! Bytes that come in one piece or in several: they come to the same, since no short way takes what
//! the long one would refuse.

use hermes_proto::{Action, Config, Receipts};
use hermes_tests::quiet;
use hermes_tests::ws::bits::{BINARY, CONTINUATION, FIN};
use hermes_tests::ws::*;

/// What comes of it, but for announcements: they may be made in parts.
fn read<'a>(harness: &mut Harness, pieces: impl IntoIterator<Item = &'a [u8]>) -> Asks {
    let mut asks: Asks = pieces.into_iter().flat_map(|piece| harness.receive(piece)).collect();
    asks.retain(|action| !matches!(action, Action::Send { .. }));
    asks
}

/// Whether all of it comes to the same as these pieces of it.
#[track_caller]
pub(crate) fn the_same<'a>(
    harness: &Harness,
    bytes: &[u8],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) {
    let (mut whole, mut cut) = (harness.clone(), harness.clone());
    let what = || format!("{:02x?}", &bytes[..bytes.len().min(4)]);
    assert_eq!(read(&mut whole, [bytes]), read(&mut cut, pieces), "{}", what());
    assert_eq!(whole.endpoint.transmit(), cut.endpoint.transmit(), "{}", what());
    assert_eq!(whole.endpoint.client(), cut.endpoint.client(), "{}", what());
}

/// What might be the Pong that is waited for, and anything else that begins with two bytes.
#[test]
fn a_frame_that_begins_with_any_two_bytes() {
    let mut harness = Harness::connected(Config { receipts: Receipts::Acknowledged, ..quiet() });
    harness.send("1");
    harness.take(usize::MAX);
    let fence = [1_u64.to_be_bytes(), 1_u64.to_be_bytes()].concat();
    assert_eq!(read(&mut harness.clone(), [&*pong(&fence)]).len(), 1, "the message was received");
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            let bytes = [&[first, second], &fence[..], &[0; 300]].concat();
            the_same(&harness, &bytes, [&bytes[..1], &bytes[1..]]);
        }
    }
}

/// The second piece alone would be a Pong.
#[test]
fn a_payload_with_a_pong_in_it() {
    let harness = Harness::connected(quiet());
    let inner = [pong("answer"), pong("")].concat();
    let fragments = [frame(BINARY, &inner), pong("between"), frame(FIN | CONTINUATION, &inner)];
    for bytes in [binary(&inner), ping(&inner), pong(&inner), fragments.concat()] {
        for cut in 1..bytes.len() {
            the_same(&harness, &bytes, [&bytes[..cut], &bytes[cut..]]);
        }
    }
}
