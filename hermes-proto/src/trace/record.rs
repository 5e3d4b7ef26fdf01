//! Recording.

use alloc::string::String;

use super::line::{Payload, input_line, relative};
use super::redact::Redactor;
#[cfg(feature = "ws")]
use super::replay::write_bytes;
use super::replay::{Machine, write_frames};
use super::{Header, Level};
#[cfg(feature = "ws")]
use crate::{Action, ConnId, Endpoint, Transmit};
use crate::{Actions, ConfigError, Frame, Input, Timestamp};

/// Writes a trace while a machine runs.
///
/// The host calls it with each input and then with the actions that came of it, and writes the
/// lines that it appends to `out` as it sees fit; whole lines make a whole trace, up to a crash.
///
/// A recording holds what went over the wire, secrets included. A [redacted](Self::redacted) one
/// has stand-ins of equal length in place of tokens and credentials: values of JSON members that
/// are named like a secret, of the URL's query, of all configured headers, and of cookies. So that
/// it still replays, its actions are those of a second machine that is fed with the stand-ins.
#[derive(Debug)]
pub struct Recorder {
    header: Header,
    origin: String,
    redaction: Option<(Redactor, Machine)>,
    #[cfg(feature = "ws")]
    offsets: Offsets,
}

/// What the transport of the newest connection took and was given, to turn totals into counts.
#[cfg(feature = "ws")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offsets {
    pub(super) conn: Option<ConnId>,
    pub(super) taken: u64,
    pub(super) produced: u64,
}

#[cfg(feature = "ws")]
impl Offsets {
    pub(super) fn of(self, conn: ConnId) -> Self {
        if self.conn == Some(conn) {
            self
        } else {
            Offsets { conn: Some(conn), taken: 0, produced: 0 }
        }
    }
}

impl Recorder {
    /// A recorder for the machine that `header` describes.
    ///
    /// # Errors
    ///
    /// Where a setting can't be.
    pub fn new(header: Header) -> Result<Self, ConfigError> {
        let (url, _) = header.config.validate()?;
        Ok(Recorder {
            origin: url.origin().into(),
            header,
            redaction: None,
            #[cfg(feature = "ws")]
            offsets: Offsets::default(),
        })
    }

    /// A recorder that withholds secrets.
    ///
    /// # Errors
    ///
    /// Where a setting can't be; [`deflate`](crate::Config::deflate) is one here.
    pub fn redacted(mut header: Header) -> Result<Self, ConfigError> {
        if header.config.deflate {
            let problem = "must be false for a recording without secrets: it can't follow \
                           compressed messages";
            return Err(ConfigError { field: "deflate", problem: problem.into() });
        }
        let redactor = Redactor::new(&mut header);
        let machine = Machine::new(&header)?;
        let mut recorder = Recorder::new(header)?;
        recorder.redaction = Some((redactor, machine));
        Ok(recorder)
    }

    /// Writes the first line.
    pub fn header(&self, out: &mut String) {
        let mut header = self.header.clone();
        header.session = header.session.map(|session| relative(session, &self.origin));
        // Strings, numbers and booleans; nothing that JSON can't hold.
        out.push_str(&serde_json::to_string(&header).unwrap_or_default());
        out.push('\n');
    }

    /// Writes a client's input.
    pub fn client_input(&mut self, now: Timestamp, input: &Input<Frame>, out: &mut String) {
        debug_assert!(self.header.level == Level::Frames);
        if let Some(input) = input.clone().convert(|frame| Some(Payload::Frame(frame))) {
            self.input(now, input, None, out);
        }
    }

    /// Writes the actions that came of a client's input.
    pub fn client_actions(&mut self, now: Timestamp, actions: &Actions<Frame>, out: &mut String) {
        if self.redaction.is_none() {
            write_frames(now, actions, &self.origin, out);
        }
    }

    /// Writes an endpoint's input.
    #[cfg(feature = "ws")]
    pub fn endpoint_input(&mut self, now: Timestamp, input: &Input<&[u8]>, out: &mut String) {
        debug_assert!(self.header.level == Level::Bytes);
        let count = match input {
            Input::Flushed { conn, up_to } if self.offsets.conn == Some(*conn) => {
                let Offsets { taken, produced, .. } = &mut self.offsets;
                let count = up_to.saturating_sub(*taken);
                *taken = (*taken).max(*up_to).min(*produced);
                Some(count)
            }
            // A dead connection's: nothing counts from here.
            Input::Flushed { up_to, .. } => Some(*up_to),
            _ => None,
        };
        let copy = |bytes| Some(Payload::Bytes(bytes::Bytes::copy_from_slice(bytes)));
        if let Some(input) = input.clone().convert(copy) {
            self.input(now, input, count, out);
        }
    }

    /// Writes the actions that came of an endpoint's input, before anything more is transmitted.
    #[cfg(feature = "ws")]
    pub fn endpoint_actions(
        &mut self,
        now: Timestamp,
        endpoint: &Endpoint,
        actions: &Actions<Transmit>,
        out: &mut String,
    ) {
        if self.redaction.is_none() {
            let transmit = endpoint.transmit();
            write_bytes(now, actions, transmit, &mut self.offsets, &self.origin, out);
            return;
        }
        for action in actions {
            if let Action::Send { conn, seq, .. } = action {
                self.offsets = Offsets { produced: *seq, ..self.offsets.of(*conn) };
            }
        }
    }

    /// Writes an input, or its stand-in and what that leads to.
    fn input(
        &mut self,
        now: Timestamp,
        input: Input<Payload>,
        count: Option<u64>,
        out: &mut String,
    ) {
        match &mut self.redaction {
            None => input_line(now, &input, count, out),
            Some((redactor, machine)) => {
                let input = redactor.input(input);
                input_line(now, &input, count, out);
                machine.handle(now, input, count, out);
            }
        }
    }
}
