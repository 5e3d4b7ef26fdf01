//! Short spellings of an [`Endpoint`](hermes_proto::Endpoint)'s actions. Times are milliseconds.

use hermes_proto::{Action, CloseReason, ConnId, Transmit, Url};

use crate::dsl::actions::{URL, ms};

/// Make connection `conn`, to [`URL`].
pub fn open(conn: u64) -> Action<Transmit> {
    Action::Open { conn: ConnId(conn), url: Url::parse(URL).expect("it is one") }
}

/// There is something to send, up to byte `seq`.
pub fn send(conn: u64, seq: usize) -> Action<Transmit> {
    Action::Send { conn: ConnId(conn), seq: seq as u64, payload: Transmit }
}

/// Set the timer, to milliseconds.
pub fn arm(millis: u64) -> Action<Transmit> {
    Action::ArmTimer(Some(ms(millis)))
}

/// Stop the timer.
pub fn disarm() -> Action<Transmit> {
    Action::ArmTimer(None)
}

/// Drop the connection.
pub fn abandon(conn: u64) -> Action<Transmit> {
    Action::Close { conn: ConnId(conn), code: None }
}

/// `ws-connected`.
pub fn connected(conn: u64) -> Action<Transmit> {
    let url = Url::parse(URL).expect("it is one");
    Action::Emit(hermes_proto::Event::Connected { conn: ConnId(conn), url })
}

/// `ws-disconnected`, with the time of the next attempt (in milliseconds) or `None`.
pub fn disconnected(
    conn: u64,
    code: u16,
    reason: CloseReason,
    retry_at: impl Into<Option<u64>>,
) -> Action<Transmit> {
    let (conn, retry_at) = (ConnId(conn), retry_at.into().map(ms));
    Action::Emit(hermes_proto::Event::Disconnected { conn, code, reason, retry_at })
}
