//! Messages compressed on their way (RFC 7692): each for the connection that it is handed to, and no
//! secret among them.

use hermes_proto::{
    Action, Config, Delivery, Event, MessageId, Outgoing, Receipts, Session, Start,
};
use hermes_tests::ws::bits::TEXT;
use hermes_tests::ws::deflate::{Gateway, Heard, PLAIN, answer_to};
use hermes_tests::ws::*;
use hermes_tests::{ORIGIN, UNIX_MS, lost, quiet, start};

fn config() -> Config {
    Config { deflate: true, ..quiet() }
}

fn chat(n: usize) -> String {
    format!(r#"{{"type":"chat","text":"number {n} of many messages that are alike","n":{n}}}"#)
}

/// Opens and upgrades the live connection; the gateway agrees to compress.
fn establish(harness: &mut Harness) {
    harness.opened(harness.live.expect("a connection is being made").0);
    harness.take(usize::MAX);
    harness.receive(answer_to(&harness.request.clone(), PLAIN));
    assert_eq!(harness.endpoint.extensions(), Some(PLAIN));
}

fn connected(config: Config) -> Harness {
    let mut harness = Harness::new(config);
    harness.connect();
    establish(&mut harness);
    harness
}

/// All messages of the live connection, whether or not they have left.
fn heard(harness: &Harness) -> Vec<Heard> {
    let bytes = [&harness.wire, harness.endpoint.transmit()].concat();
    Gateway::new(PLAIN).read(&bytes[harness.request.len()..])
}

fn texts(heard: &[Heard]) -> Vec<String> {
    let text = |heard: &Heard| String::from_utf8(heard.message.clone()).expect("it is UTF-8");
    heard.iter().filter(|heard| heard.opcode == TEXT).map(text).collect()
}

/// The next connection knows nothing of what the last one said, or does not even compress.
#[test]
fn what_goes_again_is_compressed_anew() {
    let script = || {
        let mut harness = connected(Config { delivery: Delivery::AtLeastOnce, ..config() });
        (0..5).for_each(|n| drop(harness.send(&chat(n))));
        harness
    };
    let all: Vec<String> = (0..5).map(chat).collect();
    let length = script().endpoint.transmit().len();
    assert!(length < all.concat().len() / 2, "{length}");
    for taken in 0..=length {
        let mut harness = script();
        harness.take(taken);
        harness.closed(lost());
        harness.wait();
        let mut plain = harness.clone();

        establish(&mut harness);
        let heard = heard(&harness);
        assert_eq!(texts(&heard), all, "{taken} bytes");
        assert!(heard[..5].iter().all(|heard| heard.deflated));

        plain.establish();
        assert_eq!(plain.endpoint.extensions(), None);
        let sent: Vec<Sent> = all.iter().map(Sent::text).collect();
        assert_eq!(plain.frames()[..5], sent, "{taken} bytes");
    }
}

/// What counts is the end of the compressed frame.
#[test]
fn a_message_is_written_when_its_last_byte_is() {
    let mut harness = connected(Config { receipts: Receipts::Written, ..config() });
    let mut ends = vec![harness.request.len()];
    for n in 0..20 {
        harness.send(&chat(n));
        ends.push(harness.wire.len() + harness.endpoint.transmit().len());
    }
    for n in 1..=20 {
        let length = ends[n] - ends[n - 1];
        assert_eq!(harness.take(length - 1), [], "message {n} is not whole");
        let id = MessageId(n as u64);
        let written = Action::Emit(Event::Written { from: id, to: id });
        assert_eq!(harness.take(1), [written], "message {n}");
    }
    assert_eq!(texts(&heard(&harness)).len(), 20);
}

/// Nor does anything refer to it: its length says nothing of what others wrote beside it, and
/// theirs nothing of it.
#[test]
fn a_session_token_is_not_compressed() {
    let token =
        "a token that is as long as a message that would be compressed, and longer than that";
    let session = Session {
        token: token.into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    };
    let mut harness = Harness::start(config(), Start { session: Some(session), ..start() });
    harness.connect();
    establish(&mut harness);
    harness.send(&format!("{:?}", token));
    let heard = heard(&harness);
    assert!(texts(&heard)[0].contains(token));
    assert_eq!([heard[0].deflated, heard[1].deflated], [false, true]);
    assert!(heard[1].length > token.len() / 2, "{}: it refers to the token", heard[1].length);
}

#[test]
fn a_message_can_opt_out() {
    let script = |taken| {
        let mut harness = connected(Config { delivery: Delivery::AtLeastOnce, ..config() });
        harness.send(&chat(1));
        let message = Outgoing::from_json(chat(2)).expect("it is JSON").uncompressed();
        assert!(message.is_uncompressed());
        harness.try_send_message(message).0.expect("there is room");
        harness.send(&chat(3));
        harness.take(taken);
        harness
    };
    let opted_out = |harness: &Harness| {
        // And fences.
        let heard: Vec<Heard> = heard(harness).into_iter().filter(|h| h.opcode == TEXT).collect();
        assert_eq!(texts(&heard), [chat(1), chat(2), chat(3)]);
        heard.iter().map(|heard| !heard.deflated).collect::<Vec<_>>()
    };
    let mut harness = script(usize::MAX);
    assert_eq!(opted_out(&harness), [false, true, false]);
    // For good, on whichever connection.
    harness.closed(lost());
    harness.wait();
    establish(&mut harness);
    assert_eq!(opted_out(&harness), [false, true, false]);
}
