//! Through proxies, and not through proxies.

pub(crate) mod server;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use hermes_mio::proto::reason::Stage;
use hermes_mio::{Client, CloseReason, Config, Event, Options, Proxy};
use serde_json::json;

use self::server::Language;
use crate::common::*;

/// A client that goes through a proxy.
fn client_through(proxy: &str, config: Config) -> Client {
    Client::new(Options::new(config).proxy(Proxy::new(proxy).unwrap())).unwrap()
}

/// Has it say something, and hear it.
fn chat_with(client: &mut Client, text: &str) {
    client.connect();
    client.send(&json!({"type": "chat", "text": text})).unwrap();
    assert_eq!(wait_for(client, chat_text), text);
    disconnect(client);
}

#[test]
fn http_and_socks5_lead_to_the_gateway() {
    for (language, scheme, login) in
        [(Language::Http, "http", "YWRhOmxvdmVsYWNl"), (Language::Socks5, "socks5", "ada:lovelace")]
    {
        for shows_login in [false, true] {
            let gateway = Peer::echo();
            let proxy = server::Proxy::start(language, gateway.addr);
            let who = if shows_login { "ada:lovelace@" } else { "" };
            let url = format!("{scheme}://{who}{}", proxy.addr);
            // The proxy is given the name, which nobody else could resolve.
            let mut client = client_through(&url, config("ws://gateway.invalid:81/"));
            chat_with(&mut client, "hi");
            gateway.join();
            let login = shows_login.then(|| login.to_owned());
            assert_eq!(proxy.asked.recv().unwrap(), ("gateway.invalid:81".to_owned(), login));
        }
    }
}

/// Whom it needs no proxy for.
#[test]
fn exceptions_are_connected_directly() {
    let gateway = Peer::echo();
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let proxy = Proxy::new(&format!("http://{nobody}")).unwrap().except("127.0.0.0/8");
    let mut client = Client::new(Options::new(config(gateway.url())).proxy(proxy)).unwrap();
    chat_with(&mut client, "hi");
    gateway.join();
}

/// One attempt's end. The next one follows as after any other failure.
fn failure(proxy: &str, config: Config) -> CloseReason {
    let mut client = client_through(proxy, config);
    client.connect();
    match next(&mut client) {
        Event::Disconnected { code: 1006, reason, retry_at: Some(_), .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// A proxy that hears a request, and answers.
fn answering(answer: &'static [u8]) -> Peer {
    Peer::start(move |listener| {
        let mut stream = accept_tcp(&listener);
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(answer).unwrap();
        while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
    })
}

#[test]
fn a_refusal_is_a_reason_of_its_own() {
    for (scheme, answer, status, words) in [
        ("http", &b"HTTP/1.1 407 Who are you\r\n\r\n"[..], Some(407), "Who are you"),
        (
            "http",
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno.",
            Some(502),
            "Bad Gateway",
        ),
        ("http", b"\x05\xff", None, "it does not speak HTTP/1.1"),
        ("socks5", b"\x05\xff", None, "it wants to know who we are"),
        ("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n", None, "it does not speak SOCKS5"),
    ] {
        let proxy = answering(answer);
        let url = format!("{scheme}://{}", proxy.addr);
        let reason = failure(&url, config("ws://gateway.invalid/"));
        let text = format!("{}: {words}", proxy.addr).into();
        assert_eq!(reason, CloseReason::Proxy { status, text });
        proxy.join();
    }
}

#[test]
fn a_proxy_that_hangs_up_is_told() {
    let proxy = Peer::start(|listener| {
        assert!(accept_tcp(&listener).read(&mut [0; 1024]).unwrap() > 0);
    });
    let reason = failure(&format!("http://{}", proxy.addr), config("ws://gateway.invalid/"));
    let text = format!("{}: the connection was lost: it ended", proxy.addr).into();
    assert_eq!(reason, CloseReason::Proxy { status: None, text });
    proxy.join();
}

/// Within the time that a connection may take.
#[test]
fn a_proxy_that_says_nothing_is_told() {
    let (done, end) = mpsc::channel::<()>();
    let proxy = Peer::start(move |listener| {
        let stream = accept_tcp(&listener);
        let _ = end.recv_timeout(LONG);
        drop(stream);
    });
    let config =
        Config { connect_timeout: Duration::from_millis(100), ..config("ws://gateway.invalid/") };
    let reason = failure(&format!("socks5://{}", proxy.addr), config);
    assert_eq!(reason, CloseReason::Timeout { stage: Stage::Proxy });
    drop(done);
    proxy.join();
}

/// It is the proxy that is not there, and not the gateway.
#[test]
fn a_proxy_that_is_not_there_is_told() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let reason = failure(&format!("http://{nobody}"), config("ws://gateway.invalid/"));
    let CloseReason::Connect { text } = reason else { panic!("{reason:?}") };
    assert!(text.starts_with(&format!("the proxy {nobody}: ")), "{text}");

    let reason = failure("http://proxy.invalid", config("ws://gateway.invalid/"));
    let CloseReason::Resolve { text } = reason else { panic!("{reason:?}") };
    assert!(text.starts_with("the proxy proxy.invalid: "), "{text}");
}

#[test]
fn nothing_shows_the_login() {
    let options = Options::new(config("ws://gateway.invalid/"))
        .proxy(Proxy::new("http://ada:s3cret@127.0.0.1:1").unwrap());
    assert!(!format!("{options:?}").contains("s3cret"), "{options:?}");
    let client = Client::new(options).unwrap();
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
}

#[cfg(feature = "tls")]
mod in_tls {
    use std::sync::Arc;

    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::tls::*;

    fn secure(
        server: &Arc<ServerConfig>,
        mut socket: std::net::TcpStream,
    ) -> std::io::Result<Secure> {
        let mut session = ServerConnection::new(Arc::clone(server)).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(session, socket))
    }

    /// A gateway and a proxy, each in TLS or not: TLS in TLS, too. Messages are larger than what
    /// the systems' buffers take, in both directions.
    #[test]
    fn proxies_and_gateways_may_speak_tls() {
        const MESSAGES: usize = 20;
        let large = |n: usize| format!("{n} {}", "abcdefg".repeat(20_000));
        for (is_proxy_secure, is_gateway_secure, language) in [
            (true, true, Language::Http),
            (true, false, Language::Http),
            (false, true, Language::Http),
            (false, true, Language::Socks5),
        ] {
            let authority = Authority::new();
            let server =
                Arc::new(authority.issue(&named("x", &["localhost", "gateway.test"])).server());
            let gateway = Peer::start({
                let server = Arc::clone(&server);
                move |listener| {
                    if is_gateway_secure {
                        converse(&mut accept_wss(&listener, &server), MESSAGES, large);
                    } else {
                        converse(&mut accept(&listener), MESSAGES, large);
                    }
                }
            });
            let proxy = if is_proxy_secure {
                server::Proxy::start_with(language, gateway.addr, move |socket| {
                    secure(&server, socket)
                })
            } else {
                server::Proxy::start(language, gateway.addr)
            };
            let scheme = match language {
                Language::Http if is_proxy_secure => "https",
                Language::Http => "http",
                Language::Socks5 => "socks5",
            };
            let url = format!("{scheme}://localhost:{}", proxy.addr.port());
            let scheme = if is_gateway_secure { "wss" } else { "ws" };
            let options = Options::new(config(format!("{scheme}://gateway.test:9/")))
                .proxy(Proxy::new(&url).unwrap())
                .tls(authority.trusted());
            let mut client = Client::new(options).unwrap();
            for n in 0..MESSAGES {
                client.send(&json!({"text": large(n)})).unwrap();
            }
            client.connect();
            for n in 0..MESSAGES {
                assert!(wait_for(&mut client, chat_text) == large(n), "message {n}");
            }
            run_until(&mut client, |client| client.protocol().outbox_len() == 0);
            let timings = client.timings();
            let steps: Vec<&str> = timings.steps().map(|(name, _)| name).collect();
            let tls = if is_gateway_secure { &["TLS"][..] } else { &[] };
            assert_eq!(steps, [&["resolve", "connect", "proxy"], tls, &["upgrade"]].concat());
            disconnect(&mut client);
            gateway.join();
            assert_eq!(proxy.asked.recv().unwrap(), ("gateway.test:9".to_owned(), None));
        }
    }

    fn converse<S: Read + Write>(
        socket: &mut tungstenite::WebSocket<S>,
        messages: usize,
        text: impl Fn(usize) -> String,
    ) {
        for n in 0..messages {
            send(socket, &json!({"type": "chat", "text": text(n)}).to_string());
        }
        for n in 0..messages {
            let whole = json!({"text": text(n)}).to_string();
            assert!(read_text(socket) == whole, "message {n}");
        }
        read_close(socket);
    }

    /// A proxy in TLS has a name of its own, for which its certificate must be.
    #[test]
    fn a_proxys_certificate_is_checked() {
        let authority = Authority::new();
        let server = Arc::new(authority.issue(&named("x", &["gateway.test"])).server());
        let proxy = Peer::start(move |listener| try_accept_tls(&listener, &server).is_err());
        let options =
            Options::new(Config { max_attempts: Some(0), ..config("wss://gateway.test/") })
                .proxy(Proxy::new(&format!("https://localhost:{}", proxy.addr.port())).unwrap())
                .tls(authority.trusted());
        let mut client = Client::new(options).unwrap();
        client.connect();
        let (_, reason) = disconnected(&next(&mut client)).unwrap();
        let text = "localhost: its certificate is for another name: gateway.test".into();
        assert_eq!(reason, CloseReason::Tls { text });
        assert!(proxy.join());
    }
}
