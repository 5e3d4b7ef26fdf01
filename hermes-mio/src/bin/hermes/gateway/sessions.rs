//! The file with a gateway's sessions.

use std::io;
use std::sync::Weak;
use std::sync::mpsc;
use std::thread;

use hermes_mio::PrivateFile;
use hermes_mio::gateway::{Gateway, StoredSession};

use crate::Failure;
use crate::words::say;

/// Reads the file, and writes it once: a file that can't be written is found at the start.
pub(super) fn load(file: &PrivateFile) -> Result<Vec<StoredSession>, Failure> {
    let name = file.path().display();
    let sessions: Vec<StoredSession> = match file.read(u64::MAX) {
        Ok((json, _)) => serde_json::from_slice(&json)
            .map_err(|error| format!("{name} holds no sessions: {error}"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("can't read {name}: {error}").into()),
    };
    save(file, &sessions)?;
    Ok(sessions)
}

/// Saves the sessions after each change, on a thread of its own: neither the gateway nor the log
/// waits for the disk.
pub(super) fn save_on_change(
    file: PrivateFile,
    gateway: Weak<Gateway>,
    changes: mpsc::Receiver<()>,
) -> io::Result<()> {
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

fn save(file: &PrivateFile, sessions: &[StoredSession]) -> Result<(), Failure> {
    file.write(&serde_json::to_vec(sessions)?)
        .map_err(|error| format!("can't write {}: {error}", file.path().display()).into())
}
