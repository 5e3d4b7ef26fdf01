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
        // `basic` does not say where the error is, and is the faster one.
        if let Ok(whole) = simdutf8::basic::from_utf8(piece) {
            text.push_str(whole);
            return Ok(());
        }
        let (whole, cut) = match simdutf8::compat::from_utf8(piece) {
            Ok(whole) => (whole, &[][..]),
            Err(error) if error.error_len().is_none() => {
                let (whole, cut) = piece.split_at(error.valid_up_to());
                (str::from_utf8(whole).map_err(|_| Violation::InvalidUtf8)?, cut)
            }
            Err(_) => return Err(Violation::InvalidUtf8),
        };
        text.push_str(whole);
        self.0.extend_from_slice(cut);
        Ok(())
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
