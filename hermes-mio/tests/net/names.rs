//! Names, and the race of their addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Error, Event, Options};
use socket2::{Domain, Socket, Type};

use crate::common::*;

const URL: &str = "ws://gateway.test/";

/// A client for a name with these addresses.
fn client_of(addresses: Vec<SocketAddr>, config: Config, delay: Duration) -> Client {
    let options = Options::new(config).attempt_delay(delay).resolver(move |name, port| {
        assert_eq!((name, port), ("gateway.test", 80));
        Ok(addresses.clone())
    });
    Client::new(options).unwrap()
}

/// An address of this family at which nobody listens. `None` where the machine lacks the family.
fn refusing(ip: impl Into<std::net::IpAddr>) -> Option<SocketAddr> {
    Some(TcpListener::bind((ip.into(), 0)).ok()?.local_addr().unwrap())
}

/// An address that does not answer: a listener whose queue is full, on Linux. Elsewhere it may
/// refuse.
struct Hole {
    addr: SocketAddr,
    _sockets: Vec<Socket>,
}

fn hole(ip: impl Into<std::net::IpAddr>) -> Option<Hole> {
    let addr = SocketAddr::from((ip.into(), 0));
    let listener = Socket::new(Domain::for_address(addr), Type::STREAM, None).ok()?;
    listener.bind(&addr.into()).ok()?;
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..16 {
        let socket = Socket::new(addr.domain(), Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // In progress, as it should be.
        let _ = socket.connect(&addr);
        sockets.push(socket);
    }
    Some(Hole { addr: addr.as_socket().unwrap(), _sockets: sockets })
}

macro_rules! or_skip {
    ($what:expr) => {
        match $what {
            Some(it) => it,
            None => {
                eprintln!("no IPv6 here: skipped");
                return;
            }
        }
    };
}

#[test]
fn ipv4_takes_over_where_ipv6_refuses() {
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let addresses = vec![or_skip!(refusing(Ipv6Addr::LOCALHOST)), peer.addr];
    // The delay plays no part in it.
    let mut client = client_of(addresses, config(URL), LONG * 2);
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
}

#[test]
fn ipv4_overtakes_an_ipv6_that_does_not_answer() {
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let hole = or_skip!(hole(Ipv6Addr::LOCALHOST));
    let delay = Duration::from_millis(300);
    let mut client = client_of(vec![hole.addr, peer.addr], config(URL), delay);
    let begin = Instant::now();
    client.connect();
    wait_for(&mut client, connected);
    if cfg!(target_os = "linux") {
        assert!(begin.elapsed() >= delay, "{:?}", begin.elapsed());
    }
    disconnect(&mut client);
    peer.join();
}

/// As it does where it answers in time.
#[test]
fn ipv6_is_taken_where_it_is_preferred() {
    let listener = or_skip!(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok());
    let addr = listener.local_addr().unwrap();
    let six = std::thread::spawn(move || read_close(&mut accept(&listener)));
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    four.set_nonblocking(true).unwrap();
    let addresses = vec![addr, four.local_addr().unwrap()];
    let mut client = client_of(addresses, config(URL), LONG * 2);
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    six.join().unwrap();
    assert_eq!(four.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn every_failure_is_in_the_reason() {
    let addresses: Vec<SocketAddr> =
        (0..3).map(|_| refusing(Ipv4Addr::LOCALHOST).unwrap()).collect();
    let config = Config { max_attempts: Some(0), ..config(URL) };
    let mut client = client_of(addresses.clone(), config, LONG * 2);
    client.connect();
    let (_, reason) = disconnected(&next(&mut client)).unwrap();
    let CloseReason::Connect { text } = reason else { panic!("{reason:?}") };
    let told: Vec<&str> = text.split("; ").collect();
    assert_eq!(told.len(), 3);
    for (told, address) in told.iter().zip(&addresses) {
        assert!(told.starts_with(&format!("{address}: ")), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer_in_time_is_told() {
    let hole = hole(Ipv4Addr::LOCALHOST).unwrap();
    let refusing = refusing(Ipv4Addr::LOCALHOST).unwrap();
    let config = Config {
        max_attempts: Some(0),
        connect_timeout: Duration::from_millis(200),
        ..config(URL)
    };
    let addresses = vec![hole.addr, refusing, hole.addr];
    let mut client = client_of(addresses, config, Duration::from_millis(10));
    client.connect();
    let events = events_to_the_end(&mut client);
    assert_eq!(names(&events), ["warning", "ws-disconnected", "ws-failed"]);
    let (_, reason) = disconnected(&events[1]).unwrap();
    assert_eq!(reason, CloseReason::Timeout { stage: Stage::Connect });
    let refused = "Connection refused (os error 111)";
    let fates = format!("{refusing}: {refused}; {}: no answer", hole.addr);
    assert!(matches!(&events[0], Event::Warning { text } if text.contains(&fates)), "{events:?}");
}

/// A name may have moved.
#[test]
fn each_attempt_asks_again() {
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let (asked, addr) = (Arc::new(AtomicUsize::new(0)), peer.addr);
    let counter = Arc::clone(&asked);
    let elsewhere = refusing(Ipv4Addr::LOCALHOST).unwrap();
    let options = Options::new(config(URL)).resolver(move |_, _| {
        let is_third = counter.fetch_add(1, Ordering::Relaxed) == 2;
        Ok(vec![if is_third { addr } else { elsewhere }])
    });
    let mut client = Client::new(options).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// The reason says what was waited for, and no name server gets the same question twice at a time.
#[test]
fn a_resolver_has_a_deadline() {
    let (answer, question) = mpsc::channel::<SocketAddr>();
    let question = Mutex::new((question, None));
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let config =
        Config { connect_timeout: Duration::from_millis(100), max_attempts: None, ..config(URL) };
    let options = Options::new(config).resolver(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        let (question, known) = &mut *question.lock().unwrap();
        let addr = known.map_or_else(|| question.recv_timeout(LONG), Ok);
        *known = addr.ok();
        Ok(known.iter().copied().collect())
    });
    let mut client = Client::new(options).unwrap();
    client.connect();
    for _ in 0..2 {
        match next(&mut client) {
            Event::Disconnected { reason, retry_at: Some(_), .. } => {
                assert_eq!(reason, CloseReason::Timeout { stage: Stage::Resolve });
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // It is back. An answer that comes between two attempts is nobody's.
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    answer.send(peer.addr).unwrap();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
}

#[test]
fn a_resolver_that_fails_or_panics_fails_the_attempt() {
    let options = Options::new(Config { max_attempts: Some(2), ..config(URL) });
    let calls = AtomicUsize::new(0);
    let mut client =
        Client::new(options.resolver(move |name, _| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("no such zone")),
            1 => Ok(Vec::new()),
            _ => panic!("{name}"),
        }))
        .unwrap();
    client.connect();
    for says in ["no such zone", "the name has no address", "the resolver panicked"] {
        let (_, reason) = disconnected(&next(&mut client)).unwrap();
        assert_eq!(reason, CloseReason::Resolve { text: format!("gateway.test: {says}").into() });
    }
}

#[test]
fn the_delay_has_a_least_value() {
    let options = |ms| Options::new(config(URL)).attempt_delay(Duration::from_millis(ms));
    Client::new(options(10)).unwrap();
    let Err(Error::Config(error)) = Client::new(options(9)) else { panic!() };
    assert_eq!(error.field, "attempt_delay");
}

/// What has been done has its time, and what is being done is in `why`.
#[test]
fn the_steps_of_a_connection_are_told() {
    let (go, may_resolve) = mpsc::channel();
    let may_resolve = Mutex::new(may_resolve);
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        send(&mut socket, r#"{"type":"session-init","token":"t","clientId":"c"}"#);
        read_close(&mut socket);
    });
    let addr = peer.addr;
    let options = Options::new(config(URL)).resolver(move |_, _| {
        may_resolve.lock().unwrap().recv_timeout(LONG).map_err(io::Error::other)?;
        Ok(vec![addr])
    });
    let mut client = Client::new(options).unwrap();
    client.connect();
    client.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(client.timings(), hermes_mio::Timings::default());
    assert!(client.why().ends_with("; looking up gateway.test"), "{}", client.why());
    let begin = Instant::now();
    go.send(()).unwrap();
    wait_for(&mut client, |event| matches!(event, Event::SessionInit(_)).then_some(()));
    let timings = client.timings();
    let names: Vec<&str> = timings.steps().map(|(name, _)| name).collect();
    assert_eq!(names, ["resolve", "connect", "upgrade", "resume"]);
    let since = timings.connect.unwrap() + timings.upgrade.unwrap() + timings.resume.unwrap();
    assert!(since <= begin.elapsed(), "{timings}");
    disconnect(&mut client);
    peer.join();
}
