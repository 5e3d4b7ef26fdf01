//! A server, and a client that talks to it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use hermes_mio::{Client, CloseReason, Config, Event, Options, Outgoing, State};
use serde_json::{Value, json};

use super::{Library, Server};

/// Whatever does not happen within this time never will, also on a machine with a lot to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a client that has nothing to tell is left for a look at the server.
const GLANCE: Duration = Duration::from_millis(5);

/// A server, and a client that talks to it. Nothing is skipped: what the client tells must be
/// expected, all of it, in its order, and so must what the server gets.
#[derive(Debug)]
pub struct Harness {
    /// The server.
    pub server: Server,
    /// The client.
    pub client: Client,
    /// What the client told while the server was waited for.
    events: VecDeque<Event>,
    /// The last things that happened, for people.
    story: VecDeque<String>,
}

/// Settings for a server on this machine: it is back soon when it was away, and has all the time
/// it wants.
pub fn config(server: &Server) -> Config {
    Config {
        backoff_base: Duration::from_millis(10),
        backoff_cap: Duration::from_millis(40),
        max_attempts: None,
        connect_timeout: PATIENCE,
        upgrade_timeout: PATIENCE,
        close_timeout: PATIENCE,
        heartbeat_interval: None,
        // 1012 and 1013 ask for time that a test does not have.
        close_delays: BTreeMap::new(),
        // An order goes at once, whatever is under way.
        in_flight_min_bytes: Config::default().in_flight_max_bytes,
        ..Config::new(server.url())
    }
}

/// A chat message.
pub fn chat(text: &str) -> Value {
    json!({"type": "chat", "text": text})
}

/// What asks for a session to be resumed.
pub fn resume(token: &str) -> Value {
    json!({"type": "session-resume", "token": token})
}

/// Beginning and end.
impl Harness {
    /// A client that is not connected.
    pub fn new(library: &'static Library) -> Self {
        let server = Server::start(library);
        let config = config(&server);
        Self::with(server, config)
    }

    /// The same, with a server and settings of one's own.
    pub fn with(server: Server, options: impl Into<Options>) -> Self {
        let client = Client::new(options).expect("the settings are fine");
        Harness { server, client, events: VecDeque::new(), story: VecDeque::new() }
    }

    /// Connects and gets a session, by way of chat number 1. Returns the session's token.
    pub fn join(&mut self) -> String {
        self.client.connect();
        self.expect_connected();
        self.report("open");
        let hello = chat("hello");
        self.send(&hello);
        self.expect_message(1, &hello);
        let token = self.expect_session();
        self.expect_chat(1, "hello");
        self.settle();
        token
    }

    /// Disconnects: nothing was left unexpected, and both sides call it a proper end.
    pub fn end(mut self) -> Server {
        self.client.disconnect();
        self.expect_end();
        self.server
    }

    /// What [`end`](Self::end) expects.
    pub fn expect_end(&mut self) {
        assert_eq!(self.expect_disconnected(), CloseReason::Requested, "{:#?}", self.story);
        self.expect_rest();
    }

    /// The client has nothing more to tell, and the server saw a proper end.
    pub fn expect_rest(&mut self) {
        assert_eq!(self.client.protocol().state(), State::Idle);
        assert_eq!(self.client.poll(None).expect("the loop works"), None, "the client is at rest");
        let close = self.report("close");
        assert_eq!((&close["code"], &close["reason"]), (&json!(1000), &json!("")));
        // The last thing that the server saw.
        assert_eq!(self.server.report("message"), None);
    }
}

/// What the application does.
impl Harness {
    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.client.send(message).expect("there is room");
    }

    /// Tells the server what to do. Volatile: an order that ends the connection is not repeated on
    /// the next one.
    pub fn order(&mut self, what: &str, mut with: Value) {
        with["type"] = "do".into();
        with["what"] = what.into();
        let order = Outgoing::new(&with).expect("it is JSON").volatile();
        self.client.send_message(order).expect("the connection takes it");
    }

    /// Waits until all that was sent is acknowledged.
    fn settle(&mut self) {
        let begin = Instant::now();
        while self.client.protocol().outbox_len() > 0 {
            assert!(begin.elapsed() < PATIENCE, "no Pong came.\n{:#?}", self.story);
            let event = self.poll(GLANCE);
            self.events.extend(event);
        }
    }

    /// Sends a chat on connection `conn`, which the server sees and echoes as its `n`th.
    pub fn exchange(&mut self, conn: u64, n: u64, text: &str) {
        let message = chat(text);
        self.send(&message);
        self.expect_message(conn, &message);
        self.expect_chat(n, text);
        self.settle();
    }
}

/// What the client tells.
impl Harness {
    /// The next event.
    pub fn next_event(&mut self) -> Event {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let event = self.poll(PATIENCE);
        event.unwrap_or_else(|| panic!("the client has nothing to tell.\n{:#?}", self.story))
    }

    /// Next, a connection opens.
    pub fn expect_connected(&mut self) {
        let event = self.next_event();
        assert!(matches!(event, Event::Connected { .. }), "{event:?}\n{:#?}", self.story);
    }

    /// Next, a connection ends, perhaps with messages in doubt or lost. Returns why.
    pub fn expect_disconnected(&mut self) -> CloseReason {
        let mut event = self.next_event();
        while matches!(event, Event::InDoubt { .. } | Event::Dropped { .. }) {
            event = self.next_event();
        }
        match event {
            Event::Disconnected { code, reason, .. } => {
                assert_eq!(code, reason.code());
                reason
            }
            other => panic!("not an end: {}\n{:#?}", short(&other), self.story),
        }
    }

    /// Next, the server issues or confirms a session. Returns its token.
    pub fn expect_session(&mut self) -> String {
        match self.next_event() {
            Event::SessionInit(init) => init.token().expect("a token").into_owned(),
            other => panic!("not a session: {}\n{:#?}", short(&other), self.story),
        }
    }

    /// Next, a chat. Returns it.
    pub fn next_chat(&mut self) -> Value {
        match self.next_event() {
            Event::Chat(chat) => serde_json::from_str(chat.json()).expect("it is JSON"),
            other => panic!("not a chat: {}\n{:#?}", short(&other), self.story),
        }
    }

    /// Next, the chat with this number and text.
    pub fn expect_chat(&mut self, n: u64, text: &str) {
        let chat = self.next_chat();
        assert!(chat["n"] == n && chat["text"] == text, "not chat {n}: {}", short(&chat));
    }

    fn poll(&mut self, timeout: Duration) -> Option<Event> {
        let event = self.client.poll(Some(timeout)).expect("the loop works")?;
        if self.story.len() == 20 {
            self.story.pop_front();
        }
        self.story.push_back(short(&event));
        Some(event)
    }
}

/// What the server reports, which may be later than the client has its answer. The client runs
/// meanwhile.
impl Harness {
    /// The next report of this kind.
    pub fn report(&mut self, saw: &str) -> Value {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let ended = self.server.ended();
            if let Some(report) = self.server.report(saw) {
                return report;
            }
            if let Some(status) = ended {
                panic!("the server ended: {status}\n{:#?}", self.story);
            }
            let event = self.poll(GLANCE);
            self.events.extend(event);
        }
        panic!("the server never saw `{saw}`.\n{:#?}", self.story)
    }

    /// Next, the server gets this message on this connection.
    pub fn expect_message(&mut self, conn: u64, message: &Value) {
        let report = self.report("message");
        let as_expected = report["conn"] == conn && report["message"] == *message;
        assert!(as_expected, "{} is not {conn}, {}", short(&report), short(message));
    }
}

/// What fits on a line.
fn short(what: &impl fmt::Debug) -> String {
    format!("{what:?}").chars().take(200).collect()
}
