//! Writes each target's seeds below a directory: `cargo run --example seeds -- DIRECTORY`.

use std::path::PathBuf;
use std::{env, fs, io};

use hermes_tests::fuzz::TARGETS;

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from).expect("usage: seeds DIRECTORY");
    for target in TARGETS {
        let directory = directory.join(target.name);
        fs::create_dir_all(&directory)?;
        let seeds = (target.seeds)();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("seed-{number}")), seed)?;
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
    Ok(())
}
