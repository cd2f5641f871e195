//! Reading back what counts of one shard's log, batch by batch.
//!
//! Owns: going from segment to segment, and leaving out what does not count. Refuses to know: why it does not; that is
//! [`crate::recovery`]'s. Start at [`LogReader::next_batch`].

use super::record::{self, Record};
use super::scan::Scanner;
use super::segment::{Damage, for_each_record};
use crate::dir::{Dir, uninterrupted};
use crate::recovery::{ChainSegment, RecoveryError, ShardLog};

/// What counts of one shard's log, being read.
#[derive(Debug)]
pub struct LogReader<'a> {
    dir: &'a dyn Dir,
    log: &'a ShardLog,
    /// The segment that is read, and the others behind it.
    segments: std::slice::Iter<'a, ChainSegment>,
    open: Option<(&'a ChainSegment, Scanner)>,
    bytes: u64,
}

/// Records that were written together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'r> {
    bytes: &'r [u8],
    first_lsn: u64,
    /// Records outside are left out.
    from_lsn: u64,
    end_lsn: u64,
    incarnation: u64,
    skipped: &'r [u64],
}

impl<'a> LogReader<'a> {
    pub(crate) fn new(dir: &'a dyn Dir, log: &'a ShardLog) -> Self {
        Self { dir, log, segments: log.segments.iter(), open: None, bytes: 0 }
    }

    /// The next records; `None` at the end. Bytes that have changed since recovery are an error.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, RecoveryError> {
        loop {
            if self.open.is_none() {
                let Some(segment) = self.segments.next() else { return Ok(None) };
                let failed = RecoveryError::io("read", self.dir, &segment.name);
                let opened = uninterrupted(|| self.dir.open(&segment.name));
                let scanner = opened.and_then(|file| Scanner::new(file, segment.header)).map_err(failed)?;
                self.open = Some((segment, scanner));
            }
            let Some((segment, scanner)) = &mut self.open else { continue };
            let segment: &'a ChainSegment = segment;
            if scanner.at() >= segment.end_offset {
                self.open = None;
                continue;
            }
            let before = scanner.at();
            let Some(found) = scanner.next().map_err(RecoveryError::io("read", self.dir, &segment.name))? else {
                let (damage, at) = (Damage::Batch { lsn: segment.header.first_lsn }, before);
                return Err(RecoveryError::damaged(self.dir, &segment.name, at, damage));
            };
            self.bytes += found.batch.whole_bytes();
            let (from_lsn, end_lsn) = (self.log.first_lsn, found.batch.end_lsn().min(segment.end_lsn));
            if found.batch.first_lsn.max(from_lsn) >= end_lsn {
                continue;
            }
            // Asked for again: a borrow that is returned from a loop would hold the reader to its end.
            return self.batch(before, end_lsn);
        }
    }

    fn batch(&mut self, at: u64, end_lsn: u64) -> Result<Option<Batch<'_>>, RecoveryError> {
        let Some((segment, scanner)) = &mut self.open else { return Ok(None) };
        let Some((batch, bytes)) = scanner.again(at) else { return Ok(None) };
        let incarnation = segment.header.incarnation;
        for_each_record(bytes, &batch, incarnation, |_| {})
            .map_err(|damage| RecoveryError::damaged(self.dir, &segment.name, at, damage))?;
        let (first_lsn, from_lsn) = (batch.first_lsn, self.log.first_lsn);
        Ok(Some(Batch { bytes, first_lsn, from_lsn, end_lsn, incarnation, skipped: &self.log.skipped }))
    }

    /// Bytes read so far, of [`ShardLog::bytes`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<'r> Batch<'r> {
    /// The number of the first record that counts.
    pub fn first_lsn(&self) -> u64 {
        self.first_lsn.max(self.from_lsn)
    }

    /// The records that count.
    pub fn records(self) -> impl Iterator<Item = Record<'r>> {
        let (mut bytes, incarnation) = (self.bytes, self.incarnation);
        let each =
            (self.first_lsn..self.end_lsn).map_while(move |lsn| record::split_first(&mut bytes, lsn, incarnation).ok());
        each.filter(move |record| record.lsn >= self.from_lsn && self.skipped.binary_search(&record.lsn).is_err())
    }
}
