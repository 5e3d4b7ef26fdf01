//! Files that the command writes.

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

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    #[cfg(unix)]
    fn fifo(&self) -> String {
        let name = self.name("fifo");
        assert!(Command::new("mkfifo").arg(&name).status().unwrap().success());
        name
    }
}

/// What is not a regular file is neither written into nor replaced.
#[cfg(unix)]
#[test]
fn only_regular_files_are_written() {
    use std::os::unix::fs::FileTypeExt;
    let place = Place::new();
    let fifo = place.fifo();
    let directory = place.directory.path().to_str().unwrap();
    for path in ["/dev/null", &fifo, directory] {
        let (status, _, errors) =
            Hermes::start(&["connect", "ws://127.0.0.1:9/", "--record", path]).end();
        assert_eq!(status.code(), Some(1), "{path}: {errors}");
        assert!(errors.contains(path) && errors.contains("not a regular file"), "{path}: {errors}");
        let (status, _, errors) =
            Hermes::start(&["gateway", "127.0.0.1:0", "--sessions", path]).wait();
        assert_eq!(status.code(), Some(1), "{path}: {errors}");
        assert!(errors.contains(path) && errors.contains("not a regular file"), "{path}: {errors}");
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
}

#[test]
fn an_old_recording_is_not_emptied_by_a_run_that_fails_at_its_start() {
    let place = Place::new();
    fs::write(place.path("trace"), "an old one").unwrap();
    let trace = place.name("trace");
    for more in [["--cacert", "/nonexistent"], ["--credentials", "true"]] {
        let args = ["connect", "ws://127.0.0.1:9/", "--record", &trace];
        let bad = ["--proxy", "socks5://a b/"];
        let args = [&args[..], &more, if more[0] == "--cacert" { &[] } else { &bad }].concat();
        let (status, _, errors) = Hermes::start(&args).end();
        assert!(!status.success(), "{errors}");
        assert_eq!(fs::read_to_string(place.path("trace")).unwrap(), "an old one");
    }
}

/// The limit of a file's size stands for a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_recording_that_fails_is_told_and_is_an_exit_code() {
    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let place = Place::new();
    let trace = place.name("trace");
    let hermes = env!("CARGO_BIN_EXE_hermes");
    let script = |blocks: u32| {
        let mut command = Command::new("sh");
        let run = format!("exec '{hermes}' connect 'ws://{addr}/' --record '{trace}'");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; {run}")]);
        Hermes::spawn(command)
    };
    // Blocks are of 512 bytes, or of 1024.
    let mut client = script(8);
    client.event("session-init");
    for n in 0..100 {
        client.say(&chat(n));
    }
    gateway.until(|line| number(line) == Some(99));
    let (status, _, errors) = client.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    let told = errors.lines().filter(|line| line.contains(&trace)).count();
    assert_eq!(told, 1, "{errors}");
    assert!(errors.contains("the recording"), "{errors}");

    // Not even its header can be written: the one before stays.
    let before = fs::read(place.path("trace")).unwrap();
    assert!(!before.is_empty());
    let (status, _, errors) = script(0).end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains(&trace), "{errors}");
    assert_eq!(fs::read(place.path("trace")).unwrap(), before);
    let left = fs::read_dir(place.directory.path()).unwrap().count();
    assert_eq!(left, 1, "no temporary file is left");
}

/// As `kill -9` finds it at any moment: whole, private, and with every client.
#[test]
fn a_killed_gateway_has_every_session_in_its_file() {
    let place = Place::new();
    let file = place.name("sessions");
    let (mut addr, mut clients) = ("127.0.0.1:0".to_owned(), Vec::new());
    for n in 0..3 {
        let gateway = Hermes::start(&["gateway", &addr, "--sessions", &file]);
        let listening = gateway.until(|line| line["gateway"] == "listening");
        addr = listening["addr"].as_str().unwrap().to_owned();
        let url = format!("ws://{addr}/");
        for client in 0..2 {
            let session = place.name(&format!("session-{n}-{client}"));
            let client = Hermes::start(&["connect", &url, "--session", &session]);
            client.event("session-init");
            assert!(client.end().0.success());
            clients.push(session);
        }
        let saved = || -> Vec<Value> {
            serde_json::from_slice(&fs::read(place.path("sessions")).unwrap()).unwrap()
        };
        let deadline = std::time::Instant::now() + process::PATIENCE;
        while saved().len() < clients.len() {
            assert!(std::time::Instant::now() < deadline, "{:?}", saved());
            std::thread::yield_now();
        }
        is_private(&place.path("sessions"));
        gateway.kill();
    }
    let gateway = Hermes::start(&["gateway", &addr, "--sessions", &file]);
    gateway.until(|line| line["gateway"] == "listening");
    for session in &clients {
        let client = Hermes::start(&["connect", &format!("ws://{addr}/"), "--session", session]);
        assert_eq!(client.event("session-init")["detail"]["resumed"], true, "{session}");
        assert!(client.end().0.success());
    }
    gateway.kill();
}

/// Found at the start, and not at the first client; and saving waits for no reader of the log.
#[cfg(unix)]
#[test]
fn a_sessions_file_is_checked_at_the_start_and_saved_while_nobody_reads_the_log() {
    let (status, _, errors) =
        Hermes::start(&["gateway", "127.0.0.1:0", "--sessions", "/proc/none/sessions"]).wait();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("/proc/none/sessions"), "{errors}");

    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
    command.args(["gateway", "127.0.0.1:0", "--sessions", &place.name("sessions")]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    // One line is read; then nobody reads.
    let mut output = std::io::BufReader::with_capacity(1, gateway.stdout.take().unwrap());
    let mut listening = String::new();
    std::io::BufRead::read_line(&mut output, &mut listening).unwrap();
    let listening: Value = serde_json::from_str(&listening).unwrap();
    let url = listening["url"].as_str().unwrap().to_owned();
    let mut talker = Hermes::start(&["connect", &url, "--at-least-once"]);
    for n in 0..3_000 {
        talker.say(&chat(n));
    }
    assert!(talker.end().0.success());
    let late = Hermes::start(&["connect", &url]);
    late.event("session-init");
    let deadline = std::time::Instant::now() + process::PATIENCE;
    loop {
        let saved: Vec<Value> =
            serde_json::from_slice(&fs::read(place.path("sessions")).unwrap()).unwrap();
        if saved.len() == 2 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{}", saved.len());
        std::thread::yield_now();
    }
    gateway.kill().unwrap();
    gateway.wait().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn the_log_of_a_gateway_takes_bounded_memory_while_nobody_reads_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermes"));
    command.args(["gateway", "127.0.0.1:0", "--log-buffer", "4000000"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    let mut output = std::io::BufReader::with_capacity(1, gateway.stdout.take().unwrap());
    let mut listening = String::new();
    std::io::BufRead::read_line(&mut output, &mut listening).unwrap();
    let listening: Value = serde_json::from_str(&listening).unwrap();
    let mut talker =
        Hermes::start(&["connect", listening["url"].as_str().unwrap(), "--at-least-once"]);
    let text = "x".repeat(1 << 20);
    for n in 0..60 {
        talker.say(&json!({"type": "tick", "n": n, "text": text}).to_string());
    }
    assert!(talker.end().0.success());
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    // 60 MiB of messages kept, and little of the log.
    assert!(kib < 100 << 10, "{kib} KiB");
    // The reader that comes back is told of the gap.
    let mut rest = std::io::BufRead::lines(output).map(|line| line.unwrap());
    assert!(rest.any(|line| line.starts_with(r#"{"gateway":"records-dropped""#)));
    gateway.kill().unwrap();
    gateway.wait().unwrap();
}
