//! Fences: a Ping behind messages, whose Pong proves that the peer's endpoint has read them all.

use std::time::Duration;

use hermes_proto::reason::Stage;
use hermes_proto::{Client, Config, ConfigError, Delivery, Event, Frame, Receipts, State};
use hermes_tests::*;

/// Every message is followed by a fence, where none is out.
fn fenced() -> Config {
    Config { receipts: Receipts::Acknowledged, ..quiet() }
}

fn micros(duration: Option<Duration>) -> u128 {
    duration.expect("a Ping was answered").as_micros()
}

/// Frames that the fence `ping(1, 2)` must not be answered by, though they look like it.
fn impostors() -> Vec<Frame> {
    let Frame::Pong(right) = pong(1, 2) else { panic!("it is a Pong") };
    let other = |change: fn(&mut Vec<u8>)| {
        let mut data = right.to_vec();
        change(&mut data);
        Frame::Pong(data.into())
    };
    vec![
        // Unsolicited (RFC 6455 §5.5.3).
        Frame::Pong(vec![].into()),
        Frame::Pong(b"hello".to_vec().into()),
        Frame::Pong(vec![0; 16].into()),
        Frame::Pong(vec![0xFF; 125].into()),
        // Of another connection, with another number of frames.
        pong(0, 2),
        pong(2, 2),
        pong(1, 1),
        pong(1, 3),
        // Nearly.
        other(|data| data.truncate(15)),
        other(|data| data.push(0)),
        other(|data| data.reverse()),
        // The data is right, and it proves nothing.
        Frame::Ping(right),
    ]
}

#[test]
fn a_pong_proves_what_was_sent_before_its_ping() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    assert_eq!((host.client().stats().unacknowledged, host.client().stats().acknowledged), (0, 0));
    host.at(11).flushed(1, 1).expect([written(1, 1)]);
    assert_eq!((host.client().stats().unacknowledged, host.client().stats().acknowledged), (1, 0));
    host.at(12).flushed(1, 2).expect([]);
    host.at(40).pong(1, 2).expect([acknowledged(1, 1)]);
    assert_eq!((host.client().stats().unacknowledged, host.client().stats().acknowledged), (0, 1));
    // And so on.
    host.at(50).send("2").expect([send(1, 3, "2"), ping(1, 4)]);
    host.at(51).flushed(1, 4).expect([written(2, 2)]);
    host.at(52).pong(1, 4).expect([acknowledged(2, 2)]);
    assert_eq!((host.client().stats().written, host.client().stats().acknowledged), (2, 2));
}

/// As many messages in a round trip as there are: two fences for them, not one for each.
#[test]
fn one_fence_is_out_at_most_and_the_next_is_for_all_that_came_since() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).send("2").expect([send(1, 3, "2")]);
    host.at(12).flushed(1, 3).expect([written(1, 2)]);
    host.at(13).send("3").expect([send(1, 4, "3")]);
    // It proves the first one only.
    host.at(20).pong(1, 2).expect([acknowledged(1, 1), ping(1, 5)]);
    assert_eq!(host.client().stats().acknowledged, 1);
    host.at(21).send("4").expect([send(1, 6, "4")]);
    host.at(22).flushed(1, 6).expect([written(3, 4)]);
    host.at(30).pong(1, 5).expect([acknowledged(2, 3), ping(1, 7)]);
    host.at(31).flushed(1, 7).expect([]);
    host.at(40).pong(1, 7).expect([acknowledged(4, 4)]);
    assert_eq!(host.client().stats().acknowledged, 4);
}

#[test]
fn messages_from_the_outbox_share_a_fence() {
    let mut host = Host::new(fenced());
    for text in ["1", "2", "3"] {
        host.at(0).send(text).expect([]);
    }
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let sends = [send(1, 1, "1"), send(1, 2, "2"), send(1, 3, "3")];
    host.at(1).opened(1).expect(sends.into_iter().chain([ping(1, 4), connected(1), disarm()]));
    host.at(2).flushed(1, 4).expect([written(1, 3)]);
    host.at(3).pong(1, 4).expect([acknowledged(1, 3)]);
}

/// A message is under way for as long as its fence; the outbox flows on.
#[test]
fn a_fence_holds_nothing_up_and_takes_no_room() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 2, ..fenced() });
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(1).send("2").expect([send(1, 3, "2")]);
    host.at(1).send("3").expect([]);
    host.at(2).flushed(1, 2).expect([written(1, 1), send(1, 4, "3")]);
    // The gateway never answers, and everything goes all the same.
    host.at(3).flushed(1, 4).expect([written(2, 3)]);
    for (seq, text) in (5..).zip(["4", "5", "6", "7"]) {
        host.at(4).send(text).expect([send(1, seq, text)]);
        host.at(4).flushed(1, seq).expect([written(seq - 1, seq - 1)]);
    }
    assert_eq!(host.client().stats().unacknowledged, 7);
}

/// The system took the Ping, or the peer could not have answered it: the host is late to say so.
#[test]
fn a_pong_may_come_before_flushed_was_reported() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).send("2").expect([send(1, 3, "2")]);
    host.at(20).pong(1, 2).expect([written(1, 1), acknowledged(1, 1), ping(1, 4)]);
    assert_eq!((host.client().outbox_len(), host.client().stats().written), (1, 1));
    // The report is late, and no news for the first one.
    host.at(21).flushed(1, 1).expect([]);
    host.at(22).flushed(1, 2).expect([]);
    host.at(23).flushed(1, 3).expect([written(2, 2)]);
    assert_eq!(host.client().stats().written, 2);
    // What was read by the peer is not sent again, whatever the host had said of it.
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(20).pong(1, 2).expect([written(1, 1), acknowledged(1, 1)]);
    host.at(30).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_030), arm(1_030)]);
    host.at(1_030).timer().expect([open(2), arm(16_030)]);
    host.at(1_031).opened(2).expect([connected(2), disarm()]);
}

/// It makes room in the window, too.
#[test]
fn a_pong_before_flushed_lets_more_through() {
    let mut host = Host::connected(Config { unflushed_max_bytes: 1, ..fenced() });
    host.at(1).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(1).send("2").expect([]);
    let answer = [written(1, 1), acknowledged(1, 1), send(1, 3, "2"), ping(1, 4)];
    host.at(9).pong(1, 2).expect(answer);
    host.at(9).flushed(1, 2).expect([]);
    assert_eq!(host.client().outbox_len(), 1);
}

#[test]
fn a_pong_that_answers_no_fence_proves_nothing() {
    for impostor in impostors() {
        let mut host = Host::connected(fenced());
        host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(11).flushed(1, 2).expect([written(1, 1)]);
        let before = host.client().clone();
        host.at(11).frame(1, impostor.clone()).expect([]);
        assert_eq!(*host.client(), before, "{impostor:?}");
        // The fence is out as before.
        host.at(12).send("2").expect([send(1, 3, "2")]);
        host.at(13).pong(1, 2).expect([acknowledged(1, 1), ping(1, 4)]);
    }
}

#[test]
fn an_unsolicited_pong_is_no_news_where_no_fence_is_out() {
    for config in [fenced(), quiet()] {
        for impostor in impostors().into_iter().chain([pong(1, 2)]) {
            let mut host = Host::connected(config.clone());
            let before = host.client().clone();
            host.at(0).frame(1, impostor.clone()).expect([]);
            assert_eq!(*host.client(), before, "{impostor:?}");
        }
    }
}

#[test]
fn a_doubled_pong_counts_once() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1)]);
    host.at(20).pong(1, 2).expect([acknowledged(1, 1)]);
    let before = host.client().stats();
    host.at(30).pong(1, 2).expect([]);
    assert_eq!(host.client().stats(), before);
    // Nor is it an answer to the next one.
    host.at(40).send("2").expect([send(1, 3, "2"), ping(1, 4)]);
    host.at(41).flushed(1, 4).expect([written(2, 2)]);
    host.at(50).pong(1, 2).expect([]);
    assert_eq!((host.client().stats().acknowledged, host.client().stats().unacknowledged), (1, 1));
    host.at(60).pong(1, 4).expect([acknowledged(2, 2)]);
}

#[test]
fn a_pong_of_an_older_connection_proves_nothing_on_a_newer_one() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_011), arm(1_011)]);
    // Too late, under its own name.
    host.at(12).pong(1, 2).expect([]);
    host.at(1_011).timer().expect([open(2), arm(16_011)]);
    host.at(1_012).pong(1, 2).expect([]);
    host.at(1_013).opened(2).expect([send(2, 1, "1"), ping(2, 2), connected(2), disarm()]);
    host.at(1_014).flushed(2, 2).expect([written(1, 1)]);
    // Under the name of the other: a proxy that mixes up its clients, say.
    host.at(1_015).frame(2, pong(1, 2)).expect([]);
    host.at(1_016).pong(1, 2).expect([]);
    assert_eq!(host.client().stats().acknowledged, 0);
    host.at(1_017).pong(2, 2).expect([acknowledged(1, 1)]);
}

/// Both answers may have left before the Close frame: the peer's, and ours.
#[test]
fn a_pong_during_the_closing_handshake_counts() {
    type Begin = fn(&mut Host);
    let ends: [(Begin, _); 2] = [
        (
            |host| _ = host.at(12).disconnect().expect([close(1, 1000), arm(5_012)]),
            vec![disconnected(1, 1000, hermes_proto::CloseReason::Requested, None), disarm()],
        ),
        (
            |host| _ = host.at(12).closing(1, peer(1000)).expect([arm(5_012)]),
            vec![disconnected(1, 1000, peer(1000), 1_030), arm(1_030)],
        ),
    ];
    for (begin, gone) in ends {
        let mut host = Host::connected(fenced());
        host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
        host.at(11).send("2").expect([send(1, 3, "2")]);
        begin(&mut host);
        // Whether or not the host has said that the Ping left. No further fence follows.
        host.at(20).pong(1, 2).expect([written(1, 1), acknowledged(1, 1)]);
        host.at(21).flushed(1, 3).expect([written(2, 2)]);
        assert_eq!(
            (host.client().stats().acknowledged, host.client().stats().unacknowledged),
            (1, 1)
        );
        let mut gone = gone;
        gone.insert(0, in_doubt(2, 2, false));
        host.at(30).closed(1, peer(1000)).expect(gone);
        assert_eq!(host.client().outbox_len(), 0);
    }
}

/// A fence is a question, too: an idle link costs nothing more.
#[test]
fn a_fence_is_an_answer_to_the_heartbeat() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..config() });
    host.at(20_000).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(20_001).flushed(1, 2).expect([written(1, 1)]);
    host.at(20_050).pong(1, 2).expect([acknowledged(1, 1)]);
    // It was heard at 20.05 s.
    host.at(25_000).timer().expect([arm(45_050)]);
    host.at(45_050).timer().expect([ping(1, 3), arm(55_050)]);
    host.at(45_060).pong(1, 3).expect([arm(70_060)]);
}

#[test]
fn heartbeat_and_fence_share_a_ping_that_is_out() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..config() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    // The fence is the heartbeat's Ping, with a time of its own.
    host.at(11).flushed(1, 2).expect([written(1, 1), arm(20_011)]);
    host.at(15_000).pong(1, 2).expect([acknowledged(1, 1)]);
    host.at(20_011).timer().expect([arm(40_000)]);
    // The other way round: a message finds the heartbeat's.
    host.at(40_000).timer().expect([ping(1, 3), arm(50_000)]);
    host.at(40_001).send("2").expect([send(1, 4, "2")]);
    host.at(40_002).flushed(1, 4).expect([written(2, 2)]);
    // It was sent before the message and says nothing of it.
    host.at(40_003).pong(1, 3).expect([ping(1, 5), arm(65_003)]);
    host.at(40_004).pong(1, 5).expect([acknowledged(2, 2)]);
}

#[test]
fn an_unanswered_fence_is_a_dead_link() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..config() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1), arm(20_011)]);
    host.at(20_011).timer().expect([
        abandon(1),
        in_doubt(1, 1, false),
        disconnected(1, 1006, timeout(Stage::Heartbeat), 21_011),
        arm(21_011),
    ]);
}

/// Anything that is heard is a sign of life, but only the Pong is a proof.
#[test]
fn what_else_is_heard_proves_nothing() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..config() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1), arm(20_011)]);
    host.at(20_000).text(1, "0").expect([event("0")]);
    host.at(20_011).timer().expect([arm(25_011)]);
    // The next interval asks again.
    host.at(25_011).timer().expect([ping(1, 3), arm(55_000)]);
    assert_eq!(host.client().stats().unacknowledged, 1);
    host.at(25_012).pong(1, 2).expect([acknowledged(1, 1), arm(50_012)]);
}

/// Nobody asked for proof; the heartbeat brings it now and then.
#[test]
fn without_receipts_the_heartbeat_is_the_only_fence() {
    for receipts in [Receipts::None, Receipts::Written] {
        let told = |action| (receipts == Receipts::Written).then_some(action);
        let mut host = Host::connected(Config { receipts, ..config() });
        host.at(10).send("1").expect([send(1, 1, "1")]);
        host.at(11).send("2").expect([send(1, 2, "2")]);
        host.at(12).flushed(1, 2).expect(told(written(1, 2)));
        assert_eq!(host.client().stats().unacknowledged, 2);
        host.at(25_000).timer().expect([ping(1, 3), arm(35_012)]);
        host.at(25_001).flushed(1, 3).expect([arm(35_001)]);
        host.at(25_002).send("3").expect([send(1, 4, "3")]);
        host.at(25_003).flushed(1, 4).expect(told(written(3, 3)));
        host.at(25_050).pong(1, 3).expect([arm(50_050)]);
        assert_eq!(
            (host.client().stats().acknowledged, host.client().stats().unacknowledged),
            (2, 1)
        );
    }
}

/// After a change of network the Ping that is out may be lost with the old one.
#[test]
fn a_new_ping_is_beside_one_that_may_be_lost() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..config() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1), arm(20_011)]);
    host.at(20).network(true).expect([ping(1, 3)]);
    // Either answer proves as much.
    host.at(30).pong(1, 3).expect([acknowledged(1, 1)]);
    host.at(31).pong(1, 2).expect([]);
}

#[test]
fn no_second_ping_behind_one_that_has_not_left() {
    let mut host = Host::connected(Config { receipts: Receipts::Acknowledged, ..config() });
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(20).network(true).expect([arm(35_000)]);
    host.at(30).pong(1, 2).expect([written(1, 1), acknowledged(1, 1), arm(25_030)]);
}

#[test]
fn the_round_trip_is_measured_from_the_time_the_ping_left() {
    let mut host = Host::connected(fenced());
    assert_eq!((host.client().stats().rtt_last, host.client().stats().rtt_smoothed), (None, None));
    let mut seq = 0;
    // Each is sent, waits for 1 s, leaves, and is answered after so many milliseconds.
    for (text, rtt, smoothed) in
        [("1", 80, 80_000), ("2", 160, 90_000), ("3", 10, 80_000), ("4", 0, 70_000)]
    {
        let id = seq / 2 + 1;
        let now = 10_000 * id;
        host.at(now).send(text).expect([send(1, seq + 1, text), ping(1, seq + 2)]);
        host.at(now + 900).flushed(1, seq + 1).expect([written(id, id)]);
        host.at(now + 1_000).flushed(1, seq + 2).expect([]);
        // Said again, which changes nothing.
        host.at(now + 1_000 + rtt).flushed(1, seq + 2).expect([]);
        host.pong(1, seq + 2).expect([acknowledged(id, id)]);
        let stats = host.client().stats();
        let micros = (micros(stats.rtt_last), micros(stats.rtt_smoothed));
        assert_eq!(micros, (u128::from(rtt) * 1_000, smoothed), "{text}");
        seq += 2;
    }
}

#[test]
fn the_round_trip_of_a_heartbeat_counts_too() {
    let mut host = Host::connected(config());
    host.at(25_000).timer().expect([ping(1, 1), arm(35_000)]);
    // The host has not said that it left: then from the time that it was handed over.
    host.at(25_070).pong(1, 1).expect([arm(50_070)]);
    assert_eq!(micros(host.client().stats().rtt_last), 70_000);
    // An answer to nothing is no measurement.
    host.at(25_090).pong(1, 1).expect([]);
    assert_eq!(micros(host.client().stats().rtt_last), 70_000);
}

/// Another connection may take another way.
#[test]
fn a_new_connection_begins_the_smoothing_anew() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(10).flushed(1, 2).expect([written(1, 1)]);
    host.at(810).pong(1, 2).expect([acknowledged(1, 1)]);
    host.at(820).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_820), arm(1_820)]);
    assert_eq!(micros(host.client().stats().rtt_smoothed), 800_000);
    host.at(1_820).timer().expect([open(2), arm(16_820)]);
    host.at(1_821).opened(2).expect([connected(2), disarm()]);
    assert_eq!(host.client().stats().rtt_smoothed, None);
    assert_eq!(micros(host.client().stats().rtt_last), 800_000, "the latest one there was");
    host.at(2_000).send("2").expect([send(2, 1, "2"), ping(2, 2)]);
    host.at(2_000).flushed(2, 2).expect([written(2, 2)]);
    host.at(2_020).pong(2, 2).expect([acknowledged(2, 2)]);
    assert_eq!(micros(host.client().stats().rtt_smoothed), 20_000);
}

#[test]
fn stats_show_round_trips_in_milliseconds() {
    let mut host = Host::connected(fenced());
    let json = serde_json::to_value(host.client().stats()).expect("stats are JSON");
    assert_eq!((&json["rtt_last_ms"], &json["rtt_smoothed_ms"]), (&().into(), &().into()));
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(35).pong(1, 2).expect([written(1, 1), acknowledged(1, 1)]);
    let json = serde_json::to_value(host.client().stats()).expect("stats are JSON");
    assert_eq!((&json["rtt_last_ms"], &json["rtt_smoothed_ms"]), (&25.0.into(), &25.0.into()));
}

#[test]
fn a_host_that_can_not_ping_says_so_and_is_told_what_it_can_not_have() {
    let wrong = Config { can_ping: false, receipts: Receipts::Acknowledged, ..config() };
    let refused: ConfigError = Client::new(wrong.clone(), start()).expect_err("it can't be");
    assert_eq!(
        refused.to_string(),
        "config: `receipts` can't be \"acknowledged\" where can_ping is false: only the answer to a \
         Ping proves that a message was received"
    );
    assert_eq!(wrong.check(), Err(refused));
    assert_eq!(Config { can_ping: true, ..wrong }.check(), Ok(()));
    let rest = Config { can_ping: false, receipts: Receipts::Written, ..config() };
    assert_eq!(rest.check(), Ok(()));
}

/// At-least-once needs Pings. Without them it is at-most-once, and one warning says so.
#[test]
fn a_host_that_can_not_ping_is_warned_that_deliveries_are_not_proven() {
    let config = Config { can_ping: false, delivery: Delivery::AtLeastOnce, ..quiet() };
    let mut host = Host::new(config);
    host.at(0).send("1").expect([]);
    host.at(0).connect().expect([open(1), arm(15_000)]);
    let actions = host.at(1).opened(1).take();
    assert_eq!(actions[..2], [send(1, 1, "1"), connected(1)]);
    let warned = |actions: &[hermes_proto::Action]| {
        actions
            .iter()
            .any(|action| matches!(action, hermes_proto::Action::Emit(Event::Warning { .. })))
    };
    assert!(warned(&actions), "{actions:?}");
    host.at(2).flushed(1, 1).expect([]);
    let why = host.client().why(ms(2));
    assert!(why.contains("deliveries can't be proven here"), "{why}");
    let ended = disconnected(1, 1006, lost(), 1_003);
    host.at(3).closed(1, lost()).expect([in_doubt(1, 1, false), ended, arm(1_003)]);
    host.at(1_003).timer().skip();
    assert!(!warned(&host.at(1_004).opened(2).take()), "once");
}

/// No heartbeat, whatever `heartbeat_interval` says, and no fence.
#[test]
fn a_host_that_can_not_ping_is_never_asked_to() {
    let mut host = Host::new(Config { can_ping: false, receipts: Receipts::Written, ..config() });
    host.at(0).connect().expect([open(1), arm(15_000)]);
    host.at(1).opened(1).expect([connected(1), disarm()]);
    assert!(matches!(host.state(), State::Open { .. }));
    host.at(10).send("1").expect([send(1, 1, "1")]);
    host.at(11).flushed(1, 1).expect([written(1, 1)]);
    host.at(100_000).timer().expect([]);
    host.at(100_000).network(true).expect([]);
    // A browser's page that wakes up.
    host.at(9_000_000).timer().expect([]);
    host.at(9_000_001).pong(1, 2).expect([]);
    // It is in doubt, in the counters; where there can't be proof no event says so.
    host.at(9_000_002).closed(1, lost()).skip();
    assert_eq!((host.client().stats().in_doubt, host.client().stats().acknowledged), (1, 0));
}

/// A session's frame is none of the application's messages.
#[test]
fn a_connection_without_messages_needs_no_fence() {
    let mut host = Host::connected(fenced());
    host.at(1).text(1, r#"{"type":"session-init","token":"t"}"#).skip();
    host.at(2).closed(1, lost()).expect([disconnected(1, 1006, lost(), 1_002), arm(1_002)]);
    host.at(1_002).timer().expect([open(2), arm(16_002)]);
    host.at(1_003).opened(2).expect([resume(2, "t"), connected(2), disarm()]);
    host.at(1_004).send("1").expect([send(2, 2, "1"), ping(2, 3)]);
    host.at(1_005).flushed(2, 3).expect([written(1, 1)]);
    host.at(1_006).pong(2, 3).expect([acknowledged(1, 1)]);
    assert_eq!(host.client().stats().acknowledged, 1);
}

/// What is received is told in the order in which it came, and a Pong is a frame among others.
#[test]
fn a_pong_between_messages() {
    let mut host = Host::connected(fenced());
    host.at(10).send("1").expect([send(1, 1, "1"), ping(1, 2)]);
    host.at(11).flushed(1, 2).expect([written(1, 1)]);
    host.at(12).text(1, "1").expect([event("1")]);
    let Event::Acknowledged { from, to } = host.at(12).pong(1, 2).event() else {
        panic!("received")
    };
    assert_eq!((from.0, to.0), (1, 1));
    host.at(12).text(1, "2").expect([event("2")]);
    assert_eq!(host.client().stats().received, 2, "a Pong is no message");
}
