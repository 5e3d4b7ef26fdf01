//! Standard streams that are full, gone, not blocking or broken; and signals.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use super::*;

fn hermes(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
    command.args(args).env_remove("HERMES_WS_URL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The test's end of a stream whose other end does not block.
fn nonblocking() -> (UnixStream, Stdio) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    (ours, OwnedFd::from(theirs).into())
}

fn url(addr: &str) -> String {
    format!("ws://{addr}/")
}

#[test]
fn an_input_that_would_block_is_waited_for_and_keeps_its_half_line() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let (mut input, theirs) = nonblocking();
    let mut command = hermes(&["connect", &url(&addr)]);
    command.stdin(theirs);
    let client = Hermes::spawn_as_is(command);
    let second = chat(2);
    let (begin, end) = second.split_at(9);
    write!(input, "{}\n{begin}", chat(1)).unwrap();
    gateway.until(|line| number(line) == Some(1));
    writeln!(input, "{end}").unwrap();
    gateway.until(|line| number(line) == Some(2));
    // The last line needs no line end.
    write!(input, "{}", chat(3)).unwrap();
    drop(input);
    gateway.until(|line| number(line) == Some(3));
    let (status, _, errors) = client.end();
    assert!(status.success(), "{errors}");
    assert!(!errors.contains("input"), "{errors}");
}

#[test]
fn an_input_that_fails_is_told_once_and_ends() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let mut command = hermes(&["connect", &url(&addr)]);
    // Reading a directory fails each time.
    command.stdin(std::fs::File::open("/").unwrap());
    let (status, lines, errors) = Hermes::spawn_as_is(command).end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(lines.last().unwrap().contains("shut-down"), "{lines:?}");
    let told = errors.lines().filter(|line| line.contains("Is a directory")).count();
    assert_eq!(told, 1, "{errors}");
    gateway.kill();
}

#[test]
fn a_line_that_is_not_utf_8_or_too_long_is_one_bad_line() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let (mut input, theirs) = UnixStream::pair().unwrap();
    let mut command = hermes(&["connect", &url(&addr), "--set", "outbox_max_bytes=1000"]);
    command.stdin(OwnedFd::from(theirs));
    let client = Hermes::spawn_as_is(command);
    input.write_all(b"{\"type\":\"\xff\"}\n").unwrap();
    // More than any memory for lines should take.
    let piece = [b'x'; 1 << 16];
    for _ in 0..256 {
        input.write_all(&piece).unwrap();
    }
    writeln!(input, "\n{}", chat(1)).unwrap();
    drop(input);
    gateway.until(|line| number(line) == Some(1));
    let peak = peak_memory(client.child.id());
    let (status, _, errors) = client.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("input line 1 was not sent: it is not UTF-8"), "{errors}");
    assert!(errors.contains("input line 2 was not sent: it is longer than"), "{errors}");
    assert!(errors.contains("input lines that were not sent: 2"), "{errors}");
    if let Some(peak) = peak {
        assert!(peak < 40 << 20, "{peak} bytes");
    }
}

/// The most memory that a process has had, if the system tells.
fn peak_memory(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kib| kib << 10)
}

#[test]
fn an_output_that_would_block_is_waited_for() {
    const MESSAGES: u32 = 2_000;
    let gateway = Hermes::start(&["gateway", "127.0.0.1:0", "--echo"]);
    let listening = gateway.until(|line| line["gateway"] == "listening");
    let (output, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    // Little fits in.
    socket2::SockRef::from(&theirs).set_send_buffer_size(1).unwrap();
    let mut command = hermes(&["connect", &url(listening["addr"].as_str().unwrap())]);
    command.stdout(OwnedFd::from(theirs));
    let mut client = Hermes::spawn_as_is(command);
    client.say(&chat(0));
    gateway.until(|line| number(line) == Some(0));
    for n in 1..MESSAGES {
        client.say(&chat(n));
    }
    let reading = std::thread::spawn(move || {
        let lines = std::io::BufRead::lines(std::io::BufReader::with_capacity(16, output));
        let events: Vec<Value> =
            lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        events
    });
    let (status, _, errors) = client.end();
    assert!(status.success(), "{errors}");
    let events = reading.join().unwrap();
    let chats = events.iter().filter(|event| event["event"] == "chat-message");
    let numbers: Vec<u64> = chats.map(|chat| chat["detail"]["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..u64::from(MESSAGES)).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap()["event"], "shut-down");
}

#[test]
fn a_standard_error_that_is_full_or_gone_stops_nothing() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let (full, theirs) = std::io::pipe().unwrap();
    let (full_nonblocking, theirs_nonblocking) = nonblocking();
    let (gone, theirs_gone) = std::io::pipe().unwrap();
    drop(gone);
    let ends: [(&str, Stdio); 3] = [
        ("full", theirs.into()),
        ("full and not blocking", theirs_nonblocking),
        ("gone", theirs_gone.into()),
    ];
    for (name, stderr) in ends {
        let mut command = hermes(&["connect", &url(&addr), "-vvv"]);
        command.stderr(stderr);
        let mut client = Hermes::spawn_as_is(command);
        client.event("session-init");
        for n in 0..3_000 {
            client.say(&chat(n));
            if n % 10 == 0 {
                client.say("a bad line");
            }
        }
        let deadline = std::time::Instant::now() + process::PATIENCE;
        gateway.until(|line| number(line) == Some(2_999));
        let (status, lines, _) = client.end();
        assert_eq!(status.code(), Some(1), "{name}");
        assert!(lines.last().unwrap().contains("shut-down"), "{name}: {lines:?}");
        assert!(std::time::Instant::now() < deadline, "{name}");
    }
    drop((full, full_nonblocking));
}

#[test]
fn a_reader_that_left_is_a_failure_only_if_messages_may_be_lost() {
    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    for (fault, code) in [("clear", 0), ("everyone no-pong", 1)] {
        gateway.order(fault);
        let (output, theirs) = std::io::pipe().unwrap();
        let mut command = hermes(&["connect", &url(&addr), "--shutdown-timeout", "500"]);
        command.stdout(theirs);
        let mut client = Hermes::spawn_as_is(command);
        client.say(&chat(1));
        gateway.until(|line| number(line) == Some(1));
        drop(output);
        gateway.say(r#"say {"type":"status-update"}"#);
        // Its input stays open: the reader's leaving ends it.
        let (status, _, errors) = client.wait();
        assert_eq!(status.code(), Some(code), "{fault}: {errors}");
        assert_eq!(errors.contains("in doubt: 1"), code == 1, "{fault}: {errors}");
    }
}

#[test]
fn a_signal_is_the_end_of_input() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    for signal in ["-INT", "-TERM", "-HUP"] {
        if signal == "-HUP" && hangups_are_ignored() {
            eprintln!("LEFT OUT: SIGHUP, which these tests were started to ignore (nohup)");
            continue;
        }
        let mut client = Hermes::start(&["connect", &url(&addr), "--stay"]);
        client.event("session-init");
        client.say(&chat(1));
        gateway.until(|line| number(line) == Some(1));
        client.signal(signal);
        let (status, lines, errors) = client.wait();
        assert!(status.success(), "{signal}: {status}, {errors}");
        let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        assert_eq!(last["event"], "shut-down", "{signal}");
        let end = gateway.until(|line| line["gateway"] == "disconnected");
        assert!(end["reason"].as_str().unwrap().starts_with("closed: "), "{signal}: {end}");
    }
    // A gateway says goodbye to its clients, and is done.
    let client = Hermes::start(&["connect", &url(&addr), "--max-attempts", "0"]);
    client.event("session-init");
    gateway.signal("-TERM");
    assert_eq!(client.event("ws-disconnected")["detail"]["code"], 1001);
    let (status, _, errors) = gateway.wait();
    assert!(status.success(), "{status}, {errors}");
}

/// Whether this process, and so each that it starts, ignores SIGHUP (signal 1).
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 != 0)
}

#[test]
fn a_second_signal_ends_at_once() {
    let (mut gateway, addr) = Hermes::gateway("127.0.0.1:0");
    gateway.order("everyone no-pong");
    let mut client = Hermes::start(&["connect", &url(&addr), "--shutdown-timeout", "600000"]);
    client.event("session-init");
    client.say(&chat(1));
    gateway.until(|line| number(line) == Some(1));
    client.signal("-TERM");
    client.complaint("SIGTERM");
    client.signal("-INT");
    let (status, _, errors) = client.wait();
    assert_eq!(status.signal(), Some(2), "{status}, {errors}");
}

/// `nohup` and background jobs of a shell ignore signals before the program starts.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_from_the_start_stays_so() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let mut command = Command::new("sh");
    let hermes = env!("CARGO_BIN_EXE_hermes");
    command.args(["-c", &format!("trap '' HUP; exec '{hermes}' connect '{}'", url(&addr))]);
    let mut client = Hermes::spawn(command);
    client.event("session-init");
    client.signal("-HUP");
    client.say(&chat(1));
    gateway.until(|line| number(line) == Some(1));
    let (status, _, errors) = client.end();
    assert!(status.success() && !errors.contains("SIGHUP"), "{errors}");
}
