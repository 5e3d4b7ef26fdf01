//! Compressed messages, both ways, against zlib-rs' own streams.

use hermes_bench::{contest, deflate};

fn main() {
    contest::main(&deflate::contests());
}
