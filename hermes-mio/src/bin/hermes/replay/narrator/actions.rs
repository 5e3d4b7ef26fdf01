//! What the machine's actions tell.

use serde_json::Value;

use super::{Fact, Narrator, Topic, data, micros, millis, text};
use crate::replay::show;
use crate::replay::wire::{Frame, Kind};

impl Narrator {
    pub(super) fn action(&mut self, action: &Value) {
        let at = micros(action);
        let conn = action["conn"].as_u64();
        match action["out"].as_str().unwrap_or_default() {
            "ask-credentials" => {
                self.note(at, Topic::Network, conn, "asks for credentials".into(), Fact::None);
            }
            "open" => {
                let url = show::without_query(text(action, "url")).to_owned();
                let attempt = format!("attempt at {url}");
                self.note(at, Topic::Network, conn, attempt, Fact::Attempt { url });
            }
            "transmit" => {
                let conn = conn.unwrap_or_default();
                let parts = self.wire.sent(conn, &data(action, "data"));
                self.parts(at, Topic::Sent, conn, parts);
            }
            "send" => {
                let frame = match action["frame"].as_str() {
                    Some("ping") => Frame::new(Kind::Ping, data(action, "data")),
                    Some("pong") => Frame::new(Kind::Pong, data(action, "data")),
                    Some(_) => Frame::new(Kind::Binary, data(action, "data")),
                    None => Frame::new(Kind::Text, text(action, "text").into()),
                };
                self.frame(at, Topic::Sent, conn, &frame);
            }
            "close" => {
                let text = match action["code"].as_u64() {
                    Some(code) => format!("begins the closing handshake with {code}"),
                    None => "drops the transport".to_owned(),
                };
                self.note(at, Topic::Network, conn, text, Fact::None);
            }
            "persist" => {
                let what = if action["session"].is_null() { "cleared" } else { "saved" };
                self.tell(at, Topic::State, format!("the session is {what}"));
            }
            "load" => self.tell(at, Topic::State, "asks the store for messages".into()),
            "event" => self.event(at, action),
            // Timers, and what the store is asked to keep and to forget.
            _ => {}
        }
    }

    fn event(&mut self, at: u64, action: &Value) {
        let name = text(action, "event");
        let detail = &action["detail"];
        let conn = detail["conn"].as_u64();
        let number = |name: &str| detail[name].as_u64().unwrap_or_default();
        let (text, fact) = match name {
            "ws-connected" => ("connected".to_owned(), Fact::Stage { name: "open" }),
            "ws-disconnected" => {
                let reason = show::cut(text(detail, "reason"), self.width);
                let next = match &detail["retry_at"] {
                    Value::Null => "no attempt follows".to_owned(),
                    due => match millis(due).saturating_sub(at) {
                        0 => "next attempt at once".to_owned(),
                        wait => format!("next attempt in {}", show::span(wait)),
                    },
                };
                let cause = text(detail, "cause").to_owned();
                (format!("{name}: {reason}; {next}"), Fact::Ended { cause, reason })
            }
            "messages-in-doubt" => {
                let (from, to) = (number("from"), number("to"));
                let resend = if detail["resend"] == true { "sent again" } else { "not sent again" };
                (format!("#{from} to #{to} in doubt, {resend}"), Fact::InDoubt { from, to })
            }
            "message-dropped" => {
                let reason = show::cut(text(detail, "reason"), self.width);
                let id = number("id");
                (format!("#{id} dropped: {reason}"), Fact::Dropped { id, reason })
            }
            "session-init" | "chat" | "status-update" | "pr-notification" | "player-joined"
            | "player-left" | "unhandled" => {
                let kind = detail["type"].as_str().unwrap_or(name).to_owned();
                let text = match &action["resumed"] {
                    Value::Bool(true) => "session-init: resumed".to_owned(),
                    Value::Bool(false) => "session-init: a new session".to_owned(),
                    _ => name.to_owned(),
                };
                (text, Fact::Message { kind })
            }
            _ => (format!("{name} {}", show::message(&detail.to_string(), self.width)), Fact::None),
        };
        self.note(at, Topic::Event, conn, text, fact);
    }
}
