//! The loop: sockets, timers, and commands.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;

use super::misbehaviour::{Misbehaviour, Stage, Target};
use super::options::GatewayOptions;
use super::peer::{Due, Input, Peer, Reason, after};
use super::report::{Ledger, Record};
use super::sessions::Sessions;
use super::tls::Stream;
use super::wire::Wire;

/// What a handle asks of the loop.
pub(super) type Command = Box<dyn FnOnce(&mut Server) + Send>;

pub(super) struct Server {
    poll: Poll,
    commands: mpsc::Receiver<Command>,
    pub(super) addr: SocketAddr,
    listener: Option<TcpListener>,
    stopping: bool,

    pub(super) options: GatewayOptions,
    pub(super) ledger: Ledger,
    pub(super) sessions: Sessions,
    /// Which connection holds a client's session.
    pub(super) clients: HashMap<Arc<str>, Conn>,
    pub(super) peers: BTreeMap<Conn, Peer>,
    last_conn: Conn,

    /// When the turn began: one turn, one time.
    pub(super) now: Instant,
    /// Connections that may have something to read.
    readable: BTreeSet<Conn>,
    /// Connections that may have something to write, or another deadline.
    pub(super) unsettled: BTreeSet<Conn>,
    /// One deadline per connection, and [`LISTENER`]'s.
    deadlines: BTreeSet<(Instant, Token)>,

    pub(super) rules: Rules,
}

/// A connection's number, and its token.
pub(super) type Conn = usize;

/// Misbehaviour for those to come.
#[derive(Default)]
pub(super) struct Rules {
    next: VecDeque<Misbehaviour>,
    everyone: Vec<Misbehaviour>,
    pub(super) clients: Vec<(String, Misbehaviour)>,
}

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// mio asks for 128, which a thousand clients that all come back at once would overrun.
const ACCEPT_QUEUE: i32 = 4096;

/// How long to wait when the system can't give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much one connection may say in a turn before the others are heard.
const READS_PER_TURN: usize = 64;

impl Server {
    pub(super) fn new(
        mut options: GatewayOptions,
        commands: mpsc::Receiver<Command>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let known = mem::take(&mut options.sessions);
        let mut server = Server {
            poll,
            commands,
            addr: options.addr,
            listener: None,
            stopping: false,
            ledger: Ledger::new(&mut options),
            sessions: Sessions::new(known, options.token_seed),
            options,
            clients: HashMap::new(),
            peers: BTreeMap::new(),
            last_conn: 0,
            now: Instant::now(),
            readable: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            rules: Rules::default(),
        };
        server.listen()?;
        Ok((server, waker))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.stopping {
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => self.turn(&events),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    tracing::error!("the gateway stops, as it can't poll: {e}");
                    break;
                }
            }
        }
        self.say_goodbye();
    }

    // Commands.

    pub(super) fn listen(&mut self) -> io::Result<()> {
        if self.listener.is_some() {
            return Ok(());
        }
        let mut listener = TcpListener::bind(self.addr)?;
        SockRef::from(&listener).listen(ACCEPT_QUEUE)?;
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        self.addr = listener.local_addr()?;
        self.listener = Some(listener);
        self.ledger.report.listening = true;
        Ok(())
    }

    pub(super) fn pause(&mut self) {
        if let Some(mut listener) = self.listener.take() {
            // Closing it is what counts, and that can't fail.
            let _ = self.poll.registry().deregister(&mut listener);
        }
        self.ledger.report.listening = false;
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    pub(super) fn misbehave(&mut self, target: Target, fault: Misbehaviour) -> usize {
        match target {
            Target::Next => {
                self.rules.next.push_back(fault);
                0
            }
            Target::Live => self.hit_live(&fault),
            Target::Everyone => {
                let hit = self.hit_live(&fault);
                self.rules.everyone.push(fault);
                hit
            }
            Target::Client(client_id) => match self.clients.get(client_id.as_str()) {
                Some(&conn) => usize::from(self.hit(conn, &fault)),
                None => {
                    self.rules.clients.push((client_id, fault));
                    0
                }
            },
        }
    }

    pub(super) fn behave(&mut self) {
        self.rules = Rules::default();
        for (&conn, peer) in &mut self.peers {
            peer.behave(self.now);
            self.readable.insert(conn);
            self.unsettled.insert(conn);
        }
    }

    // One turn of the loop.

    /// How long to wait for the sockets: not at all, till the next deadline, or for ever.
    fn patience(&self) -> Option<Duration> {
        if !self.readable.is_empty() {
            return Some(Duration::ZERO);
        }
        let (deadline, _) = self.deadlines.first()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    fn turn(&mut self, events: &Events) {
        self.now = Instant::now();
        while let Ok(command) = self.commands.try_recv() {
            command(self);
        }
        for event in events {
            self.on_event(event);
        }
        for conn in mem::take(&mut self.readable) {
            self.hear(conn);
        }
        while let Some(&(deadline, token)) = self.deadlines.first().filter(|d| d.0 <= self.now) {
            self.deadlines.remove(&(deadline, token));
            self.on_deadline(token);
        }
        // Whoever was touched, however often, is written to once. A connection that turns out to
        // be lost is news for the others, so this may take several rounds.
        while let Some(conn) = self.unsettled.pop_first() {
            self.settle(conn);
        }
        self.ledger.publish();
    }

    fn on_event(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => {}
            Token(conn) => {
                let Some(peer) = self.peers.get_mut(&conn) else { return };
                if peer.silent && (event.is_read_closed() || event.is_error()) {
                    return self.remove(conn, "hung up".into());
                }
                peer.unblock();
                self.readable.insert(conn);
            }
        }
    }

    fn accept(&mut self) {
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok((stream, addr)) => self.admit(stream, addr),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    _ => {
                        tracing::warn!("the gateway can't accept a connection for now: {e}");
                        self.deadlines.insert((after(self.now, ACCEPT_PAUSE), LISTENER));
                        return;
                    }
                },
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, addr: SocketAddr) {
        self.last_conn += 1;
        let conn = self.last_conn;
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(e) = self.poll.registry().register(&mut stream, Token(conn), interest) {
            tracing::warn!("the gateway can't watch another connection: {e}");
            return;
        }
        // Without it, messages are only slower.
        let _ = stream.set_nodelay(true);
        let faults = self.rules.everyone.iter().cloned().chain(self.rules.next.pop_front());
        #[cfg(feature = "tls")]
        let stream = match &self.options.tls {
            None => Stream::Clear(stream),
            Some(tls) => match tls.over(stream) {
                Ok(stream) => stream,
                Err(e) => return tracing::warn!("the gateway can't speak TLS: {e}"),
            },
        };
        #[cfg(not(feature = "tls"))]
        let stream = Stream::Clear(stream);
        let peer = Peer::new(Wire::new(stream), faults.collect(), &self.options, self.now);
        self.peers.insert(conn, peer);
        self.readable.insert(conn);
        self.ledger.report.accepted += 1;
        self.ledger.report.open += 1;
        self.ledger.log(|| Record::Connected { conn: conn as u64, peer: addr });
        self.misbehave_at(Stage::Accepted, conn);
    }

    fn on_deadline(&mut self, token: Token) {
        if token == LISTENER {
            return self.accept();
        }
        let Token(conn) = token;
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.armed = None;
        self.unsettled.insert(conn);
        match peer.on_deadline(self.now) {
            Due::Session => self.join(conn, None),
            Due::GiveUp(why) => self.remove(conn, why),
            Due::Delivery => {}
        }
    }

    /// Reads from a connection: all there is, or as much as is fair.
    fn hear(&mut self, conn: Conn) {
        self.unsettled.insert(conn);
        for _ in 0..READS_PER_TURN {
            let Some(peer) = self.peers.get_mut(&conn) else { return };
            match peer.read(self.now) {
                Input::Upgraded => self.on_upgraded(conn),
                Input::Text(text) => self.on_text(conn, text),
                Input::Binary => self.ledger.report.binary += 1,
                Input::Ping => self.ledger.report.pings += 1,
                Input::Other => {}
                Input::Blocked => return,
                Input::Gone(why) => return self.remove(conn, why),
            }
        }
        self.readable.insert(conn);
    }

    /// Writes to a connection, and puts its deadline in the queue.
    fn settle(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        if let Err(why) = peer.write(self.now) {
            return self.remove(conn, why);
        }
        let deadline = peer.deadline();
        if deadline != peer.armed {
            if let Some(armed) = mem::replace(&mut peer.armed, deadline) {
                self.deadlines.remove(&(armed, Token(conn)));
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, Token(conn)));
            }
        }
    }

    /// The one way out for a connection.
    pub(super) fn remove(&mut self, conn: Conn, why: Reason) {
        let Some(peer) = self.peers.remove(&conn) else { return };
        if let Some(armed) = peer.armed {
            self.deadlines.remove(&(armed, Token(conn)));
        }
        self.ledger.report.open -= 1;
        self.ledger.log(|| Record::Disconnected {
            conn: conn as u64,
            client_id: peer.identity.as_ref().map(|identity| identity.client_id.to_string()),
            reason: why.into_owned(),
            received: peer.received,
            sent: peer.sent,
        });
        if let Some(identity) = peer.identity.filter(|_| !peer.superseded) {
            self.leave(&identity.client_id, conn);
        }
    }

    fn say_goodbye(mut self) {
        for peer in self.peers.values_mut() {
            peer.close(1001, "the gateway stops", self.now);
            // Nobody waits for the answer.
            let _ = peer.write(self.now);
        }
        while let Some((&conn, _)) = self.peers.first_key_value() {
            self.remove(conn, "the gateway stopped".into());
        }
    }

    // Misbehaviour.

    fn hit_live(&mut self, fault: &Misbehaviour) -> usize {
        let live: Vec<Conn> = self.peers.keys().copied().collect();
        live.into_iter().filter(|&conn| self.hit(conn, fault)).count()
    }

    /// Hits a live connection; says whether that had any effect.
    fn hit(&mut self, conn: Conn, fault: &Misbehaviour) -> bool {
        let Some(peer) = self.peers.get_mut(&conn) else { return false };
        self.unsettled.insert(conn);
        let upgrading = peer.is_upgrading();
        match fault {
            Misbehaviour::Refuse { .. } => return false,
            Misbehaviour::Stall if !upgrading => return false,
            Misbehaviour::AcceptThenDrop | Misbehaviour::Close { .. } if upgrading => {
                peer.faults.push(fault.clone());
            }
            Misbehaviour::AcceptThenDrop | Misbehaviour::Drop => {
                if let Some(wire) = peer.wire() {
                    wire.reset_on_close();
                }
                self.remove(conn, "dropped".into());
            }
            Misbehaviour::Stall | Misbehaviour::Silent => peer.silent = true,
            Misbehaviour::NoPong => {
                if let Some(wire) = peer.wire() {
                    wire.hides_pings = true;
                }
            }
            Misbehaviour::IgnoreResume if peer.identity.is_some() => return false,
            Misbehaviour::IgnoreResume => peer.is_ignored = true,
            Misbehaviour::Delay(by) => peer.delay = *by,
            Misbehaviour::Close { code, reason } => peer.close(*code, reason, self.now),
            Misbehaviour::CutAfter(bytes) => {
                if let Some(wire) = peer.wire() {
                    wire.may_send = *bytes;
                }
            }
            Misbehaviour::CutAfterReceived(bytes) => {
                if let Some(wire) = peer.wire() {
                    wire.may_receive = *bytes;
                }
            }
        }
        true
    }

    /// Hits a connection with what has waited for this stage, once it has told what it had to.
    pub(super) fn misbehave_at(&mut self, stage: Stage, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let faults: Vec<_> = peer.faults.extract_if(.., |f| f.stage() <= stage).collect();
        if faults.is_empty() {
            return;
        }
        if let Err(why) = peer.write(self.now) {
            return self.remove(conn, why);
        }
        for fault in faults {
            self.hit(conn, &fault);
        }
    }
}
