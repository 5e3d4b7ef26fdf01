//! Watching a machine at its one door, and writing down what is seen.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use hermes_proto::trace::{Header, Level, Recorder};
use hermes_proto::{Actions, Config, Endpoint, Input, Start, Timestamp, Transmit};

/// Sees everything that goes into a driver's [`Endpoint`] and comes out of it, in order. That is
/// all there is to a run: a machine that is given the same does the same.
pub trait Tap {
    /// The endpoint was made of these. Comes first, and once.
    fn start(&mut self, config: &Config, start: &Start);

    /// An input, or a command; also those that change nothing. A `send` that was refused is not
    /// told.
    fn input(&mut self, now: Timestamp, input: &Input<&[u8]>);

    /// What came of the input before, to be done from here on: nothing was written yet of what
    /// [`Endpoint::transmit`] has.
    fn actions(&mut self, now: Timestamp, endpoint: &Endpoint, actions: &Actions<Transmit>);
}

/// A [`Tap`] that writes a [trace](hermes_proto::trace), line by line, for `hermes replay`.
///
/// Every call makes one write of whole lines, so a recording is good up to a crash, and has the
/// input that led to it; put a
/// `BufWriter` between where that is too slow. A write that fails is logged and ends the
/// recording, not the run.
pub struct Recording<W> {
    /// `None` where it has failed.
    writer: Option<W>,
    recorder: Option<Recorder>,
    redacted: bool,
    lines: String,
}

impl Recording<File> {
    /// A recording into the file at `path`, which is made, or emptied, and which only its owner can
    /// read: it holds what is said, if not the [secrets](Self::redacted).
    ///
    /// # Errors
    ///
    /// Where the file can't be made.
    pub fn create(path: impl AsRef<Path>, redacted: bool) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        #[cfg(unix)]
        if file.metadata()?.is_file() {
            // It may have been there before.
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
        Ok(if redacted { Self::redacted(file) } else { Self::complete(file) })
    }
}

impl<W: Write> Recording<W> {
    /// A recording without secrets: stand-ins of equal length take the place of tokens and
    /// credentials. This is the one for a bug report.
    pub fn redacted(writer: W) -> Self {
        Recording { writer: Some(writer), recorder: None, redacted: true, lines: String::new() }
    }

    /// A recording of what really went over the wire, **secrets included**.
    pub fn complete(writer: W) -> Self {
        Recording { redacted: false, ..Self::redacted(writer) }
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
