//! Counts, received messages, and the records of both for the log.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc;

use serde::Serialize;

use super::log::Log;
use super::options::GatewayOptions;
use super::record::{Received, Record};

/// A gateway's counts since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// Whether new connections are let in (see [`Gateway::pause`](super::Gateway::pause)).
    pub listening: bool,
    /// TCP connections that are open at the moment, in any state.
    pub open: usize,
    /// Connections that have a session at the moment.
    pub joined: usize,
    /// TCP connections accepted.
    pub accepted: u64,
    /// Upgrades answered with the 101.
    pub upgraded: u64,
    /// Fresh sessions issued, including those given up for a resumed one.
    pub sessions_issued: u64,
    /// Sessions resumed.
    pub sessions_resumed: u64,
    /// Messages received: texts that are a JSON object with a `type`, except `session-resume`.
    pub messages: u64,
    /// Texts received that are not, and a `session-resume` that comes too late.
    pub malformed: u64,
    /// Messages dropped as [repetitions](GatewayOptions::dedupe); they count as nothing else.
    pub repetitions: u64,
    /// Binary messages received, which are ignored.
    pub binary: u64,
    /// Pings received.
    pub pings: u64,
    /// Copies of messages handed on to a connection, injected ones and notices included.
    pub relayed: u64,
    /// Connections closed with 1013 for being too slow.
    pub overflowed: u64,
}

/// A deadline of [`Gateway::wait_for`](super::Gateway::wait_for) passed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the gateway didn't get there in time: {snapshot:?}")]
pub struct Timeout {
    /// The counts at that time.
    pub snapshot: Snapshot,
}

pub(super) struct Metrics {
    pub(super) counts: Snapshot,
    /// The counts that the watchers were told last.
    published: Snapshot,
    watchers: Vec<mpsc::Sender<Snapshot>>,
    received: VecDeque<Received>,
    received_bytes: usize,
    received_limit: usize,
    log: Option<Log>,
}

impl Metrics {
    pub(super) fn new(options: &mut GatewayOptions) -> Self {
        Metrics {
            counts: Snapshot::default(),
            published: Snapshot::default(),
            watchers: Vec::new(),
            received: VecDeque::new(),
            received_bytes: 0,
            received_limit: options.record_bytes,
            log: options.log.take(),
        }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.iter().cloned().collect()
    }

    /// Returns the counts of this moment, and sends every later snapshot to `watcher`.
    pub(super) fn watch(&mut self, watcher: mpsc::Sender<Snapshot>) -> Snapshot {
        self.watchers.push(watcher);
        self.counts
    }

    pub(super) fn publish(&mut self) {
        if self.counts != self.published {
            self.published = self.counts;
            self.watchers.retain(|watcher| watcher.send(self.counts).is_ok());
        }
    }

    pub(super) fn log(&mut self, record: impl FnOnce() -> Record) {
        if let Some(log) = &self.log
            && !log.push(record())
        {
            self.log = None;
        }
    }

    pub(super) fn receive(&mut self, received: Received) {
        let size = |received: &Received| {
            mem::size_of::<Received>() + received.client_id.len() + received.text.len()
        };
        self.counts.messages += 1;
        self.log(|| Record::Message(received.clone()));
        self.received_bytes += size(&received);
        self.received.push_back(received);
        while self.received_bytes > self.received_limit {
            let Some(oldest) = self.received.pop_front() else { break };
            self.received_bytes -= size(&oldest);
        }
    }
}
