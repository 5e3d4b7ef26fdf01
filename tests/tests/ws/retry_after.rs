//! `Retry-After` (RFC 9110 §10.2.3) off the wire: seconds, or a date in one of three forms.

use hermes_proto::reason::RetryAfter::{self, Seconds, UnixSeconds};
use hermes_proto::ws::Event;
use hermes_proto::{CloseReason, FailReason};
use hermes_tests::ws::*;
use hermes_tests::{UNIX_MS, config, http};

/// The date that RFC 9110 §5.6.7 has in all three forms.
const AT: u64 = 784_111_777;
const FORMS: [&str; 3] =
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];

/// An answer with these header lines, however its bytes are cut.
#[track_caller]
fn check(status: u16, lines: &[&str], asked: Option<RetryAfter>) {
    let mut answer = format!("HTTP/1.1 {status} No\r\nServer: x\r\n");
    for line in lines {
        answer.push_str(line);
        answer.push_str("\r\n");
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    let events = vec![Event::Failed(http(status, asked))];
    Case::new(format!("{status} {lines:?}"), answer.into_bytes(), events)
        .check(&upgrading(config()));
}

#[test]
fn nothing_is_asked() {
    check(503, &[], None);
    check(429, &["Date: Sun, 06 Nov 1994 08:49:37 GMT"], None);
    check(503, &["X-Retry-After: 5", "Retry-Aft: 5"], None);
}

#[test]
fn seconds() {
    for (value, seconds) in [("0", 0), ("1", 1), ("120", 120), ("007", 7), ("86400", 86_400)] {
        for status in [429, 503] {
            check(status, &[&format!("Retry-After: {value}")], Some(Seconds(seconds)));
        }
    }
}

#[test]
fn the_name_is_spelt_as_one_likes_and_white_space_means_nothing() {
    for line in ["retry-after: 5", "RETRY-AFTER:5", "Retry-after:\t 5 \t"] {
        check(503, &[line], Some(Seconds(5)));
    }
}

/// What becomes of it is not the parser's business: it says what the gateway said.
#[test]
fn any_status_may_say_so() {
    for status in [200, 301, 302, 401, 404, 429, 500, 503, 999] {
        check(status, &["Retry-After: 5"], Some(Seconds(5)));
    }
}

#[test]
fn old_servers_say_so_too() {
    let answer = b"HTTP/1.0 503 No\nRetry-After: 5\n\n".to_vec();
    let events = vec![Event::Failed(http(503, Seconds(5)))];
    Case::new("HTTP/1.0, lone LF", answer, events).check(&upgrading(config()));
}

#[test]
fn a_date_without_another_counts_from_our_clock() {
    for form in FORMS {
        check(503, &[&format!("Retry-After: {form}")], Some(UnixSeconds(AT)));
        check(429, &[&format!("Retry-After: {form}")], Some(UnixSeconds(AT)));
    }
}

/// Then the two clocks need not agree.
#[test]
fn a_date_counts_from_the_answers_own() {
    let dates = [
        "Sun, 06 Nov 1994 08:48:37 GMT",
        "Sunday, 06-Nov-94 08:48:37 GMT",
        "Sun Nov  6 08:48:37 1994",
    ];
    for form in FORMS {
        for date in dates {
            let (asked, date) = (format!("Retry-After: {form}"), format!("Date: {date}"));
            check(503, &[&asked, &date], Some(Seconds(60)));
            check(503, &[&date, &asked], Some(Seconds(60)));
        }
    }
}

#[test]
fn a_date_in_the_past_asks_for_nothing() {
    for form in FORMS {
        let asked = format!("Retry-After: {form}");
        check(503, &[&asked, "Date: Sun, 06 Nov 1994 08:49:37 GMT"], Some(Seconds(0)));
        check(503, &[&asked, "Date: Sun, 06 Nov 1994 08:49:38 GMT"], Some(Seconds(0)));
        check(503, &[&asked, "Date: Fri, 31 Dec 9999 23:59:59 GMT"], Some(Seconds(0)));
    }
    check(503, &["Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"], Some(UnixSeconds(0)));
}

/// Seconds are seconds, whatever the answer's date is.
#[test]
fn seconds_do_not_need_the_date() {
    for date in [FORMS[0], "garbage", ""] {
        check(503, &["Retry-After: 5", &format!("Date: {date}")], Some(Seconds(5)));
    }
}

/// A date of no use is none.
#[test]
fn an_answer_whose_date_is_garbage() {
    let asked = format!("Retry-After: {}", FORMS[0]);
    for date in ["garbage", "", "784111717", "Mon, 06 Nov 1994 08:48:37 GMT"] {
        check(503, &[&asked, &format!("Date: {date}")], Some(UnixSeconds(AT)));
    }
    let twice = "Date: Sun, 06 Nov 1994 08:48:37 GMT";
    check(503, &[&asked, twice, twice], Some(UnixSeconds(AT)));
}

#[test]
fn a_leap_day_and_the_last_day() {
    check(503, &["Retry-After: Thu, 29 Feb 2024 23:59:59 GMT"], Some(UnixSeconds(1_709_251_199)));
    check(503, &["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"], Some(UnixSeconds(253_402_300_799)));
}

#[test]
fn garbage() {
    for value in [
        "",
        "soon",
        "5 s",
        "5s",
        "5.5",
        "1e3",
        "0x10",
        "5, 5",
        "5;",
        "\u{665}",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        // Not a Monday.
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "784111777.0",
    ] {
        check(503, &[&format!("Retry-After: {value}")], None);
    }
}

#[test]
fn negative() {
    for value in ["-1", "-0", "+5", "- 5", "Wed, 31 Dec 1969 23:59:59 GMT"] {
        check(503, &[&format!("Retry-After: {value}")], None);
    }
}

#[test]
fn huge_numbers() {
    for (value, seconds) in [
        ("18446744073709551614", u64::MAX - 1),
        ("18446744073709551615", u64::MAX),
        ("18446744073709551616", u64::MAX),
        ("99999999999999999999999999999999", u64::MAX),
        (&"9".repeat(8_000), u64::MAX),
        (&format!("{}7", "0".repeat(8_000)), 7),
    ] {
        check(503, &[&format!("Retry-After: {value}")], Some(Seconds(seconds)));
    }
}

/// Two answers are none: who could say which one is meant?
#[test]
fn twice() {
    check(503, &["Retry-After: 5", "Retry-After: 60"], None);
    check(503, &["Retry-After: 5", "retry-after: 5"], None);
    check(503, &["Retry-After: 5", "Retry-After: "], None);
}

#[test]
fn not_utf8() {
    let answer = b"HTTP/1.1 503 No\r\nRetry-After: \xFF5\r\n\r\n".to_vec();
    let events = vec![Event::Failed(http(503, None))];
    Case::new("not UTF-8", answer, events).check(&upgrading(config()));
}

/// An interim answer is not the answer.
#[test]
fn an_interim_answer_does_not_ask() {
    let answer = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 60\r\n\r\nHTTP/1.1 503 No\r\n\r\n";
    let events = vec![Event::Failed(http(503, None))];
    Case::new("103, then 503", answer.to_vec(), events).check(&upgrading(config()));
}

#[test]
fn a_good_answer_does_not_ask() {
    let answer = String::from_utf8(reply(ACCEPT)).expect("it is ASCII");
    let answer = answer.replace("\r\n\r\n", "\r\nRetry-After: 60\r\n\r\n").into_bytes();
    Case::new("101", answer, vec![Event::Open]).check(&upgrading(config()));
}

/// A connection whose upgrade is answered at 10 ms with these lines.
#[track_caller]
fn answered(answer: &str, reason: CloseReason, retry_at: u64) {
    let mut harness = Harness::new(config());
    harness.at(0).connect();
    harness.opened(1);
    harness.take(usize::MAX);
    let gone = disconnected(1, 1006, reason, retry_at);
    assert_eq!(harness.at(10).receive(answer), [abandon(1), gone, arm(retry_at)]);
}

/// From the wire to the timer.
#[test]
fn the_endpoint_waits_for_so_long() {
    answered("HTTP/1.1 503 No\r\nRetry-After: 60\r\n\r\n", http(503, Seconds(60)), 60_010);
    answered("HTTP/1.1 429 No\r\nRetry-After: 7\r\n\r\n", http(429, Seconds(7)), 7_010);
    answered("HTTP/1.1 503 No\r\nRetry-After: -7\r\n\r\n", http(503, None), 1_010);
    answered(
        "HTTP/1.1 503 No\r\nRetry-After: 99999999999999999999\r\n\r\n",
        http(503, Seconds(u64::MAX)),
        3_600_010,
    );
    // Time 0 is Tue, 14 Nov 2023 22:13:20 GMT.
    let at = UNIX_MS / 1_000 + 40;
    answered(
        "HTTP/1.1 503 No\r\nRetry-After: Tue, 14 Nov 2023 22:14:00 GMT\r\n\r\n",
        http(503, UnixSeconds(at)),
        40_000,
    );
    // The gateway's clock is years ahead, and says so.
    answered(
        "HTTP/1.1 503 No\r\nDate: Fri, 14 Nov 2025 22:13:20 GMT\r\n\
         Retry-After: Fri, 14 Nov 2025 22:14:00 GMT\r\n\r\n",
        http(503, Seconds(40)),
        40_010,
    );
}

/// Where no retry helps, none is asked for either.
#[test]
fn a_fatal_status_does_not_wait() {
    let mut harness = Harness::new(config());
    harness.at(0).connect();
    harness.opened(1);
    harness.take(usize::MAX);
    let gone = disconnected(1, 1006, http(403, Seconds(5)), None);
    let failed = hermes_proto::Event::Failed { attempts: 0, why: FailReason::Fatal };
    let actions = harness.at(10).receive("HTTP/1.1 403 No\r\nRetry-After: 5\r\n\r\n");
    assert_eq!(actions, [abandon(1), gone, hermes_proto::Action::Emit(failed), disarm()]);
}

/// httpdate's opinion, on dates with something changed in them. It takes any byte before the time of
/// the second form; the RFC has a space there.
#[test]
fn dates_are_as_httpdate_reads_them() {
    const YEARS: [&str; 8] = ["1969", "1970", "2000", "2001", "2100", "9999", "94", "69"];
    const NAMES: [&str; 12] = [
        "Sun",
        "Mon",
        "Sunday",
        "Monday",
        "Wednesday",
        "Thu",
        "Thursday",
        "Feb",
        "Nov",
        "Dec",
        "Jan",
        "Jun",
    ];
    const ODD: [&str; 12] = [" ", "-", ":", ",", "0", "1", "9", "x", "GMT", "29", "31", ""];
    let mut rng = hermes_tests::Rng::new(1);
    let (mut dates, mut others) = (0, 0);
    for case in 0..40_000 {
        let at = std::time::UNIX_EPOCH
            + std::time::Duration::from_secs(rng.below(253_402_300_799) as u64);
        let fixed = httpdate::fmt_http_date(at);
        let (weekday, rest) = fixed.split_once(", ").expect("a weekday");
        let [day, month, year, time, _] = rest.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{fixed}")
        };
        let long = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
            .into_iter()
            .find(|long| long.starts_with(weekday))
            .expect("a weekday");
        let day_in_two = day.strip_prefix('0').map_or(day.to_owned(), |day| format!(" {day}"));
        let mut date = match rng.below(3) {
            0 => fixed.clone(),
            1 => format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
            _ => format!("{weekday} {month} {day_in_two} {time} {year}"),
        };
        if rng.below(2) == 0 {
            let start = rng.below(date.len());
            let end = (start + rng.below(5)).min(date.len());
            let among = [&YEARS[..], &NAMES, &ODD][rng.below(3)];
            date.replace_range(start..end, rng.pick::<&str>(among));
        }
        let date = date.trim_matches([' ', '\t']);
        let theirs = httpdate::parse_http_date(date).ok().and_then(|at| {
            let is_second_form = date.contains("day,");
            let before_time = date.len().checked_sub(13).map(|at| date.as_bytes()[at]);
            let is_strict = !is_second_form || before_time == Some(b' ');
            Some(at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).filter(|_| is_strict)
        });
        let answer = format!("HTTP/1.1 503 X\r\nRetry-After: {date}\r\n\r\n");
        let events = feed(&mut upgrading(config()), answer.as_bytes());
        let [Event::Failed(CloseReason::Http { retry_after, .. })] = &events[..] else {
            panic!("{events:?}")
        };
        let ours = match retry_after {
            Some(UnixSeconds(at)) => Some(*at),
            // Digits alone are seconds.
            Some(Seconds(_)) => continue,
            None => None,
        };
        assert_eq!(ours, theirs, "case {case}: {date:?}");
        dates += usize::from(ours.is_some());
        others += usize::from(ours.is_none());
    }
    assert!(dates > 10_000 && others > 5_000, "{dates}, {others}");
}
