//! permessage-deflate (RFC 7692): messages that are compressed, one by one.
//!
//! No coder lives longer than a call. A message may refer to the ones before it (the context of
//! §7.1.1), and all that it can refer to is their text. So the last bytes of that text, a window's
//! worth, are what a connection keeps. It stays plain data, of which copies go on as the original
//! would, and an idle connection holds at most its windows: some KiB, instead of the 300 KiB of
//! zlib's two streams. In return each message that is sent begins with a pass over the window,
//! which takes about as long as its compression.

#[cfg(feature = "deflate")]
mod deflater;
#[cfg(not(feature = "deflate"))]
mod disabled;
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
