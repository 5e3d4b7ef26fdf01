//! The scripted gateway: a server of bytes, well or badly behaved.

mod behaviour;
mod messages;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

pub use self::behaviour::{Behaviour, ConnectResponse, PongMode};
use self::messages::{Chat, Fields, Notice, string};
use super::queue::Alarm;
use super::rng::SimRng;
use super::server_codec::{self as codec, ClientFrame, Decoder};
use crate::Timestamp;

/// The gateway of a [`Sim`](super::Sim): the server's side of RFC 6455 and of Hermes.
///
/// While its [behaviour](Behaviour) is good, it issues a session to each new client (`client-1` to
/// the first, `client-2` to the next), resumes sessions, answers Pings, relays chats to the other
/// clients, and keeps the messages that it received.
#[derive(Debug)]
pub struct Gateway {
    /// Its behaviour from now on, towards present and future connections.
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
    /// The latest Ping of each client's previous connection, for wrong Pongs.
    old_pings: BTreeMap<String, Vec<u8>>,
    rng: SimRng,
    effects: VecDeque<(u64, Effect)>,
}

/// A message that a [`Gateway`] received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Time of its arrival.
    pub at: Timestamp,
    /// The connection. Attempts at connections are numbered from 1.
    pub connection: u64,
    /// The sender's client id.
    pub client: String,
    /// The message.
    pub text: String,
}

/// An effect of the gateway on a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Bytes(Vec<u8>),
    /// The end, behind all that was sent.
    End,
    /// The end, with the loss of all bytes in transit.
    Reset,
    /// Nothing is read for this long.
    Pause(Duration),
    /// A call of [`Gateway::wake`] after this time.
    Wake(Duration, Alarm),
}

#[derive(Debug, Default)]
struct Peer {
    decoder: Decoder,
    is_open: bool,
    /// The gateway sent a Close frame.
    closing: bool,
    /// The client's id, once it has a session.
    client: Option<String>,
    has_spoken: bool,
    last_ping: Option<Vec<u8>>,
    /// Pings to be answered, oldest first.
    late_pongs: VecDeque<Vec<u8>>,
}

/// The script.
impl Gateway {
    /// Sends a text to everyone.
    pub fn broadcast(&mut self, text: &str) {
        self.broadcast_bytes(&codec::text(text));
    }

    /// Sends a text to one client; `false` if it is not connected.
    pub fn send_to(&mut self, client: &str, text: &str) -> bool {
        let Some(&conn) = self.clients.get(client) else { return false };
        self.send(conn, codec::text(text));
        true
    }

    /// Sends bytes to everyone as they are: frames of other kinds, or no frames at all.
    pub fn broadcast_bytes(&mut self, bytes: &[u8]) {
        for conn in self.open() {
            self.send(conn, bytes.to_vec());
        }
    }

    /// Pings everyone.
    pub fn ping(&mut self, payload: &[u8]) {
        self.broadcast_bytes(&codec::ping(payload));
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

    /// Resets all connections. Bytes in transit are lost.
    pub fn reset_all(&mut self) {
        for (conn, peer) in mem::take(&mut self.peers) {
            self.forget(conn, peer);
            self.effects.push_back((conn, Effect::Reset));
        }
    }

    /// Restarts: all connections are reset, and with `forget` all sessions are forgotten.
    pub fn restart(&mut self, forget: bool) {
        self.reset_all();
        if forget {
            self.sessions.clear();
        }
    }
}

/// Observation.
impl Gateway {
    /// The received messages, in the order of their arrival, without `session-resume`.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// Takes the received messages.
    pub fn take_received(&mut self) -> Vec<Received> {
        mem::take(&mut self.received)
    }

    /// The texts that were received from one client.
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

    /// Violations of RFC 6455 and of JSON by clients. Hermes commits none.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

/// The simulation's side.
impl Gateway {
    pub(super) fn new(rng: SimRng) -> Self {
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
            rng,
            effects: VecDeque::new(),
        }
    }

    pub(super) fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(super) fn accept(&mut self, conn: u64) {
        self.connections += 1;
        self.peers.insert(conn, Peer::default());
    }

    pub(super) fn receive(&mut self, conn: u64, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.decoder.push(bytes);
        while let Some(frame) = self.peers.get_mut(&conn).and_then(|peer| peer.decoder.next()) {
            self.on_frame(conn, frame);
        }
    }

    /// The connection is gone.
    pub(super) fn ended(&mut self, conn: u64) {
        if let Some(peer) = self.peers.remove(&conn) {
            self.forget(conn, peer);
        }
    }

    /// A time that was asked for by [`Effect::Wake`] is over.
    pub(super) fn wake(&mut self, conn: u64, alarm: Alarm) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        match alarm {
            Alarm::Grace if peer.is_open && peer.client.is_none() => self.join(conn, None),
            Alarm::Grace => {}
            Alarm::Pong => {
                if let Some(payload) = peer.late_pongs.pop_front() {
                    self.send(conn, codec::pong(&payload));
                }
            }
        }
    }

    pub(super) fn effect(&mut self) -> Option<(u64, Effect)> {
        self.effects.pop_front()
    }
}

/// The conversation.
impl Gateway {
    fn on_frame(&mut self, conn: u64, frame: ClientFrame) {
        match frame {
            ClientFrame::Request { host, path, response } => {
                self.on_request(conn, &host, &path, response);
            }
            ClientFrame::Text(text) => {
                if !self.behaviour.processing.is_zero() {
                    self.effects.push_back((conn, Effect::Pause(self.behaviour.processing)));
                }
                self.on_text(conn, text);
            }
            ClientFrame::Ping(data) => self.on_ping(conn, data),
            ClientFrame::Pong => {}
            ClientFrame::Binary => self.violated(conn, "a binary message"),
            ClientFrame::Close(code) => {
                let is_answer = self.peers.get(&conn).is_some_and(|peer| peer.closing);
                if !is_answer {
                    self.send(conn, codec::close(code));
                }
                self.end(conn);
            }
            ClientFrame::Violation(rule) => {
                self.violated(conn, rule);
                self.end(conn);
            }
        }
    }

    fn on_ping(&mut self, conn: u64, payload: Vec<u8>) {
        match self.behaviour.pongs {
            PongMode::Prompt => self.send(conn, codec::pong(&payload)),
            PongMode::Empty => self.send(conn, codec::pong(b"")),
            PongMode::Foreign => self.send(conn, codec::pong(b"foreign")),
            PongMode::Never => {}
            PongMode::Late(delay) => {
                if let Some(peer) = self.peers.get_mut(&conn) {
                    peer.late_pongs.push_back(payload.clone());
                    self.effects.push_back((conn, Effect::Wake(delay, Alarm::Pong)));
                }
            }
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.last_ping = Some(payload);
        }
        if self.behaviour.byzantine && self.rng.chance(30) {
            self.send_byzantine(conn);
        }
    }

    fn on_request(&mut self, conn: u64, host: &str, path: &str, response: Vec<u8>) {
        match self.behaviour.accept.clone() {
            ConnectResponse::Status { code, retry_after } => {
                let wait = retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
                self.send(conn, codec::refusal(code, wait));
                return self.end(conn);
            }
            ConnectResponse::Redirect { code, to } => {
                let (_, there) = to.split_once("://").unwrap_or_default();
                if to != path && there.strip_prefix(host) != Some(path) {
                    self.send(conn, codec::refusal(code, Some(("Location", to))));
                    return self.end(conn);
                }
            }
            ConnectResponse::NotHttp => {
                self.send(conn, b"220 mail.example ESMTP\r\n".to_vec());
                return self.end(conn);
            }
            _ => {}
        }
        self.send(conn, response);
        match self.behaviour.accept {
            ConnectResponse::EndAfterUpgrade => return self.end(conn),
            ConnectResponse::Close(code) => return self.close_one(conn, Some(code)),
            _ => {}
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.is_open = true;
        }
        let grace = self.behaviour.resume_grace;
        self.effects.push_back((conn, Effect::Wake(grace, Alarm::Grace)));
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
            let chat = codec::text(&chat);
            for other in self.open() {
                if other != conn || self.behaviour.echoes {
                    self.send(other, chat.clone());
                }
            }
        }
    }

    /// Gives a connection its session: that of the token, or a new one.
    fn join(&mut self, conn: u64, token: Option<String>) {
        let found = token.filter(|_| self.behaviour.resumes);
        let found = found.and_then(|token| Some((self.sessions.get(&token)?.clone(), token)));
        let resumed = found.is_some();
        let (client, token) = found.unwrap_or_else(|| self.issue());
        self.resumed += u64::from(resumed);
        self.replace_client(conn, &client);
        let before = self.clients.insert(client.clone(), conn).filter(|before| *before != conn);
        if let Some(before) = before {
            // Its old connection still looks alive, as a half-open one does.
            self.close_one(before, Some(4000));
            self.end(before);
            self.clients.insert(client.clone(), conn);
        } else {
            self.notify_others(conn, &Notice::PlayerJoined { id: &client });
        }
        let init = Notice::SessionInit { token: &token, client_id: &client, resumed };
        self.send(conn, codec::text(&init.to_text()));
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.client = Some(client);
        }
        if self.behaviour.byzantine {
            self.send_byzantine(conn);
        }
    }

    /// A connection that resumes behind the grace has a fresh client, which is gone with that.
    fn replace_client(&mut self, conn: u64, client: &str) {
        let fresh = self.peers.get_mut(&conn).and_then(|peer| peer.client.take());
        if let Some(fresh) = fresh.filter(|fresh| fresh != client) {
            self.clients.remove(&fresh);
            self.notify_others(conn, &Notice::PlayerLeft { id: &fresh });
        }
    }

    fn issue(&mut self) -> (String, String) {
        self.issued += 1;
        let (client, token) = (format!("client-{}", self.issued), format!("token-{}", self.issued));
        self.sessions.insert(token.clone(), client.clone());
        (client, token)
    }

    fn send_byzantine(&mut self, conn: u64) {
        let peer = self.peers.get(&conn);
        let client = peer.and_then(|peer| peer.client.clone()).unwrap_or_default();
        let answered =
            peer.and_then(|peer| peer.last_ping.clone()).filter(|_| self.answers_pings());
        let bytes = match self.rng.up_to(13) {
            0 => codec::text(r#"{"type":"chat","#),
            1 => codec::text(r#"{"type":"session-init","token":5,"clientId":null}"#),
            2 => codec::text(r#"{"type":"session-init","token":"forged","clientId":"nobody"}"#),
            3 => codec::text(r#"{"type":"session-init"}"#),
            4 => codec::text("null"),
            5 => codec::text(r#"[{"type":"chat"}]"#),
            6 => codec::binary(b"\0\x01"),
            // For a Ping of this connection that was answered before.
            7 => codec::pong(&answered.unwrap_or_default()),
            // For a Ping of the previous connection.
            8 => codec::pong(self.old_pings.get(&client).map_or(&[][..], |ping| ping)),
            9 => codec::pong(&[0xFF; 16]),
            10 => codec::pong(&[0; 16]),
            11 => codec::ping(&[7; 125]),
            // A reserved bit.
            12 => b"\xC1\x00".to_vec(),
            // A code that must not be sent.
            _ => codec::close(Some(1006)),
        };
        self.send(conn, bytes);
    }

    fn answers_pings(&self) -> bool {
        self.behaviour.pongs == PongMode::Prompt
    }

    fn close_one(&mut self, conn: u64, code: Option<u16>) {
        self.send(conn, codec::close(code));
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.closing = true;
        }
    }

    /// Ends a connection, behind all that was sent.
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
            self.notify_others(conn, &Notice::PlayerLeft { id: &client });
        }
    }

    fn notify_others(&mut self, conn: u64, notice: &Notice<'_>) {
        if self.behaviour.relays {
            let bytes = codec::text(&notice.to_text());
            for other in self.open().into_iter().filter(|other| *other != conn) {
                self.send(other, bytes.clone());
            }
        }
    }

    fn violated(&mut self, conn: u64, rule: &str) {
        self.violations.push(format!("connection {conn} at {:?}: {rule}", self.now));
    }

    fn open(&self) -> Vec<u64> {
        self.peers.iter().filter(|(_, peer)| peer.is_open).map(|(conn, _)| *conn).collect()
    }

    fn send(&mut self, conn: u64, bytes: Vec<u8>) {
        let may = self.peers.get(&conn).is_some_and(|peer| !peer.closing);
        if may && self.behaviour.answers {
            self.effects.push_back((conn, Effect::Bytes(bytes)));
        }
    }
}
