//! Uploads over loopback, with and without the window.

fn main() {
    hermes_bench::upload::main();
}
