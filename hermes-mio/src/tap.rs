//! Observing a machine, and recording it.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use hermes_proto::trace::{Header, Level, Recorder};
use hermes_proto::{Actions, Config, Endpoint, Input, Start, Timestamp, Transmit};

use crate::{PrivateFile, Replacement};

/// An observer of all inputs and actions of a client's [`Endpoint`], in order. They determine a run:
/// a machine with the same inputs does the same.
pub trait Tap {
    /// The endpoint is made from these. Called once, first.
    fn start(&mut self, config: &Config, start: &Start);

    /// An input or a command, also one that changes nothing, but not a refused `send`.
    fn input(&mut self, now: Timestamp, input: &Input<&[u8]>);

    /// The actions that follow from the input before. They are performed after this call, and
    /// [`Endpoint::transmit`] is written after it.
    fn actions(&mut self, now: Timestamp, endpoint: &Endpoint, actions: &Actions<Transmit>);
}

/// A [`Tap`] that writes a [trace](hermes_proto::trace), line by line, for `hermes replay`.
///
/// Every call makes one write of whole lines, so a recording is good up to a crash, and has the
/// input that led to it. If that is too slow, put a `BufWriter` between. A write that fails is
/// logged, told to [`on_failure`](Self::on_failure), and ends the recording, not the run.
pub struct Recording<W> {
    /// `None` after a failure.
    writer: Option<W>,
    recorder: Option<Recorder>,
    redacted: bool,
    lines: String,
    on_failure: Option<OnFailure>,
}

type OnFailure = Box<dyn FnMut(&io::Error) + Send>;

/// The file of a [`Recording`]. Its first write replaces an older file as a whole.
#[derive(Debug)]
pub struct RecordingFile(FileState);

#[derive(Debug)]
enum FileState {
    /// Nothing was written: the older file is where it was. `None` while that changes, and after a
    /// failure.
    New(Option<Replacement>),
    Written(File),
}

impl Recording<RecordingFile> {
    /// A recording into the file at `path`, which only its owner can read (mode 0600): it holds
    /// messages, and unless [`redacted`](Self::redacted), secrets.
    ///
    /// An older file at `path` is replaced once the recording's header is written, as a
    /// [`PrivateFile`] is: it is never emptied by a recording that fails at its start.
    ///
    /// # Errors
    ///
    /// If a file can't be made in the directory of `path`, or if `path` names something else than
    /// a regular file, such as a device or a pipe.
    pub fn create(path: impl AsRef<Path>, redacted: bool) -> io::Result<Self> {
        let replacement = PrivateFile::new(path.as_ref()).replace()?;
        let file = RecordingFile(FileState::New(Some(replacement)));
        Ok(if redacted { Self::redacted(file) } else { Self::complete(file) })
    }
}

impl Write for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            FileState::Written(file) => file.write(bytes),
            FileState::New(replacement) => {
                let mut replacement = replacement.take().ok_or(ErrorKind::BrokenPipe)?;
                replacement.write_all(bytes)?;
                self.0 = FileState::Written(replacement.finish()?);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Recording<W> {
    /// A recording without secrets: stand-ins of equal length take the place of tokens and
    /// credentials. This is the one for a bug report.
    pub fn redacted(writer: W) -> Self {
        Recording {
            writer: Some(writer),
            recorder: None,
            redacted: true,
            lines: String::new(),
            on_failure: None,
        }
    }

    /// A recording of what really went over the wire, **secrets included**.
    pub fn complete(writer: W) -> Self {
        Recording { redacted: false, ..Self::redacted(writer) }
    }

    /// Calls `on_failure` if the recording fails, and so ends: once at most.
    pub fn on_failure(self, on_failure: impl FnMut(&io::Error) + Send + 'static) -> Self {
        Recording { on_failure: Some(Box::new(on_failure)), ..self }
    }

    fn write(&mut self) {
        let Some(writer) = &mut self.writer else { return self.lines.clear() };
        if let Err(error) = writer.write_all(self.lines.as_bytes()) {
            self.give_up(&error);
        }
        self.lines.clear();
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!("the recording ends here: {error}");
        self.writer = None;
        if let Some(on_failure) = &mut self.on_failure {
            on_failure(error);
        }
    }
}

impl<W: Write> Tap for Recording<W> {
    fn start(&mut self, config: &Config, start: &Start) {
        let header = Header::new(Level::Bytes, config.clone(), start.clone());
        let recorder =
            if self.redacted { Recorder::redacted(header) } else { Recorder::new(header) };
        match recorder {
            Ok(recorder) => {
                recorder.header(&mut self.lines);
                self.recorder = Some(recorder);
                self.write();
            }
            Err(error) => self.give_up(&io::Error::other(error)),
        }
    }

    fn input(&mut self, now: Timestamp, input: &Input<&[u8]>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.endpoint_input(now, input, &mut self.lines);
        }
        // Before the machine sees it: if that were to panic, this is the line one wants.
        self.write();
    }

    fn actions(&mut self, now: Timestamp, endpoint: &Endpoint, actions: &Actions<Transmit>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.endpoint_actions(now, endpoint, actions, &mut self.lines);
        }
        self.write();
    }
}

impl<W> fmt::Debug for Recording<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("redacted", &self.redacted)
            .field("failed", &self.writer.is_none())
            .finish_non_exhaustive()
    }
}
