//! `Location` off the wire (RFC 9110 §10.2.2): where an answer to the upgrade request points.

use hermes_proto::reason::UpgradeError;
use hermes_proto::ws::Event;
use hermes_proto::{CloseReason, Config};
use hermes_tests::ws::*;
use hermes_tests::{config, http, redirect};

/// An answer with these header lines, however its bytes are cut.
#[track_caller]
fn check(max_redirects: u32, status: u16, lines: &[&str], reason: CloseReason) {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let answer = format!("HTTP/1.1 {status} Over there\r\n{lines}Content-Length: 0\r\n\r\n");
    Case::new(answer.clone(), answer.into_bytes(), vec![Event::Failed(reason)])
        .check(&upgrading(Config { max_redirects, ..config() }));
}

#[test]
fn it_may_be_relative() {
    for (location, to) in [
        ("ws://b.test/", "ws://b.test/"),
        ("https://B.test:443/x?y", "wss://b.test/x?y"),
        ("//b.test/x", "ws://b.test/x"),
        ("/x", "ws://gateway.test/x"),
        ("x/../y?z", "ws://gateway.test/y?z"),
        ("?z#fragment", "ws://gateway.test/world?z"),
    ] {
        for status in [301, 302, 307, 308] {
            // Off or on: that is not the parser's business.
            for max_redirects in [0, 1] {
                let line = format!("location:  {location} ");
                check(max_redirects, status, &[&line], redirect(status, to));
            }
        }
    }
}

/// 303 asks for a GET of something else than what was asked for, and 300 for a choice.
#[test]
fn other_statuses_point_nowhere() {
    for status in [200, 201, 300, 303, 304, 305, 306, 309, 503] {
        check(1, status, &["Location: ws://b.test/"], http(status, None));
    }
}

#[test]
fn without_one_there_is_no_redirect() {
    check(1, 302, &[], http(302, None));
    check(1, 302, &["X-Location: ws://b.test/"], http(302, None));
}

#[test]
fn one_that_is_no_good_is_told_where_it_matters() {
    let long = format!("Location: /{}", "x".repeat(8_000));
    for lines in [
        &["Location:"][..],
        &["Location: ftp://b.test/"],
        &["Location: ws://user:password@b.test/"],
        &["Location: /with space"],
        &["Location: /\u{fc}"],
        &["Location: ws:///x"],
        &["Location: ws://b.test:99999/"],
        &["Location: /x", "Location: /y"],
        &[&long],
    ] {
        let error = UpgradeError::BadLocation;
        check(1, 302, lines, CloseReason::Upgrade { error });
        check(0, 302, lines, http(302, None));
    }
    let longest = format!("/{}", "x".repeat(7_999));
    let to = format!("ws://gateway.test{longest}");
    check(1, 302, &[&format!("Location: {longest}")], redirect(302, &to));
}
