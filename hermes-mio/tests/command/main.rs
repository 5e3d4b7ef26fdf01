//! The `hermes` command as people run it: real processes, pipes and exit codes.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.
#![cfg(feature = "cli")]

#[cfg(unix)]
#[path = "../common/browser.rs"]
mod browser;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/process.rs"]
mod process;

mod credentials;
mod delivery;
mod files;
mod outbox;
#[cfg(unix)]
mod page;
mod session;
#[cfg(unix)]
mod streams;
mod trace;
mod usage;

use std::io::{Read, Write};
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

#[cfg(unix)]
use common::{Peer, accept_with, read_close, read_text};
use process::Hermes;
use serde_json::{Value, json};

fn chat(n: u32) -> String {
    json!({"type": "chat", "text": format!("message {n}"), "n": n}).to_string()
}

/// The number of a message that the gateway reports.
fn number(line: &Value) -> Option<u64> {
    let text: Value = serde_json::from_str(line["text"].as_str()?).ok()?;
    text["n"].as_u64()
}

#[cfg(unix)]
fn is_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn is_private(_: &Path) {}
