//! A network that fails: a TCP proxy that cuts, resets, stalls, half-closes and dribbles, as a seed
//! has it. What it holds at a cut is lost, as what a network holds is.
//!
//! Faults come at milestones of the traffic's progress, some bytes later, so that there are as many
//! of them whatever the machine's speed, and most of what is sent gets through in between.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;

/// SplitMix64: all the chance there is.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Streams of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Rng(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// In order: one in each of `n` equal parts of what is below `end`.
    pub(crate) fn milestones(&mut self, n: u64, end: u64) -> Vec<u64> {
        let part = end / n.max(1);
        (0..n).map(|k| k * part + self.below(part)).collect()
    }
}

/// The seed: `HERMES_CHAOS_SEED`, or else a new one. Printed, so that a failure can be had again.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("HERMES_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("HERMES_CHAOS_SEED is a number"),
        Err(_) => RandomState::new().hash_one(Instant::now()) >> 32,
    };
    println!("HERMES_CHAOS_SEED={seed}");
    seed
}

/// What happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Both sides hear that it is over (FIN); whatever they still say is swallowed.
    Cut,
    /// Both sides get a RST.
    Reset,
    /// The client gets a RST. The gateway hears nothing for a while, and then what was under way:
    /// perhaps long after the client has come back on another link.
    Vanish,
    /// One direction ends (FIN), and the other goes on.
    HalfClose,
    /// Nothing passes for a moment, in one direction or in both.
    Stall,
    /// Nothing passes for longer than the client has patience. Then all goes on, or ends.
    Hole,
    /// A byte at a time for a while.
    Trickle,
    /// Not even connected.
    Refuse,
    /// Connected, and then silence.
    Mute,
}

impl Fault {
    /// The ones for a link that works, as often as they come.
    pub(crate) const ALL: &'static [Fault] = &[
        Fault::Cut,
        Fault::Cut,
        Fault::Reset,
        Fault::Reset,
        Fault::Vanish,
        Fault::Vanish,
        Fault::HalfClose,
        Fault::HalfClose,
        Fault::Stall,
        Fault::Stall,
        Fault::Hole,
        Fault::Trickle,
    ];
    /// The ones for a handshake.
    const EARLY: &'static [Fault] =
        &[Fault::Refuse, Fault::Mute, Fault::Cut, Fault::Reset, Fault::HalfClose, Fault::Vanish];
}

/// Where the proxy's links lead.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    /// Asked before anything from there is passed on; where it says no, the link is lost.
    pub(crate) witness: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

/// A proxy on a thread of its own.
pub(crate) struct Chaos {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<Toll>>,
}

#[derive(Default)]
struct Shared {
    progress: AtomicU64,
    burst: AtomicBool,
    farewell: AtomicBool,
    stop: AtomicBool,
    target: Mutex<Option<Target>>,
}

/// What the proxy did.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    /// Links to the gateway.
    pub(crate) links: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Bytes that were known to be in hand, and lost. The systems' buffers had more.
    pub(crate) swallowed: u64,
    /// Pongs that nobody asked for, or that were there before.
    pub(crate) pongs: u64,
}

impl Toll {
    pub(crate) fn total(&self) -> u64 {
        self.faults.values().sum()
    }
}

impl Chaos {
    /// A proxy that does harm `faults` times while `messages` pass.
    pub(crate) fn start(seed: u64, faults: u64, messages: u64, target: Target) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), WAKER).unwrap();
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        // What a link holds is lost at a cut: let it be little.
        SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { target: Mutex::new(Some(target)), ..Shared::default() });
        let mut rng = Rng::new(seed, 1);
        // The last ones have to strike while there is traffic.
        let milestones = rng.milestones(faults, messages * 98 / 100);
        let proxy = Proxy {
            poll,
            listener,
            shared: Arc::clone(&shared),
            rng,
            milestones: milestones.into_iter().rev().collect(),
            deck: Vec::new(),
            links: Vec::new(),
            tokens: 2,
            old_pongs: Vec::new(),
            toll: Toll::default(),
        };
        let thread = thread::Builder::new().name("chaos".into()).spawn(|| proxy.run()).unwrap();
        Chaos { addr, shared, waker, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    /// So many messages have met their fate.
    pub(crate) fn progress(&self, messages: u64) {
        self.shared.progress.store(messages, Ordering::Relaxed);
    }

    /// A burst of large messages begins: to be held up until the client's system takes no more, and
    /// then it may end in the midst of one.
    pub(crate) fn burst(&self) -> impl Fn() + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.burst.store(true, Ordering::Relaxed)
    }

    /// The client says goodbye: one fault more, at the next that the gateway says.
    pub(crate) fn farewell(&self) {
        self.shared.farewell.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
    }

    /// Where links lead from now on; `None`: nowhere.
    pub(crate) fn aim(&self, target: Option<Target>) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// Ends all links.
    pub(crate) fn stop(mut self) -> Toll {
        self.end().expect("it was not stopped before").expect("the proxy does not panic")
    }

    fn end(&mut self) -> Option<thread::Result<Toll>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
        self.thread.take().map(JoinHandle::join)
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

struct Proxy {
    poll: Poll,
    listener: TcpListener,
    shared: Arc<Shared>,
    rng: Rng,
    /// Those to come, the next one last.
    milestones: Vec<u64>,
    deck: Vec<Fault>,
    links: Vec<Link>,
    tokens: usize,
    /// What pongs carried, on any link.
    old_pongs: Vec<Vec<u8>>,
    toll: Toll,
}

const CLIENT: usize = 0;
const GATEWAY: usize = 1;
/// The directions: from the client, from the gateway.
const UP: usize = CLIENT;
const DOWN: usize = GATEWAY;

/// A client's connection, and one to the gateway.
struct Link {
    ends: [Option<TcpStream>; 2],
    pipes: [Pipe; 2],
    armed: Option<Armed>,
    /// What follows a stall.
    then: Option<(Instant, Fault)>,
    /// When it is dropped, whatever there is.
    over: Option<Instant>,
    witness: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    scanner: Scanner,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    /// What was read and not passed on, from `start`.
    hand: Vec<u8>,
    start: usize,
    passed: u64,
    /// Nothing passes until then.
    held: Option<Instant>,
    /// What is read is thrown away.
    swallows: bool,
    /// The source has said all.
    eof: bool,
    /// The other side knows.
    shut: bool,
    /// The largest piece that passes at a time, and how many more of that size.
    piece: u64,
    pieces: u64,
}

/// A fault, and the byte at which it strikes.
struct Armed {
    pipe: usize,
    at: u64,
    what: Strike,
}

#[derive(Clone, Copy)]
enum Strike {
    Fault(Fault),
    /// A stall long enough to fill the client's buffers, and what follows.
    Jam(Option<Fault>),
}

impl Proxy {
    fn run(mut self) -> Toll {
        let mut events = Events::with_capacity(64);
        let mut busy = false;
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(self.patience(busy))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
                _ => {}
            }
            // Readiness is told once, and everything is tried at each turn: nothing is missed.
            let now = Instant::now();
            self.accept(now);
            self.arm();
            busy = false;
            for mut link in std::mem::take(&mut self.links) {
                busy |= self.turn(&mut link, now);
                if !link.is_over(now) {
                    self.links.push(link);
                }
            }
        }
        self.toll
    }

    fn patience(&self, busy: bool) -> Duration {
        if busy {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let next = self.links.iter().flat_map(Link::deadlines).min();
        next.map_or(Duration::from_millis(50), |at| at.saturating_duration_since(now))
    }

    fn accept(&mut self, now: Instant) {
        loop {
            let mut client = match self.listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It is gone already.
                Err(_) => continue,
            };
            client.set_nodelay(true).unwrap();
            let early = self.rng.one_in(5).then(|| self.rng.pick(Fault::EARLY));
            let (silent, target) = match early {
                Some(Fault::Refuse) => {
                    self.count(Fault::Refuse);
                    continue;
                }
                Some(Fault::Mute) => {
                    self.count(Fault::Mute);
                    (true, None)
                }
                _ => (false, self.shared.target.lock().unwrap().clone()),
            };
            let gateway = target.as_ref().and_then(|target| self.dial(target.addr).ok());
            if gateway.is_none() && !silent {
                continue;
            }
            self.watch(&mut client);
            let mut link = Link {
                ends: [Some(client), gateway],
                pipes: Default::default(),
                armed: None,
                then: None,
                over: silent.then(|| now + self.rng.millis(50, 600)),
                witness: target.and_then(|target| target.witness),
                scanner: Scanner::Head(Vec::new()),
            };
            if silent {
                link.hold(&[UP, DOWN], link.over);
            } else if let Some(fault) = early {
                // The request has some 150 bytes, the answer 130; then come the first messages.
                let pipe = self.rng.pick(&[UP, DOWN]);
                let at = self.rng.below(300);
                link.armed = Some(Armed { pipe, at, what: Strike::Fault(fault) });
            }
            self.links.push(link);
        }
    }

    fn dial(&mut self, addr: SocketAddr) -> io::Result<TcpStream> {
        // On loopback it is done or refused at once, even where the process is stopped.
        let stream = std::net::TcpStream::connect_timeout(&addr, Duration::from_secs(1))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.toll.links += 1;
        let mut stream = TcpStream::from_std(stream);
        SockRef::from(&stream).set_send_buffer_size(16 << 10)?;
        self.watch(&mut stream);
        Ok(stream)
    }

    fn watch(&mut self, stream: &mut TcpStream) {
        self.tokens += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream, Token(self.tokens), interest).unwrap();
    }

    /// Plans the next fault, where it is time, for the newest link.
    fn arm(&mut self) {
        let Some(link) = self.links.last_mut().filter(|link| link.is_whole()) else { return };
        if self.shared.burst.swap(false, Ordering::Relaxed) {
            let at = link.pipes[UP].passed + self.rng.below(300_000);
            let then =
                self.rng.pick(&[None, Some(Fault::Cut), Some(Fault::Reset), Some(Fault::Vanish)]);
            link.armed = Some(Armed { pipe: UP, at, what: Strike::Jam(then) });
        }
        if self.shared.farewell.swap(false, Ordering::Relaxed) {
            let fault = self.rng.pick(&[Fault::Cut, Fault::Reset, Fault::Vanish]);
            let at = link.pipes[DOWN].passed;
            link.armed = Some(Armed { pipe: DOWN, at, what: Strike::Fault(fault) });
        }
        let progress = self.shared.progress.load(Ordering::Relaxed);
        if link.armed.is_some() || self.milestones.last().is_none_or(|next| *next > progress) {
            return;
        }
        self.milestones.pop();
        if self.deck.is_empty() {
            self.deck = Fault::ALL.to_vec();
            for i in (1..self.deck.len()).rev() {
                self.deck.swap(i, self.rng.below(i as u64 + 1) as usize);
            }
        }
        let Some(fault) = self.deck.pop() else { return };
        // Few bytes come down: what they cut are pongs.
        let pipe = self.rng.pick(&[UP, UP, UP, DOWN]);
        let within = if pipe == DOWN { 60 } else { self.rng.pick(&[1, 40, 1_500, 20_000]) };
        let at = link.pipes[pipe].passed + self.rng.below(within);
        link.armed = Some(Armed { pipe, at, what: Strike::Fault(fault) });
    }

    fn count(&mut self, fault: Fault) {
        *self.toll.faults.entry(fault).or_default() += 1;
    }

    /// Moves what can be moved. Says whether there is more of it.
    fn turn(&mut self, link: &mut Link, now: Instant) -> bool {
        if let Some((_, fault)) = link.then.take_if(|(at, _)| *at <= now) {
            self.strike(link, fault, now);
        }
        let up = self.pump(link, UP, now);
        self.pump(link, DOWN, now) || up
    }

    /// One direction's part of a turn.
    fn pump(&mut self, link: &mut Link, dir: usize, now: Instant) -> bool {
        for _ in 0..64 {
            let pipe = &mut link.pipes[dir];
            if pipe.held.is_some_and(|until| until > now) {
                return false;
            }
            pipe.held = None;
            if pipe.in_hand() == 0 {
                if pipe.eof {
                    link.end_pipe(dir);
                    return false;
                }
                match self.fill(link, dir, now) {
                    Ok(()) => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                    Err(_) => link.pipes[dir].eof = true,
                }
                continue;
            }
            let before = match &link.armed {
                Some(Armed { pipe: armed, at, what }) if *armed == dir => {
                    let left = at.saturating_sub(pipe.passed);
                    if left == 0 {
                        let what = *what;
                        link.armed = None;
                        self.struck(link, what, now);
                        continue;
                    }
                    left
                }
                _ => u64::MAX,
            };
            if pipe.pieces == 0 {
                pipe.piece = self.rng.pick(&[16, 1_500, 16 << 10, 16 << 10]);
                pipe.pieces = 1 + self.rng.below(40);
            }
            pipe.pieces -= 1;
            let most = (pipe.in_hand() as u64).min(before);
            let n = most.min(1 + self.rng.below(pipe.piece)) as usize;
            let Some(to) = &mut link.ends[1 - dir] else {
                self.toll.swallowed += pipe.swallow();
                continue;
            };
            match to.write(&pipe.hand[pipe.start..pipe.start + n]) {
                Ok(n) => {
                    pipe.start += n;
                    pipe.passed += n as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // That side has gone; what it said before comes the other way.
                Err(_) => self.toll.swallowed += pipe.swallow(),
            }
            if self.rng.one_in(400) {
                pipe.held = Some(now + self.rng.millis(1, 6));
            }
        }
        true
    }

    /// Takes a handful.
    fn fill(&mut self, link: &mut Link, dir: usize, now: Instant) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let n = match &mut link.ends[dir] {
            Some(from) => from.read(&mut buffer)?,
            None => 0,
        };
        let pipe = &mut link.pipes[dir];
        if n == 0 {
            pipe.eof = true;
            return Ok(());
        }
        if pipe.swallows {
            self.toll.swallowed += n as u64;
            return Ok(());
        }
        pipe.hand.clear();
        pipe.start = 0;
        if dir == UP {
            pipe.hand.extend_from_slice(&buffer[..n]);
            return Ok(());
        }
        if link.witness.as_ref().is_some_and(|witness| !witness()) {
            self.reset(link, now);
            return Ok(());
        }
        for byte in &buffer[..n] {
            pipe.hand.push(*byte);
            if let Some(pong) = link.scanner.scan(*byte) {
                self.old_pongs.push(pong);
            }
            if link.scanner.is_between_frames() && self.rng.one_in(12) {
                let pong = self.foreign_pong();
                pipe.hand.extend(pong);
            }
        }
        Ok(())
    }

    /// A pong that nobody asked for (RFC 6455 §5.5.3), or an old one once more: it proves nothing.
    fn foreign_pong(&mut self) -> Vec<u8> {
        self.toll.pongs += 1;
        let payload = match self.rng.below(4) {
            0 => Vec::new(),
            1 => (0..16).map(|_| self.rng.next() as u8).collect(),
            _ if self.old_pongs.is_empty() => Vec::new(),
            _ => {
                let old = self.rng.below(self.old_pongs.len() as u64) as usize;
                self.old_pongs[old].clone()
            }
        };
        [vec![0x8A, payload.len() as u8], payload].concat()
    }

    fn struck(&mut self, link: &mut Link, what: Strike, now: Instant) {
        match what {
            Strike::Fault(fault) => self.strike(link, fault, now),
            Strike::Jam(then) => {
                self.count(Fault::Stall);
                let until = now + self.rng.millis(100, 160);
                link.hold(&[UP], Some(until));
                link.then = then.map(|fault| (until, fault));
            }
        }
    }

    fn strike(&mut self, link: &mut Link, fault: Fault, now: Instant) {
        self.count(fault);
        let ends = matches!(fault, Fault::Cut | Fault::Reset | Fault::HalfClose);
        if ends && self.rng.one_in(2) {
            self.last_word(link);
        }
        let sides = |rng: &mut Rng| rng.pick(&[&[UP][..], &[DOWN], &[UP, DOWN]]);
        match fault {
            Fault::Cut => {
                for dir in [UP, DOWN] {
                    self.toll.swallowed += link.pipes[dir].swallow();
                    link.end_pipe(dir);
                }
                link.over = Some(now + Duration::from_secs(1));
            }
            Fault::Reset => self.reset(link, now),
            Fault::Vanish => {
                let mut held = Vec::new();
                if let Some(mut client) = link.ends[CLIENT].take() {
                    // Some of what is under way is still on its way.
                    let mut buffer = [0; 8 << 10];
                    for _ in 0..self.rng.below(8) {
                        match client.read(&mut buffer) {
                            Ok(n) if n > 0 => held.extend_from_slice(&buffer[..n]),
                            _ => break,
                        }
                    }
                    let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                }
                link.pipes[UP].hand.extend(held);
                link.hold(&[UP], Some(now + self.rng.millis(1, 300)));
            }
            Fault::HalfClose => {
                let dir = self.rng.pick(&[UP, DOWN]);
                self.toll.swallowed += link.pipes[dir].swallow();
                link.end_pipe(dir);
            }
            Fault::Stall => {
                let sides = sides(&mut self.rng);
                link.hold(sides, Some(now + self.rng.millis(5, 90)));
            }
            Fault::Hole => {
                let until = now + self.rng.millis(450, 900);
                let sides = sides(&mut self.rng);
                link.hold(sides, Some(until));
                link.then = self
                    .rng
                    .pick(&[None, None, Some(Fault::Cut), Some(Fault::Reset)])
                    .map(|f| (until, f));
            }
            Fault::Trickle => {
                let pipe = &mut link.pipes[UP];
                (pipe.piece, pipe.pieces) = (1, 50 + self.rng.below(300));
            }
            Fault::Refuse | Fault::Mute => {}
        }
    }

    /// The last thing that the client hears is no proof of anything.
    fn last_word(&mut self, link: &mut Link) {
        if !link.scanner.is_between_frames() || link.pipes[DOWN].in_hand() > 0 {
            return;
        }
        let pong = self.foreign_pong();
        if let Some(client) = &mut link.ends[CLIENT] {
            // So few bytes fit, or else it is stuck, and hears nothing any more.
            let _ = client.write(&pong);
        }
    }

    fn reset(&mut self, link: &mut Link, now: Instant) {
        for end in link.ends.iter_mut().filter_map(Option::take) {
            let _ = SockRef::from(&end).set_linger(Some(Duration::ZERO));
        }
        for pipe in &mut link.pipes {
            self.toll.swallowed += pipe.swallow();
        }
        link.over = Some(now);
    }
}

impl Link {
    /// Whether a fault would be news to it.
    fn is_whole(&self) -> bool {
        let whole = self.pipes.iter().all(|pipe| !pipe.swallows && !pipe.eof);
        whole && self.over.is_none() && self.ends.iter().all(Option::is_some)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.over.is_some_and(|at| at <= now) || self.pipes.iter().all(|pipe| pipe.eof && pipe.shut)
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let held = self.pipes.iter().filter_map(|pipe| pipe.held);
        held.chain(self.then.map(|(at, _)| at)).chain(self.over)
    }

    fn hold(&mut self, dirs: &[usize], until: Option<Instant>) {
        for dir in dirs {
            self.pipes[*dir].held = until;
        }
    }

    /// Says that no more comes this way.
    fn end_pipe(&mut self, dir: usize) {
        if !std::mem::replace(&mut self.pipes[dir].shut, true)
            && let Some(to) = &self.ends[1 - dir]
        {
            // It may be gone already.
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}

impl Pipe {
    fn in_hand(&self) -> usize {
        self.hand.len() - self.start
    }

    /// Throws away what there is, and what is to come. Says how much there was.
    fn swallow(&mut self) -> u64 {
        let lost = self.in_hand() as u64;
        (self.hand, self.start, self.held) = (Vec::new(), 0, None);
        self.swallows = true;
        lost
    }
}

/// Follows what the gateway says, to know where a frame ends.
enum Scanner {
    /// In the answer to the upgrade request; its last four bytes.
    Head(Vec<u8>),
    /// In a frame's header.
    Header(Vec<u8>),
    /// In a frame's payload: so many bytes more, and what a pong carries.
    Payload { opcode: u8, left: u64, data: Vec<u8> },
}

impl Scanner {
    fn is_between_frames(&self) -> bool {
        matches!(self, Scanner::Header(header) if header.is_empty())
    }

    /// Takes a byte. Says what a pong carried that ends with it.
    fn scan(&mut self, byte: u8) -> Option<Vec<u8>> {
        match self {
            Scanner::Head(last) => {
                last.push(byte);
                if last.ends_with(b"\r\n\r\n") {
                    *self = Scanner::Header(Vec::new());
                }
                None
            }
            Scanner::Header(header) => {
                header.push(byte);
                let (opcode, short) = (header[0] & 0x0F, header.get(1).map(|byte| byte & 0x7F)?);
                let extended = match short {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                if header.len() < 2 + extended {
                    return None;
                }
                let left = match extended {
                    0 => u64::from(short),
                    _ => header[2..].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
                };
                *self = Scanner::Payload { opcode, left, data: Vec::new() };
                self.end_of_frame()
            }
            Scanner::Payload { opcode, left, data } => {
                *left -= 1;
                if *opcode == PONG {
                    data.push(byte);
                }
                self.end_of_frame()
            }
        }
    }

    fn end_of_frame(&mut self) -> Option<Vec<u8>> {
        let Scanner::Payload { opcode, left: 0, data } = self else { return None };
        let pong = (*opcode == PONG).then(|| std::mem::take(data));
        *self = Scanner::Header(Vec::new());
        pong
    }
}

const PONG: u8 = 0xA;
