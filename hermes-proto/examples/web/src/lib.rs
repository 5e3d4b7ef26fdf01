//! A [`Client`] for `hermes.js`: numbers and texts in, actions out, one at a time.
//!
//! One instance of the module is one client. `hermes.js` writes a text into [`buffer`], calls an input,
//! and then takes actions with [`next`] until there is none; an application may call inputs in between.
#![no_std]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::UnsafeCell;

use core::time::Duration;

use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Delivery, Event, Frame, Input, Outgoing,
    Session, Start, Timestamp,
};

#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What the module holds: nothing of it outlives a call as a reference.
struct State {
    client: Option<Client>,
    actions: Actions,
    buffer: Vec<u8>,
    out: Out,
    text: Vec<u8>,
}

/// The fields of the action that [`next`] took.
#[repr(C)]
#[derive(Default)]
pub struct Out {
    conn: u32,
    /// The number for `flushed`, or a code, or 0.
    number: u32,
    text: u32,
    length: u32,
    name: u32,
    name_length: u32,
}

struct Shared(UnsafeCell<State>);
// SAFETY: a module without threads.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(State {
    client: None,
    actions: Actions::new(),
    buffer: Vec::new(),
    out: Out { conn: 0, number: 0, text: 0, length: 0, name: 0, name_length: 0 },
    text: Vec::new(),
}));

fn with<R>(run: impl FnOnce(&mut State) -> R) -> R {
    // SAFETY: no import is ever called, so calls do not nest.
    run(unsafe { &mut *STATE.0.get() })
}

fn millis(now: f64) -> Timestamp {
    Timestamp::from_micros((now * 1_000.0) as u64)
}

impl State {
    fn take_text(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.buffer)).unwrap_or_default()
    }

    fn input(&mut self, now: f64, input: Input) {
        if let Some(client) = &mut self.client {
            client.handle(millis(now), input, &mut self.actions);
        }
    }

    fn put(&mut self, kind: u32, conn: ConnId, number: u64, text: &[u8]) -> u32 {
        self.text = text.into();
        let (text, length) = (self.text.as_ptr() as u32, self.text.len() as u32);
        let (conn, number) = (conn.0 as u32, number as u32);
        self.out = Out { conn, number, text, length, name: 0, name_length: 0 };
        kind
    }

    fn put_event(&mut self, event: &Event) -> u32 {
        let none = ConnId(0);
        match event {
            Event::Connected { url, .. } => self.put(4, none, 0, url.as_str().as_bytes()),
            Event::Disconnected { code, .. } => self.put(4, none, (*code).into(), &[]),
            Event::Malformed { text, .. } | Event::Warning { text } => {
                self.put(4, none, 0, text.as_bytes())
            }
            Event::Dropped { frame: Frame::Text(text), .. } => {
                self.put(4, none, 0, text.as_bytes())
            }
            Event::InDoubt { from, to, .. } => self.put(4, none, to.0 - from.0 + 1, &[]),
            _ => self.put(4, none, 0, event.json().map_or(&[][..], |json| json.as_bytes())),
        };
        let name = event.name();
        (self.out.name, self.out.name_length) = (name.as_ptr() as u32, name.len() as u32);
        4
    }
}

/// Room for `length` bytes, which the next call takes.
#[unsafe(no_mangle)]
extern "C" fn buffer(length: usize) -> *mut u8 {
    with(|state| {
        state.buffer.clear();
        state.buffer.resize(length, 0);
        state.buffer.as_mut_ptr()
    })
}

/// Where [`next`] writes an action's fields.
#[unsafe(no_mangle)]
extern "C" fn out() -> *const Out {
    with(|state| &raw const state.out)
}

/// A client for the URL behind 32 bytes of seed. `attempts` below 0: for ever. Whether there is one; if
/// not, the error's text is where [`out`] says.
#[unsafe(no_mangle)]
extern "C" fn create(unix_ms: f64, base: f64, cap: f64, attempts: i32) -> u32 {
    with(|state| {
        let buffer = core::mem::take(&mut state.buffer);
        let (seed, url) = buffer.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        let millis = |millis: f64| Duration::from_millis(millis as u64);
        let config = Config {
            backoff_base: millis(base),
            backoff_cap: millis(cap),
            max_attempts: u32::try_from(attempts).ok(),
            // A browser's WebSocket answers Pings, and sends none.
            can_ping: false,
            delivery: Delivery::AtMostOnce,
            ..Config::new(str::from_utf8(url).unwrap_or_default())
        };
        match Client::new(config, Start::new(*seed, unix_ms as u64)) {
            Ok(client) => {
                (state.client, state.actions) = (Some(client), Actions::new());
                1
            }
            Err(error) => state.put(0, ConnId(0), 0, error.to_string().as_bytes()),
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn connect(now: f64) {
    with(|state| state.input(now, Input::Connect));
}

#[unsafe(no_mangle)]
extern "C" fn disconnect(now: f64) {
    with(|state| state.input(now, Input::Disconnect));
}

#[unsafe(no_mangle)]
extern "C" fn send(now: f64) {
    with(|state| {
        let text = state.take_text();
        state.input(now, Input::Send(Outgoing::text(text)));
    });
}

/// Another tab's session, or the application's: token, client id and origin, one behind the other.
#[unsafe(no_mangle)]
extern "C" fn session(now: f64, saved_at: f64, token: usize, client_id: usize) {
    with(|state| {
        let text = state.take_text();
        let Some((token, rest)) = text.split_at_checked(token) else { return };
        let Some((client_id, origin)) = rest.split_at_checked(client_id) else { return };
        let some = |text: &str| (!text.is_empty()).then(|| String::from(text));
        let session = Session {
            token: token.into(),
            client_id: some(client_id),
            saved_at: saved_at as u64,
            origin: some(origin),
        };
        state.input(now, Input::SetSession(session));
    });
}

#[unsafe(no_mangle)]
extern "C" fn clear_session(now: f64) {
    with(|state| state.input(now, Input::ClearSession));
}

#[unsafe(no_mangle)]
extern "C" fn network(now: f64, online: u32) {
    with(|state| state.input(now, Input::NetworkChanged { online: online != 0 }));
}

#[unsafe(no_mangle)]
extern "C" fn opened(now: f64, conn: u32) {
    with(|state| state.input(now, Input::Opened { conn: ConnId(conn.into()) }));
}

#[unsafe(no_mangle)]
extern "C" fn received(now: f64, conn: u32, is_text: u32) {
    with(|state| {
        let payload = match is_text {
            0 => Frame::Binary(core::mem::take(&mut state.buffer).into()),
            _ => Frame::Text(state.take_text().into()),
        };
        state.input(now, Input::Received { conn: ConnId(conn.into()), payload });
    });
}

#[unsafe(no_mangle)]
extern "C" fn flushed(now: f64, conn: u32, up_to: u32) {
    with(|state| {
        state.input(now, Input::Flushed { conn: ConnId(conn.into()), up_to: up_to.into() })
    });
}

/// `code` 0: the connection could not be made. The text is the reason.
#[unsafe(no_mangle)]
extern "C" fn closed(now: f64, conn: u32, code: u32) {
    with(|state| {
        let text = state.take_text().into();
        let reason = match code as u16 {
            0 => CloseReason::Connect { text },
            code => CloseReason::from_close(code, text),
        };
        state.input(now, Input::Closed { conn: ConnId(conn.into()), reason });
    });
}

#[unsafe(no_mangle)]
extern "C" fn timer(now: f64) {
    with(|state| state.input(now, Input::TimerFired));
}

/// When the timer is to fire; below 0: never.
#[unsafe(no_mangle)]
extern "C" fn deadline() -> f64 {
    with(|state| {
        let due = state.client.as_ref().and_then(Client::deadline);
        due.map_or(-1.0, |due| due.as_micros() as f64 / 1_000.0)
    })
}

/// Messages in the outbox.
#[unsafe(no_mangle)]
extern "C" fn outbox_len() -> usize {
    with(|state| state.client.as_ref().map_or(0, Client::outbox_len))
}

/// Puts a message of the outbox where `out` says; 0: there is none.
#[unsafe(no_mangle)]
extern "C" fn outbox(index: usize) -> u32 {
    with(|state| {
        let found = state.client.as_ref().and_then(|client| client.outbox().nth(index));
        match found {
            Some((_, Frame::Text(text))) => state.put(1, ConnId(0), 0, text.as_bytes()),
            _ => 0,
        }
    })
}

/// Takes an action: 0 none, 1 open, 2 send a text, 3 send bytes, 4 an event, 5 keep the session, 6 forget
/// it, 7 close.
#[unsafe(no_mangle)]
extern "C" fn next() -> u32 {
    with(|state| {
        while let Some(action) = state.actions.pop_front() {
            let none = ConnId(0);
            return match action {
                Action::Open { conn, url } => state.put(1, conn, 0, url.as_str().as_bytes()),
                Action::Send { conn, seq, payload: Frame::Text(text) } => {
                    state.put(2, conn, seq, text.as_bytes())
                }
                Action::Send { conn, seq, payload: Frame::Binary(data) } => {
                    state.put(3, conn, seq, &data)
                }
                Action::Emit(event) => state.put_event(&event),
                Action::PersistSession(Some(session)) => {
                    let client_id = session.client_id.unwrap_or_default();
                    let origin = session.origin.unwrap_or_default();
                    // JavaScript counts UTF-16 units; a token may have any character in it.
                    let length = |text: &str| text.encode_utf16().count().to_string();
                    let lengths = length(&session.token) + " " + &length(&client_id) + "\n";
                    let texts = lengths + &session.token + &client_id + &origin;
                    state.put(5, none, 0, texts.as_bytes())
                }
                Action::PersistSession(None) => state.put(6, none, 0, &[]),
                Action::Close { conn, code } => {
                    state.put(7, conn, code.unwrap_or_default().into(), &[])
                }
                // The timer is read from `deadline`; the rest is off.
                _ => continue,
            };
        }
        0
    })
}
