//! A session file with anything in it: it is a session or set aside, nothing of it is lost or told,
//! and what was read is what is saved.

use std::fs;
use std::path::Path;

use hermes_mio::{FileStore, SessionStore};
use hermes_proto::{Action, Actions, Client, ConnId, Frame, Input, Session, Start};
use serde_json::Value;
use tempfile::TempDir;

use crate::dsl::actions::{ORIGIN, UNIX_MS, config, ms};

/// Loads a file.
pub fn run(input: &[u8]) {
    let directory = directory();
    let path = directory.path().join("session");
    fs::write(&path, input).expect("a file can be written");
    let mut store = FileStore::new(&path);
    let mut warnings = Vec::new();
    let loaded = store.load(&mut warnings);
    let Some(session) = loaded else {
        let aside = fs::read(directory.path().join("session.corrupt"));
        assert_eq!(aside.ok().as_deref(), Some(input), "it is set aside as it was");
        assert!(!path.exists() && store.load(&mut warnings).is_none(), "and out of the way");
        return;
    };
    assert!(!session.token.is_empty(), "there is nothing to resume");
    // A client id may be the same word, and is no secret.
    let secret = Session { client_id: None, origin: None, ..session.clone() };
    let said = format!("{warnings:?} {secret:?}");
    let is_word = session.token.len() > 12 && session.token.bytes().all(|b| b.is_ascii_lowercase());
    assert!(!is_word || !said.contains(&session.token), "a secret is told: {said}");
    assert_eq!(fs::read(&path).ok().as_deref(), Some(input), "to look at it changes nothing");
    store.save(Some(&session)).expect("a file can be written");
    assert_eq!(store.load(&mut Vec::new()).as_ref(), Some(&session), "what is saved is there");
    resume(&session);
}

/// Files to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"token":"t","clientId":"c","savedAt":1700000000000}"#,
        r#"{"token":"abcdefghijklmnop","clientId":"c","savedAt":1,"origin":"ws://gateway.test"}"#,
        r#"{"token":"\u0000\"\\ \ud83d\udc0e","origin":"wss://other.test:8443"}"#,
        r#"{"token":"t","clientId":null,"savedAt":0,"origin":null,"more":[{"x":1e9}]}"#,
        r#"{"token":""}"#,
        r#"{"token":"t""#,
        r#"{"token":1}"#,
        "null",
        "",
        "not JSON",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).into()
}

/// For files that need not last: in memory, where that is to be had.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("there is a place for files")
}

/// A client offers it to its own gateway, as JSON and to the letter, and to nobody else.
fn resume(session: &Session) {
    let start = Start { session: Some(session.clone()), ..Start::new([7; 32], UNIX_MS) };
    let mut client = Client::new(config(), start).expect("the settings are fine");
    let mut out = Actions::new();
    client.connect(ms(0), &mut out);
    client.handle(ms(0), Input::Opened { conn: ConnId(1) }, &mut out);
    let offered = out.iter().find_map(|action| match action {
        Action::Send { payload: Frame::Text(text), .. } => Some(text),
        _ => None,
    });
    let is_ours = session.origin.as_deref().is_none_or(|origin| origin == ORIGIN);
    assert!(offered.is_none() || is_ours, "{offered:?} is another gateway's");
    if let Some(text) = offered {
        let json: Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(json["token"], session.token.as_str());
    } else {
        let dropped = out.iter().any(|action| matches!(action, Action::PersistSession(None)));
        assert!(!is_ours || dropped, "it is offered, or dropped for its age");
    }
}
