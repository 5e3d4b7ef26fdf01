//! `hermes replay --perfetto`: the JSON of Chrome's trace format, which Perfetto opens.

use std::io;

use serde_json::{Value, json};

use super::story::Story;
use crate::output;

/// Threads of the viewer, which are its lanes.
const CONNECTIONS: u32 = 1;
const SENT: u32 = 2;
const RECEIVED: u32 = 3;
const PINGS: u32 = 4;
const WAITS: u32 = 5;

pub(super) fn print(story: &Story) -> io::Result<()> {
    output::line("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
    for (lane, name) in [
        (CONNECTIONS, "connections"),
        (SENT, "messages out"),
        (RECEIVED, "messages in"),
        (PINGS, "Pings"),
        (WAITS, "waits"),
    ] {
        event(json!({"ph": "M", "name": "thread_name", "tid": lane, "args": {"name": name}}))?;
    }
    for conn in &story.conns {
        let end = conn.to.unwrap_or(story.end);
        let args = json!({"url": conn.url, "end": conn.reason});
        span(CONNECTIONS, &format!("connection {}", conn.id), conn.from, end, args)?;
        let ends = conn.stages.iter().skip(1).map(|(_, at)| *at).chain([end]);
        for ((name, from), to) in conn.stages.iter().zip(ends) {
            span(CONNECTIONS, name, *from, to, json!({}))?;
        }
    }
    // Messages overlap, and spans of one thread may not: each is an asynchronous one.
    for sent in &story.sent {
        let name = format!("#{}", sent.id);
        let args = json!({"text": sent.text, "fate": sent.fate});
        let lane = json!({"cat": "message", "id": sent.id, "tid": SENT, "name": name});
        for (ph, ts) in [("b", sent.accepted), ("e", sent.resolved.unwrap_or(story.end))] {
            let mut part = lane.clone();
            part["ph"] = ph.into();
            part["ts"] = ts.into();
            part["args"] = args.clone();
            event(part)?;
        }
    }
    for received in &story.received {
        let point = json!({"ph": "i", "s": "t", "ts": received.at, "tid": RECEIVED});
        event(with_name(point, &received.kind))?;
    }
    for ping in &story.pings {
        let name = if ping.is_ours { "Ping" } else { "the gateway's Ping" };
        let args = json!({"answered": ping.answered.is_some()});
        span(PINGS, name, ping.at, ping.answered.unwrap_or(ping.at), args)?;
    }
    for wait in &story.waits {
        span(WAITS, &wait.why, wait.from, wait.to.unwrap_or(story.end), json!({}))?;
    }
    for sample in &story.samples {
        for (name, value) in [
            ("messages in the outbox", sample.outbox as u64),
            ("bytes in flight", sample.in_flight),
        ] {
            let point = json!({"ph": "C", "ts": sample.at, "args": {"value": value}});
            event(with_name(point, name))?;
        }
    }
    // The format allows no comma behind the last event, and knows this one.
    output::line(
        "{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"hermes\"}}]}",
    )
}

fn with_name(mut event: Value, name: &str) -> Value {
    event["name"] = name.into();
    event
}

fn span(lane: u32, name: &str, from: u64, to: u64, args: Value) -> io::Result<()> {
    let span = json!({"ph": "X", "ts": from, "dur": to - from, "tid": lane, "args": args});
    event(with_name(span, name))
}

fn event(mut event: Value) -> io::Result<()> {
    event["pid"] = 1.into();
    output::text(&event.to_string())?;
    output::line(",")
}
