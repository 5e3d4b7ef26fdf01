//! The queue of actions that the machines of a client fill.

use crate::frame::FrameRef;
use crate::{Action, Actions, ConnId, Frame};

/// The queue of actions for the host. Frames and closes have methods of their own, because the
/// WebSocket of an [`Endpoint`](crate::Endpoint) takes them.
pub(crate) trait Output {
    /// What the host sends.
    type Payload;

    fn actions(&mut self) -> &mut Actions<Self::Payload>;

    /// [`Action::Send`].
    fn send(&mut self, conn: ConnId, seq: u64, frame: FrameRef<'_>);

    /// [`Action::Close`].
    fn close(&mut self, conn: ConnId, code: Option<u16>);

    fn push(&mut self, action: Action<Self::Payload>) {
        self.actions().push_back(action);
    }
}

/// The host has a WebSocket of its own.
impl Output for Actions {
    type Payload = Frame;

    fn actions(&mut self) -> &mut Actions {
        self
    }

    fn send(&mut self, conn: ConnId, seq: u64, frame: FrameRef<'_>) {
        self.push_back(Action::Send { conn, seq, payload: frame.to_frame() });
    }

    fn close(&mut self, conn: ConnId, code: Option<u16>) {
        self.push_back(Action::Close { conn, code });
    }
}
