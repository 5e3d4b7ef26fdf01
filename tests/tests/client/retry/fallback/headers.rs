//! Secret headers, at a fallback without TLS.

use super::*;

const CLEAR: &str = "ws://b.test/";
const WARNING: &str = "headers with secrets go to ws://b.test in the clear, and the first gateway is \
                       wss://; use wss://, or set plaintext_session to \"refuse\" or \"allow\"";
const REFUSAL: &str = "no headers with secrets for ws://b.test: they would travel in the clear, and \
                       plaintext_session is \"refuse\"; use wss://";

fn secure(policy: PlaintextPolicy, fallback: &str) -> Config {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Config {
        url: C.into(),
        fallback_urls: vec![fallback.into()],
        plaintext_session: policy,
        headers: vec![header("authorization", "Bearer x"), header("X-Region", "3")],
        ..quiet()
    }
}

fn headers(host: &Host) -> Vec<&str> {
    host.client().headers().map(|(name, _)| name).collect()
}

/// The actions of the attempt at the fallback.
fn at_the_fallback(config: Config) -> (Host, Vec<Action>) {
    let mut host = Host::new(config);
    begin(&mut host, C);
    assert_eq!(headers(&host), ["authorization", "X-Region"]);
    host.at(1).closed(1, lost()).skip();
    let actions = host.at(1_001).timer().take();
    (host, actions)
}

#[test]
fn are_warned_of_once() {
    let (mut host, actions) = at_the_fallback(secure(PlaintextPolicy::Warn, CLEAR));
    assert_eq!(actions, [warning(WARNING), open_to(2, CLEAR), arm(16_001)]);
    assert_eq!(headers(&host), ["authorization", "X-Region"]);
    host.at(1_002).closed(2, lost()).skip();
    host.at(3_002).timer().skip();
    is_at(&host, C);
    host.at(3_003).closed(3, lost()).skip();
    host.at(7_003).timer().expect([open_to(4, CLEAR), arm(22_003)]);
}

#[test]
fn are_withheld_if_that_is_refused() {
    let (mut host, actions) = at_the_fallback(secure(PlaintextPolicy::Refuse, CLEAR));
    assert_eq!(actions, [warning(REFUSAL), open_to(2, CLEAR), arm(16_001)]);
    assert_eq!(headers(&host), ["X-Region"]);
    host.at(1_002).closed(2, lost()).skip();
    host.at(3_002).timer().skip();
    is_at(&host, C);
    assert_eq!(headers(&host), ["authorization", "X-Region"]);
}

/// Nor is there a warning without secrets.
#[test]
fn may_be_allowed_or_stay_here() {
    let plain = |config: Config| Config { headers: Vec::new(), ..config };
    for config in [
        secure(PlaintextPolicy::Allow, CLEAR),
        secure(PlaintextPolicy::Warn, "ws://localhost/"),
        secure(PlaintextPolicy::Warn, "wss://b.test/"),
        plain(secure(PlaintextPolicy::Warn, CLEAR)),
    ] {
        let (fallback, count) = (config.fallback_urls[0].clone(), config.headers.len());
        let mut host = Host::new(config);
        begin(&mut host, C);
        host.at(1).closed(1, lost()).skip();
        host.at(1_001).timer().expect([open_to(2, &fallback), arm(16_001)]);
        assert_eq!(headers(&host).len(), count);
    }
}
