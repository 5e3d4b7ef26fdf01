//! Whole sessions: two clients, resuming, TLS, credentials, the demo.

use super::*;

#[test]
fn two_clients_talk_and_a_gateway_shows_faults_when_told() {
    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let fast = ["--set", "backoff_base_ms=20", "--set", "close_delays_ms={}"];
    let mut ada = Hermes::start(&[&["connect", &url][..], &fast].concat());
    ada.event("session-init");
    let bob = Hermes::start(&[&["connect", &url][..], &fast].concat());
    bob.event("session-init");
    ada.event("player-joined");
    ada.say(&chat(7));
    assert_eq!(bob.event("chat-message")["detail"]["n"], 7);

    gateway.say("live close=1012:restart");
    let closed = bob.event("ws-disconnected");
    assert_eq!(
        (&closed["detail"]["code"], &closed["detail"]["cause"]),
        (&json!(1012), &json!("peer"))
    );
    assert_eq!(bob.event("session-init")["detail"]["resumed"], true);
    assert_eq!(ada.event("session-init")["detail"]["resumed"], true);
    gateway.say("say {\"type\":\"status-update\",\"status\":\"fine\"}");
    bob.event("status-update");
    ada.event("status-update");
    assert!(bob.end().0.success() && ada.end().0.success());
}

#[test]
fn a_session_file_is_resumed_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("session.json");
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let url = format!("ws://{addr}/");
    let args = ["connect", &url, "--session", file.to_str().unwrap()];
    for resumed in [false, true] {
        let client = Hermes::start(&args);
        assert_eq!(client.event("session-init")["detail"]["resumed"], resumed);
        assert!(client.end().0.success());
    }
    is_private(&file);
    gateway.kill();
}

/// A name that only `--resolve` knows, and a certificate that only `--cacert` trusts.
#[cfg(feature = "tls")]
#[test]
fn tls_from_end_to_end() {
    let made = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cert = file("cert.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let gateway =
        Hermes::start(&["gateway", "127.0.0.1:0", "--echo", "--cert", &cert, "--key", &key]);
    let listening = gateway.until(|line| line["gateway"] == "listening");
    let addr = listening["addr"].as_str().unwrap();
    assert_eq!(listening["url"], format!("wss://{addr}/"));
    let port = addr.rsplit_once(':').unwrap().1;
    let (url, known) =
        (format!("https://gateway.test:{port}/"), format!("gateway.test:{port}:127.0.0.1"));
    let connect =
        |more: &[&str]| Hermes::start(&[&["connect", &url, "--resolve", &known], more].concat());

    let mut trusting = connect(&["--cacert", &cert, "-v"]);
    trusting.say(&chat(1));
    let message = trusting.event("chat-message");
    assert_eq!(message["detail"]["n"], 1);
    let (status, _, errors) = trusting.end();
    assert!(status.success());
    // Each step with its time, in order.
    let mut rest = &errors[..];
    for step in ["resolve", "connect", "TLS", "upgrade", "resume"] {
        let line =
            rest.split_once(&format!("hermes: {step} ")).unwrap_or_else(|| panic!("{errors}"));
        let time = line.1.lines().next().unwrap();
        assert!(time.ends_with('s') && time.starts_with(|c: char| c.is_ascii_digit()), "{time}");
        rest = line.1;
    }

    let nobody = ["--cacert", &cert, "--cert", &cert, "--key", "/nonexistent"];
    for (more, says) in [
        (&[][..], "TLS failed: gateway.test: its certificate is self-signed, and not trusted"),
        (&nobody, "can't read /nonexistent: "),
    ] {
        let (status, _, errors) = connect(&[&["--max-attempts", "0"], more].concat()).end();
        assert_eq!(status.code(), Some(1));
        assert!(errors.contains(says), "{errors}");
    }
}

#[cfg(unix)]
#[test]
fn a_command_brings_fresh_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let counter = directory.path().join("calls");
    let peer = Peer::start(|listener| {
        let (mut first, one) = accept_with(&listener, "Authorization");
        let resume = read_text(&mut first);
        drop(first);
        let (mut second, two) = accept_with(&listener, "Authorization");
        read_close(&mut second);
        (one, resume, two)
    });
    // The second of its calls fails.
    let command = format!(
        r#"echo x >> '{file}'; n=$(grep -c x '{file}')
        test "$n" = 2 && {{ echo HIDDEN; echo 'first complaint' >&2; echo 'no key' >&2; exit 3; }}
        echo "Authorization: Bearer $n for $HERMES_URL"
        test "$n" = 1 && echo "session-token SECRET-TOKEN"; true"#,
        file = counter.display()
    );
    let url = peer.url();
    let args = ["connect", &url, "--credentials", &command, "--set", "backoff_base_ms=20", "-vvv"];
    let client = Hermes::start(&args);
    client.event("ws-connected");
    let lost = client.event("ws-disconnected");
    assert_eq!(lost["detail"]["cause"], "lost");
    let refused = client.event("ws-disconnected");
    assert_eq!(refused["detail"]["cause"], "credentials");
    assert_eq!(refused["detail"]["text"], "the command failed (exit status: 3): no key");
    client.event("ws-connected");
    let (status, lines, errors) = client.end();
    assert!(status.success(), "{errors}");
    for secret in ["Bearer", "SECRET-TOKEN", "HIDDEN", "first complaint"] {
        assert!(!errors.contains(secret) && !lines.concat().contains(secret), "{secret}: {errors}");
    }
    let bearer = |n| Some(format!("Bearer {n} for {url}"));
    let resume = r#"{"type":"session-resume","token":"SECRET-TOKEN"}"#.to_owned();
    assert_eq!(peer.join(), (bearer(1), resume, bearer(3)));
}

#[cfg(unix)]
#[test]
fn a_signal_asks_why() {
    let peer = Peer::start(|listener| {
        let (mut socket, _) = accept_with(&listener, "Host");
        read_close(&mut socket);
    });
    let client = Hermes::start(&["connect", &peer.url()]);
    client.event("ws-connected");
    let pid = client.child.id().to_string();
    assert!(Command::new("kill").args(["-USR1", &pid]).status().unwrap().success());
    let line = client.complaint("open for");
    assert!(line.starts_with("hermes: open for ") && line.contains(&peer.url()), "{line}");
    assert!(client.end().0.success());
    peer.join();
}

#[test]
fn the_demo_loses_nothing() {
    let (status, lines, errors) = Hermes::start(&["demo"]).end();
    assert!(status.success(), "{errors}");
    let tally: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(
        tally,
        json!({"demo": "ok", "sent": 161, "received": 161, "lost": 0, "duplicated": 0, "connections": 4})
    );
}

#[test]
fn a_bad_order_is_told_and_others_are_carried_out() {
    let (mut gateway, _) = Hermes::gateway("127.0.0.1:0");
    gateway.say_bytes(b"say \xff\n");
    gateway.complaint("order 1 was not carried out: it is not UTF-8");
    gateway.say("everyone dance");
    gateway.complaint("order 2 was not carried out: `dance` is not one of ");
    gateway.order("pause");
    gateway.say("metrics");
    let metrics = gateway.until(|line| line["gateway"] == "metrics");
    assert_eq!(metrics["metrics"]["listening"], false);
}

/// A grace that is too short for the distance gives a client a session that it does not want.
#[test]
fn the_resume_grace_is_a_flag() {
    let directory = tempfile::tempdir().unwrap();
    let session = directory.path().join("session.json");
    let session = session.to_str().unwrap();
    let gateway = Hermes::start(&["gateway", "127.0.0.1:0", "--resume-grace", "0"]);
    let listening = gateway.until(|line| line["gateway"] == "listening");
    let url = listening["url"].as_str().unwrap();
    for resumed in [&[false][..], &[false, true]] {
        let client = Hermes::start(&["connect", url, "--session", session]);
        for resumed in resumed {
            assert_eq!(client.event("session-init")["resumed"], *resumed);
        }
        assert!(client.end().0.success());
    }
    // The second client had a fresh one before its session-resume arrived.
    let clients = [(); 3].map(|()| {
        gateway.until(|line| line["gateway"] == "session-init" || line["gateway"] == "resumed")
    });
    let clients = clients.map(|line| line["clientId"].as_str().unwrap().to_owned());
    assert_eq!(clients, ["client-1", "client-2", "client-1"]);
}
