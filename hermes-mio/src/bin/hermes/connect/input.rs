//! Standard input: a message a line.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use hermes_mio::Sender;
use hermes_proto::Outgoing;

/// Standard input, read by a thread of its own, no faster than the client takes it.
#[derive(Clone, Default)]
pub(super) struct Input {
    volatile: bool,
    pub(super) ended: Arc<AtomicBool>,
    pub(super) wrong_lines: Arc<AtomicU64>,
}

impl Input {
    pub(super) fn read(sender: Sender, volatile: bool) -> io::Result<Self> {
        let input = Input { volatile, ..Input::default() };
        let reader = input.clone();
        thread::Builder::new().name("input".into()).spawn(move || reader.run(&sender))?;
        Ok(input)
    }

    fn run(&self, sender: &Sender) {
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let sent = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => self.send(sender, line),
                Err(error) => Err(error.to_string()),
            };
            if let Err(problem) = sent {
                self.wrong_lines.fetch_add(1, Ordering::Relaxed);
                eprintln!("hermes: input line {number} was not sent: {problem}");
            }
        }
        self.ended.store(true, Ordering::Release);
        sender.wake();
    }

    fn send(&self, sender: &Sender, line: String) -> Result<(), String> {
        let message = Outgoing::from_json(line).map_err(|error| error.to_string())?;
        let message = if self.volatile { message.volatile() } else { message };
        sender.send_message_wait(message).map_err(|error| error.to_string())
    }
}
