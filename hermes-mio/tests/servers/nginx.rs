//! nginx with TLS in front of the gateway.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process::Hermes;
use crate::program::Program;
use crate::{Server, chat, number, skip};

/// nginx in front of a gateway, and what it takes to come to it.
pub(crate) struct Front {
    server: Server,
    directory: tempfile::TempDir,
}

impl Front {
    /// `settings` are nginx', of its server.
    pub(crate) fn start(gateway: &str, settings: &str) -> Option<Self> {
        let Some(nginx) = Program::find("nginx", &["nginx"]) else {
            skip("there is no nginx, nor a Debian package of it");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let names = ["gateway.test", "localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(at("cert"), made.cert.pem()).unwrap();
        fs::write(at("key"), made.signing_key.serialize_pem()).unwrap();
        // Whoever has it is let in, where somebody is asked.
        let client = rcgen::generate_simple_self_signed(["a client".to_owned()]).unwrap();
        fs::write(at("client-cert"), client.cert.pem()).unwrap();
        fs::write(at("client-key"), client.signing_key.serialize_pem()).unwrap();
        let settings = settings.replace("CLIENTS", &at("client-cert"));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let server = Server::start(|port| {
            let config = format!(
                "daemon off; master_process off; pid {};\nerror_log {};\nevents {{}}\n\
                 http {{\naccess_log off;\n{temporary}server {{\n\
                 listen 127.0.0.1:{port} ssl http2;\nssl_certificate {};\nssl_certificate_key {};\n\
                 {settings}\nlocation / {{\nproxy_pass http://{gateway};\nproxy_http_version 1.1;\n\
                 proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;\n\
                 proxy_set_header Host $host;\n}}\n}}\n}}\n",
                at("pid"),
                at("log"),
                at("cert"),
                at("key"),
            );
            fs::write(at("config"), config).unwrap();
            let mut command: Command = nginx.command();
            command.args(["-e", &at("log"), "-c", &at("config")]);
            command
        });
        Some(Front { server, directory })
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn file(&self, name: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    /// `hermes connect` with these arguments, too.
    fn connect(&self, more: &[&str]) -> Hermes {
        let url = format!("wss://gateway.test:{}/", self.port());
        // A name that leads nowhere else.
        let resolve = format!("gateway.test:{}:127.0.0.1", self.port());
        let cert = self.file("cert");
        let args = ["connect", &url, "--resolve", &resolve, "--cacert", &cert];
        Hermes::start(&[&args[..], more].concat())
    }
}

#[test]
fn messages_pass_and_each_step_has_its_time() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let Some(front) = Front::start(&addr, "") else { return };
    let mut client = front.connect(&["-v"]);
    for n in 0..100 {
        client.say(&chat(n));
    }
    for n in 0..100 {
        let message = gateway.until(|line| line["gateway"] == "message");
        assert_eq!(number(&message), Some(n));
    }
    let (status, _, errors) = client.end();
    assert!(status.success(), "{errors}");
    let mut rest = &errors[..];
    for step in ["resolve", "connect", "TLS", "upgrade", "resume"] {
        let Some((_, line)) = rest.split_once(&format!("hermes: {step} ")) else {
            panic!("no {step}: {errors}");
        };
        rest = line;
    }
}

/// Old TLS, and nothing else.
#[test]
fn tls_1_2_will_do() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let Some(front) = Front::start(&addr, "ssl_protocols TLSv1.2;") else { return };
    let mut client = front.connect(&[]);
    client.say(&chat(7));
    assert_eq!(number(&gateway.until(|line| line["gateway"] == "message")), Some(7));
    assert!(client.end().0.success());
}

/// nginx answers for a gateway that is not there, and its connection to one that was dies with it.
#[test]
fn a_gateway_that_is_killed_gets_everything_once_it_is_back() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let Some(front) = Front::start(&addr, "") else { return };
    let mut client = front.connect(&[
        "--set",
        "backoff_base_ms=50",
        "--set",
        "backoff_cap_ms=100",
        "--max-attempts",
        "null",
        "--receipts",
        "acknowledged",
    ]);
    client.say(&chat(0));
    gateway.until(|line| line["gateway"] == "message");
    // Else it would be in doubt, and sent again.
    client.event("messages-acknowledged");
    gateway.kill();
    client.event("ws-disconnected");
    for n in 1..50 {
        client.say(&chat(n));
    }
    // Bad Gateway.
    client.until(|line| line["event"] == "ws-disconnected" && line["detail"]["status"] == 502);
    let (gateway, _) = Hermes::gateway(&addr);
    for n in 1..50 {
        let message = gateway.until(|line| line["gateway"] == "message");
        assert_eq!(number(&message), Some(n));
    }
    assert!(client.end().0.success());
}

/// In TLS 1.3 that is an answer in HTTP; nginx lets everybody in that far.
#[test]
fn a_client_certificate_is_shown_where_nginx_asks() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let settings = "ssl_verify_client on;\nssl_client_certificate CLIENTS;";
    let Some(front) = Front::start(&addr, settings) else { return };
    let stranger = front.connect(&["--max-attempts", "0"]);
    let end = stranger.event("ws-disconnected");
    assert_eq!(end["detail"]["status"], 400, "{end}");
    assert_eq!(stranger.end().0.code(), Some(1));

    let (cert, key) = (front.file("client-cert"), front.file("client-key"));
    let mut client = front.connect(&["--cert", &cert, "--key", &key]);
    client.say(&chat(1));
    let message: Value = gateway.until(|line| line["gateway"] == "message");
    assert_eq!(number(&message), Some(1));
    assert!(client.end().0.success());
}
