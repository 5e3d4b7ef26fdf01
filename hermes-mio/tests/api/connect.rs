//! How a connection is made, and every way in which it isn't.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::common::*;
use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Event, State};

/// One attempt, to its end.
fn failure(config: Config) -> (u16, CloseReason) {
    let mut client = client(Config { max_attempts: Some(0), ..config });
    client.connect();
    let end = disconnected(&next(&mut client)).unwrap();
    assert!(matches!(next(&mut client), Event::Failed { attempts: 0, .. }));
    assert_eq!(client.poll(None).unwrap(), None);
    assert!(matches!(client.protocol().state(), State::Failed { .. }));
    end
}

/// An address at which nobody listens.
fn refusing() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_refused_connection_says_by_whom() {
    let addr = refusing();
    let (code, reason) = failure(config(format!("ws://{addr}/")));
    assert_eq!(code, 1006);
    let CloseReason::Connect { text } = reason else { panic!("{reason:?}") };
    assert!(text.starts_with(&format!("{addr}: ")), "{text}");
    if cfg!(target_os = "linux") {
        assert_eq!(text, format!("{addr}: Connection refused (os error 111)").as_str());
    }
}

/// Where the system says no at once, it is the same to the application.
#[test]
fn an_address_that_can_not_be_connected_to_is_a_reason() {
    let (code, reason) = failure(config("ws://255.255.255.255:1/"));
    assert_eq!(code, 1006);
    let CloseReason::Connect { text } = reason else { panic!("{reason:?}") };
    assert!(text.starts_with("255.255.255.255:1: "), "{text}");
}

#[test]
fn attempts_are_repeated_and_then_given_up() {
    let mut client =
        client(Config { max_attempts: Some(3), ..config(format!("ws://{}/", refusing())) });
    client.connect();
    for attempt in 0..4 {
        match next(&mut client) {
            Event::Disconnected { retry_at, .. } => {
                assert_eq!(retry_at.is_some(), attempt < 3, "attempt {attempt}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(next(&mut client), Event::Failed { attempts: 3, .. }));
    // And again from the start, when asked.
    client.connect();
    assert!(matches!(next(&mut client), Event::Disconnected { retry_at: Some(_), .. }));
    client.disconnect();
    assert_eq!(client.poll(None).unwrap(), None);
}

/// `localhost` may have two addresses, of which the gateway listens on one.
#[test]
fn a_name_is_resolved_and_each_of_its_addresses_tried() {
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let url = format!("ws://localhost:{}/", peer.addr.port());
    let mut client = client(config(url));
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
}

#[test]
fn every_address_of_a_name_is_in_the_reason() {
    let port = refusing().port();
    let addresses: Vec<SocketAddr> = ("localhost", port).to_socket_addrs().unwrap().collect();
    let (_, reason) = failure(config(format!("ws://localhost:{port}/")));
    let CloseReason::Connect { text } = reason else { panic!("{reason:?}") };
    for address in addresses {
        assert!(text.contains(&address.to_string()), "{address} in {text}");
    }
}

#[test]
fn an_ipv6_address_needs_no_lookup() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("no IPv6 here: skipped");
        return;
    };
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || read_close(&mut accept(&listener)));
    let mut client = client(config(url));
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join().unwrap();
}

#[test]
fn a_name_without_an_address_is_a_reason_of_its_own() {
    let (code, reason) = failure(config("ws://nonexistent.invalid/"));
    assert_eq!(code, 1006);
    let CloseReason::Resolve { text } = reason else { panic!("{reason:?}") };
    assert!(text.starts_with("nonexistent.invalid: "), "{text}");
}

/// However long a lookup takes, the loop does not wait for it.
#[test]
fn a_lookup_does_not_block_the_loop() {
    for _ in 0..20 {
        let mut client = client(config("ws://nonexistent.invalid/"));
        client.connect();
        let begin = Instant::now();
        client.poll(Some(Duration::ZERO)).unwrap();
        assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
        // A client that is dropped now leaves its thread behind, and nobody waits for it.
    }
}

/// A lookup that is late: its connection is gone, and the next one may have the answer.
#[test]
fn a_lookup_outlives_its_connection() {
    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let mut client = client(config(format!("ws://localhost:{}/", peer.addr.port())));
    for _ in 0..5 {
        client.connect();
        client.disconnect();
    }
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
}

/// A build without TLS says so.
#[cfg(not(feature = "tls"))]
#[test]
fn wss_needs_the_feature() {
    let (code, reason) = failure(config("wss://127.0.0.1:1/"));
    assert_eq!(code, 1006);
    let CloseReason::Tls { text } = reason else { panic!("{reason:?}") };
    assert!(text.contains("wss://") && text.contains("TLS"), "{text}");
}

#[test]
fn an_upgrade_that_is_never_answered_times_out() {
    let (done, end) = mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let stream = accept_tcp(&listener);
        let _ = end.recv_timeout(LONG);
        drop(stream);
    });
    let (code, reason) =
        failure(Config { upgrade_timeout: Duration::from_millis(50), ..config(peer.url()) });
    assert_eq!((code, reason), (1006, CloseReason::Timeout { stage: Stage::Upgrade }));
    drop(done);
    peer.join();
}

#[test]
fn an_upgrade_that_is_refused_says_how() {
    let peer = Peer::start(|listener| {
        let mut stream = accept_tcp(&listener);
        let mut request = [0; 1024];
        let n = stream.read(&mut request).unwrap();
        assert!(request[..n].ends_with(b"\r\n\r\n"));
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
            .unwrap();
    });
    assert_eq!(
        failure(config(peer.url())).1,
        CloseReason::Http { status: 503, retry_after: None, redirect: None, body: None }
    );
    peer.join();
}

#[test]
fn a_connection_that_ends_in_the_upgrade_is_lost() {
    let peer = Peer::start(|listener| {
        let mut stream = accept_tcp(&listener);
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).unwrap() > 0);
        // Half an answer.
        stream.write_all(b"HTTP/1.1 101 Switching").unwrap();
    });
    let (code, reason) = failure(config(peer.url()));
    assert_eq!(code, 1006);
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");
    peer.join();
}

/// `disconnect` works at every stage.
#[test]
fn disconnect_ends_every_stage() {
    // While a name is looked up.
    let mut one = client(config("ws://nonexistent.invalid/"));
    one.connect();
    one.disconnect();
    assert_eq!(disconnected(&next(&mut one)).unwrap().1, CloseReason::Requested);
    assert_eq!(one.poll(None).unwrap(), None);

    // Between the addresses and the upgrade.
    let (done, end) = mpsc::channel::<()>();
    let peer = Peer::start(move |listener| {
        let stream = accept_tcp(&listener);
        let _ = end.recv_timeout(LONG);
        drop(stream);
    });
    let mut two = client(config(peer.url()));
    two.connect();
    for _ in 0..3 {
        assert_eq!(two.poll(Some(Duration::from_millis(10))).unwrap(), None);
    }
    two.disconnect();
    assert_eq!(disconnected(&next(&mut two)).unwrap().1, CloseReason::Requested);
    assert_eq!(two.poll(None).unwrap(), None);
    drop(done);
    peer.join();

    // While it waits for the next attempt.
    let mut three = Client::new(Config {
        backoff_base: Duration::from_secs(60),
        backoff_cap: Duration::from_secs(60),
        ..config(format!("ws://{}/", refusing()))
    })
    .unwrap();
    three.connect();
    wait_for(&mut three, disconnected);
    assert!(matches!(three.protocol().state(), State::Waiting { .. }));
    three.disconnect();
    assert_eq!(three.poll(None).unwrap(), None);
    assert_eq!(three.protocol().state(), State::Idle);
}

/// What the gateway says at once, and that it goes, may be one piece of news: of a socket that is
/// not yet known to be connected.
#[test]
fn a_peer_that_goes_before_it_was_asked_is_gone_at_once() {
    let peer = Peer::start(|listener| {
        let mut socket = accept_tcp(&listener);
        socket.write_all(b"HTTP/1.1 101 Swi").unwrap();
    });
    let mut client = client(Config { upgrade_timeout: LONG * 2, ..config(peer.url()) });
    client.connect();
    assert!(client.poll(Some(Duration::ZERO)).unwrap().is_none());
    // The connection is made, and broken, by the time that the client looks again.
    peer.join();
    let (code, reason) = wait_for(&mut client, disconnected);
    assert!(code == 1006 && matches!(reason, CloseReason::Lost { .. }), "{reason}");
}
