//! How messages are written as JSON.

#[cfg(not(feature = "std"))]
mod fallback;
#[cfg(feature = "std")]
mod writer;

#[cfg(not(feature = "std"))]
pub(crate) use self::fallback::write;
#[cfg(feature = "std")]
pub(crate) use self::writer::write;
