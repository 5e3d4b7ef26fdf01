//! `FileOutbox`: the file, its lock, its mode, and damage.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hermes_mio::proto::{MessageId, Outgoing, StoredMessage, StoredOutbox};
use hermes_mio::{FileOutbox, LoadLimits, OutboxChange, OutboxError, OutboxStore, Survives};

const NO_LIMIT: LoadLimits = LoadLimits { messages: u64::MAX, bytes: u64::MAX };

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

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(name).map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn message(n: u64) -> StoredMessage {
    let text = Outgoing::text(format!(r#"{{"n":{n}}}"#));
    StoredMessage {
        id: MessageId(n),
        message: if n.is_multiple_of(2) { text.uncompressed() } else { text },
        expires_unix_ms: n.is_multiple_of(3).then_some(n),
    }
}

fn store(client: &str, n: u64) -> OutboxChange {
    OutboxChange::Store { client: client.into(), message: message(n) }
}

fn forget(client: &str, from: u64, to: u64) -> OutboxChange {
    OutboxChange::Forget { client: client.into(), from: MessageId(from), to: MessageId(to) }
}

fn load(outbox: &mut FileOutbox, client: &str) -> (StoredOutbox, Vec<OutboxError>) {
    let mut warnings = Vec::new();
    let loaded = outbox.load(client, MessageId(0), NO_LIMIT, &mut warnings).unwrap();
    (loaded, warnings)
}

fn ids(loaded: &StoredOutbox) -> Vec<u64> {
    loaded.messages.iter().map(|message| message.id.0).collect()
}

#[test]
fn what_was_committed_is_there_in_the_next_run() {
    for survives in [Survives::Process, Survives::Machine] {
        let place = Place::new();
        let path = place.path("a/b/outbox");
        let mut outbox = FileOutbox::new(&path).survives(survives);
        let (loaded, warnings) = load(&mut outbox, "one");
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(
            loaded,
            StoredOutbox { next_id: MessageId(1), messages: Vec::new(), has_more: false }
        );
        let binary = StoredMessage { message: Outgoing::binary(vec![0, 255]), ..message(9) };
        let binary = OutboxChange::Store { client: Arc::from("one"), message: binary };
        outbox.commit(&[store("one", 7), store("two", 1), store("one", 8), binary]).unwrap();
        outbox.commit(&[forget("one", 1, 7), store("one", 10)]).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(outbox);
        let mut outbox = FileOutbox::new(&path).survives(survives);
        let (loaded, warnings) = load(&mut outbox, "one");
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!((ids(&loaded), loaded.next_id), (vec![8, 9, 10], MessageId(11)));
        assert_eq!(loaded.messages[0], message(8));
        assert_eq!(loaded.messages[1].message, Outgoing::binary(vec![0, 255]));
        assert_eq!(ids(&load(&mut outbox, "two").0), [1]);
        // The ids go on though nothing is left.
        outbox.commit(&[forget("one", 1, 10), forget("three", 1, 4)]).unwrap();
        let next = |outbox: &mut FileOutbox, client| load(outbox, client).0.next_id.0;
        assert_eq!(
            ["one", "two", "three", "four"].map(|name| next(&mut outbox, name)),
            [11, 2, 5, 1]
        );
    }
}

#[test]
fn an_overfull_outbox_is_loaded_in_parts() {
    let place = Place::new();
    let mut outbox = FileOutbox::new(place.path("o"));
    let changes: Vec<_> = (1..=10).map(|n| store("c", n)).collect();
    outbox.commit(&changes).unwrap();
    let mut load = |after, messages, bytes| {
        let limits = LoadLimits { messages, bytes };
        let loaded = outbox.load("c", MessageId(after), limits, &mut Vec::new()).unwrap();
        (ids(&loaded), loaded.has_more)
    };
    assert_eq!(load(0, 4, u64::MAX), (vec![1, 2, 3, 4], true));
    assert_eq!(load(4, 6, u64::MAX), (vec![5, 6, 7, 8, 9, 10], false));
    // Of 7 bytes each.
    assert_eq!(load(0, 9, 14), (vec![1, 2], true));
    // One at least.
    assert_eq!(load(8, 0, 0), (vec![9], true));
    assert_eq!(load(9, 0, 0), (vec![10], false));
    assert_eq!(load(10, 9, 9), (vec![], false));
}

#[test]
fn an_outbox_in_use_says_whose_it_is() {
    let place = Place::new();
    let mut first = FileOutbox::new(place.path("o"));
    first.commit(&[store("c", 1)]).unwrap();
    let mut second = FileOutbox::new(place.path("o"));
    let error = second.commit(&[store("c", 2)]).unwrap_err();
    let OutboxError::InUse { owner, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*owner, Some(std::process::id()));
    let says = format!("is in use by process {}: end that process", std::process::id());
    assert!(error.to_string().contains(&says), "{error}");
    drop(first);
    second.commit(&[store("c", 2)]).unwrap();
    assert_eq!(ids(&load(&mut second, "c").0), [1, 2]);
    assert_eq!(mode(&place.path("o.lock")), 0o600);
}

#[test]
fn what_is_no_regular_file_is_refused_and_left_alone() {
    let place = Place::new();
    let fifo = place.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::create_dir(place.path("directory")).unwrap();
    fs::write(place.path("target"), "x").unwrap();
    symlink(place.path("target"), place.path("link")).unwrap();
    symlink(place.path("nowhere"), place.path("dangling")).unwrap();
    for (name, kind) in [
        ("fifo", "a pipe"),
        ("directory", "a directory"),
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
    ] {
        let mut outbox = FileOutbox::new(place.path(name));
        let error = outbox.commit(&[store("c", 1)]).unwrap_err().to_string();
        let says = format!("{}: it is {kind}, not a regular file", place.path(name).display());
        assert!(error.contains(&says), "{error}");
    }
    assert_eq!(fs::read(place.path("target")).unwrap(), b"x");
    // Nor is the lock a way around.
    symlink(place.path("target"), place.path("o.lock")).unwrap();
    let error = FileOutbox::new(place.path("o")).commit(&[store("c", 1)]).unwrap_err();
    assert!(error.to_string().contains("can't lock"), "{error}");
    assert_eq!(fs::read(place.path("target")).unwrap(), b"x");
}

#[test]
fn a_file_that_others_can_read_is_made_private() {
    let place = Place::new();
    let path = place.path("o");
    FileOutbox::new(&path).commit(&[store("c", 1)]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (loaded, warnings) = load(&mut FileOutbox::new(&path), "c");
    assert_eq!(ids(&loaded), [1]);
    assert!(matches!(&warnings[..], [OutboxError::Exposed { mode: 0o644, .. }]), "{warnings:?}");
    assert_eq!(mode(&path), 0o600);
}

/// An empty file, as `mktemp` makes it.
#[test]
fn an_empty_file_is_an_empty_outbox() {
    let place = Place::new();
    fs::write(place.path("o"), "").unwrap();
    fs::set_permissions(place.path("o"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut outbox = FileOutbox::new(place.path("o"));
    outbox.commit(&[store("c", 1)]).unwrap();
    assert_eq!(ids(&load(&mut outbox, "c").0), [1]);
    assert_eq!(place.names(), ["o", "o.lock"]);
}

/// Whatever was there is not overwritten.
#[test]
fn what_is_no_outbox_is_set_aside() {
    let place = Place::new();
    let long = vec![b'x'; 3 << 20];
    for (n, content) in
        [&b"a shopping list"[..], b"redb\x1a\x0a\xa9\x0d\x0a", &long].iter().enumerate()
    {
        let path = place.path("o");
        fs::remove_file(&path).unwrap_or_default();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut outbox = FileOutbox::new(&path);
        let (loaded, warnings) = load(&mut outbox, "c");
        assert_eq!((ids(&loaded), loaded.next_id), (vec![], MessageId(1)));
        let [OutboxError::Damaged { aside, messages: 0, .. }] = &warnings[..] else {
            panic!("{warnings:?}")
        };
        let suffix = if n == 0 { String::new() } else { format!("-{n}") };
        assert_eq!(aside, &place.path(&format!("o.corrupt{suffix}")));
        assert_eq!(&fs::read(aside).unwrap(), content);
        outbox.commit(&[store("c", 1)]).unwrap();
        assert_eq!(ids(&load(&mut FileOutbox::new(place.path("other")), "c").0), [0; 0]);
    }
}

/// Each page in turn is overwritten. Every message whose bytes are left is taken along, in order. One
/// that was forgotten comes back only with the page that says so.
#[test]
fn a_damaged_outbox_is_set_aside_and_what_can_be_read_is_taken_along() {
    const PAGE: usize = 4096;
    let place = Place::new();
    let mut outbox = FileOutbox::new(place.path("o")).survives(Survives::Process);
    for n in 1..=200 {
        outbox.commit(&[store("c", n)]).unwrap();
    }
    outbox.commit(&[forget("c", 1, 100)]).unwrap();
    drop(outbox);
    let whole = fs::read(place.path("o")).unwrap();
    let (mut damaged, mut with_forgotten, mut most) = (0, 0, 0);
    for page in 0..whole.len() / PAGE {
        let path = place.path(&format!("page-{page}"));
        let mut content = whole.clone();
        content[page * PAGE..][..PAGE].fill(0xA5);
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut outbox = FileOutbox::new(&path);
        let (loaded, warnings) = load(&mut outbox, "c");
        let ids = ids(&loaded);
        assert!(ids.is_sorted(), "page {page}");
        assert!(loaded.messages.iter().all(|m| *m == message(m.id.0)), "page {page}");
        if warnings.is_empty() {
            // The page was free.
            assert_eq!(ids, (101..=200).collect::<Vec<_>>(), "page {page}");
            continue;
        }
        let [OutboxError::Damaged { aside, messages, .. }] = &warnings[..] else {
            panic!("page {page}: {warnings:?}")
        };
        assert_eq!(*messages, ids.len() as u64);
        assert_eq!(fs::read(aside).unwrap(), content);
        let is_left = |n: &u64| {
            let text = format!(r#"{{"n":{n}}}"#);
            content.windows(text.len()).any(|window| window == text.as_bytes())
        };
        assert!((101..=200).filter(is_left).all(|n| ids.contains(&n)), "page {page}: {ids:?}");
        with_forgotten += u32::from(ids.iter().any(|n| *n <= 100));
        (damaged, most) = (damaged + 1, most.max(ids.len()));
        // It is an outbox again.
        outbox.commit(&[store("c", 201)]).unwrap();
        drop(outbox);
        let (loaded, warnings) = load(&mut FileOutbox::new(&path), "c");
        assert!(warnings.is_empty() && loaded.messages.last() == Some(&message(201)));
    }
    assert!(damaged >= 3 && most >= 100, "{damaged} pages, {most} messages");
    assert_eq!(with_forgotten, 1);
}

/// A file that was cut anywhere.
#[test]
fn an_outbox_that_was_cut_short_is_set_aside() {
    let place = Place::new();
    let mut outbox = FileOutbox::new(place.path("o"));
    let changes: Vec<_> = (1..=200).map(|n| store("c", n)).collect();
    outbox.commit(&changes).unwrap();
    drop(outbox);
    let whole = fs::read(place.path("o")).unwrap();
    for eighth in 1..8 {
        let path = place.path(&format!("cut-{eighth}"));
        fs::write(&path, &whole[..whole.len() * eighth / 8]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (loaded, warnings) = load(&mut FileOutbox::new(&path), "c");
        assert!(matches!(&warnings[..], [OutboxError::Damaged { .. }]), "{warnings:?}");
        assert!(ids(&loaded).is_sorted());
    }
}

#[test]
fn the_summary_counts_and_clear_empties() {
    let place = Place::new();
    let mut outbox = FileOutbox::new(place.path("o"));
    outbox.commit(&[store("b", 3), store("a", 1), store("b", 4), forget("e", 1, 1)]).unwrap();
    let summary = |outbox: &mut FileOutbox| {
        let summary = outbox.summary(&mut Vec::new()).unwrap();
        let of = |s: &hermes_mio::OutboxSummary| (s.client.clone(), s.messages, s.bytes);
        summary.iter().map(of).collect::<Vec<_>>()
    };
    let expected = [("a", 1, 7), ("b", 2, 14), ("e", 0, 0)];
    assert_eq!(summary(&mut outbox), expected.map(|(c, n, b)| (c.to_owned(), n, b)));
    outbox.clear(&mut Vec::new()).unwrap();
    assert_eq!(summary(&mut outbox), ["a", "b", "e"].map(|c| (c.to_owned(), 0, 0)));
    assert_eq!(load(&mut outbox, "b").0.next_id, MessageId(5));
}

/// A store of a day's traffic is as small as its backlog.
#[test]
fn the_file_does_not_grow_with_what_went_through_it() {
    let place = Place::new();
    let mut outbox = FileOutbox::new(place.path("o")).survives(Survives::Process);
    for n in (1..20_000).step_by(100) {
        let mut changes: Vec<_> = (n..n + 100).map(|n| store("c", n)).collect();
        changes.push(forget("c", 1, n.saturating_sub(100)));
        outbox.commit(&changes).unwrap();
    }
    let bytes = fs::metadata(place.path("o")).unwrap().len();
    assert!(bytes < 300_000, "{bytes} bytes");
}
