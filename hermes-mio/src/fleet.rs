//! Any number of clients with a loop of their own.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hermes_proto::Event;
use mio::{Events, Poll, Token, Waker};

#[cfg(feature = "async")]
use crate::driver::notify::Notifier;
use crate::driver::readiness::Readiness;
use crate::driver::timerfd::TimerFd;
use crate::waited::{Interrupts, Waited};
use crate::{Driver, Error, FleetOptions, Member, MemberId, MemberMut, Options, ReadBuffer};

/// Any number of clients on one thread, with a loop of their own: [`poll`](Self::poll) runs them
/// all, and returns events with the client's name.
///
/// The clients share a read buffer, a timer and lookups of names. When thousands lose their
/// connection at once, each waits for a random time ([`jitter`](FleetOptions::jitter)), and a
/// bounded number connect at a time ([`max_connecting`](FleetOptions::max_connecting)), in the
/// order in which they began. An idle client takes less than 1 KiB.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use hermes_mio::{Config, Event, Fleet, FleetOptions};
///
/// let mut fleet = Fleet::new(FleetOptions::default())?;
/// let config = Arc::new(Config::new("ws://localhost:8080/"));
/// for _ in 0..5_000 {
///     let id = fleet.add(Arc::clone(&config))?;
///     fleet.get_mut(id).expect("it was just added").connect();
/// }
/// while let Some((id, event)) = fleet.poll(None)? {
///     if let (Event::Chat(chat), Some(mut client)) = (event, fleet.get_mut(id)) {
///         client.send(&serde_json::json!({"type": "chat", "text": chat.text()}))?;
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fleet {
    driver: Driver,
    poll: Poll,
    timer: Option<TimerFd>,
    events: Events,
    buffer: ReadBuffer,
}

const WAKER: Token = Token(0);
const TIMER: Token = Token(1);
const FIRST: usize = 2;

impl Fleet {
    /// A fleet without clients.
    ///
    /// # Errors
    ///
    /// If a setting is invalid, or the operating system has no event queue.
    pub fn new(options: FleetOptions) -> Result<Self, Error> {
        Self::with_capacity(options, 1_024)
    }

    /// `ready`: the number of readiness events taken in one turn.
    pub(crate) fn with_capacity(options: FleetOptions, ready: usize) -> Result<Self, Error> {
        let poll = Poll::new().map_err(Error::Poll)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(Error::Poll)?);
        let registry = poll.registry().try_clone().map_err(Error::Poll)?;
        let driver = Driver::new(registry, FIRST..usize::MAX, waker, options)?;
        let timer = TimerFd::new(poll.registry(), TIMER, driver.clock());
        let (events, buffer) = (Events::with_capacity(ready), ReadBuffer::new());
        Ok(Fleet { driver, poll, timer, events, buffer })
    }

    /// Adds a client, which is not connected: see [`Driver::add`].
    ///
    /// # Errors
    ///
    /// As [`Driver::add`].
    pub fn add(&mut self, options: impl Into<Options>) -> Result<MemberId, Error> {
        self.driver.add(options)
    }

    /// Removes a client: see [`Driver::remove`].
    pub fn remove(&mut self, id: MemberId) -> Option<Member> {
        self.driver.remove(id)
    }

    /// A client, to look at.
    pub fn get(&self, id: MemberId) -> Option<&Member> {
        self.driver.get(id)
    }

    /// A client, for commands.
    pub fn get_mut(&mut self, id: MemberId) -> Option<MemberMut<'_>> {
        self.driver.get_mut(id)
    }

    /// All clients, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.driver.iter()
    }

    /// The number of clients.
    pub fn len(&self) -> usize {
        self.driver.len()
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.driver.is_empty()
    }

    /// Runs the clients until there is an event, for `timeout` at most. A timeout of zero does what
    /// can be done at once.
    ///
    /// With a timeout, `None` says that it is over. Without one, `None` says that all clients are
    /// at rest: none is connected, or going to connect, and their sessions are saved.
    ///
    /// While events wait, a call returns the next one at once. The sockets, the timers and the
    /// senders have their turn in between, every few milliseconds.
    ///
    /// # Errors
    ///
    /// If the operating system's event queue fails. Nothing else is an error: a connection's
    /// failure is an event.
    // Inlined, the compiler takes events apart and puts them together several times: a tenth of the
    // cost of receiving a message.
    #[inline(never)]
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Option<(MemberId, Event)>, Error> {
        // Only an event in the queue ends the wait before its time.
        self.run(timeout, Interrupts::Ignored)?;
        Ok(self.take_event())
    }

    /// As [`poll`](Self::poll), and tells apart why there is no event. It also returns when another
    /// thread calls [`Sender::wake`](crate::Sender::wake).
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    #[inline(never)]
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Waited<(MemberId, Event)>, Error> {
        let waited = self.run(timeout, Interrupts::End)?;
        Ok(waited.with(|| self.take_event()))
    }

    /// The event that [`run`](Self::run) has found.
    pub(crate) fn take_event(&mut self) -> Option<(MemberId, Event)> {
        self.driver.take_event()
    }

    /// As [`take_event`](Self::take_event) as long as there is time before the next turn, for an event
    /// that goes on waiting elsewhere.
    #[cfg(feature = "async")]
    pub(crate) fn hold_event_in_time(&mut self) -> Option<(MemberId, Event)> {
        if self.driver.has_event_in_time() { self.driver.hold_event() } else { None }
    }

    /// The application took held events.
    #[cfg(feature = "async")]
    pub(crate) fn release_events(&mut self, id: MemberId, events: usize) {
        self.driver.release_events(id, events);
    }

    #[cfg(feature = "async")]
    pub(crate) fn has_events(&self) -> bool {
        self.driver.has_events()
    }

    #[cfg(feature = "async")]
    pub(crate) fn is_member_at_rest(&self, id: MemberId) -> bool {
        self.driver.is_member_at_rest(id)
    }

    #[cfg(feature = "async")]
    pub(crate) fn notifier(&self) -> Arc<Notifier> {
        self.driver.notifier()
    }

    /// Turns until an event can be taken, or there is another end.
    #[inline]
    pub(crate) fn run(
        &mut self,
        timeout: Option<Duration>,
        interrupts: Interrupts,
    ) -> Result<Waited<()>, Error> {
        if self.driver.has_event_in_time() {
            return Ok(Waited::Event(()));
        }
        self.run_turns(timeout, interrupts)
    }

    fn run_turns(
        &mut self,
        timeout: Option<Duration>,
        interrupts: Interrupts,
    ) -> Result<Waited<()>, Error> {
        // An end beyond the clock's range never comes.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut ran = false;
        loop {
            if interrupts == Interrupts::End && self.driver.take_interrupt() {
                return Ok(Waited::Woken);
            }
            if timeout.is_none() && self.driver.is_at_rest() {
                return Ok(Waited::AtRest);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if ran && left == Some(Duration::ZERO) {
                return Ok(Waited::TimedOut);
            }
            self.turn(left)?;
            ran = true;
            if self.driver.has_event_in_time() {
                return Ok(Waited::Event(()));
            }
        }
    }

    /// One turn of the loop, which sleeps for `limit` at most.
    fn turn(&mut self, limit: Option<Duration>) -> Result<(), Error> {
        let driver = &self.driver;
        let wakes = |timer: &mut TimerFd| !driver.has_work() && timer.set(driver.deadline());
        let timeout = if self.timer.as_mut().is_some_and(wakes) { None } else { driver.timeout() };
        let timeout = [limit, timeout].into_iter().flatten().min();
        let mut readiness = Readiness::Complete;
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // A signal handler ran. An extra turn does no harm.
            Err(error) if error.kind() == ErrorKind::Interrupted => readiness = Readiness::Partial,
            Err(error) => return Err(Error::Poll(error)),
        }
        for event in &self.events {
            match &mut self.timer {
                Some(timer) if event.token() == TIMER => timer.fired(),
                // The only other token is the waker's, whose work is done.
                _ => _ = self.driver.ready(event),
            }
        }
        // Others may be ready that had no room in the list.
        if self.events.iter().count() == self.events.capacity() {
            readiness = Readiness::Partial;
        }
        self.driver.run_with(&mut self.buffer, readiness);
        Ok(())
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").field(&self.driver).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use hermes_proto::{Config, Jitter};

    use super::*;

    /// As on a system without timerfd.
    #[test]
    fn without_an_alarm_each_poll_is_told_how_long() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let waits = Duration::from_millis(20);
        let config = Config {
            max_attempts: Some(3),
            backoff_base: waits,
            backoff_cap: waits,
            ..Config::new(format!("ws://{nobody}/"))
        };
        let mut fleet = Fleet::new(FleetOptions::default().jitter(Jitter::None)).unwrap();
        fleet.timer = None;
        let id = fleet.add(config).unwrap();
        let begin = Instant::now();
        fleet.get_mut(id).unwrap().connect();
        let mut names = Vec::new();
        while let Some((_, event)) = fleet.poll(None).unwrap() {
            names.push(event.name());
        }
        assert_eq!(names, [&["ws-disconnected"; 4][..], &["ws-failed"]].concat());
        assert!(begin.elapsed() >= 3 * waits);
    }

    /// The loop sleeps while the task that holds a client's events takes none, and reads on once it
    /// does.
    #[cfg(feature = "async")]
    #[test]
    fn held_events_hold_up_reading_and_the_loop_sleeps() {
        const FLOOD: usize = 20_000;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let peer = std::thread::spawn(move || {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            for _ in 0..FLOOD {
                socket.send(tungstenite::Message::text(r#"{"type":"tick"}"#)).unwrap();
            }
            while socket.read().is_ok() {}
        });
        let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
        let id = fleet.add(Config::new(url)).unwrap();
        fleet.get_mut(id).unwrap().connect();
        let (mut seen, mut held) = (0, 0);
        while seen < FLOOD {
            fleet.run(Some(Duration::from_secs(20)), Interrupts::Ignored).unwrap();
            let before = held;
            while let Some((_, event)) = fleet.hold_event_in_time() {
                seen += usize::from(event.name() == "unhandled");
                held += 1;
            }
            assert!(held > before, "{seen} events, and none follows");
            if held >= 256 && !fleet.has_events() {
                assert_ne!(fleet.driver.timeout(), Some(Duration::ZERO), "it spins");
                fleet.release_events(id, std::mem::take(&mut held));
            }
        }
        drop(fleet);
        peer.join().unwrap();
    }
}
