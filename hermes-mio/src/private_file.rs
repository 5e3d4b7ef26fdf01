//! A file that only its owner can read, and that is replaced as a whole.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that only its owner can read (mode 0600 on Unix), and that is replaced as a whole: at any
/// moment, and after a crash, it holds one whole content, the old or the new.
///
/// A [replacement](Self::replace) is written to a temporary file beside it, synced, and renamed over
/// it, and then the directory is synced. Missing directories are made (mode 0700), and synced too. A
/// symbolic link is replaced, not followed.
///
/// A file that can't be renamed over is written in place, as is one in a directory that can't be
/// written to: a file that is mounted into a container, for instance. A crash in the midst of that
/// may leave it cut short.
///
/// Only regular files are read, replaced and removed. A directory, a device, a pipe or a socket, or a
/// link to one, is an [error](ErrorKind::InvalidInput) before anything is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateFile {
    path: PathBuf,
}

/// The next content of a [`PrivateFile`], written piece by piece. Dropped, it changes nothing.
#[derive(Debug)]
pub struct Replacement {
    target: PrivateFile,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Temporary(NamedTempFile),
    /// The directory takes no temporary file. Written to the file at the end.
    Memory(Vec<u8>),
}

impl PrivateFile {
    /// The file at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        PrivateFile { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its first bytes, `max` at most, and its metadata.
    ///
    /// # Errors
    ///
    /// If it is missing, no regular file, or can't be read.
    pub fn read(&self, max: u64) -> io::Result<(Vec<u8>, Metadata)> {
        use std::io::Read as _;

        // Before it is opened: opening a pipe waits for its writer.
        let metadata = self.check()?.ok_or(ErrorKind::NotFound)?;
        let mut content = Vec::new();
        File::open(&self.path)?.take(max).read_to_end(&mut content)?;
        Ok((content, metadata))
    }

    /// Replaces its content.
    ///
    /// # Errors
    ///
    /// If it is no regular file, or can't be written. Its content then is the old one, but for a
    /// failure in the midst of writing in place.
    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        let mut replacement = self.replace()?;
        replacement.write_all(content)?;
        replacement.finish().map(drop)
    }

    /// Begins to replace its content.
    ///
    /// # Errors
    ///
    /// If it is no regular file, or its directory can't be made or written to.
    pub fn replace(&self) -> io::Result<Replacement> {
        let exists = self.check()?.is_some();
        let content = match temporary_beside(&self.path) {
            Ok(file) => Content::Temporary(file),
            Err(error) if exists && forbids_renames(&error) => Content::Memory(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(Replacement { target: self.clone(), content })
    }

    /// Removes it. One that can't be removed, such as a mount, is emptied. One that is missing is no
    /// error.
    ///
    /// # Errors
    ///
    /// If it is no regular file, or can't be removed.
    pub fn remove(&self) -> io::Result<()> {
        if self.check()?.is_none() && fs::symlink_metadata(&self.path).is_err() {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Ok(()) => sync_directory(self.directory()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) if forbids_renames(&error) => self.write_in_place(b"").map(drop),
            Err(error) => Err(error),
        }
    }

    /// Moves it to `aside`, which does not exist. One that can't be moved is copied, and emptied.
    pub(crate) fn move_to(&self, aside: &Path) -> io::Result<()> {
        match fs::rename(&self.path, aside) {
            Ok(()) => sync_directory(self.directory()),
            Err(error) if forbids_renames(&error) => {
                fs::copy(&self.path, aside)?;
                File::open(aside)?.sync_all()?;
                sync_directory(self.directory())?;
                self.write_in_place(b"").map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses whatever is there and is no regular file. `None` if nothing is there.
    fn check(&self) -> io::Result<Option<Metadata>> {
        check_regular(fs::metadata(&self.path))
    }

    fn write_in_place(&self, content: &[u8]) -> io::Result<File> {
        if !fs::symlink_metadata(&self.path)?.is_file() {
            let problem = "it is a symbolic link, and can't be replaced";
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        }
        let mut file = File::options().write(true).open(&self.path)?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            // Another user's file has the permissions that they gave it.
            if let Err(error) = file.set_permissions(mode) {
                tracing::debug!("{}: its mode can't be set: {error}", self.path.display());
            }
        }
        file.write_all(content)?;
        file.set_len(content.len() as u64)?;
        file.sync_all()?;
        Ok(file)
    }

    fn directory(&self) -> &Path {
        parent(&self.path)
    }
}

impl Replacement {
    /// Makes this the file's content. The handle is at its end, for more to be appended.
    ///
    /// # Errors
    ///
    /// If it can't be synced, renamed or written.
    pub fn finish(self) -> io::Result<File> {
        let Replacement { target, content } = self;
        let file = match content {
            Content::Memory(content) => return target.write_in_place(&content),
            Content::Temporary(file) => file,
        };
        file.as_file().sync_all()?;
        match file.persist(&target.path) {
            Ok(file) => {
                sync_directory(target.directory())?;
                Ok(file)
            }
            Err(failure) if forbids_renames(&failure.error) => {
                let mut content = Vec::new();
                let mut file = failure.file;
                file.rewind()?;
                io::copy(&mut file, &mut content)?;
                target.write_in_place(&content)
            }
            Err(failure) => Err(failure.error),
        }
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.content {
            Content::Temporary(file) => file.write(bytes),
            Content::Memory(content) => content.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the file may be writable though its name can't be changed: it is a mount, or its directory
/// is not ours or read-only.
fn forbids_renames(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    )
}

/// Refuses whatever is at `path` and is no regular file, a symbolic link included. `None` if nothing
/// is there.
#[cfg(feature = "outbox")]
pub(crate) fn check_unlinked(path: &Path) -> io::Result<Option<Metadata>> {
    check_regular(fs::symlink_metadata(path))
}

fn check_regular(found: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match found {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(metadata) => {
            let problem = format!("it is {}, not a regular file", kind(&metadata));
            Err(io::Error::new(ErrorKind::InvalidInput, problem))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name for a file that is set aside: `NAME.corrupt`, or `NAME.corrupt-1`, and so on. Nothing has
/// it.
pub(crate) fn aside_name(path: &Path) -> PathBuf {
    let name = |suffix: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let mut aside = name(".corrupt".to_owned());
    let mut number = 0;
    while fs::symlink_metadata(&aside).is_ok() {
        number += 1;
        aside = name(format!(".corrupt-{number}"));
    }
    aside
}

fn kind(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if metadata.is_dir() {
        "a directory"
    } else if metadata.is_symlink() {
        "a symbolic link"
    } else {
        "something else"
    }
}

/// A file in the same directory, which is made if it is missing: mode 0600, under a name that can't be
/// guessed, and removed again if it is not renamed.
pub(crate) fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = parent(path);
    make_directories(directory)?;
    tempfile::Builder::new().prefix(".hermes-").tempfile_in(directory)
}

/// Sets the mode of a file that will be created.
#[cfg(feature = "outbox")]
pub(crate) fn only_for_owner(options: &mut fs::OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the directories that are missing, for the owner alone, and to stay.
pub(crate) fn make_directories(directory: &Path) -> io::Result<()> {
    for made in create_directories(directory)? {
        sync_directory(parent(&made))?;
    }
    Ok(())
}

/// Makes the directories that are missing, for the owner alone. Returns those it made, the uppermost
/// first.
fn create_directories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let mut made: Vec<_> = directory.ancestors().take_while(missing).map(Path::to_owned).collect();
    made.reverse();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    Ok(made)
}

/// Makes new names in a directory last. Only on Unix can a directory be opened, and need be.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is a name in its parent, so these are what `replace` syncs the parents of.
    #[test]
    fn directories_that_were_made_are_known() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let made = create_directories(&path("a/b/c")).unwrap();
        assert_eq!(made, [path("a"), path("a/b"), path("a/b/c")]);
        assert_eq!(create_directories(&path("a/b/d")).unwrap(), [path("a/b/d")]);
        assert_eq!(create_directories(&path("a/b")).unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(create_directories(Path::new(".")).unwrap(), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_replacement_that_is_dropped_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let file = PrivateFile::new(root.path().join("f"));
        file.write(b"old").unwrap();
        let mut replacement = file.replace().unwrap();
        replacement.write_all(b"new").unwrap();
        drop(replacement);
        assert_eq!(file.read(9).unwrap().0, b"old");
        let mut replacement = file.replace().unwrap();
        replacement.write_all(b"new").unwrap();
        replacement.finish().unwrap().write_all(b"er").unwrap();
        assert_eq!(file.read(9).unwrap().0, b"newer");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
