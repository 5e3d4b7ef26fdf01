//! Written is what the operating system took, to the byte.

use super::*;

/// Weighs what is called written against what the system has taken: no message is called so by a
/// byte too early. Who hears of the end can't tell, for then it is only in doubt.
#[derive(Default)]
pub(crate) struct WrittenCheck {
    /// Each message's frame.
    pub(crate) frames: Vec<u64>,
    pub(crate) dropped: BTreeSet<u64>,
    /// Of the live connection, in bytes.
    pub(crate) offered: u64,
    pub(crate) taken: u64,
    pub(crate) written: u64,
    pub(crate) short_writes: Arc<AtomicU64>,
}

impl Tap for WrittenCheck {
    fn start(&mut self, _: &Config, _: &Start) {}

    fn input(&mut self, _: Timestamp, input: &Input<&[u8]>) {
        match input {
            Input::Send(message) => {
                let header = match message.len() {
                    0..=125 => 6,
                    126..=0xFFFF => 8,
                    _ => 14,
                };
                self.frames.push(header + message.len() as u64);
            }
            Input::Opened { .. } => (self.offered, self.taken, self.written) = (0, 0, 0),
            Input::Flushed { up_to, .. } => {
                self.taken = *up_to;
                self.short_writes.fetch_add(u64::from(*up_to < self.offered), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn actions(&mut self, _: Timestamp, endpoint: &Endpoint, actions: &Actions<Transmit>) {
        self.offered = self.taken + endpoint.transmit().len() as u64;
        for action in actions {
            match action {
                Action::Emit(Event::Dropped { id: Some(id), .. }) => {
                    self.dropped.insert(id.0);
                }
                Action::Emit(Event::Written { from, to }) => {
                    let written = (from.0..=to.0).filter(|n| !self.dropped.contains(n));
                    self.written += written.map(|n| self.frames[n as usize - 1]).sum::<u64>();
                    assert!(self.written <= self.taken, "{to:?} is called written too early");
                }
                _ => {}
            }
        }
    }
}
