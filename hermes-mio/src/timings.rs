//! Times of the steps of a connection.

use std::fmt;
use std::time::Duration;

use hermes_proto::Timestamp;

/// The time of each step of the newest connection; `None` for a step that is not done, or not
/// needed.
///
/// `Display` is for people: `resolve 3.1ms, connect 12.0ms, TLS 31.4ms`.
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

/// A step of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Resolve,
    Connect,
    Proxy,
    Tls,
    Upgrade,
    Resume,
}

/// Measures the steps. Each client has one, so it is small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    since: Timestamp,
    /// In microseconds, by step.
    took: [u32; 6],
}

const NOT_DONE: u32 = u32::MAX;

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
    pub(crate) fn new(now: Timestamp) -> Self {
        Stopwatch { since: now, took: [NOT_DONE; 6] }
    }

    pub(crate) fn timings(&self) -> Timings {
        let took = |step: Step| {
            let micros = self.took[step as usize];
            (micros != NOT_DONE).then(|| Duration::from_micros(micros.into()))
        };
        Timings {
            resolve: took(Step::Resolve),
            connect: took(Step::Connect),
            proxy: took(Step::Proxy),
            tls: took(Step::Tls),
            upgrade: took(Step::Upgrade),
            resume: took(Step::Resume),
        }
    }

    pub(crate) fn is_done(&self, step: Step) -> bool {
        self.took[step as usize] != NOT_DONE
    }

    /// A step is done.
    pub(crate) fn done(&mut self, step: Step, now: Timestamp) {
        let took = now - std::mem::replace(&mut self.since, now);
        let micros = u32::try_from(took.as_micros()).unwrap_or(NOT_DONE);
        // Longer than an hour counts as 71 minutes, the largest value.
        self.took[step as usize] = micros.min(NOT_DONE - 1);
    }
}
