//! Messages of the application, written as JSON.

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

/// Memory that is used again. It is no part of a client's state: all writers are equal.
#[derive(Default)]
pub(super) struct Writer {
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
        #[cfg(feature = "ws")]
        {
            self.json.clear();
            serde_json::to_writer(&mut self.json, message)
        }
        // Without std serde_json writes into memory of its own alone.
        #[cfg(not(feature = "ws"))]
        {
            self.json = serde_json::to_vec(message)?;
            Ok(())
        }
    }

    #[inline]
    pub(super) fn take(&mut self) -> Result<Text, SendError> {
        let text = if self.json.len() > CHUNK {
            Text::try_from(Bytes::from(mem::take(&mut self.json)))
        } else {
            str::from_utf8(&self.json).map(|text| self.chunk.share(text, CHUNK - text.len()))
        };
        // It is UTF-8; but only serde_json can know that.
        text.map_err(|error| SendError::Serialize(error.to_string()))
    }

    /// Gives the memory back.
    pub(super) fn release(&mut self) {
        *self = Writer::default();
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
