//! The proxy's loop, and how each fault strikes.

use super::*;

pub(crate) const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);

pub(crate) struct Proxy {
    pub(crate) poll: Poll,
    pub(crate) listener: TcpListener,
    pub(crate) shared: Arc<Shared>,
    pub(crate) rng: Rng,
    /// Bytes from the client between two cuts; `None` for faults of all kinds, at milestones.
    pub(crate) mean_bytes: Option<u64>,
    /// Those to come, the next one last.
    pub(crate) milestones: Vec<u64>,
    pub(crate) deck: Vec<Fault>,
    pub(crate) links: Vec<Link>,
    pub(crate) tokens: usize,
    /// What pongs carried, on any link.
    pub(crate) old_pongs: Vec<Vec<u8>>,
    pub(crate) counts: FaultCounts,
}

impl Proxy {
    pub(crate) fn run(mut self) -> FaultCounts {
        let mut events = Events::with_capacity(64);
        let mut busy = false;
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(self.patience(busy))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
                _ => {}
            }
            // mio reports readiness once, so each turn tries every socket.
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
        self.counts
    }

    pub(crate) fn patience(&self, busy: bool) -> Duration {
        if busy {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let next = self.links.iter().flat_map(Link::deadlines).min();
        next.map_or(Duration::from_millis(50), |at| at.saturating_duration_since(now))
    }

    pub(crate) fn accept(&mut self, now: Instant) {
        loop {
            let mut client = match self.listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It is gone already.
                Err(_) => continue,
            };
            client.set_nodelay(true).unwrap();
            let is_early = self.mean_bytes.is_none() && self.rng.one_in(5);
            let early = is_early.then(|| self.rng.pick(Fault::EARLY));
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
            } else if let Some(mean) = self.mean_bytes {
                let at = self.rng.exponential(mean);
                let fault = self.rng.pick(Fault::CUTS);
                link.armed = Some(Armed { pipe: UP, at, what: Strike::Fault(fault) });
            }
            self.links.push(link);
        }
    }

    pub(crate) fn dial(&mut self, addr: SocketAddr) -> io::Result<TcpStream> {
        // On loopback it is done or refused at once, even where the process is stopped.
        let stream = std::net::TcpStream::connect_timeout(&addr, Duration::from_secs(1))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        self.counts.links += 1;
        let mut stream = TcpStream::from_std(stream);
        SockRef::from(&stream).set_send_buffer_size(16 << 10)?;
        self.watch(&mut stream);
        Ok(stream)
    }

    pub(crate) fn watch(&mut self, stream: &mut TcpStream) {
        self.tokens += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream, Token(self.tokens), interest).unwrap();
    }

    /// Plans the next fault, where it is time, for the newest link.
    pub(crate) fn arm(&mut self) {
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

    pub(crate) fn count(&mut self, fault: Fault) {
        *self.counts.faults.entry(fault).or_default() += 1;
    }

    /// Moves what can be moved. Says whether there is more of it.
    pub(crate) fn turn(&mut self, link: &mut Link, now: Instant) -> bool {
        if let Some((_, fault)) = link.then.take_if(|(at, _)| *at <= now) {
            self.strike(link, fault, now);
        }
        let up = self.pump(link, UP, now);
        self.pump(link, DOWN, now) || up
    }

    /// One direction's part of a turn.
    pub(crate) fn pump(&mut self, link: &mut Link, dir: usize, now: Instant) -> bool {
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
            if self.mean_bytes.is_some() {
                (pipe.piece, pipe.pieces) = (16 << 10, 1);
            } else if pipe.pieces == 0 {
                pipe.piece = self.rng.pick(&[16, 1_500, 16 << 10, 16 << 10]);
                pipe.pieces = 1 + self.rng.below(40);
            }
            pipe.pieces -= 1;
            let most = (pipe.in_hand() as u64).min(before);
            let n = most.min(1 + self.rng.below(pipe.piece)) as usize;
            let Some(to) = &mut link.ends[1 - dir] else {
                self.counts.swallowed += pipe.swallow();
                continue;
            };
            match to.write(&pipe.hand[pipe.start..pipe.start + n]) {
                Ok(n) => {
                    pipe.start += n;
                    pipe.passed += n as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // That side has gone; what it said before comes the other way.
                Err(_) => self.counts.swallowed += pipe.swallow(),
            }
            if self.mean_bytes.is_none() && self.rng.one_in(400) {
                pipe.held = Some(now + self.rng.millis(1, 6));
            }
        }
        true
    }

    /// Takes a handful.
    pub(crate) fn fill(&mut self, link: &mut Link, dir: usize, now: Instant) -> io::Result<()> {
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
            self.counts.swallowed += n as u64;
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
            let may_add = self.mean_bytes.is_none() && link.scanner.is_between_frames();
            if may_add && self.rng.one_in(12) {
                let pong = self.foreign_pong();
                pipe.hand.extend(pong);
            }
        }
        Ok(())
    }

    /// A pong that nobody asked for (RFC 6455 §5.5.3), or an old one once more: it proves nothing.
    pub(crate) fn foreign_pong(&mut self) -> Vec<u8> {
        self.counts.pongs += 1;
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

    pub(crate) fn struck(&mut self, link: &mut Link, what: Strike, now: Instant) {
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

    pub(crate) fn strike(&mut self, link: &mut Link, fault: Fault, now: Instant) {
        self.count(fault);
        let ends = matches!(fault, Fault::Cut | Fault::Reset | Fault::HalfClose);
        if self.mean_bytes.is_none() && ends && self.rng.one_in(2) {
            self.last_word(link);
        }
        let sides = |rng: &mut Rng| rng.pick(&[&[UP][..], &[DOWN], &[UP, DOWN]]);
        match fault {
            Fault::Cut => {
                for dir in [UP, DOWN] {
                    self.counts.swallowed += link.pipes[dir].swallow();
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
                self.counts.swallowed += link.pipes[dir].swallow();
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
            Fault::Freeze => {
                let until = now + Duration::from_secs(60);
                link.hold(&[UP, DOWN], Some(until));
                link.over = Some(until);
            }
            Fault::Trickle => {
                let pipe = &mut link.pipes[UP];
                (pipe.piece, pipe.pieces) = (1, 50 + self.rng.below(300));
            }
            Fault::Refuse | Fault::Mute => {}
        }
    }

    /// The last thing that the client hears is no proof of anything.
    pub(crate) fn last_word(&mut self, link: &mut Link) {
        if !link.scanner.is_between_frames() || link.pipes[DOWN].in_hand() > 0 {
            return;
        }
        let pong = self.foreign_pong();
        if let Some(client) = &mut link.ends[CLIENT] {
            // So few bytes fit, or else it is stuck, and hears nothing any more.
            let _ = client.write(&pong);
        }
    }

    pub(crate) fn reset(&mut self, link: &mut Link, now: Instant) {
        for end in link.ends.iter_mut().filter_map(Option::take) {
            let _ = SockRef::from(&end).set_linger(Some(Duration::ZERO));
        }
        for pipe in &mut link.pipes {
            self.counts.swallowed += pipe.swallow();
        }
        link.over = Some(now);
    }
}
