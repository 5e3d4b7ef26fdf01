//! Log events of a client.

use hermes_proto::{CloseReason, Event, Timestamp};

/// Logs an event at the level at which people look for it. Messages are logged by their kind alone,
/// reasons in their `Debug` form, which has neither tokens nor control characters.
pub(crate) fn event(now: Timestamp, event: &Event) {
    match event {
        Event::Connected { conn, url } => tracing::info!(%conn, ?url, "connected"),
        Event::Disconnected { conn, code, reason, retry_at } => {
            let retry_in = retry_at.map(|at| at - now);
            if *reason == CloseReason::Requested {
                tracing::info!(%conn, code, "disconnected, as requested");
            } else {
                tracing::warn!(%conn, code, ?reason, ?retry_in, "disconnected");
            }
        }
        Event::Failed { attempts, why } => tracing::error!(attempts, "gave up reconnecting: {why}"),
        Event::Warning { text } => tracing::warn!("{text}"),
        Event::Dropped { id, frame, reason } => {
            tracing::warn!(?id, bytes = frame.len(), %reason, "a message was dropped");
        }
        Event::InDoubt { from, to, resend } => {
            tracing::warn!(from = from.0, to = to.0, resend, "messages may have arrived or not");
        }
        Event::SessionDropped { reason } => tracing::warn!(%reason, "the session was dropped"),
        Event::ShutDown { acknowledged, in_doubt, unsent, .. } => {
            tracing::info!(acknowledged, in_doubt, unsent, "shut down");
        }
        Event::SessionInit(_) => tracing::debug!("the gateway issued or acknowledged a session"),
        Event::Malformed { text, error } => {
            tracing::debug!(bytes = text.len(), %error, "the gateway sent what is no message");
        }
        other => tracing::trace!(event = other.name(), "received"),
    }
}
