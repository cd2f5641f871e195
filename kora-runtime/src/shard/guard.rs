//! Who is to change a large value that a snapshot does not have yet waits until it has: only such clients wait, and not the shard.
//!
//! Owns: the shared intents that stand for a snapshot's interest in keys. Refuses to know: how values are saved.
//! Start at [`Transactions::guard`], which looks at every command that writes while a snapshot is under way.
//!
//! A guarded key is saved before others. Whoever changes a value without having been seen here (a script a key that it did not declare, a later step of an EXEC
//! over several shards, an expiry) has it saved at once.

use super::Shard;
use super::core::Core;
use super::exec::frames_of_batch;
use super::intents::{KeyMark, Mode, Scope, Ticket};
use super::message::{Work, read_frame};
use super::plan;
use super::transaction::{Step, Transactions, scope_of};
use crate::argv::Argv;
use crate::table::{self, Access, CommandId, KeySpec};

/// A key that a snapshot reads.
#[derive(Debug)]
pub(super) struct Guard {
    ticket: Ticket,
    db: u8,
    key: Box<[u8]>,
}

impl Transactions {
    /// Guards the large values that a command is to change.
    #[cold]
    pub(super) fn guard(&mut self, core: &mut Core, db: u8, id: CommandId, argv: Argv<'_>) {
        let mut spans = Vec::new();
        if id == CommandId::Exec {
            for (db, frame) in frames_of_batch(argv) {
                let id = read_frame(frame, &mut spans);
                self.guard(core, db, id, Argv::new(frame, &spans));
            }
            return;
        }
        let mut keys: Vec<&[u8]> = Vec::new();
        // What does not parse changes nothing.
        let _ = table::keys(id, argv, &mut |index, access| {
            keys.extend(argv.get(index).filter(|_| access == Access::Write));
        });
        for key in keys {
            self.guard_key(core, db, key);
        }
    }

    /// Guards the large values that a part of a transaction is to change.
    #[cold]
    pub(super) fn guard_work(&mut self, core: &mut Core, db: u8, work: &Work) {
        let mut spans = Vec::new();
        let mut run = |db, frame: &[u8]| {
            let id = read_frame(frame, &mut spans);
            self.guard(core, db, id, Argv::new(frame, &spans));
        };
        match work {
            Work::Run(frame) => run(db, frame),
            Work::RunAll(frames) => frames.iter().for_each(|(call, frame)| run(call.db, frame)),
            Work::Fetch(fetches) => {
                fetches.iter().filter(|fetch| fetch.take).for_each(|fetch| self.guard_key(core, fetch.db, &fetch.key));
            }
            Work::Vote(_) => {}
        }
    }

    fn guard_key(&mut self, core: &mut Core, db: u8, key: &[u8]) {
        let known = |guard: &Guard| guard.db == db && *guard.key == *key;
        if !core.keyspace.is_saving_large(usize::from(db), key) || self.guards.iter().any(known) {
            return;
        }
        let scope = Scope::Keys(vec![(KeyMark::of(key), Mode::Shared)]);
        // Whoever holds the key or waits for it is in the middle of changing it, or comes first.
        if !self.intents.scope_conflicts(&scope) {
            let (ticket, _) = self.intents.enqueue(scope);
            self.guards.push(Guard { ticket, db, key: key.into() });
            core.keyspace.database_mut(usize::from(db)).0.save_next(key);
        }
    }

    /// Lets go of the keys that the snapshot has by now.
    fn lift_guards(&mut self, core: &mut Core, steps: &mut Vec<Step>) {
        for guard in std::mem::take(&mut self.guards) {
            if core.keyspace.is_saving_large(usize::from(guard.db), &guard.key) {
                self.guards.push(guard);
            } else {
                self.release(core, guard.ticket, steps);
            }
        }
    }
}

impl Shard {
    /// Whether a command of this shard has to wait its turn.
    #[inline]
    pub(super) fn meets_any_intent(&mut self, db: u8, id: CommandId, argv: Argv<'_>) -> bool {
        // EXEC and scripts are told apart by their keys.
        if self.is_saving() && id.info().access != Access::Read {
            self.transactions.guard(&mut self.core, db, id, argv);
        }
        !self.transactions.intents.is_empty() && self.meets_intent(id, argv)
    }

    fn meets_intent(&self, id: CommandId, argv: Argv<'_>) -> bool {
        let intents = &self.transactions.intents;
        if let (KeySpec::One(at), Some(key)) = (id.info().keys, argv.get(0)) {
            return intents.conflicts(argv.get(at).unwrap_or(key), plan::mode_of(id.info().access));
        }
        intents.scope_conflicts(&scope_of(id, argv))
    }

    /// True when clients wait for the snapshot.
    pub fn has_guards(&self) -> bool {
        !self.transactions.guards.is_empty()
    }

    /// Runs what has waited for keys that the snapshot has by now.
    pub(super) fn lift_guards(&mut self) {
        if self.has_guards() {
            self.transactions.lift_guards(&mut self.core, &mut self.steps);
            self.settle();
        }
    }
}

#[cfg(test)]
mod tests;
