//! The heap: static memory, whose use is counted.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use linked_list_allocator::LockedHeap;

/// Bytes of the heap.
const SIZE: usize = 3 << 20;

static HEAP: LockedHeap = LockedHeap::empty();
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all the work is the heap's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller's.
        unsafe { HEAP.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { HEAP.dealloc(memory, layout) }
    }
}

/// To be called once, before anything is allocated.
pub(crate) fn init() {
    static mut MEMORY: [u8; SIZE] = [0; SIZE];
    // SAFETY: nobody else uses it.
    unsafe { HEAP.lock().init((&raw mut MEMORY).cast(), SIZE) }
}

/// The most bytes that were allocated at any moment.
pub(crate) fn peak() -> usize {
    PEAK.load(Relaxed)
}
