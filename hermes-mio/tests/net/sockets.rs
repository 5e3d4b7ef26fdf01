//! What sockets are made with, and Unix domain sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hermes_mio::{Client, CloseReason, Config, Error, Options};
use serde_json::json;

use crate::common::*;

#[test]
fn a_connection_comes_from_the_address_that_it_is_bound_to() {
    // All of 127.0.0.0/8 is ours, on Linux.
    let from = if cfg!(target_os = "linux") { [127, 0, 0, 9] } else { [127, 0, 0, 1] };
    let peer = Peer::start(|listener| {
        let mut socket = accept(&listener);
        let from = socket.get_ref().peer_addr().unwrap().ip();
        read_close(&mut socket);
        from
    });
    let options = Options::new(config(peer.url())).bind(from.into());
    let mut client = Client::new(options).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    assert_eq!(peer.join(), IpAddr::from(from));
}

#[test]
fn an_address_of_the_other_family_leads_nowhere() {
    let config = Config { max_attempts: Some(0), ..config("ws://127.0.0.1:1/") };
    let options = Options::new(config).bind(Ipv6Addr::LOCALHOST.into());
    let mut client = Client::new(options).unwrap();
    client.connect();
    let (_, reason) = disconnected(&next(&mut client)).unwrap();
    let text = "127.0.0.1:1: ::1 does not lead there".into();
    assert_eq!(reason, CloseReason::Connect { text });
}

#[test]
fn settings_that_can_not_be() {
    let options = || Options::new(config("ws://127.0.0.1:1/"));
    for (options, field) in [
        (options().keepalive(Duration::from_millis(999)), "keepalive"),
        (options().keepalive(Duration::from_secs(32_768)), "keepalive"),
        (options().send_buffer(0), "send_buffer"),
        (options().receive_buffer(0), "receive_buffer"),
        (options().notsent_lowat(0), "notsent_lowat"),
    ] {
        let Err(Error::Config(error)) = Client::new(options) else { panic!() };
        assert_eq!(error.field, field);
    }
}

/// A connection that does all that can be asked of it.
#[test]
fn settings_that_can_be() {
    let peer = Peer::echo();
    let options = Options::new(config(peer.url()))
        .keepalive(Duration::from_secs(60))
        .send_buffer(4096)
        .receive_buffer(4096)
        .bind(Ipv4Addr::UNSPECIFIED.into());
    let mut client = Client::new(options).unwrap();
    client.connect();
    // More than the buffers take.
    let text = "x".repeat(200_000);
    client.send(&json!({"type": "chat", "text": text})).unwrap();
    assert_eq!(wait_for(&mut client, chat_text), text);
    #[cfg(target_os = "linux")]
    socket_has(peer.addr, "timer:(keepalive,");
    disconnect(&mut client);
    peer.join();
}

/// A Ping waits behind whatever the system has taken and not sent yet.
#[cfg(target_os = "linux")]
#[test]
fn the_system_keeps_few_bytes_that_it_has_not_sent() {
    for (lowat, most) in [(None, 300_000), (Some(16 << 10), 100_000)] {
        let (done, end) = std::sync::mpsc::channel::<()>();
        let peer = Peer::start(move |listener| {
            let socket = accept(&listener);
            // It reads nothing.
            let _ = end.recv_timeout(LONG);
            drop(socket);
        });
        let mut options = Options::new(config(peer.url()));
        if let Some(bytes) = lowat {
            options = options.notsent_lowat(bytes);
        }
        let mut client = Client::new(options).unwrap();
        client.connect();
        wait_for(&mut client, connected);
        client.send(&json!({"text": "x".repeat(15_000_000)})).unwrap();
        // Until the system takes no more: two looks in a row see the same.
        let mut before = None;
        run_until(&mut client, |client| {
            let _ = client.poll(Some(Duration::from_millis(100)));
            let Some(unsent) = unsent_bytes(peer.addr) else { return true };
            let is_full = unsent > 0 && before == Some(unsent);
            before = Some(unsent);
            is_full
        });
        if let Some(unsent) = before {
            assert!(unsent < most, "{unsent} bytes with {lowat:?}");
        }
        drop(done);
        peer.join();
    }
}

/// Bytes that the client's socket holds and has not sent, if there is somebody to ask.
#[cfg(target_os = "linux")]
fn unsent_bytes(gateway: std::net::SocketAddr) -> Option<u64> {
    let filter = format!("dport = :{}", gateway.port());
    let output = std::process::Command::new("ss").args(["-tniH", &filter]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let unsent = text.split_once("notsent:").map_or("0", |(_, rest)| rest);
    let digits: String = unsent.chars().take_while(char::is_ascii_digit).collect();
    Some(digits.parse().unwrap())
}

/// What the system itself says of the client's socket, if there is somebody to ask.
#[cfg(target_os = "linux")]
fn socket_has(gateway: std::net::SocketAddr, what: &str) {
    let filter = format!("dport = :{}", gateway.port());
    let until = std::time::Instant::now() + LONG;
    loop {
        let Ok(output) = std::process::Command::new("ss").args(["-tnoH", &filter]).output() else {
            eprintln!("no ss here: the client's socket is not looked at");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        // While something is not acknowledged there is another timer.
        if text.contains(what) {
            return;
        }
        assert!(std::time::Instant::now() < until, "{text}");
    }
}

/// A process that the application starts gets none of our sockets.
#[cfg(target_os = "linux")]
#[test]
fn sockets_are_not_inherited() {
    use std::process::{Command, Stdio};

    let peer = Peer::start(|listener| read_close(&mut accept(&listener)));
    let mut client = client(config(peer.url()));
    client.connect();
    wait_for(&mut client, connected);
    let mut list = Command::new("ls");
    let output = list.args(["-l", "/proc/self/fd"]).stdin(Stdio::null()).output().unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    assert!(files.contains("pipe:") && !files.contains("socket:"), "{files}");
    disconnect(&mut client);
    peer.join();
}

#[cfg(unix)]
mod unix {
    use std::io::ErrorKind;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// The URL says what is asked for, and the path where.
    #[test]
    fn a_socket_in_the_file_system_takes_the_place_of_the_host() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = thread::spawn(move || {
            for _ in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let mut host = None;
                #[allow(clippy::result_large_err, reason = "tungstenite's callback has it so")]
                let look = |request: &tungstenite::handshake::server::Request, response| {
                    host = request.headers().get("Host").cloned();
                    Ok(response)
                };
                let mut socket = tungstenite::accept_hdr(stream, look).unwrap();
                assert_eq!(host.unwrap(), "gateway.invalid:81");
                let text = read_text(&mut socket);
                send(&mut socket, &text);
                // The first ends without a word.
            }
        });
        let options = Options::new(config("ws://gateway.invalid:81/")).unix_socket(&path);
        let mut client = Client::new(options).unwrap();
        client.connect();
        let large = "x".repeat(1_000_000);
        for _ in 0..2 {
            client.send(&json!({"type": "chat", "text": large})).unwrap();
            assert!(wait_for(&mut client, chat_text) == large);
        }
        peer.join().unwrap();
    }

    #[test]
    fn a_socket_that_is_not_there_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nobody");
        let refused = std::os::unix::net::UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        let config = Config { max_attempts: Some(1), ..config("ws://localhost/") };
        let mut client = Client::new(Options::new(config).unix_socket(&path)).unwrap();
        client.connect();
        for _ in 0..2 {
            let (_, reason) = disconnected(&next(&mut client)).unwrap();
            let text = format!("{}: {refused}", path.display()).into();
            assert_eq!(reason, CloseReason::Connect { text });
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_over_it_is_checked_against_the_url() {
        use std::sync::Arc;

        use crate::tls::{Authority, named};

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway");
        let listener = UnixListener::bind(&path).unwrap();
        let authority = Authority::new();
        let server = Arc::new(authority.issue(&named("x", &["gateway.test"])).server());
        let peer = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let session = rustls::ServerConnection::new(server).unwrap();
            let mut socket =
                tungstenite::accept(rustls::StreamOwned::new(session, stream)).unwrap();
            assert_eq!(socket.get_ref().conn.server_name(), Some("gateway.test"));
            let text = read_text(&mut socket);
            send(&mut socket, &text);
        });
        let options =
            Options::new(config("wss://gateway.test/")).tls(authority.trusted()).unix_socket(&path);
        let mut client = Client::new(options).unwrap();
        client.connect();
        client.send(&json!({"type": "chat", "text": "hi"})).unwrap();
        assert_eq!(wait_for(&mut client, chat_text), "hi");
        peer.join().unwrap();
    }
}
