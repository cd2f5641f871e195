//! The server's allocator.
//!
//! Owns: which one, and what it can tell and do for INFO and MEMORY PURGE. ARCHITECTURE.md has the comparison it was chosen by.

use kora_ext::host::AllocatorHooks;
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the engine may ask of the allocator.
pub fn hooks() -> Option<AllocatorHooks> {
    Some(AllocatorHooks { allocated_bytes, purge })
}

/// Bytes handed out and not given back; 0 should jemalloc have been built without statistics.
fn allocated_bytes() -> u64 {
    // The statistics stand still until the epoch moves.
    let moved = epoch::advance();
    moved.and_then(|_| stats::allocated::read()).map_or(0, |bytes| bytes as u64)
}

/// jemalloc gives unused pages back by itself, after its decay time; a new epoch makes that visible at once.
fn purge() {
    let _ = tikv_jemalloc_ctl::background_thread::write(true).and_then(|()| epoch::advance());
}
