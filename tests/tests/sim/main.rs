//! The simulation: crowds of endpoints against a gateway that restarts, refuses, byzantine and floods,
//! over links that break at any byte. Virtual time only; every throw of the dice follows from a
//! seed.
//!
//! After every step the contract and the promises of delivery are checked ([`ledger`]). At the end
//! the faults stop, and everything has to come to a good end: everyone connected, everything
//! arrived that had to, every outbox empty, and then a shutdown of all.
//!
//! ```text
//! HERMES_SIM_SEED=7 cargo test -p hermes-tests --test sim     the run with this seed
//! HERMES_SIM_SEEDS=100 cargo test …                           the runs with seeds 1 to 100
//! ```
//!
//! A failing run says its seed, and writes the trace of the endpoint that failed.

mod delivery;
mod fleet;
mod kit;
mod ledger;
mod liveness;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use hermes_proto::Timestamp;
use hermes_proto::testkit::{NodeId, Sim, Step};
use hermes_proto::trace::Checker;
use hermes_tests::Rng as Dice;

use fleet::Mood;
use ledger::Ledger;

/// What is simulated.
struct Scale {
    name: &'static str,
    endpoints: usize,
    /// For how long there are faults.
    time: Duration,
    /// The time between two doings of an application, on average.
    pace: Duration,
    /// The time between two moods of the gateway, on average.
    moods: Duration,
    /// Whether chats go to everyone.
    relays: bool,
    /// The seeds of an ordinary run.
    seeds: RangeInclusive<u64>,
}

const DAY: Scale = Scale {
    name: "a day",
    endpoints: 20,
    time: Duration::from_secs(24 * 3_600),
    pace: Duration::from_secs(300),
    moods: Duration::from_secs(1_200),
    relays: false,
    seeds: 1..=1,
};

const CROWD: Scale = Scale {
    name: "a crowd",
    endpoints: 300,
    time: Duration::from_secs(600),
    pace: Duration::from_secs(15),
    moods: Duration::from_secs(60),
    relays: false,
    seeds: 1..=1,
};

const ROOM: Scale = Scale {
    name: "a room",
    endpoints: 8,
    time: Duration::from_secs(1_800),
    pace: Duration::from_secs(4),
    moods: Duration::from_secs(90),
    relays: true,
    seeds: 1..=3,
};

/// From the last fault until all is well: longer than any silence goes unnoticed, and any wait
/// that was asked for.
const SETTLE: Duration = Duration::from_secs(1_500);

/// Longer than any network takes for a message.
const ROUND_TRIP: Duration = Duration::from_secs(10);

/// How long the shutdown at the end may take.
const FAREWELL: Duration = Duration::from_secs(60);

#[test]
fn a_day() {
    DAY.run();
}

#[test]
fn a_crowd() {
    CROWD.run();
}

#[test]
fn a_room_where_all_talk() {
    ROOM.run();
}

/// The same seed makes the same run, to the byte: the trace that is recorded says so, and so does
/// a replay of it.
#[test]
fn the_same_seed_makes_the_same_run() {
    let scale = Scale { time: Duration::from_secs(600), ..ROOM };
    let trace = |seed| {
        let mut run = Run::new(&scale, seed);
        run.sim.record(NodeId(3));
        run.go().expect("it ends well");
        run.sim.trace(NodeId(3)).expect("it is recorded").to_owned()
    };
    let first = trace(1);
    assert!(first == trace(1), "two runs of one seed differ");
    assert!(first != trace(2), "two seeds make one run");
    let mut checker = Checker::new();
    for line in first.lines() {
        checker.feed(line).unwrap_or_else(|error| panic!("{error}\n{line}"));
    }
    assert!(checker.finish().is_ok_and(|lines| lines > 100));
}

impl Scale {
    fn run(&self) {
        let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
        let seeds = match (number("HERMES_SIM_SEED"), number("HERMES_SIM_SEEDS")) {
            (Some(seed), _) => seed..=seed,
            (None, Some(most)) => 1..=most,
            (None, None) => self.seeds.clone(),
        };
        let (begin, mut total, mut runs) = (Instant::now(), Figures::default(), 0);
        for seed in seeds {
            println!("{}: HERMES_SIM_SEED={seed}", self.name);
            match Run::new(self, seed).go() {
                Ok(figures) => total.add(&figures),
                Err(failure) => self.fail(seed, &failure, begin.elapsed()),
            }
            runs += 1;
        }
        let hours = (self.time + SETTLE).as_secs_f64() / 3_600.0;
        println!(
            "{}: {runs} runs of {} endpoints, {hours:.1} hours each, in {:.1} s of real time: {total}",
            self.name,
            self.endpoints,
            begin.elapsed().as_secs_f64(),
        );
    }

    /// Runs once more, for the trace.
    fn fail(&self, seed: u64, failure: &Failure, after: Duration) -> ! {
        let mut told = format!("{failure}\nafter {after:.1?}; again with HERMES_SIM_SEED={seed}");
        if let Some(node) = failure.node {
            let mut run = Run::new(self, seed);
            run.sim.record(node);
            let _ = run.go();
            let name = format!("sim-{}-{seed}.jsonl", self.name.replace(' ', "-"));
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            let trace = run.sim.trace(node).expect("it is recorded");
            std::fs::write(&file, trace).expect("the trace can be written");
            let file = file.display();
            told.push_str(&format!("\nendpoint {}: hermes replay --check {file}", node.0));
        }
        panic!("{told}");
    }
}

/// What went wrong.
#[derive(Debug)]
struct Failure {
    at: Timestamp,
    node: Option<NodeId>,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "endpoint {} at {:?}: {}", node.0, self.at, self.what),
            None => write!(f, "at {:?}: {}", self.at, self.what),
        }
    }
}

/// What was done.
#[derive(Default)]
struct Figures {
    steps: u64,
    attempts: u64,
    opened: u64,
    accepted: u64,
    acknowledged: u64,
    in_doubt: u64,
    dropped: u64,
    resumed: u64,
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        self.steps += other.steps;
        self.attempts += other.attempts;
        self.opened += other.opened;
        self.accepted += other.accepted;
        self.acknowledged += other.acknowledged;
        self.in_doubt += other.in_doubt;
        self.dropped += other.dropped;
        self.resumed += other.resumed;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps, {} attempts, {} connections ({} resumed), {} messages ({} proven, {} in \
             doubt, {} dropped)",
            self.steps,
            self.attempts,
            self.opened,
            self.resumed,
            self.accepted,
            self.acknowledged,
            self.in_doubt,
            self.dropped
        )
    }
}

/// One run.
struct Run<'a> {
    scale: &'a Scale,
    sim: Sim,
    dice: Dice,
    ledgers: Vec<Ledger>,
    /// When applications do something next; and, as number `endpoints`, the gateway.
    agenda: BTreeSet<(Timestamp, usize)>,
    mood: Mood,
    steps: u64,
}

impl<'a> Run<'a> {
    fn new(scale: &'a Scale, seed: u64) -> Self {
        let mut run = Run {
            scale,
            sim: Sim::new(seed),
            dice: Dice::new(seed),
            ledgers: Vec::new(),
            agenda: BTreeSet::new(),
            mood: Mood::Good,
            steps: 0,
        };
        for number in 0..scale.endpoints {
            let config = fleet::config(&mut run.dice);
            let node = run.sim.add(config.clone()).expect("the settings are fine");
            *run.sim.conditions(node) = fleet::conditions(&config, &mut run.dice);
            run.ledgers.push(Ledger::new(config));
            run.plan(scale.pace, number);
        }
        run.plan(scale.moods, scale.endpoints);
        run.sim.gateway().behaviour.relays = scale.relays;
        run
    }

    fn go(&mut self) -> Result<Figures, Failure> {
        for number in 0..self.scale.endpoints {
            self.with(number, fleet::connect)?;
        }
        self.trouble()?;
        self.settle()?;
        self.farewell()?;
        Ok(self.figures())
    }

    /// Anything may happen.
    fn trouble(&mut self) -> Result<(), Failure> {
        let end = self.sim.now() + self.scale.time;
        while let Some((at, number)) = self.agenda.pop_first().filter(|(at, _)| *at < end) {
            self.pass_until(at)?;
            if number == self.scale.endpoints {
                self.mood = fleet::change_mood(&mut self.sim, self.mood, &mut self.dice);
                let moods = match self.mood {
                    Mood::Good => self.scale.moods,
                    Mood::Bad => self.scale.moods / 4,
                };
                self.plan(moods, number);
            } else {
                if self.with(number, fleet::do_something)? {
                    self.with(number, fleet::connect)?;
                }
                self.plan(self.scale.pace, number);
            }
        }
        self.pass_until(end)
    }

    /// The faults stop. Everyone wants to be connected; everything arrives.
    fn settle(&mut self) -> Result<(), Failure> {
        fleet::be_good(&mut self.sim, self.scale.relays);
        for number in 0..self.scale.endpoints {
            self.with(number, fleet::settle)?;
        }
        // The last attempt of somebody's budget may be lost to the last fault: it is made anew.
        for _ in 0..2 {
            for number in 0..self.scale.endpoints {
                self.with(number, fleet::connect)?;
            }
            self.pass_until(self.sim.now() + SETTLE / 2)?;
        }
        for number in 0..self.scale.endpoints {
            self.with(number, |_, _, _, _| {})?;
            let (node, now) = (NodeId(number), self.sim.now());
            let settled = self.ledgers[number].settled(self.sim.endpoint(node).client(), now);
            settled.map_err(|what| self.failure(Some(node), what))?;
        }
        // Whoever says that it is connected is. An old link may still have to break, since so many
        // bytes have gone over it; then the one after it is called.
        for _ in 0..2 {
            self.sim.gateway().broadcast(ledger::ROLL_CALL);
            self.pass_until(self.sim.now() + ROUND_TRIP)?;
            if (0..self.scale.endpoints)
                .all(|number| self.ledgers[number].heard_roll_call().is_ok())
            {
                break;
            }
            self.pass_until(self.sim.now() + SETTLE / 10)?;
        }
        for number in 0..self.scale.endpoints {
            let heard = self.ledgers[number].heard_roll_call();
            heard.map_err(|what| self.failure(Some(NodeId(number)), what))?;
        }
        Ok(())
    }

    fn farewell(&mut self) -> Result<(), Failure> {
        for number in 0..self.scale.endpoints {
            self.with(number, |sim, node, ledger, _| {
                ledger.shuts_down(sim.now(), FAREWELL, sim.endpoint(node).client());
                sim.shutdown(node, FAREWELL);
            })?;
        }
        self.pass_until(self.sim.now() + 2 * FAREWELL)?;
        for number in 0..self.scale.endpoints {
            let node = NodeId(number);
            let over = self.ledgers[number].over(self.sim.endpoint(node).client());
            over.map_err(|what| self.failure(Some(node), what))?;
        }
        // Nothing is left that could happen: no timer, no connection.
        let end = self.sim.now() + Duration::from_secs(600);
        self.pass_until(end)?;
        match self.sim.step() {
            None => Ok(()),
            Some(step) => Err(self.failure(step.node, "something is left to happen".into())),
        }
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures { steps: self.steps, ..Figures::default() };
        for number in 0..self.scale.endpoints {
            let stats = self.sim.endpoint(NodeId(number)).client().stats();
            figures.attempts += stats.attempts;
            figures.opened += stats.opened;
            figures.accepted += stats.accepted;
            figures.acknowledged += stats.acknowledged;
            figures.in_doubt += stats.in_doubt;
            figures.dropped += stats.dropped.total();
            figures.resumed += stats.resumed;
        }
        figures
    }

    fn pass_until(&mut self, at: Timestamp) -> Result<(), Failure> {
        while let Some(Step { node, .. }) = self.sim.step_until(at) {
            self.steps += 1;
            self.check(node)?;
        }
        Ok(())
    }

    /// Does something about an endpoint, and checks it.
    fn with<T>(
        &mut self,
        number: usize,
        what: impl FnOnce(&mut Sim, NodeId, &mut Ledger, &mut Dice) -> T,
    ) -> Result<T, Failure> {
        let node = NodeId(number);
        let done = what(&mut self.sim, node, &mut self.ledgers[number], &mut self.dice);
        self.check(Some(node))?;
        Ok(done)
    }

    fn check(&mut self, node: Option<NodeId>) -> Result<(), Failure> {
        if let Some(rule) = self.sim.gateway().violations().first() {
            let what = format!("a client broke a rule: {rule}");
            return Err(self.failure(node, what));
        }
        // What the gateway knows, it knew before the endpoint heard of it.
        for message in self.sim.gateway().take_received() {
            let (number, id) = fleet::read(&message.text);
            let node = NodeId(number);
            let client = self.sim.endpoint(node).client();
            let is_live = self.sim.connection(node) == Some(message.connection);
            let seen = self.ledgers[number].seen(id, message.connection, is_live, client);
            seen.map_err(|what| self.failure(Some(node), what))?;
        }
        let Some(node) = node else { return Ok(()) };
        let ledger = &mut self.ledgers[node.0];
        let mut checked = Ok(());
        for (at, event) in self.sim.take_events(node) {
            checked = checked.and_then(|()| ledger.on_event(at, &event));
        }
        let broken = self.sim.broken(node).map_or(Ok(()), |rule| Err(rule.to_owned()));
        let (now, saved) = (self.sim.now(), self.sim.saved(node));
        let checked = checked
            .and(broken)
            .and_then(|()| ledger.check(now, self.sim.endpoint(node).client(), saved));
        checked.map_err(|what| self.failure(Some(node), what))
    }

    fn failure(&self, node: Option<NodeId>, what: String) -> Failure {
        Failure { at: self.sim.now(), node, what }
    }

    /// Plans what somebody does next, after so long on average.
    fn plan(&mut self, average: Duration, number: usize) {
        let micros = self.dice.below(2 * average.as_micros() as usize);
        let at = self.sim.now() + Duration::from_micros(micros as u64);
        self.agenda.insert((at, number));
    }
}
