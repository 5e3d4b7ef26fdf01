//! Recording: the lines of a machine that runs elsewhere.

use alloc::string::String;

use super::format::{Payload, TraceInput, map_payload, without_origin, write_input};
use super::header::{Header, Level};
use super::machine::{ActionWriter, Machine};
use super::redact::Redactor;
use crate::{Actions, ConfigError, Frame, Input, Timestamp};
#[cfg(feature = "ws")]
use crate::{Endpoint, Transmit};

/// Writes a trace while a machine runs.
///
/// The host calls it with each input and then with the actions of that input, and stores the lines
/// that are appended to `out`. Any number of whole lines from the beginning is a trace, so a
/// recording is good up to a crash.
///
/// A recording holds everything that went over the wire, secrets included. A
/// [redacted](Self::redacted) one has stand-ins of equal length in place of secrets: tokens and
/// credentials; values of JSON members and header fields that are named like one
/// ([parts](super::SECRET_NAME_PARTS), [words](super::SECRET_NAME_WORDS)), also of JSON within
/// strings; subprotocols; userinfo, query and fragment of URLs; all configured headers; binary
/// messages; the body of a gateway's refusal, and the words of a proxy's. So that it still replays,
/// its actions are those of a second machine that gets the stand-ins.
#[derive(Debug)]
pub struct Recorder {
    header: Header,
    writer: ActionWriter,
    redaction: Option<(Redactor, Machine)>,
}

impl Recorder {
    /// A recorder for the machine that `header` describes.
    ///
    /// # Errors
    ///
    /// If a setting is invalid.
    pub fn new(header: Header) -> Result<Self, ConfigError> {
        let writer = ActionWriter::new(&header)?;
        Ok(Recorder { header, writer, redaction: None })
    }

    /// A recorder that withholds secrets.
    ///
    /// # Errors
    ///
    /// If a setting is invalid; [`deflate`](crate::Config::deflate) is invalid here.
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
        let origin = self.writer.origin();
        header.session = header.session.map(|session| without_origin(session, origin));
        // Strings, numbers and booleans always serialize.
        out.push_str(&serde_json::to_string(&header).unwrap_or_default());
        out.push('\n');
    }

    /// Writes a client's input.
    pub fn client_input(&mut self, now: Timestamp, input: &Input<Frame>, out: &mut String) {
        debug_assert!(self.header.level == Level::Frames);
        let input = map_payload(input.clone(), Payload::Frame);
        self.input(now, TraceInput::Plain(input), out);
    }

    /// Writes the actions of a client's input.
    pub fn client_actions(&mut self, now: Timestamp, actions: &Actions<Frame>, out: &mut String) {
        if self.redaction.is_none() {
            self.writer.frames(now, actions, out);
        }
    }

    /// Writes an endpoint's input.
    #[cfg(feature = "ws")]
    pub fn endpoint_input(&mut self, now: Timestamp, input: &Input<&[u8]>, out: &mut String) {
        debug_assert!(self.header.level == Level::Bytes);
        if let Input::Flushed { conn, up_to } = input {
            let input = self.writer.flushed(*conn, *up_to);
            return self.input(now, input, out);
        }
        let copy = |bytes| Payload::Bytes(bytes::Bytes::copy_from_slice(bytes));
        self.input(now, TraceInput::Plain(map_payload(input.clone(), copy)), out);
    }

    /// Writes the actions of an endpoint's input. To be called before any more of
    /// [`Endpoint::transmit`] is written.
    #[cfg(feature = "ws")]
    pub fn endpoint_actions(
        &mut self,
        now: Timestamp,
        endpoint: &Endpoint,
        actions: &Actions<Transmit>,
        out: &mut String,
    ) {
        match &self.redaction {
            None => self.writer.bytes(now, actions, endpoint.transmit(), out),
            Some(_) => self.writer.skip(actions),
        }
    }

    /// Writes an input; if redacted, its stand-in and the actions of that.
    fn input(&mut self, now: Timestamp, input: TraceInput, out: &mut String) {
        match &mut self.redaction {
            None => write_input(now, &input, out),
            Some((redactor, machine)) => {
                let input = match input {
                    TraceInput::Plain(input) => TraceInput::Plain(redactor.input(input)),
                    transmitted => transmitted,
                };
                write_input(now, &input, out);
                machine.handle(now, input, out);
            }
        }
    }
}
