//! A Cortex-M without an operating system, in QEMU.

use core::panic::PanicInfo;

use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hio;

#[cortex_m_rt::entry]
fn main() -> ! {
    crate::heap::init();
    crate::run();
    exit(EXIT_SUCCESS);
    unreachable!("QEMU has ended")
}

pub(crate) fn print(text: &str) {
    hio::hstdout().and_then(|mut out| out.write_all(text.as_bytes())).expect("QEMU prints");
}

pub(crate) fn report(text: &str) {
    hio::hstderr().and_then(|mut out| out.write_all(text.as_bytes())).expect("QEMU prints");
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report(&alloc::format!("{info}\n"));
    exit(EXIT_FAILURE);
    unreachable!("QEMU has ended")
}
