//! The validation of text that comes in pieces.

use alloc::vec::Vec;
use core::str;

use crate::reason::Violation;
use crate::util::text_buf::TextBuf;

/// The start of a character that the end of a piece cut: 3 bytes at most.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Utf8Tail(Vec<u8>);

impl Utf8Tail {
    /// Appends a piece to `text`, but for a character that its end cuts.
    ///
    /// # Errors
    ///
    /// The first byte that can't be part of UTF-8, before the message's end (RFC 6455 §8.1).
    pub(super) fn push(&mut self, mut piece: &[u8], text: &mut TextBuf) -> Result<(), Violation> {
        while !self.0.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.0.push(byte);
            match str::from_utf8(&self.0) {
                Ok(char) => {
                    text.push_str(char);
                    self.0.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Violation::InvalidUtf8),
            }
        }
        let (whole, cut) = piece.split_at(piece.len() - incomplete_suffix(piece));
        // Text in scripts of three bytes a character is cut by two of three reads: the cut is found
        // from the end, so that the rest is validated once, by the fast validator.
        text.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| Violation::InvalidUtf8)?);
        match str::from_utf8(cut) {
            Err(error) if error.error_len().is_some() => Err(Violation::InvalidUtf8),
            _ => {
                self.0.extend_from_slice(cut);
                Ok(())
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Frees the memory, if nothing is in it.
    pub(super) fn on_idle(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// Number of bytes at the end of `piece` that begin a character and lack its end: 0 to 3.
fn incomplete_suffix(piece: &[u8]) -> usize {
    for (before, &byte) in piece.iter().rev().take(3).enumerate() {
        let length = match byte {
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            0x00..=0x7F => 1,
        };
        return if length > before + 1 { before + 1 } else { 0 };
    }
    0
}
