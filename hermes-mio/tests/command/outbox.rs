//! `hermes connect --outbox` and `hermes outbox`: what survives, and the words when it can't.

use std::fs;
use std::path::PathBuf;

use super::*;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    fn outbox(&self) -> String {
        self.path("outbox").to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Nobody listens there.
const NOWHERE: &str = "ws://127.0.0.1:9/";

/// Patient, and quick to try again.
const PATIENT: [&str; 4] = ["--max-attempts", "null", "--set", "backoff_base_ms=20"];

fn connect(url: &str, outbox: &str, more: &[&str]) -> Hermes {
    Hermes::start(&[&["connect", url, "--outbox", outbox], &PATIENT[..], more].concat())
}

/// The gateway is away. Types messages until they are durable, and kills the process.
fn type_and_kill(outbox: &str, messages: std::ops::RangeInclusive<u32>) {
    let mut client = connect(NOWHERE, outbox, &["--receipts", "acknowledged"]);
    let count = u64::from(messages.end() - messages.start() + 1);
    messages.for_each(|n| client.say(&chat(n)));
    let mut durable = 0;
    while durable < count {
        let event = client.event("messages-durable");
        let end = |name: &str| event["detail"][name].as_u64().unwrap();
        durable += end("to") - end("from") + 1;
    }
    client.kill();
}

fn arrive(gateway: &Hermes, messages: std::ops::RangeInclusive<u64>) {
    for n in messages {
        let line = gateway.until(|line| line["gateway"] == "message");
        assert_eq!(number(&line), Some(n));
    }
}

#[test]
fn what_was_typed_while_the_gateway_was_away_survives_kills_and_arrives_once_in_order() {
    for survives in ["machine", "process"] {
        let place = Place::new();
        let outbox = place.outbox();
        type_and_kill(&outbox, 1..=100);
        type_and_kill(&outbox, 101..=110);
        is_private(&place.path("outbox"));
        let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
        let url = format!("ws://{addr}/");
        let mut client = connect(&url, &outbox, &["--outbox-survives", survives]);
        client.say(&chat(111));
        arrive(&gateway, 1..=111);
        let (status, _, errors) = client.end();
        assert!(status.success(), "{errors}");
        // Nothing is left for another run.
        let client = connect(&url, &outbox, &["--stats"]);
        let (status, lines, errors) = client.end();
        assert!(status.success(), "{errors}");
        let stats: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        assert_eq!(
            (&stats["stats"]["restored"], &stats["stats"]["written"]),
            (&json!(0), &json!(0))
        );
        gateway.kill();
    }
}

#[test]
fn a_run_that_ends_with_messages_left_says_how_many_the_next_one_has() {
    let place = Place::new();
    let outbox = place.outbox();
    let mut client = connect(NOWHERE, &outbox, &["--shutdown-timeout", "300"]);
    (1..=3).for_each(|n| client.say(&chat(n)));
    let (status, _, errors) = client.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    let says = "messages in doubt: 0; dropped: 0; unsent: 3; kept for the next run: 3";
    assert!(errors.ends_with(says), "{errors}");
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let client = connect(&format!("ws://{addr}/"), &outbox, &[]);
    arrive(&gateway, 1..=3);
    assert!(client.end().0.success());
}

/// More than fits is taken in parts, in order, and new messages come behind all of it.
#[test]
fn an_overfull_outbox_is_sent_in_order() {
    let place = Place::new();
    let outbox = place.outbox();
    type_and_kill(&outbox, 1..=100);
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let small = ["--set", "outbox_max_messages=7"];
    let mut client = connect(&format!("ws://{addr}/"), &outbox, &small);
    client.say(&chat(101));
    arrive(&gateway, 1..=101);
    let (status, _, errors) = client.end();
    assert!(status.success(), "{errors}");
}

#[test]
fn a_second_process_is_refused_and_told_whose_the_outbox_is() {
    let place = Place::new();
    let outbox = place.outbox();
    let mut first = connect(NOWHERE, &outbox, &["--receipts", "written"]);
    first.say(&chat(1));
    first.event("messages-durable");
    let says = format!(
        "hermes: the outbox {outbox} is in use by process {}: end that process, or name another file",
        first.child.id()
    );
    for args in [&["connect", NOWHERE, "--outbox", &outbox][..], &["outbox", &outbox]] {
        let (status, _, errors) = Hermes::start(args).end();
        assert_eq!((status.code(), &errors), (Some(1), &says), "{args:?}");
    }
    first.kill();
    let (status, lines, errors) = Hermes::start(&["outbox", &outbox]).end();
    assert!(status.success(), "{errors}");
    assert!(lines[0].starts_with("default: 1 messages, "), "{lines:?}");
}

#[test]
fn a_damaged_outbox_is_set_aside_and_told_and_what_can_be_read_arrives() {
    let place = Place::new();
    let outbox = place.outbox();
    type_and_kill(&outbox, 1..=50);
    // The header is gone.
    let mut content = fs::read(&outbox).unwrap();
    content[..4096].fill(0);
    fs::write(&outbox, &content).unwrap();
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let client = connect(&format!("ws://{addr}/"), &outbox, &[]);
    let told = client.complaint("warning");
    let says =
        format!("the outbox {outbox} was damaged (it is no outbox); it is now {outbox}.corrupt");
    assert!(told.contains(&says) && told.ends_with("taken along: 50"), "{told}");
    arrive(&gateway, 1..=50);
    assert!(client.end().0.success());
    assert_eq!(fs::read(place.path("outbox.corrupt")).unwrap(), content);
}

#[cfg(unix)]
#[test]
fn an_outbox_that_can_not_be_made_is_told_at_the_start() {
    let place = Place::new();
    let fifo = place.path("fifo").to_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, words) in [
        // Read-only, to root too.
        ("/sys/outbox", "can't lock the outbox /sys/outbox: Permission denied"),
        (&fifo, "it is a pipe, not a regular file"),
        (place.directory.path().to_str().unwrap(), "it is a directory, not a regular file"),
    ] {
        let (status, _, errors) = connect(NOWHERE, path, &[]).end();
        assert_eq!(status.code(), Some(1), "{path}: {errors}");
        assert!(errors.contains(words) && errors.contains(path), "{path}: {errors}");
    }
}

/// The limit of a file's size stands for a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_nothing_and_is_told_and_later_messages_are_durable_again() {
    let place = Place::new();
    let outbox = place.outbox();
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let mut command = Command::new("sh");
    let hermes = env!("CARGO_BIN_EXE_hermes");
    let run = format!(
        "exec '{hermes}' connect 'ws://{addr}/' --outbox '{outbox}' --receipts acknowledged \
         --set store_retry_ms=50 --stats"
    );
    // 256 KiB, in blocks of 512 bytes.
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f 512; {run}")]);
    let mut client = Hermes::spawn(command);
    client.event("session-init");
    let large = json!({"type": "tick", "n": 1, "pad": "x".repeat(600_000)}).to_string();
    client.say(&large);
    let told = client.complaint("warning");
    let says = "the outbox store failed: can't write the outbox";
    assert!(told.contains(says) && told.contains("File too large"), "{told}");
    // It goes on in memory.
    assert_eq!(number(&gateway.until(|line| line["gateway"] == "message")), Some(1));
    // Acknowledged, it need not be kept. There is room again.
    client.say(&chat(2));
    client.until(|line| line["event"] == "messages-durable" || line["detail"]["to"] == 2);
    arrive(&gateway, 2..=2);
    let (status, _, errors) = client.end();
    assert!(status.success(), "{errors}");
    assert_eq!(errors.matches(says).count(), 0, "told once: {errors}");
}

#[test]
fn hermes_outbox_lists_and_clears() {
    let place = Place::new();
    let outbox = place.outbox();
    type_and_kill(&outbox, 1..=3);
    let bytes: usize = (1..=3).map(|n| chat(n).len()).sum();
    let run = |args: &[&str]| {
        let (status, lines, errors) = Hermes::start(&[&["outbox", &outbox], args].concat()).end();
        assert!(status.success(), "{errors}");
        (lines, errors)
    };
    let (lines, _) = run(&[]);
    let says = format!("default: 3 messages, {bytes} bytes, the oldest of ");
    assert!(lines.len() == 1 && lines[0].starts_with(&says), "{lines:?}");
    let listed: Value = serde_json::from_str(&run(&["--json"]).0[0]).unwrap();
    assert_eq!((&listed["messages"], &listed["bytes"]), (&json!(3), &json!(bytes)));
    assert_eq!(listed["clients"][0]["client"], "default");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_millis() as u64 - listed["oldest_unix_ms"].as_u64().unwrap();
    assert!(age < process::PATIENCE.as_millis() as u64, "{age}");
    let (lines, errors) = run(&["--clear"]);
    assert_eq!(
        (lines[0].as_str(), errors.as_str()),
        ("default: 0 messages, 0 bytes", "hermes: messages forgotten: 3")
    );
    let listed: Value = serde_json::from_str(&run(&["--json"]).0[0]).unwrap();
    assert_eq!((&listed["messages"], &listed["oldest_unix_ms"]), (&json!(0), &Value::Null));

    let (status, _, errors) = Hermes::start(&["outbox", "/nonexistent/outbox"]).end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("can't open the outbox /nonexistent/outbox: No such file"), "{errors}");
}

#[test]
fn wrong_usage_of_an_outbox() {
    for (args, word) in [
        (&["--outbox", "o", "--at-most-once"][..], "'--at-most-once'"),
        (&["--outbox", "o", "--set", "delivery=at-most-once"], "`durable` needs"),
        (&["--outbox", "o", "--outbox-survives", "all"], "machine or process"),
        (&["--outbox-survives", "process"], "--outbox"),
        (&["--set", "durable=true"], "`durable` needs --outbox"),
    ] {
        let (status, _, errors) = Hermes::start(&[&["connect", "ws://a/"], args].concat()).end();
        assert_eq!(status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(word), "{args:?}: {errors}");
    }
}
