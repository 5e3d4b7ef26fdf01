//! How much a turn knows about the sockets.

/// How much the driver was told about its sockets before it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Everything, a moment ago.
    Complete,
    /// Perhaps not everything, or some time ago.
    Partial,
}
