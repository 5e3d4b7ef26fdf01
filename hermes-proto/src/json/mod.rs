//! How messages are written as JSON.

#[cfg(not(feature = "ws"))]
mod fallback;
#[cfg(feature = "ws")]
mod writer;

#[cfg(not(feature = "ws"))]
pub(crate) use self::fallback::write;
#[cfg(feature = "ws")]
pub(crate) use self::writer::write;
