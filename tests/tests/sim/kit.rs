//! The test kit itself: its gateway, its hosts and its connections do what its documentation says.

use std::time::Duration;

use hermes_proto::testkit::{ConnectResponse, Fault, NodeId, Sim};
use hermes_proto::{Config, Event, State};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

fn pair(latency_ms: u64) -> (Sim, NodeId) {
    let mut sim = Sim::new(1);
    let node = sim.add(Config::new("ws://gateway.test/")).expect("the settings are valid");
    sim.conditions(node).latency = Duration::from_millis(latency_ms);
    sim.connect(node);
    sim.run_for(5 * SECOND);
    (sim, node)
}

fn clients(sim: &mut Sim) -> Vec<String> {
    sim.gateway().clients().map(str::to_owned).collect()
}

fn is_open(sim: &Sim, node: NodeId) -> bool {
    matches!(sim.endpoint(node).client().state(), State::Open { .. })
}

/// With a round trip beyond the grace, the gateway has issued a fresh session before the
/// `session-resume` arrives. The fresh client is gone then.
#[test]
fn a_late_resume_leaves_no_phantom() {
    let (mut sim, node) = pair(200);
    let other = sim.add(Config::new("ws://gateway.test/")).expect("the settings are valid");
    sim.connect(other);
    sim.run_for(5 * SECOND);
    sim.take_events(other);
    sim.inject(node, Fault::Reset);
    sim.run_for(10 * SECOND);
    assert!(is_open(&sim, node));
    assert_eq!(sim.gateway().sessions_resumed(), 1);
    // The client is told the same: the session that it offered was resumed.
    assert_eq!(sim.endpoint(node).client().stats().resumed, 1);
    assert_eq!(clients(&mut sim), ["client-1", "client-2"]);
    assert!(!sim.gateway().send_to("client-3", "{}"));
    // The others saw each client that joined leave, but for the one that is there.
    let events: Vec<String> = sim
        .events(other)
        .iter()
        .filter_map(|(_, event)| match event {
            Event::PlayerJoined(joined) => Some(format!("+{}", joined.json().as_str())),
            Event::PlayerLeft(left) => Some(format!("-{}", left.json().as_str())),
            _ => None,
        })
        .collect();
    let count = |sign: char, id: &str| {
        events.iter().filter(|event| event.starts_with(sign) && event.contains(id)).count()
    };
    assert_eq!((count('+', "client-3"), count('-', "client-3")), (1, 1), "{events:?}");
    assert_eq!((count('+', "client-1"), count('-', "client-1")), (1, 1), "{events:?}");
}

#[test]
fn a_long_grace_lets_a_late_resume_come_first() {
    let (mut sim, node) = pair(200);
    sim.gateway().behaviour.resume_grace = SECOND;
    sim.inject(node, Fault::Reset);
    sim.run_for(10 * SECOND);
    let gateway = sim.gateway();
    assert_eq!((gateway.sessions_issued(), gateway.sessions_resumed()), (1, 1));
}

#[test]
fn a_client_that_is_back_before_its_old_connection_ended_is_there() {
    let (mut sim, node) = pair(20);
    sim.inject(node, Fault::HalfOpen);
    sim.run_for(50 * SECOND);
    assert!(is_open(&sim, node));
    assert_eq!(clients(&mut sim), ["client-1"]);
    assert!(sim.gateway().send_to("client-1", r#"{"type":"chat","text":"hi","sender":"g"}"#));
    // The end of the old connection is no end of the client.
    sim.run_for(120 * SECOND);
    assert_eq!(clients(&mut sim), ["client-1"]);
}

#[test]
fn a_host_that_sleeps_does_nothing() {
    let (mut sim, node) = pair(20);
    sim.gateway().behaviour.accept = ConnectResponse::Refuse;
    sim.inject(node, Fault::Reset);
    sim.run_for(SECOND);
    let attempts = sim.endpoint(node).client().stats().attempts;
    sim.take_events(node);
    sim.sleep(node, 100 * SECOND);
    sim.run_for(99 * SECOND);
    assert_eq!(sim.events(node), [], "it sleeps");
    assert_eq!(sim.endpoint(node).client().stats().attempts, attempts);
    sim.run_for(2 * SECOND);
    assert!(sim.endpoint(node).client().stats().attempts > attempts, "it is awake");
}

/// The gateway gives up a connection of which nothing arrives any more.
#[test]
fn the_gateways_side_of_a_dead_link_ends() {
    let (mut sim, node) = pair(20);
    sim.inject(node, Fault::HalfOpen);
    sim.disconnect(node);
    sim.run_for(10 * SECOND);
    assert_eq!(sim.endpoint(node).client().state(), State::Idle);
    assert_eq!(clients(&mut sim), ["client-1"], "the gateway does not know yet");
    sim.run_for(60 * SECOND);
    assert_eq!(clients(&mut sim), [""; 0]);
}

#[test]
fn a_gateway_that_does_not_resume_issues_a_session_each_time() {
    let (mut sim, node) = pair(20);
    sim.gateway().behaviour.resumes = false;
    sim.inject(node, Fault::Reset);
    sim.run_for(10 * SECOND);
    let gateway = sim.gateway();
    assert_eq!((gateway.sessions_issued(), gateway.sessions_resumed()), (2, 0));
    assert_eq!(clients(&mut sim), ["client-2"]);
}

#[test]
fn chats_of_both_names_are_relayed_and_echoed_if_told_to() {
    let (mut sim, node) = pair(20);
    let other = sim.add(Config::new("ws://gateway.test/")).expect("the settings are valid");
    sim.connect(other);
    sim.run_for(SECOND);
    let chats = |sim: &Sim, node| {
        sim.events(node).iter().filter(|(_, event)| matches!(event, Event::Chat(_))).count()
    };
    for (number, kind) in [(1, "chat"), (2, "chat-message")] {
        sim.send(node, &json!({"type": kind, "text": "hi"})).expect("the outbox has room");
        sim.run_for(SECOND);
        assert_eq!((chats(&sim, other), chats(&sim, node)), (number, 0), "{kind}");
    }
    sim.gateway().behaviour.echoes = true;
    sim.send(node, &json!({"type": "chat", "text": "hi"})).expect("the outbox has room");
    sim.run_for(SECOND);
    assert_eq!((chats(&sim, other), chats(&sim, node)), (3, 1));
}

/// FIN: the gateway's bytes in transit arrive, the endpoint's do not.
#[test]
fn a_fin_loses_the_endpoints_bytes_in_transit() {
    let (mut sim, node) = pair(20);
    sim.gateway().broadcast(r#"{"type":"chat","text":"hi","sender":"g"}"#);
    sim.send(node, &json!({"type": "note"})).expect("the outbox has room");
    // The gateway's text leaves with the next step.
    sim.run_for(Duration::ZERO);
    sim.inject(node, Fault::Fin);
    sim.disconnect(node);
    sim.run_for(10 * SECOND);
    assert_eq!(sim.gateway().received().len(), 0);
    let names: Vec<&str> = sim.events(node).iter().map(|(_, event)| event.name()).collect();
    assert!(
        names.ends_with(&["chat-message", "messages-in-doubt", "ws-disconnected"]),
        "{names:?}"
    );
}
