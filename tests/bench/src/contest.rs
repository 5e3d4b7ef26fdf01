//! Who is how fast: time in rounds that take turns, and instructions as Valgrind counts them.

use std::process::Command;
use std::time::{Duration, Instant};

/// Somebody who can do the work.
pub struct Contender {
    name: String,
    /// Shows that it does the work, or panics.
    check: Box<dyn Fn()>,
    /// Makes what does it, again and again.
    start: Box<dyn Fn() -> Box<dyn FnMut()>>,
}

impl Contender {
    pub fn new(
        name: impl Into<String>,
        check: impl Fn() + 'static,
        start: impl Fn() -> Box<dyn FnMut()> + 'static,
    ) -> Self {
        Contender { name: name.into(), check: Box::new(check), start: Box::new(start) }
    }
}

/// One work, and those who do it; all are measured against the first.
pub struct Contest {
    pub name: String,
    /// Messages in one round.
    pub messages: u64,
    pub contenders: Vec<Contender>,
}

/// For how long each contest is timed.
const TIME: Duration = Duration::from_secs(8);

/// Holds the contests. Arguments: a part of a contest's name leaves out the others; `--time` and
/// `--instructions` leave out the other measure.
pub fn main(contests: &[Contest]) {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["--work", contest, contender, rounds] = *args {
        return work(contests, contest, contender, rounds.parse().expect("a number"));
    }
    let is_wanted = |what: &str| {
        args.contains(&what) || !args.iter().any(|arg| matches!(*arg, "--time" | "--instructions"))
    };
    let names: Vec<&&str> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    for contest in contests {
        if !names.is_empty() && !names.iter().any(|name| contest.name.contains(**name)) {
            continue;
        }
        contest.contenders.iter().for_each(|contender| (contender.check)());
        println!("\n{}\n", contest.name);
        println!("| | time | ns | instructions | |\n| --- | --- | --- | --- | --- |");
        let times = is_wanted("--time").then(|| time(contest));
        let counts = is_wanted("--instructions").then(|| count(contest)).flatten();
        let cells = |values: &Option<Vec<(f64, f64)>>, index: usize| match values {
            Some(values) => format!("{:.2} | {:.0}", values[index].0, values[index].1),
            None => " | ".into(),
        };
        for (index, contender) in contest.contenders.iter().enumerate() {
            println!(
                "| {} | {} | {} |",
                contender.name,
                cells(&times, index),
                cells(&counts, index)
            );
        }
    }
}

/// The ratio to the first, and nanoseconds a message: medians over rounds in which all take turns,
/// so that what else the machine has to do concerns all alike.
fn time(contest: &Contest) -> Vec<(f64, f64)> {
    let mut works: Vec<_> =
        contest.contenders.iter().map(|contender| (contender.start)()).collect();
    works.iter_mut().for_each(|work| work());
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < TIME || rounds.len() < 50 {
        let mut round = vec![0.0; works.len()];
        for turn in 0..works.len() {
            let index = (turn + rounds.len()) % works.len();
            let start = Instant::now();
            works[index]();
            round[index] = start.elapsed().as_nanos() as f64 / contest.messages as f64;
        }
        rounds.push(round);
    }
    let of = |value: &dyn Fn(&Vec<f64>) -> f64| median(rounds.iter().map(value).collect());
    (0..works.len())
        .map(|index| (of(&|round| round[index] / round[0]), of(&|round| round[index])))
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The ratio to the first, and instructions a message: what more rounds cost more. `None` where
/// there is no Valgrind.
fn count(contest: &Contest) -> Option<Vec<(f64, f64)>> {
    const FEW: u64 = 2;
    const MANY: u64 = 6;
    let mut counts = Vec::new();
    for contender in &contest.contenders {
        let few = instructions(contest, contender, FEW)?;
        let many = instructions(contest, contender, MANY)?;
        counts.push((many - few) as f64 / ((MANY - FEW) * contest.messages) as f64);
    }
    Some(counts.iter().map(|count| (count / counts[0], *count)).collect())
}

/// Runs this program under Valgrind.
fn instructions(contest: &Contest, contender: &Contender, rounds: u64) -> Option<u64> {
    let program = std::env::current_exe().expect("a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // Valgrind counts every byte that a `rep movsb` copies; a processor copies 64 at once.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=4611686018427387904")
        .arg(program)
        .args(["--work", &contest.name, &contender.name, &rounds.to_string()])
        .output();
    let Ok(output) = output else {
        eprintln!("no instructions are counted: there is no valgrind");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    let counted = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, counted) = counted.unwrap_or_else(|| panic!("valgrind says: {text}"));
    Some(counted.trim().parse().expect("a number"))
}

fn work(contests: &[Contest], contest: &str, contender: &str, rounds: u64) {
    let is_it = |other: &&Contest| other.name == contest;
    let contest = contests.iter().find(is_it).expect("a contest of that name");
    let is_it = |other: &&Contender| other.name == contender;
    let contender = contest.contenders.iter().find(is_it).expect("a contender of that name");
    let mut work = (contender.start)();
    for _ in 0..rounds {
        work();
    }
}
