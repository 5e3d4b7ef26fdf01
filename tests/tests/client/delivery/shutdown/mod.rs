//! A graceful end: what was sent arrives, as far as that can be known, and within a time.

mod any_history;
mod deadline;
mod disturbed;
mod drain;
mod nothing_left;
mod report;
mod taken_back;

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, CloseReason, Config, ConnId, Credentials, Delivery, DropReason, Event, FailReason,
    Frame, Input, Receipts, ResumeMode, SendError, Session, Start, State,
};
use hermes_tests::Rng;
use hermes_tests::*;

fn at_least_once() -> Config {
    Config { delivery: Delivery::AtLeastOnce, ..quiet() }
}

/// A gateway that a host can reach, and no Ping can.
fn deaf() -> Config {
    Config { can_ping: false, ..quiet() }
}

/// Our own end of a connection.
fn ended(conn: u64, code: u16) -> Action {
    disconnected(conn, code, CloseReason::Requested, None)
}

/// `send` refuses, by both doors.
#[track_caller]
fn refuses(host: &mut Host) {
    let message = json("\"late\"");
    assert_eq!(
        host.try_send_message(message.clone()),
        Err(SendError::ShuttingDown(message.clone()))
    );
    host.expect([]);
    let back = refused("\"late\"", DropReason::ShuttingDown);
    host.input(Input::Send(message)).expect([back]);
}
