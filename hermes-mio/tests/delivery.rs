//! What delivery promises, for real: a gateway process, a hundred thousand numbered messages, and a
//! network in between that fails in every way it can. `HERMES_CHAOS_SEED` is the run's seed.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.
#![cfg(feature = "cli")]

#[path = "common/chaos.rs"]
mod chaos;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use chaos::{Chaos, Rng, Target, Toll};
use hermes_mio::proto::{
    Action, Actions, Config, Delivery, Endpoint, Event, Input, Jitter, MessageId, Outgoing,
    Receipts, ResumeMode, SendError, Start, Stats, Timestamp, Transmit,
};
use hermes_mio::{Client, Options, Tap};

const MESSAGES: u64 = 100_000;

/// Longer than any of this takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Messages that may be on their way at a time: what a fault can bring in doubt.
const WINDOW: u64 = 1_000;

#[test]
fn at_most_once_nothing_is_doubled_and_what_is_in_doubt_is_named() {
    let run = Run::new(Delivery::AtMostOnce);
    let gateway = Gateway::start(None);
    let chaos = run.chaos(48, gateway.target());
    let told = run.send_all(&chaos);
    let toll = end(chaos, &gateway);
    told.check_at_most_once(&gateway);
    told.figures(&run, &toll);
    assert!(toll.total() >= 40, "{toll:?}");
}

#[test]
fn at_least_once_nothing_is_missing_and_every_repeat_was_in_doubt() {
    let run = Run::new(Delivery::AtLeastOnce);
    let gateway = Gateway::start(None);
    let chaos = run.chaos(48, gateway.target());
    let told = run.send_all(&chaos);
    let toll = end(chaos, &gateway);
    told.check_at_least_once(&[&gateway]);
    told.figures(&run, &toll);
    assert!(toll.total() >= 40, "{toll:?}");
}

/// The same in TLS. What it doubles or loses there, records did that were counted wrongly.
#[cfg(feature = "tls")]
mod in_tls {
    use super::*;

    #[test]
    fn at_most_once_holds_in_tls() {
        let files = Certificate::make();
        let run = Run { certificate: Some(files.pem.clone()), ..Run::new(Delivery::AtMostOnce) };
        let gateway = Gateway::start_with(|command| files.show(command));
        let chaos = run.chaos(48, gateway.target());
        let told = run.send_all(&chaos);
        let toll = end(chaos, &gateway);
        told.check_at_most_once(&gateway);
        told.figures(&run, &toll);
        assert!(toll.total() >= 40, "{toll:?}");
    }

    #[test]
    fn at_least_once_holds_in_tls() {
        let files = Certificate::make();
        let run = Run { certificate: Some(files.pem.clone()), ..Run::new(Delivery::AtLeastOnce) };
        let gateway = Gateway::start_with(|command| files.show(command));
        let chaos = run.chaos(48, gateway.target());
        let told = run.send_all(&chaos);
        let toll = end(chaos, &gateway);
        told.check_at_least_once(&[&gateway]);
        told.figures(&run, &toll);
        assert!(toll.total() >= 40, "{toll:?}");
    }

    /// The gateway's, in files.
    struct Certificate {
        pem: String,
        directory: tempfile::TempDir,
    }

    impl Certificate {
        fn make() -> Self {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let pem = made.cert.pem();
            std::fs::write(directory.path().join("cert"), &pem).unwrap();
            std::fs::write(directory.path().join("key"), made.signing_key.serialize_pem()).unwrap();
            Certificate { pem, directory }
        }

        fn show(&self, command: &mut Command) {
            let file = |name| self.directory.path().join(name);
            command.arg("--cert").arg(file("cert")).arg("--key").arg(file("key"));
        }
    }
}

/// `kill -STOP` and `-CONT`: a gateway that seems dead, and is not.
#[cfg(unix)]
mod stopped {
    use super::*;

    #[test]
    fn at_most_once_holds_for_a_gateway_that_is_stopped_and_goes_on() {
        let run = Run::new(Delivery::AtMostOnce);
        let gateway = Gateway::start(None);
        let chaos = run.chaos(12, gateway.target());
        let told = run.send_all_and(&chaos, |progress| stop_and_go(&run, &gateway, progress));
        let toll = end(chaos, &gateway);
        told.check_at_most_once(&gateway);
        told.figures(&run, &toll);
    }

    #[test]
    fn at_least_once_holds_for_a_gateway_that_is_stopped_and_goes_on() {
        let run = Run::new(Delivery::AtLeastOnce);
        let gateway = Gateway::start(None);
        let chaos = run.chaos(12, gateway.target());
        let told = run.send_all_and(&chaos, |progress| stop_and_go(&run, &gateway, progress));
        let toll = end(chaos, &gateway);
        told.check_at_least_once(&[&gateway]);
        told.figures(&run, &toll);
    }

    /// Now for less than the client's patience, now for more.
    fn stop_and_go(run: &Run, gateway: &Gateway, progress: &Progress) {
        let mut rng = Rng::new(run.seed, 2);
        for (k, milestone) in rng.milestones(12, MESSAGES * 98 / 100).into_iter().enumerate() {
            if !progress.wait_for(milestone) {
                return;
            }
            gateway.signal("-STOP");
            thread::sleep(if k % 3 == 0 { rng.millis(450, 900) } else { rng.millis(1, 200) });
            gateway.signal("-CONT");
        }
    }
}

/// `kill -9`, and a new process that has only the sessions of the one before.
///
/// A pong proves that the endpoint has a message, not that a process had told anybody when it was
/// killed. Here it does: the proxy passes on what the gateway says only after the gateway's log has
/// shown every message that it had counted by then. Proxy and gateway together are a gateway that
/// writes down what it has before it answers.
#[test]
fn at_least_once_holds_across_gateways_that_are_killed() {
    const KILLS: u64 = 10;
    // A gateway that answers so late has no time for bursts.
    let run = Run { bursts: Vec::new(), ..Run::new(Delivery::AtLeastOnce) };
    let directory = tempfile::tempdir().unwrap();
    let sessions = directory.path().join("sessions.json");
    let gateways = Mutex::new(vec![Gateway::start(Some(&sessions))]);
    let chaos = run.chaos(12, gateways.lock().unwrap()[0].witnessed());
    let told = run.send_all_and(&chaos, |progress| {
        let mut rng = Rng::new(run.seed, 3);
        for milestone in rng.milestones(KILLS, MESSAGES * 98 / 100) {
            if !progress.wait_for(milestone) {
                return;
            }
            thread::sleep(rng.millis(0, 20));
            let mut gateways = gateways.lock().unwrap();
            let last = gateways.last_mut().unwrap();
            // Nobody is there for a while. The proxy is what stays where it was: the port of a dead
            // process could be anybody's.
            chaos.aim(None);
            last.kill();
            thread::sleep(rng.millis(0, 60));
            let next = Gateway::start(Some(&sessions));
            chaos.aim(Some(next.witnessed()));
            gateways.push(next);
        }
    });
    let gateways = gateways.into_inner().unwrap();
    let toll = end(chaos, gateways.last().unwrap());
    assert_eq!(gateways.len() as u64, KILLS + 1);
    told.check_at_least_once(&gateways.iter().collect::<Vec<_>>());
    told.figures(&run, &toll);
    // Two may be killed in a row before the client has found the first.
    assert!(told.stats.resumed >= KILLS / 2, "{:?}", told.stats);
}

/// Ends all links, and waits until the gateway has logged what came on them.
fn end(chaos: Chaos, gateway: &Gateway) -> Toll {
    let toll = chaos.stop();
    // Accepted behind all of the proxy's.
    let mark = std::net::TcpStream::connect(gateway.addr).unwrap();
    let addr = mark.local_addr().unwrap().to_string();
    drop(gateway.news.wait("the last one", |log| log.peers.contains(&addr)));
    drop(mark);
    let all_ended = |log: &Log| log.disconnected == log.peers.len() as u64;
    drop(gateway.news.wait("the end of all links", all_ended));
    toll
}

/// What is sent, and how.
#[derive(Clone)]
struct Run {
    seed: u64,
    delivery: Delivery,
    begin: Instant,
    /// Where bursts of large messages begin, more than a system's buffers take.
    bursts: Vec<u64>,
    /// The gateway's, where it speaks TLS.
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    certificate: Option<String>,
}

const BURST: u64 = 45;
const LARGE: u64 = 120_000;

impl Run {
    fn new(delivery: Delivery) -> Self {
        let seed = chaos::seed();
        let bursts = Rng::new(seed, 4).milestones(3, MESSAGES - 2 * WINDOW);
        Run { seed, delivery, begin: Instant::now(), bursts, certificate: None }
    }

    fn chaos(&self, faults: u64, target: Target) -> Chaos {
        Chaos::start(self.seed, faults, MESSAGES, target)
    }

    fn config(&self, url: String) -> Config {
        Config {
            backoff_base: Duration::from_millis(2),
            backoff_cap: Duration::from_millis(20),
            jitter: Jitter::Full,
            max_attempts: None,
            stable_after: Duration::from_millis(100),
            connect_timeout: Duration::from_millis(400),
            upgrade_timeout: Duration::from_millis(400),
            close_timeout: Duration::from_millis(500),
            heartbeat_interval: Some(Duration::from_millis(100)),
            heartbeat_timeout: Duration::from_millis(300),
            max_resume_failures: None,
            outbox_max_messages: WINDOW as usize,
            delivery: self.delivery,
            receipts: Receipts::Acknowledged,
            resume: match self.delivery {
                Delivery::AtLeastOnce => ResumeMode::Wait,
                _ => ResumeMode::Optimistic,
            },
            resume_timeout: Duration::from_millis(400),
            ..Config::new(url)
        }
    }

    #[cfg(feature = "tls")]
    fn options(&self, url: String) -> Options {
        match &self.certificate {
            None => Options::new(self.config(url)),
            Some(pem) => Options::new(self.config(url.replace("ws://", "wss://")))
                .tls(hermes_mio::Tls::new().without_system().trust(pem).unwrap()),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn options(&self, url: String) -> Options {
        Options::new(self.config(url))
    }

    /// Message `n`: mostly small, some larger, a few large, so that its frame's length has each of
    /// its forms.
    fn message(&self, n: u64) -> Outgoing {
        let mut rng = Rng::new(self.seed ^ n << 32, 5);
        let padding = match rng.below(1_000) {
            _ if self.bursts.iter().any(|first| (*first..*first + BURST).contains(&n)) => LARGE,
            0 => rng.below(20_000),
            1..20 => rng.below(300),
            _ => 0,
        };
        let padding = "x".repeat(padding as usize);
        Outgoing::from_json(format!(r#"{{"n":{n},"type":"tick","pad":"{padding}{n}"}}"#)).unwrap()
    }

    fn send_all(&self, chaos: &Chaos) -> Told {
        self.send_all_and(chaos, |_| {})
    }

    /// Sends all messages, while something `happens` to the gateway, and shuts down.
    fn send_all_and(&self, chaos: &Chaos, happens: impl FnOnce(&Progress) + Send) -> Told {
        let scales = Scales::default();
        let short_writes = Arc::clone(&scales.short_writes);
        let mut client = Client::new(self.options(chaos.url()).tap(scales)).unwrap();
        client.connect();
        let progress = Progress::default();
        let told = Told::default();
        let mut application = Application { run: self, client, chaos, progress: &progress, told };
        thread::scope(|scope| {
            let _end = EndOnDrop(&progress);
            let happening = scope.spawn(|| happens(&progress));
            match self.delivery {
                Delivery::AtLeastOnce => application.send_from_another_thread(),
                _ => application.send(),
            }
            while !happening.is_finished() {
                application.poll(Duration::from_millis(20));
            }
            happening.join().unwrap();
        });
        let mut told = application.shut_down();
        told.short_writes = short_writes.load(Ordering::Relaxed);
        told
    }
}

/// Who sends, and hears what becomes of it.
struct Application<'a> {
    run: &'a Run,
    client: Client,
    chaos: &'a Chaos,
    progress: &'a Progress,
    told: Told,
}

impl Application<'_> {
    /// On the client's own thread, and no further ahead of what is settled than the window. Some
    /// are volatile, some have little time to live.
    fn send(&mut self) {
        let begin_burst = self.chaos.burst();
        for n in 1..=MESSAGES {
            let message = self.run.message(n);
            while n > self.told.settled + WINDOW || !self.client.protocol().has_room(message.len())
            {
                self.poll(Duration::from_millis(20));
            }
            if self.run.bursts.contains(&n) {
                begin_burst();
            }
            let message = match n % 50 {
                7 => message.volatile(),
                27 => message.with_ttl(Duration::from_millis(2)),
                _ => message,
            };
            let id = match self.client.send_message(message) {
                // Then later, as any other.
                Err(SendError::NotNow(_)) => self.client.send_message(self.run.message(n)),
                taken => taken,
            };
            assert_eq!(id, Ok(MessageId(n)));
            if n % 16 == 0 {
                self.poll(Duration::ZERO);
            }
        }
    }

    /// With a [`Sender`](hermes_mio::Sender). The outbox keeps what is not proven, and so is the
    /// window.
    fn send_from_another_thread(&mut self) {
        let (run, sender) = (self.run.clone(), self.client.sender());
        let begin_burst = self.chaos.burst();
        let sending = thread::spawn(move || {
            for n in 1..=MESSAGES {
                if run.bursts.contains(&n) {
                    begin_burst();
                }
                if sender.send_message_wait(run.message(n)).is_err() {
                    return; // The client is gone, as its test has failed.
                }
            }
        });
        while !sending.is_finished() || self.client.queued() > 0 {
            self.poll(Duration::from_millis(20));
        }
        sending.join().unwrap();
    }

    fn shut_down(mut self) -> Told {
        self.told.stats_before = self.client.protocol().stats();
        self.client.shutdown(PATIENCE);
        self.chaos.farewell();
        while self.told.shut_down.is_none() {
            self.poll(Duration::from_millis(20));
        }
        assert_eq!(self.client.poll(None).unwrap(), None, "nothing comes after the end");
        self.told.stats = self.client.protocol().stats();
        self.told
    }

    fn poll(&mut self, patience: Duration) {
        if let Some(event) = self.client.poll(Some(patience)).unwrap() {
            self.told.hear(event);
            self.chaos.progress(self.told.settled);
            self.progress.tell(self.told.settled);
        }
        let Application { run, client, told, .. } = self;
        assert!(run.begin.elapsed() < PATIENCE, "it never ends: {client:?}, {told:?}");
    }
}

/// Weighs what is called written against what the system has taken: no message is called so by a
/// byte too early. Who hears of the end can't tell, for then it is only in doubt.
#[derive(Default)]
struct Scales {
    /// Each message's frame.
    frames: Vec<u64>,
    dropped: BTreeSet<u64>,
    /// Of the live connection, in bytes.
    offered: u64,
    taken: u64,
    written: u64,
    short_writes: Arc<AtomicU64>,
}

impl Tap for Scales {
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

/// How many messages have met their fate, for those who wait for that.
#[derive(Default)]
struct Progress {
    state: Mutex<(u64, bool)>,
    news: Condvar,
}

impl Progress {
    fn tell(&self, settled: u64) {
        self.state.lock().unwrap().0 = settled;
        self.news.notify_all();
    }

    /// Whether it came to that.
    fn wait_for(&self, milestone: u64) -> bool {
        let state = self.state.lock().unwrap();
        let waiting = |(settled, over): &mut (u64, bool)| *settled < milestone && !*over;
        self.news.wait_while(state, waiting).unwrap().0 >= milestone
    }
}

/// Lets nobody wait for what will not come, where a test fails.
struct EndOnDrop<'a>(&'a Progress);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().1 = true;
        self.0.news.notify_all();
    }
}

/// What the client told.
#[derive(Debug, Default)]
struct Told {
    /// Up to here it is settled what became of them.
    settled: u64,
    received: Vec<(u64, u64)>,
    in_doubt: Vec<(u64, u64, bool)>,
    written: Vec<(u64, u64)>,
    dropped: BTreeSet<u64>,
    connected: u64,
    shut_down: Option<(u64, u64, u64)>,
    /// How often the system took a part.
    short_writes: u64,
    stats_before: Stats,
    stats: Stats,
}

impl Told {
    fn hear(&mut self, event: Event) {
        assert_eq!(self.shut_down, None, "{event:?} comes after the end");
        match event {
            Event::Connected { .. } => self.connected += 1,
            Event::Written { from, to } => self.written.push((from.0, to.0)),
            Event::Acknowledged { from, to } => {
                self.received.push((from.0, to.0));
                self.settled = to.0;
            }
            Event::InDoubt { from, to, resend } => {
                self.in_doubt.push((from.0, to.0, resend));
                if !resend {
                    self.settled = to.0;
                }
            }
            Event::Dropped { id, .. } => {
                let MessageId(n) = id.expect("the outbox took all of them");
                assert!(self.dropped.insert(n), "{n} is dropped twice");
            }
            Event::ShutDown { acknowledged, in_doubt, unsent } => {
                self.shut_down = Some((acknowledged, in_doubt, unsent));
            }
            // Of a link that was never heard of again, the gateway made another player.
            Event::PlayerJoined(_) | Event::PlayerLeft(_) => {}
            Event::Disconnected { .. } | Event::SessionInit(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn check_at_most_once(&self, gateway: &Gateway) {
        let arrivals = gateway.messages();
        self.check_each_connection(&arrivals);

        // What was on its way on a connection may arrive after the client has come back on another:
        // no client can prevent that. In the connections' order each comes once, and in order.
        let mut by_connection = arrivals.clone();
        by_connection.sort_by_key(|(conn, _)| *conn);
        for (before, after) in by_connection.iter().zip(&by_connection[1..]) {
            assert!(before.1 < after.1, "{after:?} comes after {before:?}");
        }

        // Each has one fate, and it is true.
        let mut fates = vec![Fate::None; MESSAGES as usize + 1];
        let received = self.received.iter().map(|(from, to)| (*from, *to, Fate::Received));
        let in_doubt = self.in_doubt.iter().map(|(from, to, resend)| {
            assert!(!resend);
            (*from, *to, Fate::InDoubt)
        });
        for (from, to, fate) in received.chain(in_doubt) {
            for n in from..=to {
                let before = std::mem::replace(&mut fates[n as usize], fate);
                assert_eq!(before, Fate::None, "{n} has two fates, the other is {fate:?}");
            }
        }
        // A range covers what lies in it, but for what was dropped.
        self.dropped.iter().for_each(|n| fates[*n as usize] = Fate::Dropped);
        let seen = seen(&arrivals);
        let mut counts = BTreeMap::new();
        for n in 1..=MESSAGES {
            let (fate, seen) = (fates[n as usize], seen[n as usize]);
            *counts.entry((fate, seen)).or_insert(0) += 1;
            match fate {
                Fate::Received => assert_eq!(seen, 1, "{n} is said to be received"),
                Fate::InDoubt => assert!(seen <= 1, "{n} arrived {seen} times"),
                Fate::Dropped => assert_eq!(seen, 0, "{n} is said to be dropped"),
                Fate::None => panic!("nobody knows what became of {n}; it arrived {seen} times"),
            }
        }
        let count =
            |wanted| counts.iter().filter(|((fate, _), _)| *fate == wanted).map(|(_, n)| n).sum();
        let (received, in_doubt): (u64, u64) = (count(Fate::Received), count(Fate::InDoubt));
        let late = arrivals.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        println!("fates {counts:?}; {late} times late ones between newer ones");

        // The counts say the same.
        let Stats { accepted, written, acknowledged, rewritten, .. } = self.stats;
        assert_eq!((accepted, acknowledged, rewritten), (MESSAGES, received, 0));
        assert_eq!(self.stats.in_doubt, in_doubt);
        assert_eq!(self.stats.dropped.total(), self.dropped.len() as u64);
        assert_eq!(written, received + in_doubt);
        let before = &self.stats_before;
        let since = (received - before.acknowledged, in_doubt - before.in_doubt, 0);
        assert_eq!(self.shut_down, Some(since));
        self.check_written();

        // And it was a test.
        let lost = counts.get(&(Fate::InDoubt, 0)).copied().unwrap_or_default();
        assert!(lost > 0 && !self.dropped.is_empty(), "{counts:?}");
        assert!(received > MESSAGES / 4, "{counts:?}");
    }

    fn check_at_least_once(&self, gateways: &[&Gateway]) {
        let mut arrivals = Vec::new();
        for (process, gateway) in gateways.iter().enumerate() {
            let process = (process as u64) << 32;
            arrivals.extend(gateway.messages().into_iter().map(|(conn, n)| (process | conn, n)));
        }
        self.check_each_connection(&arrivals);

        // None is missing, and those that come for the first time come in order.
        let mut next = 1;
        for (conn, n) in &arrivals {
            assert!(*n <= next, "{n} arrives on {conn}, and {next} has not");
            next = next.max(n + 1);
        }
        assert_eq!(next, MESSAGES + 1, "some are missing");

        // Each time that a message comes once more, it was in doubt before.
        let mut doubts = vec![0; MESSAGES as usize + 1];
        for (from, to, resend) in &self.in_doubt {
            assert!(resend);
            doubts[*from as usize..=*to as usize].iter_mut().for_each(|doubts| *doubts += 1);
        }
        let mut repeats = 0;
        for (n, seen) in seen(&arrivals).into_iter().enumerate().skip(1) {
            assert!(seen <= 1 + doubts[n], "{n} arrives {seen} times, in doubt {}", doubts[n]);
            repeats += seen - 1;
        }
        let doubtful = doubts.iter().filter(|doubts| **doubts > 0).count();
        println!(
            "{repeats} repeats; {doubtful} were in doubt, {} times together",
            doubts.iter().sum::<u64>()
        );

        // All are told to be received, once.
        let mut next = 1;
        for (from, to) in &self.received {
            assert_eq!(*from, next);
            next = to + 1;
        }
        assert_eq!(next, MESSAGES + 1);
        let Stats { accepted, written, acknowledged, .. } = self.stats;
        assert_eq!((accepted, written, acknowledged), (MESSAGES, MESSAGES, MESSAGES));
        assert_eq!(self.stats.dropped.total() + self.dropped.len() as u64, 0);
        let since = MESSAGES - self.stats_before.acknowledged;
        assert_eq!(self.shut_down, Some((since, 0, 0)));
        self.check_written();

        // And it was a test.
        assert!(repeats > 0);
    }

    /// A connection leaves nothing out, and says nothing twice.
    fn check_each_connection(&self, arrivals: &[(u64, u64)]) {
        let mut latest = BTreeMap::new();
        for (conn, n) in arrivals {
            if let Some(before) = latest.insert(conn, *n) {
                let skipped = (before + 1..*n).find(|n| !self.dropped.contains(n));
                assert!(before < *n && skipped.is_none(), "{n} follows {before} on {conn}");
            }
        }
    }

    /// What was written is told once, in order, and before it is received.
    fn check_written(&self) {
        let mut next = 1;
        for (from, to) in &self.written {
            assert!(*from == next && from <= to, "{from} is written, {next} is next");
            next = to + 1;
        }
        assert!((next..=MESSAGES).all(|n| self.dropped.contains(&n)), "{next} was not written");
    }

    fn figures(&self, run: &Run, toll: &Toll) {
        println!(
            "{:.1} s; {} faults; {} short writes; {} connections of {} attempts; ends {:?}; {toll:?}",
            run.begin.elapsed().as_secs_f64(),
            toll.total(),
            self.short_writes,
            self.connected,
            self.stats.attempts,
            self.stats.ended,
        );
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    None,
    Received,
    InDoubt,
    Dropped,
}

/// How often each was seen.
fn seen(arrivals: &[(u64, u64)]) -> Vec<u64> {
    let mut seen = vec![0; MESSAGES as usize + 1];
    arrivals.iter().for_each(|(_, n)| seen[*n as usize] += 1);
    seen
}

/// A gateway process, and what it says.
struct Gateway {
    addr: SocketAddr,
    child: Child,
    orders: Arc<Mutex<ChildStdin>>,
    news: Arc<News>,
}

#[derive(Default)]
struct News {
    log: Mutex<Log>,
    changed: Condvar,
}

/// Its standard output.
#[derive(Debug, Default)]
struct Log {
    addr: Option<SocketAddr>,
    /// Who connected.
    peers: Vec<String>,
    disconnected: u64,
    /// Which connection, and which message.
    messages: Vec<(u64, u64)>,
    /// Reports, and how many messages the latest one counts.
    snapshots: (u64, u64),
    ended: bool,
}

impl Gateway {
    fn start(sessions: Option<&Path>) -> Self {
        Self::start_with(|command| {
            if let Some(file) = sessions {
                command.arg("--sessions").arg(file);
            }
        })
    }

    fn start_with(arguments: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
        command.args(["gateway", "127.0.0.1:0"]);
        arguments(&mut command);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = pipes.spawn().unwrap();
        let orders = Arc::new(Mutex::new(child.stdin.take().unwrap()));
        let news = Arc::new(News::default());
        thread::spawn({
            let (news, output) = (Arc::clone(&news), child.stdout.take().unwrap());
            move || news.read(output)
        });
        let log = news.wait("it listens", |log| log.addr.is_some() || log.ended);
        let addr = log.addr.expect("a gateway listens");
        drop(log);
        Gateway { addr, child, orders, news }
    }

    fn target(&self) -> Target {
        Target { addr: self.addr, witness: None }
    }

    /// Nothing that it says is passed on before its log has shown all that it had received by then.
    fn witnessed(&self) -> Target {
        let (orders, news) = (Arc::clone(&self.orders), Arc::clone(&self.news));
        let witness = move || {
            let (before, _) = news.log.lock().unwrap().snapshots;
            if orders.lock().unwrap().write_all(b"metrics\n").is_err() {
                return false;
            }
            let has_logged = |log: &Log| {
                let (snapshots, counted) = log.snapshots;
                snapshots > before && log.messages.len() as u64 >= counted
            };
            let log = news.wait("its log", |log| has_logged(log) || log.ended);
            has_logged(&log)
        };
        Target { addr: self.addr, witness: Some(Arc::new(witness)) }
    }

    /// What arrived: on which connection, and which message.
    fn messages(&self) -> Vec<(u64, u64)> {
        self.news.log.lock().unwrap().messages.clone()
    }

    #[cfg(unix)]
    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Ends it without a warning, and hears what it had said.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        drop(self.news.wait("its end", |log| log.ended));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; a stopped process dies too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl News {
    fn wait(&self, what: &str, wanted: impl Fn(&Log) -> bool) -> MutexGuard<'_, Log> {
        let log = self.log.lock().unwrap();
        let (log, timeout) =
            self.changed.wait_timeout_while(log, PATIENCE, |log| !wanted(log)).unwrap();
        assert!(!timeout.timed_out(), "in vain: {what}");
        log
    }

    fn read(&self, output: ChildStdout) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // The last one may be torn.
            if line.pop() == Some(b'\n') {
                self.log.lock().unwrap().note(std::str::from_utf8(&line).unwrap());
                self.changed.notify_all();
            }
            line.clear();
        }
        self.log.lock().unwrap().ended = true;
        self.changed.notify_all();
    }
}

impl Log {
    fn note(&mut self, line: &str) {
        // Read by hand: there are many of them.
        if let Some(message) = line.strip_prefix(r#"{"gateway":"message","conn":"#) {
            let (conn, rest) = number(message);
            let (_, text) = rest.split_once(r#""text":"{\"n\":"#).expect(line);
            let (n, rest) = number(text);
            let end = format!(r#"{n}\"}}"}}"#);
            assert!(rest.starts_with(r#",\"type\":\"tick\""#) && rest.ends_with(&end), "{line}");
            self.messages.push((conn, n));
            return;
        }
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        match line["gateway"].as_str().unwrap() {
            "listening" => self.addr = Some(line["addr"].as_str().unwrap().parse().unwrap()),
            "connected" => self.peers.push(line["peer"].as_str().unwrap().to_string()),
            "disconnected" => self.disconnected += 1,
            "metrics" => {
                self.snapshots =
                    (self.snapshots.0 + 1, line["metrics"]["messages"].as_u64().unwrap());
            }
            _ => {}
        }
    }
}

/// The number at the beginning.
fn number(text: &str) -> (u64, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap();
    (text[..end].parse().unwrap(), &text[end..])
}
