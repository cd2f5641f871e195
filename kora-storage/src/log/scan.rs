//! Reading a segment from its beginning, and looking for traces of batches behind where that ends.
//!
//! Owns: the window of bytes that is in memory. Refuses to know: which batches count.
//! Start at [`Scanner::next`].

use std::io;
use std::sync::Arc;

use super::segment::{ALIGNMENT, BATCH_HEADER_BYTES, BatchHeader, HEADER_BYTES, Header};
use crate::dir::{File, read_at_most, read_exact_at};

/// Bytes that are read at once, unless a batch is longer.
const WINDOW_BYTES: usize = 1 << 20;

/// One segment being read.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: Arc<dyn File>,
    seed: u32,
    len: u64,
    /// Where the next batch should begin.
    at: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// A batch that is whole.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) at: u64,
    pub(crate) batch: BatchHeader,
    pub(crate) records: &'a [u8],
}

/// What is behind the last whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    /// A batch there says that the record in question was on disk.
    pub(crate) claims: bool,
    /// Bytes up to the last that is not zero.
    pub(crate) bytes: u64,
}

impl Scanner {
    /// Reads the batches of a segment that has this header, or that should have it.
    pub(crate) fn new(file: Arc<dyn File>, header: Header) -> io::Result<Self> {
        let len = file.len()?;
        let at = HEADER_BYTES as u64;
        Ok(Self { file, seed: header.seed(), len, at, window: Vec::new(), window_at: 0 })
    }

    /// Where the next batch should begin: behind the last whole one.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Goes on at an offset of a batch, or of nothing if it is in the header.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.at = offset.max(HEADER_BYTES as u64);
    }

    /// The next batch; `None` when there is no whole one.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        let (at, seed) = (self.at, self.seed);
        let head = self.view(at, BATCH_HEADER_BYTES)?;
        let Some(batch) = BatchHeader::decode(seed, head).filter(BatchHeader::is_sound) else { return Ok(None) };
        let end = BATCH_HEADER_BYTES + batch.length as usize;
        let bytes = self.view(at, end)?;
        let whole = bytes.get(BATCH_HEADER_BYTES..end).is_some_and(|records| batch.fits(seed, records));
        if !whole {
            return Ok(None);
        }
        self.at = at + batch.whole_bytes();
        let start = (at - self.window_at) as usize;
        let records = &self.window[start + BATCH_HEADER_BYTES..start + end];
        Ok(Some(Found { at, batch, records }))
    }

    /// The batch that was returned last, which began at `at`.
    pub(crate) fn again(&self, at: u64) -> Option<(BatchHeader, &[u8])> {
        let bytes = self.window.get(at.checked_sub(self.window_at)? as usize..)?;
        let batch = BatchHeader::decode(self.seed, bytes)?;
        let records = bytes.get(BATCH_HEADER_BYTES..BATCH_HEADER_BYTES + batch.length as usize)?;
        Some((batch, records))
    }

    /// Looks through everything behind the last whole batch for one that says `lsn` was on disk.
    pub(crate) fn rest(&mut self, lsn: u64) -> io::Result<Rest> {
        let (from, seed) = (self.at, self.seed);
        let mut rest = Rest { claims: false, bytes: 0 };
        let mut at = from;
        while at < self.len {
            let len = self.len;
            let bytes = self.view(at, WINDOW_BYTES)?;
            if bytes.is_empty() {
                break;
            }
            let last = at + bytes.len() as u64 >= len;
            if let Some(position) = bytes.iter().rposition(|byte| *byte != 0) {
                rest.bytes = at + position as u64 + 1 - from;
                let claims = |start| {
                    let found = BatchHeader::decode(seed, &bytes[start..]).filter(BatchHeader::is_sound);
                    found.is_some_and(|batch| batch.durable_lsn >= lsn)
                };
                rest.claims |= (0..=position).step_by(ALIGNMENT).any(claims);
            }
            // The next window begins where no whole header fitted any more.
            let step = if last { bytes.len() } else { bytes.len() - BATCH_HEADER_BYTES };
            at += step as u64;
        }
        Ok(rest)
    }

    /// Up to `length` bytes at `at`; fewer where the file ends.
    fn view(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let there = self.len.saturating_sub(at).min(length as u64) as usize;
        let held = self.window_at..=self.window_at + self.window.len() as u64;
        if !(held.contains(&at) && held.contains(&(at + there as u64))) {
            let fill = self.len.saturating_sub(at).min(length.max(WINDOW_BYTES) as u64) as usize;
            if self.window.capacity() > fill.max(WINDOW_BYTES) {
                self.window = Vec::new();
            }
            self.window.clear();
            self.window.resize(fill, 0);
            self.window_at = at;
            read_exact_at(&*self.file, &mut self.window, at).inspect_err(|_| self.window.clear())?;
        }
        let start = (at - self.window_at) as usize;
        Ok(&self.window[start..start + there])
    }
}

/// The first bytes of a segment, as far as they go, for its header.
pub(crate) fn read_header(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    let read = read_at_most(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}
