//! From bytes off a socket to a typed event in hand.

mod fastwebsockets;
pub(crate) mod floor;
pub(crate) mod hermes;
pub(crate) mod message;
mod tokio_websockets;
mod tungstenite;

use crate::contest::Contender;
use crate::link::Link;
use crate::load::Load;
use crate::seen::{All, Count, Seen};

/// A client of its kind, on an open connection.
trait Receiver: Sized + 'static {
    fn new(link: Link, read: usize) -> Self;

    /// Reads until there is nothing more for now.
    fn receive(&mut self, seen: &mut impl Seen);

    /// Does the work once and says what it saw.
    fn all(bytes: &'static [u8], read: usize) -> All {
        let link = Link::new(read);
        let mut receiver = Self::new(link.clone(), read);
        let mut all = All::default();
        // Twice: no message may stay behind at the end of a stream.
        for _ in 0..2 {
            link.fill(bytes);
            receiver.receive(&mut all);
        }
        all
    }

    fn contender(name: &'static str, bytes: &'static [u8], read: usize) -> Contender {
        let check = move || {
            let is_same = Self::all(bytes, read) == floor::Floor::all(bytes, read);
            assert!(is_same, "{name} sees something else than the floor does");
        };
        Contender::new(name, check, move || {
            let link = Link::new(read);
            let mut receiver = Self::new(link.clone(), read);
            Box::new(move || {
                link.fill(bytes);
                let mut count = Count::default();
                receiver.receive(&mut count);
                std::hint::black_box((count.messages, count.bytes));
            })
        })
    }
}

/// Everybody on `load` in reads of `read` bytes; the floor first, which the others are measured
/// against.
pub fn contenders(load: &Load, read: usize) -> Vec<Contender> {
    let bytes: &'static [u8] = load.bytes.clone().leak();
    vec![
        floor::Floor::contender("floor2", bytes, read),
        hermes::Hermes::contender("hermes-proto", bytes, read),
        tokio_websockets::Flat::contender("tokio-websockets + flat struct", bytes, read),
        tungstenite::Flat::contender("tungstenite + flat struct", bytes, read),
        tungstenite::Tagged::contender("tungstenite + tagged enum", bytes, read),
        fastwebsockets::Flat::contender("fastwebsockets + flat struct", bytes, read),
    ]
}
