//! Arbitrary histories: any command, anything a host may report of any connection, in any order,
//! on a clock that jumps and runs backwards. Each call is checked against the [`Contract`].
//!
//! A failing case is shrunk, printed as a trace, and kept as a line `cc <seed>` in
//! `properties.proptest-regressions`; each run tries the kept ones first. To replay a
//! case from elsewhere, put its `cc` line into that file. `PROPTEST_CASES=100000` searches longer,
//! and `PROPTEST_RNG_SEED=<number>` makes a whole run repeatable.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::close::{RetryAfter, Stage, Violation};
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Credentials, Delivery, Event, Frame,
    Input, Jitter, Outgoing, Overflow, Plaintext, Receipts, Resume, Session, Start, State,
    Timestamp,
};
use hermes_tests::{Call, Contract, Step, UNIX_MS, URL, http, lost, peer, pong};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/client/properties.proptest-regressions"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_contract_holds(start in starts(), deeds in vec(deed(), 1..70)) {
        let mut world = World::new(&start);
        world.run(&deeds)?;
    }

    /// And every message arrives in order, but for those that were dropped: once, or where it is
    /// kept until it is proven to have arrived, at least once.
    #[test]
    fn whatever_happens_a_patient_host_delivers(start in starts(), deeds in vec(deed(), 1..70)) {
        let mut world = World::new(&start);
        world.run(&deeds)?;
        world.deliver()?;
    }

    /// The same settings, seed and inputs: the same actions. A clone goes on like the original.
    #[test]
    fn whatever_happens_it_would_happen_again(
        start in starts(),
        before in vec(deed(), 1..40),
        after in vec(deed(), 1..40),
    ) {
        let mut world = World::new(&start);
        world.go(&before);
        let (half, mut clone) = (world.story.len(), world.client.clone());
        world.go(&after);

        let mut again = start.client();
        for (index, step) in world.story.iter().enumerate() {
            prop_assert_eq!(&repeat(&mut again, step), &step.actions, "again: {}", step);
            if index >= half {
                prop_assert_eq!(&repeat(&mut clone, step), &step.actions, "cloned: {}", step);
            }
        }
        prop_assert_eq!(&again, &world.client);
        prop_assert_eq!(&clone, &world.client);
    }

    #[test]
    fn whatever_happens_the_token_is_withheld(start in starts(), deeds in vec(deed(), 1..40)) {
        let mut world = World::new(&start);
        world.go(&deeds);
        let debug = format!("{:?} {:?}", world.client, world.story);
        prop_assert!(!debug.contains(TOKEN), "{}", debug);
    }
}

/// The histories are worth it: each event and each kind of ending happens in some.
#[test]
fn everything_happens() {
    let mut seen = BTreeMap::<String, u32>::new();
    let mut see = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
    let histories = (starts(), vec(deed(), 120));
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let (start, deeds) =
            histories.new_tree(&mut runner).expect("nothing is rejected").current();
        let mut world = World::new(&start);
        world.go(&deeds);
        for action in world.story.iter().flat_map(|step| &step.actions) {
            match action {
                Action::Emit(Event::Disconnected { reason, .. }) => see(&reason.to_string()),
                Action::Emit(Event::Failed { why, .. }) => see(&why.to_string()),
                Action::Emit(Event::SessionDropped { reason }) => see(&reason.to_string()),
                Action::Emit(Event::InDoubt { resend, .. }) => see(&format!("in doubt {resend}")),
                Action::AskCredentials { .. } => see("ask-credentials"),
                Action::Open { url, .. } if url.as_str() != URL => see("a fallback"),
                Action::Emit(Event::Dropped { id, reason, .. }) => {
                    see(&format!("{reason} {}", id.is_some()));
                }
                Action::Emit(event) => see(event.name()),
                Action::Send { payload: Frame::Ping(_), .. } => see("ping"),
                Action::Send { payload: Frame::Text(text), .. } if text.contains("resume") => {
                    see("resume");
                }
                _ => {}
            }
        }
    }
    for what in [
        "ws-connected",
        "max_attempts are used up",
        "max_elapsed is used up",
        "a retry would not help",
        "ask-credentials",
        "a fallback",
        "session-init",
        "it is older than session_max_age",
        "it could not be resumed",
        "warning",
        "messages-written",
        "messages-received",
        "in doubt true",
        "in doubt false",
        "shut-down",
        "chat-message",
        "unhandled",
        "malformed",
        "ping",
        "resume",
        "the outbox is full true",
        "the outbox is full false",
        "the message is larger than outbox_max_bytes false",
        "the message's time to live is over true",
        "a volatile message could not be sent at once false",
        "the connection ended under a volatile message true",
        "the outbox was cleared true",
        "the client is shutting down false",
        "the application disconnected",
        "timed out: no credentials",
        "timed out: no connection",
        "timed out: no session-init",
        "timed out: no byte after a heartbeat",
        "the connection was lost",
        "the gateway closed with code 1001",
        "the gateway closed with code 1013",
        "the gateway answered the upgrade with HTTP status 503, and asks for 2 s",
    ] {
        assert!(seen.get(what).is_some_and(|times| *times >= 3), "{what}: {seen:#?}");
    }
}

/// The session's token, wherever there is one.
const TOKEN: &str = "s3cret";

/// With what a client begins.
#[derive(Clone, Debug)]
struct Begin {
    config: Config,
    seed: u8,
    /// A session from the last run, its origin, and its age in milliseconds where that is known.
    session: Option<(Option<&'static str>, Option<u64>)>,
}

impl Begin {
    fn client(&self) -> Client {
        let session = self.session.map(|(origin, age)| Session {
            token: TOKEN.to_owned(),
            client_id: None,
            saved_at: age.map_or(0, |age| UNIX_MS - age),
            origin: origin.map(str::to_owned),
        });
        let start = Start { session, ..Start::new([self.seed; 32], UNIX_MS) };
        Client::new(self.config.clone(), start).expect("the settings are fine")
    }
}

/// Short waits, tight bounds: all that there is to happen happens soon.
fn starts() -> impl Strategy<Value = Begin> {
    let session = prop_oneof![
        1 => Just(None),
        3 => (
            prop_oneof![Just(None), Just(Some("ws://b.test")), Just(Some("wss://other.test"))],
            prop_oneof![Just(None), (0..=20_000_u64).prop_map(Some)],
        )
            .prop_map(Some),
    ];
    (configs(), any::<u8>(), session).prop_map(|(config, seed, session)| Begin {
        config,
        seed,
        session,
    })
}

fn ms(range: RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn off_or<T: Clone + std::fmt::Debug + 'static>(
    some: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![3 => some.prop_map(Some), 1 => Just(None)]
}

fn configs() -> impl Strategy<Value = Config> {
    let waits = (
        (ms(1..=2_000), 1..=30_u32),
        (off_or(0..=3_u32), proptest::option::of(ms(0..=20_000))),
        proptest::sample::select(vec![
            Jitter::None,
            Jitter::Equal,
            Jitter::Full,
            Jitter::Decorrelated,
        ]),
        (ms(0..=3_000), ms(0..=1_500)),
        (ms(0..=3_000), proptest::option::of(ms(0..=4_000))),
        vec(proptest::sample::select(vec!["ws://b.test/", "wss://other.test/", URL]), 0..3),
    );
    let timeouts = (
        (ms(1..=3_000), ms(1..=3_000), ms(1..=3_000), ms(1..=3_000)),
        (off_or(ms(1..=3_000)), ms(1..=2_000), ms(1..=3_000)),
    );
    let bounds = (
        (1..=5_usize, 1..=60_usize, 0..=40_usize),
        proptest::sample::select(vec![
            Overflow::Refuse,
            Overflow::DropOldest,
            Overflow::DropNewest,
        ]),
        proptest::option::weighted(0.2, ms(0..=5_000)),
    );
    let proof = (
        prop_oneof![5 => Just(true), 1 => Just(false)],
        prop_oneof![Just(Delivery::AtMostOnce), Just(Delivery::AtLeastOnce)],
        prop_oneof![Just(Receipts::None), Just(Receipts::Written), Just(Receipts::Received)],
    );
    let session = (
        prop_oneof![Just(Resume::Optimistic), Just(Resume::Wait)],
        prop_oneof![Just(Plaintext::Allow), Just(Plaintext::Warn), Just(Plaintext::Refuse)],
        off_or(ms(0..=60_000)),
        off_or(1..=2_u32),
        prop_oneof![2 => Just(false), 1 => Just(true)],
    );
    (waits, timeouts, bounds, proof, session).prop_map(|parts| {
        let (waits, timeouts, bounds, (can_ping, delivery, receipts), session) = parts;
        let (backoff, (max_attempts, max_elapsed), jitter, waits, asked, fallbacks) = waits;
        let ((connect, close, credentials, gate), heartbeat) = timeouts;
        let ((outbox_max_messages, outbox_max_bytes, window), overflow, message_ttl) = bounds;
        let (resume, plaintext_session, session_max_age, max_resume_failures, asks) = session;
        Config {
            fallback_urls: fallbacks.into_iter().map(str::to_owned).collect(),
            ask_credentials: asks,
            backoff_base: backoff.0,
            backoff_cap: backoff.0 * backoff.1,
            max_attempts,
            max_elapsed,
            jitter,
            stable_after: waits.0,
            connect_floor: waits.1,
            max_retry_after: asked.0,
            close_delays: asked.1.map(|delay| (1013, delay)).into_iter().collect(),
            credentials_timeout: credentials,
            connect_timeout: connect,
            close_timeout: close,
            resume_timeout: gate,
            heartbeat_interval: heartbeat.0,
            heartbeat_timeout: heartbeat.1,
            clock_jump: heartbeat.2,
            can_ping,
            // Only the answer to a Ping proves anything.
            delivery: if can_ping { delivery } else { Delivery::AtMostOnce },
            receipts: if can_ping { receipts } else { Receipts::Written },
            message_ttl,
            resume,
            plaintext_session,
            session_max_age,
            max_resume_failures,
            outbox_max_messages,
            outbox_max_bytes,
            unflushed_max_bytes: window,
            overflow,
            ..Config::new(URL)
        }
    })
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Deed {
    /// Time passes, in microseconds; also backwards.
    Pass(i64),
    /// It is the timer's time, or a little earlier or later; whether the timer fires or not.
    Due {
        off_by: i64,
        fires: bool,
    },
    Connect,
    Disconnect,
    Shutdown(Duration),
    ClearSession,
    ClearOutbox,
    Network(bool),
    /// A message of so many bytes.
    Send {
        bytes: usize,
        ttl: Option<Duration>,
        volatile: bool,
        as_input: bool,
    },
    /// What a host reports of a connection.
    Report(Conn, Report),
    Timer,
    /// The host does what it is there for: opens what is to be opened, flushes what was sent,
    /// answers what was asked, waits for the timer where there is nothing else to do.
    Oblige,
}

#[derive(Clone, Copy, Debug)]
enum Conn {
    /// The live one, or else the latest.
    Live,
    /// One that came so many before.
    Earlier(u64),
    /// One that is yet to come.
    Unborn(u64),
}

#[derive(Clone, Debug)]
enum Report {
    Credentials(Credentials),
    Opened,
    Received(Frame),
    /// The answer to the Ping that is not answered, or else to the latest; or to one that was
    /// answered before, as many before.
    Pong(usize),
    /// So many percent of what was sent; more than that is possible.
    Flushed(u64),
    Closing(CloseReason),
    Closed(CloseReason),
}

fn deed() -> impl Strategy<Value = Deed> {
    let conn = prop_oneof![
        12 => Just(Conn::Live),
        1 => (1..4_u64).prop_map(Conn::Earlier),
        1 => prop_oneof![0..4_u64, Just(u64::MAX)].prop_map(Conn::Unborn),
    ];
    let off_by = prop_oneof![4 => Just(0), 1 => Just(-1), 1 => Just(1), 1 => -9_999..9_999_999_i64];
    let pass = prop_oneof![
        6 => 0..3_000_000_i64,
        2 => -3_000_000..0_i64,
        1 => 0..100_000_000_000_i64,
    ];
    let ttl = proptest::option::weighted(0.25, ms(0..=3_000));
    let volatile = prop_oneof![4 => Just(false), 1 => Just(true)];
    let send = (1..=70_usize, ttl, volatile, any::<bool>());
    prop_oneof![
        4 => pass.prop_map(Deed::Pass),
        6 => (off_by, any::<bool>()).prop_map(|(off_by, fires)| Deed::Due { off_by, fires }),
        4 => Just(Deed::Connect),
        1 => Just(Deed::Disconnect),
        1 => ms(0..=5_000).prop_map(Deed::Shutdown),
        1 => Just(Deed::ClearSession),
        1 => Just(Deed::ClearOutbox),
        2 => any::<bool>().prop_map(Deed::Network),
        8 => send.prop_map(|(bytes, ttl, volatile, as_input)| {
            Deed::Send { bytes, ttl, volatile, as_input }
        }),
        16 => (conn, report()).prop_map(|(conn, report)| Deed::Report(conn, report)),
        1 => Just(Deed::Timer),
        8 => Just(Deed::Oblige),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let text = |text: String| Frame::Text(text.into());
    let init =
        |id: &str| format!(r#"{{"type":"session-init","token":"{TOKEN}","clientId":"{id}"}}"#);
    let frame = prop_oneof![
        2 => Just(text(r#"{"type":"chat","text":"hi"}"#.to_owned())),
        3 => Just(text(init("c"))),
         1 => Just(text(init("d"))),
         1 => Just(text(r#"{"type":"session-init","clientId":"d"}"#.to_owned())),
         1 => Just(text("null".to_owned())),
         1 => Just(text(format!(r#"{{"token":"{TOKEN}""#))),
         1 => Just(Frame::Binary(TOKEN.as_bytes().to_vec().into())),
         1 => Just(Frame::Ping(Vec::new().into())),
         1 => Just(Frame::Pong(Vec::new().into())),
    ];
    let pong = prop_oneof![6 => Just(0), 1 => 0..4_usize];
    prop_oneof![
        2 => credentials().prop_map(Report::Credentials),
        4 => Just(Report::Opened),
        4 => frame.prop_map(Report::Received),
        3 => pong.prop_map(Report::Pong),
        6 => prop_oneof![0..=100_u64, Just(100), Just(u64::MAX)].prop_map(Report::Flushed),
        1 => reason().prop_map(Report::Closing),
        3 => reason().prop_map(Report::Closed),
    ]
}

fn reason() -> impl Strategy<Value = CloseReason> {
    prop_oneof![
        4 => Just(lost()),
        1 => Just(peer(1000)),
        2 => Just(peer(1001)),
        1 => Just(peer(1008)),
        1 => Just(peer(1013)),
        1 => Just(http(401, None)),
        1 => Just(http(503, RetryAfter::Seconds(2))),
        1 => (0..10_u64)
            .prop_map(|at| http(429, RetryAfter::UnixSeconds(UNIX_MS / 1_000 + at))),
        1 => Just(CloseReason::Credentials { text: "none".into() }),
        1 => Just(CloseReason::Requested),
        1 => Just(CloseReason::Protocol { violation: Violation::Masked }),
    ]
}

fn credentials() -> impl Strategy<Value = Credentials> {
    let header = prop_oneof![
        4 => Just(("Authorization", TOKEN)),
        1 => Just(("host", TOKEN)),
        1 => Just(("X", "\r\n")),
    ];
    let header = header.prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    let token = proptest::option::weighted(0.3, Just(TOKEN.to_owned()));
    (vec(header, 0..2), token).prop_map(|(headers, token)| Credentials { headers, token })
}

/// A client, its host, the operating system below, and the peer.
struct World {
    client: Client,
    contract: Contract,
    now: Timestamp,
    story: Vec<Step>,
    /// Messages tried so far; each has its number in it.
    tried: u64,
    /// By their names, from 1.
    accepted: Vec<String>,
    dropped: BTreeSet<String>,
    /// What was handed over on the latest connection, and is not taken yet.
    sending: Vec<(u64, String)>,
    /// What the operating system took, on whatever connection.
    taken: Vec<String>,
    /// All that was handed over on the latest connection.
    handed: Vec<(u64, String)>,
    /// Its Pings.
    pings: Vec<u64>,
    /// What the peer has for certain: it answered a Ping behind it.
    proven: Vec<String>,
    named: u64,
}

impl World {
    fn new(begin: &Begin) -> Self {
        let client = begin.client();
        World {
            contract: Contract::new(&client),
            client,
            now: Timestamp::ZERO,
            story: Vec::new(),
            tried: 0,
            accepted: Vec::new(),
            dropped: BTreeSet::new(),
            sending: Vec::new(),
            taken: Vec::new(),
            handed: Vec::new(),
            pings: Vec::new(),
            proven: Vec::new(),
            named: 0,
        }
    }

    fn run(&mut self, deeds: &[Deed]) -> Result<(), TestCaseError> {
        deeds.iter().try_for_each(|deed| self.step(deed)).map_err(|broken| self.fail(&broken))
    }

    /// The same, for a test that is not about the contract.
    fn go(&mut self, deeds: &[Deed]) {
        deeds.iter().for_each(|deed| _ = self.step(deed));
    }

    fn fail(&self, broken: &str) -> TestCaseError {
        let story: String = self.story.iter().map(|step| format!("{step}\n")).collect();
        let config = serde_json::to_string(self.client.config()).unwrap_or_default();
        TestCaseError::fail(format!("{broken}\n\n{config}\n{story}"))
    }

    fn step(&mut self, deed: &Deed) -> Result<(), String> {
        match deed {
            Deed::Pass(micros) => {
                self.pass(*micros);
                Ok(())
            }
            Deed::Due { off_by, fires } => {
                let Some(due) = self.client.deadline() else { return Ok(()) };
                self.now = due;
                self.pass(*off_by);
                if *fires { self.input(Input::TimerFired) } else { Ok(()) }
            }
            Deed::Connect => self.input(Input::Connect),
            Deed::Disconnect => self.input(Input::Disconnect),
            Deed::Shutdown(within) => self.input(Input::Shutdown { within: *within }),
            Deed::ClearSession => self.input(Input::ClearSession),
            Deed::ClearOutbox => self.input(Input::ClearOutbox),
            Deed::Network(online) => self.input(Input::NetworkChanged { online: *online }),
            Deed::Send { bytes, ttl, volatile, as_input } => {
                self.send(*bytes, *ttl, *volatile, *as_input)
            }
            Deed::Report(conn, report) => {
                let conn = match conn {
                    Conn::Live => ConnId(self.named),
                    Conn::Earlier(back) => ConnId(self.named.saturating_sub(*back)),
                    Conn::Unborn(ahead) => ConnId((self.named + 1).saturating_add(*ahead)),
                };
                self.report(conn, report.clone())
            }
            Deed::Timer => self.input(Input::TimerFired),
            Deed::Oblige => self.oblige(),
        }
    }

    fn report(&mut self, conn: ConnId, report: Report) -> Result<(), String> {
        self.input(match report {
            Report::Credentials(credentials) => Input::Credentials { conn, credentials },
            Report::Opened => Input::Opened { conn },
            Report::Received(payload) => Input::Received { conn, payload },
            Report::Pong(back) => {
                let seq = self.pings.iter().rev().nth(back).copied().unwrap_or(1);
                Input::Received { conn, payload: pong(conn.0, seq) }
            }
            Report::Flushed(u64::MAX) => Input::Flushed { conn, up_to: u64::MAX },
            Report::Flushed(percent) => {
                Input::Flushed { conn, up_to: self.contract.frames() * percent / 100 }
            }
            Report::Closing(reason) => Input::Closing { conn, reason },
            Report::Closed(reason) => Input::Closed { conn, reason },
        })
    }

    fn pass(&mut self, micros: i64) {
        let now = self.now.as_micros().saturating_add_signed(micros);
        self.now = Timestamp::from_micros(now);
    }

    fn oblige(&mut self) -> Result<(), String> {
        let asked = self.contract.unanswered();
        match self.client.state() {
            State::Connecting { conn, stage: Stage::Credentials, .. } => {
                self.input(Input::Credentials { conn, credentials: Credentials::default() })
            }
            State::Connecting { conn, .. } => self.input(Input::Opened { conn }),
            State::Open { conn, resuming: Some(_), .. } => {
                let init = format!(r#"{{"type":"session-init","token":"{TOKEN}"}}"#);
                self.input(Input::Received { conn, payload: Frame::Text(init.into()) })
            }
            State::Open { conn, .. } if !self.sending.is_empty() => {
                self.input(Input::Flushed { conn, up_to: self.contract.frames() })
            }
            State::Open { conn, .. } if asked.is_some() => {
                let payload = pong(conn.0, asked.unwrap_or_default());
                self.input(Input::Received { conn, payload })
            }
            State::Closing { conn, .. } => self.input(Input::Closed { conn, reason: lost() }),
            _ => self.step(&Deed::Due { off_by: 0, fires: true }),
        }
    }

    fn send(
        &mut self,
        bytes: usize,
        ttl: Option<Duration>,
        volatile: bool,
        as_input: bool,
    ) -> Result<(), String> {
        self.tried += 1;
        let text = format!("{:>bytes$}", self.tried);
        let mut message = match self.tried % 4 {
            0 => Outgoing::binary(text),
            _ => Outgoing::from_json(text).expect("a number is JSON"),
        };
        if let Some(ttl) = ttl {
            message = message.with_ttl(ttl);
        }
        if volatile {
            message = message.volatile();
        }
        if as_input {
            return self.input(Input::Send(message));
        }
        let before = self.client.clone();
        let mut out = Actions::new();
        let result = self.client.send_message(self.now, message.clone(), &mut out);
        self.done(&before, Call::Send(message, result), out)
    }

    fn input(&mut self, input: Input) -> Result<(), String> {
        let before = self.client.clone();
        let mut out = Actions::new();
        self.client.handle(self.now, input.clone(), &mut out);
        self.done(&before, Call::Input(input), out)
    }

    /// After each call: keeps the books, and asks the contract.
    fn done(&mut self, before: &Client, call: Call, out: Actions) -> Result<(), String> {
        let live = |conn: ConnId| before.conn() == Some(conn);
        match &call {
            Call::Send(message, Ok(_)) => self.accepted.push(content(message.frame())),
            Call::Input(Input::Send(message)) => {
                let back =
                    |action| matches!(action, &Action::Emit(Event::Dropped { id: None, .. }));
                if !out.iter().any(back) {
                    self.accepted.push(content(message.frame()));
                }
            }
            Call::Input(Input::Flushed { conn, up_to }) if live(*conn) => self.take(*up_to),
            Call::Input(Input::Received { conn, payload }) if live(*conn) => {
                let is_answer = |seq: &&u64| *payload == pong(conn.0, **seq);
                if let Some(seq) = self.pings.iter().find(is_answer).copied() {
                    self.take(seq);
                    let before = self.handed.iter().take_while(|(own, _)| *own < seq);
                    self.proven.extend(before.map(|(_, text)| text.clone()));
                }
            }
            _ => {}
        }
        let mut verdict = Ok(());
        for action in &out {
            match action {
                Action::AskCredentials { conn, .. } | Action::Open { conn, .. } => {
                    self.named = conn.0;
                    self.sending.clear();
                    self.handed.clear();
                    self.pings.clear();
                }
                Action::Send { seq, payload: Frame::Ping(_), .. } => self.pings.push(*seq),
                Action::Send { seq, payload, .. } if !content(payload).contains("resume") => {
                    self.sending.push((*seq, content(payload)));
                    self.handed.push((*seq, content(payload)));
                }
                Action::Emit(event) => verdict = verdict.and(self.believe(event)),
                _ => {}
            }
        }
        let step = Step { at: self.now, call, actions: out.into() };
        verdict = verdict.and(self.contract.check(before, &self.client, &step));
        self.story.push(step);
        verdict
    }

    /// The operating system has every frame up to this one.
    fn take(&mut self, up_to: u64) {
        let taken = self.sending.iter().take_while(|(seq, _)| *seq <= up_to).count();
        self.taken.extend(self.sending.drain(..taken).map(|(_, text)| text));
    }

    /// What the client says of messages is true.
    fn believe(&mut self, event: &Event) -> Result<(), String> {
        let (from, to, where_) = match event {
            Event::Dropped { frame, .. } => {
                self.dropped.insert(content(frame));
                return Ok(());
            }
            Event::Written { from, to } | Event::InDoubt { from, to, .. } => {
                (from, to, &self.taken)
            }
            Event::Received { from, to } => (from, to, &self.proven),
            _ => return Ok(()),
        };
        let range = from.0.checked_sub(1).map(|first| first as usize..to.0 as usize);
        let Some(named) = range.and_then(|range| self.accepted.get(range)) else {
            return Err(format!("{event:?} names what never was"));
        };
        let lie = named.iter().find(|text| !where_.contains(text) && !self.dropped.contains(*text));
        lie.map_or(Ok(()), |text| Err(format!("{event:?} is not true of {text}")))
    }

    /// From here on all goes well.
    fn deliver(&mut self) -> Result<(), TestCaseError> {
        let wanted = [Deed::Network(true), Deed::Connect, Deed::Oblige];
        for _ in 0..60 {
            if self.client.outbox_len() == 0 {
                break;
            }
            self.run(&wanted)?;
        }
        let mut right = self.accepted.clone();
        right.retain(|text| !self.dropped.contains(text));
        let mut arrived = match self.client.config().delivery {
            Delivery::AtLeastOnce => self.proven.clone(),
            _ => self.taken.clone(),
        };
        if self.client.config().delivery == Delivery::AtLeastOnce {
            // What counts is the first time; and what was given up may have arrived.
            let mut seen = BTreeSet::new();
            arrived.retain(|text| seen.insert(text.clone()) && right.contains(text));
        }
        if arrived != right {
            return Err(self.fail(&format!("{arrived:?} arrived, of {right:?}")));
        }
        Ok(())
    }
}

/// What a message says, whatever its kind.
fn content(frame: &Frame) -> String {
    match frame {
        Frame::Binary(data) => String::from_utf8_lossy(data).into_owned(),
        other => other.as_text().unwrap_or_default().to_owned(),
    }
}

/// Makes the same call of another client.
fn repeat(client: &mut Client, step: &Step) -> Vec<Action> {
    let mut out = Actions::new();
    match &step.call {
        Call::Input(input) => client.handle(step.at, input.clone(), &mut out),
        Call::Send(message, result) => {
            let again = client.send_message(step.at, message.clone(), &mut out);
            assert_eq!(again, *result);
        }
    }
    out.into()
}
