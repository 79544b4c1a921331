//! Pool of reused, 64-byte aligned buffers: allocating new pages costs more than the arithmetic on them.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

static FREE: Mutex<Free> = Mutex::new(Free { buffers: BTreeMap::new(), pass: 0 });

/// Passes after which a buffer that none of them used is returned to the system: a search draws another architecture in every
/// pass, so sizes come back after a while.
const KEPT_FOR: u64 = 64;

/// Free buffers by capacity, the one that was used last at the end of its list, each with the pass that used it.
struct Free {
    buffers: BTreeMap<usize, Vec<(Raw, u64)>>,
    /// Number of forward passes so far.
    pass: u64,
}

impl Free {
    /// Returns buffers to the system that were used last before the pass `before`.
    fn release(&mut self, before: u64) {
        self.buffers.retain(|&capacity, list| {
            let unused = list.partition_point(|&(_, used)| used < before);
            for (raw, _) in list.drain(..unused) {
                // SAFETY: allocated in `Buffer::new` with this layout and owned by the pool alone.
                unsafe { dealloc(raw.0.as_ptr().cast(), layout(capacity)) };
            }
            !list.is_empty()
        });
    }
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Raw(NonNull<f32>);

// SAFETY: a free buffer is plain memory without any other reference to it.
unsafe impl Send for Raw {}

/// An array of floats with unspecified (but initialised) values, returned to the pool when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    start: NonNull<f32>,
    capacity: usize,
    len: usize,
}

// SAFETY: a buffer owns its memory, as a boxed slice does.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` floats of unspecified values.
    pub(crate) fn new(len: usize) -> Self {
        // Eighth steps between powers of two, so that nearly equal sizes share buffers.
        let step = (len.next_power_of_two() / 8).max(1024);
        let capacity = len.div_ceil(step).max(1) * step;
        let reused = free().buffers.get_mut(&capacity).and_then(Vec::pop);
        let start = reused.map_or_else(
            || {
                let layout = layout(capacity);
                // SAFETY: the size is not zero.
                let start = unsafe { alloc(layout) };
                let start = NonNull::new(start.cast::<f32>()).unwrap_or_else(|| handle_alloc_error(layout));
                advise_huge_pages(start, layout);
                // SAFETY: just allocated. Zeroed, so that every later read is of initialised memory.
                unsafe { start.write_bytes(0, capacity) };
                start
            },
            |(raw, _)| raw.0,
        );
        Self { start, capacity, len }
    }

    /// A buffer of zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let mut b = Self::new(len);
        b.fill(0.0);
        b
    }
}

/// Bytes of a huge page on the usual processors.
const HUGE_PAGE: usize = 2 << 20;

fn layout(capacity: usize) -> Layout {
    let align = if 4 * capacity >= HUGE_PAGE { HUGE_PAGE } else { 64 };
    Layout::array::<f32>(capacity).and_then(|l| l.align_to(align)).expect("a buffer's size fits the address space")
}

/// Requests huge pages before the memory is used: a pass reads hundreds of megabytes once, and with pages of 4 KiB it would
/// be limited by address translation. Only a hint, without effect where it is unsupported.
fn advise_huge_pages(start: NonNull<f32>, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE_PAGE {
        // SAFETY: the range was just allocated and starts at a page; the advice does not change its content.
        unsafe { libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, layout);
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `start` is valid for `capacity >= len` initialised floats.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: `start` is valid for `capacity >= len` initialised floats, and the buffer is borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = free();
        let pass = free.pass;
        free.buffers.entry(self.capacity).or_default().push((Raw(self.start), pass));
    }
}

/// Begins a forward pass: returns buffers to the system that the last [`KEPT_FOR`] passes did not use.
pub(crate) fn begin_pass() {
    let mut free = free();
    free.pass += 1;
    let before = free.pass.saturating_sub(KEPT_FOR);
    free.release(before);
}

/// Returns all free buffers to the system.
pub(crate) fn clear() {
    free().release(u64::MAX);
}

/// Splits a buffer into one part of `len` floats per task. The iterator ends early where the buffer does; the last part may be
/// shorter.
pub(crate) fn parts(buffer: &mut [f32], len: usize) -> std::slice::ChunksMut<'_, f32> {
    buffer.chunks_mut(len.max(1))
}

#[cfg(test)]
mod tests {
    use super::{Buffer, KEPT_FOR, begin_pass, free};

    /// Free buffers of a capacity that nothing else here uses.
    fn free_of(capacity: usize) -> usize {
        free().buffers.get(&capacity).map_or(0, Vec::len)
    }

    #[test]
    fn buffers_that_no_pass_uses_any_more_are_returned_and_others_kept() {
        let (used, unused) = (7 << 20, 5 << 20);
        let capacities = [used, unused].map(|len| Buffer::new(len).capacity);
        assert_eq!(capacities.map(free_of), [1, 1], "reused after they were dropped");
        for _ in 0..=KEPT_FOR {
            begin_pass();
            drop(Buffer::new(used));
        }
        assert_eq!(capacities.map(free_of), [1, 0]);
    }
}
