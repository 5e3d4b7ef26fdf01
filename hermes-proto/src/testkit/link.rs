//! A faulty link: bytes under way between an endpoint and the gateway.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::conditions::Conditions;
use super::dice::Dice;
use crate::{ConnId, Timestamp};

/// One connection, on the wire.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: usize,
    pub(super) conn: ConnId,
    /// Towards the gateway.
    pub(super) up: Pipe,
    /// Towards the endpoint.
    pub(super) down: Pipe,
    /// The endpoint's host has a socket.
    pub(super) has_host: bool,
    /// The gateway has one.
    pub(super) has_peer: bool,
    /// The host waits until it can write.
    pub(super) is_blocked: bool,
    /// Bytes that the host's system took.
    pub(super) taken: u64,
}

impl Link {
    pub(super) fn new(node: usize, conn: ConnId) -> Self {
        Link {
            node,
            conn,
            up: Pipe::default(),
            down: Pipe::default(),
            has_host: true,
            has_peer: false,
            is_blocked: false,
            taken: 0,
        }
    }
}

/// One direction. What goes in comes out in order, or not at all.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    segments: VecDeque<(Timestamp, Vec<u8>)>,
    under_way: usize,
    /// When the last thing that went in comes out.
    last: Timestamp,
    /// When the end comes out, behind all else.
    end: Option<Timestamp>,
    stalled_until: Timestamp,
    /// Nothing comes out any more.
    pub(super) is_dead: bool,
    /// How many bytes still come out before it breaks.
    pub(super) breaks_after: Option<u64>,
    /// When somebody looks at it next.
    pub(super) looked_at: Option<Timestamp>,
}

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Out {
    Nothing,
    Bytes(Vec<u8>),
    /// No more bytes.
    End,
    /// It breaks here.
    Break,
}

impl Pipe {
    /// How many bytes a write can take.
    pub(super) fn room(&self, conditions: &Conditions) -> usize {
        conditions.buffer.max(1).saturating_sub(self.under_way)
    }

    pub(super) fn push(
        &mut self,
        now: Timestamp,
        bytes: &[u8],
        conditions: &Conditions,
        dice: &mut Dice,
    ) {
        if self.end.is_none() {
            self.last = self.arrival(now, conditions, dice);
            self.under_way += bytes.len();
            self.segments.push_back((self.last, bytes.to_vec()));
        }
    }

    /// Ends it, behind all that is in it.
    pub(super) fn end(&mut self, now: Timestamp, conditions: &Conditions, dice: &mut Dice) {
        let at = self.arrival(now, conditions, dice);
        self.end.get_or_insert(at);
    }

    fn arrival(&self, now: Timestamp, conditions: &Conditions, dice: &mut Dice) -> Timestamp {
        self.last.max(now + conditions.latency + dice.within(conditions.jitter))
    }

    /// Loses what is under way.
    pub(super) fn lose(&mut self) {
        self.segments.clear();
        self.under_way = 0;
    }

    pub(super) fn stall(&mut self, until: Timestamp) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// When something comes out.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let next = self.segments.front().map(|(at, _)| *at).or(self.end);
        next.filter(|_| !self.is_dead).map(|at| at.max(self.stalled_until))
    }

    /// What comes out now, of at most `most` bytes.
    pub(super) fn take(&mut self, now: Timestamp, most: usize) -> Out {
        if self.next().is_none_or(|at| at > now) {
            return Out::Nothing;
        }
        let most = match self.breaks_after {
            Some(0) => return Out::Break,
            Some(left) => most.min(usize::try_from(left).unwrap_or(usize::MAX)),
            None => most,
        };
        let mut bytes = Vec::new();
        while bytes.len() < most
            && let Some((_, segment)) = self.segments.front_mut().filter(|(at, _)| *at <= now)
        {
            let n = segment.len().min(most - bytes.len());
            bytes.extend(segment.drain(..n));
            if segment.is_empty() {
                self.segments.pop_front();
            }
        }
        if bytes.is_empty() {
            return Out::End;
        }
        self.under_way -= bytes.len();
        if let Some(left) = &mut self.breaks_after {
            *left -= bytes.len() as u64;
        }
        Out::Bytes(bytes)
    }
}

/// How long a read that did not bring everything is followed by the next one.
pub(super) const NEXT_READ: Duration = Duration::from_micros(10);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn bytes_keep_their_order_and_are_cut_anywhere() {
        let mut dice = Dice::new(1);
        let jittery = Conditions { latency: MS, jitter: 9 * MS, ..Conditions::default() };
        let mut pipe = Pipe::default();
        for byte in 0..100 {
            pipe.push(at(byte), &[byte as u8, byte as u8], &jittery, &mut dice);
        }
        pipe.end(at(99), &jittery, &mut dice);
        let mut all = vec![];
        let mut now = at(0);
        loop {
            now = now.max(pipe.next().unwrap());
            match pipe.take(now, 3) {
                Out::Bytes(bytes) => all.extend(bytes),
                other => break assert_eq!(other, Out::End),
            }
        }
        assert!(all.is_sorted() && all.len() == 200 && pipe.under_way == 0);
    }

    #[test]
    fn it_breaks_at_any_byte_and_stalls() {
        let mut dice = Dice::new(1);
        let fair = Conditions::default();
        let mut pipe = Pipe { breaks_after: Some(2), ..Pipe::default() };
        pipe.push(at(0), b"abcd", &fair, &mut dice);
        assert_eq!(pipe.take(at(19), 9), Out::Nothing);
        pipe.stall(at(50));
        assert_eq!(pipe.take(at(20), 9), Out::Nothing);
        assert_eq!(pipe.take(at(50), 9), Out::Bytes(b"ab".to_vec()));
        assert_eq!(pipe.take(at(50), 9), Out::Break);
    }

    #[test]
    fn what_is_not_read_takes_up_room() {
        let mut dice = Dice::new(1);
        let narrow = Conditions { buffer: 3, ..Conditions::default() };
        let mut pipe = Pipe::default();
        pipe.push(at(0), b"ab", &narrow, &mut dice);
        assert_eq!(pipe.room(&narrow), 1);
        pipe.take(at(20), 1);
        assert_eq!(pipe.room(&narrow), 2);
    }
}
