//! Tokens and credentials are not for logs.

use std::fmt::Debug;

use hermes_proto::{
    Action, Actions, Client, Config, ConnId, Frame, Input, Outgoing, SendError, Session, Start,
    Text,
};
use hermes_tests::*;

const SECRET: &str = "s3cret";

#[track_caller]
fn keeps_it(what: &(impl Debug + ?Sized)) {
    let (debug, pretty) = (format!("{what:?}"), format!("{what:#?}"));
    assert!(!debug.contains(SECRET) && !pretty.contains(SECRET), "{debug}");
}

fn init() -> Text {
    format!(r#"{{"type":"session-init","token":"{SECRET}"}}"#).into()
}

fn secretive() -> Config {
    Config {
        headers: vec![("Authorization".into(), format!("Bearer {SECRET}"))],
        ..Config::new(format!("{URL}?key={SECRET}"))
    }
}

fn secret_start() -> Start {
    let session =
        Session { token: SECRET.into(), client_id: Some("c".into()), saved_at: 0, origin: None };
    Start { session: Some(session), ..start() }
}

#[test]
fn settings_and_start() {
    keeps_it(&secretive());
    keeps_it(&secret_start());
    keeps_it(&secret_start().session);
    // What does not parse may be anything.
    keeps_it(&Config::new(format!("ws:/{SECRET}")));
    // The seed makes masks and keys predictable.
    let seed = format!("{:?}", Start::new([0xA7; 32], 0));
    assert!(!seed.contains("167") && !seed.to_lowercase().contains("a7"), "{seed}");
}

/// From the first step to the last, the machine, what goes in and what comes out.
#[test]
fn a_run_with_a_session() {
    let conn = ConnId(1);
    let mut client = Client::new(secretive(), secret_start()).unwrap();
    let mut out = Actions::new();
    for input in [
        Input::Connect,
        Input::Send(json(format!(r#"{{"type":"login","token":"{SECRET}"}}"#))),
        Input::Opened { conn },
        Input::Received { conn, payload: Frame::Text(init()) },
        // Cut short, it is not even JSON.
        Input::Received { conn, payload: Frame::Text(init()[..40].into()) },
        // The key, spelt so that a search does not find it.
        Input::Received {
            conn,
            payload: Frame::Text(
                format!(r#"{{"type":"session-init","\u0074oken":"{SECRET}"}}"#).into(),
            ),
        },
        Input::Received { conn, payload: Frame::Text(format!(r#"{{"token":"{SECRET}"}}"#).into()) },
        Input::Received { conn, payload: Frame::Binary(SECRET.as_bytes().to_vec().into()) },
        Input::Closed { conn, reason: lost() },
        Input::ClearSession,
        Input::SetSession(Session {
            token: SECRET.into(),
            client_id: None,
            saved_at: 0,
            origin: None,
        }),
    ] {
        keeps_it(&input);
        client.handle(ms(0), input, &mut out);
        keeps_it(&client);
    }
    // It was all there: this is not a test of nothing.
    let resumed = |action: &Action| matches!(action, Action::Send { payload: Frame::Text(text), .. } if text.contains(SECRET));
    let saved = |action: &Action| matches!(action, Action::PersistSession(Some(session)) if session.token == SECRET);
    assert!(out.iter().any(resumed) && out.iter().any(saved));
    out.iter().for_each(|action| keeps_it(action));
}

#[test]
fn errors_of_send() {
    let mut client = Client::new(Config { outbox_max_bytes: 40, ..secretive() }, start()).unwrap();
    let mut out = Actions::new();
    let mut refuse = |text: String| {
        let sent = Outgoing::from_json(text).and_then(|m| client.send_message(ms(0), m, &mut out));
        let error = sent.unwrap_err();
        keeps_it(&error);
        assert!(!error.to_string().contains(SECRET), "{error}");
        error
    };
    let token = format!(r#""token":"{SECRET}""#);
    assert!(matches!(refuse(format!("{{{token}")), SendError::NotJson(..)));
    assert!(matches!(refuse(format!("{{{token},{token},{token}}}")), SendError::TooLarge(_)));
}

#[test]
fn errors_of_the_settings() {
    for config in [
        Config::new(format!("ftp://gateway.test/?key={SECRET}")),
        Config::new(format!("ws://gateway.test/?key={SECRET}#fragment")),
        Config::new(format!("ws://user:{SECRET}@gateway.test/")),
        Config { headers: vec![("Authorization".into(), format!("{SECRET}\r\n"))], ..config() },
    ] {
        let error = Client::new(config, start()).unwrap_err();
        keeps_it(&error);
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

/// What is withheld is withheld; what is left is of use to who debugs.
#[test]
fn the_rest_is_shown() {
    fn shows(what: &dyn Debug, parts: &[&str]) {
        let debug = format!("{what:?}");
        parts.iter().for_each(|part| assert!(debug.contains(part), "{part} in {debug}"));
    }
    let mut client = Client::new(secretive(), secret_start()).unwrap();
    let mut out = Actions::new();
    client.connect(ms(1_500), &mut out);
    shows(&client, &["gateway.test", "1700000000000 ms", "1.500000s", "Connecting", "#1"]);
    shows(&secret_start(), &["1700000000000", "Session"]);
    shows(&secret_start().session, &["\"c\"", "saved_at"]);
    assert_eq!(ConnId(7).to_string(), "#7");
    shows(&event(r#"{"type":"session-init"}"#), &["SessionInit", "session-init", "false"]);
    shows(&event(r#"{"type":"later"}"#), &["Unhandled", "later"]);
}
