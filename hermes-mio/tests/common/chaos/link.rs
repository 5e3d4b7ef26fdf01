//! One link through the proxy: a client's connection, one to the gateway, and a pipe each way.

use super::*;

pub(crate) const CLIENT: usize = 0;
pub(crate) const GATEWAY: usize = 1;
/// The directions: from the client, from the gateway.
pub(crate) const UP: usize = CLIENT;
pub(crate) const DOWN: usize = GATEWAY;

/// A client's connection, and one to the gateway.
pub(crate) struct Link {
    pub(crate) ends: [Option<TcpStream>; 2],
    pub(crate) pipes: [Pipe; 2],
    pub(crate) armed: Option<Armed>,
    /// What follows a stall.
    pub(crate) then: Option<(Instant, Fault)>,
    /// When it is dropped, whatever there is.
    pub(crate) over: Option<Instant>,
    pub(crate) witness: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    pub(crate) scanner: Scanner,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Pipe {
    /// What was read and not passed on, from `start`.
    pub(crate) hand: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) passed: u64,
    /// Nothing passes until then.
    pub(crate) held: Option<Instant>,
    /// What is read is thrown away.
    pub(crate) swallows: bool,
    /// The source has said all.
    pub(crate) eof: bool,
    /// The other side knows.
    pub(crate) shut: bool,
    /// The largest piece that passes at a time, and how many more of that size.
    pub(crate) piece: u64,
    pub(crate) pieces: u64,
}

/// A fault, and the byte at which it strikes.
pub(crate) struct Armed {
    pub(crate) pipe: usize,
    pub(crate) at: u64,
    pub(crate) what: Strike,
}

#[derive(Clone, Copy)]
pub(crate) enum Strike {
    Fault(Fault),
    /// A stall long enough to fill the client's buffers, and what follows.
    Jam(Option<Fault>),
}

impl Link {
    /// Whether a fault would be news to it.
    pub(crate) fn is_whole(&self) -> bool {
        let whole = self.pipes.iter().all(|pipe| !pipe.swallows && !pipe.eof);
        whole && self.over.is_none() && self.ends.iter().all(Option::is_some)
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.over.is_some_and(|at| at <= now) || self.pipes.iter().all(|pipe| pipe.eof && pipe.shut)
    }

    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let held = self.pipes.iter().filter_map(|pipe| pipe.held);
        held.chain(self.then.map(|(at, _)| at)).chain(self.over)
    }

    pub(crate) fn hold(&mut self, dirs: &[usize], until: Option<Instant>) {
        for dir in dirs {
            self.pipes[*dir].held = until;
        }
    }

    /// Says that no more comes this way.
    pub(crate) fn end_pipe(&mut self, dir: usize) {
        if !std::mem::replace(&mut self.pipes[dir].shut, true)
            && let Some(to) = &self.ends[1 - dir]
        {
            // It may be gone already.
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}

impl Pipe {
    pub(crate) fn in_hand(&self) -> usize {
        self.hand.len() - self.start
    }

    /// Throws away what there is, and what is to come. Says how much there was.
    pub(crate) fn swallow(&mut self) -> u64 {
        let lost = self.in_hand() as u64;
        (self.hand, self.start, self.held) = (Vec::new(), 0, None);
        self.swallows = true;
        lost
    }
}
