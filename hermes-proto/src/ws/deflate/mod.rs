//! permessage-deflate (RFC 7692): messages that are compressed, one by one.
//!
//! A message may refer to the ones before it (the context of §7.1.1). A connection keeps their text:
//! the last bytes received, a window's worth, and an [`Epoch`](epoch::Epoch) of what was sent. It
//! stays plain data, of which copies go on as the original would. zlib's coders are a [cache] of it:
//! kept while messages come, left out of clones and equality, dropped by an idle connection, and built
//! again from the text. The bytes and verdicts are the same with or without the cache.

#[cfg(feature = "deflate")]
mod cache;
#[cfg(feature = "deflate")]
mod deflater;
#[cfg(not(feature = "deflate"))]
mod disabled;
#[cfg(feature = "deflate")]
mod epoch;
#[cfg(feature = "deflate")]
mod inflater;
#[cfg(feature = "deflate")]
mod negotiate;
#[cfg(feature = "deflate")]
mod window;

#[cfg(feature = "deflate")]
pub(super) use self::deflater::Deflater;
#[cfg(not(feature = "deflate"))]
pub(super) use self::disabled::{Deflater, Inflater, negotiate, offer};
#[cfg(feature = "deflate")]
pub(super) use self::inflater::Inflater;
#[cfg(feature = "deflate")]
pub(super) use self::negotiate::{negotiate, offer};
