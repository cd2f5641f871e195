//! One shard's segments as one log, and where it ends.
//!
//! Owns: which segments follow each other, and whether what is missing was ever on disk. Refuses to know: whether
//! transactions are whole. Start at [`read_chain`].
//!
//! A log ends at the first record that is not whole. What is behind it was written later, but power may have failed
//! before it was synced; the disk then kept what it liked. Only a batch or a header that says the missing record *was* on
//! disk makes its loss damage. Each batch carries the last record that its writer knew to be on disk.

use std::sync::Arc;

use super::commit::Transactions;
use super::{ChainSegment, Mode, RecoveryError};
use crate::dir::{Dir, File, uninterrupted};
use crate::log::scan::{Found, Scanner, read_header};
use crate::log::segment::{Header, for_each_record};
use crate::log::{Damage, parse_segment_name, segment_name, segments_of};
use crate::manifest::Manifest;

/// One shard's log up to where it ends.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) segments: Vec<ChainSegment>,
    pub(super) end_lsn: u64,
}

/// A segment's file, and what its first bytes say.
#[derive(Debug)]
struct Candidate {
    name: String,
    first_lsn: u64,
    file: Arc<dyn File>,
    header: Result<Header, (u64, Damage)>,
}

/// Where a log ends, and why.
#[derive(Debug)]
struct End {
    /// The segment whose bytes end to make sense.
    at: usize,
    offset: u64,
    damage: Option<Damage>,
    /// The segments from there on claim that what is missing was on disk.
    claims: bool,
    /// Bytes behind the end up to the last that is not zero, in that segment and in all.
    bytes_here: u64,
    rest_bytes: u64,
}

struct Walk<'a> {
    dir: &'a dyn Dir,
    manifest: &'a Manifest,
    shard: u16,
    candidates: Vec<Candidate>,
    segments: Vec<ChainSegment>,
    expected: u64,
}

/// Reads the log of a shard whose manifest says that there is one, collecting parts of transactions.
pub(super) fn read_chain(
    dir: &dyn Dir,
    manifest: &Manifest,
    shard: u16,
    names: &[String],
    mode: Mode,
    txns: &mut Transactions,
    reports: &mut Vec<String>,
) -> Result<Chain, RecoveryError> {
    let first_lsn = manifest.first_lsns[usize::from(shard)];
    let candidates = candidates(dir, manifest, shard, names)?;
    let mut walk = Walk { dir, manifest, shard, candidates, segments: Vec::new(), expected: first_lsn };
    let outcome = walk.run(first_lsn, txns).and_then(|end| walk.judge(end, reports));
    match outcome {
        Ok(()) => {}
        Err(error @ RecoveryError::Io { .. }) => return Err(error),
        Err(error) if mode == Mode::Salvage => {
            let lsn = walk.expected.max(first_lsn);
            reports.push(format!("shard {shard}: {error}; what follows from record {lsn} on is given up"));
        }
        Err(error) => return Err(error),
    }
    Ok(Chain { segments: walk.segments, end_lsn: walk.expected })
}

/// The segments from the one on that holds the first record to replay, those of earlier lives left out where a later one
/// took over.
fn candidates(
    dir: &dyn Dir,
    manifest: &Manifest,
    shard: u16,
    names: &[String],
) -> Result<Vec<Candidate>, RecoveryError> {
    let first_lsn = manifest.first_lsns[usize::from(shard)];
    let named = segments_of(names, shard);
    let mut begin = named.partition_point(|(lsn, _)| *lsn <= first_lsn).saturating_sub(1);
    let open = |(lsn, name): &(u64, String)| {
        let opened = uninterrupted(|| dir.open(name)).and_then(|file| Ok((read_header(&*file)?, file)));
        let (bytes, file) = opened.map_err(RecoveryError::io("read", dir, name))?;
        let header = Header::decode(&bytes).and_then(|header| belongs(header, name, manifest));
        Ok(Candidate { name: name.clone(), first_lsn: *lsn, file, header })
    };
    let mut found = named[begin..].iter().map(open).collect::<Result<Vec<Candidate>, RecoveryError>>()?;
    // One that was begun and never synced holds nothing that must be kept: the one before it comes first.
    while begin > 0 && matches!(found.first().map(|first| &first.header), Some(Err((_, Damage::NoHeader)))) {
        begin -= 1;
        found.insert(0, open(&named[begin])?);
    }
    let mut newest = 0;
    found.retain(|candidate| match &candidate.header {
        Ok(header) => {
            let counts = header.incarnation >= newest;
            newest = newest.max(header.incarnation);
            counts
        }
        Err(_) => true,
    });
    Ok(found)
}

/// Refuses the header of a segment that is not the one its name says, or was not written in this directory.
fn belongs(header: Header, name: &str, manifest: &Manifest) -> Result<Header, (u64, Damage)> {
    if parse_segment_name(name) != Some((header.shard, header.first_lsn)) {
        return Err((0, Damage::OtherName(segment_name(header.shard, header.first_lsn))));
    }
    if header.directory != manifest.directory() {
        return Err((0, Damage::OtherDirectory));
    }
    if header.shards != manifest.shards {
        return Err((0, Damage::OtherShards { found: header.shards, expected: manifest.shards }));
    }
    if header.incarnation > manifest.incarnation {
        let (found, newest) = (header.incarnation, manifest.incarnation);
        return Err((0, Damage::LaterIncarnation { found, newest }));
    }
    Ok(header)
}

impl Walk<'_> {
    /// Follows the segments as far as their records do, and says what is behind.
    fn run(&mut self, first_lsn: u64, txns: &mut Transactions) -> Result<End, RecoveryError> {
        match self.candidates.first() {
            Some(first) if first.first_lsn <= first_lsn => self.expected = first.first_lsn,
            // The manifest names only records that were in a log.
            _ => return Err(RecoveryError::missing(self.dir, self.shard, first_lsn)),
        }
        for at in 0..self.candidates.len() {
            let header = match &self.candidates[at].header {
                Ok(header) => *header,
                Err((offset, damage)) => return self.end(at, *offset, Some(damage.clone())),
            };
            // A segment takes over from those before it, wherever it begins.
            let next = self.candidates.get(at + 1).and_then(|next| next.header.as_ref().ok());
            let limit = next.map_or(u64::MAX, |next| next.first_lsn);
            let (offset, damage) = self.follow(at, header, limit, first_lsn, txns)?;
            if damage.is_some() || self.expected != limit {
                return self.end(at, offset, damage);
            }
        }
        unreachable!("the last segment has no limit")
    }

    /// Follows one segment, at most up to the record `limit`. Says where it ends to make sense, and what is wrong if
    /// bytes there are whole and still wrong.
    fn follow(
        &mut self,
        at: usize,
        header: Header,
        limit: u64,
        first_lsn: u64,
        txns: &mut Transactions,
    ) -> Result<(u64, Option<Damage>), RecoveryError> {
        let Candidate { name, file, .. } = &self.candidates[at];
        let failed = |source| RecoveryError::io("read", self.dir, name)(source);
        let shards = self.manifest.first_lsns.len();
        let mut scanner = Scanner::new(file.clone(), header).map_err(failed)?;
        let (mut expected, mut end_offset, mut damage) = (header.first_lsn, scanner.at(), None);
        while expected < limit
            && damage.is_none()
            && let Some(Found { batch, records, .. }) = scanner.next().map_err(failed)?
        {
            let mut known = true;
            let outcome = match batch.first_lsn {
                found if found != expected => Err(Damage::Lsn { found, expected }),
                _ => {
                    txns.settle(self.shard, header.incarnation, batch.first_lsn, batch.settled_lsn);
                    for_each_record(records, &batch, header.incarnation, |record| {
                        if (first_lsn..limit).contains(&record.lsn) {
                            known &= txns.add(self.shard, &record, shards);
                        }
                    })
                }
            };
            match outcome {
                Ok(()) if known => (expected, end_offset) = (batch.end_lsn(), scanner.at()),
                Ok(()) => damage = Some(Damage::Records),
                Err(wrong) => damage = Some(wrong),
            }
        }
        self.expected = expected.min(limit);
        self.segments.push(ChainSegment { name: name.clone(), header, end_lsn: self.expected, end_offset });
        Ok((end_offset, damage))
    }

    /// What the segments from `at` on say about the first record that is missing.
    fn end(&self, at: usize, offset: u64, damage: Option<Damage>) -> Result<End, RecoveryError> {
        let mut end = End { at, offset, damage, claims: false, bytes_here: 0, rest_bytes: 0 };
        if end.damage.is_some() {
            return Ok(end);
        }
        for (index, candidate) in self.candidates.iter().enumerate().skip(at) {
            let header = match &candidate.header {
                Ok(header) => *header,
                // Its header was not written, its batches may have been: in the latest life, for others are over.
                Err((_, Damage::NoHeader)) => Header {
                    shard: self.shard,
                    shards: self.manifest.shards,
                    directory: self.manifest.directory(),
                    incarnation: self.manifest.incarnation,
                    first_lsn: candidate.first_lsn,
                    durable_lsn: 0,
                },
                Err((offset, damage)) => {
                    let damage = damage.clone();
                    return Ok(End { at: index, offset: *offset, damage: Some(damage), ..end });
                }
            };
            let failed = |source| RecoveryError::io("read", self.dir, &candidate.name)(source);
            let mut scanner = Scanner::new(candidate.file.clone(), header).map_err(failed)?;
            if index == at {
                scanner.skip_to(offset);
            }
            let rest = scanner.rest(self.expected).map_err(failed)?;
            end.claims |= rest.claims || (index > at && header.durable_lsn >= self.expected);
            if index == at {
                end.bytes_here = rest.bytes;
            }
            end.rest_bytes += rest.bytes;
        }
        Ok(end)
    }

    /// Refuses damage, and reports what else is behind the end.
    fn judge(&self, end: End, reports: &mut Vec<String>) -> Result<(), RecoveryError> {
        let candidate = &self.candidates[end.at];
        if let Some(damage) = end.damage {
            return Err(RecoveryError::damaged(self.dir, &candidate.name, end.offset, damage));
        }
        let next = self.candidates.get(end.at + 1).filter(|_| end.claims && end.bytes_here == 0);
        if let Some(Candidate { name, header: Err((offset, damage)), .. }) = next {
            return Err(RecoveryError::damaged(self.dir, name, *offset, damage.clone()));
        }
        if next.is_some() {
            return Err(RecoveryError::missing(self.dir, self.shard, self.expected));
        }
        if end.claims {
            let damage = Damage::Batch { lsn: self.expected };
            return Err(RecoveryError::damaged(self.dir, &candidate.name, end.offset, damage));
        }
        if end.rest_bytes > 0 || end.at + 1 < self.candidates.len() {
            let (path, offset) = (self.dir.path().join(&candidate.name), end.offset);
            let (bytes, lsn) = (end.rest_bytes, self.expected);
            reports.push(format!(
                "{} at offset {offset}: the log ends with a torn write of {bytes} bytes; record {lsn} is the next",
                path.display()
            ));
        }
        Ok(())
    }
}
