//! Several gateways of one service: rotated on failure, kept on success, and a session only where
//! it belongs.
#![allow(clippy::unwrap_used)]

mod a_session;
mod a_stable_connection;
mod fatal_ends;
mod headers;
mod rotation;
mod url;
mod wishes;

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, CloseReason, Config, ConnId, Endpoint, Event, FailReason, Input,
    PlaintextPolicy, Session, SessionDropReason, Start, State, Transmit, Url,
};
use hermes_tests::*;

const A: &str = URL;
const B: &str = "ws://b.test/world";
const C: &str = "wss://c.test:8443/world?region=3";

/// Gateways A and B.
fn two() -> Config {
    Config { fallback_urls: vec![B.into()], ..quiet() }
}

/// Gateways A, B and C.
fn three() -> Config {
    Config { fallback_urls: vec![B.into(), C.into()], ..quiet() }
}

fn origin(url: &str) -> String {
    Url::parse(url).unwrap().origin().to_owned()
}

fn session(token: &str, url: &str) -> Session {
    let origin = Some(origin(url));
    Session { token: token.into(), client_id: None, saved_at: UNIX_MS, origin }
}

/// A start with a session that the gateway at `url` issued.
fn saved(token: &str, url: &str) -> Start {
    Start { session: Some(session(token, url)), ..start() }
}

/// `ws-connected`, to another gateway.
fn connected_to(conn: u64, url: &str) -> Action {
    Action::Emit(Event::Connected { conn: ConnId(conn), url: Url::parse(url).unwrap() })
}

/// Begins, at time 0.
#[track_caller]
fn begin(host: &mut Host, url: &str) {
    host.at(0).connect().expect([open_to(1, url), arm(15_000)]);
    is_at(host, url);
}

#[track_caller]
fn is_at(host: &Host, url: &str) {
    assert_eq!(host.client().url().as_str(), Url::parse(url).unwrap().as_str());
}

/// Connection `conn` ends like that; the next one, `wait` later, goes to `url`.
#[track_caller]
fn on_to(host: &mut Host, now: u64, conn: u64, reason: CloseReason, wait: u64, url: &str) -> u64 {
    let retry = now + wait;
    host.at(now)
        .closed(conn, reason.clone())
        .expect([disconnected(conn, reason.code(), reason, retry), arm(retry)]);
    is_at(host, url);
    host.at(retry).timer().expect([open_to(conn + 1, url), arm(retry + 15_000)]);
    is_at(host, url);
    retry
}

/// Connection `conn`, to `url`, is open for so long.
#[track_caller]
fn up(host: &mut Host, now: u64, conn: u64, url: &str, long: u64) -> u64 {
    host.at(now).opened(conn).expect([connected_to(conn, url), disarm()]);
    is_at(host, url);
    now + long
}

/// The same gateway twice is no other gateway, but does no harm.
#[test]
fn a_gateway_that_is_there_twice() {
    let mut host = Host::new(Config { fallback_urls: vec![A.into()], ..quiet() });
    begin(&mut host, A);
    let now = on_to(&mut host, 0, 1, lost(), 1_000, A);
    let end = up(&mut host, now, 2, A, 5_000);
    on_to(&mut host, end, 2, lost(), 1_000, A);
}

/// Stability is a setting here too.
#[test]
fn stable_at_once() {
    let mut host = Host::new(Config { stable_after: Duration::ZERO, ..two() });
    begin(&mut host, A);
    let end = up(&mut host, 0, 1, A, 0);
    let now = on_to(&mut host, end, 1, lost(), 1_000, A);
    on_to(&mut host, now, 2, lost(), 2_000, B);
}
