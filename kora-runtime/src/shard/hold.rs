//! Nothing leaves a shard before what it has logged is on disk (`appendfsync always`).
//!
//! Owns: replies and envelopes that wait for the disk. Refuses to know: files, and what is in the log.
//! Start at [`Shard::hold_session`] and [`Shard::hold_envelope`].
//!
//! The rule is simple and strict: while the last record is not on disk, whatever a client or another shard could learn of this shard's keys waits, reads
//! included, for they may tell of a change that a power failure would undo. What asks others to do something tells nothing and goes at once. The shard
//! itself runs on: the next tick's records go to the disk with the next sync.

use std::collections::VecDeque;

use super::Shard;
use super::journal::Batch;
use super::message::{Envelope, ShardId, TxnId, TxnMessage};
use super::transaction::Step;

/// What waits for records to be on disk.
#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: VecDeque<(u64, Waiting)>,
    /// Envelopes that may go with the next tick's.
    released: Vec<(ShardId, Envelope)>,
}

#[derive(Debug)]
enum Waiting {
    /// A session's output up to a position.
    Output { session: u32, generation: u32, upto: u64 },
    /// Something for another shard.
    Envelope(ShardId, Envelope),
    /// Word for a waiter.
    Word(TxnId),
}

impl Shard {
    /// Begins to log: the next record has this number.
    pub fn start_log(&mut self, next_lsn: u64) {
        self.core.journal.start(next_lsn);
        self.core.follow_settings();
    }

    /// Logs no more: nothing waits for the disk any longer.
    pub fn stop_log(&mut self) {
        self.log_synced(u64::MAX);
        self.core.journal.stop();
    }

    /// Lets a session of the process itself run whatever it asks for.
    pub fn trust(&mut self, session: u32) {
        self.core.clients.of(session).authenticated = true;
    }

    /// Records since the last call, to be appended to the log before anything else of this tick leaves the process. With `appendfsync always` they may
    /// be left for later ticks: nothing that tells of them leaves before [`Shard::log_synced`] has been told of them.
    pub fn take_log(&mut self, empty: Batch) -> Batch {
        self.core.journal.take(empty)
    }

    /// True when there are records to take.
    #[inline]
    pub fn has_log(&self) -> bool {
        self.log_bytes() > 0
    }

    /// Bytes of the records to take.
    #[inline]
    pub fn log_bytes(&self) -> usize {
        self.core.journal.pending_bytes()
    }

    /// All records up to `lsn` are on disk: what waited for them may go.
    pub fn log_synced(&mut self, lsn: u64) {
        self.core.journal.synced(lsn);
        while let Some((_, waiting)) = self.held.waiting.pop_front_if(|(until, _)| *until <= lsn) {
            match waiting {
                Waiting::Envelope(peer, envelope) => self.held.released.push((peer, envelope)),
                Waiting::Word(waiter) => self.tell_synced(waiter),
                Waiting::Output { session, generation, upto } => {
                    let open = self.sessions.get_mut(session as usize).and_then(Option::as_deref_mut);
                    if let Some(open) = open.filter(|open| open.generation == generation) {
                        open.holds -= 1;
                        open.released_to = upto;
                        if !open.listed {
                            open.listed = true;
                            self.dirty.push(session);
                        }
                    }
                }
            }
        }
        self.settle();
    }

    /// Someone waits until what is logged by now is on disk.
    pub(super) fn sync_for(&mut self, waiter: TxnId) {
        let journal = &self.core.journal;
        if journal.durable_lsn() >= journal.last_lsn() {
            return self.tell_synced(waiter);
        }
        self.held.waiting.push_back((journal.last_lsn(), Waiting::Word(waiter)));
        self.core.wants_sync = true;
    }

    fn tell_synced(&mut self, waiter: TxnId) {
        self.steps.push(Step::Send(waiter.coordinator(), TxnMessage::Synced { waiter }));
    }

    /// True once when a sync is wanted at once, whatever the setting.
    pub fn takes_sync(&mut self) -> bool {
        std::mem::take(&mut self.core.wants_sync)
    }

    /// Bytes at the front of a session's output that may go now.
    pub fn sendable_bytes(&self, session: u32) -> usize {
        match self.session(session) {
            Some(open) if open.holds > 0 => open.released_to.saturating_sub(open.taken_bytes) as usize,
            _ => usize::MAX,
        }
    }

    /// Lets what a session got in this tick wait for what was logged up to now.
    pub(super) fn hold_session(&mut self, session: u32) {
        let until = self.core.journal.last_lsn();
        let Some(open) = self.sessions.get_mut(session as usize).and_then(Option::as_deref_mut) else { return };
        let upto = open.taken_bytes + open.out.len() as u64;
        if open.holds == 0 {
            // What was released before and has not gone yet stays released.
            open.released_to = open.released_to.max(open.taken_bytes);
            open.held_to = open.released_to;
        }
        if open.held_to >= upto {
            return;
        }
        open.holds += 1;
        open.held_to = upto;
        let generation = open.generation;
        self.held.waiting.push_back((until, Waiting::Output { session, generation, upto }));
    }

    /// What of an envelope may go at once; the rest waits for what was logged up to now.
    pub(super) fn hold_envelope(&mut self, peer: ShardId, mut envelope: Envelope) -> Envelope {
        // The end of a watch is no news of a key either, and a later WATCH, which goes as a request, may not overtake it.
        let asks = |message: &TxnMessage| {
            matches!(message, TxnMessage::Sequence { .. } | TxnMessage::Begin { .. } | TxnMessage::Unwatch { .. })
        };
        let requests = std::mem::take(&mut envelope.requests);
        let (asking, telling) = std::mem::take(&mut envelope.messages).into_iter().partition(asks);
        envelope.messages = telling;
        if !envelope.is_empty() {
            self.held.waiting.push_back((self.core.journal.last_lsn(), Waiting::Envelope(peer, envelope)));
        }
        Envelope { requests, messages: asking, ..Envelope::default() }
    }

    /// Envelopes that have waited long enough.
    pub(super) fn released_envelopes(&mut self) -> Vec<(ShardId, Envelope)> {
        std::mem::take(&mut self.held.released)
    }

    /// True when envelopes are to be sent that have waited.
    pub(super) fn has_released(&self) -> bool {
        !self.held.released.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{AppendFsync, Config};
    use crate::testing::TestShard;

    /// What of a client's output may go at the end of this tick.
    fn sendable(shard: &mut TestShard, client: u32) -> usize {
        let mut dirty = Vec::new();
        shard.shard().take_dirty(&mut dirty);
        let waiting = shard.shard().output(client).len();
        shard.shard().sendable_bytes(client).min(waiting)
    }

    #[test]
    fn a_reply_waits_for_its_own_records_and_not_for_later_ones() {
        let mut shard = TestShard::with(Config { appendfsync: AppendFsync::Always, ..Config::default() });
        shard.shard().start_log(1);
        let (first, second) = (shard.connect(), shard.connect());
        shard.send(first, "SET a 1");
        assert_eq!(sendable(&mut shard, first), 0, "record 1 is not on disk");
        shard.send(second, "SET b 1");
        assert_eq!(sendable(&mut shard, second), 0, "nor is record 2");
        shard.shard().log_synced(1);
        assert_eq!((sendable(&mut shard, first), sendable(&mut shard, second)), (5, 0), "+OK");
        // What comes now may tell of record 2.
        shard.send(first, "GET b");
        assert_eq!(sendable(&mut shard, first), 5);
        shard.shard().log_synced(2);
        assert_eq!((sendable(&mut shard, first), sendable(&mut shard, second)), (12, 5));
    }
}
