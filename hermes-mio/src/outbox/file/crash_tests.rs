//! The machine's death: the file as a power failure leaves it at any write.
//!
//! `HERMES_CRASH_SEEDS` is the number of runs, each with a seed of its own; default: 12.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use hermes_proto::{Frame, MessageId};
use redb::StorageBackend;

use super::database::{Edit, Tables};
use super::record::{Kind, Message};
use super::{FileOutbox, LoadLimits, OutboxStore, Survives};

/// A disk that has for certain what was synced. Of what was written since, it has anything.
#[derive(Debug)]
struct Disk {
    synced: Vec<u8>,
    live: Vec<u8>,
    since: Vec<Write>,
    rng: Rng,
    images: Vec<Image>,
}

#[derive(Debug)]
enum Write {
    Bytes { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

/// The disk's content after a power failure.
#[derive(Debug)]
struct Image {
    content: Vec<u8>,
    /// The number of commits that had returned.
    commits: usize,
}

#[derive(Clone, Debug)]
struct Recorder {
    disk: Arc<Mutex<Disk>>,
    commits: Arc<AtomicUsize>,
}

const SECTOR: usize = 512;

impl Write {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Write::Bytes { offset, bytes } => {
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(bytes);
            }
            Write::Len(len) => content.resize(*len, 0),
        }
    }

    /// A part of it: some of its sectors, or its first bytes.
    fn torn(&self, rng: &mut Rng) -> Vec<Write> {
        let Write::Bytes { offset, bytes } = self else { return Vec::new() };
        if rng.bool() {
            let bytes = bytes[..rng.usize(..=bytes.len())].to_vec();
            return vec![Write::Bytes { offset: *offset, bytes }];
        }
        let sectors = bytes.chunks(SECTOR).enumerate().filter(|_| rng.bool());
        let at = |n: usize| offset + n * SECTOR;
        sectors.map(|(n, part)| Write::Bytes { offset: at(n), bytes: part.to_vec() }).collect()
    }
}

impl Disk {
    fn write(&mut self, write: Write) {
        write.apply(&mut self.live);
        self.since.push(write);
    }

    /// Each write since the last sync is kept, dropped or torn, by chance; or all of them are kept.
    fn after_power_failure(&mut self) -> Vec<u8> {
        let mut content = self.synced.clone();
        let keeps_all = self.rng.u8(..4) == 0;
        for write in &self.since {
            match if keeps_all { 0 } else { self.rng.u8(..3) } {
                0 => write.apply(&mut content),
                1 => {}
                _ => write.torn(&mut self.rng).iter().for_each(|part| part.apply(&mut content)),
            }
        }
        content
    }

    /// Before each operation there may be a power failure. The disk of another world goes on.
    fn perhaps_fail(&mut self, commits: &AtomicUsize) {
        if self.rng.u8(..12) == 0 {
            let content = self.after_power_failure();
            self.images.push(Image { content, commits: commits.load(Ordering::Relaxed) });
        }
    }
}

impl Recorder {
    fn new(seed: u64) -> Self {
        let (synced, live, since, images) = Default::default();
        let disk = Disk { synced, live, since, images, rng: Rng::with_seed(seed) };
        Recorder { disk: Arc::new(Mutex::new(disk)), commits: Arc::default() }
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk.lock().unwrap();
        let bytes = disk.live.get(offset as usize..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        disk.perhaps_fail(&self.commits);
        disk.write(Write::Len(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        disk.perhaps_fail(&self.commits);
        disk.synced = disk.live.clone();
        disk.since.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        disk.perhaps_fail(&self.commits);
        disk.write(Write::Bytes { offset: offset as usize, bytes: data.to_vec() });
        Ok(())
    }
}

/// The messages after a commit.
type Content = BTreeMap<u64, Vec<u8>>;

/// Commits by chance. Returns the content after each of them, the empty one first.
fn run(recorder: &Recorder, rng: &mut Rng) -> Vec<Content> {
    let tables = Tables::open(recorder.clone()).unwrap();
    // What `FileOutbox` makes in a temporary file, and syncs, before it gives it the name.
    {
        let mut disk = recorder.disk.lock().unwrap();
        disk.synced = disk.live.clone();
        (disk.since, disk.images) = Default::default();
    }
    let mut contents = vec![Content::new()];
    let mut next = 1;
    for _ in 0..rng.usize(1..30) {
        let mut content = contents.last().unwrap().clone();
        let new: Content = (next..next + rng.u64(0..20))
            .map(|id| {
                let max = if rng.u8(..8) == 0 { 20_000 } else { 300 };
                (id, vec![b'a' + (id % 26) as u8; rng.usize(..max)])
            })
            .collect();
        next += new.len() as u64;
        let forgotten = rng.bool().then(|| rng.u64(0..next));
        let inserts = new.iter().map(|(id, payload)| {
            Edit::Insert(Message {
                client: "c",
                id: MessageId(*id),
                kind: Kind { binary: true, uncompressed: false },
                expires_unix_ms: None,
                stored_unix_ms: 1,
                payload,
            })
        });
        let remove =
            forgotten.map(|to| Edit::Remove { client: "c", from: MessageId(0), to: MessageId(to) });
        tables.edit(inserts.chain(remove)).unwrap();
        content.extend(new.clone());
        content.retain(|id, _| forgotten.is_none_or(|to| *id > to));
        contents.push(content);
        recorder.commits.fetch_add(1, Ordering::Relaxed);
    }
    contents
}

#[test]
fn a_power_failure_loses_nothing_that_was_committed_and_leaves_nothing_half_done() {
    let seeds = std::env::var("HERMES_CRASH_SEEDS").map_or(12, |seeds| seeds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox");
    let (mut failures, mut in_flight) = (0, 0);
    for seed in 0..seeds {
        let recorder = Recorder::new(seed);
        let contents = run(&recorder, &mut Rng::with_seed(!seed));
        let images = std::mem::take(&mut recorder.disk.lock().unwrap().images);
        for Image { content, commits } in images {
            fs::write(&path, &content).unwrap();
            let mut outbox = FileOutbox::new(&path).survives(Survives::Process);
            let mut warnings = Vec::new();
            let limits = LoadLimits { messages: u64::MAX, bytes: u64::MAX };
            let loaded = outbox.load("c", MessageId(0), limits, &mut warnings).unwrap();
            // The next images need no change of the mode.
            let damage = warnings.iter().find(|warning| warning.to_string().contains("damaged"));
            assert!(damage.is_none(), "seed {seed}: {damage:?}");
            let found: Content = loaded
                .messages
                .into_iter()
                .map(|message| (message.id.0, payload(message.message.into_frame())))
                .collect();
            let is_whole = contents[commits] == found;
            // The commit under way is there as a whole, or not at all.
            let next = contents.get(commits + 1);
            assert!(is_whole || next == Some(&found), "seed {seed}, after {commits} commits");
            (failures, in_flight) = (failures + 1, in_flight + u32::from(!is_whole));
        }
    }
    println!("{failures} power failures, {in_flight} found the commit under way done");
    assert!(failures >= seeds * 5 && in_flight > 0, "{failures}, {in_flight}");
}

fn payload(frame: Frame) -> Vec<u8> {
    match frame {
        Frame::Binary(data) => data.to_vec(),
        other => panic!("{other:?}"),
    }
}
