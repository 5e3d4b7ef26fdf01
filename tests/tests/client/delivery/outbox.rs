//! Messages on their way out: handed over as the window allows, and kept until the operating
//! system has them.

use std::time::Duration;

use hermes_proto::{
    Action, Actions, Client, Config, ConnId, DropReason, Event, FailReason, Frame, MessageId,
    Outgoing, SendError, Session, Start,
};
use hermes_tests::*;
use serde_json::json;

/// A window of ten bytes.
fn narrow() -> Config {
    Config { unflushed_max_bytes: 10, ..quiet() }
}

#[test]
fn messages_wait_for_a_connection_in_the_order_of_their_acceptance() {
    let mut host = Host::new(quiet());
    assert_eq!(host.try_send("1"), Ok(MessageId(1)));
    assert_eq!(host.try_send("22"), Ok(MessageId(2)));
    assert_eq!((host.client().outbox_len(), host.client().outbox_bytes()), (2, 3));
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let sends = [send(1, 1, "1"), send(1, 2, "22"), connected(1), disarm()];
    host.at(1).opened(1).expect(sends);
    assert_eq!(host.client().outbox_len(), 2);
    host.at(2).flushed(1, 2).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().outbox_bytes()), (0, 0));
    assert_eq!(host.client().stats().written, 2);
}

#[test]
fn a_value_is_sent_as_json() {
    let mut client = Client::new(quiet(), start()).unwrap();
    let mut out = Actions::new();
    let message = json!({"type": "chat", "text": "h\u{e9} \"you\""});
    assert_eq!(client.send(ms(0), &message, &mut out), Ok(MessageId(1)));
    assert_eq!(client.outbox_bytes(), message.to_string().len());

    let before = client.clone();
    let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = client.send(ms(0), &odd, &mut out).unwrap_err();
    assert!(matches!(error, SendError::Serialize(_)), "{error:?}");
    assert_eq!((error.into_frame(), client, out), (None, before, Actions::new()));
}

#[test]
fn what_is_not_taken_is_handed_back() {
    for error in [SendError::Full, SendError::TooLarge, SendError::NotNow, SendError::ShuttingDown]
    {
        assert_eq!(error(json("[1]")).into_frame(), Some(Frame::Text("[1]".into())));
    }
}

#[test]
fn what_is_not_json_is_handed_back() {
    let mut host = Host::connected(quiet());
    for text in ["", "hello", "{", "{} {}", "{'a':1}"] {
        let error = host.try_send(text).unwrap_err();
        assert!(matches!(error, SendError::NotJson(..)), "{error:?}");
        assert_eq!(error.into_frame().unwrap(), Frame::Text(text.into()));
        host.expect([]);
    }
    // Any JSON will do; what it means is between the application and the gateway.
    for (seq, text) in (1..).zip(["null", " [1, 2]\n", r#"{"type":"chat"}"#, "1e999"]) {
        host.send(text).expect([send(1, seq, text)]);
    }
}

/// For a gateway that takes more than JSON: a message like any other, whatever it says.
#[test]
fn texts_that_are_not_json_and_binary_messages_wait_and_go_again() {
    let messages = [Outgoing::text("plain"), Outgoing::binary([0, 0xFF].as_slice())];
    let frames = messages.each_ref().map(|message| message.frame().clone());
    assert_eq!(frames.each_ref().map(Frame::as_text), [Some("plain"), None]);
    let sends = |conn| {
        let (conn, frames) = (ConnId(conn), frames.clone());
        (1..).zip(frames).map(move |(seq, payload)| Action::Send { conn, seq, payload })
    };
    let mut host = Host::new(quiet());
    for message in messages {
        host.send_message(message);
    }
    assert_eq!(host.client().outbox_bytes(), 7);
    host.at(0).connect().skip();
    host.at(1).opened(1).expect(sends(1).chain([connected(1), disarm()]));
    host.at(2).closed(1, lost()).skip();
    host.at(1_002).timer().skip();
    host.at(1_003).opened(2).expect(sends(2).chain([connected(2), disarm()]));
    host.at(1_004).flushed(2, 1).expect([]);
    host.at(1_005).closed(2, lost()).skip();
    let [_, given_up] = [host.at(1_006).disconnect().take(), host.clear_outbox().take()];
    let (id, frame) = (Some(MessageId(2)), frames[1].clone());
    let dropped = Event::Dropped { id, frame, reason: DropReason::Cleared };
    assert_eq!(given_up, [Action::Emit(dropped)]);
}

#[test]
fn the_window_bounds_what_is_handed_over() {
    let mut host = Host::connected(narrow());
    host.at(1).send("11111").expect([send(1, 1, "11111")]);
    host.at(2).send("22222").expect([send(1, 2, "22222")]);
    host.at(3).send("3").expect([]);
    host.at(4).send("44444444").expect([]);
    host.at(5).send("5").expect([]);
    // One is out: there is room for the third, and the fifth must wait for its turn.
    host.at(6).flushed(1, 1).expect([send(1, 3, "3")]);
    host.at(7).flushed(1, 2).expect([send(1, 4, "44444444"), send(1, 5, "5")]);
}

#[test]
fn a_message_larger_than_the_window_goes_alone() {
    let large = "1".repeat(11);
    let mut host = Host::connected(narrow());
    host.at(1).send(&large).expect([send(1, 1, &large)]);
    host.at(1).send("2").expect([]);
    host.at(2).flushed(1, 1).expect([send(1, 2, "2")]);
    host.at(3).send(&large).expect([]);
    host.at(4).flushed(1, 2).expect([send(1, 3, &large)]);
}

#[test]
fn a_window_of_nothing_lets_one_through_at_a_time() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 0, ..quiet() });
    host.at(1).send("1").expect([send(1, 1, "1")]);
    host.at(1).send("2").expect([]);
    host.at(1).send("3").expect([]);
    host.at(2).flushed(1, 1).expect([send(1, 2, "2")]);
    host.at(3).flushed(1, 2).expect([send(1, 3, "3")]);
}

#[test]
fn flushed_is_cumulative() {
    let mut host = Host::connected(narrow());
    for (seq, text) in (1..).zip(["1", "2", "3", "4"]) {
        host.at(1).send(text).expect([send(1, seq, text)]);
    }
    host.at(2).flushed(1, 3).expect([]);
    assert_eq!(host.client().outbox_len(), 1);
    // Again, less, and nothing: no news.
    for up_to in [3, 1, 0] {
        host.at(3).flushed(1, up_to).expect([]);
        assert_eq!(host.client().outbox_len(), 1);
    }
    host.at(4).flushed(1, 4).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().stats().written), (0, 4));
}

/// The numbers count frames, the session's and the heartbeat's too.
#[test]
fn flushed_counts_frames() {
    let session = Session { token: "t".into(), client_id: None, saved_at: 0, origin: None };
    let mut host = Host::start(config(), Start { session: Some(session), ..start() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).opened(1).expect([resume(1, "t"), connected(1), arm(25_000)]);
    host.at(1).send("2").expect([send(1, 2, "2")]);
    host.at(25_000).timer().expect([ping(1, 3), arm(35_000)]);
    host.at(25_001).send("4").expect([send(1, 4, "4")]);
    for (up_to, left) in [(1, 2), (2, 1), (3, 1), (4, 0)] {
        host.at(25_002).flushed(1, up_to).expect([]);
        assert_eq!(host.client().outbox_len(), left, "flushed up to {up_to}");
    }
}

#[test]
fn flushed_beyond_what_was_sent_is_all_that_was_sent() {
    let mut host = Host::connected(narrow());
    host.at(1).send("1111111111").expect([send(1, 1, "1111111111")]);
    host.at(1).send("2222222222").expect([]);
    // It makes room, and says nothing of what goes out only now.
    host.at(2).flushed(1, u64::MAX).expect([send(1, 2, "2222222222")]);
    assert_eq!(host.client().outbox_len(), 1);
    host.at(3).flushed(1, 1).expect([]);
    assert_eq!(host.client().outbox_len(), 1);
}

/// The reference loses what it wrote to a dying socket, and sends a flush cut short twice.
#[test]
fn what_was_not_flushed_goes_again_in_order_and_nothing_else_does() {
    let mut host = Host::connected(narrow());
    for (seq, text) in (1..).zip(["1111", "2222", "33"]) {
        host.at(1).send(text).expect([send(1, seq, text)]);
    }
    host.at(1).send("4").expect([]);
    host.at(2).flushed(1, 1).expect([send(1, 4, "4")]);
    let ended = disconnected(1, 1006, lost(), 1_003);
    host.at(3).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_003)]);
    assert_eq!(host.client().outbox_len(), 3);
    host.at(4).flushed(1, 4).expect([]);
    host.at(5).send("5").expect([]);
    host.at(1_003).timer().expect([open(2), arm(16_003)]);
    host.at(1_004).opened(2).expect([
        send(2, 1, "2222"),
        send(2, 2, "33"),
        send(2, 3, "4"),
        send(2, 4, "5"),
        connected(2),
        disarm(),
    ]);
    host.at(1_005).flushed(2, 4).expect([]);
    assert_eq!((host.client().outbox_len(), host.client().stats().written), (0, 5));
}

#[test]
fn nothing_is_lost_however_often_the_link_is() {
    let mut host =
        Host::new(Config { max_attempts: None, min_connect_interval: Duration::ZERO, ..narrow() });
    for text in ["11111111", "22222222", "33333333"] {
        host.at(0).send(text).expect([]);
    }
    let mut arrived = Vec::new();
    // Every other connection is gone before it has taken anything.
    for conn in 1..=6 {
        host.at(0).connect().skip();
        let sent = host.opened(conn).take();
        let [Action::Send { seq: 1, payload: Frame::Text(text), .. }, ..] = &sent[..] else {
            panic!("{sent:?}");
        };
        if conn % 2 == 0 {
            host.flushed(conn, 1).skip();
            arrived.push(text.to_string());
        }
        host.closed(conn, lost()).skip();
    }
    assert_eq!(arrived, ["11111111", "22222222", "33333333"]);
    assert_eq!(host.client().outbox_len(), 0);
}

#[test]
fn a_stop_and_a_failure_keep_the_outbox() {
    let mut host = Host::new(Config { max_attempts: Some(0), ..quiet() });
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(0).disconnect().skip();
    host.at(0).connect().expect([open(2), arm(15_000)]);
    host.at(0).closed(2, lost()).expect([
        disconnected(2, 1006, lost(), None),
        failed(0, FailReason::Attempts),
        disarm(),
    ]);
    host.at(1).send("2").expect([]);
    host.at(500).connect().expect([open(3), arm(15_500)]);
    let sends = [send(3, 1, "1"), send(3, 2, "2"), connected(3), disarm()];
    host.at(501).opened(3).expect(sends);
}
