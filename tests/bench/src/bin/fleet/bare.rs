//! The floor: a mio loop that does the same on the wire, and nothing else.

use std::collections::{BTreeSet, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::{AT_A_TIME, Contender, HEARTBEAT};

/// As the fleet has it.
const SLACK: Duration = Duration::from_millis(50);

const PING: &[u8] = &[0x89, 0x88, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

pub struct Bare {
    poll: Poll,
    events: Events,
    gateway: SocketAddr,
    buffer: Vec<u8>,
    peers: Vec<Peer>,
    timers: BTreeSet<(u64, u32)>,
    waiting: VecDeque<u32>,
    connecting: usize,
    connected: usize,
    epoch: Instant,
}

#[derive(Default)]
struct Peer {
    socket: Option<TcpStream>,
    asked: bool,
    open: bool,
}

impl Bare {
    pub fn new(port: u16) -> Self {
        Bare {
            poll: Poll::new().expect("a poll"),
            events: Events::with_capacity(1_024),
            gateway: ([127, 0, 0, 1], port).into(),
            buffer: vec![0; 64 << 10],
            peers: Vec::new(),
            timers: BTreeSet::new(),
            waiting: VecDeque::new(),
            connecting: 0,
            connected: 0,
            epoch: Instant::now(),
        }
    }

    fn dial(&mut self) {
        while self.connecting < AT_A_TIME
            && let Some(index) = self.waiting.pop_front()
        {
            let mut socket = TcpStream::connect(self.gateway).expect("it begins");
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut socket, Token(index as usize), interest)
                .expect("new");
            self.peers[index as usize] = Peer { socket: Some(socket), asked: false, open: false };
            self.connecting += 1;
        }
    }

    fn arm(&mut self, index: u32) {
        let due = (self.epoch.elapsed() + HEARTBEAT).as_micros() as u64;
        self.timers.insert((due.next_multiple_of(SLACK.as_micros() as u64), index));
    }

    /// Runs until then, or until so many are connected.
    fn run(&mut self, until: Instant, enough: impl Fn(usize) -> bool, mut seen: impl FnMut(bool)) {
        while !enough(self.connected) && Instant::now() < until {
            self.dial();
            let left = until.saturating_duration_since(Instant::now());
            let due = self
                .timers
                .first()
                .map(|(due, _)| Duration::from_micros(*due).saturating_sub(self.epoch.elapsed()));
            let patience = due.map_or(left, |due| due.min(left));
            self.poll.poll(&mut self.events, Some(patience)).expect("the loop goes on");
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for index in ready {
                match self.serve(index) {
                    Some(true) => seen(true),
                    Some(false) => {
                        self.waiting.push_back(index as u32);
                        seen(false);
                    }
                    None => {}
                }
            }
            let now = self.epoch.elapsed().as_micros() as u64;
            while let Some((due, index)) = self.timers.first().copied()
                && due <= now
            {
                self.timers.pop_first();
                let peer = &mut self.peers[index as usize];
                if let (true, Some(socket)) = (peer.open, &mut peer.socket) {
                    let _ = socket.write(PING);
                    self.arm(index);
                }
            }
        }
    }

    /// Whether it has just been connected, or lost.
    fn serve(&mut self, index: usize) -> Option<bool> {
        let peer = &mut self.peers[index];
        let socket = peer.socket.as_mut()?;
        let mut lost = false;
        if !peer.asked {
            lost = socket.take_error().expect("it can be asked").is_some();
            if !lost && socket.peer_addr().is_ok() {
                socket.set_nodelay(true).expect("it can be set");
                peer.asked = true;
                lost = socket.write(REQUEST).is_err();
            }
        }
        let mut came = false;
        while !lost && peer.asked {
            match socket.read(&mut self.buffer) {
                Ok(0) => lost = true,
                Ok(_) if !peer.open => came = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => lost = true,
            }
            if came && !peer.open {
                peer.open = true;
            }
        }
        if lost {
            if peer.open {
                self.connected -= 1;
            } else {
                self.connecting -= 1;
            }
            self.peers[index] = Peer::default();
            return Some(false);
        }
        came.then(|| {
            self.connecting -= 1;
            self.connected += 1;
            self.arm(index as u32);
            true
        })
    }
}

impl Contender for Bare {
    fn connect(&mut self, clients: usize, patience: Duration) -> usize {
        self.peers.resize_with(clients, Peer::default);
        self.waiting.extend(0..clients as u32);
        self.run(Instant::now() + patience, |connected| connected == clients, |_| {});
        self.connected
    }

    fn idle(&mut self, time: Duration) -> usize {
        self.run(Instant::now() + time, |_| false, |_| {});
        self.connected
    }

    fn come_back(&mut self, back: &mut dyn FnMut()) -> Vec<Duration> {
        let clients = self.connected;
        self.run(Instant::now() + Duration::from_secs(60), |connected| connected == 0, |_| {});
        self.timers.clear();
        back();
        let begin = Instant::now();
        let mut times = Vec::with_capacity(clients);
        let note = |came: bool| {
            if came {
                times.push(begin.elapsed());
            }
        };
        self.run(begin + Duration::from_secs(120), |connected| connected == clients, note);
        times
    }
}
