//! Redirects off the wire: one connection after the other.

use hermes_proto::{Action, Config, ConnId, Url};
use hermes_tests::redirect;
use hermes_tests::ws::*;

fn following() -> Config {
    let headers = vec![("Authorization".to_owned(), "Bearer x".to_owned())];
    Config { max_redirects: 2, headers, ..hermes_tests::quiet() }
}

fn open_to(conn: u64, url: &str) -> Action<hermes_proto::Transmit> {
    Action::Open { conn: ConnId(conn), url: Url::parse(url).expect("it is one") }
}

/// The transport is up, and the request out; what it says.
fn request(harness: &mut Harness, conn: u64) -> String {
    harness.opened(conn);
    let request = String::from_utf8(harness.endpoint.transmit().to_vec()).expect("it is ASCII");
    harness.take(usize::MAX);
    request
}

/// What the first connection was drops before the second one is opened, and the second asks for
/// what the first was sent to.
#[test]
fn a_redirect_is_followed_on_a_new_transport() {
    let mut harness = Harness::new(following());
    harness.connect();
    let asked = request(&mut harness, 1);
    assert!(asked.starts_with("GET /world HTTP/1.1\r\nHost: gateway.test\r\n"), "{asked}");

    let to = "ws://gateway.test/here?x";
    let answer = "HTTP/1.1 307 There\r\nLocation: here?x\r\nContent-Length: 4\r\n\r\nmore";
    let gone = disconnected(1, 1006, redirect(307, to), 0);
    assert_eq!(harness.receive(answer), [abandon(1), gone, open_to(2, to), arm(15_000)]);
    assert_eq!(harness.endpoint.transmit(), b"");
    let asked = request(&mut harness, 2);
    assert!(asked.starts_with("GET /here?x HTTP/1.1\r\nHost: gateway.test\r\n"), "{asked}");
    assert!(asked.contains("Authorization: Bearer x\r\n"), "{asked}");

    let to = "ws://b.test:8080/";
    let answer = "HTTP/1.1 308 Elsewhere\r\nLocation: http://b.test:8080\r\n\r\n";
    let gone = disconnected(2, 1006, redirect(308, to), 0);
    assert_eq!(harness.receive(answer), [abandon(2), gone, open_to(3, to), arm(15_000)]);
    let asked = request(&mut harness, 3);
    assert!(asked.starts_with("GET / HTTP/1.1\r\nHost: b.test:8080\r\n"), "{asked}");
    assert!(!asked.contains("Authorization"), "{asked}");

    let actions = harness.receive(reply_to(asked.as_bytes()));
    let url = Url::parse(to).expect("it is one");
    let event = hermes_proto::Event::Connected { conn: ConnId(3), url };
    assert!(actions.contains(&Action::Emit(event)), "{actions:?}");
}
