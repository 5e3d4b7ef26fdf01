//! From bytes off a socket to a typed event in hand.

use hermes_bench::contest::{self, Contest};
use hermes_bench::load::Mix;
use hermes_bench::receive;

fn main() {
    let mut contests = Vec::new();
    for read in [16 << 10, 1_400] {
        for mix in [Mix::M1, Mix::M2, Mix::M3, Mix::M4, Mix::M5] {
            let load = mix.load();
            let name = format!("{mix}, {} bytes a frame, reads of {read}", load.mean());
            let contenders = receive::contenders(&load, read);
            contests.push(Contest { name, messages: load.messages, contenders });
        }
    }
    contest::main(&contests);
}
