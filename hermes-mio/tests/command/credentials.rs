//! `--credentials`: the end of a command that brings them.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;
use crate::process::{Hermes, PATIENCE};

/// A process that a command left behind, by the file that has its id. Killed at the test's end.
struct Orphan(String);

impl Orphan {
    fn read(file: &Path) -> Self {
        Orphan(fs::read_to_string(file).unwrap().trim().to_owned())
    }

    fn signal(&self, signal: &str) -> bool {
        let mut kill = Command::new("kill");
        kill.args([signal, &self.0]).stderr(Stdio::null()).status().unwrap().success()
    }

    /// A process that has ended, and that nobody has waited for, is still there.
    fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        self.signal("-0") && state != Some('Z')
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        self.signal("-KILL");
    }
}

/// As ssh-agent does: the answer is there, and the pipe stays open.
#[test]
fn a_command_is_done_when_it_exits() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let peer = Peer::start(|listener| {
        let (mut socket, header) = accept_with(&listener, "Authorization");
        read_close(&mut socket);
        header
    });
    let command = format!(
        "sleep 1000 & echo $! > '{}'; echo 'Authorization: Bearer 1'; echo complaint >&2",
        file.display()
    );
    let client = Hermes::start(&["connect", &peer.url(), "--credentials", &command]);
    client.event("ws-connected");
    let daemon = Orphan::read(&file);
    assert!(daemon.is_alive(), "a command may leave one");
    assert!(client.end().0.success());
    assert_eq!(peer.join().as_deref(), Some("Bearer 1"));
}

#[test]
fn a_command_and_its_children_are_killed_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let files = [directory.path().join("child"), directory.path().join("shell")];
    let command = format!(
        "sleep 1000 & echo $! > '{}'; echo $$ > '{}'; echo too late >&2; sleep 1000",
        files[0].display(),
        files[1].display()
    );
    let begin = Instant::now();
    let client = Hermes::start(&[
        "connect",
        "ws://127.0.0.1:1/",
        "--credentials",
        &command,
        "--set",
        "credentials_timeout_ms=500",
        "--max-attempts",
        "1",
    ]);
    let lost = client.event("ws-disconnected");
    assert_eq!(lost["detail"]["cause"], "timeout");
    let orphans = files.map(|file| Orphan::read(&file));
    client.event("ws-failed");
    while orphans.iter().any(Orphan::is_alive) {
        assert!(begin.elapsed() < PATIENCE, "it lives for ever");
        std::thread::yield_now();
    }
    assert!(begin.elapsed() >= Duration::from_millis(500));
    client.end();
}

/// The last line of its complaint is shown, without what could steer a terminal.
#[test]
fn a_complaint_has_no_control_characters() {
    let command = format!("printf 'no \\033[31mkey\\007{}\\n' >&2; exit 3", "x".repeat(9_000));
    let client = Hermes::start(&[
        "connect",
        "ws://127.0.0.1:1/",
        "--credentials",
        &command,
        "--max-attempts",
        "0",
    ]);
    let lost = client.event("ws-disconnected");
    let text = lost["detail"]["text"].as_str().unwrap();
    assert!(text.starts_with("the command failed (exit status: 3): no [31mkeyxxx"), "{text}");
    assert!(text.len() < 300 && !text.contains(char::is_control), "{text:?}");
    client.end();
}
