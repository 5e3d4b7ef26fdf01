//! What the peer sends never makes us hold more memory than the configuration allows, an idle
//! connection holds next to none, and a message that comes or goes asks for none.
#![allow(unsafe_code)] // An allocator is.

mod connection;
mod deflate;
mod endpoint;
mod steady;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the bytes that each thread, and so each test, has allocated.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// How often memory was asked for.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: all the work is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was allocated at any moment of `work`, and what is left of it.
fn measure<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    let at_least_0 = |bytes: isize| bytes.max(0).cast_unsigned();
    (result, at_least_0(PEAK.get() - before), at_least_0(LIVE.get() - before))
}

/// A handful of events and a Close frame.
const LITTLE: usize = 1 << 10;
