//! How long the steps of a connection take.

use std::fmt;
use std::time::Duration;

use hermes_proto::Timestamp;

use crate::clock::Clock;

/// How long each step of the newest connection took, as far as it came; `None` is a step that it
/// has not done, or not needed.
///
/// Shown as people read it: `resolve 3.1ms, connect 12.0ms, TLS 31.4ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// To the addresses of the gateway's name, or the proxy's.
    pub resolve: Option<Duration>,
    /// From there to a socket that is connected.
    pub connect: Option<Duration>,
    /// From there through the proxy, TLS with it included.
    pub proxy: Option<Duration>,
    /// From there to the end of the TLS handshake with the gateway.
    pub tls: Option<Duration>,
    /// From there to the answer to the upgrade request.
    pub upgrade: Option<Duration>,
    /// From there to the gateway's `session-init`, which resumes a session or begins one.
    pub resume: Option<Duration>,
}

/// A step that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Resolve,
    Connect,
    Proxy,
    #[cfg(feature = "tls")]
    Tls,
    Upgrade,
    Resume,
}

/// Takes the times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    clock: Clock,
    since: Timestamp,
    timings: Timings,
}

impl Timings {
    /// Each step that was done, by its name, in order.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let Timings { resolve, connect, proxy, tls, upgrade, resume } = *self;
        [
            ("resolve", resolve),
            ("connect", connect),
            ("proxy", proxy),
            ("TLS", tls),
            ("upgrade", upgrade),
            ("resume", resume),
        ]
        .into_iter()
        .filter_map(|(name, took)| Some((name, took?)))
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, took) in self.steps() {
            write!(f, "{separator}{name} {took:.1?}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl Stopwatch {
    pub(crate) fn new(clock: Clock) -> Self {
        Stopwatch { clock, since: clock.now(), timings: Timings::default() }
    }

    pub(crate) fn timings(&self) -> Timings {
        self.timings
    }

    /// A connection begins.
    pub(crate) fn begin(&mut self) {
        *self = Stopwatch::new(self.clock);
    }

    /// A step is done.
    pub(crate) fn done(&mut self, step: Step) {
        let now = self.clock.now();
        let took = now - std::mem::replace(&mut self.since, now);
        let timings = &mut self.timings;
        let field = match step {
            Step::Resolve => &mut timings.resolve,
            Step::Connect => &mut timings.connect,
            Step::Proxy => &mut timings.proxy,
            #[cfg(feature = "tls")]
            Step::Tls => &mut timings.tls,
            Step::Upgrade => &mut timings.upgrade,
            Step::Resume => &mut timings.resume,
        };
        *field = Some(took);
    }
}
