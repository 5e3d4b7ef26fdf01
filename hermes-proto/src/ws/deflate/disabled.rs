//! The stand-in for permessage-deflate without the feature `deflate`: nothing is offered, and an
//! extension in the answer is an error.

use alloc::string::String;

use crate::Config;
use crate::reason::{UpgradeError, Violation};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ws) enum Deflater {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ws) enum Inflater {}

pub(in crate::ws) fn offer(_: &Config) -> Option<String> {
    None
}

pub(in crate::ws) fn negotiate<'a>(
    mut values: impl Iterator<Item = &'a str>,
    _: &Config,
) -> Result<Option<(Deflater, Inflater)>, UpgradeError> {
    match values.next() {
        None => Ok(None),
        Some(_) => Err(UpgradeError::UnexpectedExtension),
    }
}

impl Deflater {
    pub(in crate::ws) fn room(_: usize) -> usize {
        0
    }

    pub(in crate::ws) fn deflate(&mut self, _: &[u8], _: &mut [u8]) -> Option<usize> {
        match *self {}
    }

    pub(in crate::ws) fn on_idle(&mut self) {
        match *self {}
    }
}

impl Inflater {
    pub(in crate::ws) fn inflate<T>(
        &mut self,
        _: &[u8],
        _: usize,
        _: impl FnOnce(&[u8]) -> Result<T, Violation>,
    ) -> Result<T, Violation> {
        match *self {}
    }

    pub(in crate::ws) fn on_idle(&mut self) {
        match *self {}
    }
}
