//! The scripted gateway: a server that speaks bytes, well or badly.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::dice::Dice;
use super::peer::{self, Heard, Reader};
use crate::Timestamp;

/// The gateway of a [`Sim`](super::Sim): the server's side of RFC 6455 and of Hermes.
///
/// As long as its [behaviour](Behaviour) is good, it issues a session to whoever joins (`client-1`
/// to the first, `client-2` to the next), gives it back to whoever resumes, answers Pings, hands
/// chats on to the others, and keeps what it received.
#[derive(Debug)]
pub struct Gateway {
    /// From now on, to those who are connected as to those who come.
    pub behaviour: Behaviour,
    now: Timestamp,
    peers: BTreeMap<u64, Peer>,
    /// The client of each token.
    sessions: BTreeMap<String, String>,
    /// The connection of each client that has one.
    clients: BTreeMap<String, u64>,
    issued: u64,
    connections: u64,
    resumed: u64,
    received: Vec<Received>,
    violations: Vec<String>,
    /// The latest Ping of each client's connection before, for a liar to answer.
    old_pings: BTreeMap<String, Vec<u8>>,
    dice: Dice,
    effects: VecDeque<(u64, Effect)>,
}

/// How a [`Gateway`] behaves. By default as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// What a new connection meets.
    pub accept: ConnectResponse,
    /// Whether it reads. While it does not, a connection's buffers fill up.
    pub reads: bool,
    /// Whether it says anything at all.
    pub answers: bool,
    /// Whether it answers Pings.
    pub pongs: bool,
    /// Whether it knows sessions again; else everyone gets a new one.
    pub resumes: bool,
    /// Whether chats are handed on to the other clients.
    pub relays: bool,
    /// Whether a client's own chats come back to it.
    pub echoes: bool,
    /// Whether it also says what is wrong, as chance will have it: texts that are not JSON,
    /// sessions that are none, Pongs for Pings that were never sent or were answered before,
    /// frames that break the protocol.
    pub byzantine: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            accept: ConnectResponse::Yes,
            reads: true,
            answers: true,
            pongs: true,
            resumes: true,
            relays: true,
            echoes: false,
            byzantine: false,
        }
    }
}

/// What a new connection meets at a [`Gateway`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectResponse {
    /// It is accepted, upgraded, and talked to.
    #[default]
    Yes,
    /// Nobody listens: the connection is refused at once.
    Refuse,
    /// Nobody answers, not even that.
    Ignore,
    /// The upgrade is answered with an HTTP status.
    Status {
        /// The status.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// The upgrade is redirected (RFC 9110 §15.4), and accepted where it asks for what it was
    /// redirected to. Followed by those whose [`max_redirects`](crate::Config::max_redirects) says so.
    Redirect {
        /// The status: 301, 302, 307 or 308.
        code: u16,
        /// `Location`: a URL, or a path.
        to: String,
    },
    /// The upgrade is accepted, and then the connection is dropped.
    Drop,
    /// The upgrade is accepted, and then the connection is closed with this code.
    Close(u16),
    /// It is answered, by a server of another kind.
    NotHttp,
}

/// A message that a [`Gateway`] received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When.
    pub at: Timestamp,
    /// On which of its connections; they are numbered in the order in which they were begun.
    pub connection: u64,
    /// From which client, by its id.
    pub client: String,
    /// The message.
    pub text: String,
}

/// What becomes of a connection, or of an attempt at one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Bytes(Vec<u8>),
    /// The end, behind all that was sent.
    End,
    /// The end, and what is under way is lost.
    Reset,
    /// Call [`Gateway::wake`] then.
    Wake(Duration),
}

#[derive(Debug, Default)]
struct Peer {
    reader: Reader,
    is_open: bool,
    /// We sent a Close frame.
    closing: bool,
    /// The client's id, once it has a session.
    client: Option<String>,
    has_spoken: bool,
    last_ping: Option<Vec<u8>>,
}

/// How long a new connection has to say who it is, before it gets a session.
const GRACE: Duration = Duration::from_millis(200);

/// A message's fields, each value as it was written: what is relayed is not altered on the way.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Notice<'a> {
    SessionInit { token: &'a str, client_id: &'a str, resumed: bool },
    PlayerJoined { id: &'a str },
    PlayerLeft { id: &'a str },
}

/// The script: what it does now.
impl Gateway {
    /// Sends a text to everyone.
    pub fn broadcast(&mut self, text: &str) {
        self.broadcast_bytes(&peer::text(text));
    }

    /// Sends a text to one client; `false` where it is not there.
    pub fn send_to(&mut self, client: &str, text: &str) -> bool {
        let Some(&conn) = self.clients.get(client) else { return false };
        self.say(conn, peer::text(text));
        true
    }

    /// Sends bytes to everyone, as they are: frames of a kind that has no method here, or none.
    pub fn broadcast_bytes(&mut self, bytes: &[u8]) {
        for conn in self.open() {
            self.say(conn, bytes.to_vec());
        }
    }

    /// Pings everyone.
    pub fn ping(&mut self, payload: &[u8]) {
        self.broadcast_bytes(&peer::ping(payload));
    }

    /// Sends everyone `n` chats and as many Pings.
    pub fn flood(&mut self, n: u32) {
        for number in 0..n {
            let chat = format!(r#"{{"type":"chat","text":"flood {number}","sender":"gateway"}}"#);
            self.broadcast(&chat);
            self.ping(&number.to_be_bytes());
        }
    }

    /// Begins the closing handshake with everyone.
    pub fn close(&mut self, code: u16) {
        for conn in self.open() {
            self.close_one(conn, Some(code));
        }
    }

    /// Drops all connections without a word. What is under way is lost.
    pub fn reset_all(&mut self) {
        for (conn, peer) in mem::take(&mut self.peers) {
            self.forget(conn, peer);
            self.effects.push_back((conn, Effect::Reset));
        }
    }

    /// Restarts: all connections are lost, and with `forget` all sessions.
    pub fn restart(&mut self, forget: bool) {
        self.reset_all();
        if forget {
            self.sessions.clear();
        }
    }
}

/// What there is to know.
impl Gateway {
    /// The messages received, in the order in which they came. `session-resume` is not one.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// The same, and forgets them.
    pub fn take_received(&mut self) -> Vec<Received> {
        mem::take(&mut self.received)
    }

    /// The texts received from one client.
    pub fn received_from<'a>(&'a self, client: &'a str) -> impl Iterator<Item = &'a str> {
        let theirs = self.received.iter().filter(move |message| message.client == client);
        theirs.map(|message| message.text.as_str())
    }

    /// The clients that have a session and a connection.
    pub fn clients(&self) -> impl Iterator<Item = &str> {
        self.clients.keys().map(String::as_str)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// How many sessions were issued.
    pub fn sessions_issued(&self) -> u64 {
        self.issued
    }

    /// How many sessions were resumed.
    pub fn sessions_resumed(&self) -> u64 {
        self.resumed
    }

    /// Rules of RFC 6455 and of JSON that clients broke. None, if they are Hermes.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

/// The wires.
impl Gateway {
    pub(super) fn new(dice: Dice) -> Self {
        Gateway {
            behaviour: Behaviour::default(),
            now: Timestamp::ZERO,
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            clients: BTreeMap::new(),
            issued: 0,
            connections: 0,
            resumed: 0,
            received: Vec::new(),
            violations: Vec::new(),
            old_pings: BTreeMap::new(),
            dice,
            effects: VecDeque::new(),
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(super) fn accept(&mut self, conn: u64) {
        self.connections += 1;
        self.peers.insert(conn, Peer::default());
    }

    pub(super) fn receive(&mut self, conn: u64, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.reader.push(bytes);
        while let Some(heard) = self.peers.get_mut(&conn).and_then(|peer| peer.reader.next()) {
            self.on_heard(conn, heard);
        }
    }

    /// The connection is gone.
    pub(super) fn ended(&mut self, conn: u64) {
        if let Some(peer) = self.peers.remove(&conn) {
            self.forget(conn, peer);
        }
    }

    /// A connection had its time to say who it is.
    pub(super) fn wake(&mut self, conn: u64) {
        if self.peers.get(&conn).is_some_and(|peer| peer.is_open && peer.client.is_none()) {
            self.join(conn, None);
        }
    }

    pub(super) fn effect(&mut self) -> Option<(u64, Effect)> {
        self.effects.pop_front()
    }
}

/// The conversation.
impl Gateway {
    fn on_heard(&mut self, conn: u64, heard: Heard) {
        match heard {
            Heard::Request { host, path, answer } => self.on_request(conn, &host, &path, answer),
            Heard::Text(text) => self.on_text(conn, text),
            Heard::Ping(data) => {
                if self.behaviour.pongs {
                    self.say(conn, peer::pong(&data));
                }
                if let Some(peer) = self.peers.get_mut(&conn) {
                    peer.last_ping = Some(data);
                }
                if self.behaviour.byzantine && self.dice.chance(30) {
                    self.lie(conn);
                }
            }
            Heard::Pong => {}
            Heard::Binary => self.violated(conn, "a binary message"),
            Heard::Close(code) => {
                let is_answer = self.peers.get(&conn).is_some_and(|peer| peer.closing);
                if !is_answer {
                    self.say(conn, peer::close(code));
                }
                self.end(conn);
            }
            Heard::Violation(rule) => {
                self.violated(conn, rule);
                self.end(conn);
            }
        }
    }

    fn on_request(&mut self, conn: u64, host: &str, path: &str, answer: Vec<u8>) {
        match self.behaviour.accept.clone() {
            ConnectResponse::Status { code, retry_after } => {
                let wait = retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
                self.say(conn, peer::refusal(code, wait));
                return self.end(conn);
            }
            ConnectResponse::Redirect { code, to } => {
                let (_, there) = to.split_once("://").unwrap_or_default();
                if to != path && there.strip_prefix(host) != Some(path) {
                    self.say(conn, peer::refusal(code, Some(("Location", to))));
                    return self.end(conn);
                }
            }
            ConnectResponse::NotHttp => {
                self.say(conn, b"220 mail.example ESMTP\r\n".to_vec());
                return self.end(conn);
            }
            _ => {}
        }
        self.say(conn, answer);
        match self.behaviour.accept {
            ConnectResponse::Drop => return self.end(conn),
            ConnectResponse::Close(code) => return self.close_one(conn, Some(code)),
            _ => {}
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.is_open = true;
        }
        self.effects.push_back((conn, Effect::Wake(GRACE)));
    }

    fn on_text(&mut self, conn: u64, text: String) {
        let Ok(mut fields) = serde_json::from_str::<Fields<'_>>(&text) else {
            return self.violated(conn, "a message that is no JSON object");
        };
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let (is_first, joined) = (!mem::replace(&mut peer.has_spoken, true), peer.client.is_some());
        let kind = string(&fields, "type");
        if kind.as_deref() == Some("session-resume") {
            if !is_first {
                self.violated(conn, "a session-resume behind other messages");
            }
            return self.join(conn, string(&fields, "token"));
        }
        if !joined {
            self.join(conn, None);
        }
        let Some(client) = self.peers.get(&conn).and_then(|peer| peer.client.clone()) else {
            return;
        };
        let is_chat = matches!(kind.as_deref(), Some("chat" | "chat-message"));
        let relay = (is_chat && self.behaviour.relays).then(|| {
            fields.remove("type");
            fields.remove("sender");
            Chat { kind: "chat", sender: &client, rest: fields }.to_text()
        });
        let at = self.now;
        self.received.push(Received { at, connection: conn, client, text });
        if let Some(chat) = relay {
            let chat = peer::text(&chat);
            for other in self.open() {
                if other != conn || self.behaviour.echoes {
                    self.say(other, chat.clone());
                }
            }
        }
    }

    /// Gives a connection its session: the one that goes with the token, or a new one.
    fn join(&mut self, conn: u64, token: Option<String>) {
        let found = token.filter(|_| self.behaviour.resumes);
        let found = found.and_then(|token| Some((self.sessions.get(&token)?.clone(), token)));
        let resumed = found.is_some();
        let (client, token) = found.unwrap_or_else(|| self.issue());
        self.resumed += u64::from(resumed);
        let before = self.clients.insert(client.clone(), conn).filter(|before| *before != conn);
        if let Some(before) = before {
            // It is back while its old connection still looks alive, as a half-open one does.
            self.close_one(before, Some(4000));
            self.end(before);
            self.clients.insert(client.clone(), conn);
        } else {
            self.tell_others(conn, &Notice::PlayerJoined { id: &client });
        }
        let init = Notice::SessionInit { token: &token, client_id: &client, resumed };
        self.say(conn, peer::text(&init.to_text()));
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.client = Some(client);
        }
        if self.behaviour.byzantine {
            self.lie(conn);
        }
    }

    fn issue(&mut self) -> (String, String) {
        self.issued += 1;
        let (client, token) = (format!("client-{}", self.issued), format!("token-{}", self.issued));
        self.sessions.insert(token.clone(), client.clone());
        (client, token)
    }

    fn lie(&mut self, conn: u64) {
        let peer = self.peers.get(&conn);
        let client = peer.and_then(|peer| peer.client.clone()).unwrap_or_default();
        let answered =
            peer.and_then(|peer| peer.last_ping.clone()).filter(|_| self.behaviour.pongs);
        let bytes = match self.dice.up_to(13) {
            0 => peer::text(r#"{"type":"chat","#),
            1 => peer::text(r#"{"type":"session-init","token":5,"clientId":null}"#),
            2 => peer::text(r#"{"type":"session-init","token":"forged","clientId":"nobody"}"#),
            3 => peer::text(r#"{"type":"session-init"}"#),
            4 => peer::text("null"),
            5 => peer::text(r#"[{"type":"chat"}]"#),
            6 => peer::binary(b"\0\x01"),
            // Of this connection, and answered before.
            7 => peer::pong(&answered.unwrap_or_default()),
            // Of the connection before.
            8 => peer::pong(self.old_pings.get(&client).map_or(&[][..], |ping| ping)),
            9 => peer::pong(&[0xFF; 16]),
            10 => peer::pong(&[0; 16]),
            11 => peer::ping(&[7; 125]),
            // A reserved bit.
            12 => b"\xC1\x00".to_vec(),
            // A code that must not travel.
            _ => peer::close(Some(1006)),
        };
        self.say(conn, bytes);
    }

    fn close_one(&mut self, conn: u64, code: Option<u16>) {
        self.say(conn, peer::close(code));
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.closing = true;
        }
    }

    /// Ends a connection on our side, behind all that was said.
    fn end(&mut self, conn: u64) {
        if let Some(peer) = self.peers.remove(&conn) {
            self.effects.push_back((conn, Effect::End));
            self.forget(conn, peer);
        }
    }

    fn forget(&mut self, conn: u64, peer: Peer) {
        let Some(client) = peer.client else { return };
        if let Some(ping) = peer.last_ping {
            self.old_pings.insert(client.clone(), ping);
        }
        if self.clients.get(&client) == Some(&conn) {
            self.clients.remove(&client);
            self.tell_others(conn, &Notice::PlayerLeft { id: &client });
        }
    }

    fn tell_others(&mut self, conn: u64, notice: &Notice<'_>) {
        if self.behaviour.relays {
            let bytes = peer::text(&notice.to_text());
            for other in self.open().into_iter().filter(|other| *other != conn) {
                self.say(other, bytes.clone());
            }
        }
    }

    fn violated(&mut self, conn: u64, rule: &str) {
        self.violations.push(format!("connection {conn} at {:?}: {rule}", self.now));
    }

    fn open(&self) -> Vec<u64> {
        self.peers.iter().filter(|(_, peer)| peer.is_open).map(|(conn, _)| *conn).collect()
    }

    fn say(&mut self, conn: u64, bytes: Vec<u8>) {
        let may = self.peers.get(&conn).is_some_and(|peer| !peer.closing);
        if may && self.behaviour.answers {
            self.effects.push_back((conn, Effect::Bytes(bytes)));
        }
    }
}

/// A chat as the others get it.
#[derive(Serialize)]
struct Chat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sender: &'a str,
    #[serde(flatten)]
    rest: Fields<'a>,
}

impl Chat<'_> {
    fn to_text(&self) -> String {
        // Strings, and what was JSON before.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Notice<'_> {
    fn to_text(&self) -> String {
        // Strings and booleans.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn string(fields: &Fields<'_>, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}
