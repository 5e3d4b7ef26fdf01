//! What a host may rely on: a model of the machine, seen from outside.

use std::fmt;

use hermes_proto::{
    Action, Client, ConnId, Event, Frame, Input, MessageId, Outgoing, SendError, Timestamp,
};

use crate::words::show;

/// A call of the machine.
#[derive(Clone, Debug)]
pub enum Call {
    /// `handle`, or a command that is the same.
    Input(Input),
    /// `send_message`, and what it returned.
    Send(Outgoing, Result<MessageId, SendError>),
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
            Call::Input(input) => write!(f, "{:?} {input:?}", self.at)?,
            Call::Send(message, result) => {
                write!(f, "{:?} send {}", self.at, message.text())?;
                if message.is_volatile() {
                    write!(f, ", volatile")?;
                }
                if let Some(ttl) = message.ttl() {
                    write!(f, ", within {ttl:?}")?;
                }
                match result {
                    Ok(MessageId(id)) => write!(f, " = {id}")?,
                    Err(error) => write!(f, ": {error}")?,
                }
            }
        }
        self.actions.iter().try_for_each(|action| write!(f, "\n    {}", show(action)))
    }
}

/// A model of the machine that knows only what a host knows: what it was told, and what it was
/// asked to do.
#[derive(Clone, Debug)]
pub struct Contract {
    timer: Option<Timestamp>,
    named: u64,
    live: Option<ConnId>,
    seq: u64,
}

macro_rules! ensure {
    ($true:expr, $($otherwise:tt)+) => {
        if !$true {
            return Err(format!($($otherwise)+));
        }
    };
}

impl Contract {
    /// For a client that nothing has happened to.
    pub fn new(_client: &Client) -> Self {
        Contract { timer: None, named: 0, live: None, seq: 0 }
    }

    /// How many frames were sent on the live connection.
    pub fn frames(&self) -> u64 {
        self.seq
    }

    /// Checks one call, given the client before and after it.
    ///
    /// # Errors
    ///
    /// Says what is broken.
    pub fn check(&mut self, before: &Client, after: &Client, step: &Step) -> Result<(), String> {
        if let Call::Input(input) = &step.call
            && input.conn().is_some_and(|conn| self.live != Some(conn))
        {
            ensure!(before == after, "a dead connection changed the machine");
            ensure!(step.actions.is_empty(), "a dead connection made the machine act");
            return Ok(());
        }
        if matches!(step.call, Call::Input(Input::TimerFired)) {
            self.timer = None;
        }
        for action in &step.actions {
            match action {
                Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => {
                    if self.live != Some(*conn) {
                        ensure!(self.live.is_none(), "{conn} is opened beside another");
                        self.named += 1;
                        ensure!(conn.0 == self.named, "{conn} is not the next name");
                        (self.live, self.seq) = (Some(*conn), 0);
                    }
                }
                Action::Send { conn, seq, .. } => {
                    self.seq += 1;
                    ensure!(self.live == Some(*conn), "{conn} is not there to send on");
                    ensure!(*seq == self.seq, "frame {seq} is not the next");
                }
                Action::ArmTimer(due) => {
                    ensure!(*due != self.timer, "the timer is set to what it is set to");
                    self.timer = *due;
                }
                Action::Emit(Event::Disconnected { .. }) => self.live = None,
                _ => {}
            }
        }
        ensure!(after.conn() == self.live, "conn() is wrong");
        ensure!(after.deadline() == self.timer, "deadline() is wrong");
        Ok(())
    }
}
