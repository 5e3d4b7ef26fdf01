//! An endpoint and what its host knows of it.

#[cfg(feature = "trace")]
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::conditions::Conditions;
#[cfg(feature = "trace")]
use crate::trace::{Header, Level, Recorder};
use crate::{
    Action, Actions, Config, ConfigError, ConnId, Endpoint, Event, Input, Session, Start,
    Timestamp, Transmit,
};

#[derive(Debug)]
pub(super) struct Host {
    pub(super) endpoint: Endpoint,
    /// What a recording begins with.
    #[cfg(feature = "trace")]
    pub(super) start: Start,
    pub(super) conditions: Conditions,
    /// What is to be done.
    pub(super) actions: Actions<Transmit>,
    pub(super) events: Vec<(Timestamp, Event)>,
    /// What was saved last.
    pub(super) saved: Option<Session>,
    /// The link of the live connection.
    pub(super) link: Option<u64>,
    pub(super) asleep_until: Timestamp,
    /// How often the timer was armed: one that fires is the latest, or does not count.
    pub(super) armings: u64,
    watch: Watch,
    #[cfg(feature = "trace")]
    pub(super) tape: Option<Tape>,
}

/// A recording.
#[cfg(feature = "trace")]
#[derive(Debug)]
pub(super) struct Tape {
    recorder: Recorder,
    pub(super) lines: String,
}

/// The contract, as far as a host can see it.
#[derive(Debug, Default)]
struct Watch {
    armed: Option<Timestamp>,
    live: Option<ConnId>,
    named: u64,
    /// When the timer fired last, and how often in a row there was next to no time between.
    woken: Option<Timestamp>,
    hurried: u32,
    broken: Option<&'static str>,
}

/// Two wake-ups with less between them are as good as one right after the other.
const NO_TIME: Duration = Duration::from_micros(100);

/// So many of those in a row are a busy loop, and not messages that expire one by one.
const HURRY: u32 = 100;

impl Host {
    pub(super) fn new(config: Config, start: Start) -> Result<Self, ConfigError> {
        Ok(Host {
            #[cfg(feature = "trace")]
            start: start.clone(),
            endpoint: Endpoint::new(config, start)?,
            conditions: Conditions::default(),
            actions: Actions::new(),
            events: Vec::new(),
            saved: None,
            link: None,
            asleep_until: Timestamp::ZERO,
            armings: 0,
            watch: Watch::default(),
            #[cfg(feature = "trace")]
            tape: None,
        })
    }

    pub(super) fn handle(&mut self, now: Timestamp, input: Input<&[u8]>) {
        self.record(now, &input);
        let watch = &mut self.watch;
        if let Input::TimerFired = input {
            watch.armed = None;
            let hurries = watch.woken.is_some_and(|last| now - last < NO_TIME);
            watch.hurried = if hurries { watch.hurried + 1 } else { 0 };
            watch.woken = Some(now);
            if watch.hurried > HURRY {
                watch.broken("the timer is armed for now, again and again");
            }
        }
        let is_dead = input.conn().is_some_and(|conn| watch.live != Some(conn));
        let before = is_dead.then(|| self.endpoint.clone());
        self.endpoint.handle(now, input, &mut self.actions);
        if before.is_some_and(|before| before != self.endpoint || !self.actions.is_empty()) {
            self.watch.broken("input for a connection that has ended did something");
        }
    }

    /// The system took `n` bytes, of `taken` by now.
    pub(super) fn transmitted(&mut self, now: Timestamp, conn: ConnId, n: usize, taken: u64) {
        self.record(now, &Input::Flushed { conn, up_to: taken });
        self.endpoint.transmitted(now, n, &mut self.actions);
    }

    /// Looks at the actions of a call, before anything is done about them.
    pub(super) fn look(&mut self, now: Timestamp) {
        #[cfg(feature = "trace")]
        if let Some(Tape { recorder, lines }) = &mut self.tape {
            recorder.endpoint_actions(now, &self.endpoint, &self.actions, lines);
        }
        for action in &self.actions {
            self.watch.see(action);
        }
        let watch = &mut self.watch;
        if self.endpoint.deadline() != watch.armed {
            watch.broken("deadline() is not what the latest ArmTimer said");
        }
        if !self.actions.is_empty() && watch.armed.is_some_and(|due| due <= now) {
            watch.broken("the timer is due when a call returns");
        }
        if self.endpoint.client().conn() != watch.live {
            watch.broken("conn() is not the live connection");
        }
        if watch.live.is_none() && !self.endpoint.transmit().is_empty() {
            watch.broken("there is something to transmit, and no connection");
        }
    }

    pub(super) fn named(&self) -> u64 {
        self.watch.named
    }

    pub(super) fn broken(&self) -> Option<&'static str> {
        self.watch.broken
    }

    #[cfg(feature = "trace")]
    pub(super) fn record_from_here(&mut self) -> Result<(), ConfigError> {
        let config = self.endpoint.client().config().clone();
        let recorder = Recorder::new(Header::new(Level::Bytes, config, self.start.clone()))?;
        let mut lines = String::new();
        recorder.header(&mut lines);
        self.tape = Some(Tape { recorder, lines });
        Ok(())
    }

    #[cfg(feature = "trace")]
    pub(super) fn record(&mut self, now: Timestamp, input: &Input<&[u8]>) {
        if let Some(Tape { recorder, lines }) = &mut self.tape {
            recorder.endpoint_input(now, input, lines);
        }
    }

    #[cfg(not(feature = "trace"))]
    pub(super) fn record(&mut self, _: Timestamp, _: &Input<&[u8]>) {}
}

impl Watch {
    fn see(&mut self, action: &Action<Transmit>) {
        match action {
            Action::Open { conn, .. } | Action::AskCredentials { conn, .. } => {
                // `Open` follows `AskCredentials` under the same name.
                let is_next = self.live.is_none() && conn.0 == self.named + 1;
                if !is_next && self.live != Some(*conn) {
                    self.broken("a connection is opened beside another, or under a wrong name");
                }
                self.named = conn.0;
                self.live = Some(*conn);
            }
            Action::Send { conn, .. } if self.live != Some(*conn) => {
                self.broken("something is sent on a connection that is not the live one");
            }
            Action::Close { conn, code } => {
                if self.live != Some(*conn) || code.is_some() {
                    self.broken("a connection is closed that is not the live one");
                }
                self.live = None;
            }
            Action::Emit(Event::Disconnected { conn, .. }) => {
                if self.live.is_some_and(|live| live != *conn) {
                    self.broken("ws-disconnected of another connection");
                }
                self.live = None;
            }
            Action::ArmTimer(due) => {
                if *due == self.armed {
                    self.broken("the timer is armed for what it is armed for");
                }
                self.armed = *due;
            }
            _ => {}
        }
    }

    fn broken(&mut self, rule: &'static str) {
        self.broken.get_or_insert(rule);
    }
}
