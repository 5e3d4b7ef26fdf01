//! Hermes on mio.
