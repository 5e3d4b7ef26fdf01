//! permessage-deflate (RFC 7692): messages that are compressed, one by one.
//!
//! No coder lives longer than a call. A message may refer to the ones before it (the context of
//! §7.1.1), and all that it can refer to is their text, so that is what is kept from one to the
//! next: the last bytes of it, as many as the window has. So a connection stays plain data, of which
//! there can be copies that go on as it would, and one that is idle holds its windows at most: some
//! KiB, where zlib's two streams hold 300. The price is that each message that is sent has to be
//! preceded by a look through the window, which takes about as long as compressing it does.

mod agreement;
mod context;
mod deflater;
mod inflater;

pub(super) use self::agreement::{agree, offer};
pub(super) use self::deflater::Deflater;
pub(super) use self::inflater::Inflater;

/// What a compressed message ends with, and does not send (§7.2.1): the rest of an empty block.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
