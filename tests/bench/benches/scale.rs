//! Costs that grow as they should.

fn main() {
    hermes_bench::contest::main(&hermes_bench::scale::contests());
}
