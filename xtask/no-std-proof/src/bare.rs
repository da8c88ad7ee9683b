//! What std would have brought: an allocator that only grows, and the end of a panic.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Enough for everything the proof calls; nothing is given back.
const BYTES: usize = 8 * 1024 * 1024;

struct Bump {
    next: AtomicUsize,
}

#[repr(align(16))]
struct Arena(core::cell::UnsafeCell<[u8; BYTES]>);

// SAFETY: each byte is handed out once, by an atomic counter.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(core::cell::UnsafeCell::new([0; BYTES]));

#[global_allocator]
static BUMP: Bump = Bump { next: AtomicUsize::new(0) };

// SAFETY: regions never overlap, are aligned as asked for, and stay valid to the end of the program.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = ARENA.0.get().cast::<u8>();
        // Room for the alignment is taken with each piece: simpler than a loop, and memory is no concern here.
        let wanted = layout.size().saturating_add(layout.align());
        let start = self.next.fetch_add(wanted, Ordering::Relaxed);
        if start.saturating_add(wanted) > BYTES {
            return null_mut();
        }
        let padding = (base as usize + start).next_multiple_of(layout.align()) - (base as usize + start);
        // SAFETY: `start + padding + size` is within the arena, checked above.
        unsafe { base.add(start + padding) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

unsafe extern "C" {
    safe fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}
