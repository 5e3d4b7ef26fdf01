//! Pings are answered (RFC 6455 §5.5.2, §5.5.3): all of them, or the newest of those that wait.

use bytes::Bytes;
use hermes_proto::Frame;
use hermes_tests::config;
use hermes_tests::ws::bits::*;
use hermes_tests::ws::*;

#[test]
fn each_ping_has_its_pong() {
    let mut conn = opened(config());
    for data in [&b""[..], b"x", b"\xFF\x00", &[7; 125]] {
        assert_eq!(feed(&mut conn, &ping(data)), [pinged(data)]);
        assert_eq!(sent(conn.transmit()), [Sent::pong(data)]);
        conn.transmitted(usize::MAX);
        assert_eq!(conn.transmit(), b"");
    }
}

#[test]
fn a_pong_goes_behind_what_waits() {
    let mut conn = opened(config());
    conn.send(&Frame::Text("one".into()));
    feed(&mut conn, &ping("x"));
    conn.send(&Frame::Text("two".into()));
    let expected = [Sent::text("one"), Sent::pong("x"), Sent::text("two")];
    assert_eq!(sent(conn.transmit()), expected);
}

/// As many Pongs wait for the transport.
const MOST: usize = 16;

/// Pings, named by numbers.
fn pings(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|n| ping(n.to_string())).collect()
}

fn pongs(numbers: std::ops::Range<usize>) -> Vec<Sent> {
    numbers.map(|n| Sent::pong(n.to_string())).collect()
}

/// Sixteen Pongs wait for the transport, and behind them the newest; those between are skipped.
#[test]
fn of_pings_that_wait_the_newest_is_answered() {
    let mut conn = opened(config());
    feed(&mut conn, &[pings(0..MOST + 1), text("x"), pings(MOST + 1..MOST + 3)].concat());
    assert_eq!(sent(conn.transmit()), pongs(0..MOST));
    conn.transmitted(usize::MAX);
    assert_eq!(sent(conn.transmit()), pongs(MOST + 2..MOST + 3));
    feed(&mut conn, &ping("4"));
    assert_eq!(sent(conn.transmit())[1..], [Sent::pong("4")]);
    conn.transmitted(usize::MAX);
    assert_eq!(conn.transmit(), b"");
    feed(&mut conn, &ping("5"));
    assert_eq!(sent(conn.transmit()), [Sent::pong("5")]);
}

/// A Pong is under way until its last byte is taken, whatever is before or behind it.
#[test]
fn a_pong_is_under_way_until_its_last_byte() {
    let mut conn = opened(config());
    conn.send(&Frame::Text("one".into()));
    feed(&mut conn, &ping("first"));
    let pong_ends = conn.transmit().len();
    conn.send(&Frame::Text("two".into()));
    feed(&mut conn, &[pings(1..MOST), ping("second"), ping("third")].concat());
    let all = conn.transmit().len();

    for _ in 1..pong_ends {
        conn.transmitted(1);
    }
    assert_eq!(conn.transmit().len(), all - pong_ends + 1);
    conn.transmitted(1);
    let waiting = [vec![Sent::text("two")], pongs(1..MOST), vec![Sent::pong("third")]].concat();
    assert_eq!(sent(conn.transmit()), waiting);
}

#[test]
fn a_flood_that_nobody_flushes() {
    let mut conn = opened(config());
    let one = {
        let mut conn = conn.clone();
        feed(&mut conn, &ping([0; 125]));
        conn.transmit().len()
    };
    for n in 0..100_000_u32 {
        let data = [&n.to_be_bytes()[..], &[0; 121]].concat();
        feed(&mut conn, &ping(data));
        assert!(conn.transmit().len() <= MOST * one);
    }
    let [Sent::Pong(first), ..] = &*sent(conn.transmit()) else { panic!("Pongs wait") };
    assert_eq!(first[..4], 0_u32.to_be_bytes());
    conn.transmitted(usize::MAX);
    let [Sent::Pong(last)] = &*sent(conn.transmit()) else { panic!("one more waits") };
    assert_eq!(last[..4], 99_999_u32.to_be_bytes());
    conn.transmitted(usize::MAX);
    assert_eq!(conn.transmit(), b"");
}

/// §5.5.1: nothing follows our Close frame, not even a Pong that we owed when it was written.
#[test]
fn no_pong_follows_our_close() {
    for ours in [true, false] {
        let mut conn = opened(config());
        feed(&mut conn, &pings(0..MOST + 1));
        if ours {
            conn.close(1000);
            feed(&mut conn, &ping("3"));
        } else {
            feed(&mut conn, &[close(1000, ""), ping("3")].concat());
        }
        let expected = [pongs(0..MOST), vec![Sent::Close(Some(1000))]].concat();
        assert_eq!(sent(conn.transmit()), expected);
        for _ in 0..1_000 {
            conn.transmitted(1);
        }
        assert_eq!(conn.transmit(), b"");
    }
}

#[test]
fn a_broken_rule_ends_the_pongs() {
    let mut conn = opened(config());
    feed(&mut conn, &[pings(0..MOST + 1), vec![FIN | 3, 0]].concat());
    let expected = [pongs(0..MOST), vec![Sent::Close(Some(1002))]].concat();
    assert_eq!(sent(conn.transmit()), expected);
    conn.transmitted(usize::MAX);
    assert_eq!(conn.transmit(), b"");
}

/// §5.5.3: a Pong that nobody asked for is no event of ours to answer.
#[test]
fn pongs_are_not_answered() {
    let mut conn = opened(config());
    assert_eq!(feed(&mut conn, &pong("x")), frames([Frame::Pong(Bytes::from_static(b"x"))]));
    assert_eq!(conn.transmit(), b"");
}

/// Controls of ours are cut to what a control frame holds (§5.5).
#[test]
fn long_controls_are_cut() {
    let mut conn = opened(config());
    let long = Bytes::from(vec![b'x'; 1_000]);
    assert!(conn.send(&Frame::Ping(long.clone())) && conn.send(&Frame::Pong(long)));
    assert_eq!(sent(conn.transmit()), [Sent::Ping(vec![b'x'; 125]), Sent::pong([b'x'; 125])]);
}
