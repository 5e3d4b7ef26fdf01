//! Who takes part, and what they do: settings, networks, applications, and the gateway's moods.

use std::time::Duration;

use hermes_proto::testkit::{Conditions, ConnectResponse, Fault, NodeId, PongMode, Sim};
use hermes_proto::{
    Config, Delivery, Jitter, Outgoing, OverflowPolicy, PlaintextPolicy, Receipts, ResumeMode,
    SendError, State,
};
use hermes_tests::Rng as Dice;
use hermes_tests::URL;

use crate::ledger::Ledger;

/// What the gateway is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Bad,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Any settings that make sense.
pub(crate) fn config(dice: &mut Dice) -> Config {
    // A browser can't ping. Who can't, or does not, never learns that a link is dead.
    let can_ping = !dice.chance(5);
    let (delivery, receipts) = match can_ping {
        false => (Delivery::AtMostOnce, Receipts::None),
        true => (
            *dice.pick(&[Delivery::AtMostOnce, Delivery::AtLeastOnce]),
            *dice.pick(&[Receipts::None, Receipts::Written, Receipts::Acknowledged]),
        ),
    };
    let (base, cap) =
        *dice.pick(&[(300, 10_000), (1_000, 1_000), (1_000, 30_000), (3_000, 60_000)]);
    let heartbeat = *dice.pick(&[10_000, 25_000, 60_000, 240_000, 600_000]);
    Config {
        jitter: *dice.pick(&[Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated]),
        backoff_base: ms(base),
        backoff_cap: ms(cap),
        max_attempts: *dice.pick(&[None, None, Some(10), Some(3)]),
        max_elapsed: *dice.pick(&[None, None, None, Some(ms(120_000))]),
        stable_after: ms(*dice.pick(&[0, 1_000, 1_000, 5_000, 5_000, 5_000])),
        min_connect_interval: ms(*dice.pick(&[1, 500, 500])),
        max_retry_after: ms(*dice.pick(&[10_000, 120_000])),
        ask_credentials: dice.chance(10),
        connect_timeout: ms(*dice.pick(&[3_000, 15_000])),
        upgrade_timeout: ms(*dice.pick(&[2_000, 10_000])),
        close_timeout: ms(*dice.pick(&[500, 5_000])),
        heartbeat_interval: (!dice.chance(5)).then_some(ms(heartbeat)),
        heartbeat_timeout: ms(*dice.pick(&[3_000, 10_000])),
        can_ping,
        delivery,
        receipts,
        message_ttl: *dice.pick(&[None, None, None, Some(ms(30_000))]),
        resume: *dice.pick(&[ResumeMode::Optimistic, ResumeMode::Wait]),
        resume_timeout: ms(*dice.pick(&[2_000, 10_000])),
        session_max_age: *dice.pick(&[None, Some(ms(600_000)), Some(ms(30 * 86_400_000))]),
        max_resume_failures: *dice.pick(&[None, Some(2), Some(5)]),
        plaintext_session: *dice.pick(&[
            PlaintextPolicy::Allow,
            PlaintextPolicy::Allow,
            PlaintextPolicy::Warn,
            PlaintextPolicy::Refuse,
        ]),
        outbox_max_messages: *dice.pick(&[5, 100, 10_000]),
        outbox_max_bytes: *dice.pick(&[2_000, 1 << 20]),
        overflow: *dice.pick(&[
            OverflowPolicy::Refuse,
            OverflowPolicy::DropOldest,
            OverflowPolicy::DropNewest,
        ]),
        unflushed_max_bytes: *dice.pick(&[1, 200, 64 << 10]),
        max_redirects: *dice.pick(&[0, 1, 5]),
        fallback_urls: match dice.below(5) {
            0 => vec!["wss://other.test/".into(), "ws://third.test/".into()],
            _ => Vec::new(),
        },
        ..Config::new(URL)
    }
}

/// Any network.
pub(crate) fn conditions(config: &Config, dice: &mut Dice) -> Conditions {
    let mut faults = vec![
        Fault::Reset,
        Fault::HalfClose,
        Fault::Stall(ms(90_000)),
        Fault::Stall(ms(3_000)),
        Fault::ResetAfterSent(500),
        Fault::ResetAfterSent(50),
        Fault::ResetAfterReceived(300),
    ];
    if notices_silence(config) {
        faults.extend([Fault::HalfOpen, Fault::Mute]);
    }
    let is_near = dice.chance(50);
    let (latencies, jitters, buffers): (&[u64], &[u64], &[usize]) = match is_near {
        true => (&[0, 1, 5], &[0, 2], &[20, 60, 64 << 10]),
        // A narrow buffer holds up every round trip.
        false => (&[20, 150, 400], &[0, 5, 300], &[64 << 10]),
    };
    let (read_most, write_most) = (few(dice), few(dice));
    Conditions {
        latency: ms(*dice.pick(latencies)),
        jitter: ms(*dice.pick(jitters)),
        read_most,
        // Each write may be held up for a latency. Byte by byte over a slow link an upgrade would
        // take longer than its timeout, however often it is tried.
        write_most: if is_near { write_most } else { write_most.max(50) },
        send_buffer: *dice.pick(buffers),
        receive_buffer: *dice.pick(buffers),
        refused: *dice.pick(&[0, 10]) as u8,
        lost: *dice.pick(&[0, 10]) as u8,
        fault_every: *dice.pick(&[None, Some(ms(30_000)), Some(ms(120_000)), Some(ms(900_000))]),
        faults,
        anomaly_percent: *dice.pick(&[0, 2, 5]) as u8,
        ..Conditions::default()
    }
}

/// Byte by byte is slow; one in ten has it so.
fn few(dice: &mut Dice) -> usize {
    match dice.below(10) {
        0 => 1,
        1..4 => 50,
        _ => 64 << 10,
    }
}

fn notices_silence(config: &Config) -> bool {
    config.can_ping && config.heartbeat_interval.is_some()
}

/// What an application does. Returns whether it connects right afterwards.
pub(crate) fn do_something(
    sim: &mut Sim,
    node: NodeId,
    ledger: &mut Ledger,
    dice: &mut Dice,
) -> bool {
    let now = sim.now();
    let state = sim.endpoint(node).client().state();
    match dice.below(100) {
        // Back to normal.
        _ if ledger.is_offline() => {
            ledger.network(true);
            sim.network_changed(node, true);
        }
        _ if matches!(state, State::Idle | State::Failed { .. }) => return true,
        0..2 => {
            ledger.disconnects(now);
            sim.disconnect(node);
            return dice.chance(50);
        }
        2..4 => {
            let within = ms(*dice.pick(&[1, 1_000, 20_000]));
            ledger.shuts_down(now, within, sim.endpoint(node).client());
            sim.shutdown(node, within);
        }
        4..6 => {
            ledger.network(false);
            sim.network_changed(node, false);
        }
        6..8 => {
            ledger.network(true);
            sim.network_changed(node, true);
        }
        8..10 => return true,
        10 => sim.clear_outbox(node),
        11 => {
            ledger.clears_session();
            sim.clear_session(node);
        }
        12..14 => {
            let duration = ms(*dice.pick(&[50, 4_000, 60_000]));
            ledger.sleeps_until(now + duration);
            sim.sleep(node, duration);
        }
        14..17 => {
            let faults = sim.conditions(node).faults.clone();
            sim.inject(node, *dice.pick(&faults));
        }
        _ => {
            for _ in 0..*dice.pick(&[1, 1, 1, 3, 12]) {
                send(sim, node, ledger, dice);
            }
        }
    }
    false
}

pub(crate) fn connect(sim: &mut Sim, node: NodeId, ledger: &mut Ledger, _: &mut Dice) {
    ledger.connects(sim.endpoint(node).client());
    sim.connect(node);
}

fn send(sim: &mut Sim, node: NodeId, ledger: &mut Ledger, dice: &mut Dice) {
    let id = ledger.next_id();
    let kind = *dice.pick(&["note", "note", "chat"]);
    let pad = "x".repeat(*dice.pick(&[0, 0, 40, 400]));
    let text = format!(r#"{{"type":"{kind}","from":{},"n":{id},"pad":"{pad}"}}"#, node.0);
    let mut message = Outgoing::from_json(text).expect("it is JSON");
    if dice.chance(10) {
        message = message.with_ttl(ms(*dice.pick(&[0, 1, 5_000])));
    }
    if dice.chance(10) {
        message = message.volatile();
    }
    match sim.send_message(node, message) {
        Ok(given) => ledger.accepted(given),
        Err(SendError::Full(_) | SendError::NotNow(_) | SendError::ShuttingDown(_)) => {}
        Err(other) => panic!("{other}"),
    }
}

/// Who sent a message, and under which name.
pub(crate) fn read(text: &str) -> (usize, u64) {
    let number = |name: &str| {
        let rest = text.split_once(name)?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let read = (number(r#""from":"#), number(r#""n":"#));
    let (Some(from), Some(id)) = read else { panic!("nobody sent {text}") };
    (from as usize, id)
}

/// The gateway does something else.
pub(crate) fn change_mood(sim: &mut Sim, mood: Mood, dice: &mut Dice) -> Mood {
    let relays = sim.gateway().behaviour.relays;
    be_good(sim, relays);
    let gateway = sim.gateway();
    if mood == Mood::Bad {
        return Mood::Good;
    }
    let behaviour = &mut gateway.behaviour;
    match dice.below(20) {
        0 => behaviour.accept = ConnectResponse::Refuse,
        1 => behaviour.accept = ConnectResponse::Ignore,
        2 => behaviour.accept = ConnectResponse::Status { code: 503, retry_after: Some(30) },
        3 => {
            behaviour.accept =
                ConnectResponse::Status { code: *dice.pick(&[401, 429, 500]), retry_after: None }
        }
        4 => behaviour.accept = ConnectResponse::EndAfterUpgrade,
        5 => behaviour.accept = ConnectResponse::Close(*dice.pick(&[1000, 1008, 1012, 1013, 4000])),
        6 => behaviour.accept = ConnectResponse::NotHttp,
        7 => behaviour.reads = false,
        8 => behaviour.answers = false,
        9 => behaviour.pongs = PongMode::Never,
        10 => behaviour.resumes = false,
        11 | 12 => behaviour.byzantine = true,
        13 => gateway.flood(40),
        14 => gateway.close(*dice.pick(&[1000, 1001, 1008, 1012, 4321])),
        15 => gateway.reset_all(),
        16 | 17 => {
            let code = *dice.pick(&[301, 302, 307, 308]);
            // Another path, another origin, further and further, nowhere.
            let to = ["/elsewhere", "ws://elsewhere.test/", "further/", "mailto:nobody"];
            let to = dice.pick(&to);
            behaviour.accept = ConnectResponse::Redirect { code, to: (*to).to_owned() };
        }
        _ => gateway.restart(dice.chance(50)),
    }
    // What it does at once hits those who are there; the door those who come.
    if gateway.behaviour.accept != ConnectResponse::Yes && dice.chance(70) {
        gateway.reset_all();
    }
    Mood::Bad
}

/// The gateway behaves.
pub(crate) fn be_good(sim: &mut Sim, relays: bool) {
    sim.gateway().behaviour = hermes_proto::testkit::Behaviour { relays, ..Default::default() };
}

/// An endpoint's network behaves.
pub(crate) fn settle(sim: &mut Sim, node: NodeId, ledger: &mut Ledger, _: &mut Dice) {
    let conditions = sim.conditions(node);
    (conditions.fault_every, conditions.refused, conditions.lost) = (None, 0, 0);
    ledger.network(true);
    sim.network_changed(node, true);
    if !notices_silence(ledger.config()) {
        sim.inject(node, Fault::Reset);
    }
}
