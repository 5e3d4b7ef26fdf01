//! The connections and their conversation: sessions, messages from one to the others, and faults.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tungstenite::Utf8Bytes;

use super::dedupe::Dedupe;
use super::faults::{Fault, Stage, Target};
use super::faulty_stream::FaultyStream;
use super::message::{Incoming, Kind, Notice};
use super::metrics::Metrics;
use super::options::GatewayOptions;
use super::peer::{Due, Injected, Input, Peer, Sent};
use super::record::{Reason, Received, Record};
use super::sessions::{Identity, Sessions};
use super::tls::Stream;

pub(super) struct Hub {
    pub(super) options: GatewayOptions,
    pub(super) metrics: Metrics,
    pub(super) sessions: Sessions,
    /// When the turn began: one turn, one time.
    pub(super) now: Instant,
    peers: BTreeMap<Conn, Peer>,
    /// The connection that holds each client's session.
    clients: HashMap<Arc<str>, Conn>,
    rules: Rules,
    /// Set if repetitions are dropped.
    dedupe: Option<Dedupe>,
    /// Connections that may have something to read.
    readable: BTreeSet<Conn>,
    /// Connections that may have something to write, or another deadline.
    unsettled: BTreeSet<Conn>,
    /// One deadline per connection at most.
    deadlines: BTreeSet<(Instant, Conn)>,
}

/// A connection's number, and its token.
pub(super) type Conn = usize;

/// Faults for connections to come.
#[derive(Default)]
struct Rules {
    next: VecDeque<Fault>,
    everyone: Vec<Fault>,
    clients: Vec<(String, Fault)>,
}

/// Messages that one connection may send in a turn before the others are read.
const READS_PER_TURN: usize = 64;

impl Hub {
    pub(super) fn new(mut options: GatewayOptions) -> Self {
        let known = mem::take(&mut options.sessions);
        Hub {
            metrics: Metrics::new(&mut options),
            sessions: Sessions::new(known, options.token_seed),
            dedupe: options.dedupe.is_some().then(|| Dedupe::new(options.dedupe_bytes)),
            options,
            now: Instant::now(),
            peers: BTreeMap::new(),
            clients: HashMap::new(),
            rules: Rules::default(),
            readable: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            deadlines: BTreeSet::new(),
        }
    }

    // Connections.

    pub(super) fn add(&mut self, conn: Conn, stream: Stream, addr: SocketAddr) {
        let faults = self.rules.everyone.iter().cloned().chain(self.rules.next.pop_front());
        let stream = FaultyStream::new(stream);
        let peer = Peer::new(stream, faults.collect(), &self.options, self.now);
        self.peers.insert(conn, peer);
        self.readable.insert(conn);
        self.metrics.counts.accepted += 1;
        self.metrics.counts.open += 1;
        self.metrics.log(|| Record::Connected { conn: conn as u64, peer: addr });
        self.inject_waiting(Stage::Accepted, conn);
    }

    /// A socket is ready; `has_ended` if its peer has ended the connection.
    pub(super) fn on_ready(&mut self, conn: Conn, has_ended: bool) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        if peer.is_half_open() && has_ended {
            return self.remove(conn, "hung up".into());
        }
        peer.unblock();
        self.readable.insert(conn);
    }

    /// Whether a connection may have more to read than the last turn took.
    pub(super) fn has_input(&self) -> bool {
        !self.readable.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn turn(&mut self) {
        for conn in mem::take(&mut self.readable) {
            self.read(conn);
        }
        while let Some(&(deadline, conn)) = self.deadlines.first().filter(|d| d.0 <= self.now) {
            self.deadlines.remove(&(deadline, conn));
            self.on_deadline(conn);
        }
        // A connection is written to once, however often it was touched. One that turns out to be
        // lost is news for the others, so this may take several rounds.
        while let Some(conn) = self.unsettled.pop_first() {
            self.settle(conn);
        }
        self.metrics.publish();
    }

    /// Sends each connection a Close frame and drops it without waiting for an answer.
    pub(super) fn close_all(mut self) {
        for peer in self.peers.values_mut() {
            peer.close(1001, "the gateway stops", self.now);
            let _ = peer.write(self.now);
        }
        while let Some((&conn, _)) = self.peers.first_key_value() {
            self.remove(conn, "the gateway stopped".into());
        }
    }

    /// Reads from a connection: all there is, or as much as is fair.
    fn read(&mut self, conn: Conn) {
        self.unsettled.insert(conn);
        for _ in 0..READS_PER_TURN {
            let Some(peer) = self.peers.get_mut(&conn) else { return };
            match peer.read(self.now) {
                Input::Upgraded => self.on_upgraded(conn),
                Input::Text(text) => self.on_text(conn, text),
                Input::Binary => self.metrics.counts.binary += 1,
                Input::Ping => self.metrics.counts.pings += 1,
                Input::Other => {}
                Input::Blocked => return,
                Input::Gone(why) => return self.remove(conn, why),
            }
        }
        self.readable.insert(conn);
    }

    fn on_deadline(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.armed = None;
        self.unsettled.insert(conn);
        match peer.on_deadline(self.now) {
            Due::Session => self.join(conn, None),
            Due::GiveUp(why) => self.remove(conn, why),
            Due::Delivery => {}
        }
    }

    /// Writes to a connection, and arms its deadline.
    fn settle(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        if let Err(why) = peer.write(self.now) {
            return self.remove(conn, why);
        }
        let deadline = peer.deadline();
        if deadline != peer.armed {
            if let Some(armed) = mem::replace(&mut peer.armed, deadline) {
                self.deadlines.remove(&(armed, conn));
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, conn));
            }
        }
    }

    /// The one way out for a connection.
    fn remove(&mut self, conn: Conn, why: Reason) {
        let Some(peer) = self.peers.remove(&conn) else { return };
        if let Some(armed) = peer.armed {
            self.deadlines.remove(&(armed, conn));
        }
        self.metrics.counts.open -= 1;
        self.metrics.log(|| Record::Disconnected {
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

    // Sessions.

    fn on_upgraded(&mut self, conn: Conn) {
        self.metrics.counts.upgraded += 1;
        self.inject_waiting(Stage::Upgraded, conn);
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        match self.options.resume_grace {
            Duration::ZERO => self.join(conn, None),
            grace => peer.await_first_frame(grace, self.now),
        }
    }

    /// Gives a connection its session: the one of the token, or else a fresh one.
    fn join(&mut self, conn: Conn, token: Option<&str>) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let before = peer.identity.take();
        let found = token.and_then(|token| self.sessions.find(token));
        let resumed = found.is_some();
        let identity = match found.or_else(|| before.clone()) {
            Some(identity) => identity,
            None => {
                self.metrics.counts.sessions_issued += 1;
                self.sessions.issue()
            }
        };
        peer.joined(identity.clone());
        let is_new = self.take_over(conn, before, &identity);
        self.confirm_session(conn, &identity, resumed);
        self.note_session_change();
        if is_new {
            self.metrics.counts.joined += 1;
            let notice = Notice::PlayerJoined { id: &identity.client_id };
            self.broadcast(notice.to_text().into(), Some(conn));
        }
        let theirs = |rule: &mut (String, _)| *rule.0 == *identity.client_id;
        let faults: Vec<_> = self.rules.clients.extract_if(.., theirs).map(|rule| rule.1).collect();
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.faults.extend(faults);
        }
        self.inject_waiting(Stage::Joined, conn);
    }

    /// Binds a client to a connection, and unbinds it from the client `before`. Returns whether the
    /// client was on no connection.
    fn take_over(&mut self, conn: Conn, before: Option<Identity>, identity: &Identity) -> bool {
        if before.as_ref().is_some_and(|before| before.client_id == identity.client_id) {
            return false;
        }
        if let Some(before) = before {
            // The resume came after the grace: the fresh session that the client got meanwhile
            // belongs to nobody.
            self.sessions.forget(&before.token);
            self.leave(&before.client_id, conn);
        }
        match self.clients.insert(Arc::clone(&identity.client_id), conn) {
            Some(predecessor) => {
                self.supersede(predecessor);
                false
            }
            None => true,
        }
    }

    fn note_session_change(&self) {
        if let Some(changes) = &self.options.session_changes {
            // If a note waits already, it stands for this change too.
            let _ = changes.try_send(());
        }
    }

    fn confirm_session(&mut self, conn: Conn, identity: &Identity, resumed: bool) {
        let Identity { token, client_id } = identity;
        let (number, name) = (conn as u64, client_id.to_string());
        if resumed {
            self.metrics.counts.sessions_resumed += 1;
            self.metrics.log(|| Record::Resumed { conn: number, client_id: name });
        } else {
            self.metrics.log(|| Record::SessionInit { conn: number, client_id: name });
        }
        if !self.peers.get(&conn).is_some_and(|peer| peer.ignores_resume) {
            let init = Notice::SessionInit { token, client_id, resumed };
            self.send(conn, init.to_text().into());
        }
    }

    /// A client is back on a new connection while its old one still looks alive, as a half-open
    /// one does. The others hear nothing of it: to them the client was never away.
    fn supersede(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.superseded = true;
        if peer.is_half_open() {
            return self.remove(conn, "superseded".into());
        }
        peer.close(4000, "the session was resumed on another connection", self.now);
        self.unsettled.insert(conn);
    }

    fn leave(&mut self, client_id: &str, conn: Conn) {
        self.clients.remove(client_id);
        self.metrics.counts.joined -= 1;
        let notice = Notice::PlayerLeft { id: client_id };
        self.broadcast(notice.to_text().into(), Some(conn));
    }

    // Messages.

    fn on_text(&mut self, conn: Conn, text: Utf8Bytes) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let first = !mem::replace(&mut peer.has_spoken, true) && !peer.superseded;
        let joined = peer.identity.is_some();
        let Incoming { kind, id } = Incoming::parse(&text, self.options.dedupe.as_deref());
        match &kind {
            Kind::SessionResume { token } if first => return self.join(conn, token.as_deref()),
            _ if !joined => self.join(conn, None),
            _ => {}
        }
        if let Kind::Malformed | Kind::SessionResume { .. } = kind {
            self.metrics.counts.malformed += 1;
            return;
        }
        if let (Some(dedupe), Some(id)) = (&mut self.dedupe, id)
            && dedupe.is_repetition(id.get())
        {
            self.metrics.counts.repetitions += 1;
            return;
        }
        let identity = self.peers.get(&conn).and_then(|peer| peer.identity.as_ref());
        let Some(Identity { client_id, .. }) = identity.cloned() else { return };
        self.metrics.receive(Received {
            conn: conn as u64,
            client_id: client_id.to_string(),
            text: text.to_string(),
        });
        match kind {
            Kind::Chat(chat) => {
                let except = Some(conn).filter(|_| !self.options.echo);
                self.broadcast(chat.to_text(&client_id).into(), except);
            }
            Kind::StatusUpdate => {
                self.broadcast(text.clone(), Some(conn));
            }
            _ => {}
        }
    }

    pub(super) fn send_to(&mut self, client_id: &str, text: Utf8Bytes) -> bool {
        let conn = self.clients.get(client_id).copied();
        conn.is_some_and(|conn| self.send(conn, text))
    }

    /// Sends a text to every client, but for one connection. Returns how many will get it.
    pub(super) fn broadcast(&mut self, text: Utf8Bytes, except: Option<Conn>) -> usize {
        let joined = self.peers.iter().filter(|(_, peer)| peer.is_joined()).map(|(&conn, _)| conn);
        let others: Vec<Conn> = joined.filter(|&conn| Some(conn) != except).collect();
        others.into_iter().filter(|&conn| self.send(conn, text.clone())).count()
    }

    fn send(&mut self, conn: Conn, text: Utf8Bytes) -> bool {
        let Some(peer) = self.peers.get_mut(&conn) else { return false };
        self.unsettled.insert(conn);
        let sent = peer.send(text, self.now);
        match sent {
            Sent::Queued => self.metrics.counts.relayed += 1,
            Sent::Overflowed => self.metrics.counts.overflowed += 1,
            Sent::Refused => {}
        }
        sent == Sent::Queued
    }

    // Faults.

    /// Returns how many live connections were affected.
    pub(super) fn inject(&mut self, target: Target, fault: Fault) -> usize {
        match target {
            Target::Next => {
                self.rules.next.push_back(fault);
                0
            }
            Target::Live => self.inject_live(&fault),
            Target::Everyone => {
                let affected = self.inject_live(&fault);
                self.rules.everyone.push(fault);
                affected
            }
            Target::Client(client_id) => match self.clients.get(client_id.as_str()) {
                Some(&conn) => usize::from(self.inject_one(conn, &fault)),
                None => {
                    self.rules.clients.push((client_id, fault));
                    0
                }
            },
        }
    }

    pub(super) fn clear_faults(&mut self) {
        self.rules = Rules::default();
        for (&conn, peer) in &mut self.peers {
            peer.clear_faults(self.now);
            self.readable.insert(conn);
            self.unsettled.insert(conn);
        }
    }

    fn inject_live(&mut self, fault: &Fault) -> usize {
        let live: Vec<Conn> = self.peers.keys().copied().collect();
        live.into_iter().filter(|&conn| self.inject_one(conn, fault)).count()
    }

    fn inject_one(&mut self, conn: Conn, fault: &Fault) -> bool {
        let Some(peer) = self.peers.get_mut(&conn) else { return false };
        self.unsettled.insert(conn);
        match peer.inject(fault, self.now) {
            Injected::Applied => true,
            Injected::NoEffect => false,
            Injected::Reset => {
                self.remove(conn, "reset".into());
                true
            }
        }
    }

    /// Injects the faults that waited for this stage, once earlier messages were written.
    fn inject_waiting(&mut self, stage: Stage, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let faults: Vec<_> = peer.faults.extract_if(.., |f| f.stage() <= stage).collect();
        if faults.is_empty() {
            return;
        }
        if let Err(why) = peer.write(self.now) {
            return self.remove(conn, why);
        }
        for fault in faults {
            self.inject_one(conn, &fault);
        }
    }
}
