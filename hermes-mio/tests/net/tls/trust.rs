//! Whom to trust, and what can't be.

use std::sync::Arc;

use hermes_mio::{Client, Config, Error, Options, Tls};

use super::authority::{Authority, here, named, self_signed};
use super::peer::*;
use crate::common::*;

/// The gateway's own certificate, where nobody else has signed it.
#[test]
fn a_self_signed_certificate_can_be_trusted() {
    let identity = self_signed(&here());
    for tls in [Tls::new(), Tls::new().without_system()] {
        let server = Arc::new(identity.server());
        let peer = Peer::start(move |listener| {
            read_close(&mut accept_wss(&listener, &server));
        });
        let mut client = tls_client(config(url(&peer)), tls.trust(&identity.chain).unwrap());
        client.connect();
        wait_for(&mut client, connected);
        disconnect(&mut client);
        peer.join();
    }
}

#[test]
fn what_is_no_certificate_or_key_is_told_at_once() {
    let good = Authority::new().good();
    let garbage = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let tls = Tls::new();
    assert_eq!(problem(tls.clone().trust("")), "there is no certificate to trust");
    let text = problem(tls.clone().trust(garbage));
    assert!(text.starts_with("a certificate to trust can't be read: "), "{text}");
    assert_eq!(problem(tls.clone().identity("", &good.key)), "there is no certificate of ours");
    assert_eq!(problem(tls.identity(&good.chain, "")), "there is no private key");
}

/// As editors and configuration files make them.
#[test]
fn a_pem_may_have_a_bom_and_be_indented() {
    let authority = Authority::new();
    let identity = authority.good();
    let server = Arc::new(identity.server_with(rustls::ALL_VERSIONS, Some(&authority)));
    let own = authority.issue(&named("a client", &["client.test"]));
    let odd = |pem: &str| {
        let lines: String = pem.lines().map(|line| format!("    {line}  \r\n")).collect();
        format!("\u{feff}{lines}")
    };
    let tls = Tls::new()
        .without_system()
        .trust(odd(&authority.pem()))
        .unwrap()
        .identity(odd(&own.chain), odd(&own.key))
        .unwrap();
    let peer = Peer::start(move |listener| read_close(&mut accept_wss(&listener, &server)));
    let mut client = tls_client(config(url(&peer)), tls);
    client.connect();
    wait_for(&mut client, connected);
    disconnect(&mut client);
    peer.join();
}

fn problem(tls: Result<Tls, Error>) -> String {
    match tls {
        Err(Error::Tls { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_encrypted_key_is_called_so() {
    let good = Authority::new().good();
    let new = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
               DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for key in [new.as_str(), old] {
        let text = problem(Tls::new().identity(&good.chain, key));
        assert!(text.starts_with("the private key is encrypted; decrypt it"), "{text}");
    }
    let utf_16: Vec<u8> = "\u{feff}-----BEGIN".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let text = problem(Tls::new().trust(utf_16));
    assert_eq!(text, "a certificate to trust can't be read: it is UTF-16, and PEM is ASCII");
}

/// Of several, the user must learn which.
#[test]
fn errors_name_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (one, other) = (Authority::new().good(), Authority::new().good());
    let (cert, key) = (write("one.pem", &one.chain), write("one.key", &one.key));
    let wrong_key = write("other.key", &other.key);
    let garbage = write("garbage", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let missing = directory.path().join("missing");
    let named = |path: &std::path::Path| format!("{}: ", path.display());

    for path in [&garbage, &key, &missing] {
        let text = problem(Tls::new().trust_file(path));
        assert!(text.contains(&named(path)), "{text}");
    }
    for (cert, key, at_fault) in [
        (&missing, &key, &missing),
        (&garbage, &key, &garbage),
        (&cert, &garbage, &garbage),
        (&cert, &missing, &missing),
    ] {
        let text = problem(Tls::new().identity_files(cert, key));
        assert!(text.contains(&named(at_fault)), "{text}");
    }
    Tls::new().trust_file(&cert).unwrap().identity_files(&cert, &key).unwrap();

    let tls = Tls::new().without_system().trust_file(&cert).unwrap();
    let tls = tls.identity_files(&cert, &wrong_key).unwrap();
    let client = Client::new(Options::new(Config::new("wss://localhost/")).tls(tls));
    let Err(Error::Tls { problem }) = client else { panic!("{client:?}") };
    let (cert, key) = (cert.display(), wrong_key.display());
    assert_eq!(problem, format!("the key in {key} is not that of the certificate in {cert}"));
}

/// The environment is a process's, so this needs one of its own.
#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn a_missing_ssl_cert_file_is_named() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hermes"))
        .args(["connect", "wss://127.0.0.1:1/", "--max-attempts", "0"])
        .env("SSL_CERT_FILE", "/nonexistent/roots.pem")
        .env_remove("SSL_CERT_DIR")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("SSL_CERT_FILE names /nonexistent/roots.pem: No such file"), "{text}");
    assert!(!output.status.success());
}

/// When the client is made, rather than at each attempt; and only where TLS is asked for.
#[test]
fn what_does_not_go_together_is_told_when_the_client_is_made() {
    let authority = Authority::new();
    let (one, other) = (authority.good(), authority.good());
    let mixed = authority.trusted().identity(&one.chain, &other.key).unwrap();
    for (tls, says) in [
        (mixed, "the private key is not that of the certificate"),
        (Tls::new().without_system(), "nobody to trust"),
    ] {
        let new = |url: &str| Client::new(Options::new(Config::new(url)).tls(tls.clone()));
        match new("wss://localhost/") {
            Err(Error::Tls { problem }) => assert!(problem.contains(says), "{problem}"),
            other => panic!("{other:?}"),
        }
        new("ws://localhost/").unwrap();
    }
}
