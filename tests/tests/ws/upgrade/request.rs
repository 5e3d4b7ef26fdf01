//! The request of the opening handshake (RFC 6455 §4.1).

use hermes_proto::Config;
use hermes_proto::ws::Connection;
use hermes_tests::config;
use hermes_tests::ws::*;

fn request(config: Config) -> String {
    let conn = Connection::new(config, SEED).expect("the settings are fine");
    String::from_utf8(conn.transmit().to_vec()).expect("a request is ASCII")
}

#[test]
fn the_request() {
    assert_eq!(
        request(Config::new("ws://gateway.test/world")),
        "GET /world HTTP/1.1\r\n\
         Host: gateway.test\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: 9pKJeIXAyyCj5M0QagsVvA==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         \r\n"
    );
}

#[test]
fn the_request_with_all_there_can_be() {
    let config = Config {
        origin: Some("https://app.test".into()),
        headers: vec![
            ("Authorization".into(), "Bearer s3cret".into()),
            ("X-Empty".into(), String::new()),
        ],
        subprotocols: vec!["hermes.v2".into(), "hermes.v1".into()],
        ..Config::new("wss://Gateway.TEST:8443/a/b%20c?x=1&y=/?")
    };
    assert_eq!(
        request(config),
        "GET /a/b%20c?x=1&y=/? HTTP/1.1\r\n\
         Host: gateway.test:8443\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: 9pKJeIXAyyCj5M0QagsVvA==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Origin: https://app.test\r\n\
         Sec-WebSocket-Protocol: hermes.v2, hermes.v1\r\n\
         Authorization: Bearer s3cret\r\n\
         X-Empty: \r\n\
         \r\n"
    );
}

#[test]
fn where_to() {
    for (url, target, host) in [
        ("ws://gateway.test", "/", "gateway.test"),
        ("ws://gateway.test/", "/", "gateway.test"),
        ("ws://gateway.test?q", "/?q", "gateway.test"),
        ("ws://gateway.test:80/", "/", "gateway.test"),
        ("wss://gateway.test:443/", "/", "gateway.test"),
        ("ws://gateway.test:443/", "/", "gateway.test:443"),
        ("wss://gateway.test:80/", "/", "gateway.test:80"),
        ("ws://GATEWAY.test:8080/Path", "/Path", "gateway.test:8080"),
        ("ws://192.0.2.1/", "/", "192.0.2.1"),
        ("ws://[2001:DB8::1]/", "/", "[2001:db8::1]"),
        ("wss://[::1]:8443/x?y", "/x?y", "[::1]:8443"),
    ] {
        let request = request(Config::new(url));
        let start = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n");
        assert!(request.starts_with(&start), "{url}: {request}");
    }
}

#[test]
fn every_seed_makes_a_key_of_16_bytes() {
    let key = |n: u8| {
        let conn = Connection::new(config(), [n; 32]).expect("the settings are fine");
        let request = String::from_utf8(conn.transmit().to_vec()).expect("a request is ASCII");
        request.split("Key: ").nth(1).expect("there is a key")[..24].to_owned()
    };
    let mut keys: Vec<String> = (0..=255).map(key).collect();
    assert!(keys.iter().all(|key| key.ends_with("==") && !key[..22].contains('=')));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 256);
}

#[test]
fn settings_are_checked() {
    let error = Connection::new(Config::new("ftp://gateway.test/"), SEED).expect_err("no ws");
    assert_eq!(error.field, "url");
    for name in ["", "two words", "a,b", "h\u{e9}"] {
        let config = Config { subprotocols: vec!["v1".into(), name.into()], ..config() };
        let error = Connection::new(config, SEED).expect_err("no token");
        assert_eq!(error.field, "subprotocols", "{name:?}");
    }
}
