//! What of the logs counts after a crash.
//!
//! Owns: telling a torn tail from damage, and transactions that are whole from those that are not. Refuses to know:
//! what records mean, and snapshots but for the record behind each.
//! Start at [`recover`].
//!
//! Nothing is cut off on disk. The log goes on in a new segment that begins where the old ones end to count, and a
//! segment takes over from those before it: so a crash during recovery, or between recovery and the new segments,
//! leaves what recovery reads as before.

mod chain;
mod commit;

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::dir::{Dir, uninterrupted};
use crate::log::record::Record;
use crate::log::segment::Header;
use crate::log::{Damage, LogReader, segment_name};
use crate::manifest::Manifest;
use chain::{Chain, read_chain};

/// How to meet damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse.
    Normal,
    /// Keep what stands before it, and report what is lost.
    Salvage,
    /// Refuse, and do not even sync: for a look at a directory.
    Inspect,
}

/// Why the logs cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// `read`, `sync`, …
        doing: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment is damaged, or does not belong here.
    #[error("{} at offset {offset}: {damage}", .path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where its bytes are wrong.
        offset: u64,
        /// How they are wrong.
        damage: Damage,
    },
    /// A segment is not there.
    #[error("{} is missing: shard {shard} has no log from record {lsn} on", .path.display())]
    Missing {
        /// What it would be called, if it began with that record.
        path: PathBuf,
        /// The shard.
        shard: u16,
        /// The first record that is lost.
        lsn: u64,
    },
}

impl RecoveryError {
    pub(crate) fn io(doing: &'static str, dir: &dyn Dir, name: &str) -> impl FnOnce(io::Error) -> Self {
        let path = dir.path().join(name);
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn damaged(dir: &dyn Dir, name: &str, offset: u64, damage: Damage) -> Self {
        Self::Damaged { path: dir.path().join(name), offset, damage }
    }

    fn missing(dir: &dyn Dir, shard: u16, lsn: u64) -> Self {
        Self::Missing { path: dir.path().join(segment_name(shard, lsn)), shard, lsn }
    }
}

/// What counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// One for each shard of the manifest, in order.
    pub logs: Vec<ShardLog>,
    /// What was found that an operator may want to know, one line each.
    pub reports: Vec<String>,
    /// Records that do not count because they may depend on a transaction that was not whole.
    pub cut_records: u64,
    /// Records of transactions that were not whole, where the log goes on behind them.
    pub skipped_records: u64,
}

/// What counts of one shard's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLog {
    /// The shard.
    pub shard: u16,
    /// The first record that is not in the snapshot.
    pub first_lsn: u64,
    /// Where the log goes on.
    pub next_lsn: u64,
    pub(crate) segments: Vec<ChainSegment>,
    /// Records that do not count though those behind them do, in order.
    pub(crate) skipped: Vec<u64>,
}

/// A segment that is read, and how much of it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChainSegment {
    pub(crate) name: String,
    pub(crate) header: Header,
    /// Behind the last record that counts.
    pub(crate) end_lsn: u64,
    /// Behind the last batch that has one.
    pub(crate) end_offset: u64,
}

impl ShardLog {
    /// Bytes that [`ShardLog::read`] reads.
    pub fn bytes(&self) -> u64 {
        let header = crate::log::segment::HEADER_BYTES as u64;
        self.segments.iter().map(|segment| segment.end_offset - header).sum()
    }

    /// Reads it in slices.
    pub fn reader<'a>(&'a self, dir: &'a dyn Dir) -> LogReader<'a> {
        LogReader::new(dir, self)
    }

    /// Shows every record that counts, from the first that is not in the snapshot, until it is told to stop.
    pub fn read(
        &self,
        dir: &dyn Dir,
        each: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), RecoveryError> {
        let mut reader = self.reader(dir);
        while let Some(batch) = reader.next_batch()? {
            for record in batch.records() {
                if each(record).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Records from `end` on count no more; says how many that were. Segments without a record that counts are left
    /// out: nobody reads them, and they may go before the others are read.
    fn cut(&mut self, end: u64) -> u64 {
        let cut = self.next_lsn - end;
        self.next_lsn = end;
        for segment in &mut self.segments {
            segment.end_lsn = segment.end_lsn.min(end);
        }
        self.segments.retain(|segment| segment.end_lsn > segment.header.first_lsn.max(self.first_lsn));
        cut
    }
}

/// Finds what counts in the logs of the shards of `manifest`. What is found is on disk afterwards.
pub fn recover(dir: &dyn Dir, manifest: &Manifest, mode: Mode) -> Result<Recovered, RecoveryError> {
    let mut recovered = Recovered::default();
    let names = match manifest.has_log {
        true => uninterrupted(|| dir.list()).map_err(RecoveryError::io("list", dir, ""))?,
        false => Vec::new(),
    };
    let mut txns = commit::Transactions::default();
    for (shard, first_lsn) in (0..).zip(&manifest.first_lsns) {
        let mut log =
            ShardLog { shard, first_lsn: *first_lsn, next_lsn: *first_lsn, segments: Vec::new(), skipped: Vec::new() };
        if manifest.has_log {
            let chain = read_chain(dir, manifest, shard, &names, mode, &mut txns, &mut recovered.reports)?;
            let Chain { segments, end_lsn } = chain;
            (log.segments, log.next_lsn) = (segments, end_lsn.max(*first_lsn));
        }
        recovered.logs.push(log);
    }

    let outcome = txns.resolve(recovered.logs.iter().map(|log| log.next_lsn).collect());
    for (log, (end, skipped)) in recovered.logs.iter_mut().zip(outcome) {
        let cut = log.cut(end);
        if cut > 0 {
            let shard = log.shard;
            recovered
                .reports
                .push(format!("shard {shard}: {cut} records from {end} on may depend on half a transaction"));
        }
        if !skipped.is_empty() {
            let (shard, count) = (log.shard, skipped.len());
            recovered.reports.push(format!("shard {shard}: {count} records of half transactions are left out"));
        }
        recovered.cut_records += cut;
        recovered.skipped_records += skipped.len() as u64;
        log.skipped = skipped;
    }
    if mode != Mode::Inspect {
        sync(dir, &recovered.logs)?;
    }
    Ok(recovered)
}

/// Makes durable what was read, and the manifest's name: what nobody synced may have come from memory, and must not
/// vanish once it was acted on.
fn sync(dir: &dyn Dir, logs: &[ShardLog]) -> Result<(), RecoveryError> {
    let segments = logs.iter().flat_map(|log| &log.segments);
    for segment in segments {
        let synced = uninterrupted(|| dir.open(&segment.name)).and_then(|file| uninterrupted(|| file.sync_all()));
        synced.map_err(RecoveryError::io("sync", dir, &segment.name))?;
    }
    uninterrupted(|| dir.sync()).map_err(RecoveryError::io("sync", dir, ""))
}

#[cfg(test)]
mod tests;
