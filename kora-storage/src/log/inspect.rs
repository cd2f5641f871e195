//! Looking at segments one by one, whatever state they are in.
//!
//! Owns: what can be said of a segment alone. Refuses to know: what counts; [`crate::recovery`] decides that from all
//! logs together. Start at [`inspect`].

use std::io;

use super::record::Record;
use super::scan::{Scanner, read_header};
use super::segment::{HEADER_BYTES, Header, for_each_record};
use super::{parse_segment_name, segment_name};
use crate::dir::{Dir, uninterrupted};

/// What is in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentSummary {
    /// Its name.
    pub name: String,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Bytes up to the end of the last whole batch.
    pub bytes: u64,
    /// Shard, by its name.
    pub shard: u16,
    /// Which life of the directory wrote it.
    pub incarnation: u64,
    /// The first record, by its name.
    pub first_lsn: u64,
    /// The record behind its last whole one.
    pub end_lsn: u64,
    /// Whole batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Those that are part of a transaction over several shards.
    pub transactions: u64,
    /// It was ended in order: nothing behind it is missing.
    pub is_closed: bool,
    /// What is behind the last whole batch, if anything is, or what is wrong with the header.
    pub problem: Option<String>,
}

/// All segments of a directory, by shard and first record.
pub fn inspect(dir: &dyn Dir) -> io::Result<Vec<SegmentSummary>> {
    let names = uninterrupted(|| dir.list())?;
    let mut named: Vec<_> = names.into_iter().filter_map(|name| Some((parse_segment_name(&name)?, name))).collect();
    named.sort_unstable();
    named.iter().map(|(_, name)| inspect_segment(dir, name, &mut |_| {})).collect()
}

/// One segment; `each` is shown every record in a whole batch, whether it counts or not.
pub fn inspect_segment(dir: &dyn Dir, name: &str, each: &mut dyn FnMut(Record<'_>)) -> io::Result<SegmentSummary> {
    let Some((shard, first_lsn)) = parse_segment_name(name) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a log segment"));
    };
    let file = uninterrupted(|| dir.open(name))?;
    let file_bytes = uninterrupted(|| file.len())?;
    let mut summary = SegmentSummary {
        name: name.to_owned(),
        file_bytes,
        shard,
        first_lsn,
        end_lsn: first_lsn,
        ..Default::default()
    };
    let header = match Header::decode(&read_header(&*file)?) {
        Ok(header) => header,
        Err((offset, damage)) => {
            summary.problem = Some(format!("at offset {offset}: {damage}"));
            return Ok(summary);
        }
    };
    (summary.incarnation, summary.bytes) = (header.incarnation, HEADER_BYTES as u64);
    if (header.shard, header.first_lsn) != (shard, first_lsn) {
        let other = segment_name(header.shard, header.first_lsn);
        summary.problem = Some(format!("at offset 0: the header is that of {other}"));
        return Ok(summary);
    }
    let mut scanner = Scanner::new(file, header)?;
    while let Some(found) = scanner.next()? {
        let (at, batch) = (found.at, found.batch);
        let outcome = for_each_record(found.records, &batch, header.incarnation, |record| {
            summary.transactions += u64::from(record.txn.is_some());
            each(record);
        });
        if batch.first_lsn != summary.end_lsn || outcome.is_err() {
            summary.problem = Some(format!("at offset {at}: a whole batch that does not belong there"));
            return Ok(summary);
        }
        summary.end_lsn = batch.end_lsn();
        summary.batches += u64::from(batch.count > 0);
        summary.records += u64::from(batch.count);
        summary.is_closed = batch.count == 0;
        summary.bytes = scanner.at();
    }
    let rest = scanner.rest(summary.end_lsn)?;
    if rest.bytes > 0 {
        let (at, end_lsn) = (summary.bytes, summary.end_lsn);
        let kind = match rest.claims {
            true => format!("record {end_lsn} was on disk and is damaged"),
            false => format!("{} bytes that are no whole batch", rest.bytes),
        };
        summary.problem = Some(format!("at offset {at}: {kind}"));
    }
    Ok(summary)
}
