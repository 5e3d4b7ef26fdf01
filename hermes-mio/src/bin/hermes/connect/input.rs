//! Standard input: a message a line.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use hermes_mio::Sender;
use hermes_proto::Outgoing;

use crate::lines::{Line, Lines};
use crate::words::say;

/// Standard input, read by a thread of its own, no faster than the client takes it.
#[derive(Clone, Default)]
pub(super) struct Input(Arc<State>);

#[derive(Default)]
struct State {
    ended: AtomicBool,
    failed: AtomicBool,
    unsent_lines: AtomicU64,
}

/// How lines become messages.
#[derive(Clone, Copy)]
pub(super) struct Format {
    pub(super) volatile: bool,
    /// The longest line. A message of more bytes fits into no outbox.
    pub(super) max_bytes: usize,
}

impl Input {
    pub(super) fn read(sender: Sender, format: Format) -> io::Result<Self> {
        let input = Input::default();
        let reader = input.clone();
        thread::Builder::new().name("input".into()).spawn(move || reader.run(&sender, format))?;
        Ok(input)
    }

    /// Whether the input has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// Whether it ended by an error.
    pub(super) fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Lines that became no message, or that the client did not take.
    pub(super) fn unsent_lines(&self) -> u64 {
        self.0.unsent_lines.load(Ordering::Relaxed)
    }

    fn run(&self, sender: &Sender, format: Format) {
        if let Err(error) = self.send_lines(sender, format) {
            self.0.failed.store(true, Ordering::Relaxed);
            say!("hermes: standard input failed, and ends here: {error}");
        }
        self.0.ended.store(true, Ordering::Release);
        sender.wake();
    }

    fn send_lines(&self, sender: &Sender, format: Format) -> io::Result<()> {
        let mut lines = Lines::new(io::stdin().lock(), format.max_bytes);
        while let Some(Line { number, text }) = lines.next()? {
            let sent = match text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => send(sender, text, format.volatile),
                Err(problem) => Err(problem.to_string()),
            };
            if let Err(problem) = sent {
                self.0.unsent_lines.fetch_add(1, Ordering::Relaxed);
                say!("hermes: input line {number} was not sent: {problem}");
            }
        }
        Ok(())
    }
}

fn send(sender: &Sender, line: String, volatile: bool) -> Result<(), String> {
    let message = Outgoing::from_json(line).map_err(|error| error.to_string())?;
    let message = if volatile { message.volatile() } else { message };
    sender.send_message_wait(message).map(drop).map_err(|error| error.to_string())
}
