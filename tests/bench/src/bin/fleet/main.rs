//! Many idle connections on one thread: what they take, and how they come back.
//!
//! ```console
//! $ cargo run --release --bin fleet -- hermes 5000   # or: bare 5000
//! $ cargo run --release --bin fleet -- idle 5000     # both at the same time
//! ```
//!
//! The gateway is a process of its own, on another core. Both contenders connect to it, are given a
//! session, and send a Ping each heartbeat; then the gateway is killed and started again. `bare` is
//! what the work takes at least: sockets in a `Vec`, one timer queue, bytes that are not even looked
//! at.

mod bare;
mod gateway;
mod hermes;
mod idle;
mod process;

use std::time::Duration;

use hermes_bench::cores;

use crate::process::Gateway;

/// What a contender does, in turn.
pub trait Contender {
    /// Connects them all; returns how many are.
    fn connect(&mut self, clients: usize, patience: Duration) -> usize;
    /// Idles for so long. Returns how many are still connected.
    fn idle(&mut self, time: Duration) -> usize;
    /// Notices that the gateway is gone, waits until it is back and all are connected again.
    /// `back` is called once all have noticed. Returns when each was, counted from then.
    fn come_back(&mut self, back: &mut dyn FnMut()) -> Vec<Duration>;
}

/// How often a client that has nothing to say asks whether the gateway is there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// So many connect at a time.
pub const AT_A_TIME: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["gateway", port] => gateway::run(port.parse().expect("a port")),
        ["idle", clients] => idle::compare(clients.parse().expect("a number")),
        ["idle", who, clients] => idle::watch(who, clients.parse().expect("a number")),
        [who, clients] => measure(who, clients.parse().expect("a number")),
        _ => eprintln!("fleet hermes|bare|idle CLIENTS"),
    }
}

fn measure(who: &str, clients: usize) {
    let cores = cores::two();
    let (mut gateway, mut contender) = start(who, cores);
    let before = process::resident_bytes();
    connect(&mut *contender, clients);
    let each = process::resident_bytes().saturating_sub(before) / clients;
    println!("{who}: {clients} connections, {each} bytes resident each");

    let (cpu, time) = (process::cpu_time(), Duration::from_secs(30));
    assert_eq!(contender.idle(time), clients, "some were lost");
    let share = (process::cpu_time() - cpu).as_secs_f64() / time.as_secs_f64() * 100.0;
    println!("{who}: {share:.2} % of a core, with a heartbeat every {HEARTBEAT:?}");

    let port = gateway.port;
    gateway.kill();
    let mut back = contender.come_back(&mut || gateway = Gateway::start(port, cores[1]));
    back.sort_unstable();
    assert_eq!(back.len(), clients, "some did not come back");
    println!("{who}: back after {:.2} s; by tenths of a second:", back[clients - 1].as_secs_f64());
    let tenths = back.iter().map(|at| at.as_millis() / 100).max().unwrap_or(0);
    for tenth in 0..=tenths {
        let until = back.partition_point(|at| at.as_millis() / 100 <= tenth);
        println!(
            "{:>5.1} s {until:>6} {}",
            (tenth + 1) as f64 / 10.0,
            "#".repeat(60 * until / clients)
        );
    }
}

/// A contender here, and its gateway there.
fn start(who: &str, [here, there]: [usize; 2]) -> (Gateway, Box<dyn Contender>) {
    process::raise_file_limit();
    cores::bind_to(here);
    let gateway = Gateway::start(0, there);
    let port = gateway.port;
    let contender: Box<dyn Contender> = match who {
        "hermes" => Box::new(hermes::Hermes::new(format!("ws://127.0.0.1:{port}/"))),
        "bare" => Box::new(bare::Bare::new(port)),
        other => panic!("nobody knows {other}"),
    };
    (gateway, contender)
}

fn connect(contender: &mut dyn Contender, clients: usize) {
    let connected = contender.connect(clients, Duration::from_secs(120));
    // Two heartbeats, after which what was used to connect is given back.
    let connected = connected.min(contender.idle(HEARTBEAT * 2 + HEARTBEAT / 2));
    assert_eq!(connected, clients, "some were lost");
}
