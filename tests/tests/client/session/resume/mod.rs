//! Resuming a session: what waits for it, how one is told from a new one, and when it is given up.
//! That it is saved and offered at all is the business of `client_session.rs`.

mod age;
mod failures;
mod gate;
mod plaintext;
mod resumed;

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Event, Frame, Input, PlaintextPolicy,
    ResumeMode, SendError, Session, SessionDropReason, SessionInit, Start, State, Url,
};
use hermes_tests::*;

const INIT: &str = r#"{"type":"session-init","token":"t","clientId":"c"}"#;

const DAY: u64 = 24 * 3_600_000;

fn session() -> Session {
    Session {
        token: "t".into(),
        client_id: Some("c".into()),
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    }
}

/// The same, saved so long before time 0.
fn saved(before: u64) -> Session {
    Session { saved_at: UNIX_MS - before, ..session() }
}

/// The same, saved anew at this time.
fn renewed(at: u64) -> Session {
    Session { saved_at: UNIX_MS + at, ..session() }
}

fn with(config: Config, session: Session) -> Host {
    Host::start(config, Start { session: Some(session), ..start() })
}

/// Nothing goes out before `session-init`.
fn wait() -> Config {
    Config { resume: ResumeMode::Wait, ..quiet() }
}

/// A client that offered its session on connection 1, at time 1, with one message in its outbox.
fn gated(config: Config) -> Host {
    let mut host = with(config, session());
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([resume(1, "t"), connected(1), arm(10_001)]);
    host
}

/// The event that a `session-init` becomes where there was this session.
fn init(before: Session, json: &str) -> Action {
    let start = Start { session: Some(before), ..start() };
    let mut client = Client::new(config(), start).expect("the settings are fine");
    let mut out = Actions::new();
    let conn = ConnId(1);
    client.connect(ms(0), &mut out);
    client.handle(ms(0), Input::Opened { conn }, &mut out);
    client.handle(ms(0), Input::Received { conn, payload: Frame::Text(json.into()) }, &mut out);
    out.pop_back().expect("a text becomes an event")
}

/// The event among these.
fn told(actions: &[Action]) -> &SessionInit {
    let mut inits = actions.iter().filter_map(|action| match action {
        Action::Emit(Event::SessionInit(init)) => Some(init),
        _ => None,
    });
    inits.next().unwrap_or_else(|| panic!("{actions:?}"))
}

fn connected_to(conn: u64, url: &str) -> Action {
    let url = Url::parse(url).expect("it is one");
    Action::Emit(Event::Connected { conn: ConnId(conn), url })
}
