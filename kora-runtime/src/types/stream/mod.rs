//! Streams.
//!
//! Owns: which block an entry is in, when blocks are made, cut and dropped, and what a stream remembers of entries that are gone.
//! Refuses to know: keys, clocks, texts of ids, replies. How a block keeps its bytes is in `block.rs`.
//! Start at [`Stream::append`] and [`Stream::visit`].
//!
//! Entries lie in blocks of about a hundred, ordered by the id of their first. Appending touches the youngest block, `tail`, alone; the
//! others are in a tree, so that a seek is O(log blocks). A stream that has no entries is a value all the same, for it remembers its last id.
//!
//! Invariants: no block is empty; the tail's entries are above those of all others; `last_id` is not below any entry.

mod block;
mod id;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use self::block::Block;
pub use self::block::{StreamBlock, StreamEntry};
pub use self::id::StreamId;
use super::big::{Big, Slab};
use super::list::Direction;
use super::packed::PACKED_BYTES_MAX;
use super::value::ValueMut;
use crate::keyspace::entry::{Entry, Kind};

/// When a block is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of a block of more than one entry.
    pub block_bytes: usize,
    /// Entries that a block ever takes.
    pub block_entries: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self::new(4096, 100)
    }
}

impl StreamLimits {
    /// The limits that Redis calls `stream-node-max-bytes` and `stream-node-max-entries`, where 0 is none. No block becomes so long that
    /// a removal from its middle would take time.
    pub fn new(block_bytes: usize, block_entries: usize) -> Self {
        let or_none = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        Self { block_bytes: or_none(block_bytes).min(PACKED_BYTES_MAX), block_entries: or_none(block_entries) }
    }
}

/// Which entries are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The oldest, when there are more than this.
    Above(u64),
    /// Those before this id.
    Before(StreamId),
}

/// Entries by id, and what is remembered of those that are gone.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// All blocks but the youngest, by the id that their entries' ids count from.
    sealed: BTreeMap<StreamId, Block>,
    tail: Option<(StreamId, Block)>,
    /// Bytes in the sealed blocks.
    sealed_bytes: usize,
    len: u64,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
}

/// What a new key of this type reads as.
pub(crate) static EMPTY: Stream = Stream::new();

impl Stream {
    /// An empty stream.
    pub const fn new() -> Self {
        Self {
            sealed: BTreeMap::new(),
            tail: None,
            sealed_bytes: 0,
            len: 0,
            last_id: StreamId::MIN,
            max_deleted_id: StreamId::MIN,
            entries_added: 0,
        }
    }

    /// The stream that `entry` holds; `None` when it holds another type.
    pub fn open<'a>(entry: &Entry, bigs: &'a Slab<Big>) -> Option<&'a Self> {
        match entry.kind() {
            Kind::StreamNew => Some(&EMPTY),
            Kind::Stream => match bigs.get(entry.handle()) {
                Big::Stream(stream) => Some(stream),
                other => unreachable!("the handle of a stream names {other:?}"),
            },
            _ => None,
        }
    }

    /// The stream that the entry of `value` holds, to change; `None` when it holds another type. One that COPY made two keys share is copied now.
    pub fn open_mut(mut value: ValueMut<'_>) -> Option<&mut Self> {
        match value.entry.kind() {
            Kind::StreamNew => value.promote(Kind::Stream, Big::Stream(Arc::default())),
            Kind::Stream => {}
            _ => return None,
        }
        let ValueMut { entry, bigs, .. } = value;
        match bigs.get_mut(entry.handle()) {
            Big::Stream(stream) => Some(Arc::make_mut(stream)),
            other => unreachable!("the handle of a stream names {other:?}"),
        }
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last id that was given to an entry, or set. Later entries are above it.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The greatest id of an entry that was removed by its id, or one that was set.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries there ever were, or a number that was set.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Number of blocks.
    pub fn blocks_len(&self) -> usize {
        self.sealed.len() + usize::from(self.tail.is_some())
    }

    /// The first entry there is.
    pub fn first(&self) -> Option<StreamEntry<'_>> {
        let (base, block) = self.first_block()?;
        block.entries(base).next()
    }

    /// The last entry there is.
    pub fn last(&self) -> Option<StreamEntry<'_>> {
        let (base, block) = match &self.tail {
            Some((base, block)) => (*base, block),
            None => self.sealed.last_key_value().map(|(base, block)| (*base, block))?,
        };
        block.last(base)
    }

    fn first_block(&self) -> Option<(StreamId, &Block)> {
        let sealed = self.sealed.first_key_value().map(|(base, block)| (*base, block));
        sealed.or(self.tail.as_ref().map(|(base, block)| (*base, block)))
    }

    /// Shows the entries from one id to another, both included, in order or backwards, until told to stop.
    pub fn visit<'a>(
        &'a self,
        from: StreamId,
        to: StreamId,
        direction: Direction,
        mut visit: impl FnMut(StreamEntry<'a>) -> ControlFlow<()>,
    ) {
        if from > to {
            return;
        }
        let mut visit = |entry: StreamEntry<'a>| {
            if (from..=to).contains(&entry.id) { visit(entry) } else { ControlFlow::Continue(()) }
        };
        let _ = match direction {
            Direction::Forward => self.blocks(from, to).try_for_each(|(base, block)| {
                block.entries(base).take_while(|entry| entry.id <= to).try_for_each(&mut visit)
            }),
            Direction::Backward => self.blocks(from, to).rev().try_for_each(|(base, block)| {
                block.entries_backward(base).take_while(|entry| entry.id >= from).try_for_each(&mut visit)
            }),
        };
    }

    /// The blocks that may have entries from one id to another. `from` is not above `to`.
    fn blocks(&self, from: StreamId, to: StreamId) -> impl DoubleEndedIterator<Item = (StreamId, &Block)> {
        let in_tail = self.tail.as_ref().is_some_and(|(base, _)| *base <= from);
        let sealed = (!in_tail).then(|| {
            let first = self.sealed.range(..=from).next_back().map_or(from, |(base, _)| *base);
            self.sealed.range(first..=to).map(|(base, block)| (*base, block))
        });
        let tail = self.tail.iter().map(|(base, block)| (*base, block)).filter(move |(base, _)| *base <= to);
        sealed.into_iter().flatten().chain(tail)
    }

    /// The blocks from the one that this id belongs to on, in order.
    pub fn blocks_from(&self, from: StreamId) -> impl Iterator<Item = StreamBlock<'_>> {
        self.blocks(from, StreamId::MAX).map(|(base, block)| StreamBlock::of(base, block))
    }

    /// Adds an entry with at least one field. Its id is above [`Stream::last_id`].
    pub fn append<'f, F>(&mut self, id: StreamId, fields: F, limits: &StreamLimits)
    where
        F: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        assert!(id > self.last_id, "entries are appended in order");
        let added = || fields.clone().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let is_full =
            |block: &Block| block.bytes_len() + added() >= limits.block_bytes || block.placed() >= limits.block_entries;
        if let Some((base, mut block)) = self.tail.take_if(|(_, block)| is_full(block)) {
            block.seal();
            self.sealed_bytes += block.bytes_len();
            self.sealed.insert(base, block);
        }
        let (base, block) = self.tail.get_or_insert_with(|| (id, Block::new(fields.clone().map(|(name, _)| name))));
        block.push(*base, id, fields);
        self.len += 1;
        self.last_id = id;
        self.entries_added = self.entries_added.saturating_add(1);
    }

    /// Removes an entry and remembers its id. False when it is not there.
    pub fn remove(&mut self, id: StreamId) -> bool {
        let removed = match &mut self.tail {
            Some((base, block)) if *base <= id => {
                let removed = block.remove(*base, id);
                self.tail.take_if(|(_, block)| block.len() == 0);
                removed
            }
            _ => self.remove_sealed(id),
        };
        if removed {
            self.len -= 1;
            self.max_deleted_id = self.max_deleted_id.max(id);
        }
        removed
    }

    fn remove_sealed(&mut self, id: StreamId) -> bool {
        let Some((&base, block)) = self.sealed.range_mut(..=id).next_back() else { return false };
        let before = block.bytes_len();
        let removed = block.remove(base, id);
        self.sealed_bytes -= before - block.bytes_len();
        if block.len() == 0 {
            self.sealed_bytes -= block.bytes_len();
            self.sealed.remove(&base);
        }
        removed
    }

    /// Removes the oldest entries and says how many. With `whole_blocks` none is taken out of a block that stays, so that some of the excess may
    /// stay; with a `limit` no block is begun that would bring the number of entries removed above it.
    pub fn trim(&mut self, excess: Excess, whole_blocks: bool, limit: Option<u64>) -> u64 {
        let len_before = self.len;
        while let Some((base, block)) = self.first_block() {
            if matches!(excess, Excess::Above(most) if self.len <= most) {
                break;
            }
            let entries = block.len() as u64;
            if limit.is_some_and(|limit| len_before - self.len + entries > limit) {
                break;
            }
            let goes = match excess {
                Excess::Above(most) => self.len - entries >= most,
                Excess::Before(id) => block.last(base).is_none_or(|last| last.id < id),
            };
            if goes {
                self.pop_block();
                continue;
            }
            if !whole_blocks {
                self.trim_first_block(excess);
            }
            break;
        }
        len_before - self.len
    }

    /// Removes the oldest block.
    fn pop_block(&mut self) {
        let entries = match self.sealed.pop_first() {
            Some((_, block)) => {
                self.sealed_bytes -= block.bytes_len();
                block.len()
            }
            None => self.tail.take().map_or(0, |(_, block)| block.len()),
        };
        self.len -= entries as u64;
    }

    /// Removes the excess from a block of which something stays.
    fn trim_first_block(&mut self, excess: Excess) {
        let mut left = match excess {
            Excess::Above(most) => self.len - most,
            Excess::Before(_) => u64::MAX,
        };
        let wanted = |id: StreamId| match excess {
            Excess::Above(_) => {
                let goes = left > 0;
                left -= u64::from(goes);
                goes
            }
            Excess::Before(end) => id < end,
        };
        let removed = match self.sealed.first_entry() {
            Some(mut first) => {
                let base = *first.key();
                let before = first.get().bytes_len();
                let removed = first.get_mut().remove_front(base, wanted);
                self.sealed_bytes -= before - first.get().bytes_len();
                removed
            }
            None => self.tail.as_mut().map_or(0, |(base, block)| block.remove_front(*base, wanted)),
        };
        self.len -= removed as u64;
    }

    /// Sets the last id; it is not below that of any entry.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
    }

    /// Sets how many entries there ever were.
    pub fn set_entries_added(&mut self, entries: u64) {
        self.entries_added = entries;
    }

    /// Sets the greatest id of an entry that was removed.
    pub fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted_id = id;
    }

    /// Drops blocks with up to `max` entries, one at least, and says whether any are left.
    pub fn drain_some(&mut self, max: usize) -> bool {
        let before = self.len;
        while self.blocks_len() > 0 && before - self.len < max as u64 {
            self.pop_block();
        }
        self.blocks_len() > 0
    }

    /// Bytes behind the stream.
    pub fn heap_bytes(&self) -> usize {
        let tail = self.tail.as_ref().map_or(0, |(_, block)| block.heap_bytes());
        tail + self.sealed_bytes + self.sealed.len() * size_of::<(StreamId, Block)>()
    }
}

#[cfg(test)]
mod tests;
