//! `hermes connect` as a process, through a proxy that cuts the link every so many bytes: by FIN, by
//! RST, by silence and by half a close. No connection lives longer than a window or two.

use serde_json::Value;

use super::*;

/// Of some 60 bytes each.
const LINES: u64 = 20_000;

/// From the end of input to the exit, at most. It takes some 5 s at 20 KB: of 80 connections a quarter
/// fall silent, each of which is found dead after [`SILENCE`].
const DRAIN: Duration = Duration::from_secs(60);

/// The heartbeat's interval and timeout, in milliseconds.
const SILENCE: [&str; 2] = ["heartbeat_interval_ms=100", "heartbeat_timeout_ms=200"];

/// Bytes between cuts, on average.
const SHORT: u64 = 20_000;
const LONG: u64 = 200_000;

#[test]
fn at_least_once_every_20_kb_loses_nothing_and_doubles_little() {
    let figures = Case { mean_bytes: SHORT, args: AT_LEAST_ONCE, gateway: &[] }.run();
    figures.check_nothing_lost();
    figures.check_doubled_at_most(15);
}

#[test]
fn at_least_once_every_200_kb_loses_nothing_and_doubles_little() {
    let figures = Case { mean_bytes: LONG, args: AT_LEAST_ONCE, gateway: &[] }.run();
    figures.check_nothing_lost();
    figures.check_doubled_at_most(5);
}

#[test]
fn at_most_once_every_20_kb_names_each_message_that_did_not_arrive() {
    Case { mean_bytes: SHORT, args: AT_MOST_ONCE, gateway: &[] }.run().check_lost_are_named();
}

#[test]
fn at_most_once_every_200_kb_names_each_message_that_did_not_arrive() {
    Case { mean_bytes: LONG, args: AT_MOST_ONCE, gateway: &[] }.run().check_lost_are_named();
}

/// Identity at the client and memory at the gateway make it exactly once.
#[test]
fn with_identity_and_dedupe_every_message_arrives_exactly_once() {
    let args = [AT_LEAST_ONCE, &["--message-id", "id"]].concat();
    for mean_bytes in [SHORT, LONG] {
        let case = Case { mean_bytes, args: &args, gateway: &["--dedupe", "id"] };
        let figures = case.run();
        figures.check_nothing_lost();
        figures.check_doubled_at_most(0);
    }
}

const AT_LEAST_ONCE: &[&str] = &["--set", "delivery=at-least-once"];
const AT_MOST_ONCE: &[&str] = &["--set", "delivery=at-most-once"];

struct Case<'a> {
    mean_bytes: u64,
    args: &'a [&'a str],
    gateway: &'a [&'a str],
}

/// Fate of the lines, by the gateway's log, the client's events and its exit code.
struct Figures {
    /// Arrivals of each line.
    seen: Vec<u64>,
    /// Named by an event: in doubt and not sent again, or dropped.
    named: BTreeSet<u64>,
    unsent: u64,
    connections: u64,
    drained_in: Duration,
    code: Option<i32>,
    last_words: String,
}

impl Case<'_> {
    fn run(&self) -> Figures {
        let seed = chaos::seed();
        let gateway = Gateway::start_with(|command| {
            command.args(self.gateway);
        });
        let chaos = Chaos::cutting(seed, self.mean_bytes, gateway.target());
        let mut child = self.client(&chaos.url());
        let events = read_lines(child.stdout.take().unwrap());
        let words = read_lines(child.stderr.take().unwrap());
        let writing = write_lines(child.stdin.take().unwrap());
        let code = wait_or_kill(&mut child);
        let drained_in = writing.join().unwrap().map_or(PATIENCE, |end| end.elapsed());
        let events = events.join().unwrap();
        let words = words.join().unwrap();
        let faults = end(chaos, &gateway);
        let mut figures = Figures {
            seen: vec![0; LINES as usize + 1],
            named: BTreeSet::new(),
            unsent: 0,
            connections: 0,
            drained_in,
            code,
            last_words: words.last().cloned().unwrap_or_default(),
        };
        events.iter().for_each(|event| figures.note(event));
        gateway.messages().iter().for_each(|(_, n)| figures.seen[*n as usize] += 1);
        figures.print(self, &faults);
        figures
    }

    fn client(&self, url: &str) -> Child {
        let fast = [
            "backoff_base_ms=5",
            "backoff_cap_ms=20",
            "max_attempts=null",
            "max_resume_failures=null",
            "connect_timeout_ms=500",
            "upgrade_timeout_ms=500",
        ];
        let drain = DRAIN.as_millis().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
        command.args(["connect", url, "--shutdown-timeout", &drain]).args(self.args);
        command.args(fast.iter().chain(&SILENCE).flat_map(|setting| ["--set", setting]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }
}

impl Figures {
    fn note(&mut self, line: &str) {
        let event: Value = serde_json::from_str(line).unwrap();
        let detail = &event["detail"];
        match event["event"].as_str() {
            Some("ws-connected") => self.connections += 1,
            Some("messages-in-doubt") if detail["resend"] == false => {
                let (from, to) = (detail["from"].as_u64().unwrap(), detail["to"].as_u64().unwrap());
                self.named.extend(from..=to);
            }
            Some("message-dropped") => self.named.extend(detail["id"].as_u64()),
            Some("shut-down") => self.unsent = detail["unsent"].as_u64().unwrap(),
            _ => {}
        }
    }

    fn lost(&self) -> Vec<u64> {
        (1..=LINES).filter(|n| self.seen[*n as usize] == 0).collect()
    }

    fn doubled(&self) -> u64 {
        self.seen.iter().map(|seen| seen.saturating_sub(1)).sum()
    }

    fn print(&self, case: &Case<'_>, faults: &FaultCounts) {
        println!(
            "every {} bytes, {:?}: {} lost, {} doubled ({:.1} %), {} unsent, {} connections, drained in {:.1?}, exit {:?}, {:?}; {:?}",
            case.mean_bytes,
            case.args,
            self.lost().len(),
            self.doubled(),
            self.doubled() as f64 * 100.0 / LINES as f64,
            self.unsent,
            self.connections,
            self.drained_in,
            self.code,
            self.last_words,
            faults.faults,
        );
    }

    fn check_nothing_lost(&self) {
        assert_eq!(self.lost(), [] as [u64; 0]);
        assert_eq!((self.code, self.unsent), (Some(0), 0), "{}", self.last_words);
        self.check_it_was_a_test();
    }

    fn check_doubled_at_most(&self, percent: u64) {
        assert!(self.doubled() * 100 <= percent * LINES, "{} doubled", self.doubled());
    }

    /// Each message that did not arrive is one that an event named, or that was never sent.
    fn check_lost_are_named(&self) {
        let unnamed: Vec<u64> =
            self.lost().into_iter().filter(|n| !self.named.contains(n)).collect();
        assert!(unnamed.len() as u64 <= self.unsent, "{} unnamed: {unnamed:?}", unnamed.len());
        assert_eq!(self.doubled(), 0);
        let is_complete = self.named.is_empty() && self.unsent == 0;
        assert_eq!(self.code, Some(if is_complete { 0 } else { 1 }), "{}", self.last_words);
        if !is_complete {
            let says =
                format!("in doubt: {}; dropped: 0; unsent: {}", self.named.len(), self.unsent);
            assert!(self.last_words.ends_with(&says), "{} and {says}", self.last_words);
        }
        self.check_it_was_a_test();
    }

    fn check_it_was_a_test(&self) {
        assert!(self.connections >= 2, "{} connections", self.connections);
    }
}

/// Returns when the input ended, unless the client ended first.
fn write_lines(mut input: ChildStdin) -> thread::JoinHandle<Option<Instant>> {
    thread::spawn(move || {
        for n in 1..=LINES {
            let line = format!(r#"{{"n":{n},"type":"tick","pad":"{:->25}{n}"}}"#, "");
            writeln!(input, "{line}").ok()?;
        }
        drop(input);
        Some(Instant::now())
    })
}

/// A client that does not end in time is killed, and then has no exit code.
pub(crate) fn wait_or_kill(child: &mut Child) -> Option<i32> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        // Nobody tells when a process ends.
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap().code()
}

pub(crate) fn read_lines(
    from: impl std::io::Read + Send + 'static,
) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).collect())
}
