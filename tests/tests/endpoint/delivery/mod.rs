//! Delivery, in bytes: fences and their Pongs, what goes again after a cut anywhere, and the way to
//! the Close frame.

mod any_history;
mod cuts;
mod fences;
mod session;
mod shutdown;

use std::time::Duration;

use hermes_proto::{
    Action, CloseReason, Config, Delivery, Event, Input, MessageId, Receipts, ResumeMode, Session,
    Start, State, Transmit,
};
use hermes_tests::Rng;
use hermes_tests::ws::*;
use hermes_tests::{ORIGIN, UNIX_MS, lost, quiet, start};

/// Bytes of a fence: a header, a mask, two numbers.
const FENCE: usize = 2 + 4 + 16;

fn receipts() -> Config {
    Config { receipts: Receipts::Acknowledged, ..quiet() }
}

fn at_least_once() -> Config {
    Config { delivery: Delivery::AtLeastOnce, ..receipts() }
}

/// What the fence says that was frame `seq` of connection `conn`.
fn numbers(conn: u64, seq: u64) -> Vec<u8> {
    [conn.to_be_bytes(), (seq - 1).to_be_bytes()].concat()
}

fn fence(conn: u64, seq: u64) -> Sent {
    Sent::Ping(numbers(conn, seq))
}

/// Its Pong, as a server sends it.
fn answer(conn: u64, seq: u64) -> Vec<u8> {
    pong(numbers(conn, seq))
}

fn written(from: u64, to: u64) -> Action<Transmit> {
    Action::Emit(Event::Written { from: MessageId(from), to: MessageId(to) })
}

fn acknowledged(from: u64, to: u64) -> Action<Transmit> {
    Action::Emit(Event::Acknowledged { from: MessageId(from), to: MessageId(to) })
}

fn in_doubt(from: u64, to: u64, resend: bool) -> Action<Transmit> {
    Action::Emit(Event::InDoubt { from: MessageId(from), to: MessageId(to), resend })
}

fn shut_down(acknowledged: u64, in_doubt: u64, unsent: u64) -> Action<Transmit> {
    Action::Emit(Event::ShutDown { acknowledged, in_doubt, unsent, durable: 0 })
}

fn shutdown(harness: &mut Harness, within: u64) -> Asks {
    harness.input(Input::Shutdown { within: Duration::from_millis(within) })
}

/// The place behind the last byte there is.
fn end(harness: &Harness) -> usize {
    harness.wire.len() + harness.endpoint.transmit().len()
}

fn texts(frames: &[Sent]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| match frame {
            Sent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}
