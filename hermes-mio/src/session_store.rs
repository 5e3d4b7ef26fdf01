//! Where a session is kept between two runs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hermes_proto::Session;

/// Where a session is kept, so that the next run can resume it.
///
/// The driver calls it on the loop's thread: once when it is made, and then whenever the gateway
/// issues a session or the application forgets it. A store that is slow should hand its work to a
/// thread. What goes wrong is logged, and becomes an
/// [`Event::Warning`](hermes_proto::Event::Warning); it stops nothing.
pub trait SessionStore {
    /// The session that was saved last. Whatever is worth a warning goes into `warnings`; where
    /// there is nothing to resume, the gateway issues a new session, and life goes on.
    fn load(&mut self, warnings: &mut Vec<StoreError>) -> Option<Session>;

    /// Saves a session in place of any older one; `None` forgets it.
    ///
    /// # Errors
    ///
    /// Where it could not be saved. What was saved before should still be there.
    fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError>;
}

/// What is wrong with a saved session. Its text never holds the session's token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be read or written.
    #[error("can't {action} the session file {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds something else. It was moved out of the way, so that nothing is lost.
    #[error("{} is not a saved session ({problem}); it is now {}", path.display(), aside.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// Where it is now.
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
    /// What another kind of store has to say.
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

    /// What it holds.
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
/// A save is atomic and lasting: a temporary file beside it that only its owner can read is
/// written, synced, and renamed over it, so that at any moment, and after any crash, the file holds
/// one whole session. Missing directories are made, for the owner alone. A symbolic link is
/// replaced, not followed.
///
/// A file that is something else than a saved session is set aside as `NAME.corrupt` (or
/// `NAME.corrupt-1`, and so on), with a warning.
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

/// A saved session is a few hundred bytes; what is larger than this is something else.
const MAX_BYTES: u64 = 1 << 20;

impl FileStore {
    /// A store in the file at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileStore { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
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
                warnings.push(match self.set_aside() {
                    Ok(aside) => StoreError::Foreign { path: self.path.clone(), problem, aside },
                    Err(error) => self.failure("set aside (it is not a saved session)", error),
                });
                None
            }
        }
    }

    fn save(&mut self, session: Option<&Session>) -> Result<(), StoreError> {
        match session {
            Some(session) => self.write(session).map_err(|error| self.failure("write", error)),
            None => self.remove().map_err(|error| self.failure("remove", error)),
        }
    }
}

impl FileStore {
    fn read(&self, warnings: &mut Vec<StoreError>) -> io::Result<Vec<u8>> {
        // Before it is opened: to open a pipe is to wait for whoever writes into it.
        let metadata = fs::metadata(&self.path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut text = Vec::new();
        File::open(&self.path)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                warnings.push(StoreError::Exposed { path: self.path.clone(), mode });
            }
        }
        #[cfg(not(unix))]
        let _ = warnings;
        Ok(text)
    }

    fn write(&self, session: &Session) -> io::Result<()> {
        let directory = self.directory();
        create_directories(directory)?;
        // Mode 0600, under a name that cannot be guessed, and removed again if we don't get far.
        let mut file =
            tempfile::Builder::new().prefix(".hermes-session-").tempfile_in(directory)?;
        file.write_all(&serde_json::to_vec(session)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        sync_directory(directory)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Ok(()) => sync_directory(self.directory()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves the file out of the way, and over nothing else.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let name = |suffix: String| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let mut aside = name(".corrupt".to_owned());
        let mut number = 0;
        while fs::symlink_metadata(&aside).is_ok() {
            number += 1;
            aside = name(format!(".corrupt-{number}"));
        }
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn failure(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::File { action, path: self.path.clone(), source }
    }
}

/// Reads the stored form. The problem is told without a word of the text, which may hold a token.
fn parse(text: &[u8]) -> Result<Session, String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
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

fn create_directories(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Makes a rename last (elsewhere than on Unix a directory can't be opened, nor need be).
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
