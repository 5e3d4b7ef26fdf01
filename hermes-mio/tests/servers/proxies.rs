//! tinyproxy and microsocks between a client and nginx, or the gateway itself.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::nginx::Front;
use crate::process::Hermes;
use crate::program::Program;
use crate::{Server, chat, number, skip};

/// tinyproxy, which knows ada.
fn tinyproxy(directory: &tempfile::TempDir) -> Option<Server> {
    let Some(program) = Program::find("tinyproxy", &["tinyproxy-bin"]) else {
        skip("there is no tinyproxy, nor a Debian package of it");
        return None;
    };
    let config = directory.path().join("tinyproxy");
    Some(Server::start(|port| {
        let settings = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nBasicAuth ada lovelace\n"
        );
        fs::write(&config, settings).unwrap();
        let mut command = program.command();
        command.arg("-d").arg("-c").arg(&config);
        command
    }))
}

/// microsocks, which knows ada.
fn microsocks() -> Option<Server> {
    let Some(program) = Program::find("microsocks", &["microsocks"]) else {
        skip("there is no microsocks, nor a Debian package of it");
        return None;
    };
    Some(Server::start(|port| {
        let mut command = program.command();
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "ada", "-P", "lovelace"]);
        command
    }))
}

/// The gateway hears what a client says that goes through a proxy, in the clear and in TLS; and the
/// client knows how long that took.
fn leads_to_gateways(scheme: &str, port: u16) {
    let proxy = format!("{scheme}://ada:lovelace@127.0.0.1:{port}");
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let mut ways = vec![vec![format!("ws://{addr}/")]];
    let front = Front::start(&addr, "");
    if let Some(front) = &front {
        let url = format!("wss://localhost:{}/", front.port());
        ways.push(vec![url, "--cacert".to_owned(), front.file("cert")]);
    }
    for (n, way) in (0..).zip(ways) {
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        let mut client =
            Hermes::start(&[&["connect"], &way[..], &["--proxy", &proxy, "-v"]].concat());
        client.say(&chat(n));
        let message = gateway.until(|line| line["gateway"] == "message");
        assert_eq!(number(&message), Some(n.into()));
        let (status, _, errors) = client.end();
        assert!(status.success(), "{errors}");
        assert!(errors.contains("hermes: proxy "), "{errors}");
    }
}

/// How the attempt of a client ends that goes this way.
fn refusal(proxy: &str, url: &str) -> (Value, Value) {
    let client = Hermes::start(&["connect", url, "--proxy", proxy, "--max-attempts", "0"]);
    let end = client.event("ws-disconnected");
    assert_eq!(client.end().0.code(), Some(1));
    (end["detail"]["cause"].clone(), end["detail"]["status"].clone())
}

#[test]
fn tinyproxy_leads_to_gateways() {
    let directory = tempfile::tempdir().unwrap();
    let Some(proxy) = tinyproxy(&directory) else { return };
    leads_to_gateways("http", proxy.port);
}

#[test]
fn microsocks_leads_to_gateways() {
    let Some(proxy) = microsocks() else { return };
    leads_to_gateways("socks5", proxy.port);
}

#[test]
fn the_environment_names_a_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let Some(proxy) = tinyproxy(&directory) else { return };
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let connect = |exceptions: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
        command.args(["connect", &format!("ws://{addr}/"), "--proxy-from-env", "-v"]);
        command.env("http_proxy", format!("ada:lovelace@localhost:{}", proxy.port));
        command.env("no_proxy", exceptions);
        let mut client = Hermes::spawn(command);
        client.say(&chat(1));
        gateway.until(|line| line["gateway"] == "message");
        client.end().2
    };
    assert!(connect("gateway.test").contains("hermes: proxy "));
    assert!(!connect("127.0.0.1").contains("hermes: proxy "));
}

#[test]
fn tinyproxy_refuses_strangers_and_gateways_that_are_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let Some(proxy) = tinyproxy(&directory) else { return };
    let (_gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let at = |login: &str| format!("http://{login}localhost:{}", proxy.port);
    let gateway = format!("ws://{addr}/");
    assert_eq!(refusal(&at(""), &gateway), (json!("proxy"), json!(407)));
    assert_eq!(refusal(&at("ada:byron@"), &gateway), (json!("proxy"), json!(401)));
    let nowhere = "ws://gateway.invalid/";
    assert_eq!(refusal(&at("ada:lovelace@"), nowhere), (json!("proxy"), json!(500)));
}

#[test]
fn microsocks_refuses_strangers_and_gateways_that_are_not_there() {
    let Some(proxy) = microsocks() else { return };
    let (_gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let at = |login: &str| format!("socks5://{login}localhost:{}", proxy.port);
    let gateway = format!("ws://{addr}/");
    assert_eq!(refusal(&at(""), &gateway), (json!("proxy"), Value::Null));
    assert_eq!(refusal(&at("ada:byron@"), &gateway), (json!("proxy"), Value::Null));
    let nowhere = "ws://gateway.invalid/";
    let (cause, status) = refusal(&at("ada:lovelace@"), nowhere);
    assert_eq!(cause, "proxy");
    assert!(status.is_u64(), "{status}");
}
