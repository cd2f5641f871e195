//! Faults that a test plants in a shard, to prove that it would notice them.
//!
//! Owns: which there are, and what a shard still holds when nothing moves, which is how some of them show. Refuses to know: how they are found.
//! Start at [`Shard::plant`]. Nothing outside tests plants one; each is asked for on a path that waits for other shards anyway.

use super::Shard;
use super::core::Core;

/// A way to be wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Intents are granted at once, whoever holds the keys.
    EarlyRelease,
    /// Owners of watched keys always vote that nothing has changed.
    IgnoredVotes,
    /// The home of a waiter does not look whether its client is still there before it takes an element for it.
    ServedThoughGone,
    /// Owners do not hear that a client stopped waiting.
    KeptPlaces,
    /// A line is not paused while its first waiter is asked.
    UnpausedLines,
    /// A client that begins to wait on several shards is put in line at the first alone.
    HalfRegistered,
    /// What a shard has to tell does not wait for its log to be on disk.
    EarlyReplies,
    /// A transaction over several shards ends before all of its records are written.
    EarlyFinish,
    /// One participant of a transaction logs nothing.
    UnloggedPart,
}

impl Core {
    /// True when nothing may leave the shard yet: some of what could be told is not on disk.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        self.journal.holds() && !self.is_wrong_by(Fault::EarlyReplies)
    }

    /// True when the test planted this fault.
    #[cold]
    pub(super) fn is_wrong_by(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// What a shard holds on behalf of clients that wait, watch or are in a transaction. All zero once they have all gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remains {
    /// Sessions that wait.
    pub blocked: usize,
    /// Times at which one of them gives up.
    pub deadlines: usize,
    /// Keys of this shard that somebody waits for.
    pub lines: usize,
    /// Waiters that stand in them.
    pub waiters: usize,
    /// Clients that watch keys of this shard.
    pub watchers: usize,
    /// Transactions in steps.
    pub execs: usize,
    /// Clients that have gone and may still watch.
    pub departed: usize,
}

impl Shard {
    /// Plants a fault, for a test that must notice it.
    pub fn plant(&mut self, fault: Fault) {
        self.core.fault = Some(fault);
        if fault == Fault::EarlyRelease {
            self.transactions.intents.plant_grant_everything();
        }
    }

    /// What is held for clients.
    pub fn remains(&self) -> Remains {
        Remains {
            blocked: self.blocked.len(),
            deadlines: self.deadlines.len(),
            lines: self.core.waiters.keys_len(),
            waiters: self.core.waiters.len(),
            watchers: self.core.watches.len(),
            execs: self.execs.len(),
            departed: self.departed.len(),
        }
    }
}
