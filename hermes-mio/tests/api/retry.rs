//! What comes after a failure, and when: what the gateway asks for, what no retry mends, other
//! gateways, another network.

use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::gateway::{Fault, Gateway, ScriptedRetryAfter, Target};
use hermes_mio::proto::reason::Stage;
use hermes_mio::proto::{DropReason, FailReason, ResumeMode};
use hermes_mio::{Client, CloseReason, Config, Event, Outgoing, SendError, State};
use serde_json::json;

fn gateway() -> Gateway {
    Gateway::bind("127.0.0.1:0").unwrap()
}

fn refuse(status: u16, retry_after: impl Into<Option<ScriptedRetryAfter>>) -> Fault {
    Fault::Refuse { status, retry_after: retry_after.into() }
}

/// The reason of the next disconnect, and how long after that the next attempt begins.
fn retry(client: &mut Client) -> (CloseReason, Option<Duration>) {
    let (reason, at) = wait_for(client, |event| match event {
        Event::Disconnected { reason, retry_at, .. } => Some((reason.clone(), *retry_at)),
        _ => None,
    });
    (reason, at.map(|at| at - client.now()))
}

fn session(event: &Event) -> Option<bool> {
    match event {
        Event::SessionInit(init) => Some(init.resumed()),
        _ => None,
    }
}

fn url(event: &Event) -> Option<String> {
    match event {
        Event::Connected { url, .. } => Some(url.as_str().to_owned()),
        _ => None,
    }
}

/// A backoff that no test waits for.
fn patient(url: String) -> Config {
    let hour = Duration::from_secs(3_600);
    Config {
        backoff_base: hour,
        backoff_cap: hour,
        min_connect_interval: Duration::ZERO,
        ..Config::new(url)
    }
}

#[test]
fn the_gateway_says_when_to_come_back() {
    let gateway = gateway();
    gateway.inject(Target::Next, refuse(503, ScriptedRetryAfter::Seconds(1)));
    let mut client = client(config(gateway.url()));
    let begin = Instant::now();
    client.connect();
    let (reason, wait) = retry(&mut client);
    assert!(
        matches!(
            reason,
            CloseReason::Http { status: 503, retry_after: Some(_), redirect: None, body: Some(_) }
        ),
        "{reason:?}"
    );
    let wait = wait.unwrap();
    assert!(wait > Duration::from_millis(900) && wait <= Duration::from_secs(1), "{wait:?}");
    assert!(client.why().contains("which asked for 1 s"), "{}", client.why());
    wait_for(&mut client, connected);
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(gateway.snapshot().accepted, 2);
    disconnect(&mut client);
}

/// By the gateway's own clock, which is a year late here; or else by ours.
#[test]
fn a_date_does_as_well() {
    let gateway = gateway();
    for (asked, least, most) in
        [(ScriptedRetryAfter::Date(100), 99, 100), (ScriptedRetryAfter::Utc(100), 98, 100)]
    {
        gateway.inject(Target::Next, refuse(429, asked));
        let mut client = client(config(gateway.url()));
        client.connect();
        let (_, wait) = retry(&mut client);
        let (wait, least) = (wait.unwrap(), Duration::from_secs(least));
        assert!(wait >= least && wait <= Duration::from_secs(most), "{asked}: {wait:?}");
        disconnect(&mut client);
    }
}

#[test]
fn what_no_retry_mends_is_given_up_at_once() {
    let gateway = gateway();
    gateway.inject(Target::Next, refuse(401, None));
    let mut client = client(config(gateway.url()));
    client.connect();
    client.send(&1).unwrap();
    let events = events_to_the_end(&mut client);
    assert_eq!(names(&events), ["ws-disconnected", "ws-failed"]);
    assert_eq!(events[1], Event::Failed { attempts: 0, why: FailReason::Fatal });
    assert_eq!(client.protocol().outbox_len(), 1);
    assert_eq!(gateway.snapshot().accepted, 1);
    // Until somebody has mended it.
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
}

/// Where one gateway is down there is another one, and a client stays with it. A name that is still
/// looked up holds up nobody else.
#[test]
fn there_are_other_gateways() {
    let (first, second) = (gateway(), gateway());
    let second_url = format!("ws://localhost:{}/", second.addr().port());
    first.pause();
    let mut client = client(Config {
        fallback_urls: vec!["ws://nonexistent.invalid/".into(), second_url.as_str().into()],
        stable_after: Duration::from_millis(1),
        ..config(first.url())
    });
    client.connect();
    assert!(matches!(retry(&mut client).0, CloseReason::Connect { .. }));
    assert!(matches!(retry(&mut client).0, CloseReason::Resolve { .. }));
    assert_eq!(wait_for(&mut client, url), second_url);
    assert!(!wait_for(&mut client, session));

    first.listen().unwrap();
    // Until it counts as stable.
    let at = client.now();
    run_until(&mut client, |client| client.now() - at > Duration::from_millis(5));
    second.inject(Target::Live, Fault::Reset);
    assert!(matches!(retry(&mut client).0, CloseReason::Lost { .. }));
    assert!(wait_for(&mut client, session), "it resumes its session");
    assert_eq!(client.protocol().url().as_str(), second_url);

    // And when that one is gone, it is the first one's turn again.
    drop(second);
    assert_eq!(wait_for(&mut client, url), first.url());
    assert!(!wait_for(&mut client, session), "a session is its own gateway's");
    disconnect(&mut client);
}

#[test]
fn news_of_a_network_end_a_wait() {
    let gateway = gateway();
    gateway.pause();
    let mut client = client(patient(gateway.url()));
    client.connect();
    assert!(retry(&mut client).1.unwrap() > Duration::from_secs(3_000));
    // No network: nothing is tried, however long it takes.
    client.network_changed(false);
    let state = client.protocol().state();
    assert!(matches!(state, State::Waiting { until: None, .. }), "{state:?}");
    assert!(client.why().starts_with("offline"), "{}", client.why());
    gateway.listen().unwrap();
    client.network_changed(true);
    wait_for(&mut client, connected);
    // An open connection is asked whether it still works.
    client.network_changed(true);
    gateway.wait_for(LONG, |counts| counts.pings == 1).unwrap();
    disconnect(&mut client);
}

#[test]
fn a_volatile_message_leaves_at_once_or_not_at_all() {
    let gateway = gateway();
    let mut client = client(at_most_once(gateway.url()));
    let position = |x| Outgoing::new(&json!({"type": "status-update", "x": x})).unwrap().volatile();
    assert_eq!(client.send_message(position(1)), Err(SendError::NotNow(position(1))));
    // A sender learns of it later, as an event.
    client.sender().send_message(position(2)).unwrap();
    match next(&mut client) {
        Event::Dropped { frame, reason: DropReason::NotNow, .. } => {
            assert_eq!(frame, position(2).into_frame());
        }
        other => panic!("{other:?}"),
    }
    client.connect();
    wait_for(&mut client, connected);
    client.send_message(position(3)).unwrap();
    client.sender().send_message(position(4)).unwrap();
    run_until(&mut client, |client| client.protocol().stats().written == 2);
    client.shutdown(LONG);
    assert_eq!(wait_for(&mut client, shut_down), (2, 0, 0));
    let received: Vec<_> = gateway.received().into_iter().map(|message| message.text).collect();
    let sent = [position(3), position(4)];
    assert_eq!(received, sent.each_ref().map(|sent| sent.frame().as_text().unwrap()));
}

/// With `ResumeMode::Wait` nothing goes out before the gateway has answered for the session.
#[test]
fn nothing_goes_before_the_session() {
    let gateway = gateway();
    let mut client = client(Config {
        resume: ResumeMode::Wait,
        resume_timeout: Duration::from_millis(200),
        ..config(gateway.url())
    });
    client.connect();
    assert!(!wait_for(&mut client, session));

    gateway.inject(Target::Next, Fault::IgnoreResume);
    gateway.inject(Target::Live, Fault::Reset);
    wait_for(&mut client, connected);
    client.send(&json!({"type": "chat", "n": 1})).unwrap();
    let state = client.protocol().state();
    assert!(matches!(state, State::Open { resuming: Some(_), .. }), "{state:?}");
    assert_eq!(retry(&mut client).0, CloseReason::Timeout { stage: Stage::Resume });
    assert_eq!((gateway.snapshot().messages, client.protocol().outbox_len()), (0, 1));

    assert!(wait_for(&mut client, session));
    client.shutdown(LONG);
    assert_eq!(wait_for(&mut client, shut_down).1, 0);
    assert_eq!(gateway.snapshot().messages, 1);
}

#[test]
fn a_message_that_waited_for_too_long_is_dropped() {
    let mut client = client(Config {
        message_ttl: Some(Duration::from_millis(30)),
        ..patient("ws://127.0.0.1:1/".to_owned())
    });
    client.send(&1).unwrap();
    client.send_message(Outgoing::new(&2).unwrap().with_ttl(LONG)).unwrap();
    let reason = |event: &Event| match event {
        Event::Dropped { frame, reason, .. } => Some((frame.as_text()?.to_owned(), *reason)),
        _ => None,
    };
    // Though it is not connected, nor about to be.
    assert_eq!(wait_for(&mut client, reason), ("1".to_owned(), DropReason::Expired));
    client.clear_outbox();
    assert_eq!(wait_for(&mut client, reason), ("2".to_owned(), DropReason::Cleared));
    assert_eq!(client.poll(None).unwrap(), None);
    assert_eq!(client.protocol().outbox_len(), 0);
}
