//! Who is there, and who says what to whom.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tungstenite::Utf8Bytes;

use super::message::{self, Incoming, Notice};
use super::misbehaviour::Stage;
use super::peer::Sent;
use super::report::{Received, Record};
use super::server::{Conn, Server};
use super::sessions::Identity;

impl Server {
    pub(super) fn on_upgraded(&mut self, conn: Conn) {
        self.ledger.report.upgraded += 1;
        self.misbehave_at(Stage::Upgraded, conn);
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        match self.options.resume_grace {
            Duration::ZERO => self.join(conn, None),
            grace => peer.await_first_frame(grace, self.now),
        }
    }

    pub(super) fn on_text(&mut self, conn: Conn, text: Utf8Bytes) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let first = !mem::replace(&mut peer.has_spoken, true) && !peer.superseded;
        let joined = peer.identity.is_some();
        let incoming = Incoming::parse(&text);
        match &incoming {
            Incoming::SessionResume { token } if first => return self.join(conn, token.as_deref()),
            _ if !joined => self.join(conn, None),
            _ => {}
        }
        if let Incoming::Malformed | Incoming::SessionResume { .. } = incoming {
            self.ledger.report.malformed += 1;
            return;
        }
        let identity = self.peers.get(&conn).and_then(|peer| peer.identity.as_ref());
        let Some(Identity { client_id, .. }) = identity.cloned() else { return };
        self.ledger.receive(Received {
            conn: conn as u64,
            client_id: client_id.to_string(),
            text: text.to_string(),
        });
        match incoming {
            Incoming::Chat(fields) => {
                let except = Some(conn).filter(|_| !self.options.echo);
                self.broadcast(message::chat(fields, &client_id).into(), except);
            }
            Incoming::StatusUpdate => {
                self.broadcast(text.clone(), Some(conn));
            }
            _ => {}
        }
    }

    /// Gives a connection its session: the one that goes with the token, or else a fresh one.
    pub(super) fn join(&mut self, conn: Conn, token: Option<&str>) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let before = peer.identity.take();
        let found = token.and_then(|token| self.sessions.find(token));
        let resumed = found.is_some();
        let identity = match found.or_else(|| before.clone()) {
            Some(identity) => identity,
            None => {
                self.ledger.report.sessions_issued += 1;
                self.sessions.issue()
            }
        };
        let Identity { token, client_id } = identity.clone();
        peer.joined(identity);

        let mut is_new = false;
        if before.as_ref().is_none_or(|before| before.client_id != client_id) {
            if let Some(before) = before {
                // The grace was too short for this client: what it was given is nobody's now.
                self.sessions.forget(&before.token);
                self.leave(&before.client_id, conn);
            }
            match self.clients.insert(Arc::clone(&client_id), conn) {
                Some(predecessor) => self.supersede(predecessor),
                None => is_new = true,
            }
        }
        let (number, name) = (conn as u64, client_id.to_string());
        if resumed {
            self.ledger.report.sessions_resumed += 1;
            self.ledger.log(|| Record::Resumed { conn: number, client_id: name });
        } else {
            self.ledger.log(|| Record::SessionInit { conn: number, client_id: name });
        }
        if !self.peers.get(&conn).is_some_and(|peer| peer.is_ignored) {
            let init = Notice::SessionInit { token: &token, client_id: &client_id, resumed };
            self.send(conn, init.to_text().into());
        }
        if is_new {
            self.ledger.report.joined += 1;
            let notice = Notice::PlayerJoined { id: &client_id };
            self.broadcast(notice.to_text().into(), Some(conn));
        }

        let mine = |rule: &mut (String, _)| *rule.0 == *client_id;
        let faults: Vec<_> = self.rules.clients.extract_if(.., mine).map(|rule| rule.1).collect();
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.faults.extend(faults);
        }
        self.misbehave_at(Stage::Joined, conn);
    }

    /// A client is back on a new connection while its old one still looks alive, as a half-open
    /// one does. To the others it was never away.
    fn supersede(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.superseded = true;
        if peer.silent {
            return self.remove(conn, "superseded".into());
        }
        peer.close(4000, "the session was resumed on another connection", self.now);
        self.unsettled.insert(conn);
    }

    /// A client is gone from a connection.
    pub(super) fn leave(&mut self, client_id: &str, conn: Conn) {
        self.clients.remove(client_id);
        self.ledger.report.joined -= 1;
        let notice = Notice::PlayerLeft { id: client_id };
        self.broadcast(notice.to_text().into(), Some(conn));
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
            Sent::Queued => self.ledger.report.relayed += 1,
            Sent::Overflowed => self.ledger.report.overflowed += 1,
            Sent::Refused => {}
        }
        sent == Sent::Queued
    }
}
