//! Arbitrary histories: any command, anything a host may report of any connection, in any order,
//! on a clock that jumps and runs backwards. Each call is checked against the
//! [`Contract`](hermes_tests::Contract).
//!
//! A failing case is shrunk, printed as a trace, and kept as a line `cc <seed>` in
//! `properties.proptest-regressions`; each run tries the kept ones first. To replay a
//! case from elsewhere, put its `cc` line into that file. `PROPTEST_CASES=100000` searches longer,
//! and `PROPTEST_RNG_SEED=<number>` makes a whole run repeatable.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use hermes_proto::reason::{RetryAfter, Violation};
use hermes_proto::{
    Action, Actions, Client, CloseReason, Config, Credentials, Delivery, Event, Frame, Jitter,
    OverflowPolicy, PlaintextPolicy, Receipts, ResumeMode,
};
use hermes_tests::model::{Conn, ModelHost, Op, Report, Setup, StoreReport, TOKEN};
use hermes_tests::{Call, Step, UNIX_MS, URL, http, lost, peer, redirect};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/client/properties.proptest-regressions"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_contract_holds(start in starts(), ops in vec(op(), 1..70)) {
        let mut host = ModelHost::new(&start);
        host.run(&ops).map_err(TestCaseError::fail)?;
    }

    /// And every message arrives in order, but for those that were dropped: once, or where it is
    /// kept until it is proven to have arrived, at least once.
    #[test]
    fn whatever_happens_a_patient_host_delivers(start in starts(), ops in vec(op(), 1..70)) {
        let mut host = ModelHost::new(&start);
        host.run(&ops).map_err(TestCaseError::fail)?;
        host.deliver().map_err(TestCaseError::fail)?;
    }

    /// With a store that works a part at a time, fails, and outlives the process at any moment: what
    /// was durable comes back, and what came back arrives.
    #[test]
    fn whatever_crashes_what_was_durable_arrives(
        start in durable_starts(),
        ops in vec(durable_op(), 1..90),
    ) {
        let mut host = ModelHost::new(&start);
        host.run(&ops).map_err(TestCaseError::fail)?;
        host.deliver().map_err(TestCaseError::fail)?;
    }

    /// The same settings, seed and inputs: the same actions. A clone goes on like the original.
    #[test]
    fn whatever_happens_it_would_happen_again(
        start in starts(),
        before in vec(op(), 1..40),
        after in vec(op(), 1..40),
    ) {
        let mut host = ModelHost::new(&start);
        host.go(&before);
        let (half, mut clone) = (host.history.len(), host.client.clone());
        host.go(&after);

        let mut again = start.client();
        for (index, step) in host.history.iter().enumerate() {
            prop_assert_eq!(&repeat(&mut again, step), &step.actions, "again: {}", step);
            if index >= half {
                prop_assert_eq!(&repeat(&mut clone, step), &step.actions, "cloned: {}", step);
            }
        }
        prop_assert_eq!(&again, &host.client);
        prop_assert_eq!(&clone, &host.client);
    }

    #[test]
    fn whatever_happens_the_token_is_withheld(start in starts(), ops in vec(op(), 1..40)) {
        let mut host = ModelHost::new(&start);
        host.go(&ops);
        let debug = format!("{:?} {:?}", host.client, host.history);
        prop_assert!(!debug.contains(TOKEN), "{}", debug);
    }
}

/// The histories are worth it: each event and each kind of ending happens in some.
#[test]
fn everything_happens() {
    let mut seen = BTreeMap::<String, u32>::new();
    let mut see = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
    let histories = (starts(), vec(op(), 120));
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let (start, ops) = histories.new_tree(&mut runner).expect("nothing is rejected").current();
        let mut host = ModelHost::new(&start);
        host.go(&ops);
        for action in host.history.iter().flat_map(|step| &step.actions) {
            match action {
                Action::Emit(Event::Disconnected { reason, .. }) => match reason {
                    CloseReason::Http { redirect: Some(redirect), .. } => match redirect.refused {
                        None => see("a redirect"),
                        Some(why) => see(&format!("no redirect: {why}")),
                    },
                    reason => see(&reason.to_string()),
                },
                Action::Emit(Event::Failed { why, .. }) => see(&why.to_string()),
                Action::Emit(Event::SessionDropped { reason }) => see(&reason.to_string()),
                Action::Emit(Event::InDoubt { resend, .. }) => see(&format!("in doubt {resend}")),
                Action::AskCredentials { .. } => see("ask-credentials"),
                Action::Open { url, .. } if url.as_str() != URL => see("a fallback"),
                Action::Emit(Event::Dropped { id, reason, .. }) => {
                    see(&format!("{reason} {}", id.is_some()));
                }
                Action::Emit(event) => see(event.name()),
                Action::Send { payload: Frame::Ping(_), .. } => see("ping"),
                Action::Send { payload: Frame::Text(text), .. } if text.contains("resume") => {
                    see("resume");
                }
                _ => {}
            }
        }
    }
    for what in [
        "ws-connected",
        "max_attempts are used up",
        "max_elapsed is used up",
        "a retry would not help",
        "ask-credentials",
        "a fallback",
        "session-init",
        "it is older than session_max_age",
        "it could not be resumed",
        "warning",
        "messages-written",
        "messages-acknowledged",
        "in doubt true",
        "in doubt false",
        "shut-down",
        "chat-message",
        "unhandled",
        "binary",
        "malformed",
        "ping",
        "resume",
        "the outbox is full true",
        "the outbox is full false",
        "the message is larger than outbox_max_bytes false",
        "the message's time to live is over true",
        "a volatile message could not be sent at once false",
        "the connection ended under a volatile message true",
        "the outbox was cleared true",
        "the client is shutting down false",
        "the application disconnected",
        "timed out: no credentials",
        "timed out: no connection",
        "timed out: no session-init",
        "timed out: no byte after a heartbeat",
        "the connection was lost",
        "the gateway closed with code 1001",
        "the gateway closed with code 1013",
        "the gateway answered the upgrade with HTTP status 503, and asks for 2 s",
        "a redirect",
        "no redirect: max_redirects is 0",
    ] {
        assert!(seen.get(what).is_some_and(|times| *times >= 3), "{what}: {seen:#?}");
    }
}

/// Short waits, tight bounds: all that there is to happen happens soon.
fn starts() -> impl Strategy<Value = Setup> {
    let session = prop_oneof![
        1 => Just(None),
        3 => (
            prop_oneof![Just(None), Just(Some("ws://b.test")), Just(Some("wss://other.test"))],
            prop_oneof![Just(None), (0..=20_000_u64).prop_map(Some)],
        )
            .prop_map(Some),
    ];
    (configs(), any::<u8>(), session).prop_map(|(mut config, seed, session)| {
        // Drawn with the seed: the kept cases stay what they are.
        if seed % 4 == 3 {
            config.message_id_member = Some("id".into());
            config.outbox_max_bytes *= 3;
        }
        Setup { config, seed, session }
    })
}

/// Settings with a store. All that it ever has fits into the outbox.
fn durable_starts() -> impl Strategy<Value = Setup> {
    (starts(), ms(1..=3_000)).prop_map(|(mut setup, store_retry)| {
        let config = &mut setup.config;
        (config.delivery, config.can_ping, config.durable) = (Delivery::AtLeastOnce, true, true);
        (config.outbox_max_messages, config.outbox_max_bytes) = (1_000, 1_000_000);
        config.store_retry = store_retry;
        setup
    })
}

fn durable_op() -> impl Strategy<Value = Op> {
    let percent = || prop_oneof![0..=100_usize, Just(100)];
    prop_oneof![
        12 => op(),
        3 => percent().prop_map(|percent| Op::Store(StoreReport::Done(percent))),
        1 => Just(Op::Store(StoreReport::Failed)),
        1 => percent().prop_map(|percent| Op::Store(StoreReport::Crash(percent))),
    ]
}

fn ms(range: RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn off_or<T: Clone + std::fmt::Debug + 'static>(
    some: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![3 => some.prop_map(Some), 1 => Just(None)]
}

fn configs() -> impl Strategy<Value = Config> {
    let waits = (
        (ms(1..=2_000), 1..=30_u32),
        (off_or(0..=3_u32), proptest::option::of(ms(0..=20_000))),
        proptest::sample::select(vec![
            Jitter::None,
            Jitter::Equal,
            Jitter::Full,
            Jitter::Decorrelated,
        ]),
        (ms(0..=3_000), ms(0..=1_500)),
        (ms(0..=3_000), proptest::option::of(ms(0..=4_000))),
        vec(proptest::sample::select(vec!["ws://b.test/", "wss://other.test/", URL]), 0..3),
    );
    let timeouts = (
        (ms(1..=3_000), ms(1..=3_000), ms(1..=3_000), ms(1..=3_000)),
        (off_or(ms(1..=3_000)), ms(1..=2_000), ms(1..=3_000)),
    );
    let bounds = (
        (1..=5_u64, 1..=60_u64, 0..=40_u64),
        proptest::sample::select(vec![
            OverflowPolicy::Refuse,
            OverflowPolicy::DropOldest,
            OverflowPolicy::DropNewest,
        ]),
        proptest::option::weighted(0.2, ms(0..=5_000)),
    );
    let proof = (
        prop_oneof![5 => Just(true), 1 => Just(false)],
        prop_oneof![Just(Delivery::AtMostOnce), Just(Delivery::AtLeastOnce)],
        prop_oneof![Just(Receipts::None), Just(Receipts::Written), Just(Receipts::Acknowledged)],
    );
    let session = (
        prop_oneof![Just(ResumeMode::Optimistic), Just(ResumeMode::Wait)],
        prop_oneof![
            Just(PlaintextPolicy::Allow),
            Just(PlaintextPolicy::Warn),
            Just(PlaintextPolicy::Refuse)
        ],
        off_or(ms(0..=60_000)),
        off_or(1..=2_u32),
        (prop_oneof![2 => Just(false), 1 => Just(true)], 0..=2_u32),
    );
    (waits, timeouts, bounds, proof, session).prop_map(|parts| {
        let (waits, timeouts, bounds, (can_ping, delivery, receipts), session) = parts;
        let (backoff, (max_attempts, max_elapsed), jitter, waits, asked, fallbacks) = waits;
        let ((connect, close, credentials, gate), heartbeat) = timeouts;
        let ((outbox_max_messages, outbox_max_bytes, window), overflow, message_ttl) = bounds;
        let (resume, plaintext_session, session_max_age, max_resume_failures, attempt) = session;
        Config {
            fallback_urls: fallbacks.into_iter().map(Into::into).collect(),
            ask_credentials: attempt.0,
            max_redirects: attempt.1,
            backoff_base: backoff.0,
            backoff_cap: backoff.0 * backoff.1,
            max_attempts,
            max_elapsed,
            jitter,
            stable_after: waits.0,
            min_connect_interval: waits.1,
            max_retry_after: asked.0,
            close_delays: asked.1.map(|delay| (1013, delay)).into_iter().collect(),
            credentials_timeout: credentials,
            connect_timeout: connect,
            close_timeout: close,
            resume_timeout: gate,
            heartbeat_interval: heartbeat.0,
            heartbeat_timeout: heartbeat.1,
            suspend_threshold: heartbeat.2,
            can_ping,
            // Only the answer to a Ping proves anything.
            delivery: if can_ping { delivery } else { Delivery::AtMostOnce },
            receipts: if can_ping { receipts } else { Receipts::Written },
            message_ttl,
            resume,
            plaintext_session,
            session_max_age,
            max_resume_failures,
            outbox_max_messages,
            outbox_max_bytes,
            unflushed_max_bytes: window,
            // A window that these short messages fill.
            in_flight_min_bytes: 1 + window / 2,
            in_flight_first_bytes: 2 * window,
            in_flight_share: 2,
            overflow,
            ..Config::new(URL)
        }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let conn = prop_oneof![
        12 => Just(Conn::Live),
        1 => (1..4_u64).prop_map(Conn::Earlier),
        1 => prop_oneof![0..4_u64, Just(u64::MAX)].prop_map(Conn::Unborn),
    ];
    let off_by = prop_oneof![4 => Just(0), 1 => Just(-1), 1 => Just(1), 1 => -9_999..9_999_999_i64];
    let pass = prop_oneof![
        6 => 0..3_000_000_i64,
        2 => -3_000_000..0_i64,
        1 => 0..100_000_000_000_i64,
    ];
    let ttl = proptest::option::weighted(0.25, ms(0..=3_000));
    let volatile = prop_oneof![4 => Just(false), 1 => Just(true)];
    let send = (1..=70_usize, ttl, volatile, any::<bool>());
    prop_oneof![
        4 => pass.prop_map(Op::Pass),
        6 => (off_by, any::<bool>()).prop_map(|(off_by, fires)| Op::Due { off_by, fires }),
        4 => Just(Op::Connect),
        1 => Just(Op::Disconnect),
        1 => ms(0..=5_000).prop_map(Op::Shutdown),
        1 => Just(Op::ClearSession),
        1 => prop_oneof![Just(None), Just(Some("ws://fallback.test"))].prop_map(Op::SetSession),
        1 => Just(Op::ClearOutbox),
        2 => any::<bool>().prop_map(Op::Network),
        8 => send.prop_map(|(bytes, ttl, volatile, as_input)| {
            Op::Send { bytes, ttl, volatile, as_input }
        }),
        16 => (conn, report()).prop_map(|(conn, report)| Op::Report(conn, report)),
        1 => Just(Op::Timer),
        8 => Just(Op::Cooperate),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let text = |text: String| Frame::Text(text.into());
    let init =
        |id: &str| format!(r#"{{"type":"session-init","token":"{TOKEN}","clientId":"{id}"}}"#);
    let frame = prop_oneof![
        2 => Just(text(r#"{"type":"chat","text":"hi"}"#.to_owned())),
        3 => Just(text(init("c"))),
         1 => Just(text(init("d"))),
         1 => Just(text(r#"{"type":"session-init","clientId":"d"}"#.to_owned())),
         1 => Just(text("null".to_owned())),
         1 => Just(text(format!(r#"{{"token":"{TOKEN}""#))),
         1 => Just(Frame::Binary(TOKEN.as_bytes().to_vec().into())),
         1 => Just(Frame::Ping(Vec::new().into())),
         1 => Just(Frame::Pong(Vec::new().into())),
    ];
    let pong = prop_oneof![6 => Just(0), 1 => 0..4_usize];
    prop_oneof![
        2 => credentials().prop_map(Report::Credentials),
        1 => Just(Report::Postponed),
        4 => Just(Report::Opened),
        4 => frame.prop_map(Report::Received),
        3 => pong.prop_map(Report::Pong),
        6 => prop_oneof![0..=100_u64, Just(100), Just(u64::MAX)].prop_map(Report::Flushed),
        1 => reason().prop_map(Report::Closing),
        3 => reason().prop_map(Report::Closed),
    ]
}

fn reason() -> impl Strategy<Value = CloseReason> {
    prop_oneof![
        4 => Just(lost()),
        1 => Just(peer(1000)),
        2 => Just(peer(1001)),
        1 => Just(peer(1008)),
        1 => Just(peer(1013)),
        1 => Just(http(401, None)),
        1 => Just(http(503, RetryAfter::Seconds(2))),
        1 => (0..10_u64)
            .prop_map(|at| http(429, RetryAfter::UnixSeconds(UNIX_MS / 1_000 + at))),
        3 => prop::sample::select(vec![URL, "ws://other.test/", "wss://gateway.test/"])
            .prop_map(|to| redirect(302, to)),
        1 => Just(CloseReason::Credentials { text: "none".into() }),
        1 => Just(CloseReason::Requested),
        1 => Just(CloseReason::Protocol { violation: Violation::Masked }),
    ]
}

fn credentials() -> impl Strategy<Value = Credentials> {
    let header = prop_oneof![
        4 => Just(("Authorization", TOKEN)),
        1 => Just(("host", TOKEN)),
        1 => Just(("X", "\r\n")),
    ];
    let header = header.prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    let token = proptest::option::weighted(0.3, Just(TOKEN.to_owned()));
    (vec(header, 0..2), token).prop_map(|(headers, token)| Credentials { headers, token })
}

/// Makes the same call of another client.
fn repeat(client: &mut Client, step: &Step) -> Vec<Action> {
    let mut out = Actions::new();
    match &step.call {
        Call::Input(input) => client.handle(step.at, input.clone(), &mut out),
        Call::Send(message, result) => {
            let again = client.send_message(step.at, message.clone(), &mut out);
            assert_eq!(again, *result);
        }
    }
    out.into()
}
