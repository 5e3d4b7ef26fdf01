//! What the fuzzers know, without a fuzzer: each target's seeds, and the inputs that are kept in
//! `fuzz/corpus/`. A failing one is named in the output; `cargo fuzz run TARGET FILE` runs it alone.

use std::fs;
use std::path::Path;

use hermes_tests::fuzz::{TARGETS, Target};

#[test]
fn client() {
    replay("client");
}

#[test]
fn codec() {
    replay("codec");
}

#[test]
fn deflate() {
    replay("deflate");
}

#[test]
fn endpoint() {
    replay("endpoint");
}

#[test]
fn message() {
    replay("message");
}

#[test]
fn session() {
    replay("session");
}

#[test]
fn trace() {
    replay("trace");
}

#[test]
fn upgrade() {
    replay("upgrade");
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("there is such a target");
    let Target { run, seeds, .. } = target;
    for (number, seed) in seeds().iter().enumerate() {
        println!("seed {number}");
        run(seed);
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| entry.expect("a directory can be read").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing is kept in {}", corpus.display());
    for file in files {
        println!("{}", file.display());
        run(&fs::read(file).expect("a file can be read"));
    }
}
