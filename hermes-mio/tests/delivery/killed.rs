//! `hermes connect --outbox` is killed at random moments (`kill -9`) while messages flow through a
//! proxy that cuts links, to a gateway that drops repetitions. Every message that was reported durable
//! arrives, exactly once as the gateway counts, and in order.
//!
//! `HERMES_KILLS` is the number of kills; default: 12. `HERMES_CHAOS_SEED` is the seed.

use std::path::PathBuf;

use hermes_mio::{FileOutbox, LoadLimits, OutboxStore};
use serde_json::Value;

use super::cuts::{read_lines, wait_or_kill};
use super::*;

/// Bytes between two cuts of a link, on average.
const MEAN_BYTES: u64 = 20_000;

/// Time that a process has at least, and at most, in milliseconds.
const LIFE: (u64, u64) = (10, 250);

#[test]
fn what_was_reported_durable_survives_kills_and_arrives_exactly_once_in_order() {
    let kills = std::env::var("HERMES_KILLS").map_or(12, |kills| kills.parse().unwrap());
    let seed = chaos::seed();
    let gateway = Gateway::start_with(|command| {
        command.args(["--dedupe", "id"]);
    });
    let chaos = Chaos::cutting(seed, MEAN_BYTES, gateway.target());
    let directory = tempfile::tempdir().unwrap();
    let story = Story { outbox: directory.path().join("outbox"), url: chaos.url() };
    let mut rng = Rng::new(seed, 7);
    let mut durable: Vec<Key> = Vec::new();
    let mut restarts_with_messages = 0;
    for run in 1..=kills {
        let (next_id, waiting) = story.look();
        restarts_with_messages += u64::from(waiting > 0);
        let mut process = story.start(run, next_id);
        thread::sleep(rng.millis(LIFE.0, LIFE.1));
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        durable.extend(process.durable());
    }
    // The last one has all the time it needs.
    let mut last = story.start_without_input();
    let code = wait_or_kill(&mut last.child);
    let words = last.words.take().unwrap().join().unwrap();
    let faults = end(chaos, &gateway);
    assert_eq!(code, Some(0), "{words:#?}");
    let log = gateway.news.log.lock().unwrap();
    let arrived: Vec<Key> =
        log.runs.iter().zip(&log.messages).map(|(run, (_, id))| (*id, *run)).collect();
    println!(
        "{kills} kills, {restarts_with_messages} with messages left; {} durable, {} arrived; {:?}",
        durable.len(),
        arrived.len(),
        faults.faults
    );
    check(&durable, &arrived);
    let (_, left) = story.look();
    assert_eq!(left, 0);
    assert!(restarts_with_messages * 4 >= kills, "{restarts_with_messages} of {kills}");
    assert!(durable.len() as u64 >= kills * 10, "{}", durable.len());
}

/// A message: its id, and the run that accepted it. An id that no store ever had may be given twice.
type Key = (u64, u64);

fn check(durable: &[Key], arrived: &[Key]) {
    let mut times: BTreeMap<Key, u64> = BTreeMap::new();
    arrived.iter().for_each(|key| *times.entry(*key).or_default() += 1);
    let lost: Vec<_> = durable.iter().filter(|key| !times.contains_key(key)).collect();
    assert!(lost.is_empty(), "{} lost: {lost:?}", lost.len());
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{} doubled: {doubled:?}", doubled.len());
    let durable: BTreeSet<Key> = durable.iter().copied().collect();
    let in_order: Vec<_> = arrived.iter().filter(|key| durable.contains(key)).collect();
    let place = in_order.windows(2).find(|pair| pair[0].0 >= pair[1].0);
    assert!(place.is_none(), "out of order: {place:?}");
}

struct Story {
    outbox: PathBuf,
    url: String,
}

struct Process {
    child: Child,
    run: u64,
    events: Option<thread::JoinHandle<Vec<String>>>,
    words: Option<thread::JoinHandle<Vec<String>>>,
}

impl Story {
    /// The id of the next message, and the number of messages that wait.
    fn look(&self) -> (u64, usize) {
        let limits = LoadLimits { messages: u64::MAX, bytes: u64::MAX };
        let mut warnings = Vec::new();
        let mut outbox = FileOutbox::new(&self.outbox);
        let loaded = outbox.load("default", MessageId(0), limits, &mut warnings).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        (loaded.next_id.0, loaded.messages.len())
    }

    fn start(&self, run: u64, next_id: u64) -> Process {
        let mut process = self.spawn(run);
        let mut input = process.child.stdin.take().unwrap();
        thread::spawn(move || {
            // Until the process is killed. A message's number is its id.
            (next_id..).try_for_each(|n| {
                writeln!(input, r#"{{"n":{n},"type":"tick","run":{run},"pad":"{:->25}"}}"#, "")
            })
        });
        process
    }

    fn start_without_input(&self) -> Process {
        let mut process = self.spawn(0);
        drop(process.child.stdin.take());
        process
    }

    fn spawn(&self, run: u64) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
        let drain = PATIENCE.as_millis().to_string();
        command.args(["connect", &self.url, "--shutdown-timeout", &drain]);
        command.args(["--receipts", "acknowledged", "--message-id", "id", "--outbox"]);
        command.arg(&self.outbox);
        for setting in [
            "outbox_max_messages=300",
            "heartbeat_interval_ms=100",
            "heartbeat_timeout_ms=200",
            "backoff_base_ms=5",
            "backoff_cap_ms=20",
            "max_attempts=null",
            "max_resume_failures=null",
            "connect_timeout_ms=500",
            "upgrade_timeout_ms=500",
        ] {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let events = Some(read_lines(child.stdout.take().unwrap()));
        let words = Some(read_lines(child.stderr.take().unwrap()));
        Process { child, run, events, words }
    }
}

impl Process {
    /// The messages that it reported durable before its end.
    fn durable(&mut self) -> Vec<Key> {
        let lines = self.events.take().unwrap().join().unwrap();
        // The last line may be torn.
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let durable = events.filter(|event| event["event"] == "messages-durable");
        let ids = durable.flat_map(|event| {
            let end = |name: &str| event["detail"][name].as_u64().unwrap();
            end("from")..=end("to")
        });
        ids.map(|id| (id, self.run)).collect()
    }
}
