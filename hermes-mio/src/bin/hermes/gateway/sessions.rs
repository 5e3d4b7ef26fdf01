//! The file with a gateway's sessions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::sync::mpsc;
use std::thread;

use hermes_mio::gateway::{Gateway, StoredSession};

use crate::Failure;
use crate::files::{check_kind, write_private};
use crate::words::say;

/// Reads the file, and writes it once: what can't be written is found at the start.
pub(super) fn load(file: &Path) -> Result<Vec<StoredSession>, Failure> {
    // Before the file is opened: opening a pipe waits for its writer.
    check_kind(file).map_err(|error| format!("can't use {}: {error}", file.display()))?;
    let sessions: Vec<StoredSession> = match fs::read(file) {
        Ok(json) => serde_json::from_slice(&json)
            .map_err(|error| format!("{} holds no sessions: {error}", file.display()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("can't read {}: {error}", file.display()).into()),
    };
    save(file, &sessions)?;
    Ok(sessions)
}

/// Saves the sessions after each change, on a thread of its own: neither the gateway nor the log
/// waits for the disk.
pub(super) fn save_on_change(
    file: &Path,
    gateway: Weak<Gateway>,
    changes: mpsc::Receiver<()>,
) -> io::Result<()> {
    let file: PathBuf = file.to_owned();
    thread::Builder::new().name("sessions".into()).spawn(move || {
        for () in changes {
            let Some(gateway) = gateway.upgrade() else { return };
            if let Err(problem) = save(&file, &gateway.sessions()) {
                say!("hermes: {problem}; the next change of a session tries again");
            }
        }
    })?;
    Ok(())
}

fn save(file: &Path, sessions: &[StoredSession]) -> Result<(), Failure> {
    write_private(file, &serde_json::to_vec(sessions)?)
}
