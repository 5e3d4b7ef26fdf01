//! The application's intent: no connection, one, or one until everything has arrived.

use alloc::boxed::Box;

use super::stats::Counters;
use crate::Timestamp;

/// What the application wants. It is no phase of the connection: it may change in any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Intent {
    target: Target,
    /// The shutdown that is not reported yet. It outlives `Target::Drain` by the closing handshake.
    shutdown: Option<Box<Shutdown>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// No connection.
    Stop,
    /// A connection.
    Run,
    /// A connection until everything has arrived.
    Drain,
}

/// A shutdown that is not reported yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shutdown {
    /// The end of the time for it, whatever is left.
    until: Timestamp,
    /// Counters at its beginning: messages acknowledged, and in doubt without being sent again.
    pub(super) acknowledged: u64,
    pub(super) lost_in_doubt: u64,
}

impl Intent {
    pub(super) fn new() -> Self {
        Intent { target: Target::Stop, shutdown: None }
    }

    /// The application wants a connection; a shutdown is taken back. Returns whether it wanted one
    /// before.
    pub(super) fn run(&mut self) -> bool {
        self.shutdown = None;
        core::mem::replace(&mut self.target, Target::Run) != Target::Stop
    }

    /// The application wants no connection. A shutdown under way is reported when there is none.
    pub(super) fn stop(&mut self) {
        self.target = Target::Stop;
    }

    /// A shutdown begins. One that is under way goes on, with another end.
    pub(super) fn begin_shutdown(&mut self, until: Timestamp, stats: &Counters) {
        match &mut self.shutdown {
            Some(shutdown) => shutdown.until = until,
            None => {
                let (acknowledged, lost_in_doubt) = (stats.acknowledged, stats.cold.lost_in_doubt);
                self.shutdown = Some(Box::new(Shutdown { until, acknowledged, lost_in_doubt }));
            }
        }
    }

    /// The shutdown has messages to wait for.
    pub(super) fn drain(&mut self) {
        self.target = Target::Drain;
    }

    /// The client is at rest: returns the shutdown that led to it.
    pub(super) fn end_shutdown(&mut self) -> Option<Box<Shutdown>> {
        self.shutdown.take()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.target == Target::Stop
    }

    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.target == Target::Drain
    }

    /// Whether a connection is wanted, if there are messages to send or to wait for. Without them a
    /// shutdown wants none.
    pub(super) fn wants_connection(&self, has_messages: bool) -> bool {
        match self.target {
            Target::Stop => false,
            Target::Run => true,
            Target::Drain => has_messages,
        }
    }

    #[inline]
    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutdown.is_some()
    }

    /// The end of the time for a shutdown.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.shutdown.as_ref().map(|shutdown| shutdown.until)
    }

    /// Whether the time for a shutdown is over.
    pub(super) fn is_out_of_time(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|until| until <= now)
    }

    /// The canonical form's times, and its counters from 0.
    #[cfg(feature = "testkit")]
    pub(super) fn canonicalize(&mut self, ahead: impl Fn(&mut Timestamp)) {
        if let Some(shutdown) = &mut self.shutdown {
            ahead(&mut shutdown.until);
            (shutdown.acknowledged, shutdown.lost_in_doubt) = (0, 0);
        }
    }
}
