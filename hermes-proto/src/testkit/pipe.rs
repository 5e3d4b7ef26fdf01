//! One direction of a connection: the sender's buffer, the network, the receiver's buffer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::conditions::{Conditions, Fault};
use super::rng::SimRng;
use crate::Timestamp;

/// Bytes on their way. They come out in order, or not at all.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Bytes that were sent and not received, by the time of their arrival.
    in_flight: VecDeque<(Timestamp, Vec<u8>)>,
    in_flight_bytes: usize,
    /// Bytes that were received and not read.
    received: VecDeque<u8>,
    /// Arrival of the last bytes that were sent.
    last: Timestamp,
    /// Arrival of the end, behind all bytes.
    end: Option<Timestamp>,
    /// The reader has read the end.
    is_over: bool,
    stalled_until: Timestamp,
    /// The reader reads nothing until then.
    pub(super) paused_until: Timestamp,
    /// Nothing arrives any more.
    pub(super) is_dead: bool,
    /// The fault to come, and the bytes that still arrive before it.
    pub(super) cut: Option<(u64, Fault)>,
    /// Time of the event that looks at this pipe next.
    pub(super) scheduled: Option<Timestamp>,
}

/// Delay of the next read behind one that left something.
const NEXT_READ: Duration = Duration::from_micros(10);

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Nothing,
    Bytes(Vec<u8>),
    /// The end of the stream.
    End,
}

/// How a reader reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub(super) reads: bool,
    /// Most bytes of one read.
    pub(super) most: usize,
    /// Bytes per second, if limited.
    pub(super) rate: Option<u64>,
}

impl Pipe {
    /// How many bytes a write can take.
    pub(super) fn room(&self, conditions: &Conditions) -> usize {
        conditions.send_buffer.max(1).saturating_sub(self.in_flight_bytes)
    }

    pub(super) fn push(
        &mut self,
        now: Timestamp,
        bytes: &[u8],
        conditions: &Conditions,
        rng: &mut SimRng,
    ) {
        if self.end.is_none() {
            self.last = self.arrival(now, conditions, rng) + carrying(bytes.len(), conditions);
            self.in_flight_bytes += bytes.len();
            self.in_flight.push_back((self.last, bytes.to_vec()));
        }
    }

    /// Ends it, behind all that is in it.
    pub(super) fn end(&mut self, now: Timestamp, conditions: &Conditions, rng: &mut SimRng) {
        let at = self.arrival(now, conditions, rng);
        self.end.get_or_insert(at);
    }

    fn arrival(&self, now: Timestamp, conditions: &Conditions, rng: &mut SimRng) -> Timestamp {
        self.last.max(now + conditions.latency + rng.within(conditions.jitter))
    }

    /// Loses the bytes in transit.
    pub(super) fn lose(&mut self) {
        self.in_flight.clear();
        self.in_flight_bytes = 0;
    }

    pub(super) fn stall(&mut self, until: Timestamp) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Moves the bytes that arrive by now into the receive buffer, as far as it has room and no cut
    /// comes. Returns how many were moved.
    pub(super) fn receive(&mut self, now: Timestamp, conditions: &Conditions) -> usize {
        let mut moved = 0;
        while !self.is_dead
            && now >= self.stalled_until
            && let Some((_, segment)) = self.in_flight.front_mut().filter(|(at, _)| *at <= now)
        {
            let room = conditions.receive_buffer.max(1).saturating_sub(self.received.len());
            let before_cut = self.cut.map_or(u64::MAX, |(bytes, _)| bytes);
            let before_cut = usize::try_from(before_cut).unwrap_or(usize::MAX);
            let n = segment.len().min(room).min(before_cut);
            if n == 0 {
                break;
            }
            self.received.extend(segment.drain(..n));
            if segment.is_empty() {
                self.in_flight.pop_front();
            }
            if let Some((bytes, _)) = &mut self.cut {
                *bytes -= n as u64;
            }
            moved += n;
        }
        self.in_flight_bytes -= moved;
        moved
    }

    /// The fault that strikes now, since enough bytes have arrived.
    pub(super) fn take_cut(&mut self) -> Option<Fault> {
        let (_, fault) = self.cut.take_if(|(bytes, _)| *bytes == 0)?;
        Some(fault)
    }

    /// Reads what was received.
    pub(super) fn read(&mut self, now: Timestamp, reader: Reader) -> Read {
        if !reader.reads || now < self.paused_until {
            return Read::Nothing;
        }
        // A slow reader reads twenty times a second.
        let most = reader.rate.map_or(usize::MAX, |rate| (rate / 20).max(1) as usize);
        let n = self.received.len().min(most).min(reader.most.max(1));
        if n > 0 {
            let bytes: Vec<u8> = self.received.drain(..n).collect();
            if let Some(rate) = reader.rate {
                self.paused_until = now + per_second(n, rate);
            }
            return Read::Bytes(bytes);
        }
        let end = self.end.filter(|_| self.in_flight.is_empty()).and_then(|at| self.arrives(at));
        if !self.is_over && end.is_some_and(|at| at <= now) {
            self.is_over = true;
            return Read::End;
        }
        Read::Nothing
    }

    /// When there is something to do: bytes arrive or can be read.
    pub(super) fn next(
        &self,
        now: Timestamp,
        conditions: &Conditions,
        reads: bool,
    ) -> Option<Timestamp> {
        let readable =
            (reads && !self.received.is_empty()).then(|| self.paused_until.max(now + NEXT_READ));
        let has_room = self.received.len() < conditions.receive_buffer.max(1);
        let in_flight = self.in_flight.front().map(|(at, _)| *at);
        let arrives = match in_flight {
            Some(at) => Some(at).filter(|_| has_room),
            None => {
                let end = self.end.filter(|_| reads && !self.is_over && self.received.is_empty());
                end.map(|at| at.max(self.paused_until))
            }
        };
        let arrives = arrives.and_then(|at| self.arrives(at)).map(|at| at.max(now));
        [readable, arrives].into_iter().flatten().min()
    }

    /// `at`, unless a fault is in the way.
    fn arrives(&self, at: Timestamp) -> Option<Timestamp> {
        (!self.is_dead).then(|| at.max(self.stalled_until))
    }
}

/// Time that the network takes for a number of bytes.
fn carrying(bytes: usize, conditions: &Conditions) -> Duration {
    conditions.bandwidth.map_or(Duration::ZERO, |rate| per_second(bytes, rate))
}

fn per_second(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / rate.max(1))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const EAGER: Reader = Reader { reads: true, most: 64 << 10, rate: None };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn pipe(bytes: &[u8], conditions: &Conditions) -> Pipe {
        let mut pipe = Pipe::default();
        pipe.push(at(0), bytes, conditions, &mut SimRng::new(1));
        pipe
    }

    /// Reads all that has arrived by then.
    fn read(pipe: &mut Pipe, now: Timestamp, conditions: &Conditions, reader: Reader) -> Read {
        pipe.receive(now, conditions);
        pipe.read(now, reader)
    }

    #[test]
    fn bytes_keep_their_order_and_are_cut_anywhere() {
        let mut rng = SimRng::new(1);
        let jittery = Conditions { latency: MS, jitter: 9 * MS, ..Conditions::default() };
        let mut pipe = Pipe::default();
        for byte in 0..100 {
            pipe.push(at(byte), &[byte as u8, byte as u8], &jittery, &mut rng);
        }
        pipe.end(at(99), &jittery, &mut rng);
        let (mut all, mut now) = (vec![], at(0));
        loop {
            now = pipe.next(now, &jittery, true).unwrap();
            match read(&mut pipe, now, &jittery, Reader { most: 3, ..EAGER }) {
                Read::Nothing => {}
                Read::Bytes(bytes) => all.extend(bytes),
                Read::End => break,
            }
        }
        assert!(all.is_sorted() && all.len() == 200 && pipe.in_flight_bytes == 0);
    }

    #[test]
    fn a_cut_comes_behind_its_byte_and_a_stall_holds_up() {
        let fair = Conditions::default();
        let mut pipe = pipe(b"abcd", &fair);
        pipe.cut = Some((2, Fault::Reset));
        pipe.stall(at(50));
        assert_eq!(read(&mut pipe, at(49), &fair, EAGER), Read::Nothing);
        assert_eq!(pipe.take_cut(), None);
        assert_eq!(read(&mut pipe, at(50), &fair, EAGER), Read::Bytes(b"ab".to_vec()));
        assert_eq!(pipe.take_cut(), Some(Fault::Reset));
    }

    #[test]
    fn unread_bytes_fill_one_buffer_and_then_the_other() {
        let narrow = Conditions { send_buffer: 3, receive_buffer: 2, ..Conditions::default() };
        let mut pipe = pipe(b"abc", &narrow);
        assert_eq!(pipe.room(&narrow), 0);
        assert_eq!(pipe.receive(at(20), &narrow), 2);
        assert_eq!(pipe.room(&narrow), 2);
        pipe.push(at(20), b"de", &narrow, &mut SimRng::new(1));
        assert_eq!((pipe.receive(at(100), &narrow), pipe.room(&narrow)), (0, 0));
        assert_eq!(pipe.next(at(100), &narrow, false), None);
        assert_eq!(pipe.read(at(100), EAGER), Read::Bytes(b"ab".to_vec()));
        assert_eq!(pipe.receive(at(100), &narrow), 2);
    }

    #[test]
    fn a_slow_reader_takes_its_time_and_a_pause_holds_it_up() {
        let wide =
            Conditions { send_buffer: 1 << 20, receive_buffer: 1 << 20, ..Conditions::default() };
        let slow = Reader { rate: Some(1_000), ..EAGER };
        let mut pipe = pipe(&[7; 100], &wide);
        assert_eq!(read(&mut pipe, at(20), &wide, slow), Read::Bytes(vec![7; 50]));
        assert_eq!(pipe.next(at(20), &wide, true), Some(at(70)));
        assert_eq!(read(&mut pipe, at(69), &wide, slow), Read::Nothing);
        pipe.paused_until = at(500);
        assert_eq!(read(&mut pipe, at(499), &wide, slow), Read::Nothing);
        assert_eq!(read(&mut pipe, at(500), &wide, slow), Read::Bytes(vec![7; 50]));
    }

    #[test]
    fn a_network_carries_so_many_bytes_a_second() {
        let slow = Conditions { bandwidth: Some(1_000), ..Conditions::default() };
        let mut pipe = pipe(&[7; 100], &slow);
        pipe.push(at(0), &[8; 100], &slow, &mut SimRng::new(1));
        assert_eq!(pipe.next(at(0), &slow, true), Some(at(120)));
        assert_eq!(pipe.receive(at(219), &slow), 100);
        assert_eq!(pipe.receive(at(220), &slow), 100);
    }
}
