//! A call of the machine and its answer, as one line of a history.

use std::fmt;

use hermes_proto::{Action, Frame, Input, MessageId, Outgoing, SendError, Timestamp};

use crate::dsl::actions::show;

/// A call of the machine.
#[derive(Clone, Debug)]
pub enum Call {
    /// `handle`, or a command that is the same.
    Input(Input),
    /// `send_message`, and what it returned.
    Send(Outgoing, Result<MessageId, SendError>),
}

impl Call {
    /// Whether due work follows: it does unless the call is a command.
    pub(super) fn runs_due_work(&self) -> bool {
        match self {
            Call::Input(input) => input.conn().is_some() || matches!(input, Input::TimerFired),
            Call::Send(..) => false,
        }
    }
}

/// A call and all that came of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The host's clock.
    pub at: Timestamp,
    /// The call.
    pub call: Call,
    /// The answer.
    pub actions: Vec<Action>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            Call::Input(Input::Received { conn, payload: Frame::Text(text) }) => {
                write!(f, "{:?} received {conn} {text}", self.at)?;
            }
            Call::Input(Input::Send(message)) => {
                write!(f, "{:?} input send {}", self.at, Shown(message))?;
            }
            Call::Input(input) => write!(f, "{:?} {input:?}", self.at)?,
            Call::Send(message, result) => {
                write!(f, "{:?} send {}", self.at, Shown(message))?;
                match result {
                    Ok(MessageId(id)) => write!(f, " = {id}")?,
                    Err(error) => write!(f, ": {error}")?,
                }
            }
        }
        self.actions.iter().try_for_each(|action| write!(f, "\n    {}", show(action)))
    }
}

/// A message as people read it.
struct Shown<'a>(&'a Outgoing);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.frame() {
            Frame::Text(text) => write!(f, "{text}")?,
            other => write!(f, "{other:?}")?,
        }
        if self.0.is_volatile() {
            f.write_str(", volatile")?;
        }
        self.0.ttl().map_or(Ok(()), |ttl| write!(f, ", within {ttl:?}"))
    }
}
