//! Every history there is, up to renaming: a breadth-first search over the real machine, with a
//! small alphabet, until no new state appears. Each step is checked against the [`Contract`](hermes_tests::Contract).
//!
//! A state is [`Client::canonicalize`]. That it says all there is to say is checked on the way: in each
//! step the client with its history and the canonical one must come to the same place.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::thread;
use std::time::Duration;

use foldhash::quality::FixedState;
use hermes_proto::reason::Stage;
use hermes_proto::{
    Actions, Client, Config, ConnId, Credentials, Delivery, Frame, Input, Outgoing,
    PlaintextPolicy, Receipts, ResumeMode, Session, Start, Timestamp,
};
use hermes_tests::fuzz::history::{self, Verb};
use hermes_tests::model::{ModelHost, Transitions};
use hermes_tests::{Rng, UNIX_MS, URL, fuzz, http, lost, peer, pong, redirect};

/// Seconds, and few of them, so that there are few differences between deadlines. What is counted
/// is counted to 1, or with `HERMES_EXPLORE=deep`, which takes minutes, to 2.
fn config() -> Config {
    let most = if std::env::var("HERMES_EXPLORE").is_ok_and(|how| how == "deep") { 2 } else { 1 };
    let seconds = Duration::from_secs;
    Config {
        backoff_base: seconds(1),
        backoff_cap: seconds(2),
        max_attempts: Some(most),
        stable_after: seconds(2),
        min_connect_interval: seconds(1),
        connect_timeout: seconds(2),
        close_timeout: seconds(1),
        heartbeat_interval: Some(seconds(2)),
        heartbeat_timeout: seconds(1),
        suspend_threshold: seconds(3),
        close_delays: [(1013, seconds(2))].into(),
        credentials_timeout: seconds(1),
        resume_timeout: seconds(1),
        session_max_age: None,
        max_resume_failures: Some(most),
        plaintext_session: PlaintextPolicy::Allow,
        outbox_max_messages: most.into(),
        unflushed_max_bytes: 1,
        // A window of one message that does not change: what was proven is no part of a state, and
        // few bytes are in flight.
        in_flight_min_bytes: 1,
        in_flight_max_bytes: 1,
        delivery: Delivery::AtMostOnce,
        fence_timeout: seconds(2),
        stall_timeout: seconds(3),
        ..Config::new(URL)
    }
}

/// What a search tries, beside what every one does. All of it at once is too much for one: what
/// follows from one thing has little to do with what follows from another.
#[derive(Clone, Copy, PartialEq)]
enum Topic {
    /// `shutdown`, with time and without, and a second that passes.
    Shutdown,
    /// `network_changed`, and a clock that jumps.
    Network,
    /// Messages that expire, and volatile ones.
    Messages,
    /// `clear_outbox`.
    Clear,
    /// All the ways in which a connection ends, and `min_connect_interval`.
    Ends,
    /// Sessions.
    Session,
    /// Credentials, good and bad, and the stages of an attempt.
    Credentials,
    /// Messages that wait at the host.
    Queued,
    /// Commands, and what a transport reports, when something is due and the timer did not fire.
    /// Bytes that a host has not read.
    Late,
    /// Redirects: to the gateway, another one, and in TLS.
    Redirects,
}

/// What may happen next, whatever happened before.
fn alphabet(node: &Node) -> Vec<Move> {
    let (host, client) = (&node.host, &node.host.client);
    let covers = |topic| node.topics.contains(&topic);
    let mut moves =
        vec![Move::Input(Input::Connect), Move::Input(Input::Disconnect), Move::Send(json("1"))];
    if covers(Topic::Shutdown) {
        moves.push(Move::Input(Input::Shutdown { within: Duration::from_secs(2) }));
        moves.push(Move::Input(Input::Shutdown { within: Duration::ZERO }));
        moves.push(Move::Pass(Duration::from_secs(1)));
    }
    if covers(Topic::Clear) {
        moves.push(Move::Input(Input::ClearOutbox));
    }
    if covers(Topic::Queued) {
        moves.extend([0, 1].map(|messages| Move::Input(Input::Queued { messages })));
    }
    if covers(Topic::Network) {
        moves.push(Move::Input(Input::NetworkChanged { online: false }));
        moves.push(Move::Input(Input::NetworkChanged { online: true }));
    }
    if covers(Topic::Messages) {
        moves.push(Move::Send(json("2").with_ttl(Duration::from_secs(1))));
        moves.push(Move::Send(json("3").volatile()));
    }
    if covers(Topic::Session) && client.session().is_some() {
        moves.push(Move::Input(Input::ClearSession));
    }
    if let Some(due) = client.deadline() {
        let left = due - host.now;
        moves.push(Move::Pass(left));
        if covers(Topic::Network) {
            moves.push(Move::Pass(left + client.config().suspend_threshold));
        }
    }
    if let Some(conn) = client.conn() {
        let received = |payload| Input::Received { conn, payload };
        let text = |text: &str| received(Frame::Text(text.into()));
        let closed = |reason| Input::Closed { conn, reason };
        let mut inputs = vec![
            Input::Opened { conn },
            Input::Postponed { conn },
            closed(lost()),
            Input::Closing { conn, reason: peer(1000) },
            received(Frame::Pong(b"foreign".to_vec().into())),
        ];
        if covers(Topic::Ends) {
            inputs.extend([closed(peer(1008)), closed(peer(1013)), closed(http(401, None))]);
        }
        if covers(Topic::Redirects) {
            let urls = [URL, "ws://other.test/", "wss://gateway.test/"];
            inputs.extend(urls.map(|to| closed(redirect(302, to))));
        }
        if covers(Topic::Session) {
            inputs.push(text(r#"{"type":"session-init","token":"t","clientId":"c"}"#));
        }
        if covers(Topic::Late) {
            inputs.push(Input::Unread { conn });
        }
        if covers(Topic::Credentials) {
            inputs.push(Input::Reached { conn, stage: Stage::Tls });
            let bad = Credentials { headers: vec![("host".into(), "x".into())], token: None };
            inputs.push(Input::Credentials { conn, credentials: Credentials::default() });
            inputs.push(Input::Credentials { conn, credentials: bad });
        }
        inputs.extend(host.unflushed().map(|up_to| Input::Flushed { conn, up_to }));
        inputs.extend(host.latest_ping().map(|seq| received(pong(conn.0, seq))));
        moves.extend(inputs.into_iter().map(Move::Input));
    }
    if covers(Topic::Late)
        && let Some(due) = client.deadline()
    {
        let late = |step: &Move| Some(Move::Late(due - host.now, Box::new(step.clone())));
        let calls = moves.iter().filter(|step| matches!(step, Move::Input(_) | Move::Send(_)));
        moves.extend(calls.filter_map(late).collect::<Vec<_>>());
    }
    moves
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Move {
    Input(Input),
    Send(Outgoing),
    /// Time passes, and the timer fires.
    Pass(Duration),
    /// Time passes, and before the timer fires this happens.
    Late(Duration, Box<Move>),
}

fn json(text: &str) -> Outgoing {
    hermes_tests::json(text.to_owned())
}

/// A client with a history, and what a search tries on it.
#[derive(Clone)]
struct Node {
    host: ModelHost,
    topics: &'static [Topic],
}

impl Node {
    fn new(config: Config, session: Option<Session>, topics: &'static [Topic]) -> Self {
        let start = Start { session, ..Start::new([7; 32], UNIX_MS) };
        let client = Client::new(config, start).expect("the settings are fine");
        Node { host: ModelHost::without_audit(client), topics }
    }

    /// What follows from a move; what is wrong with it, if anything.
    fn after(&self, step: &Move) -> Result<(Node, Transitions), String> {
        let mut node = self.clone();
        let host = &mut node.host;
        let step = match step {
            Move::Late(time, step) => {
                host.now = host.now + *time;
                step
            }
            step => step,
        };
        let verdict = match step {
            Move::Late(..) => unreachable!("a call comes late, and nothing else"),
            Move::Send(message) => host.send_message(message.clone()),
            Move::Input(input) => host.input(input.clone()),
            Move::Pass(time) => {
                host.now = host.now + *time;
                host.input(Input::TimerFired)
            }
        };
        // A history is as long as the search is deep, and there are many.
        let step = host.history.pop().expect("a call was made");
        match verdict {
            Ok(()) => {
                let changes = std::mem::take(&mut node.host.transitions);
                Ok((node, changes))
            }
            Err(broken) => Err(format!("{broken}\n\nbefore: {:#?}\n{step}", self.host.client)),
        }
    }

    /// Nothing that is said of a connection that is not alive changes anything.
    fn ignores_the_dead(&self) {
        let live = self.host.client.conn();
        for conn in [0, 1, u64::MAX].map(ConnId).into_iter().filter(|conn| Some(*conn) != live) {
            for input in [
                Input::Opened { conn },
                Input::Closed { conn, reason: lost() },
                Input::Flushed { conn, up_to: u64::MAX },
            ] {
                let (mut client, mut out) = (self.host.client.clone(), Actions::new());
                client.handle(self.host.now, input.clone(), &mut out);
                assert!(client == self.host.client && out.is_empty(), "{input:?}: {out:?}");
            }
        }
    }

    /// Whether the canonical client comes to the same place by the same move.
    fn check_canonical(&self, step: &Move, after: &Node) -> Result<(), String> {
        let mut canonical = self.host.client.canonicalize();
        // Where `canonicalize` puts the present.
        let now = Timestamp::from_micros(1 << 50);
        let (now, step) = match step {
            Move::Late(time, step) => (now + *time, &**step),
            step => (now, step),
        };
        let live = self.host.client.conn();
        let rename = |conn: ConnId| if Some(conn) == live { ConnId(1) } else { conn };
        let mut out = Actions::new();
        match step {
            Move::Send(message) => {
                let _ = canonical.send_message(now, message.clone(), &mut out);
            }
            Move::Late(..) => unreachable!("a call comes late, and nothing else"),
            Move::Pass(time) => canonical.handle(now + *time, Input::TimerFired, &mut out),
            Move::Input(Input::Opened { conn }) => {
                canonical.handle(now, Input::Opened { conn: rename(*conn) }, &mut out);
            }
            Move::Input(Input::Closed { conn, reason }) => {
                let conn = rename(*conn);
                canonical.handle(now, Input::Closed { conn, reason: reason.clone() }, &mut out);
            }
            // The others name frames, too.
            Move::Input(input) if input.conn().is_none() => {
                canonical.handle(now, input.clone(), &mut out);
            }
            Move::Input(_) => return Ok(()),
        }
        match canonical.canonicalize() == after.host.client.canonicalize() {
            true => Ok(()),
            false => Err(format!(
                "canonicalize() leaves out what matters: after {step:?}\n{:#?}\nis not\n{:#?}",
                canonical.canonicalize(),
                after.host.client.canonicalize()
            )),
        }
    }
}

/// What an exploration found.
#[derive(Default)]
struct Map {
    states: usize,
    transitions: usize,
    depth: usize,
    transitions_seen: Transitions,
}

/// Walks on until nothing new appears.
fn explore(name: &str, begin: Node) -> Map {
    let mut map = Map::default();
    let mut seen = HashSet::new();
    let mut frontier = VecDeque::from([(begin, 0)]);
    seen.insert(fingerprint(&frontier[0].0.host.client.canonicalize()));
    while let Some((node, depth)) = frontier.pop_front() {
        map.states += 1;
        node.ignores_the_dead();
        map.depth = map.depth.max(depth);
        for to_try in alphabet(&node) {
            map.transitions += 1;
            let (next, changes) = match node.after(&to_try) {
                Ok(next) => next,
                Err(broken) => panic!("{name}, {depth} steps from the start: {broken}"),
            };
            // Now and then, for it takes its time.
            if map.transitions.is_multiple_of(16)
                && let Err(broken) = node.check_canonical(&to_try, &next)
            {
                panic!("{name}, {depth} steps from the start: {broken}");
            }
            map.transitions_seen.merge(changes);
            if seen.insert(fingerprint(&next.host.client.canonicalize())) {
                frontier.push_back((next, depth + 1));
            }
        }
    }
    println!("{name}: {} states, {} transitions, depth {}", map.states, map.transitions, map.depth);
    map
}

/// 128 bits in place of a state: two hashes that have nothing to do with each other.
fn fingerprint(client: &Client) -> (u64, u64) {
    let hash = |seed| FixedState::with_seed(seed).hash_one(client);
    (hash(1), hash(2))
}

/// The table in the crate's documentation.
const PHASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hermes-proto/src/client/phases.md");

fn session() -> Option<Session> {
    let origin = Some(hermes_tests::ORIGIN.to_owned());
    Some(Session { token: "t".into(), client_id: Some("c".into()), saved_at: 0, origin })
}

#[test]
fn no_history_breaks_the_contract() {
    let silent = |config| Config { heartbeat_interval: None, ..config };
    let at_least_once =
        || Config { delivery: Delivery::AtLeastOnce, receipts: Receipts::Acknowledged, ..config() };
    let hosts: [(_, _, _, &[Topic]); 17] = [
        ("ends", silent(config()), None, &[Topic::Ends]),
        ("network", silent(config()), None, &[Topic::Network]),
        ("messages", silent(config()), None, &[Topic::Messages, Topic::Clear]),
        (
            "messages, at least once",
            silent(at_least_once()),
            None,
            &[Topic::Messages, Topic::Clear],
        ),
        ("late calls", silent(config()), None, &[Topic::Late]),
        (
            "late calls, at least once",
            silent(at_least_once()),
            None,
            &[Topic::Late, Topic::Shutdown],
        ),
        ("shutdown", silent(config()), None, &[Topic::Shutdown]),
        ("shutdown, at least once", silent(at_least_once()), None, &[Topic::Shutdown]),
        ("heartbeat, at least once", at_least_once(), None, &[]),
        (
            "shutdown with messages at the host",
            silent(config()),
            None,
            &[Topic::Shutdown, Topic::Queued],
        ),
        (
            "shutdown without Pings",
            Config { can_ping: false, receipts: Receipts::Written, ..config() },
            None,
            &[Topic::Shutdown],
        ),
        (
            "shutdown with messages that are cleared, or expire before the timer fires",
            Config { can_ping: false, receipts: Receipts::Written, ..config() },
            None,
            &[Topic::Shutdown, Topic::Messages, Topic::Clear, Topic::Late],
        ),
        (
            "shutdown before the session is resumed",
            silent(Config { resume: ResumeMode::Wait, ..config() }),
            session(),
            &[Topic::Shutdown, Topic::Session, Topic::Clear],
        ),
        (
            "session and credentials",
            silent(Config { resume: ResumeMode::Wait, ask_credentials: true, ..config() }),
            session(),
            &[Topic::Session, Topic::Credentials],
        ),
        (
            "credentials and network",
            silent(Config { ask_credentials: true, ..config() }),
            None,
            &[Topic::Network, Topic::Credentials],
        ),
        (
            "redirects, session and credentials",
            silent(Config { max_redirects: 2, ask_credentials: true, ..config() }),
            session(),
            &[Topic::Session, Topic::Credentials, Topic::Redirects],
        ),
        (
            "two gateways and little time",
            silent(Config {
                fallback_urls: vec!["ws://other.test/".into()],
                max_attempts: None,
                max_elapsed: Some(Duration::from_secs(2)),
                ..config()
            }),
            None,
            &[Topic::Ends],
        ),
    ];
    let mut all = Transitions::default();
    thread::scope(|scope| {
        let searches = hosts.map(|(name, config, session, topics)| {
            scope.spawn(move || explore(name, Node::new(config, session, topics)))
        });
        for search in searches {
            match search.join() {
                Ok(map) => all.merge(map.transitions_seen),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let table = all.table();
    if std::env::var_os("HERMES_BLESS").is_some() {
        std::fs::write(PHASES, &table).expect("the source can be written");
    }
    let documented = std::fs::read_to_string(PHASES).unwrap_or_default();
    assert!(
        documented == table,
        "{PHASES} is not what was seen; HERMES_BLESS=1 writes it:\n{table}"
    );
}

/// The search has a small alphabet. Histories by chance have a large one, and find no other row.
#[test]
fn histories_by_chance_keep_to_the_table() {
    let mut rng = Rng::new(1);
    let mut seen = Transitions::default();
    for n in 0..30_000 {
        let (settings, chores) = ([10, 40, 100][n % 3], [20, 60, 90][n / 3 % 3]);
        let history = history::by_chance(&mut rng, Verb::ALL.len(), settings, chores);
        seen.merge(fuzz::client::transitions(&history));
    }
    let documented = std::fs::read_to_string(PHASES).expect("the table is there");
    let unknown = seen.unknown_to(&documented);
    assert!(unknown.is_empty(), "not in {PHASES}:\n{}", unknown.table());
}
