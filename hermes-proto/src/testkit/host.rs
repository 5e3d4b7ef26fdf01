//! An endpoint and its host's knowledge of it.

#[cfg(feature = "trace")]
use alloc::string::String;
use alloc::vec::Vec;

use super::contract_monitor::ContractMonitor;
#[cfg(feature = "trace")]
use crate::trace::{Header, Level, Recorder};
use crate::{
    Actions, Config, ConfigError, ConnId, Endpoint, Event, Input, Session, Start, Timestamp,
    Transmit,
};

#[derive(Debug)]
pub(super) struct Host {
    pub(super) endpoint: Endpoint,
    /// For the header of a recording.
    #[cfg(feature = "trace")]
    pub(super) start: Start,
    /// Actions not yet performed.
    pub(super) actions: Actions<Transmit>,
    pub(super) events: Vec<(Timestamp, Event)>,
    /// The session that was persisted last.
    pub(super) saved: Option<Session>,
    /// The link of the live connection.
    pub(super) link: Option<u64>,
    pub(super) asleep_until: Timestamp,
    /// How often the timer was armed: only the latest arming fires.
    pub(super) armings: u64,
    monitor: ContractMonitor,
    #[cfg(feature = "trace")]
    recording: Option<Recording>,
}

#[cfg(feature = "trace")]
#[derive(Debug)]
struct Recording {
    recorder: Recorder,
    lines: String,
}

impl Host {
    pub(super) fn new(config: Config, start: Start) -> Result<Self, ConfigError> {
        Ok(Host {
            #[cfg(feature = "trace")]
            start: start.clone(),
            endpoint: Endpoint::new(config, start)?,
            actions: Actions::new(),
            events: Vec::new(),
            saved: None,
            link: None,
            asleep_until: Timestamp::ZERO,
            armings: 0,
            monitor: ContractMonitor::default(),
            #[cfg(feature = "trace")]
            recording: None,
        })
    }

    pub(super) fn handle(&mut self, now: Timestamp, input: Input<&[u8]>) {
        self.record(now, &input);
        self.monitor.before(now, &input);
        let is_dead = input.conn().is_some_and(|conn| !self.monitor.is_live(conn));
        let before = is_dead.then(|| self.endpoint.clone());
        self.endpoint.handle(now, input, &mut self.actions);
        if before.is_some_and(|before| before != self.endpoint || !self.actions.is_empty()) {
            self.monitor.broken("input for a connection that has ended did something");
        }
    }

    /// The system took `n` bytes, and `written` of this connection in all.
    pub(super) fn transmitted(&mut self, now: Timestamp, conn: ConnId, n: usize, written: u64) {
        let input = Input::Flushed { conn, up_to: written };
        self.record(now, &input);
        self.monitor.before(now, &input);
        self.endpoint.transmitted(now, n, &mut self.actions);
    }

    /// Checks and records the actions of a call, before any of them is performed.
    pub(super) fn check(&mut self, now: Timestamp) {
        #[cfg(feature = "trace")]
        if let Some(Recording { recorder, lines }) = &mut self.recording {
            recorder.endpoint_actions(now, &self.endpoint, &self.actions, lines);
        }
        self.monitor.after(now, &self.endpoint, &self.actions);
    }

    /// The number of the latest connection.
    pub(super) fn conn_count(&self) -> u64 {
        self.monitor.conn_count()
    }

    /// The rule of the contract that the endpoint broke first.
    pub(super) fn broken(&self) -> Option<&'static str> {
        self.monitor.first_broken()
    }
}

#[cfg(feature = "trace")]
impl Host {
    pub(super) fn start_recording(&mut self) -> Result<(), ConfigError> {
        let config = self.endpoint.client().config().clone();
        let recorder = Recorder::new(Header::new(Level::Bytes, config, self.start.clone()))?;
        let mut lines = String::new();
        recorder.header(&mut lines);
        self.recording = Some(Recording { recorder, lines });
        Ok(())
    }

    pub(super) fn trace(&self) -> Option<&str> {
        self.recording.as_ref().map(|recording| recording.lines.as_str())
    }

    pub(super) fn record(&mut self, now: Timestamp, input: &Input<&[u8]>) {
        if let Some(Recording { recorder, lines }) = &mut self.recording {
            recorder.endpoint_input(now, input, lines);
        }
    }
}

#[cfg(not(feature = "trace"))]
impl Host {
    pub(super) fn record(&mut self, _: Timestamp, _: &Input<&[u8]>) {}
}
