//! `durable`: the host's outbox store is asked to keep what is accepted, and to forget what is done.

use std::time::Duration;

use hermes_proto::{
    Action, Client, Config, Delivery, DropReason, Event, Input, MessageId, Outgoing, Receipts,
    SendError, Start, StoredMessage, StoredOutbox,
};
use hermes_tests::*;

fn durable() -> Config {
    let (delivery, receipts) = (Delivery::AtLeastOnce, Receipts::Written);
    Config { delivery, receipts, durable: true, ..quiet() }
}

fn message(id: u64, text: &str) -> StoredMessage {
    StoredMessage { id: MessageId(id), message: json(text), expires_unix_ms: None }
}

fn keep(id: u64, text: &str) -> Action {
    Action::StoreMessage(message(id, text))
}

fn forget_messages(from: u64, to: u64) -> Action {
    Action::ForgetMessages { from: MessageId(from), to: MessageId(to) }
}

fn load(after: u64) -> Action {
    Action::LoadMessages { after: MessageId(after) }
}

fn told_durable(from: u64, to: u64) -> Action {
    Action::Emit(Event::Durable { from: MessageId(from), to: MessageId(to) })
}

fn stored(host: &mut Host, up_to: u64) -> &mut Host {
    host.input(Input::Stored { up_to: MessageId(up_to) })
}

fn failed(host: &mut Host) -> &mut Host {
    host.input(Input::StoreFailed { text: "disk full".into() })
}

fn restart(next_id: u64, messages: Vec<StoredMessage>, has_more: bool) -> Start {
    let outbox = StoredOutbox { next_id: MessageId(next_id), messages, has_more };
    Start { outbox: Some(outbox), ..start() }
}

/// Messages that would survive, and that would not.
fn counts(host: &Host) -> (u64, u64) {
    let stats = host.client().stats();
    (stats.durable, stats.not_durable)
}

#[test]
fn a_message_is_stored_and_once_it_is_acknowledged_forgotten() {
    let mut host = Host::connected(durable());
    host.at(10).send("11").expect([keep(1, "11"), send(1, 1, "11"), ping(1, 2)]);
    assert_eq!(counts(&host), (0, 1));
    stored(host.at(11), 1).expect([told_durable(1, 1)]);
    assert_eq!(counts(&host), (1, 0));
    host.at(12).flushed(1, 2).expect([written(1, 1)]);
    host.at(40).pong(1, 2).expect([forget_messages(1, 1)]);
    assert_eq!(counts(&host), (1, 0));
}

#[test]
fn an_acknowledgement_may_come_before_the_store_is_done() {
    let mut host = Host::connected(durable());
    host.at(10).send("11").skip();
    host.at(40).pong(1, 2).expect([written(1, 1), forget_messages(1, 1)]);
    stored(host.at(41), 1).expect([]);
    assert_eq!(counts(&host), (0, 0));
}

#[test]
fn nothing_is_durable_that_the_store_was_not_asked_for() {
    let mut host = Host::new(durable());
    stored(&mut host, 7).expect([]);
    host.send("1").expect([keep(1, "1")]);
    stored(&mut host, 7).expect([told_durable(1, 1)]);
    stored(&mut host, 1).expect([]);
    host.send("2").expect([keep(2, "2")]);
    assert_eq!(counts(&host), (1, 1));
}

#[test]
fn a_volatile_message_is_not_stored() {
    let mut host = Host::connected(durable());
    host.send_message(json("1").volatile()).expect([send(1, 1, "1"), ping(1, 2)]);
    assert_eq!(counts(&host), (0, 0));
}

#[test]
fn a_dropped_message_is_forgotten() {
    let mut host = Host::new(durable());
    let expires_unix_ms = Some(UNIX_MS + 500);
    let brief = StoredMessage { expires_unix_ms, ..message(1, "1") };
    host.send_message(json("1").with_ttl(Duration::from_millis(500)))
        .expect([Action::StoreMessage(brief), arm(500)]);
    host.at(100).send("2").expect([keep(2, "2")]);
    host.at(500).timer().expect([forget_messages(1, 1), given_up(1, "1", DropReason::Expired)]);
    host.at(501).send("3").expect([keep(3, "3")]);
    host.clear_outbox().expect([
        forget_messages(2, 3),
        given_up(2, "2", DropReason::Cleared),
        given_up(3, "3", DropReason::Cleared),
    ]);
}

#[test]
fn a_store_that_fails_is_asked_again_for_all_that_is_not_durable() {
    let mut host = Host::new(durable());
    host.at(0).send("1").expect([keep(1, "1")]);
    host.send("2").expect([keep(2, "2")]);
    stored(&mut host, 1).expect([told_durable(1, 1)]);
    let text = "the outbox store failed: disk full; messages go on in memory and are not durable, and \
                the store is asked again";
    failed(host.at(10)).expect([Action::Emit(Event::Warning { text: text.into() }), arm(1_010)]);
    // Not asked all the time, nor is the application.
    host.at(500).send("3").expect([]);
    assert_eq!(counts(&host), (1, 2));
    let why = host.client().why(ms(510));
    assert!(why.contains("; 2 messages not durable"), "{why}");
    assert!(why.contains("; the outbox store failed, asked again in 0.5 s"), "{why}");
    host.at(1_010).timer().expect([keep(2, "2"), keep(3, "3")]);
    failed(host.at(1_020)).expect([arm(2_020)]);
    host.at(2_020).timer().expect([keep(2, "2"), keep(3, "3")]);
    stored(&mut host, 3).expect([told_durable(2, 3)]);
    // Another failure is news.
    failed(host.at(2_100)).expect([Action::Emit(Event::Warning { text: text.into() }), arm(3_100)]);
    host.at(3_100).timer().expect([]);
}

#[test]
fn the_next_process_sends_what_was_kept() {
    let kept = vec![message(3, "3"), message(5, "5")];
    let mut host = Host::start(durable(), restart(9, kept, false));
    let stats = host.client().stats();
    assert_eq!((stats.restored, stats.accepted, stats.not_durable), (2, 0, 0));
    host.at(0).connect().skip();
    host.opened(1).expect([send(1, 1, "3"), send(1, 2, "5"), ping(1, 3), connected(1), disarm()]);
    host.send("9").expect([keep(9, "9"), send(1, 4, "9")]);
    host.at(40).pong(1, 3).expect([written(3, 5), forget_messages(3, 8), ping(1, 5)]);
    assert_eq!(host.client().stats().accepted, 1);
}

#[test]
fn what_expired_between_two_processes_is_dropped() {
    let over = StoredMessage { expires_unix_ms: Some(UNIX_MS - 1), ..message(1, "1") };
    let brief = StoredMessage { expires_unix_ms: Some(UNIX_MS + 700), ..message(2, "2") };
    let mut host = Host::start(durable(), restart(3, vec![over, brief], false));
    host.at(0).send("3").expect([
        forget_messages(1, 1),
        given_up(1, "1", DropReason::Expired),
        keep(3, "3"),
        arm(700),
    ]);
}

#[test]
fn a_restored_message_is_as_it_was() {
    let binary = Outgoing::binary("b").uncompressed();
    let kept = StoredMessage { id: MessageId(1), message: binary, expires_unix_ms: None };
    let mut host = Host::start(durable(), restart(2, vec![kept.clone()], false));
    let frames: Vec<_> = host.client().outbox().collect();
    assert_eq!(frames, [(MessageId(1), kept.message.frame().clone())]);
    host.clear_outbox().skip();
    host.send_message(kept.message.clone())
        .expect([Action::StoreMessage(StoredMessage { id: MessageId(2), ..kept })]);
}

/// The contract has no model of a store that is larger than the outbox.
#[test]
fn an_overfull_store_is_loaded_in_parts_and_in_order() {
    let config = Config { outbox_max_messages: 2, ..durable() };
    let kept = vec![message(1, "1"), message(2, "2"), message(3, "3")];
    let mut client = Client::new(config, restart(6, kept, true)).unwrap();
    let mut out = hermes_proto::Actions::new();
    let ids = |client: &Client| client.outbox().map(|(id, _)| id.0).collect::<Vec<_>>();
    assert_eq!(ids(&client), [1, 2]);
    assert!(!client.has_room(1));
    client.connect(ms(0), &mut out);
    let conn = client.conn().unwrap();
    client.handle(ms(1), Input::Opened { conn }, &mut out);
    out.clear();
    assert_eq!(client.send(ms(2), &6, &mut out), Err(SendError::Full(json("6"))));
    client.handle(ms(3), Input::Received { conn, payload: pong(1, 3) }, &mut out);
    assert_eq!(out.drain(..).collect::<Vec<_>>(), [written(1, 2), forget_messages(1, 2), load(2)]);
    // A store that fails to load is asked again.
    client.handle(ms(4), Input::StoreFailed { text: "x".into() }, &mut out);
    assert!(!client.has_room(1) && !out.contains(&load(2)));
    client.handle(ms(1_004), Input::TimerFired, &mut out);
    assert!(out.contains(&load(2)), "{out:?}");
    out.clear();
    let messages = vec![message(3, "3"), message(4, "4"), message(5, "5")];
    client.handle(ms(1_005), Input::Loaded { messages, has_more: false }, &mut out);
    assert_eq!(ids(&client), [3, 4]);
    assert!(!out.contains(&load(4)) && !client.has_room(1));
    // What was not loaded is cleared with the rest.
    client.handle(ms(1_006), Input::Closed { conn, reason: lost() }, &mut out);
    out.clear();
    client.clear_outbox(ms(1_007), &mut out);
    let forgotten = out.iter().filter(|action| matches!(action, Action::ForgetMessages { .. }));
    let forgotten: Vec<_> = forgotten.cloned().collect();
    assert_eq!(forgotten, [forget_messages(3, 4), forget_messages(5, 5)]);
    assert!(client.has_room(1));
    assert_eq!(client.send(ms(1_008), &6, &mut out), Ok(MessageId(6)));
}

#[test]
fn the_report_of_a_shutdown_tells_what_stays() {
    let mut host = Host::new(durable());
    host.at(0).send("1").skip();
    host.send("2").skip();
    stored(&mut host, 1).skip();
    let report = Event::ShutDown { acknowledged: 0, in_doubt: 0, unsent: 2, durable: 1 };
    host.shutdown(100).expect([Action::Emit(report)]);
}

#[test]
fn a_stored_message_has_its_identity() {
    let config = Config { message_id_member: Some("id".into()), ..durable() };
    let mut host = Host::new(config);
    let identity = format!("{{\"a\":1,\"id\":\"{:016x}-1\"}}", host.client().incarnation());
    host.send(r#"{"a":1}"#).expect([keep(1, &identity)]);
}

#[test]
fn a_stored_outbox_needs_a_durable_client() {
    let config = Config { durable: false, ..durable() };
    let error = Client::new(config, restart(1, Vec::new(), false)).unwrap_err();
    assert_eq!(error.field, "durable");
}
