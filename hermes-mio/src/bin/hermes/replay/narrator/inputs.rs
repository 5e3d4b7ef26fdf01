//! What a line's input tells.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::{Fact, Narrator, Topic, data, millis, text};
use crate::replay::show;
use crate::replay::wire::{Frame, Kind};

impl Narrator {
    pub(super) fn input(&mut self, at: u64, input: &Value) {
        let conn = input["conn"].as_u64().or_else(|| self.live_conn());
        match text(input, "in") {
            "send" => self.send(at, input),
            "received" => {
                let conn = conn.unwrap_or_default();
                let parts = self.wire.received(conn, &data(input, "data"));
                self.parts(at, Topic::Received, conn, parts);
            }
            "text" => {
                let text = show::message(text(input, "data"), self.width);
                self.note(at, Topic::Received, conn, format!("text {text}"), Fact::None);
            }
            "binary" | "ping" | "pong" => {
                let payload = data(input, "data");
                let kind = match text(input, "in") {
                    "ping" => Kind::Ping,
                    "pong" => Kind::Pong,
                    _ => Kind::Binary,
                };
                self.frame(at, Topic::Received, conn, &Frame::new(kind, payload));
            }
            "connect" | "disconnect" | "clear-session" | "set-session" | "clear-outbox"
            | "shutdown" => {
                self.command(at, input);
            }
            _ => self.report(at, conn, input),
        }
    }

    fn command(&mut self, at: u64, input: &Value) {
        let text = match text(input, "in") {
            "shutdown" => format!("shut down within {}", show::span(millis(&input["within_ms"]))),
            name => name.replace('-', " the "),
        };
        self.tell(at, Topic::Command, text);
    }

    /// What the host reports.
    fn report(&mut self, at: u64, conn: Option<u64>, input: &Value) {
        match text(input, "in") {
            "network" => {
                let is = if input["online"] == true { "online" } else { "offline" };
                self.tell(at, Topic::Network, format!("the host is {is}"));
            }
            "credentials" => {
                self.note(at, Topic::Network, conn, "credentials came".into(), Fact::None);
            }
            "opened" => {
                self.note(at, Topic::Network, conn, "the transport is up".into(), Fact::None);
            }
            "closing" => {
                let text = format!("the gateway closes: {}", reason(input, self.width));
                self.note(at, Topic::Network, conn, text, Fact::None);
            }
            "closed" => {
                let cut = self.wire.cut(conn.unwrap_or_default());
                let mut text = format!("the transport ended: {}", reason(input, self.width));
                if cut > 0 {
                    text += &format!("; it cut a frame after {cut} bytes");
                }
                self.note(at, Topic::Network, conn, text, Fact::None);
            }
            "store-failed" => {
                let problem = show::cut(text(input, "text"), self.width);
                self.tell(at, Topic::Network, format!("the outbox store failed: {problem}"));
            }
            "stored" => {
                let up_to = input["up_to"].as_u64().unwrap_or_default();
                self.tell(at, Topic::Network, format!("durable up to #{up_to}"));
            }
            "loaded" => {
                let count = input["messages"].as_array().map_or(0, Vec::len);
                self.tell(at, Topic::Network, format!("{count} messages came from the store"));
            }
            // Chores of the host; what they change is told by the machine's state.
            _ => {}
        }
    }

    fn send(&mut self, at: u64, input: &Value) {
        let message = match (&input["message"], &input["text"], &input["data"]) {
            (Value::Null, Value::Null, data) => {
                format!(
                    "{} bytes",
                    BASE64.decode(data.as_str().unwrap_or_default()).map_or(0, |data| data.len())
                )
            }
            (Value::Null, text, _) => show::message(text.as_str().unwrap_or_default(), self.width),
            (message, ..) => show::message(message.as_str().unwrap_or_default(), self.width),
        };
        let id = self.replayer.client().map_or(0, |client| client.accepted_up_to().0);
        let (text, fact) = if id > self.before.accepted {
            (format!("send #{id} {message}"), Fact::Accepted { id, text: message })
        } else {
            (format!("send, which was refused: {message}"), Fact::None)
        };
        self.note(at, Topic::Command, None, text, fact);
    }
}

/// The code or cause of an end, with its words.
fn reason(line: &Value, width: usize) -> String {
    let cause = match (line["code"].as_u64(), line["cause"].as_str()) {
        (_, Some(cause)) => cause.to_owned(),
        (Some(code), None) => format!("code {code}"),
        (None, None) => "lost".to_owned(),
    };
    match text(line, "text") {
        "" => cause,
        text => format!("{cause}: {}", show::cut(text, width)),
    }
}
