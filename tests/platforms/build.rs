//! Packs the committed traces into the program: a board has no files.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let corpus = here.join("../../fuzz/corpus/trace");
    println!("cargo::rerun-if-changed={}", corpus.display());
    fs::write(out.join("traces.rs"), list(&corpus)).expect("the build directory is writable");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo::rustc-link-search={}", here.display());
        println!("cargo::rustc-link-arg=-Tlink.x");
        println!("cargo::rerun-if-changed=memory.x");
    }
}

/// The traces as a constant, in the order of their names.
fn list(corpus: &Path) -> String {
    let files =
        fs::read_dir(corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("it is listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing is kept in {}", corpus.display());
    let include = |path: &PathBuf| {
        let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
        format!("({name:?}, include_bytes!({path:?})),\n")
    };
    let entries: String = paths.iter().map(include).collect();
    format!("const TRACES: &[(&str, &[u8])] = &[\n{entries}];\n")
}
