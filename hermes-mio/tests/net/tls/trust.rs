//! Whom to trust, and what can't be.

use std::sync::Arc;

use hermes_mio::{Client, Config, Error, Options, Tls};

use super::authority::{Authority, here, self_signed};
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
    let problem = |tls: Result<Tls, Error>| match tls {
        Err(Error::Tls { problem }) => problem,
        other => panic!("{other:?}"),
    };
    let garbage = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let tls = Tls::new();
    assert_eq!(problem(tls.clone().trust("")), "there is no certificate to trust");
    let text = problem(tls.clone().trust(garbage));
    assert!(text.starts_with("a certificate to trust can't be read: "), "{text}");
    assert_eq!(problem(tls.clone().identity("", &good.key)), "there is no certificate of ours");
    assert_eq!(problem(tls.identity(&good.chain, "")), "there is no private key");
}

/// When the client is made, rather than at each attempt; and only where TLS is asked for.
#[test]
fn what_does_not_go_together_is_told_when_the_client_is_made() {
    let authority = Authority::new();
    let (one, other) = (authority.good(), authority.good());
    let mixed = authority.trusted().identity(&one.chain, &other.key).unwrap();
    for (tls, says) in [(mixed, "KeyMismatch"), (Tls::new().without_system(), "nobody to trust")] {
        let new = |url: &str| Client::new(Options::new(Config::new(url)).tls(tls.clone()));
        match new("wss://localhost/") {
            Err(Error::Tls { problem }) => assert!(problem.contains(says), "{problem}"),
            other => panic!("{other:?}"),
        }
        new("ws://localhost/").unwrap();
    }
}
