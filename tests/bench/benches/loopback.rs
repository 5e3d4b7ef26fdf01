//! The adapter over loopback.

fn main() {
    hermes_bench::loopback::main();
}
