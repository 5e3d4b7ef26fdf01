//! Hermes and its peers on the same work, side by side.
//!
//! The work is the same for all: [`load`] makes it from a fixed seed, a contender in
//! [`receive`], [`send`] or [`deflate`] does it, and before anything is measured each has to show that it did
//! ([`seen`], [`send::check`]). [`contest`] measures: time, in rounds that take turns, since on a
//! machine with other things to do only neighbours in time can be compared; and instructions,
//! which Valgrind counts and which repeat. [`scale`] has contests between sizes, [`loopback`] and
//! [`upload`] have sockets, on certain [`cores`].

pub mod contest;
pub mod cores;
pub mod deflate;
pub mod link;
pub mod load;
pub mod loopback;
pub mod receive;
pub mod scale;
pub mod seen;
pub mod send;
pub mod upload;
