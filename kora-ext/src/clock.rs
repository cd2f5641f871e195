//! What time it is.
//!
//! Owns: the wall clock that shards are given, real or moved by hand. Refuses to know: what it is used for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A wall clock in Unix milliseconds.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// One that stands still until it is moved; for tests.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at the machine's time until it is moved.
    pub fn manual() -> Self {
        Self::Manual(Arc::new(AtomicU64::new(Self::System.now_ms())))
    }

    /// The time. A machine whose clock stands before 1970 is at 0.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        match self {
            Self::System => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
            }
            Self::Manual(now_ms) => now_ms.load(Ordering::SeqCst),
        }
    }

    /// Moves a manual clock; the machine's cannot be moved.
    pub fn advance(&self, ms: u64) {
        if let Self::Manual(now_ms) = self {
            now_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }
}
