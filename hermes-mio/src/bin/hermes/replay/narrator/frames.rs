//! What frames and handshakes tell, in either direction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermes_proto::Client;

use super::{Fact, Narrator, Topic};
use crate::replay::show;
use crate::replay::wire::{Frame, Kind, Part};

impl Narrator {
    pub(super) fn parts(&mut self, at: u64, topic: Topic, conn: u64, parts: Vec<Part>) {
        for part in parts {
            match part {
                Part::Head(lines) => {
                    for line in lines {
                        let line = show::head_line(&line, self.width);
                        self.note(at, topic, Some(conn), line, Fact::None);
                    }
                }
                Part::Frame(frame) => self.frame(at, topic, Some(conn), &frame),
                Part::Unknown { bytes } => {
                    let text = format!("{bytes} bytes that are no frame");
                    self.note(at, topic, Some(conn), text, Fact::None);
                }
            }
        }
    }

    pub(super) fn frame(&mut self, at: u64, topic: Topic, conn: Option<u64>, frame: &Frame) {
        let length = frame.payload.len();
        let payload = |frame: &Frame| BASE64.encode(&frame.payload);
        let mut fact = Fact::None;
        let text = match frame.kind {
            Kind::Text | Kind::Binary | Kind::Continuation if frame.is_compressed => {
                format!("{}, compressed, {length} bytes", frame.kind.name())
            }
            Kind::Text | Kind::Continuation
                if frame.has_more || frame.kind == Kind::Continuation =>
            {
                format!("{} fragment of {length} bytes", frame.kind.name())
            }
            Kind::Text => {
                let text = String::from_utf8_lossy(&frame.payload);
                format!("text {}", show::message(&text, self.width))
            }
            Kind::Binary | Kind::Continuation | Kind::Reserved => {
                format!("{} of {length} bytes", frame.kind.name())
            }
            Kind::Ping => {
                fact = Fact::Ping { payload: payload(frame) };
                "Ping".to_owned()
            }
            Kind::Pong => {
                fact = Fact::Pong { payload: payload(frame) };
                let stats = self.replayer.client().map(Client::stats).unwrap_or_default();
                match stats.rtt_last.filter(|_| topic == Topic::Received) {
                    Some(rtt) if stats.rtt_last != self.before.stats.rtt_last => {
                        format!("Pong, round trip {}", show::span(rtt.as_micros() as u64))
                    }
                    _ => "Pong".to_owned(),
                }
            }
            Kind::Close => match frame.payload.split_first_chunk() {
                Some((code, reason)) => {
                    let reason = String::from_utf8_lossy(reason);
                    let text = format!(
                        "Close {} {}",
                        u16::from_be_bytes(*code),
                        show::cut(&reason, self.width)
                    );
                    text.trim_end().to_owned()
                }
                None => "Close".to_owned(),
            },
        };
        self.note(at, topic, conn, text, fact);
    }
}

impl Frame {
    pub(super) fn new(kind: Kind, payload: Vec<u8>) -> Self {
        Frame { kind, has_more: false, is_compressed: false, payload }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Binary => "binary",
            Kind::Continuation => "continuation",
            Kind::Ping => "Ping",
            Kind::Pong => "Pong",
            Kind::Close => "Close",
            Kind::Reserved => "frame with a reserved opcode",
        }
    }
}
