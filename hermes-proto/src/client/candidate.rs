//! Candidates: messages that are about to be accepted, or not.

use core::time::Duration;

use super::outbox::{AdmitError, Outbox, QueuedMessage};
use crate::{DropReason, Outgoing, SendError};

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendRefusal {
    Full,
    TooLarge,
    NotNow,
    ShuttingDown,
}

impl SendRefusal {
    pub(super) fn hand_back(self, message: Outgoing) -> SendError {
        match self {
            SendRefusal::Full => SendError::Full(message),
            SendRefusal::TooLarge => SendError::TooLarge(message),
            SendRefusal::NotNow => SendError::NotNow(message),
            SendRefusal::ShuttingDown => SendError::ShuttingDown(message),
        }
    }

    pub(super) fn reason(self) -> DropReason {
        match self {
            SendRefusal::Full => DropReason::OutboxFull,
            SendRefusal::TooLarge => DropReason::TooLarge,
            SendRefusal::NotNow => DropReason::NotNow,
            SendRefusal::ShuttingDown => DropReason::ShuttingDown,
        }
    }
}

impl From<AdmitError> for SendRefusal {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Full => SendRefusal::Full,
            AdmitError::TooLarge => SendRefusal::TooLarge,
        }
    }
}

/// A message that is about to be accepted, or not.
pub(super) trait Candidate {
    fn len(&self) -> usize;
    fn is_volatile(&self) -> bool;
    fn ttl(&self) -> Option<Duration>;
    /// Text of a text message.
    fn text<'a>(&'a self, outbox: &'a Outbox) -> Option<&'a [u8]>;
    /// Puts it into the outbox's arena.
    fn store(self, outbox: &mut Outbox) -> QueuedMessage;
}

impl Candidate for &Outgoing {
    fn len(&self) -> usize {
        Outgoing::len(self)
    }

    fn is_volatile(&self) -> bool {
        Outgoing::is_volatile(self)
    }

    fn ttl(&self) -> Option<Duration> {
        Outgoing::ttl(self)
    }

    fn text<'a>(&'a self, _: &'a Outbox) -> Option<&'a [u8]> {
        self.frame().as_text().map(str::as_bytes)
    }

    fn store(self, outbox: &mut Outbox) -> QueuedMessage {
        outbox.copy(self)
    }
}

/// A message that was written into the arena as JSON.
impl Candidate for QueuedMessage {
    #[inline]
    fn len(&self) -> usize {
        QueuedMessage::len(*self)
    }

    #[inline]
    fn is_volatile(&self) -> bool {
        false
    }

    #[inline]
    fn ttl(&self) -> Option<Duration> {
        None
    }

    fn text<'a>(&'a self, outbox: &'a Outbox) -> Option<&'a [u8]> {
        outbox.text(*self)
    }

    #[inline]
    fn store(self, _: &mut Outbox) -> QueuedMessage {
        self
    }
}
