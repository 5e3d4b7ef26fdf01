//! Messages from the gateway.

use super::*;

fn got(s: &mut Stats, bytes: usize) {
    s.received += 1;
    s.bytes_received += bytes as u64;
}

#[test]
fn by_kind() {
    let mut count = Count::connected(quiet());
    for text in [
        r#"{"type":"chat","text":"hi"}"#,
        r#"{"type":"chat-message"}"#,
        r#"{"type":"status-update"}"#,
        r#"{"type":"pr-notification"}"#,
        r#"{"type":"player-joined"}"#,
        r#"{"type":"player-left"}"#,
        r#"{"type":"session-init"}"#,
    ] {
        count.step(1, |host| host.text(1, text), |s| got(s, text.len()));
    }
    for text in ["0", "null", "[]", "{}", r#"{"type":7}"#, r#"{"type":"else"}"#] {
        count.step(
            2,
            |host| host.text(1, text),
            |s| {
                got(s, text.len());
                s.unhandled += 1;
            },
        );
    }
    for text in ["", "hi", "{", r#"{"type":"chat"} 1"#] {
        count.step(
            3,
            |host| host.text(1, text),
            |s| {
                got(s, text.len());
                s.malformed += 1;
            },
        );
    }
    let binary = Frame::Binary(vec![1, 2, 3].into());
    count.step(4, |host| host.frame(1, binary), |s| got(s, 3));
}

#[test]
fn not_those_that_are_no_messages() {
    let mut count = Count::connected(quiet());
    count.quiet(1, |host| host.frame(1, Frame::Ping(vec![1].into())));
    count.quiet(2, |host| host.frame(1, Frame::Pong(vec![1].into())));
}

/// What is received on the way out was sent to us all the same.
#[test]
fn on_the_way_out() {
    let mut count = Count::connected(quiet());
    count.quiet(1, Host::disconnect);
    count.step(
        2,
        |host| host.text(1, "0"),
        |s| {
            got(s, 1);
            s.unhandled += 1;
        },
    );
}

#[test]
fn not_on_a_connection_that_is_not_there() {
    let mut count = Count::new(quiet());
    count.step(0, Host::connect, |s| s.attempts += 1);
    count.quiet(1, |host| host.text(1, "0"));
    count.step(2, |host| host.closed(1, lost()), |s| s.ended.lost += 1);
    count.quiet(3, |host| host.text(1, "0"));
    count.quiet(4, |host| host.text(2, "0"));
}
