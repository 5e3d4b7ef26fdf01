//! The real hop decides whether a session may travel in the clear, and not the URL's name.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use hermes_mio::proto::{PlaintextPolicy, Session};
use hermes_mio::{Client, Config, Event, MemoryStore, Options, Proxy};
use serde_json::json;

use crate::common::*;
use crate::proxies::server::{self, Language};

/// What a gateway hears first: the session's token, or the application's message.
fn first_text(listener: &TcpListener) -> String {
    let mut socket = accept(listener);
    let text = read_text(&mut socket);
    read_close(&mut socket);
    text
}

/// Connects with a session and a message, and disconnects. The warnings.
fn visit(url: &str, policy: PlaintextPolicy, with: impl FnOnce(Options) -> Options) -> Vec<String> {
    let session = Session { token: "s3cret".into(), client_id: None, saved_at: 0, origin: None };
    let config = Config { plaintext_session: policy, session_max_age: None, ..config(url) };
    let options = Options::new(config).store(MemoryStore::new(Some(session)));
    let mut client = Client::new(with(options)).unwrap();
    client.connect();
    client.send(&json!({"type": "chat"})).unwrap();
    let mut warnings = Vec::new();
    let mut look = |event: &Event| {
        if let Event::Warning { text } = event {
            warnings.push(text.as_str().to_owned());
        }
        matches!(event, Event::Connected { .. }).then_some(())
    };
    wait_for(&mut client, &mut look);
    run_until(&mut client, |client| client.protocol().outbox_len() == 0);
    client.disconnect();
    while let Some(event) = client.poll(None).unwrap() {
        look(&event);
    }
    warnings
}

fn has_token(text: &str) -> bool {
    text.contains("s3cret")
}

/// `localhost` is the proxy's, and the way to it is not ours.
#[test]
fn a_proxied_localhost_is_not_private() {
    for (policy, is_sent) in [(PlaintextPolicy::Refuse, false), (PlaintextPolicy::Warn, true)] {
        let peer = Peer::start(|listener| first_text(&listener));
        let proxy = server::Proxy::start(Language::Http, peer.addr);
        let proxy = Proxy::new(&format!("http://{}", proxy.addr)).unwrap();
        let warnings = visit("ws://localhost/", policy, |options| options.proxy(proxy));
        assert_eq!(has_token(&peer.join()), is_sent);
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.contains("in the clear"), "{warning}");
    }
}

#[test]
fn loopback_is_private_by_any_name() {
    for host in ["127.0.0.1", "localhost", "gateway.test"] {
        let peer = Peer::start(|listener| first_text(&listener));
        let addr = peer.addr;
        let url = format!("ws://{host}:{}/", addr.port());
        let warnings = visit(&url, PlaintextPolicy::Refuse, |options| {
            options.resolver(move |_, _| Ok(vec![addr]))
        });
        assert!(has_token(&peer.join()), "{host}");
        assert_eq!(warnings, [""; 0]);
    }
}

/// An address of this machine that packets of others reach, too.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // No packet is sent by this.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// `--resolve localhost:…`, say, or a line in the hosts file.
#[test]
fn a_localhost_elsewhere_is_not_private() {
    let Some(ip) = outer_address() else {
        eprintln!("this machine has only its loopback: skipped");
        return;
    };
    let listener = TcpListener::bind(SocketAddr::new(ip, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || first_text(&listener));
    let warnings = visit("ws://localhost/", PlaintextPolicy::Refuse, |options| {
        options.resolver(move |_, _| Ok(vec![addr]))
    });
    assert!(!has_token(&peer.join().unwrap()));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

/// Whatever host the URL names.
#[cfg(unix)]
#[test]
fn a_unix_socket_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let peer = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        let text = read_text(&mut socket);
        read_close(&mut socket);
        text
    });
    let warnings = visit("ws://gateway.invalid/", PlaintextPolicy::Refuse, |options| {
        options.unix_socket(&path)
    });
    assert!(has_token(&peer.join().unwrap()));
    assert_eq!(warnings, [""; 0]);
}
