//! Small types without a protocol in them.

pub(crate) mod lazy_box;
