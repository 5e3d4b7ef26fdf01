//! Small types without a protocol in them.

pub(crate) mod lazy_box;
pub(crate) mod printable;
#[cfg(feature = "ws")]
pub(crate) mod text_buf;
