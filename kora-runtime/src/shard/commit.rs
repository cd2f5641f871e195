//! The end of a transaction over several shards: its records, and when its client hears of it.
//!
//! Owns: what participants write to their logs, and that nobody hears of a transaction before its setting allows. Refuses to know: what the transaction did.
//! Start at [`Transactions::conclude`].
//!
//! A participant keeps what its part logs until the end. Only then it is known which shards have something to log at all, and every one of them names all
//! of them in its record: recovery keeps a transaction when all its records are there.
//!
//! ```text
//! all parts are done ─Commit─► participants store, write the record, keep holding ─Durable─► all are there: the reply, and ─Finish─► the keys are let go
//! ```
//! `Durable` leaves a shard behind what it has logged: behind the write, and with `appendfsync always` behind the sync. So what was acknowledged is in
//! every log, and nothing that comes later in any log builds on a transaction before that. Every batch of a log says up to where its transactions are
//! *settled*, their keys let go; to make that one number, a participant lets go in the order of its log. Recovery leaves an incomplete
//! transaction out where it was not settled; where it was (a power failure took another shard's unsynced records) the log ends before what may build on it.
//!
//! Where nobody has anything to log, or only the coordinator itself, there is nothing to wait for.

use super::core::Core;
use super::fault::Fault;
use super::message::{Finish, ShardId, TxnId, TxnMessage, WaiterNews};
use super::transaction::{Step, Transactions};

/// What is left to do when every part of a transaction is done.
#[derive(Debug)]
pub(super) struct Conclusion {
    pub(super) txn: TxnId,
    pub(super) client_id: u64,
    /// What each participant has to store, tell and log.
    pub(super) finishes: Vec<(ShardId, Finish)>,
    /// The participants whose parts have logged something.
    pub(super) wrote: Vec<ShardId>,
    /// What becomes of a client that waits, or waited; for each participant.
    pub(super) waiters: Vec<WaiterNews>,
    /// What the coordinator does then: the reply.
    pub(super) then: Vec<Step>,
}

/// A transaction whose records are on their way to the disks.
#[derive(Debug)]
pub(super) struct Committing {
    missing: usize,
    client_id: u64,
    participants: Vec<(ShardId, WaiterNews)>,
    then: Vec<Step>,
}

impl Transactions {
    /// Ends a transaction whose parts are all done.
    pub(super) fn conclude(&mut self, core: &Core, conclusion: Conclusion, steps: &mut Vec<Step>) {
        let Conclusion { txn, client_id, finishes, wrote: mut writers, waiters, then } = conclusion;
        for (shard, finish) in &finishes {
            if !finish.journal.is_empty() && !writers.contains(shard) {
                writers.push(*shard);
            }
        }
        let early = core.is_wrong_by(Fault::EarlyFinish);
        if !core.journal.is_on() || writers.is_empty() || writers == [self.id()] || early {
            for ((shard, finish), waiter) in finishes.into_iter().zip(waiters) {
                let writers = writers.clone();
                steps.push(Step::Send(shard, TxnMessage::Finish { txn, client_id, finish, writers, waiter }));
            }
            steps.extend(then);
            return;
        }
        let participants: Vec<_> = finishes.iter().map(|(shard, _)| *shard).zip(waiters).collect();
        for (shard, finish) in finishes {
            steps.push(Step::Send(shard, TxnMessage::Commit { txn, client_id, finish, writers: writers.clone() }));
        }
        // Whoever waited has been served and can no longer give up; the reply alone waits for the disks.
        let (served, then) = then.into_iter().partition(|step| matches!(step, Step::Tried(_, Some(_))));
        self.committing.insert(txn, Committing { missing: participants.len(), client_id, participants, then });
        let served: Vec<Step> = served;
        steps.extend(served.into_iter().map(|step| match step {
            Step::Tried(waiter, Some(reply)) => Step::Served(waiter, txn, reply),
            other => other,
        }));
    }

    /// Has the coordinator do one more thing when a transaction is on disk.
    pub(super) fn when_committed(&mut self, txn: TxnId, step: Step) {
        if let Some(committing) = self.committing.get_mut(&txn) {
            committing.then.push(step);
        }
    }

    /// A participant's records of a transaction are on disk.
    pub(super) fn durable(&mut self, txn: TxnId, steps: &mut Vec<Step>) {
        let committing =
            self.committing.get_mut(&txn).expect("participants report to a coordinator that waits for them");
        committing.missing -= 1;
        if committing.missing > 0 {
            return;
        }
        let Some(Committing { client_id, participants, then, .. }) = self.committing.remove(&txn) else { return };
        for (shard, waiter) in participants {
            let (finish, writers) = (Finish::default(), Vec::new());
            steps.push(Step::Send(shard, TxnMessage::Finish { txn, client_id, finish, writers, waiter }));
        }
        steps.extend(then);
    }

    /// Writes this shard's record of a transaction: what its part has logged, and what comes with the end.
    pub(super) fn write_record(&mut self, core: &mut Core, txn: TxnId, writers: &[ShardId], journal: &[u8]) {
        let mut entries = self.pending.remove(&txn).unwrap_or_default();
        entries.extend_from_slice(journal);
        if writers.len() > 1 && writers.last() == Some(&self.id()) && core.is_wrong_by(Fault::UnloggedPart) {
            return;
        }
        if let Some(lsn) = core.journal.transaction(txn, writers, &entries) {
            self.unsettled.insert(lsn, (txn, None));
            core.journal.set_first_unsettled(self.unsettled.keys().next().copied());
        }
    }

    /// A transaction is over. Those that may let their keys go now, in the order of this shard's log: it alone when it wrote no record of several.
    pub(super) fn settle(&mut self, core: &mut Core, txn: TxnId, waiter: WaiterNews) -> Vec<(TxnId, WaiterNews)> {
        let Some((_, over)) = self.unsettled.values_mut().find(|(known, _)| *known == txn) else {
            return vec![(txn, waiter)];
        };
        *over = Some(waiter);
        let mut settled = Vec::new();
        while let Some(first) = self.unsettled.first_entry().filter(|first| first.get().1.is_some()) {
            let (txn, waiter) = first.remove();
            settled.push((txn, waiter.unwrap_or_default()));
        }
        core.journal.set_first_unsettled(self.unsettled.keys().next().copied());
        settled
    }

    /// Runs a part of a transaction and keeps what it logs.
    pub(super) fn keep_entries<R>(
        &mut self,
        core: &mut Core,
        txn: TxnId,
        run: impl FnOnce(&mut Self, &mut Core) -> R,
    ) -> R {
        core.transaction = txn.0;
        let outer = core.journal.begin_part();
        let result = run(self, core);
        core.transaction = 0;
        let entries = core.journal.end_part(outer);
        self.keep(txn, &entries);
        result
    }

    /// Keeps entries until a transaction ends.
    pub(super) fn keep(&mut self, txn: TxnId, entries: &[u8]) {
        if !entries.is_empty() {
            self.pending.entry(txn).or_default().extend_from_slice(entries);
        }
    }

    /// Whether a part of a transaction has logged something here.
    pub(super) fn wrote(&self, txn: TxnId) -> bool {
        self.pending.contains_key(&txn)
    }
}
