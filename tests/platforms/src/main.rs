//! What the machine does, printed: all committed traces replayed, and generated histories.
//!
//! The core promises the same bytes on every platform for the same settings, seed and inputs. So
//! whatever this prints is the same everywhere, and `.ci/platforms` compares it to the byte.
#![no_std]
#![no_main]

extern crate alloc;

mod heap;
mod history;
#[cfg_attr(target_os = "none", path = "host/board.rs")]
#[cfg_attr(target_arch = "wasm32", path = "host/wasm.rs")]
#[cfg_attr(not(any(target_os = "none", target_arch = "wasm32")), path = "host/libc.rs")]
mod host;

use alloc::format;
use alloc::string::String;

use hermes_proto::trace::Replayer;
use hermes_proto::{Client, Endpoint};

include!(concat!(env!("OUT_DIR"), "/traces.rs"));

/// Histories to generate.
const HISTORIES: u64 = 100;

fn run() {
    for (name, bytes) in TRACES {
        host::print(&format!("trace {name}\n"));
        host::print(&replay(&String::from_utf8_lossy(bytes)));
    }
    for seed in 0..HISTORIES {
        host::print(&format!("history {seed}\n"));
        host::print(&history::generate(seed));
    }
    // These differ: a pointer has 32 bits or 64.
    let [client, endpoint] = [size_of::<Client>(), size_of::<Endpoint>()];
    let peak = heap::peak();
    host::report(&format!("Client {client} B, Endpoint {endpoint} B, heap at most {peak} B\n"));
}

/// The lines of a trace's actions, and of what is wrong with it.
fn replay(trace: &str) -> String {
    let mut replayer = Replayer::new();
    let mut out = String::new();
    for line in trace.lines() {
        if let Err(error) = replayer.feed(line, &mut out) {
            out.push_str(&format!("{error}\n"));
        }
    }
    replayer.finish(&mut out);
    out
}
