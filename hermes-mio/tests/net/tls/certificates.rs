//! Certificates that are no good, in each way. Each is told by the gateway's name and what is wrong,
//! and the next attempt follows as after any other failure.

use std::sync::Arc;

use hermes_mio::{CloseReason, Event, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd,
};

use super::authority::{Authority, Identity, here, named, self_signed};
use super::handshake::failure;
use super::peer::*;
use crate::common::*;

/// What a client says of a server with this certificate, twice.
fn verdict(identity: &Identity, tls: Tls) -> String {
    let server = Arc::new(identity.server());
    let peer = Peer::start(move |listener| {
        (0..2).all(|_| try_accept_tls(&listener, &server).is_err_and(|error| is_alert(&error)))
    });
    let mut client = tls_client(config(url(&peer)), tls);
    client.connect();
    let mut texts: Vec<String> = (0..2)
        .map(|_| match next(&mut client) {
            Event::Disconnected {
                code: 1006,
                reason: CloseReason::Tls { text },
                retry_at: Some(_),
                ..
            } => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    client.disconnect();
    assert!(peer.join(), "the server hears of it by an alert");
    assert_eq!(texts[0], texts[1]);
    texts.remove(0)
}

fn is_alert(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::AlertReceived(_)))
}

/// By an authority that is trusted.
fn issued(change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = here();
    change(&mut params);
    let authority = Authority::new();
    verdict(&authority.issue(&params), authority.trusted())
}

#[test]
fn expired() {
    let text = issued(|params| params.not_after = date_time_ymd(2021, 2, 3));
    assert_eq!(text, "localhost: its certificate expired on Wed, 03 Feb 2021 00:00:00 GMT");
}

#[test]
fn not_valid_yet() {
    let text = issued(|params| params.not_before = date_time_ymd(2119, 1, 1));
    assert_eq!(
        text,
        "localhost: its certificate is not valid before Sun, 01 Jan 2119 00:00:00 GMT"
    );
}

#[test]
fn for_another_name() {
    let authority = Authority::new();
    let other = authority.issue(&named("other", &["other.example", "*.other.example"]));
    let text = verdict(&other, authority.trusted());
    assert_eq!(
        text,
        "localhost: its certificate is for another name: other.example, *.other.example"
    );
}

/// A frequent mistake, which would be told as `for another name: 127.0.0.1`.
#[test]
fn with_an_address_as_a_dns_name() {
    let authority = Authority::new();
    let mut params = named("127.0.0.1", &[]);
    let name = "127.0.0.1".try_into().unwrap();
    params.subject_alt_names.push(SanType::DnsName(name));
    let server = Arc::new(authority.issue(&params).server());
    let peer = Peer::start(move |listener| _ = try_accept_tls(&listener, &server));
    let text = failure(&format!("wss://{}/", peer.addr), authority.trusted());
    assert_eq!(
        text,
        "127.0.0.1: its certificate has the address 127.0.0.1 as a DNS name; it must be an IP \
         address among its subject alternative names"
    );
    peer.join();
}

/// Not the gateway's own, which is good for another century.
#[test]
fn an_expired_intermediate() {
    let root = Authority::new();
    for (dates, says) in [
        ([2021, 2120], "certificate 2 of its chain, an intermediate, expired on"),
        ([2120, 2021], "certificate 3 of its chain, an intermediate, expired on"),
        ([2120, 2120], ""),
    ] {
        let upper = root.intermediate(dates[1]);
        let lower = upper.intermediate(dates[0]);
        let mut identity = lower.good();
        identity.chain += &(lower.pem() + &upper.pem());
        if says.is_empty() {
            let server = Arc::new(identity.server());
            let peer = Peer::start(move |listener| read_close(&mut accept_wss(&listener, &server)));
            let mut client = tls_client(config(url(&peer)), root.trusted());
            client.connect();
            wait_for(&mut client, connected);
            disconnect(&mut client);
            peer.join();
        } else {
            let text = verdict(&identity, root.trusted());
            assert_eq!(text, format!("localhost: {says} Fri, 01 Jan 2021 00:00:00 GMT"));
        }
    }
}

#[test]
fn for_no_name() {
    let authority = Authority::new();
    let text = verdict(&authority.issue(&named("localhost", &[])), authority.trusted());
    assert_eq!(text, "localhost: its certificate is for no name at all");
}

#[test]
fn of_an_unknown_issuer() {
    let text = verdict(&Authority::new().good(), Authority::new().trusted());
    assert_eq!(text, "localhost: its certificate is from an issuer that is not trusted");
}

#[test]
fn self_signed_one() {
    let text = verdict(&self_signed(&here()), Authority::new().trusted());
    assert_eq!(text, "localhost: its certificate is self-signed, and not trusted");
}

/// As `openssl req -x509` makes them.
#[test]
fn an_authoritys_own() {
    let mut params = here();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let text = verdict(&self_signed(&params), Authority::new().trusted());
    assert_eq!(
        text,
        "localhost: its certificate is made to sign others (CA:TRUE), and so is no server's"
    );
}

#[test]
fn a_clients() {
    let text =
        issued(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(text.starts_with("localhost: its certificate is no good: "), "{text}");
}

/// However much a certificate says.
#[test]
fn words_are_bounded() {
    let names: Vec<String> = (0..500).map(|n| format!("{n}.other.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let authority = Authority::new();
    let text = verdict(&authority.issue(&named("other", &names)), authority.trusted());
    assert!(text.starts_with("localhost: its certificate is for another name: 0.other.example, "));
    assert!(text.len() <= 300, "{}", text.len());
}
