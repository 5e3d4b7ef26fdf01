//! What is left of permessage-deflate without the feature `deflate`: nothing is offered, and
//! nothing can come of it.

use alloc::string::String;

use crate::Config;
use crate::reason::{UpgradeError, Violation};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deflater {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inflater {}

pub(super) fn offer(_: &Config) -> Option<String> {
    None
}

pub(super) fn agree<'a>(
    mut values: impl Iterator<Item = &'a str>,
    _: &Config,
) -> Result<Option<(Deflater, Inflater)>, UpgradeError> {
    match values.next() {
        None => Ok(None),
        Some(_) => Err(UpgradeError::UnexpectedExtension),
    }
}

impl Deflater {
    pub(super) fn room(&self, _: usize) -> usize {
        match *self {}
    }

    pub(super) fn deflate(&mut self, _: &[u8], _: &mut [u8]) -> Option<usize> {
        match *self {}
    }

    pub(super) fn release(&mut self) {
        match *self {}
    }
}

impl Inflater {
    pub(super) fn inflate(&mut self, _: &[u8], _: usize) -> Result<&[u8], Violation> {
        match *self {}
    }

    pub(super) fn settle(&mut self) {
        match *self {}
    }

    pub(super) fn release(&mut self) {
        match *self {}
    }
}
