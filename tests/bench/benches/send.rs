//! From a value to the bytes of a masked frame.

use hermes_bench::contest::{self, Contest};
use hermes_bench::send;

fn main() {
    contest::main(&[Contest {
        name: "chat of 118 bytes, 32 between two writes".into(),
        messages: send::MESSAGES as u64,
        contenders: send::contenders(),
    }]);
}
