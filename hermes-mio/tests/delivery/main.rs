//! What delivery promises, for real: a gateway process, a hundred thousand numbered messages, and a
//! network in between that fails in every way it can. `HERMES_CHAOS_SEED` is the run's seed.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.
#![cfg(feature = "cli")]

mod audit;
#[path = "../common/chaos/mod.rs"]
mod chaos;
mod cuts;
mod gateway;
mod killed;
mod run;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use audit::ClientReport;
use chaos::{Chaos, FaultCounts, Rng, Target};
use gateway::{Gateway, Log};
use hermes_mio::proto::{
    Action, Actions, Config, Delivery, Endpoint, Event, Input, Jitter, MessageId, Outgoing,
    Receipts, ResumeMode, SendError, Start, Stats, Timestamp, Transmit,
};
use hermes_mio::{Client, Options, Tap};
#[cfg(unix)]
use run::Progress;
use run::Run;
use written::WrittenCheck;

const MESSAGES: u64 = 100_000;

/// Longer than any of this takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Messages that may be on their way at a time: what a fault can bring in doubt.
const WINDOW: u64 = 1_000;

#[test]
fn at_most_once_nothing_is_doubled_and_what_is_in_doubt_is_named() {
    let run = Run::new(Delivery::AtMostOnce);
    let gateway = Gateway::start(None);
    let chaos = run.chaos(48, gateway.target());
    let report = run.send_all(&chaos);
    let counts = end(chaos, &gateway);
    report.check_at_most_once(&gateway);
    report.figures(&run, &counts);
    assert!(counts.total() >= 40, "{counts:?}");
}

#[test]
fn at_least_once_nothing_is_missing_and_every_repeat_was_in_doubt() {
    let run = Run::new(Delivery::AtLeastOnce);
    let gateway = Gateway::start(None);
    let chaos = run.chaos(48, gateway.target());
    let report = run.send_all(&chaos);
    let counts = end(chaos, &gateway);
    report.check_at_least_once(&[&gateway]);
    report.figures(&run, &counts);
    assert!(counts.total() >= 40, "{counts:?}");
}

/// The same in TLS. What it doubles or loses there, records did that were counted wrongly.
#[cfg(feature = "tls")]
mod in_tls {
    use super::*;

    #[test]
    fn at_most_once_holds_in_tls() {
        let files = Certificate::make();
        let run = Run { certificate: Some(files.pem.clone()), ..Run::new(Delivery::AtMostOnce) };
        let gateway = Gateway::start_with(|command| files.show(command));
        let chaos = run.chaos(48, gateway.target());
        let report = run.send_all(&chaos);
        let counts = end(chaos, &gateway);
        report.check_at_most_once(&gateway);
        report.figures(&run, &counts);
        assert!(counts.total() >= 40, "{counts:?}");
    }

    #[test]
    fn at_least_once_holds_in_tls() {
        let files = Certificate::make();
        let run = Run { certificate: Some(files.pem.clone()), ..Run::new(Delivery::AtLeastOnce) };
        let gateway = Gateway::start_with(|command| files.show(command));
        let chaos = run.chaos(48, gateway.target());
        let report = run.send_all(&chaos);
        let counts = end(chaos, &gateway);
        report.check_at_least_once(&[&gateway]);
        report.figures(&run, &counts);
        assert!(counts.total() >= 40, "{counts:?}");
    }

    /// The gateway's, in files.
    struct Certificate {
        pem: String,
        directory: tempfile::TempDir,
    }

    impl Certificate {
        fn make() -> Self {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let directory = tempfile::tempdir().unwrap();
            let pem = made.cert.pem();
            std::fs::write(directory.path().join("cert"), &pem).unwrap();
            std::fs::write(directory.path().join("key"), made.signing_key.serialize_pem()).unwrap();
            Certificate { pem, directory }
        }

        fn show(&self, command: &mut Command) {
            let file = |name| self.directory.path().join(name);
            command.arg("--cert").arg(file("cert")).arg("--key").arg(file("key"));
        }
    }
}

/// `kill -STOP` and `-CONT`: a gateway that seems dead, and is not.
#[cfg(unix)]
mod stopped {
    use super::*;

    #[test]
    fn at_most_once_holds_for_a_gateway_that_is_stopped_and_goes_on() {
        let run = Run::new(Delivery::AtMostOnce);
        let gateway = Gateway::start(None);
        let chaos = run.chaos(12, gateway.target());
        let report = run.send_all_and(&chaos, |progress| stop_and_go(&run, &gateway, progress));
        let counts = end(chaos, &gateway);
        report.check_at_most_once(&gateway);
        report.figures(&run, &counts);
    }

    #[test]
    fn at_least_once_holds_for_a_gateway_that_is_stopped_and_goes_on() {
        let run = Run::new(Delivery::AtLeastOnce);
        let gateway = Gateway::start(None);
        let chaos = run.chaos(12, gateway.target());
        let report = run.send_all_and(&chaos, |progress| stop_and_go(&run, &gateway, progress));
        let counts = end(chaos, &gateway);
        report.check_at_least_once(&[&gateway]);
        report.figures(&run, &counts);
    }

    /// Now for less than the client's patience, now for more.
    fn stop_and_go(run: &Run, gateway: &Gateway, progress: &Progress) {
        let mut rng = Rng::new(run.seed, 2);
        for (k, milestone) in rng.milestones(12, MESSAGES * 98 / 100).into_iter().enumerate() {
            if !progress.wait_for(milestone) {
                return;
            }
            gateway.signal("-STOP");
            thread::sleep(if k % 3 == 0 { rng.millis(450, 900) } else { rng.millis(1, 200) });
            gateway.signal("-CONT");
        }
    }
}

/// `kill -9`, and a new process that has only the sessions of the one before.
///
/// A Pong proves that the endpoint has a message, not that a process had logged it when it was
/// killed. Here it proves both: the proxy passes on what the gateway says only after the gateway's log has
/// shown every message that it had counted by then. Proxy and gateway together are a gateway that
/// writes down what it has before it answers.
#[test]
fn at_least_once_holds_across_gateways_that_are_killed() {
    const KILLS: u64 = 10;
    // A gateway that answers so late has no time for bursts.
    let run = Run { bursts: Vec::new(), ..Run::new(Delivery::AtLeastOnce) };
    let directory = tempfile::tempdir().unwrap();
    let sessions = directory.path().join("sessions.json");
    let gateways = Mutex::new(vec![Gateway::start(Some(&sessions))]);
    let chaos = run.chaos(12, gateways.lock().unwrap()[0].witnessed());
    let report = run.send_all_and(&chaos, |progress| {
        let mut rng = Rng::new(run.seed, 3);
        for milestone in rng.milestones(KILLS, MESSAGES * 98 / 100) {
            if !progress.wait_for(milestone) {
                return;
            }
            thread::sleep(rng.millis(0, 20));
            let mut gateways = gateways.lock().unwrap();
            let last = gateways.last_mut().unwrap();
            // Nobody is there for a while. The proxy is what stays where it was: the port of a dead
            // process could be anybody's.
            chaos.aim(None);
            last.kill();
            thread::sleep(rng.millis(0, 60));
            let next = Gateway::start(Some(&sessions));
            chaos.aim(Some(next.witnessed()));
            gateways.push(next);
        }
    });
    let gateways = gateways.into_inner().unwrap();
    let counts = end(chaos, gateways.last().unwrap());
    assert_eq!(gateways.len() as u64, KILLS + 1);
    report.check_at_least_once(&gateways.iter().collect::<Vec<_>>());
    report.figures(&run, &counts);
    // Two may be killed in a row before the client has found the first.
    assert!(report.stats.resumed >= KILLS / 2, "{:?}", report.stats);
}

/// Ends all links, and waits until the gateway has logged what came on them.
fn end(chaos: Chaos, gateway: &Gateway) -> FaultCounts {
    let counts = chaos.stop();
    // Accepted behind all of the proxy's.
    let mark = std::net::TcpStream::connect(gateway.addr).unwrap();
    let addr = mark.local_addr().unwrap().to_string();
    drop(gateway.news.wait("the last one", |log| log.peers.contains(&addr)));
    drop(mark);
    let all_ended = |log: &Log| log.disconnected == log.peers.len() as u64;
    drop(gateway.news.wait("the end of all links", all_ended));
    counts
}
