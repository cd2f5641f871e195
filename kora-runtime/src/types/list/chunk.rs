//! A chunk: one stretch of a long list in one buffer.
//!
//! Owns: the buffer, its gap at the front, its slack at the back, its compression. Refuses to know: which chunk of the list it is.
//! Start at [`Chunk::view`], then [`Chunk::push`].
//!
//! ```text
//! plain:       gap (start bytes) │ elements │ slack of the Vec
//! compressed:  LZ4 block of the elements, `raw_len` bytes when decompressed; no gap, no slack
//! ```
//! A chunk is *sealed* when its allocation is exact and compressing has been tried since its last change.

use std::ops::Range;

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

use crate::types::packed::Element;

use super::End;
use super::run::{Encoded, Run};

/// Chunks larger than this (one element each) stay as they are: a push must not stall on them.
const COMPRESS_BYTES_MAX: usize = 64 * 1024;
/// Chunks smaller than this are not worth the trouble.
const COMPRESS_BYTES_MIN: usize = 128;
/// The first allocation.
const FIRST_BYTES: usize = 64;

#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    start: u32,
    count: u32,
    /// Bytes once decompressed; 0 for a plain chunk.
    raw_len: u32,
    sealed: bool,
    /// Compressing it did not pay when it was tried; forgotten when elements are cut off or joined to it.
    stubborn: bool,
}

impl Chunk {
    /// A plain chunk that holds a copy of these elements.
    pub(super) fn from_run(run: Run<'_>) -> Self {
        Self { bytes: run.bytes.to_vec(), count: run.count as u32, ..Self::default() }
    }

    /// Number of elements.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the elements when they are not compressed.
    #[inline]
    pub(super) fn raw_len(&self) -> usize {
        if self.raw_len > 0 { self.raw_len as usize } else { self.bytes.len() - self.start as usize }
    }

    #[inline]
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }

    #[inline]
    pub(super) fn is_compressed(&self) -> bool {
        self.raw_len > 0
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The elements, unless they are compressed.
    #[inline]
    pub(super) fn plain(&self) -> Option<Run<'_>> {
        (self.raw_len == 0).then(|| self.run())
    }

    /// The elements; a compressed chunk is decompressed into `scratch`.
    #[inline]
    pub(super) fn view<'s>(&'s self, scratch: &'s mut Vec<u8>) -> Run<'s> {
        if self.raw_len == 0 {
            return self.run();
        }
        self.decompress(scratch);
        Run { bytes: scratch, count: self.count() }
    }

    #[inline]
    fn run(&self) -> Run<'_> {
        debug_assert!(!self.is_compressed());
        Run { bytes: &self.bytes[self.start as usize..], count: self.count as usize }
    }

    fn decompress(&self, out: &mut Vec<u8>) {
        out.clear();
        out.resize(self.raw_len as usize, 0);
        let len = decompress_into(&self.bytes, out).expect("the block was compressed by this chunk");
        assert_eq!(len, out.len(), "a block decompresses to what it was made from");
    }

    /// Makes the chunk plain, to be changed.
    pub(super) fn open(&mut self) -> &mut Self {
        self.sealed = false;
        if self.raw_len > 0 {
            let mut plain = Vec::new();
            self.decompress(&mut plain);
            self.bytes = plain;
            self.raw_len = 0;
        }
        self
    }

    /// Gives back slack and gap when there is more than a sixteenth of them.
    pub(super) fn trim_slack(&mut self) {
        let len = self.raw_len();
        if self.raw_len == 0 && self.bytes.capacity() - len > self.bytes.capacity() / 16 {
            self.bytes = self.run().bytes.to_vec();
            self.start = 0;
        }
    }

    /// Gives back slack and gap, and compresses the elements when that saves a quarter.
    pub(super) fn seal(&mut self) {
        debug_assert!(!self.is_compressed());
        self.sealed = true;
        let plain = self.run().bytes;
        if !self.stubborn && (COMPRESS_BYTES_MIN..=COMPRESS_BYTES_MAX).contains(&plain.len()) {
            let mut block = vec![0; get_maximum_output_size(plain.len())];
            let len = compress_into(plain, &mut block).expect("the buffer holds the largest block");
            if len <= plain.len() / 4 * 3 {
                self.raw_len = plain.len() as u32;
                self.bytes = block[..len].to_vec();
                self.start = 0;
                return;
            }
            self.stubborn = true;
        }
        self.trim_slack();
    }

    /// Adds an element at an end of a plain chunk. The buffer grows by doubling up to `bytes_max`; a chunk that is `alone`
    /// keeps room at both ends.
    #[inline]
    pub(super) fn push(&mut self, end: End, element: &Encoded<'_>, bytes_max: usize, alone: bool) {
        debug_assert!(!self.is_compressed());
        self.sealed = false;
        let len = element.len();
        match end {
            End::Front => {
                if (self.start as usize) < len {
                    self.make_room(len, 0, bytes_max, alone);
                }
                self.start -= len as u32;
                let mut at = self.start as usize;
                for part in element.parts() {
                    self.bytes[at..at + part.len()].copy_from_slice(part);
                    at += part.len();
                }
            }
            End::Back => {
                if self.bytes.capacity() - self.bytes.len() < len {
                    self.make_room(0, len, bytes_max, alone);
                }
                for part in element.parts() {
                    self.bytes.extend_from_slice(part);
                }
            }
        }
        self.count += 1;
    }

    /// Moves the elements so that there is room for `front` bytes before and `back` bytes behind them.
    #[cold]
    fn make_room(&mut self, front: usize, back: usize, bytes_max: usize, alone: bool) {
        let old = std::mem::take(&mut self.bytes);
        let plain = &old[self.start as usize..];
        let needed = front + plain.len() + back;
        // What is alone may be pushed at either end in turn: a quarter of the room is for the other one. A full queue moves
        // through its buffer: with some room more it seldom has to be moved back.
        let bytes_max = if alone && self.start > 0 { bytes_max + bytes_max / 4 } else { bytes_max };
        let spare = (plain.len() + needed).min(bytes_max).max(needed).max(FIRST_BYTES) - needed;
        let others = if alone && (self.start > 0 || front > 0) { spare / 4 } else { 0 };
        let gap = if front > 0 { front + spare - others } else { others };
        let mut bytes = Vec::with_capacity(needed + spare);
        bytes.resize(gap, 0);
        bytes.extend_from_slice(plain);
        self.bytes = bytes;
        self.start = gap as u32;
    }

    /// Drops the element at an end of a plain chunk, once `take` has seen it.
    #[inline]
    pub(super) fn pop<R>(&mut self, end: End, take: impl FnOnce(Element<'_>) -> R) -> R {
        self.sealed = false;
        let run = self.run();
        let result;
        match end {
            End::Front => {
                let (element, len) = run.element(0);
                result = take(element);
                self.start += len as u32;
            }
            End::Back => {
                let at = run.start_of(run.bytes.len());
                result = take(run.element(at).0);
                self.bytes.truncate(self.start as usize + at);
            }
        }
        self.count -= 1;
        result
    }

    /// Gives most of a buffer back that has become much too large.
    #[inline]
    pub(super) fn shrink(&mut self) {
        let len = self.raw_len();
        if self.bytes.capacity() > 4 * FIRST_BYTES && len < self.bytes.capacity() / 4 {
            let mut bytes = Vec::with_capacity(2 * len);
            bytes.extend_from_slice(self.run().bytes);
            self.bytes = bytes;
            self.start = 0;
        }
    }

    /// Replaces a range of a plain chunk's bytes, `removed` elements, by `added` elements made of `parts`.
    pub(super) fn splice(&mut self, range: Range<usize>, removed: usize, parts: &[&[u8]], added: usize) {
        debug_assert!(!self.is_compressed());
        self.sealed = false;
        let range = self.start as usize + range.start..self.start as usize + range.end;
        let added_len: usize = parts.iter().map(|part| part.len()).sum();
        let old_len = self.bytes.len();
        if added_len > range.len() {
            let growth = added_len - range.len();
            if self.bytes.capacity() - old_len < growth {
                self.bytes.reserve_exact(growth.max((old_len / 8).min(256)));
            }
            self.bytes.resize(old_len + growth, 0);
        }
        self.bytes.copy_within(range.end..old_len, range.start + added_len);
        self.bytes.truncate(old_len - range.len() + added_len);
        let mut at = range.start;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.count = self.count - removed as u32 + added as u32;
    }

    /// Cuts a plain chunk in two at the element `index`, which begins at `offset`; the second part is returned.
    pub(super) fn split_off(&mut self, offset: usize, index: usize) -> Self {
        self.sealed = false;
        self.stubborn = false;
        let run = self.run();
        let right = Self::from_run(Run { bytes: &run.bytes[offset..], count: run.count - index });
        self.bytes.truncate(self.start as usize + offset);
        self.count = index as u32;
        self.trim_slack();
        right
    }

    /// Drops the elements of a plain chunk before `index` from the front, or behind it from the back.
    pub(super) fn cut(&mut self, end: End, index: usize) {
        self.sealed = false;
        self.stubborn = false;
        let offset = self.run().offset(index);
        match end {
            End::Front => {
                self.start += offset as u32;
                self.count -= index as u32;
            }
            End::Back => {
                self.bytes.truncate(self.start as usize + offset);
                self.count = index as u32;
            }
        }
    }

    /// Drops single elements of a plain chunk: their ranges of bytes, in ascending order.
    pub(super) fn remove(&mut self, ranges: &[Range<usize>]) {
        self.sealed = false;
        self.stubborn = false;
        self.bytes = self.run().without(ranges);
        self.start = 0;
        self.count -= ranges.len() as u32;
    }

    /// Adds the elements of the chunk that follows; both are plain.
    pub(super) fn append(&mut self, next: &Self) {
        self.sealed = false;
        self.stubborn = false;
        let run = next.run();
        self.bytes.reserve_exact(run.bytes.len());
        self.bytes.extend_from_slice(run.bytes);
        self.count += next.count;
    }
}
