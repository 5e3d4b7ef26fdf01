//! Traces that a person writes, run through the public API.
#![allow(clippy::unwrap_used)] // A test that can't go on stops.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hermes_proto::trace::{CheckError, Checker, Replayer};
use hermes_tests::ws::reply_to;

fn run(trace: &str) -> String {
    let mut replayer = Replayer::new();
    let mut out = String::new();
    for line in trace.lines() {
        replayer.feed(line, &mut out).unwrap();
    }
    replayer.finish(&mut out);
    out
}

/// The design's examples, all in one run. What follows an input's line is what came of it.
const STORY: &str = r#"
{"trace":1,"level":"frames","auto":true,"unix_ms":1700000000000,"config":{"url":"ws://gateway.example/ws","heartbeat_interval_ms":null,"plaintext_session":"allow","delivery":"at-most-once"}}
{"at":0,"in":"connect"}
{"at":0,"out":"open","conn":1,"url":"ws://gateway.example/ws"}
{"at":0,"out":"timer","due":15000}
{"at":0,"in":"send","message":{"type":"chat","text":"hi"}}
{"at":5,"in":"opened","conn":1}
{"at":5,"out":"send","conn":1,"seq":1,"text":"{\"type\":\"chat\",\"text\":\"hi\"}"}
{"at":5,"out":"event","event":"ws-connected","detail":{"url":"ws://gateway.example/ws"}}
{"at":5,"out":"timer","due":null}
{"at":9,"in":"text","conn":1,"data":"{\"type\":\"session-init\",\"token\":\"t\",\"clientId\":\"c\"}"}
{"at":9,"out":"persist","session":{"token":"t","clientId":"c","savedAt":1700000000009}}
{"at":9,"out":"event","event":"session-init","detail":{"type":"session-init","token":"t","clientId":"c"}}
{"at":9.5,"in":"binary","data":"aGk="}
{"at":9.5,"out":"event","event":"binary","detail":{"data":"aGk="}}
{"at":20,"in":"closed","conn":1,"code":1006}
{"at":20,"out":"event","event":"messages-in-doubt","detail":{"from":1,"to":1,"resend":false}}
{"at":20,"out":"event","event":"ws-disconnected","detail":{"code":1006,"cause":"lost","retry_at":1020}}
{"at":20,"out":"timer","due":1020}
{"at":1020,"out":"open","conn":2}
{"at":1020,"out":"timer","due":16020}
{"at":1020,"in":"timer"}
{"at":1020.5,"in":"postponed"}
{"at":1020.5,"out":"timer","due":16020.5}
{"at":1021,"in":"opened"}
{"at":1021,"out":"send","conn":2,"seq":1,"text":"{\"type\":\"session-resume\",\"token\":\"t\"}"}
{"at":1021,"out":"event","event":"ws-connected"}
{"at":1021,"out":"timer","due":null}
{"at":1030,"in":"clear-session"}
{"at":1030,"out":"persist","session":null}
{"at":1030,"in":"disconnect"}
{"at":1030,"out":"close","conn":2,"code":1000}
{"at":1030,"out":"timer","due":6030}
{"at":1031,"in":"closed","code":1000}
{"at":1031,"out":"event","event":"ws-disconnected","detail":{"code":1000,"cause":"requested","retry_at":null}}
{"at":1031,"out":"timer","due":null}
"#;

#[test]
fn the_whole_story_goes_as_written() {
    let mut checker = Checker::new();
    for line in STORY.lines() {
        checker.feed(line).unwrap();
    }
    assert_eq!(checker.finish(), Ok(22));
}

/// What is not JSON has another name in a trace, and comes out as it went in.
#[test]
fn messages_that_are_not_json() {
    let out = run(concat!(
        r#"{"trace":1,"auto":true,"config":{"url":"ws://a/","heartbeat_interval_ms":null,"delivery":"at-most-once"}}"#,
        "\n",
        r#"{"at":0,"in":"connect"}"#,
        "\n",
        r#"{"at":1,"in":"opened"}"#,
        "\n",
        r#"{"at":2,"in":"send","text":"plain"}"#,
        "\n",
        r#"{"at":3,"in":"send","data":"AP8="}"#,
        "\n",
        r#"{"at":4,"in":"send","data":"AP8=","volatile":true}"#,
        "\n",
    ));
    let sent: Vec<&str> = out.lines().filter(|line| line.contains(r#""out":"send""#)).collect();
    assert_eq!(
        sent,
        [
            r#"{"at":2,"out":"send","conn":1,"seq":1,"text":"plain"}"#,
            r#"{"at":3,"out":"send","conn":1,"seq":2,"frame":"binary","data":"AP8="}"#,
            r#"{"at":4,"out":"send","conn":1,"seq":3,"frame":"binary","data":"AP8="}"#,
        ]
    );
    for wrong in [r#"{"in":"send"}"#, r#"{"in":"send","message":1,"text":"1"}"#] {
        assert!(Replayer::new().feed(wrong, &mut String::new()).is_err(), "{wrong}");
    }
}

#[test]
fn a_difference_is_shown_with_its_line() {
    let mut checker = Checker::new();
    let wrong = STORY.replace(r#""due":1020"#, r#""due":1021"#);
    let error = wrong.lines().find_map(|line| checker.feed(line).err()).unwrap();
    let CheckError::Different { line, recorded, seen } = &error else { panic!("{error}") };
    assert_eq!(*line, 19);
    assert!(recorded.contains("1021") && seen.contains("1020"), "{error}");

    let missing = STORY.replace(r#"{"at":1030,"in":"clear-session"}"#, "");
    let mut checker = Checker::new();
    let fed = missing.lines().find_map(|line| checker.feed(line).err());
    assert!(fed.is_some() || checker.finish().is_err());
}

#[test]
fn a_trace_needs_no_header_and_time_can_go_on_by_itself() {
    assert!(
        run(r#"{"at":1,"in":"connect"}"#).starts_with(
            r#"{"at":1,"out":"open","conn":1,"url":"ws://143.198.27.163/api/world/ws"}"#
        )
    );
    let out = run("{\"trace\":1,\"auto\":true,\"until_ms\":1e9}\n{\"in\":\"connect\"}");
    assert_eq!(out.matches(r#""out":"open""#).count(), 11);
    assert!(
        out.contains(r#""event":"ws-failed","detail":{"attempts":10,"why":"attempts"}"#),
        "{out}"
    );
}

/// Delivery and retries, as a person writes them.
const DELIVERY: &str = r#"
{"trace":1,"config":{"url":"ws://gateway.example/ws","heartbeat_interval_ms":null,"ask_credentials":true,"receipts":"acknowledged","plaintext_session":"allow","delivery":"at-most-once"}}
{"at":0,"in":"network","online":false}
{"at":0,"in":"connect"}
{"at":1,"in":"send","message":1,"ttl_ms":2.5}
{"at":1,"out":"timer","due":3.5}
{"at":2,"in":"send","message":2,"volatile":true}
{"at":2,"out":"event","event":"message-dropped","detail":{"id":null,"text":"2"}}
{"at":3.5,"in":"timer"}
{"at":3.5,"out":"event","event":"message-dropped","detail":{"id":1,"text":"1"}}
{"at":4,"in":"send","message":3}
{"at":4,"in":"clear-outbox"}
{"at":4,"out":"event","event":"message-dropped","detail":{"id":2,"text":"3"}}
{"at":5,"in":"network","online":true}
{"at":5,"out":"ask-credentials","conn":1,"url":"ws://gateway.example/ws"}
{"at":5,"out":"timer","due":30005}
{"at":6,"in":"credentials","headers":[["X-Fresh","x"]],"token":"t"}
{"at":6,"out":"open","conn":1,"url":"ws://gateway.example/ws"}
{"at":6,"out":"timer","due":15006}
{"at":7,"in":"opened"}
{"at":7,"out":"send","conn":1,"seq":1,"text":"{\"type\":\"session-resume\",\"token\":\"t\"}"}
{"at":7,"out":"event","event":"ws-connected"}
{"at":7,"out":"timer","due":null}
{"at":8,"in":"send","message":4}
{"at":8,"out":"send","conn":1,"seq":2,"text":"4"}
{"at":8,"out":"send","conn":1,"seq":3,"frame":"ping","data":"AAAAAAAAAAEAAAAAAAAAAg=="}
{"at":9,"in":"flushed","up_to":3}
{"at":9,"out":"event","event":"messages-written","detail":{"from":1,"to":3}}
{"at":10,"in":"pong","data":"AAAAAAAAAAEAAAAAAAAAAg=="}
{"at":10,"out":"event","event":"messages-acknowledged","detail":{"from":1,"to":3}}
{"at":11,"in":"send","message":5}
{"at":11,"out":"send","conn":1,"seq":4,"text":"5"}
{"at":11,"out":"send","conn":1,"seq":5,"frame":"ping","data":"AAAAAAAAAAEAAAAAAAAABA=="}
{"at":12,"in":"shutdown","within_ms":1000}
{"at":12,"out":"timer","due":1012.0}
{"at":13,"in":"flushed","up_to":5}
{"at":13,"out":"event","event":"messages-written","detail":{"from":4,"to":4}}
{"at":1012,"in":"timer"}
{"at":1012,"out":"close","conn":1,"code":null}
{"at":1012,"out":"event","event":"messages-in-doubt","detail":{"from":4,"to":4,"resend":false}}
{"at":1012,"out":"event","event":"ws-disconnected","detail":{"cause":"requested","retry_at":null}}
{"at":1012,"out":"event","event":"shut-down","detail":{"acknowledged":0,"in_doubt":1,"unsent":0}}
"#;

#[test]
fn delivery_goes_as_written() {
    let mut checker = Checker::new();
    for line in DELIVERY.lines() {
        checker.feed(line).unwrap_or_else(|error| panic!("{error}"));
    }
    let outputs = DELIVERY.lines().filter(|line| line.contains(r#""out":"#)).count();
    assert_eq!(checker.finish(), Ok(outputs as u64));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let seed = |digits: String| format!(r#"{{"trace":1,"seed":"{digits}"}}"#);
    for (line, problem) in [
        ("nonsense", "expected"),
        (r#"{"at":0,"in":"conect"}"#, "\"conect\" is not an input"),
        (r#"{"at":0,"in":"text"}"#, "\"text\" needs \"data\""),
        (r#"{"at":0,"in":"shutdown"}"#, "\"shutdown\" needs \"within_ms\""),
        (r#"{"at":0,"in":"shutdown","within_ms":-1}"#, "between 0"),
        (r#"{"at":0,"in":"network"}"#, "\"network\" needs \"online\""),
        (r#"{"at":0,"in":"network","online":1}"#, "expected a boolean"),
        (r#"{"at":0,"in":"send","message":1,"ttl_ms":-1}"#, "between 0"),
        (r#"{"at":0,"in":"credentials","headers":[["a"]]}"#, "invalid length 1"),
        (r#"{"at":0,"in":"ping","data":"*"}"#, "not base64"),
        (r#"{"at":0,"in":"pong"}"#, "\"pong\" needs \"data\""),
        (r#"{"at":0,"in":"binary"}"#, "\"binary\" needs \"data\""),
        (r#"{"at":0,"in":"send","data":"*"}"#, "not base64"),
        (r#"{"at":0,"in":"flushed"}"#, "\"flushed\" needs \"up_to\""),
        (r#"{"at":0,"in":"closing","cause":"whim"}"#, "unknown variant `whim`"),
        (r#"{"at":0,"in":"closed","cause":"whim"}"#, "unknown variant `whim`"),
        (r#"{"at":-1,"in":"timer"}"#, "between 0"),
        (r#"{"at":0,"in":"timer","cnn":1}"#, "unknown field `cnn`"),
        (r#"{"at":0}"#, "the header lacks \"trace\":1"),
        (r#"{"config":{}}"#, "the header lacks \"trace\":1"),
        (r#"{"at":0,"in":"timer","out":"timer"}"#, "either \"in\" or \"out\""),
        (r#"{"at":"0","in":"timer"}"#, "\"0\" is not a time"),
        (r#"{"at":0,"in":"received","data":""}"#, "level"),
        (r#"{"trace":2}"#, "version 2"),
        (r#"{"trace":1,"config":{"ulr":"ws://a/"}}"#, "unknown field `ulr`"),
        (r#"{"trace":1,"config":{"url":"ftp://a/"}}"#, "the scheme must be ws or wss"),
        (r#"{"trace":1,"until_ms":-1}"#, "between 0"),
        (r#"{"trace":1,"config":{"backoff_base_ms":"x"}}"#, "invalid type"),
        (r#"{"trace":1,"config":{"heartbeat_interval_ms":"x"}}"#, "invalid type"),
        (r#"{"trace":1,"config":{"close_delays_ms":5}}"#, "invalid type"),
        (r#"{"trace":1,"level":"bytes","config":{"url":"ftp://a/"}}"#, "must be ws or wss"),
        (r#"{"trace":1,"seed":1}"#, "invalid type"),
        (r#"{"trace":1,"seed":"00"}"#, "64 hexadecimal digits"),
        (&seed("00".repeat(33)), "64 hexadecimal digits"),
        (&seed("+0".repeat(32)), "64 hexadecimal digits"),
    ] {
        let mut replayer = Replayer::new();
        let mut out = String::new();
        replayer.feed("", &mut out).unwrap();
        let error = replayer.feed(line, &mut out).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains(problem), "{line}: {error}");
        assert_eq!(out, "", "{line}");
    }
}

/// The same behind a good line, and of bytes.
#[test]
fn what_is_wrong_further_down() {
    for (line, problem) in [
        ("nonsense", "expected"),
        (r#"{"at":0,"in":"received"}"#, "\"received\" needs \"data\""),
        (r#"{"at":0,"in":"transmitted"}"#, "\"transmitted\" needs \"count\""),
        (r#"{"at":0,"in":"text","data":""}"#, "level"),
    ] {
        let (mut replayer, mut checker) = (Replayer::new(), Checker::new());
        let mut out = String::new();
        replayer.feed(BYTES, &mut out).unwrap();
        checker.feed(BYTES).unwrap();
        let error = replayer.feed(line, &mut out).unwrap_err();
        assert!(error.line == 2 && error.to_string().contains(problem), "{line}: {error}");
        assert_eq!(checker.feed(line), Err(CheckError::Trace(error)));
    }
}

const BYTES: &str = r#"{"trace":1,"level":"bytes"}"#;

/// A recording that lacks something, has too much, or something else; at its end, too.
#[test]
fn where_a_recording_differs() {
    const CONNECT: [&str; 2] = [r#"{"trace":1}"#, r#"{"at":0,"in":"connect"}"#];
    const OPEN: &str = r#"{"at":0,"out":"open","conn":1}"#;
    const TIMER: &str = r#"{"at":0,"out":"timer","due":15000}"#;
    let check = |lines: &[&str]| {
        let mut checker = Checker::new();
        lines.iter().try_for_each(|line| checker.feed(line))?;
        checker.finish()
    };
    let with = |more: &[&'static str]| check(&[&CONNECT[..], more].concat());
    assert_eq!(with(&[OPEN, TIMER]), Ok(2));
    let error = with(&[OPEN]).unwrap_err();
    assert!(matches!(error, CheckError::Extra { .. }), "{error}");
    let error = with(&[OPEN, TIMER, TIMER]).unwrap_err();
    assert!(matches!(error, CheckError::Missing { line: 5, .. }), "{error}");
    // The last one is JSON, though not a number that anybody can hold.
    for other in
        [TIMER, r#"{"at":0,"out":"open","conn":2}"#, r#"{"at":0,"out":"open","conn":1e999}"#]
    {
        let error = with(&[other]).unwrap_err();
        assert!(matches!(error, CheckError::Different { line: 3, .. }), "{error}");
    }
    // What happens by itself behind the last line.
    const GOES_ON: &str = r#"{"trace":1,"auto":true,"until_ms":20000}"#;
    let error = check(&[GOES_ON, CONNECT[1], OPEN, TIMER, OPEN]).unwrap_err();
    assert!(matches!(error, CheckError::Different { line: 5, .. }), "{error}");
}

/// The obliging host takes what is transmitted at once.
#[test]
fn bytes_by_themselves() {
    let mut replayer = Replayer::new();
    let mut feed = |line: String| {
        let mut out = String::new();
        replayer.feed(&line, &mut out).unwrap();
        out
    };
    let config = r#"{"url":"ws://a/","heartbeat_interval_ms":null,"receipts":"written"}"#;
    feed(format!(r#"{{"trace":1,"level":"bytes","auto":true,"config":{config}}}"#));
    feed(r#"{"at":0,"in":"connect"}"#.into());
    let request = feed(r#"{"at":1,"in":"opened"}"#.into());
    let request = request.lines().find(|line| line.contains(r#""out":"transmit""#)).unwrap();
    let request: serde_json::Value = serde_json::from_str(request).unwrap();
    let request = BASE64_STANDARD.decode(request["data"].as_str().unwrap()).unwrap();
    let answer = BASE64_STANDARD.encode(reply_to(&request));
    let open = feed(format!(r#"{{"at":2,"in":"received","data":"{answer}"}}"#));
    assert!(open.contains("ws-connected"), "{open}");
    let sent = feed(r#"{"at":3,"in":"send","message":1}"#.into());
    assert!(sent.contains("messages-written"), "{sent}");
}

/// A program that is killed may have written an input and not its actions.
#[test]
fn a_recording_may_end_within_an_input() {
    let check = |lines: &[&str]| {
        let mut checker = Checker::new();
        lines.iter().try_for_each(|line| checker.feed(line))?;
        checker.finish()
    };
    let lines: Vec<&str> = DELIVERY.trim().lines().collect();
    let input = |line: &&str| line.contains(r#""in":"#);
    for end in (1..lines.len()).filter(|end| input(&lines[end - 1])) {
        let actions = lines[..end].iter().filter(|line| line.contains(r#""out":"#)).count();
        assert_eq!(check(&lines[..end]), Ok(actions as u64), "{}", lines[end - 1]);
    }
    // Not if actions are missing before the last input.
    let gap = [lines[0], lines[1], lines[3], r#"{"at":2,"in":"clear-session"}"#];
    assert!(matches!(check(&gap), Err(CheckError::Extra { .. })));
}

/// Arrays have an order and a length, and are equal only if both are.
#[test]
fn arrays_are_compared() {
    let with = |messages: &str| {
        let mut checker = Checker::new();
        let detail = format!(r#"{{"type":"roster","names":{messages}}}"#);
        for line in [
            r#"{"trace":1,"config":{"url":"ws://a/","heartbeat_interval_ms":null}}"#,
            r#"{"at":0,"in":"connect"}"#,
            r#"{"at":0,"out":"open"}"#,
            r#"{"at":0,"out":"timer"}"#,
            r#"{"at":1,"in":"opened"}"#,
            r#"{"at":1,"out":"event","event":"ws-connected"}"#,
            r#"{"at":1,"out":"timer"}"#,
            r#"{"at":2,"in":"text","data":"{\"type\":\"roster\",\"names\":[1,[2]]}"}"#,
            &format!(r#"{{"at":2,"out":"event","detail":{detail}}}"#),
        ] {
            checker.feed(line)?;
        }
        checker.finish()
    };
    assert!(with("[1,[2]]").is_ok(), "{:?}", with("[1,[2]]"));
    for other in ["[1,[3]]", "[]", "[1]", "[[2],1]", "[1,[2],3]", "null"] {
        assert!(matches!(with(other), Err(CheckError::Different { .. })), "{other}");
    }
}

/// Times are exact to the microsecond, however large, and rounded if a person wrote more digits.
#[test]
fn times_are_exact() {
    for (at, written) in [
        ("18446744073709551.613", "18446744073709551.613"),
        ("5000000000000.001", "5000000000000.001"),
        ("1e3", "1000"),
        ("2.0004", "2"),
        ("2.0005", "2.001"),
        ("2.25e1", "22.5"),
    ] {
        let out = run(&format!(r#"{{"at":{at},"in":"connect"}}"#));
        assert!(out.starts_with(&format!(r#"{{"at":{written},"#)), "{at}: {out}");
    }
}

/// Editors put a byte order mark at the beginning of a file.
#[test]
fn a_byte_order_mark_is_no_harm() {
    let mut checker = Checker::new();
    let marked = format!("\u{FEFF}{}", STORY.trim_start());
    marked.lines().try_for_each(|line| checker.feed(line)).unwrap();
    assert_eq!(checker.finish(), Ok(22));
}

/// One line number, that of the trace.
#[test]
fn a_problem_has_one_line_number() {
    let mut replayer = Replayer::new();
    for _ in 0..4 {
        replayer.feed("", &mut String::new()).unwrap();
    }
    let error = replayer.feed(r#"{"at":0,"in":5}"#, &mut String::new()).unwrap_err().to_string();
    assert!(error.starts_with("line 5: invalid type: integer `5`"), "{error}");
    assert!(error.ends_with("(column 14)") && error.matches("line").count() == 1, "{error}");
}
