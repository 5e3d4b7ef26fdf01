//! The session between two runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hermes_proto::Session;

use crate::private_file::{self, PrivateFile};

/// A place to keep a session, so that the next run can resume it.
///
/// [`load`](Self::load) is called once, when the client is made, on the calling thread.
/// [`save`](Self::save) is called when the gateway issues a session that differs from the saved one, or
/// the session is forgotten, on a thread of the driver (`hermes-session`, one for all its clients), and
/// may block. Of the sessions that come while a save is under way only the last is saved. A client is
/// at [rest](crate::Client::poll), or [removed](crate::Driver::remove), or dropped, once its last save
/// is done. An error, or a panic, is logged and becomes an
/// [`Event::Warning`](hermes_proto::Event::Warning); it stops nothing.
pub trait SessionStore {
    /// The session that was saved last. Problems go into `warnings`. Without a session to resume, the
    /// gateway issues a new one.
    fn load(&mut self, warnings: &mut Vec<StoreError>) -> Option<Session>;

    /// Saves a session in place of any older one; `None` forgets it.
    ///
    /// # Errors
    ///
    /// If it could not be saved. The session that was saved before should still be there.
    fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError>;
}

/// A problem with a saved session. Its text never holds the session's token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be read or written.
    #[error("can't {action} the session file {}: {source}", path.display())]
    File {
        /// The attempt, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file holds something else. It was moved out of the way, so that nothing is lost.
    #[error("{} is not a saved session ({problem}); it is now {}", path.display(), aside.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its defect.
        problem: String,
        /// Its new path.
        aside: PathBuf,
    },
    /// Others than its owner can read the file, and could have taken over the session.
    #[error("others can read the session file {} (mode {mode:03o}); it should be 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// An error of another kind of store.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// A session in memory: gone with the last clone. Give a clone to the next client, and it resumes
/// the session of this one.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    session: Arc<Mutex<Option<Session>>>,
}

impl MemoryStore {
    /// A store that holds `session`.
    pub fn new(session: Option<Session>) -> Self {
        MemoryStore { session: Arc::new(Mutex::new(session)) }
    }

    /// Its session.
    pub fn session(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SessionStore for MemoryStore {
    fn load(&mut self, _: &mut Vec<StoreError>) -> Option<Session> {
        self.session()
    }

    fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError> {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session.cloned();
        Ok(())
    }
}

/// A session in a file, as the JSON object `{"token","clientId","savedAt","origin"}`.
///
/// It is a [`PrivateFile`]: only its owner can read it, and at any moment, and after a crash, it holds
/// one whole session. Missing directories are made. A file that is mounted, so that nothing can be
/// renamed over it, is written in place; such a file may be empty. A byte order mark is passed over.
///
/// A file that is something else than a saved session is set aside as `NAME.corrupt` (or
/// `NAME.corrupt-1`, and so on), with a warning.
#[derive(Clone, Debug)]
pub struct FileStore {
    file: PrivateFile,
}

/// A saved session has a few hundred bytes. A larger file is something else.
const MAX_BYTES: u64 = 1 << 20;

impl FileStore {
    /// A store in the file at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { file: PrivateFile::new(path) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl SessionStore for FileStore {
    fn load(&mut self, warnings: &mut Vec<StoreError>) -> Option<Session> {
        let text = match self.read(warnings) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warnings.push(self.failure("read", error));
                return None;
            }
        };
        match parse(&text) {
            Ok(session) => Some(session),
            Err(problem) => {
                warnings.push(match self.set_aside(&text) {
                    Ok(Some(aside)) => {
                        let path = self.path().to_owned();
                        StoreError::Foreign { path, problem, aside }
                    }
                    Ok(None) => return None,
                    Err(error) => self.failure("set aside (it is not a saved session)", error),
                });
                None
            }
        }
    }

    fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError> {
        match session {
            Some(session) => self.write(session).map_err(|error| self.failure("write", error)),
            None => self.file.remove().map_err(|error| self.failure("remove", error)),
        }
    }
}

impl FileStore {
    fn read(&self, warnings: &mut Vec<StoreError>) -> io::Result<Vec<u8>> {
        let (text, metadata) = self.file.read(MAX_BYTES + 1)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                warnings.push(StoreError::Exposed { path: self.path().to_owned(), mode });
            }
        }
        #[cfg(not(unix))]
        let _ = (warnings, metadata);
        Ok(text)
    }

    fn write(&self, session: &Session) -> io::Result<()> {
        self.file.write(&serde_json::to_vec(session)?)
    }

    /// Moves the file out of the way, and over no other. An empty file that has to stay, such as one
    /// that was mounted for the first session, holds nothing to be moved: `None`.
    fn set_aside(&self, text: &[u8]) -> io::Result<Option<PathBuf>> {
        let aside = private_file::aside_name(self.path());
        if text.is_empty() {
            return Ok(fs::rename(self.path(), &aside).is_ok().then_some(aside));
        }
        self.file.move_to(&aside)?;
        Ok(Some(aside))
    }

    fn failure(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::File { action, path: self.path().to_owned(), source }
    }
}

/// Reads the stored form. The error quotes nothing of the text, which may hold a token.
fn parse(text: &[u8]) -> Result<Session, String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let session: Session = serde_json::from_slice(text).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "cut short",
            serde_json::error::Category::Data => "other JSON",
            _ => "not JSON",
        };
        format!("{what} at line {} column {}", error.line(), error.column())
    })?;
    if session.token.is_empty() {
        return Err("its token is empty".to_owned());
    }
    Ok(session)
}
