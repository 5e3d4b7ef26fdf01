//! `hermes demo`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hermes_mio::gateway::{Fault, Gateway, Received, Target};
use hermes_mio::{Client, Receipts};
use hermes_proto::reason::Stage;
use hermes_proto::trace::event_line;
use hermes_proto::{CloseReason, Config, Event};

use crate::words;
use crate::{Failure, output};

/// Tell the whole story on this machine: a gateway, a client, and what goes wrong between them
///
/// It starts a gateway on loopback and a client, chats, has a fence confirm what it sent, has the
/// link cut, half-opened and refused, queues, resumes and flushes, and counts at the gateway what
/// arrived.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Longer than any step takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(Args {}: &Args) -> Result<(), Failure> {
    let mut demo = Demo::start()?;
    demo.chat()?;
    demo.cut()?;
    demo.half_open()?;
    demo.restart()?;
    demo.farewell()
}

/// A client, a gateway, and how many messages the one has sent to the other.
struct Demo {
    gateway: Gateway,
    client: Client,
    sent: u64,
}

impl Demo {
    fn start() -> Result<Self, Failure> {
        let gateway = Gateway::bind("127.0.0.1:0")?;
        // The defaults are for real networks, and too slow to watch.
        let config = Config {
            backoff_base: Duration::from_millis(200),
            backoff_cap: Duration::from_secs(1),
            heartbeat_interval: Some(Duration::from_millis(300)),
            heartbeat_timeout: Duration::from_millis(300),
            close_delays: [(1012, Duration::from_millis(300))].into(),
            receipts: Receipts::Acknowledged,
            ..Config::new(gateway.url())
        };
        let client = Client::new(config)?;
        Ok(Demo { gateway, client, sent: 0 })
    }

    fn chat(&mut self) -> Result<(), Failure> {
        say("A gateway runs here, and a client connects to it. Ten messages go before there is");
        say("a connection; they wait in the outbox.");
        self.send(10)?;
        self.client.connect();
        self.until("a connection", |event| matches!(event, Event::Connected { .. }))?;
        self.until("a session", |event| matches!(event, Event::SessionInit(_)))?;
        self.send(10)?;
        say("A Ping went behind the messages. Its answer is a proof: the gateway says that it has");
        say("them all.");
        self.until(
            "a fence's answer",
            |event| matches!(event, Event::Acknowledged { to, .. } if to.0 == 20),
        )?;
        self.all_arrived()?;
        self.gateway.broadcast(r#"{"type":"chat","sender":"ada","text":"Hello, Hermes!"}"#);
        self.until("a chat message", |event| matches!(event, Event::Chat(_)))
    }

    fn cut(&mut self) -> Result<(), Failure> {
        say("The link is cut: a reset, no Close frame. What is sent now waits.");
        self.gateway.inject(Target::Live, Fault::Reset);
        self.until("the loss", |event| matches!(event, Event::Disconnected { .. }))?;
        self.send(20)?;
        say("It comes back by itself, resumes its session, and the outbox is flushed in order.");
        self.resumed()?;
        self.all_arrived()
    }

    fn half_open(&mut self) -> Result<(), Failure> {
        say("The link is half-open: it looks fine, and nobody is there. The heartbeat notices.");
        self.gateway.inject(Target::Live, Fault::HalfOpen);
        self.until("the heartbeat's verdict", |event| {
            let silence = CloseReason::Timeout { stage: Stage::Heartbeat };
            matches!(event, Event::Disconnected { reason, .. } if *reason == silence)
        })?;
        self.send(20)?;
        self.resumed()?;
        self.all_arrived()
    }

    fn restart(&mut self) -> Result<(), Failure> {
        say("The gateway goes away. Connections are refused, and then answered with a 503, while");
        say("a hundred messages pile up.");
        self.gateway.pause();
        self.gateway.inject(Target::Live, Fault::Close { code: 1012, reason: "restarting".into() });
        self.until("the gateway's Close frame", |event| {
            matches!(event, Event::Disconnected { code: 1012, .. })
        })?;
        self.send(100)?;
        self.until("a refusal", |event| {
            matches!(event, Event::Disconnected { reason: CloseReason::Connect { .. }, .. })
        })?;
        self.gateway.inject(Target::Next, Fault::Refuse { status: 503, retry_after: None });
        self.gateway.listen()?;
        self.until("a 503", |event| {
            let Event::Disconnected { reason, .. } = event else { return false };
            matches!(reason, CloseReason::Http { status: 503, .. })
        })?;
        say("The gateway is well again.");
        self.resumed()?;
        self.all_arrived()
    }

    fn farewell(mut self) -> Result<(), Failure> {
        say(
            "The client leaves: a last message, the proof that it arrived, a closing handshake, and",
        );
        say("no reconnect.");
        self.send(1)?;
        self.client.shutdown(PATIENCE);
        self.until("the end", |event| {
            matches!(event, Event::Disconnected { code: 1000, retry_at: None, .. })
        })?;
        let mut is_complete = false;
        self.until("the shutdown's report", |event| {
            is_complete = matches!(event, Event::ShutDown { in_doubt: 0, unsent: 0, .. });
            matches!(event, Event::ShutDown { .. })
        })?;
        if !is_complete {
            return Err("not everything that was sent is known to have arrived".into());
        }

        let tally = Tally::of(self.sent, &self.gateway.received());
        let connections = self.gateway.snapshot().upgraded;
        output::line(&format!(
            r#"{{"demo":"{}","sent":{},"received":{},"lost":{},"duplicated":{},"connections":{connections}}}"#,
            if tally.is_right() { "ok" } else { "failed" },
            self.sent,
            tally.received,
            tally.lost,
            tally.duplicated,
        ))?;
        match tally.is_right() {
            true => Ok(()),
            false => Err("messages were lost, doubled, or out of order".into()),
        }
    }

    fn send(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            self.sent += 1;
            let text = format!("message {}", self.sent);
            let message = serde_json::json!({"type": "chat", "text": text, "n": self.sent});
            self.client.send(&message)?;
        }
        Ok(())
    }

    fn resumed(&mut self) -> Result<(), Failure> {
        self.until("the resumed session", |event| {
            matches!(event, Event::SessionInit(init) if init.json().contains("\"resumed\":true"))
        })
    }

    /// Goes on until the gateway has every message.
    fn all_arrived(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.client.protocol().outbox_len() > 0 {
            self.turn(deadline, "an empty outbox")?;
        }
        let sent = self.sent;
        self.gateway.wait_for(PATIENCE, |counts| counts.messages >= sent)?;
        Ok(())
    }

    /// Goes on until an event that is `wanted`.
    fn until(&mut self, name: &str, mut wanted: impl FnMut(&Event) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !self.turn(deadline, name)?.is_some_and(|event| wanted(&event)) {}
        Ok(())
    }

    /// One event, shown; or none for now.
    fn turn(&mut self, deadline: Instant, name: &str) -> Result<Option<Event>, Failure> {
        let patience = deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(format!("waited {PATIENCE:?} for {name}, in vain").into());
        }
        let event = self.client.poll(Some(patience.min(Duration::from_millis(50))))?;
        if let Some(event) = &event {
            output::line(&event_line(self.client.now(), event))?;
        }
        Ok(event)
    }
}

fn say(text: &str) {
    words::say!("  {text}");
}

/// The gateway's count of the sent messages.
struct Tally {
    received: usize,
    lost: u64,
    duplicated: usize,
    in_order: bool,
}

impl Tally {
    fn of(sent: u64, received: &[Received]) -> Self {
        let number = |message: &Received| {
            let message: serde_json::Value = serde_json::from_str(&message.text).ok()?;
            message.get("n")?.as_u64()
        };
        let numbers: Vec<u64> = received.iter().filter_map(number).collect();
        let mut copies = BTreeMap::new();
        for number in &numbers {
            *copies.entry(*number).or_insert(0) += 1;
        }
        Tally {
            received: numbers.len(),
            lost: (1..=sent).filter(|number| !copies.contains_key(number)).count() as u64,
            duplicated: numbers.len() - copies.len(),
            in_order: numbers.is_sorted(),
        }
    }

    fn is_right(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.in_order
    }
}
