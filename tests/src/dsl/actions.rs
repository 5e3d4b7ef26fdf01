//! The words of a scenario: short spellings of actions and reasons. Times are milliseconds.

use bytes::Bytes;
use hermes_proto::reason::{Redirect, RedirectRefused, RetryAfter, Stage};
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Delivery, DropReason, Event, FailReason,
    Frame, Input, MessageId, Outgoing, PlaintextPolicy, SendError, Session, SessionDropReason,
    Start, Text, Timestamp, Url,
};
use serde::Serialize;

/// The gateway. Nobody answers there, and nobody asks.
pub const URL: &str = "ws://gateway.test/world";

/// What a session from [`URL`] is bound to.
pub const ORIGIN: &str = "ws://gateway.test";

/// The wall clock at time 0.
pub const UNIX_MS: u64 = 1_700_000_000_000;

/// The default settings, for the gateway at [`URL`], which may be trusted with a session.
pub fn config() -> Config {
    let delivery = Delivery::AtMostOnce;
    Config { plaintext_session: PlaintextPolicy::Allow, delivery, ..Config::new(URL) }
}

/// The same without a heartbeat, for scenarios that are about something else: an open connection
/// then has no timer.
pub fn quiet() -> Config {
    Config { heartbeat_interval: None, ..config() }
}

/// A start with a fixed seed and no session.
pub fn start() -> Start {
    Start::new([7; 32], UNIX_MS)
}

/// The point `millis` after the start.
pub fn ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Make connection `conn`, to [`URL`].
pub fn open(conn: u64) -> Action {
    open_to(conn, URL)
}

/// Make connection `conn`, to another gateway.
pub fn open_to(conn: u64, url: &str) -> Action {
    Action::Open { conn: ConnId(conn), url: Url::parse(url).expect("it is one") }
}

/// Bring credentials for connection `conn`, to [`URL`].
pub fn ask_credentials(conn: u64) -> Action {
    Action::AskCredentials { conn: ConnId(conn), url: Url::parse(URL).expect("it is one") }
}

/// Send `text` as frame `seq` of connection `conn`.
pub fn send(conn: u64, seq: u64, text: &str) -> Action {
    Action::Send { conn: ConnId(conn), seq, payload: Frame::Text(text.into()) }
}

/// Send a Ping, which is a fence, as frame `seq` of connection `conn`. It names the connection and
/// the number of frames before it.
pub fn ping(conn: u64, seq: u64) -> Action {
    Action::Send { conn: ConnId(conn), seq, payload: Frame::Ping(fence(conn, seq)) }
}

/// The answer to that Ping.
pub fn pong(conn: u64, seq: u64) -> Frame {
    Frame::Pong(fence(conn, seq))
}

fn fence(conn: u64, seq: u64) -> Bytes {
    [conn.to_be_bytes(), (seq - 1).to_be_bytes()].concat().into()
}

/// The frame with which the session of `token` is resumed, always the first of its connection.
pub fn resume(conn: u64, token: &str) -> Action {
    send(conn, 1, &format!(r#"{{"type":"session-resume","token":"{token}"}}"#))
}

/// Set the timer.
pub fn arm(millis: u64) -> Action {
    Action::ArmTimer(Some(ms(millis)))
}

/// Stop the timer.
pub fn disarm() -> Action {
    Action::ArmTimer(None)
}

/// Begin the closing handshake.
pub fn close(conn: u64, code: u16) -> Action {
    Action::Close { conn: ConnId(conn), code: Some(code) }
}

/// Drop the connection at once.
pub fn abandon(conn: u64) -> Action {
    Action::Close { conn: ConnId(conn), code: None }
}

/// Save the session.
pub fn persist(session: Session) -> Action {
    Action::PersistSession(Some(session))
}

/// Clear the saved session.
pub fn forget() -> Action {
    Action::PersistSession(None)
}

/// `ws-connected`.
pub fn connected(conn: u64) -> Action {
    let url = Url::parse(URL).expect("it is one");
    Action::Emit(Event::Connected { conn: ConnId(conn), url })
}

/// `ws-disconnected`, with the time of the next attempt (in milliseconds) or `None`.
pub fn disconnected(
    conn: u64,
    code: u16,
    reason: CloseReason,
    retry_at: impl Into<Option<u64>>,
) -> Action {
    let retry_at = retry_at.into().map(ms);
    Action::Emit(Event::Disconnected { conn: ConnId(conn), code, reason, retry_at })
}

/// `ws-failed`.
pub fn failed(attempts: u32, why: FailReason) -> Action {
    Action::Emit(Event::Failed { attempts, why })
}

/// `messages-written`.
pub fn written(from: u64, to: u64) -> Action {
    Action::Emit(Event::Written { from: MessageId(from), to: MessageId(to) })
}

/// `messages-acknowledged`.
pub fn acknowledged(from: u64, to: u64) -> Action {
    Action::Emit(Event::Acknowledged { from: MessageId(from), to: MessageId(to) })
}

/// `messages-in-doubt`.
pub fn in_doubt(from: u64, to: u64, resend: bool) -> Action {
    Action::Emit(Event::InDoubt { from: MessageId(from), to: MessageId(to), resend })
}

/// `shut-down`.
pub fn shut_down(acknowledged: u64, in_doubt: u64, unsent: u64) -> Action {
    Action::Emit(Event::ShutDown { acknowledged, in_doubt, unsent, durable: 0 })
}

/// `message-dropped`, of a message that the outbox had taken or would have taken, had there been
/// room.
pub fn dropped(id: u64, text: &str) -> Action {
    given_up(id, text, DropReason::OutboxFull)
}

/// `message-dropped`, of a message that the outbox had taken.
pub fn given_up(id: u64, text: &str, reason: DropReason) -> Action {
    Action::Emit(Event::Dropped {
        id: Some(MessageId(id)),
        frame: Frame::Text(text.into()),
        reason,
    })
}

/// `session-dropped`.
pub fn session_dropped(reason: SessionDropReason) -> Action {
    Action::Emit(Event::SessionDropped { reason })
}

/// `message-dropped`, of a message that was never taken.
pub fn refused(text: &str, reason: DropReason) -> Action {
    Action::Emit(Event::Dropped { id: None, frame: Frame::Text(text.into()), reason })
}

/// `warning`.
pub fn warning(text: &str) -> Action {
    Action::Emit(Event::Warning { text: text.into() })
}

/// The event that `json` from the gateway becomes.
///
/// Only a client can make such an event, so one is made for the purpose. What the events look like
/// from outside is the business of `tests/client/observe/routing.rs`.
pub fn event(json: &str) -> Action {
    nth_event(json, 1)
}

/// The same for a `session-init` of the session that there was before.
pub fn resumed(json: &str) -> Action {
    nth_event(json, 2)
}

fn nth_event(json: &str, n: usize) -> Action {
    let mut client = Client::new(config(), start()).expect("the settings are fine");
    let mut out = Actions::new();
    let conn = ConnId(1);
    client.connect(ms(0), &mut out);
    client.handle(ms(0), Input::Opened { conn }, &mut out);
    for _ in 0..n {
        let payload = Frame::Text(json.into());
        client.handle(ms(0), Input::Received { conn, payload }, &mut out);
    }
    let last = out.pop_back().expect("a text becomes an event");
    assert!(matches!(last, Action::Emit(_)), "{last:?}");
    last
}

/// The connection was lost without a word.
pub fn lost() -> CloseReason {
    CloseReason::lost()
}

/// The peer sent a Close frame.
pub fn peer(code: u16) -> CloseReason {
    CloseReason::Peer { code, text: "".into() }
}

/// The connection could not be made.
pub fn unreachable() -> CloseReason {
    CloseReason::Connect { text: "connection refused".into() }
}

/// The gateway answered the upgrade with an HTTP status.
pub fn http(status: u16, retry_after: impl Into<Option<RetryAfter>>) -> CloseReason {
    CloseReason::Http { status, retry_after: retry_after.into(), redirect: None, body: None }
}

/// The gateway answered the upgrade with a redirect.
pub fn redirect(status: u16, to: &str) -> CloseReason {
    let to = Url::parse(to).expect("it is one");
    let redirect = Some(Redirect { to, refused: None }.into());
    CloseReason::Http { status, retry_after: None, redirect, body: None }
}

/// The same, where the client does not go.
pub fn redirect_refused(status: u16, to: &str, why: RedirectRefused) -> CloseReason {
    let mut reason = redirect(status, to);
    if let CloseReason::Http { redirect: Some(redirect), .. } = &mut reason {
        redirect.refused = Some(why);
    }
    reason
}

/// Nothing happened in time.
pub fn timeout(stage: Stage) -> CloseReason {
    CloseReason::Timeout { stage }
}

/// An action as a line of a trace. Texts are shown in the clear: a test has no secrets.
pub(crate) fn show(action: &Action) -> String {
    match action {
        Action::AskCredentials { conn, url } => format!("ask for credentials {conn} {url}"),
        Action::Open { conn, url } => format!("open {conn} {url}"),
        Action::Send { conn, seq, payload: Frame::Text(text) } => {
            format!("send {conn} seq {seq} {text}")
        }
        Action::Send { conn, seq, payload } => format!("send {conn} seq {seq} {payload:?}"),
        Action::ArmTimer(Some(due)) => format!("arm {due:?}"),
        Action::ArmTimer(None) => "disarm".to_owned(),
        Action::Emit(event) => format!("emit {} {event:?}", event.name()),
        Action::PersistSession(session) => match session {
            Some(session) => format!("persist token {:?} {session:?}", session.token),
            None => "forget".to_owned(),
        },
        Action::Close { conn, code: Some(code) } => format!("close {conn} {code}"),
        Action::Close { conn, code: None } => format!("abandon {conn}"),
        other => format!("{other:?}"),
    }
}

/// A message to send.
///
/// # Panics
///
/// Where the text is not JSON.
pub fn json(text: impl Into<Text>) -> Outgoing {
    Outgoing::from_json(text).expect("the test writes JSON")
}

/// What a client makes of a value that it is given to send.
///
/// # Errors
///
/// As [`Client::send`].
pub fn sent_as_json<T: Serialize + ?Sized>(value: &T) -> Result<String, SendError> {
    let mut client = Client::new(quiet(), start()).expect("a good configuration");
    client.send(ms(0), value, &mut Actions::new())?;
    let (_, frame) = client.outbox().next().expect("it waits");
    Ok(frame.as_text().expect("a text").to_owned())
}
