//! What the threads of one cycle know of each other.
//!
//! Owns: counting acknowledged operations, waiting for a number of them, holding the clients back. Refuses to know: what they do.
//! Start at [`Progress::wait_for`].

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longer than any operation takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts of one cycle.
#[derive(Debug, Default)]
pub struct Progress {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    acknowledged: u64,
    goal: u64,
    has_ended: bool,
    is_held: bool,
    is_over: bool,
}

impl Progress {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more operation was acknowledged.
    pub fn acknowledge(&self) {
        let mut counts = self.counts();
        counts.acknowledged += 1;
        if counts.acknowledged == counts.goal {
            self.changed.notify_all();
        }
    }

    /// A client has ended; while the server ought to live, that is a failure to look at.
    pub fn end(&self) {
        self.counts().has_ended = true;
        self.changed.notify_all();
    }

    /// Waits until so many operations have been acknowledged. False when a client ended before, or nothing happened for too long.
    pub fn wait_for(&self, goal: u64) -> bool {
        let mut counts = self.counts();
        counts.goal = goal;
        let waits = |counts: &mut Counts| counts.acknowledged < goal && !counts.has_ended;
        let waited = self.changed.wait_timeout_while(counts, PATIENCE, waits);
        let (counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        counts.acknowledged >= goal
    }

    /// Lets clients finish what they have sent, and send nothing more until they are released.
    pub fn hold(&self, is_held: bool) {
        self.counts().is_held = is_held;
        self.changed.notify_all();
    }

    /// Lets clients finish what they have sent, and end.
    pub fn finish(&self) {
        self.counts().is_over = true;
        self.changed.notify_all();
    }

    /// Where clients are held. False when they are to end.
    pub fn pass(&self) -> bool {
        let passed = self.changed.wait_while(self.counts(), |counts| counts.is_held && !counts.is_over);
        !passed.unwrap_or_else(PoisonError::into_inner).is_over
    }
}
