//! Messages of the application, written as JSON.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::{mem, str};

use bytes::Bytes;
use serde::Serialize;

use crate::text_buf::TextBuf;
use crate::{SendError, Text};

/// What texts are cut from, so that not each needs memory of its own; longer ones have that.
const CHUNK: usize = 16 << 10;

/// Memory that is used again, until a client that has nothing to say gives it back. It is no part of
/// a client's state: all writers are equal.
#[derive(Default)]
pub(super) struct Writer(Option<Box<Memory>>);

#[derive(Default)]
struct Memory {
    /// The message being written.
    json: Vec<u8>,
    /// The messages that were.
    chunk: TextBuf,
}

impl Writer {
    /// Writes a message, for [`take`](Self::take) to take.
    pub(super) fn write<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<(), serde_json::Error> {
        let json = &mut self.0.get_or_insert_default().json;
        #[cfg(feature = "ws")]
        {
            json.clear();
            serde_json::to_writer(json, message)
        }
        // Without std serde_json writes into memory of its own alone.
        #[cfg(not(feature = "ws"))]
        {
            *json = serde_json::to_vec(message)?;
            Ok(())
        }
    }

    #[inline]
    pub(super) fn take(&mut self) -> Result<Text, SendError> {
        let Memory { json, chunk } = &mut **self.0.get_or_insert_default();
        let text = if json.len() > CHUNK {
            Text::try_from(Bytes::from(mem::take(json)))
        } else {
            str::from_utf8(json).map(|text| chunk.share(text, CHUNK - text.len()))
        };
        // It is UTF-8; but only serde_json can know that.
        text.map_err(|error| SendError::Serialize(error.to_string()))
    }

    /// Gives the memory back.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }
}

impl Clone for Writer {
    fn clone(&self) -> Self {
        Writer::default()
    }
}

impl PartialEq for Writer {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Writer {}

impl Hash for Writer {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    /// Up to the size of a chunk, texts are cut from one; a longer one is the buffer it was written
    /// to, which is then another's no more.
    #[test]
    fn short_ones_share_and_long_ones_do_not() {
        let mut writer = Writer::default();
        let mut take = |bytes: usize| {
            // With its quotes.
            writer.write(&"x".repeat(bytes - 2)).unwrap();
            let written = writer.0.as_ref().unwrap().json.as_ptr();
            let text = writer.take().unwrap();
            assert_eq!(text.len(), bytes);
            (text, written)
        };
        let (one, _) = take(10);
        let (two, _) = take(CHUNK - 10);
        assert_eq!(
            one.as_ptr() as usize + 10,
            two.as_ptr() as usize,
            "a chunk has no more than that"
        );
        let (three, _) = take(10);
        assert_ne!(two.as_ptr() as usize + two.len(), three.as_ptr() as usize, "and no less");
        let (four, written) = take(CHUNK);
        assert_ne!(four.as_ptr(), written);
        let (five, written) = take(CHUNK + 1);
        assert_eq!(five.as_ptr(), written);
        let texts: [String; 2] = [one, five].map(|text| text.as_str().into());
        assert!(texts.iter().all(|text| text.starts_with("\"x") && text.ends_with("x\"")));
    }
}
