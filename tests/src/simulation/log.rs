//! The log of one shard of a world, and how much of it is on disk.
//!
//! Owns: the records as they would lie in a file, what a sync that is under way will have brought to the disk. Refuses to know: what records say.
//! Start at [`Log::append`]; a sync is two moves, [`Log::begin_sync`] and [`Log::end_sync`], so that anything may happen between them.

use kora_runtime::shard::journal::Batch;

/// A place in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Bytes before it.
    pub bytes: usize,
    /// Records before it.
    pub lsn: u64,
}

/// What a shard has logged.
#[derive(Debug, Default)]
pub struct Log {
    image: Vec<u8>,
    written: Mark,
    syncing: Option<Mark>,
    synced: Mark,
}

impl Log {
    /// Writes a tick's records behind the others.
    pub fn append(&mut self, batch: &Batch) {
        self.image.extend_from_slice(&batch.records);
        self.written = Mark { bytes: self.image.len(), lsn: self.written.lsn + u64::from(batch.count) };
    }

    /// All that was written.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Where the log ends.
    pub fn written(&self) -> Mark {
        self.written
    }

    /// What a power failure would leave for certain.
    pub fn synced(&self) -> Mark {
        self.synced
    }

    /// True when a sync may begin or end.
    pub fn may_sync(&self) -> bool {
        self.syncing.is_some() || self.synced != self.written
    }

    /// True while a sync is under way.
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// Begins to bring to the disk what is written now.
    pub fn begin_sync(&mut self) {
        self.syncing = Some(self.written);
    }

    /// What was begun is on disk: up to which record. `None` when nothing was begun.
    pub fn end_sync(&mut self) -> Option<u64> {
        self.synced = self.syncing.take()?;
        Some(self.synced.lsn)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The transaction's number and participants, if it is a part of one.
    pub transaction: Option<(u64, Vec<u16>)>,
    /// Its entries.
    pub payload: Vec<u8>,
}

/// Takes records apart as `kora-storage` lays them out.
///
/// # Panics
/// When they are cut short: a log's end is on a record's.
pub fn records(mut bytes: &[u8]) -> Vec<Record> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }
    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = number(take(&mut bytes, 4)) as usize;
        let mut body = take(&mut bytes, length);
        let is_part = take(&mut body, 1)[0] & 1 == 1;
        let transaction = is_part.then(|| {
            let id = number(take(&mut body, 8));
            let count = number(take(&mut body, 2)) as usize;
            (id, take(&mut body, 2 * count).chunks(2).map(|shard| number(shard) as u16).collect())
        });
        found.push(Record { transaction, payload: body.to_vec() });
    }
    found
}
