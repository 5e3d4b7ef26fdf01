//! Fresh credentials: asked for before each attempt, and good for that one.
#![allow(clippy::unwrap_used)]

mod answers_that_come_late;
mod attempts;
mod endpoints;
mod headers_that_can_not_be;
mod secrets;
mod the_end_while_asking;
mod tokens;

use std::fmt::Debug;
use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Credentials, Delivery, Endpoint, Event,
    FailReason, Frame, Input, PlaintextPolicy, Session, Start, State, Transmit, Url,
};
use hermes_tests::ws::{reply_to, sent};
use hermes_tests::*;

const SECRET: &str = "s3cret";

fn asking() -> Config {
    Config { ask_credentials: true, heartbeat_interval: None, ..config() }
}

fn header(name: &str, value: &str) -> Credentials {
    Credentials { headers: vec![(name.into(), value.into())], token: None }
}

fn bearer(token: &str) -> Credentials {
    header("Authorization", &format!("Bearer {token}"))
}

fn token(token: &str) -> Credentials {
    Credentials { headers: Vec::new(), token: Some(token.into()) }
}

fn none() -> Credentials {
    Credentials::default()
}

fn refused(text: &str) -> CloseReason {
    CloseReason::Credentials { text: text.into() }
}

fn saved(token: &str, client_id: Option<&str>, origin: &str) -> Start {
    let session = Session {
        token: token.into(),
        client_id: client_id.map(str::to_owned),
        saved_at: UNIX_MS,
        origin: Some(origin.into()),
    };
    Start { session: Some(session), ..start() }
}

fn headers(host: &Host) -> Vec<(&str, &str)> {
    host.client().headers().collect()
}

/// A client that was asked, at time 0.
fn asked(config: Config) -> Host {
    let mut host = Host::new(config);
    host.at(0).connect().expect([ask_credentials(1), arm(30_000)]);
    host
}

/// The reason for which a client drops what it was given.
#[track_caller]
fn complaint(credentials: Credentials) -> String {
    let mut host = asked(asking());
    match host.at(10).credentials(1, credentials).take().as_slice() {
        [
            Action::Close { conn: ConnId(1), code: None },
            Action::Emit(Event::Disconnected {
                code: 1006,
                reason: CloseReason::Credentials { text },
                retry_at: Some(at),
                ..
            }),
            Action::ArmTimer(Some(due)),
        ] if at == due && *at == ms(1_010) => text.to_string(),
        other => panic!("{other:?}"),
    }
}
