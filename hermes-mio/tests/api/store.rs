//! The session between two runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::common::*;
use hermes_mio::proto::Session;
use hermes_mio::{
    Client, Config, Event, FileStore, MemoryStore, Options, SessionStore, StoreError,
};

const INIT: &str = r#"{"type":"session-init","token":"s3cret","clientId":"c-1"}"#;

fn session(token: &str) -> Session {
    Session { token: token.into(), client_id: Some("c".into()), saved_at: 7, origin: None }
}

fn load(path: &Path) -> (Option<Session>, Vec<StoreError>) {
    let mut warnings = Vec::new();
    (FileStore::new(path).load(&mut warnings), warnings)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_session_is_saved_and_loaded_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    // The directories are made.
    let path = directory.path().join("a/b/session.json");
    assert_eq!(load(&path).0, None);
    let mut store = FileStore::new(&path);
    for token in ["one", "two"] {
        store.save(Some(&session(token))).unwrap();
        let (loaded, warnings) = load(&path);
        assert_eq!(loaded, Some(session(token)));
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(mode(&path), 0o600);
    }
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // The stored form is the reference's.
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(json, serde_json::json!({"token": "two", "clientId": "c", "savedAt": 7}));
    // Nothing is left lying about.
    assert_eq!(names(path.parent().unwrap()), ["session.json"]);
    store.save(None).unwrap();
    store.save(None).unwrap();
    assert_eq!(names(path.parent().unwrap()), [""; 0]);
}

#[test]
fn what_is_no_session_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let cases: [(&[u8], &str); 7] = [
        (b"", "cut short"),
        (b"{\"token\":\"s3cret", "cut short"),
        (b"s3cret", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{\"name\":\"s3cret\"}", "other JSON"),
        (b"{\"token\":3}", "other JSON"),
        (b"{\"token\":\"\"}", "its token is empty"),
    ];
    for (index, (content, problem)) in cases.into_iter().enumerate() {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (loaded, warnings) = load(&path);
        assert_eq!(loaded, None);
        let [warning @ StoreError::Foreign { aside, .. }] = &warnings[..] else {
            panic!("{warnings:?}")
        };
        let text = warning.to_string();
        assert!(text.contains(problem) && !text.contains("s3cret"), "{text}");
        // It is all there, and over nothing else.
        assert!(!path.exists());
        assert_eq!(fs::read(aside).unwrap(), content);
        let suffix = if index == 0 { String::new() } else { format!("-{index}") };
        assert_eq!(aside, &directory.path().join(format!("s.corrupt{suffix}")));
    }
    assert_eq!(names(directory.path()).len(), cases.len());
}

#[test]
fn a_huge_file_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let file = fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let (loaded, warnings) = load(&path);
    assert_eq!(loaded, None);
    assert!(warnings.iter().any(|w| matches!(w, StoreError::Foreign { .. })), "{warnings:?}");
}

#[test]
fn a_file_that_others_can_read_is_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    fs::write(&path, r#"{"token":"t"}"#).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (loaded, warnings) = load(&path);
    assert_eq!(loaded.unwrap().token, "t");
    assert!(matches!(&warnings[..], [StoreError::Exposed { mode: 0o644, .. }]), "{warnings:?}");
    // The next save puts it right.
    FileStore::new(&path).save(Some(&session("t"))).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (loaded, warnings) = load(directory.path());
    assert_eq!(loaded, None);
    assert!(matches!(&warnings[..], [StoreError::File { action: "read", .. }]), "{warnings:?}");
    assert!(FileStore::new(directory.path()).save(Some(&session("t"))).is_err());
    assert_eq!(
        names(directory.path().parent().unwrap()).iter().filter(|n| n.contains("corrupt")).count(),
        0
    );
}

/// A save that fails leaves what was there, and no rubbish.
#[test]
fn a_failed_save_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("x"), "").unwrap();
    let error = FileStore::new(&path).save(Some(&session("s3cret"))).unwrap_err();
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert_eq!(names(directory.path()), ["s"]);
}

/// What `load` refuses by its kind, `save` and a session's end leave alone: as root they would replace
/// `/dev/null` by a file.
#[test]
fn what_is_no_file_is_neither_replaced_nor_removed() {
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::UnixListener;

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("directory")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
    assert!(fifo.success());
    let _socket = UnixListener::bind(path("socket")).unwrap();
    symlink("/dev/null", path("link")).unwrap();
    // A device of our own, if this user may make one.
    let device = std::process::Command::new("mknod")
        .args([path("device").to_str().unwrap(), "c", "1", "3"])
        .output();
    let mut names = vec!["directory", "fifo", "socket", "link"];
    match device {
        Ok(output) if output.status.success() => names.push("device"),
        _ => eprintln!("this user may not make a device: that one is left out"),
    }
    let kind = |name: &str| fs::symlink_metadata(path(name)).unwrap().file_type();
    for name in names {
        let before = kind(name);
        let mut store = FileStore::new(path(name));
        for session in [Some(session("s3cret")), None] {
            let error = store.save(session.as_ref()).unwrap_err().to_string();
            assert!(error.contains(", not a regular file"), "{name}: {error}");
            assert!(error.contains(path(name).to_str().unwrap()), "{error}");
        }
        let warning = load(&path(name)).1.remove(0).to_string();
        assert!(warning.contains(", not a regular file"), "{name}: {warning}");
        assert_eq!(kind(name), before);
    }
    assert!(fs::metadata(path("link")).unwrap().file_type().is_char_device());
    let all: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert!(all.len() <= 5, "no rubbish: {all:?}");
}

/// A container's file from outside, say, which nothing can be renamed over. The test is run again in
/// a process that has a mount.
#[cfg(target_os = "linux")]
#[test]
fn a_bind_mount_is_written_in_place() {
    const PATH: &str = "HERMES_TEST_BIND_MOUNT";
    if let Some(path) = std::env::var_os(PATH) {
        let path = Path::new(&path);
        let mut store = FileStore::new(path);
        // Docker makes it, or has it made: empty.
        assert_eq!(load(path).0, None);
        assert!(load(path).1.is_empty(), "{:?}", load(path).1);
        for token in ["a-rather-long-one", "two"] {
            store.save(Some(&session(token))).unwrap();
            assert_eq!(load(path).0, Some(session(token)));
        }
        store.save(None).unwrap();
        assert_eq!(load(path).0, None);
        // What is something else is set aside as ever.
        fs::write(path, "precious").unwrap();
        let (loaded, warnings) = load(path);
        assert_eq!(loaded, None);
        let [StoreError::Foreign { aside, .. }] = &warnings[..] else { panic!("{warnings:?}") };
        assert_eq!(fs::read(aside).unwrap(), b"precious");
        store.save(Some(&session("three"))).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (outside, inside) = (directory.path().join("outside"), directory.path().join("inside"));
    for path in [&outside, &inside] {
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let test = "store::a_bind_mount_is_written_in_place";
    let script = format!(
        "mount --bind '{}' '{}' || exit 77; exec '{}' --exact {test} --nocapture",
        outside.display(),
        inside.display(),
        std::env::current_exe().unwrap().display()
    );
    let output = std::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .env(PATH, &inside)
        .output();
    let output = match output {
        Ok(output) if output.status.code() == Some(0) => output,
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
            panic!("{}", String::from_utf8_lossy(&output.stderr))
        }
        other => {
            eprintln!("no mount can be made here: skipped ({other:?})");
            return;
        }
    };
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    assert_eq!(load(&outside).0, Some(session("three")));
}

/// Notepad's, say.
#[test]
fn a_byte_order_mark_is_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    fs::write(&path, "\u{feff}{\"token\":\"t\"}").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (loaded, warnings) = load(&path);
    assert_eq!(loaded.unwrap().token, "t");
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn a_link_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (path, target) = (directory.path().join("s"), directory.path().join("target"));
    fs::write(&target, "precious").unwrap();
    symlink(&target, &path).unwrap();
    FileStore::new(&path).save(Some(&session("t"))).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

/// The gateway's side of a run: it issues a session, or hears that one is resumed.
fn gateway(resumes: bool) -> Peer<()> {
    Peer::start(move |listener| {
        let mut socket = accept(&listener);
        if resumes {
            let first: serde_json::Value = serde_json::from_str(&read_text(&mut socket)).unwrap();
            assert_eq!(first, serde_json::json!({"type": "session-resume", "token": "s3cret"}));
        }
        send(&mut socket, INIT);
        read_close(&mut socket);
    })
}

fn is_init(event: &Event) -> Option<()> {
    matches!(event, Event::SessionInit(_)).then_some(())
}

#[test]
fn a_session_is_resumed_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.json");
    let port_keeper = gateway(false);
    let url = port_keeper.url();
    let mut first = Client::new(Options::new(config(&url)).store(FileStore::new(&path))).unwrap();
    first.connect();
    wait_for(&mut first, is_init);
    disconnect(&mut first);
    drop(first);
    port_keeper.join();

    let saved = load(&path).0.unwrap();
    assert_eq!((saved.token.as_str(), saved.client_id.as_deref()), ("s3cret", Some("c-1")));
    assert!(saved.saved_at > 1_600_000_000_000, "{}", saved.saved_at);
    assert_eq!(saved.origin.as_deref(), Some(url.trim_end_matches('/')));

    // Another gateway, at another origin, is not given the token …
    let stranger = gateway(false);
    let elsewhere = directory.path().join("elsewhere.json");
    fs::copy(&path, &elsewhere).unwrap();
    let options = Options::new(config(stranger.url())).store(FileStore::new(&elsewhere));
    let mut second = Client::new(options).unwrap();
    second.connect();
    wait_for(&mut second, is_init);
    disconnect(&mut second);
    stranger.join();

    // … but the one that issued it is (a new listener has a new port, so its origin is put right).
    let again = gateway(true);
    let origin = Some(again.url().trim_end_matches('/').to_owned());
    FileStore::new(&path).save(Some(&Session { origin, ..saved })).unwrap();
    let mut third =
        Client::new(Options::new(config(again.url())).store(FileStore::new(&path))).unwrap();
    third.connect();
    wait_for(&mut third, is_init);
    third.clear_session();
    disconnect(&mut third);
    assert!(!path.exists());
    again.join();
}

#[test]
fn a_memory_store_outlives_its_client() {
    let store = MemoryStore::default();
    let peer = gateway(false);
    let mut client = Client::new(Options::new(config(peer.url())).store(store.clone())).unwrap();
    client.connect();
    wait_for(&mut client, is_init);
    disconnect(&mut client);
    peer.join();
    assert_eq!(store.session().unwrap().token, "s3cret");
}

#[test]
fn a_corrupt_file_is_an_event_and_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    fs::write(&path, "rubbish").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let peer = gateway(false);
    let mut client =
        Client::new(Options::new(config(peer.url())).store(FileStore::new(&path))).unwrap();
    let Some(Event::Warning { text }) = client.poll(None).unwrap() else { panic!() };
    assert!(text.contains("s.corrupt"), "{text}");
    client.connect();
    wait_for(&mut client, is_init);
    disconnect(&mut client);
    peer.join();
    assert_eq!(load(&path).0.unwrap().token, "s3cret");
}

#[test]
fn a_store_that_fails_is_an_event_and_stops_nothing() {
    struct Full;
    impl SessionStore for Full {
        fn load(&mut self, _: &mut Vec<StoreError>) -> Option<Session> {
            None
        }
        fn save(&mut self, _: Option<&Session>) -> Result<(), StoreError> {
            Err(StoreError::Other("the disk is full".into()))
        }
    }
    let peer = gateway(false);
    let options = Options::new(Config { max_attempts: Some(0), ..config(peer.url()) }).store(Full);
    let mut client = Client::new(options).unwrap();
    client.connect();
    wait_for(&mut client, connected);
    // The store fails beside the loop, so either may come first.
    let mut events = [next(&mut client), next(&mut client)];
    if is_init(&events[0]).is_some() {
        events.swap(0, 1);
    }
    assert_eq!(events[0], Event::Warning { text: "the disk is full".into() });
    assert!(is_init(&events[1]).is_some(), "{events:?}");
    disconnect(&mut client);
    peer.join();
}
