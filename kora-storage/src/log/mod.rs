//! One shard's log: segments of batches of records.
//!
//! Owns: names, limits and errors of the log. Refuses to know: what a record's payload means, threads, clocks.
//! Start at [`LogWriter`] for writing, at [`crate::recovery`] for what is found again; docs/formats.md draws the bytes.

mod inspect;
mod prepare;
mod reader;
pub mod record;
pub(crate) mod scan;
pub(crate) mod segment;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub use inspect::{SegmentSummary, inspect, inspect_segment};
pub use prepare::PrepareJob;
pub use reader::{Batch, LogReader};
pub use segment::Damage;
pub use writer::{LogWriter, SyncJob};

/// Bytes of the records of one batch.
pub const LOG_BATCH_BYTES_MAX: usize = 1 << 30;
/// What a file that is not yet, or not any more, what its name says ends with.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Sizes of a log's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of a segment; one that holds a single batch may be longer.
    pub segment_bytes: u64,
    /// Bytes that are zeroed ahead of the records, so that writing them needs no room and syncing them no new length.
    pub zero_ahead_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, zero_ahead_bytes: 4 << 20 }
    }
}

/// Why the log was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// `write`, `sync`, …
        doing: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A batch is too long.
    #[error("a batch of {bytes} bytes, at most {LOG_BATCH_BYTES_MAX} can be written at once")]
    TooLong {
        /// Its records' bytes.
        bytes: usize,
    },
}

impl LogError {
    /// True when there was no room: the same call works once there is some.
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// Name of the segment of a shard that begins with a record.
pub fn segment_name(shard: u16, first_lsn: u64) -> String {
    format!("log-{shard:04}-{first_lsn:016x}.wal")
}

/// Shard and first record of the segment with this name; `None` if it is the name of something else.
pub fn parse_segment_name(name: &str) -> Option<(u16, u64)> {
    let (shard, first_lsn) = name.strip_prefix("log-")?.strip_suffix(".wal")?.split_once('-')?;
    let parsed = (shard.parse().ok()?, u64::from_str_radix(first_lsn, 16).ok()?);
    // One name only for each segment: no signs, capitals or missing zeroes.
    (segment_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// The segments of a shard among these names, by their first record.
pub(crate) fn segments_of(names: &[String], shard: u16) -> Vec<(u64, String)> {
    let of_shard = |name: &String| parse_segment_name(name).filter(|(of, _)| *of == shard);
    let mut found: Vec<_> =
        names.iter().filter_map(|name| of_shard(name).map(|(_, lsn)| (lsn, name.clone()))).collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests;
