//! What idling takes, of both contenders at the same time: then the machine is as fast for the one as
//! for the other, which it is not from one run to the next. And the cores take turns.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout};
use std::time::Duration;

use hermes_bench::cores;

use crate::{HEARTBEAT, connect, process, start};

/// How often it is measured, on either core as often as on the other.
const WINDOWS: usize = 24;

/// For how long.
const WINDOW: Duration = HEARTBEAT.saturating_mul(4);

/// Runs both, and compares them.
pub fn compare(clients: usize) {
    let mut bare = Contestant::start("bare", clients);
    // They share cores, so not with the same moments to work in.
    std::thread::sleep(HEARTBEAT / 2);
    let mut hermes = Contestant::start("hermes", clients);
    let cores = cores::two();
    println!("CPU of {clients} idle clients in {WINDOW:?}, with a heartbeat every {HEARTBEAT:?}\n");
    println!("| client on core | bare | hermes | ratio |\n| --- | --- | --- | --- |");
    let mut ratios = [vec![], vec![]];
    for window in 0..WINDOWS {
        let (floor, ours) = (bare.next(), hermes.next());
        let ratio = ours / floor;
        println!("| {} | {floor:.0} ms | {ours:.0} ms | {ratio:.3} |", cores[window % 2]);
        ratios[window % 2].push(ratio);
    }
    for (core, ratios) in cores.into_iter().zip(ratios) {
        let (mean, error) = mean(&ratios);
        println!("client on core {core}: {mean:.3}, standard error {error:.3}");
    }
}

/// One contender, in a process of its own that [watches](watch) itself.
struct Contestant {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Contestant {
    fn start(who: &str, clients: usize) -> Self {
        let (child, says) = process::start(&["idle", who, &clients.to_string()]);
        Contestant { child, says }
    }

    /// What the next window took, in milliseconds.
    fn next(&mut self) -> f64 {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it says so");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // It ends by itself, and its gateway with it.
        let _ = self.child.wait();
    }
}

/// Idles, and says what each window took.
pub fn watch(who: &str, clients: usize) {
    let cores = cores::two();
    let (gateway, mut contender) = start(who, cores);
    connect(&mut *contender, clients);
    for window in 0..WINDOWS {
        cores::bind_to(cores[window % 2]);
        gateway.move_to(cores[(window + 1) % 2]);
        let before = process::cpu_time();
        assert_eq!(contender.idle(WINDOW), clients, "some were lost");
        println!("{}", (process::cpu_time() - before).as_secs_f64() * 1e3);
    }
}

/// The mean, and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}
