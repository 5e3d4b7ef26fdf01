//! Readiness of the sockets, as a turn knows it.

/// Readiness events that the driver was given before a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Everything, a moment ago.
    Complete,
    /// Perhaps not everything, or some time ago.
    Partial,
}
