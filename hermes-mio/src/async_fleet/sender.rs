//! Sending from tasks.

use std::future::poll_fn;

use hermes_proto::Outgoing;
use serde::Serialize;

use crate::sender::written;
use crate::{EnqueueError, Sender, Ticket};

/// A handle that sends from any task. It is cheap to clone, and may outlive the client.
///
/// It is a [`Sender`] that waits as a task does: the queue, its bounds and its errors are the same.
#[derive(Clone, Debug)]
pub struct AsyncSender {
    sender: Sender,
}

impl AsyncSender {
    pub(super) fn new(sender: Sender) -> Self {
        AsyncSender { sender }
    }

    /// Sends a message as JSON, once there is room in the queue. The [ticket](Ticket) tells of the
    /// message's way from there, and may be dropped.
    ///
    /// The message is written before the first poll. If the future is dropped before it is done, the
    /// message is not sent; once it is done, the message is sent whatever happens to the ticket.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`], except [`EnqueueError::Full`].
    pub fn send<T: Serialize + ?Sized>(
        &self,
        message: &T,
    ) -> impl Future<Output = Result<Ticket, EnqueueError>> + Send + use<'_, T> {
        let message = written(message);
        async move { self.send_message(message?).await }
    }

    /// As [`send`](Self::send), with a message that was made before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_message(&self, message: Outgoing) -> Result<Ticket, EnqueueError> {
        let mut message = Some(message);
        poll_fn(|cx| self.sender.poll_send(&mut message, cx)).await
    }

    /// The handle for threads, which shares the queue; its [`send`](Sender::send) never waits.
    pub fn blocking(&self) -> &Sender {
        &self.sender
    }
}
