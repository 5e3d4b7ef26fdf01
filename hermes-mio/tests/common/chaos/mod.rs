//! A network that fails: a TCP proxy that cuts, resets, stalls, half-closes and dribbles, as a seed
//! has it. What it holds at a cut is lost, as what a network holds is.
//!
//! Faults come at milestones of the traffic's progress, some bytes later, so that there are as many
//! of them whatever the machine's speed, and most of what is sent gets through in between.

mod link;
mod proxy;
mod rng;
mod scanner;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;

use link::*;
use proxy::*;
pub(crate) use rng::{Rng, seed};
use scanner::Scanner;

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
    /// Bytes stop for good, without FIN or RST.
    Freeze,
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
    /// The ones that end a link.
    const CUTS: &'static [Fault] = &[Fault::Cut, Fault::Reset, Fault::Freeze, Fault::HalfClose];
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
    thread: Option<JoinHandle<FaultCounts>>,
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
pub(crate) struct FaultCounts {
    /// Links to the gateway.
    pub(crate) links: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Bytes that were known to be in hand, and lost. The systems' buffers had more.
    pub(crate) swallowed: u64,
    /// Pongs that nobody asked for, or that were there before.
    pub(crate) pongs: u64,
}

impl FaultCounts {
    pub(crate) fn total(&self) -> u64 {
        self.faults.values().sum()
    }
}

impl Chaos {
    /// A proxy that does harm `faults` times while `messages` pass.
    pub(crate) fn start(seed: u64, faults: u64, messages: u64, target: Target) -> Self {
        // The last ones have to strike while there is traffic.
        let milestones = Rng::new(seed, 1).milestones(faults, messages * 98 / 100);
        Self::run(seed, milestones, None, target)
    }

    /// A proxy that ends each link by chance: after `mean_bytes` from the client on average, and
    /// at any byte with the same probability.
    pub(crate) fn cutting(seed: u64, mean_bytes: u64, target: Target) -> Self {
        Self::run(seed, Vec::new(), Some(mean_bytes), target)
    }

    fn run(seed: u64, milestones: Vec<u64>, mean_bytes: Option<u64>, target: Target) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), WAKER).unwrap();
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        // What a link holds is lost at a cut: let it be little.
        SockRef::from(&listener).set_recv_buffer_size(16 << 10).unwrap();
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { target: Mutex::new(Some(target)), ..Shared::default() });
        let proxy = Proxy {
            poll,
            listener,
            shared: Arc::clone(&shared),
            rng: Rng::new(seed, 6),
            mean_bytes,
            milestones: milestones.into_iter().rev().collect(),
            deck: Vec::new(),
            links: Vec::new(),
            tokens: 2,
            old_pongs: Vec::new(),
            counts: FaultCounts::default(),
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
    pub(crate) fn stop(mut self) -> FaultCounts {
        self.end().expect("it was not stopped before").expect("the proxy does not panic")
    }

    fn end(&mut self) -> Option<thread::Result<FaultCounts>> {
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
