//! Many clients in one loop.

use std::collections::HashSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::Jitter;
use hermes_mio::{
    CloseReason, Config, EnqueueError, Error, Event, Fleet, FleetOptions, MemberId, Options,
    Outgoing, SendError, State,
};
use serde_json::json;

/// A fleet of so many that have the same settings, all told to connect.
fn connecting(clients: usize, config: Config, options: FleetOptions) -> (Fleet, Vec<MemberId>) {
    let mut fleet = Fleet::new(options).unwrap();
    let config = Arc::new(config);
    let ids: Vec<_> = (0..clients).map(|_| fleet.add(Arc::clone(&config)).unwrap()).collect();
    for id in &ids {
        fleet.get_mut(*id).unwrap().connect();
    }
    (fleet, ids)
}

/// Polls until `done` with what has happened.
fn run(fleet: &mut Fleet, mut done: impl FnMut(&mut Fleet, Option<(MemberId, Event)>) -> bool) {
    let until = Instant::now() + LONG;
    loop {
        let event = fleet.poll(Some(Duration::from_millis(20))).unwrap();
        if done(fleet, event) {
            return;
        }
        assert!(Instant::now() < until, "it never comes: {fleet:?}");
    }
}

/// Polls until so many are connected.
fn until_connected(fleet: &mut Fleet, clients: usize) {
    let mut connected = 0;
    run(fleet, |_, event| {
        match event {
            Some((_, Event::Connected { .. })) => connected += 1,
            Some((id, Event::Disconnected { reason, .. })) => panic!("{id:?}: {reason}"),
            _ => {}
        }
        connected == clients
    });
}

#[test]
fn each_has_its_own_conversation() {
    const MANY: usize = 40;
    let peer = Peer::start(|listener| {
        let sockets: Vec<_> = (0..MANY).map(|_| accept(&listener)).collect();
        for mut socket in sockets {
            let text = read_text(&mut socket);
            send(&mut socket, &text);
            read_close(&mut socket);
        }
    });
    let (mut fleet, ids) = connecting(MANY, config(peer.url()), FleetOptions::default());
    for (index, id) in ids.iter().enumerate() {
        fleet.get_mut(*id).unwrap().send(&json!({"type": "chat", "text": index})).unwrap();
    }
    let mut answered = HashSet::new();
    run(&mut fleet, |fleet, event| {
        let Some((id, event)) = event else { return false };
        if let Some(text) = chat_text(&event) {
            assert_eq!(ids[text.parse::<usize>().unwrap()], id);
            answered.insert(id);
            fleet.get_mut(id).unwrap().disconnect();
        }
        answered.len() == MANY
    });
    // The end of them all is the end of the loop.
    while fleet.poll(None).unwrap().is_some() {}
    assert!(fleet.iter().all(|client| client.protocol().state() == State::Idle));
    peer.join();
}

/// The line: so many at a time, the next when one is through, however long that takes.
#[test]
fn so_many_connect_at_a_time_and_who_waits_is_not_late() {
    const AT_A_TIME: usize = 3;
    const MANY: usize = 10;
    let (open, doors) = mpsc::channel::<()>();
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let peer = Peer::start(move |listener| {
        let mut open = Vec::new();
        for through in 0..MANY {
            // All that may come have come, and nobody else does.
            let at_once = AT_A_TIME.min(MANY - through);
            while open.len() < through + at_once {
                open.push(Some(accept_tcp(&listener)));
            }
            seen.store(open.len() - through, Ordering::SeqCst);
            doors.recv().unwrap();
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "somebody else came");
            listener.set_nonblocking(false).unwrap();
            let stream = open[through].take().unwrap();
            std::mem::forget(tungstenite::accept(stream).unwrap());
        }
    });
    let settings = Config {
        // Shorter than what most of them wait, and long enough for a loaded machine.
        connect_timeout: Duration::from_millis(400),
        upgrade_timeout: LONG,
        ..config(peer.url())
    };
    let options = FleetOptions::default().max_connecting(AT_A_TIME);
    let (mut fleet, ids) = connecting(MANY, settings, options);
    let mut patience = Instant::now() + Duration::from_millis(1_000);
    let mut connected = Vec::new();
    run(&mut fleet, |fleet, event| {
        match event {
            Some((id, Event::Connected { .. })) => {
                connected.push(id);
                patience = Instant::now();
            }
            Some((id, Event::Disconnected { reason, .. })) => panic!("{id:?}: {reason}"),
            _ if most.load(Ordering::SeqCst) > 0 && Instant::now() >= patience => {
                let waiting =
                    fleet.iter().filter(|client| client.why().contains("waits for its turn"));
                let through = connected.len();
                assert_eq!(waiting.count(), (MANY - through).saturating_sub(AT_A_TIME));
                most.store(0, Ordering::SeqCst);
                open.send(()).unwrap();
            }
            _ => {}
        }
        connected.len() == MANY
    });
    assert_eq!(connected, ids, "in the order of their coming");
    peer.join();
}

/// Who leaves the line, or the fleet, takes nobody's turn.
#[test]
fn a_turn_is_given_back() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let options = FleetOptions::default().max_connecting(1);
    let (mut fleet, ids) = connecting(5, config(url), options);
    let begun = |fleet: &Fleet| -> Vec<usize> {
        let waits = |id| {
            let client = fleet.get(id)?;
            let is_connecting = matches!(client.protocol().state(), State::Connecting { .. });
            Some(is_connecting && !client.why().contains("turn"))
        };
        (0..ids.len()).filter(|index| waits(ids[*index]) == Some(true)).collect()
    };
    let turn = |fleet: &mut Fleet| while fleet.poll(Some(Duration::ZERO)).unwrap().is_some() {};
    turn(&mut fleet);
    assert_eq!(begun(&fleet), [0]);
    assert!(fleet.poll(Some(Duration::from_secs(1))).unwrap().is_none());

    // One that waits goes away, and then the one whose turn it is.
    fleet.get_mut(ids[1]).unwrap().disconnect();
    fleet.get_mut(ids[0]).unwrap().disconnect();
    turn(&mut fleet);
    assert_eq!(begun(&fleet), [2]);
    // Who has waited has all the time that there is.
    let client = fleet.get(ids[2]).unwrap();
    let State::Connecting { deadline, .. } = client.protocol().state() else {
        panic!("{client:?}")
    };
    let left = deadline - client.now();
    assert!(
        left > client.protocol().config().connect_timeout - Duration::from_millis(500),
        "{left:?}"
    );
    assert!(fleet.remove(ids[3]).is_some());
    assert!(fleet.remove(ids[2]).is_some());
    turn(&mut fleet);
    assert_eq!(begun(&fleet), [4]);
    // It asks again at the end of the line.
    fleet.get_mut(ids[0]).unwrap().connect();
    turn(&mut fleet);
    assert_eq!(begun(&fleet), [4]);
    assert!(fleet.remove(ids[4]).is_some());
    turn(&mut fleet);
    assert_eq!(begun(&fleet), [0]);
}

/// What is left of a client, and of its name.
#[test]
fn a_removed_client_hands_its_messages_back() {
    let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
    let id = fleet.add(Config::new("ws://127.0.0.1:1/")).unwrap();
    fleet.get_mut(id).unwrap().send(&json!({"type": "chat", "text": "kept"})).unwrap();
    let sender = fleet.get(id).unwrap().sender();
    sender.send(&json!("queued")).unwrap();
    sender.send(&json!("too")).unwrap();

    let mut left = fleet.remove(id).unwrap();
    let gone = sender.send(&json!("late")).unwrap_err();
    assert!(matches!(gone, EnqueueError::Gone(_)), "{gone}");
    assert_eq!(left.queued(), 2);
    let queued: Vec<_> = left.take_queued().into_iter().collect();
    let message = |text| Outgoing::new(&json!(text)).unwrap();
    assert_eq!((queued, left.queued()), (vec![message("queued"), message("too")], 0));
    let texts: Vec<_> = left.protocol().outbox().map(|(_, frame)| format!("{frame:?}")).collect();
    assert!(texts.len() == 1 && left.protocol().outbox_bytes() > 0, "{texts:?}");
    drop(left);
    assert!(sender.send(&1).is_err(), "nobody is there");

    let next = fleet.add(Config::new("ws://127.0.0.1:1/")).unwrap();
    assert_ne!(id, next);
    assert!(fleet.get(id).is_none() && fleet.get_mut(id).is_none() && fleet.remove(id).is_none());
    assert_eq!((fleet.len(), fleet.iter().count()), (1, 1));
}

/// The sum of all is the gateway's to bear: those that lost it together don't come back together.
#[test]
fn waits_are_spread_unless_somebody_says_otherwise() {
    let delays = |options: FleetOptions, jitter: Jitter| -> HashSet<u64> {
        let hour = Duration::from_secs(3_600);
        let settings = Config {
            jitter,
            backoff_base: hour,
            backoff_cap: hour,
            ..Config::new("ws://127.0.0.1:1/")
        };
        let (mut fleet, ids) = connecting(8, settings, options);
        let mut delays = Vec::new();
        run(&mut fleet, |fleet, event| {
            if let Some((id, Event::Disconnected { retry_at: Some(at), .. })) = event {
                // In minutes: an hour, less what a busy machine took.
                let left = at - fleet.get(id).unwrap().now();
                delays.push(left.as_secs() / 60);
                fleet.get_mut(id).unwrap().disconnect();
            }
            delays.len() == ids.len()
        });
        delays.into_iter().collect()
    };
    assert!(delays(FleetOptions::default(), Jitter::None).len() > 2);
    assert!(delays(FleetOptions::default().jitter(Jitter::None), Jitter::Full).len() > 2);
    assert!(delays(FleetOptions::default().jitter(Jitter::None), Jitter::None).len() <= 2);
}

/// One lookup for all that want to know the same, by the same resolver.
#[test]
fn a_name_is_looked_up_once_for_all() {
    const MANY: usize = 12;
    let peer = Peer::start(|listener| {
        let sockets: Vec<_> = (0..MANY).map(|_| accept(&listener)).collect();
        sockets.into_iter().for_each(|mut socket| read_close(&mut socket));
    });
    let (asked, answers) = (Arc::new(AtomicUsize::new(0)), peer.addr);
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let count = Arc::clone(&asked);
    let template = Options::new(config(format!("ws://gateway.test:{}/", answers.port()))).resolver(
        move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            gate.lock().unwrap().recv().unwrap();
            Ok(vec![answers])
        },
    );
    let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
    let ids: Vec<_> = (0..MANY).map(|_| fleet.add(template.for_sibling()).unwrap()).collect();
    ids.iter().for_each(|id| fleet.get_mut(*id).unwrap().connect());
    go.send(()).unwrap();
    until_connected(&mut fleet, MANY);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    ids.iter().for_each(|id| fleet.get_mut(*id).unwrap().disconnect());
    while fleet.poll(None).unwrap().is_some() {}
    peer.join();
}

/// A gateway that floods one client does not silence the others.
#[test]
fn a_flood_is_one_clients_affair() {
    let flood = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let text = r#"{"type":"chat","text":"drip"}"#;
        let flood = [&[0x81, text.len() as u8], text.as_bytes()].concat().repeat(4_000);
        // Until the client goes away.
        while socket.get_mut().write_all(&flood).is_ok() {}
    });
    let quiet = Peer::start(|listener| {
        let mut socket = accept(&listener);
        for _ in 0..20 {
            let text = read_text(&mut socket);
            send(&mut socket, &text);
        }
        read_close(&mut socket);
    });
    let mut fleet = Fleet::new(FleetOptions::default()).unwrap();
    let noisy = fleet.add(config(flood.url())).unwrap();
    let other = fleet.add(config(quiet.url())).unwrap();
    fleet.get_mut(noisy).unwrap().connect();
    fleet.get_mut(other).unwrap().connect();
    let ask = |fleet: &mut Fleet| fleet.get_mut(other).unwrap().send(&json!({"type": "chat"}));
    let (mut drops, mut answers) = (0_u64, 0);
    run(&mut fleet, |fleet, event| {
        match event {
            Some((id, Event::Chat(_))) if id == noisy => {
                drops += 1;
                if drops == 1 {
                    ask(fleet).unwrap();
                }
            }
            Some((id, Event::Chat(_))) if id == other => {
                answers += 1;
                if answers < 20 {
                    ask(fleet).unwrap();
                }
            }
            _ => {}
        }
        answers == 20
    });
    assert!(drops > answers, "{drops}");
    fleet.get_mut(other).unwrap().disconnect();
    assert!(fleet.remove(noisy).is_some());
    while fleet.poll(None).unwrap().is_some() {}
    flood.join();
    quiet.join();
}

/// Senders wake whom they are meant for, also from many threads.
#[test]
fn senders_of_many() {
    const MANY: usize = 6;
    let peer = Peer::start(|listener| {
        let sockets: Vec<_> = (0..MANY).map(|_| accept(&listener)).collect();
        for mut socket in sockets {
            let texts: Vec<_> = (0..50).map(|_| read_text(&mut socket)).collect();
            let first = &texts[0];
            assert!(texts.iter().all(|text| text == first), "{texts:?}");
            read_close(&mut socket);
        }
    });
    let (mut fleet, ids) = connecting(MANY, config(peer.url()), FleetOptions::default());
    let threads: Vec<_> = ids
        .iter()
        .map(|id| {
            let (sender, id) = (fleet.get(*id).unwrap().sender(), format!("{id:?}"));
            std::thread::spawn(move || {
                (0..50).for_each(|_| {
                    drop(sender.send_wait(&json!({"type": "chat", "text": id})).unwrap())
                });
            })
        })
        .collect();
    run(&mut fleet, |fleet, _| fleet.iter().all(|client| client.protocol().stats().written == 50));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for id in &ids {
        let mut client = fleet.get_mut(*id).unwrap();
        client.shutdown(LONG);
        assert!(matches!(client.send(&1), Err(SendError::ShuttingDown(_))));
    }
    while fleet.poll(None).unwrap().is_some() {}
    peer.join();
}

/// Settings are checked where they are set, with their names.
#[test]
fn limits_have_limits() {
    let refused = |options: FleetOptions| match Fleet::new(options) {
        Err(Error::Config(error)) => error.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(FleetOptions::default().max_connecting(0)), "max_connecting");
    let options = FleetOptions::default().max_connects_per_second(0);
    assert_eq!(refused(options), "max_connects_per_second");
    assert_eq!(refused(FleetOptions::default().timer_slack(LONG)), "timer_slack");
}

/// A timer that is as late as the slack allows must not look like a suspended host.
#[test]
fn timer_slack_is_below_the_suspend_threshold() {
    let slack = Duration::from_millis(200);
    let mut fleet = Fleet::new(FleetOptions::default().timer_slack(slack)).unwrap();
    let with = |suspend_threshold| Config { suspend_threshold, ..config("ws://127.0.0.1:1/") };
    match fleet.add(with(slack)) {
        Err(Error::Config(error)) => {
            assert_eq!(error.field, "suspend_threshold");
            assert!(error.problem.contains("timer_slack (200ms)"), "{}", error.problem);
        }
        other => panic!("{other:?}"),
    }
    fleet.add(with(slack + Duration::from_millis(1))).unwrap();
}

/// No attempt starts while there is no network, also if it was in line before; it goes on when
/// there is one.
#[test]
fn an_attempt_in_line_does_not_start_offline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let options = FleetOptions::default().max_connecting(1);
    // Its time is over while there is no network, and counts from the start.
    let settings = Config { connect_timeout: Duration::from_millis(100), ..config(url) };
    let (mut fleet, ids) = connecting(2, settings, options);
    assert_eq!(fleet.poll(Some(Duration::ZERO)).unwrap(), None);
    let _first = accept_tcp(&listener);
    fleet.get_mut(ids[1]).unwrap().network_changed(false);
    fleet.remove(ids[0]).unwrap();
    assert_eq!(fleet.poll(Some(Duration::from_millis(300))).unwrap(), None);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "it started");
    listener.set_nonblocking(false).unwrap();
    let why = fleet.get(ids[1]).unwrap().why();
    assert!(why.contains("offline"), "{why}");

    fleet.get_mut(ids[1]).unwrap().network_changed(true);
    let peer = std::thread::spawn(move || read_close(&mut accept(&listener)));
    until_connected(&mut fleet, 1);
    fleet.get_mut(ids[1]).unwrap().disconnect();
    while fleet.poll(None).unwrap().is_some() {}
    peer.join().unwrap();
}

/// A network that comes back is no stampede.
#[test]
fn all_are_told_of_the_network_and_keep_in_line() {
    const MANY: usize = 30;
    let peer = Peer::start(|listener| {
        let sockets: Vec<_> = (0..MANY).map(|_| accept(&listener)).collect();
        sockets.into_iter().for_each(|mut socket| read_close(&mut socket));
    });
    let mut fleet = Fleet::new(FleetOptions::default().max_connecting(4)).unwrap();
    let config = Arc::new(config(peer.url()));
    let ids: Vec<_> = (0..MANY).map(|_| fleet.add(Arc::clone(&config)).unwrap()).collect();
    for id in &ids {
        let mut client = fleet.get_mut(*id).unwrap();
        client.network_changed(false);
        client.connect();
    }
    assert!(matches!(fleet.poll(Some(Duration::ZERO)), Ok(None)));
    for id in &ids {
        fleet.get_mut(*id).unwrap().network_changed(true);
    }
    let waiting = fleet.iter().filter(|client| client.why().contains("turn")).count();
    assert_eq!(waiting, MANY - 4);
    until_connected(&mut fleet, MANY);
    ids.iter().for_each(|id| fleet.get_mut(*id).unwrap().disconnect());
    let mut reasons = Vec::new();
    while let Some((_, event)) = fleet.poll(None).unwrap() {
        if let Event::Disconnected { reason, .. } = event {
            reasons.push(reason);
        }
    }
    assert_eq!(reasons, vec![CloseReason::Requested; MANY]);
    peer.join();
}
