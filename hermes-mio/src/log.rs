//! Log events of a client.

use hermes_proto::{CloseReason, Event, Timestamp};
use tracing::field::debug;

/// Logs an event of a client that has a network, or not, at the level at which people look for it. Messages are logged by their kind alone,
/// reasons in their `Debug` form, which has neither tokens nor control characters.
pub(crate) fn event(now: Timestamp, is_online: bool, event: &Event) {
    match event {
        Event::Connected { conn, url } => tracing::info!(%conn, ?url, "connected"),
        Event::Disconnected { conn, code, reason, retry_at } => {
            let retry_in = retry_at.map(|at| at - now);
            if *reason == CloseReason::Requested {
                tracing::info!(%conn, code, "disconnected, as requested");
            } else {
                // Without a network the next attempt waits for one, and then for the rest of this time.
                let text =
                    if is_online { "disconnected" } else { "disconnected; there is no network" };
                let retry_in_at_least = retry_in.filter(|_| !is_online).map(debug);
                let retry_in = retry_in.filter(|_| is_online).map(debug);
                tracing::warn!(%conn, code, ?reason, retry_in, retry_in_at_least, "{text}");
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use hermes_proto::ConnId;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Without a network the time of the next attempt is the earliest one.
    #[test]
    fn the_time_of_the_next_attempt() {
        let now = Timestamp::from_micros(5_000_000);
        let event = Event::Disconnected {
            conn: ConnId(1),
            code: 1006,
            reason: CloseReason::lost(),
            retry_at: Some(Timestamp::from_micros(7_000_000)),
        };
        for (is_online, expected) in [
            (true, "disconnected conn=#1 code=1006 reason=Lost { text: \"\" } retry_in=2s"),
            (
                false,
                "disconnected; there is no network conn=#1 code=1006 reason=Lost { text: \"\" } \
                 retry_in_at_least=2s",
            ),
        ] {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .without_time()
                .with_ansi(false)
                .with_target(false)
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::with_default(subscriber, || super::event(now, is_online, &event));
            let text = String::from_utf8(log.0.lock().expect("nobody panicked").clone());
            assert_eq!(text.expect("it is text").trim().trim_start_matches("WARN "), expected);
        }
    }
}
