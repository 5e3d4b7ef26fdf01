//! WebAssembly in a host that can print: `run.mjs`.

use core::panic::PanicInfo;

mod imports {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn print(bytes: *const u8, length: usize);
        pub(super) fn report(bytes: *const u8, length: usize);
    }
}

#[unsafe(no_mangle)]
extern "C" fn run() {
    crate::heap::init();
    crate::run();
}

pub(crate) fn print(text: &str) {
    // SAFETY: they are so many.
    unsafe { imports::print(text.as_ptr(), text.len()) }
}

pub(crate) fn report(text: &str) {
    // SAFETY: they are so many.
    unsafe { imports::report(text.as_ptr(), text.len()) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report(&alloc::format!("{info}\n"));
    core::arch::wasm32::unreachable()
}
