//! Messages compressed on their way (RFC 7692): each for the connection that it is handed to, and no
//! secret among them.

use hermes_proto::{
    Action, Config, Delivery, Event, MessageId, Outgoing, Receipts, Session, Start,
};
use hermes_tests::deflate::{Gateway, Heard, PLAIN, answer_to};
use hermes_tests::ws::bits::TEXT;
use hermes_tests::ws::*;
use hermes_tests::{ORIGIN, UNIX_MS, lost, quiet, start};

fn config() -> Config {
    Config { deflate: true, ..quiet() }
}

fn chat(n: usize) -> String {
    format!(r#"{{"type":"chat","text":"number {n} of many messages that are alike","n":{n}}}"#)
}

/// Opens and upgrades the live connection; the gateway agrees to compress.
fn establish(bench: &mut Bench) {
    bench.opened(bench.live.expect("a connection is being made").0);
    bench.take(usize::MAX);
    bench.receive(answer_to(&bench.request.clone(), PLAIN));
    assert_eq!(bench.endpoint.extensions(), Some(PLAIN));
}

fn connected(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    bench.connect();
    establish(&mut bench);
    bench
}

/// All messages of the live connection, whether or not they have left.
fn heard(bench: &Bench) -> Vec<Heard> {
    let bytes = [&bench.wire, bench.endpoint.transmit()].concat();
    Gateway::new(PLAIN).read(&bytes[bench.request.len()..])
}

fn texts(heard: &[Heard]) -> Vec<String> {
    let text = |heard: &Heard| String::from_utf8(heard.message.clone()).expect("it is UTF-8");
    heard.iter().filter(|heard| heard.opcode == TEXT).map(text).collect()
}

/// The next connection knows nothing of what the last one said, or does not even compress.
#[test]
fn what_goes_again_is_compressed_anew() {
    let script = || {
        let mut bench = connected(Config { delivery: Delivery::AtLeastOnce, ..config() });
        (0..5).for_each(|n| drop(bench.send(&chat(n))));
        bench
    };
    let all: Vec<String> = (0..5).map(chat).collect();
    let length = script().endpoint.transmit().len();
    assert!(length < all.concat().len() / 2, "{length}");
    for taken in 0..=length {
        let mut bench = script();
        bench.take(taken);
        bench.closed(lost());
        bench.wait();
        let mut plain = bench.clone();

        establish(&mut bench);
        let heard = heard(&bench);
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
    let mut bench = connected(Config { receipts: Receipts::Written, ..config() });
    let mut ends = vec![bench.request.len()];
    for n in 0..20 {
        bench.send(&chat(n));
        ends.push(bench.wire.len() + bench.endpoint.transmit().len());
    }
    for n in 1..=20 {
        let length = ends[n] - ends[n - 1];
        assert_eq!(bench.take(length - 1), [], "message {n} is not whole");
        let id = MessageId(n as u64);
        let written = Action::Emit(Event::Written { from: id, to: id });
        assert_eq!(bench.take(1), [written], "message {n}");
    }
    assert_eq!(texts(&heard(&bench)).len(), 20);
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
    let mut bench = Bench::start(config(), Start { session: Some(session), ..start() });
    bench.connect();
    establish(&mut bench);
    bench.send(&format!("{:?}", token));
    let heard = heard(&bench);
    assert!(texts(&heard)[0].contains(token));
    assert_eq!([heard[0].deflated, heard[1].deflated], [false, true]);
    assert!(heard[1].length > token.len() / 2, "{}: it refers to the token", heard[1].length);
}

#[test]
fn a_message_can_opt_out() {
    let script = |taken| {
        let mut bench = connected(Config { delivery: Delivery::AtLeastOnce, ..config() });
        bench.send(&chat(1));
        let message = Outgoing::from_json(chat(2)).expect("it is JSON").uncompressed();
        assert!(message.is_uncompressed());
        bench.try_send_message(message).0.expect("there is room");
        bench.send(&chat(3));
        bench.take(taken);
        bench
    };
    let opted_out = |bench: &Bench| {
        // And fences.
        let heard: Vec<Heard> = heard(bench).into_iter().filter(|h| h.opcode == TEXT).collect();
        assert_eq!(texts(&heard), [chat(1), chat(2), chat(3)]);
        heard.iter().map(|heard| !heard.deflated).collect::<Vec<_>>()
    };
    let mut bench = script(usize::MAX);
    assert_eq!(opted_out(&bench), [false, true, false]);
    // For good, on whichever connection.
    bench.closed(lost());
    bench.wait();
    establish(&mut bench);
    assert_eq!(opted_out(&bench), [false, true, false]);
}
