//! A whole trace as spans and points on a timeline.

use std::collections::HashMap;
use std::mem;

use serde::Serialize;

use super::narrator::{Fact, Note, Topic};

/// A trace on a timeline. Times are microseconds since its start; an `entry` is an index into the
/// log.
#[derive(Serialize)]
pub(super) struct Story {
    name: String,
    /// Whether the recording has stand-ins in place of secrets.
    redacted: bool,
    pub(super) end: u64,
    log: Log,
    pub(super) conns: Vec<Conn>,
    pub(super) sent: Vec<Sent>,
    pub(super) received: Vec<Received>,
    pub(super) pings: Vec<Ping>,
    pub(super) waits: Vec<Wait>,
    pub(super) samples: Vec<Sample>,
    /// Index in `sent` by message, and the last message that was written and resolved.
    #[serde(skip)]
    by_id: HashMap<u64, usize>,
    #[serde(skip)]
    written: u64,
    #[serde(skip)]
    resolved: u64,
}

/// What is told, in columns: a large trace is parsed faster that way.
#[derive(Default, Serialize)]
struct Log {
    at: Vec<u64>,
    topic: Vec<&'static str>,
    /// 0 for none.
    conn: Vec<u64>,
    text: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Conn {
    pub(super) id: u64,
    pub(super) url: String,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    /// Names of the stages and when they began.
    pub(super) stages: Vec<(&'static str, u64)>,
    /// How it ended: a cause of a close reason; empty while it lives.
    pub(super) cause: String,
    pub(super) reason: String,
    entry: usize,
}

#[derive(Serialize)]
pub(super) struct Sent {
    pub(super) id: u64,
    pub(super) accepted: u64,
    written: Option<u64>,
    pub(super) resolved: Option<u64>,
    /// `acknowledged`, `in doubt`, `dropped: …`; empty while it is none of these.
    pub(super) fate: String,
    pub(super) text: String,
    /// When it became in doubt, each time.
    doubts: Vec<u64>,
    entry: usize,
}

#[derive(Serialize)]
pub(super) struct Received {
    pub(super) at: u64,
    pub(super) kind: String,
    entry: usize,
}

#[derive(Serialize)]
pub(super) struct Ping {
    pub(super) at: u64,
    /// When its Pong came or left.
    pub(super) answered: Option<u64>,
    /// Whether the client sent it.
    pub(super) is_ours: bool,
    entry: usize,
    #[serde(skip)]
    payload: String,
}

#[derive(Serialize)]
pub(super) struct Wait {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    pub(super) why: String,
    entry: usize,
}

#[derive(Serialize)]
pub(super) struct Sample {
    pub(super) at: u64,
    pub(super) outbox: usize,
    outbox_bytes: usize,
    pub(super) in_flight: u64,
}

/// Pings that may be unanswered at a time, of which answers are looked for.
const PINGS_BACK: usize = 64;

impl Story {
    pub(super) fn new(name: &str) -> Self {
        Story {
            name: name.to_owned(),
            redacted: false,
            end: 0,
            log: Log::default(),
            conns: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            pings: Vec::new(),
            waits: Vec::new(),
            samples: Vec::new(),
            by_id: HashMap::new(),
            written: 0,
            resolved: 0,
        }
    }

    pub(super) fn add(&mut self, note: &Note) {
        let at = note.at;
        self.end = self.end.max(at);
        let mut entry = self.log.at.len().saturating_sub(1);
        if !note.text.is_empty() {
            entry = self.log.at.len();
            self.log.at.push(at);
            self.log.topic.push(note.topic.name());
            self.log.conn.push(note.conn.unwrap_or_default());
            self.log.text.push(note.text.clone());
        }
        match &note.fact {
            Fact::None => {}
            Fact::Redacted => self.redacted = true,
            Fact::Attempt { url } => self.conns.push(Conn {
                id: note.conn.unwrap_or_default(),
                url: url.clone(),
                from: at,
                to: None,
                stages: vec![("connect", at)],
                cause: String::new(),
                reason: String::new(),
                entry,
            }),
            Fact::Stage { name } => self.stage(at, name),
            Fact::Ended { cause, reason } => {
                if let Some(conn) = self.conns.last_mut().filter(|conn| conn.to.is_none()) {
                    conn.to = Some(at);
                    conn.cause.clone_from(cause);
                    conn.reason.clone_from(reason);
                }
            }
            Fact::Message { kind } => {
                self.received.push(Received { at, kind: kind.clone(), entry });
            }
            Fact::Ping { payload } => self.pings.push(Ping {
                at,
                answered: None,
                is_ours: note.topic == Topic::Sent,
                entry,
                payload: payload.clone(),
            }),
            Fact::Pong { payload } => self.pong(at, payload, note.topic == Topic::Received),
            Fact::Waits { why } => {
                self.waits.push(Wait { from: at, to: None, why: why.clone(), entry });
            }
            Fact::WaitEnds => {
                if let Some(wait) = self.waits.last_mut() {
                    wait.to.get_or_insert(at);
                }
            }
            Fact::Sample { outbox, outbox_bytes, in_flight } => self.samples.push(Sample {
                at,
                outbox: *outbox,
                outbox_bytes: *outbox_bytes,
                in_flight: *in_flight,
            }),
            fact => self.message(at, entry, fact),
        }
    }

    /// The story once all notes are added: what is left open lasts until the end.
    pub(super) fn finish(&mut self) -> Story {
        mem::replace(self, Story::new(""))
    }

    fn stage(&mut self, at: u64, name: &'static str) {
        if let Some(conn) = self.conns.last_mut().filter(|conn| conn.to.is_none())
            && conn.stages.last().is_none_or(|last| last.0 != name)
        {
            conn.stages.push((name, at));
        }
    }

    fn pong(&mut self, at: u64, payload: &str, is_ours: bool) {
        let ping = self.pings.iter_mut().rev().take(PINGS_BACK).find(|ping| {
            ping.is_ours == is_ours && ping.answered.is_none() && ping.payload == *payload
        });
        if let Some(ping) = ping {
            ping.answered = Some(at);
        }
    }

    /// What becomes of a message of the application.
    fn message(&mut self, at: u64, entry: usize, fact: &Fact) {
        match fact {
            Fact::Accepted { id, text } => {
                self.by_id.insert(*id, self.sent.len());
                self.sent.push(Sent {
                    id: *id,
                    accepted: at,
                    written: None,
                    resolved: None,
                    fate: String::new(),
                    text: text.clone(),
                    doubts: Vec::new(),
                    entry,
                });
            }
            Fact::Written { up_to } => {
                let from = mem::replace(&mut self.written, *up_to) + 1;
                self.each(from, *up_to, |sent| {
                    sent.written.get_or_insert(at);
                });
            }
            Fact::Resolved { up_to } => {
                let from = mem::replace(&mut self.resolved, *up_to) + 1;
                self.each(from, *up_to, |sent| {
                    if sent.resolved.is_none() {
                        sent.resolved = Some(at);
                        let is_lost = sent.doubts.last() == Some(&at);
                        sent.fate = if is_lost { "in doubt" } else { "acknowledged" }.to_owned();
                    }
                });
            }
            Fact::InDoubt { from, to } => self.each(*from, *to, |sent| sent.doubts.push(at)),
            Fact::Dropped { id, reason } => self.each(*id, *id, |sent| {
                sent.resolved = Some(at);
                sent.fate = format!("dropped: {reason}");
            }),
            _ => {}
        }
    }

    /// Messages of these names, both included. A restored outbox has names that no `send` told.
    fn each(&mut self, from: u64, to: u64, mut change: impl FnMut(&mut Sent)) {
        let from = from.max(self.sent.first().map_or(u64::MAX, |sent| sent.id));
        for id in from..=to {
            if let Some(sent) = self.by_id.get(&id).and_then(|index| self.sent.get_mut(*index)) {
                change(sent);
            }
        }
    }
}
