//! The fate of a whole run's messages: the exit code, and the last line of standard error.

use hermes_proto::Event;

/// Counts of messages that did not arrive for certain.
#[derive(Default)]
pub(super) struct Outcome {
    /// In doubt, and not sent again.
    in_doubt: u64,
    /// The same, since the shutdown began.
    in_doubt_at_end: u64,
    dropped: u64,
    unsent: u64,
    is_ending: bool,
    /// Of those in doubt and unsent: kept for the next run.
    kept: u64,
}

impl Outcome {
    pub(super) fn on_shutdown(&mut self) {
        self.is_ending = true;
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        match event {
            Event::InDoubt { from, to, resend: false } => {
                let count =
                    if self.is_ending { &mut self.in_doubt_at_end } else { &mut self.in_doubt };
                *count += to.0 - from.0 + 1;
            }
            Event::Dropped { .. } => self.dropped += 1,
            Event::ShutDown { in_doubt, unsent, .. } => {
                // The report has those of the events before it, and those that come without any.
                self.in_doubt_at_end = self.in_doubt_at_end.max(*in_doubt);
                self.unsent = *unsent;
            }
            _ => {}
        }
    }

    /// The run ended without a shutdown's report, or lines came behind it.
    pub(super) fn add_unsent(&mut self, messages: u64) {
        self.unsent += messages;
    }

    /// Messages that the outbox file keeps for the next run.
    pub(super) fn set_kept(&mut self, messages: u64) {
        self.kept = messages;
    }

    /// Words for the last line of standard error; `None` if every message arrived.
    pub(super) fn failure(&self) -> Option<String> {
        let in_doubt = self.in_doubt + self.in_doubt_at_end;
        if in_doubt + self.dropped + self.unsent == 0 {
            return None;
        }
        let kept = match self.kept {
            0 => String::new(),
            kept => format!("; kept for the next run: {kept}"),
        };
        Some(format!(
            "messages in doubt: {in_doubt}; dropped: {}; unsent: {}{kept}",
            self.dropped, self.unsent
        ))
    }
}
