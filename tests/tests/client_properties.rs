//! Arbitrary histories: any command, anything a host may report of any connection, in any order,
//! on a clock that jumps and runs backwards. Each call is checked against the [`Contract`].
//!
//! A failing case is shrunk, printed as a trace, and kept as a line `cc <seed>` in
//! `proptest-regressions/client_properties.txt`; each run tries the kept ones first. To replay a
//! case from elsewhere, put its `cc` line into that file. `PROPTEST_CASES=100000` searches longer,
//! and `PROPTEST_RNG_SEED=<number>` makes a whole run repeatable.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::close::Violation;
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, ConnId, Event, Frame, Input, Jitter, Outgoing,
    Overflow, Session, Start, State, Timestamp,
};
use hermes_tests::{Call, Contract, Step, UNIX_MS, URL, lost, peer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/proptest-regressions/client_properties.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_contract_holds(start in starts(), deeds in vec(deed(), 1..70)) {
        let mut world = World::new(&start);
        world.run(&deeds)?;
    }

    /// And every message arrives once and in order, but for those that were dropped.
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
    for _ in 0..50 {
        let (start, deeds) =
            histories.new_tree(&mut runner).expect("nothing is rejected").current();
        let mut world = World::new(&start);
        world.go(&deeds);
        for action in world.story.iter().flat_map(|step| &step.actions) {
            match action {
                Action::Emit(Event::Disconnected { reason, .. }) => see(&reason.to_string()),
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
        "ws-failed",
        "session-init",
        "chat-message",
        "unhandled",
        "malformed",
        "ping",
        "resume",
        "the outbox is full true",
        "the outbox is full false",
        "the message is larger than outbox_max_bytes false",
        "the application disconnected",
        "timed out: no connection",
        "timed out: no byte after a heartbeat",
        "the connection was lost",
        "the gateway closed with code 1001",
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
    /// A session from the last run, and its origin.
    session: Option<Option<&'static str>>,
}

impl Begin {
    fn client(&self) -> Client {
        let session = self.session.map(|origin| Session {
            token: TOKEN.to_owned(),
            client_id: None,
            saved_at: 0,
            origin: origin.map(str::to_owned),
        });
        let start = Start { session, ..Start::new([self.seed; 32], UNIX_MS) };
        Client::new(self.config.clone(), start).expect("the settings are fine")
    }
}

/// Short waits, tight bounds: all that there is to happen happens soon.
fn starts() -> impl Strategy<Value = Begin> {
    let ms = |range: RangeInclusive<u64>| range.prop_map(Duration::from_millis);
    let times = (
        (ms(1..=2_000), 1..=30_u32),
        prop_oneof![3 => (0..=3_u32).prop_map(Some), 1 => Just(None)],
        prop_oneof![Just(Jitter::None), Just(Jitter::Equal), Just(Jitter::Full)],
        ms(0..=3_000),
        (ms(1..=3_000), ms(1..=3_000)),
        (prop_oneof![3 => ms(1..=3_000).prop_map(Some), 1 => Just(None)], ms(1..=2_000)),
    );
    let bounds = (
        (1..=5_usize, 1..=60_usize, 0..=40_usize),
        prop_oneof![Just(Overflow::Refuse), Just(Overflow::DropOldest), Just(Overflow::DropNewest)],
    );
    let session = prop_oneof![Just(None), Just(Some(None)), Just(Some(Some("wss://other.test")))];
    (times, bounds, any::<u8>(), session).prop_map(|(times, bounds, seed, session)| {
        let (backoff, max_attempts, jitter, stable_after, timeouts, heartbeat) = times;
        let ((outbox_max_messages, outbox_max_bytes, unflushed_max_bytes), overflow) = bounds;
        let config = Config {
            backoff_base: backoff.0,
            backoff_cap: backoff.0 * backoff.1,
            max_attempts,
            jitter,
            stable_after,
            connect_timeout: timeouts.0,
            close_timeout: timeouts.1,
            heartbeat_interval: heartbeat.0,
            heartbeat_timeout: heartbeat.1,
            outbox_max_messages,
            outbox_max_bytes,
            unflushed_max_bytes,
            overflow,
            ..Config::new(URL)
        };
        Begin { config, seed, session }
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
    ClearSession,
    /// A message of so many bytes, or no JSON.
    Send {
        bytes: Option<usize>,
        as_input: bool,
    },
    /// What a host reports of a connection.
    Report(Conn, Report),
    Timer,
    /// The host does what it is there for: opens what is to be opened, flushes what was sent, waits
    /// for the timer where there is nothing else to do.
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
    Opened,
    Received(Frame),
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
    let reason = || {
        prop_oneof![
            Just(lost()),
            Just(peer(1000)),
            Just(peer(1001)),
            Just(CloseReason::Requested),
            Just(CloseReason::Protocol { violation: Violation::Masked }),
        ]
    };
    let text = |text: String| Frame::Text(text.into());
    let frame = prop_oneof![
        Just(text(r#"{"type":"chat","text":"hi"}"#.to_owned())),
        Just(text(format!(r#"{{"type":"session-init","token":"{TOKEN}","clientId":"c"}}"#))),
        Just(text("null".to_owned())),
        Just(text(format!(r#"{{"token":"{TOKEN}""#))),
        Just(Frame::Binary(TOKEN.as_bytes().to_vec().into())),
        Just(Frame::Ping(Vec::new().into())),
        Just(Frame::Pong(Vec::new().into())),
    ];
    let report = prop_oneof![
        4 => Just(Report::Opened),
        4 => frame.prop_map(Report::Received),
        6 => prop_oneof![0..=100_u64, Just(100), Just(u64::MAX)].prop_map(Report::Flushed),
        1 => reason().prop_map(Report::Closing),
        3 => reason().prop_map(Report::Closed),
    ];
    let off_by = prop_oneof![4 => Just(0), 1 => Just(-1), 1 => Just(1), 1 => -9_999..9_999_999_i64];
    let pass = prop_oneof![
        6 => 0..3_000_000_i64,
        2 => -3_000_000..0_i64,
        1 => 0..100_000_000_000_i64,
    ];
    let bytes = prop_oneof![12 => (1..=70_usize).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        4 => pass.prop_map(Deed::Pass),
        6 => (off_by, any::<bool>()).prop_map(|(off_by, fires)| Deed::Due { off_by, fires }),
        4 => Just(Deed::Connect),
        1 => Just(Deed::Disconnect),
        1 => Just(Deed::ClearSession),
        8 => (bytes, any::<bool>()).prop_map(|(bytes, as_input)| Deed::Send { bytes, as_input }),
        14 => (conn, report).prop_map(|(conn, report)| Deed::Report(conn, report)),
        1 => Just(Deed::Timer),
        8 => Just(Deed::Oblige),
    ]
}

/// A client, its host, and the operating system below.
struct World {
    client: Client,
    contract: Contract,
    now: Timestamp,
    story: Vec<Step>,
    /// Messages tried so far; each has its number in it.
    tried: u64,
    accepted: Vec<String>,
    dropped: Vec<String>,
    /// What was handed over on the latest connection, and is not taken yet.
    sending: Vec<(u64, String)>,
    /// What the operating system took, on whatever connection.
    taken: Vec<String>,
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
            dropped: Vec::new(),
            sending: Vec::new(),
            taken: Vec::new(),
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
            Deed::ClearSession => self.input(Input::ClearSession),
            Deed::Send { bytes, as_input } => self.send(*bytes, *as_input),
            Deed::Report(conn, report) => {
                let conn = match conn {
                    Conn::Live => ConnId(self.named),
                    Conn::Earlier(back) => ConnId(self.named.saturating_sub(*back)),
                    Conn::Unborn(ahead) => ConnId((self.named + 1).saturating_add(*ahead)),
                };
                self.input(match report.clone() {
                    Report::Opened => Input::Opened { conn },
                    Report::Received(payload) => Input::Received { conn, payload },
                    Report::Flushed(u64::MAX) => Input::Flushed { conn, up_to: u64::MAX },
                    Report::Flushed(percent) => {
                        Input::Flushed { conn, up_to: self.contract.frames() * percent / 100 }
                    }
                    Report::Closing(reason) => Input::Closing { conn, reason },
                    Report::Closed(reason) => Input::Closed { conn, reason },
                })
            }
            Deed::Timer => self.input(Input::TimerFired),
            Deed::Oblige => self.oblige(),
        }
    }

    fn pass(&mut self, micros: i64) {
        let now = self.now.as_micros().saturating_add_signed(micros);
        self.now = Timestamp::from_micros(now);
    }

    fn oblige(&mut self) -> Result<(), String> {
        match self.client.state() {
            State::Connecting { conn } => self.input(Input::Opened { conn }),
            State::Open { conn, .. } if !self.sending.is_empty() => {
                self.input(Input::Flushed { conn, up_to: self.contract.frames() })
            }
            State::Closing { conn } => self.input(Input::Closed { conn, reason: lost() }),
            _ => self.step(&Deed::Due { off_by: 0, fires: true }),
        }
    }

    fn send(&mut self, bytes: Option<usize>, as_input: bool) -> Result<(), String> {
        self.tried += 1;
        let text = match bytes {
            Some(bytes) => format!("{:>bytes$}", self.tried),
            None => format!("no JSON: {}", self.tried),
        };
        if as_input && let Ok(message) = Outgoing::from_json(text.as_str()) {
            return self.input(Input::Send(message));
        }
        let before = self.client.clone();
        let mut out = Actions::new();
        let result = Outgoing::from_json(text.as_str())
            .and_then(|message| self.client.send_message(self.now, message, &mut out));
        self.done(&before, Call::Send(text.into(), result), out)
    }

    fn input(&mut self, input: Input) -> Result<(), String> {
        let before = self.client.clone();
        let mut out = Actions::new();
        self.client.handle(self.now, input.clone(), &mut out);
        self.done(&before, Call::Input(input), out)
    }

    /// After each call: keeps the books, and asks the contract.
    fn done(&mut self, before: &Client, call: Call, out: Actions) -> Result<(), String> {
        match &call {
            Call::Send(text, Ok(_)) => self.accepted.push(text.to_string()),
            Call::Input(Input::Send(message)) => self.accepted.push(message.text().to_string()),
            Call::Input(Input::Flushed { conn, up_to }) if before.conn() == Some(*conn) => {
                let taken = self.sending.iter().take_while(|(seq, _)| seq <= up_to).count();
                self.taken.extend(self.sending.drain(..taken).map(|(_, text)| text));
            }
            _ => {}
        }
        for action in &out {
            match action {
                Action::Open { conn, .. } => {
                    self.named = conn.0;
                    self.sending.clear();
                }
                Action::Send { seq, payload: Frame::Text(text), .. }
                    if !text.contains("resume") =>
                {
                    self.sending.push((*seq, text.to_string()));
                }
                Action::Emit(Event::Dropped { text, .. }) => self.dropped.push(text.to_string()),
                _ => {}
            }
        }
        let step = Step { at: self.now, call, actions: out.into() };
        let verdict = self.contract.check(before, &self.client, &step);
        self.story.push(step);
        verdict
    }

    /// From here on all goes well.
    fn deliver(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..30 {
            if self.client.outbox_len() == 0 {
                break;
            }
            self.step(&Deed::Connect).map_err(|broken| self.fail(&broken))?;
            self.step(&Deed::Oblige).map_err(|broken| self.fail(&broken))?;
        }
        let mut missing = self.accepted.clone();
        missing.retain(|text| !self.dropped.contains(text));
        if self.taken != missing {
            return Err(self.fail(&format!("{:?} arrived, of {missing:?}", self.taken)));
        }
        Ok(())
    }
}

/// Makes the same call of another client.
fn repeat(client: &mut Client, step: &Step) -> Vec<Action> {
    let mut out = Actions::new();
    match &step.call {
        Call::Input(input) => client.handle(step.at, input.clone(), &mut out),
        Call::Send(text, result) => {
            let message = Outgoing::from_json(text.clone());
            let again = message.and_then(|m| client.send_message(step.at, m, &mut out));
            assert_eq!(again, *result);
        }
    }
    out.into()
}
