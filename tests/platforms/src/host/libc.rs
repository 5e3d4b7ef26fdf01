//! A system with a C library.

use core::ffi::{c_int, c_void};
use core::panic::PanicInfo;

#[link(name = "c")]
unsafe extern "C" {
    fn write(descriptor: c_int, bytes: *const c_void, length: usize) -> isize;
    fn abort() -> !;
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    crate::heap::init();
    crate::run();
    0
}

pub(crate) fn print(text: &str) {
    write_all(1, text.as_bytes());
}

pub(crate) fn report(text: &str) {
    write_all(2, text.as_bytes());
}

fn write_all(descriptor: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: they are so many.
        let written = unsafe { write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        let Ok(written) = usize::try_from(written) else {
            // SAFETY: it has no conditions.
            unsafe { abort() }
        };
        bytes = &bytes[written..];
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report(&alloc::format!("{info}\n"));
    // SAFETY: it has no conditions.
    unsafe { abort() }
}

// The precompiled `alloc` unwinds, and this program does not: nothing calls these.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}
