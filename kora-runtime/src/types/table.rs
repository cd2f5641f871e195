//! A hash table that grows and shrinks one small segment at a time.
//!
//! Owns: where a value lies, its tag and its mark. Refuses to know: keys, hash functions, expiry; the caller brings
//! hashes and comparisons. Start at [`Table::find`] and [`Table::insert`].
//!
//! Linear hashing (Litwin 1980) over segments of about [`SEGMENT_LOAD`] values; a value costs about 7 bytes beside
//! itself.
//!
//! ```text
//! hash   63 ……………………………………………………………… 0
//!                                      └ width ┘  the low bits are the index of the segment
//!                   └──── tag, 15 ────┘           from bit `base(width)`: compared before a value is touched
//! ```
//! With `n` segments, 2^w ≥ n > 2^(w-1), a segment is *wide* (w bits) when it or its sibling is one that the current
//! round of splits has made, and *narrow* (w - 1 bits) while its split is still to come. A split moves the values whose
//! next bit is 1 to a new last segment; a merge takes the last segment back. `base` moves on only every fifth
//! width, so that the next bit of the hash is in the tag and four splits of five read no value at all, at the price of
//! up to four bits of the tag.
//!
//! Segments stand in fixed chunks, so growth never moves them all, and a position in *bit-reversed* hash order
//! means the same whatever has been split or merged: a segment of width k covers one prefix of k bits of that order.

mod segment;
mod shape;
#[cfg(test)]
mod tests;

use super::chance;
use segment::{MARK, Segment, TAG_MASK};
use shape::{Shape, base_of, tag_of};

/// Values per segment, on average, at which segments are split.
pub const SEGMENT_LOAD: usize = 22;

/// Values per segment, on average, below which segments are merged.
pub const SEGMENT_LOAD_MIN: usize = SEGMENT_LOAD / 3;

const CHUNK_BITS: u32 = 7;
const CHUNK_SEGMENTS: usize = 1 << CHUNK_BITS;

/// Draws of [`Table::sample_slot`] before it settles for the next value there is.
const SAMPLE_TRIES: usize = 64;

/// Where a value lies. It holds until the next insert, remove, sweep or drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    segment: u32,
    index: u32,
}

/// What becomes of a value that [`Table::sweep_marked`] visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// It stays.
    Keep,
    /// It goes to the sink.
    Remove,
}

/// Some segments that stand together.
#[derive(Debug, Clone)]
struct Chunk<T> {
    segments: Vec<Segment<T>>,
    /// Marked values in them, so that looking for a rare one does not touch them all.
    marked: usize,
}

/// The hash table; 80 bytes while it is empty.
#[derive(Debug, Clone)]
pub struct Table<T> {
    chunks: Vec<Chunk<T>>,
    shape: Shape,
    len: usize,
    marked: usize,
    /// Bytes behind the segments: their tags and values, slack included.
    segment_bytes: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    /// An empty table, which allocates nothing.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), shape: Shape::EMPTY, len: 0, marked: 0, segment_bytes: 0 }
    }

    /// Number of values.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no value.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of marked values.
    #[inline]
    pub fn marked_len(&self) -> usize {
        self.marked
    }

    /// The value with this hash of which `eq` says that it is the one.
    #[inline]
    pub fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<Slot> {
        if self.len == 0 {
            return None;
        }
        let (segment, base) = self.shape.locate(hash);
        let index = self.segment(segment).find(tag_of(hash, base), eq)?;
        Some(Slot { segment: segment as u32, index: index as u32 })
    }

    /// The value at `slot`.
    #[inline]
    pub fn get(&self, slot: Slot) -> &T {
        &self.segment(slot.segment as usize).values()[slot.index as usize]
    }

    /// The value at `slot`, to change; its hash must stay what it is.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> &mut T {
        self.segment_mut(slot.segment as usize).value_mut(slot.index as usize)
    }

    /// Adds a value that the table does not hold yet. `rehash` gives the hash of any value: one segment may have to
    /// split first.
    pub fn insert(&mut self, hash: u64, value: T, marked: bool, rehash: impl Fn(&T) -> u64) -> Slot {
        if self.len >= self.shape.segments * SEGMENT_LOAD {
            self.grow(rehash);
        }
        let (at, base) = self.shape.locate(hash);
        let tag = tag_of(hash, base) | if marked { MARK } else { 0 };
        let chunk = &mut self.chunks[at >> CHUNK_BITS];
        let segment = &mut chunk.segments[at % CHUNK_SEGMENTS];
        self.segment_bytes += segment.push(tag, value);
        self.len += 1;
        if marked {
            chunk.marked += 1;
            self.marked += 1;
        }
        Slot { segment: at as u32, index: (self.segment(at).len() - 1) as u32 }
    }

    /// Takes out the value at `slot`. `rehash` as for [`insert`](Self::insert): one segment may be merged away.
    pub fn remove(&mut self, slot: Slot, rehash: impl Fn(&T) -> u64) -> T {
        let value = self.take(slot);
        self.shrink(rehash);
        value
    }

    /// True when the value at `slot` is marked.
    #[inline]
    pub fn is_marked(&self, slot: Slot) -> bool {
        self.segment(slot.segment as usize).tag(slot.index as usize) & MARK != 0
    }

    /// Marks the value at `slot`, or takes its mark away.
    pub fn set_mark(&mut self, slot: Slot, marked: bool) {
        let chunk = &mut self.chunks[slot.segment as usize >> CHUNK_BITS];
        let tag = chunk.segments[slot.segment as usize % CHUNK_SEGMENTS].tag_mut(slot.index as usize);
        match (*tag & MARK != 0, marked) {
            (false, true) => {
                *tag |= MARK;
                chunk.marked += 1;
                self.marked += 1;
            }
            (true, false) => {
                *tag &= TAG_MASK;
                chunk.marked -= 1;
                self.marked -= 1;
            }
            _ => {}
        }
    }

    /// Visits the values of one segment and returns the position of the next one; the scan starts at position 0 and is
    /// done when 0 comes back. Whatever is present throughout a scan is visited exactly once, whatever splits and
    /// merges happen in between. Positions leave their low 16 bits 0.
    pub fn scan<'t>(&'t self, position: u64, rehash: impl Fn(&T) -> u64, visit: &mut impl FnMut(&'t T)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let (segment, start, next) = self.shape.interval(position);
        let values = self.segment(segment).values();
        if position == start {
            values.iter().for_each(visit);
        } else {
            // A merge since the last step: the first part of this segment has been visited.
            values.iter().filter(|value| rehash(value).reverse_bits() >= position).for_each(visit);
        }
        next
    }

    /// The places of the values of one segment, and the position of the next one, as [`scan`](Self::scan) walks. After a merge some come again.
    pub fn slots_at(&self, position: u64) -> (impl Iterator<Item = Slot> + use<T>, u64) {
        let (segment, next, len) = if self.len == 0 {
            (0, 0, 0)
        } else {
            let (segment, _, next) = self.shape.interval(position);
            (segment as u32, next, self.segment(segment).len() as u32)
        };
        ((0..len).map(move |index| Slot { segment, index }), next)
    }

    /// Visits the marked values of one segment, hands those that `visit` gives up to `sink`, and returns the next
    /// position as [`scan`](Self::scan) does, with the number of values visited.
    pub fn sweep_marked(
        &mut self,
        position: u64,
        rehash: impl Fn(&T) -> u64,
        visit: &mut impl FnMut(&T) -> Sweep,
        sink: &mut impl FnMut(T),
    ) -> (u64, usize) {
        if self.marked == 0 {
            return (0, 0);
        }
        let (at, _, next) = self.shape.interval(position);
        let (mut index, mut visited, mut removed) = (0, 0, 0);
        while index < self.segment(at).len() {
            let segment = self.segment(at);
            if segment.tag(index) & MARK == 0 {
                index += 1;
                continue;
            }
            visited += 1;
            match visit(&segment.values()[index]) {
                Sweep::Keep => index += 1,
                // The last value takes its place and is looked at next.
                Sweep::Remove => {
                    sink(self.take(Slot { segment: at as u32, index: index as u32 }));
                    removed += 1;
                }
            }
        }
        for _ in 0..removed {
            self.shrink(&rehash);
        }
        (next, visited)
    }

    /// A value chosen by `random`. Every value has the same chance, but for the few in a segment more than five
    /// standard deviations fuller than its like (one in millions), whose chance is smaller, and for one choice in about
    /// 10^6 that runs out of draws and takes the first segment with a value. A draw rejects fewer than 9 times in 10.
    pub fn sample_slot(&self, random: u64) -> Option<Slot> {
        if self.len == 0 {
            return None;
        }
        let segments = self.shape.segments;
        let bound = if segments == 1 {
            self.len
        } else {
            let load =
                self.len * if segments > self.shape.mask as usize { 1 } else { 2 } / (self.shape.mask as usize + 1);
            load + 5 * load.isqrt() + 8
        };
        let mut random = random;
        for _ in 0..SAMPLE_TRIES {
            let segment = chance::pick(random, segments);
            random = chance::next(random);
            let len = self.segment(segment).len();
            let index = chance::pick(random, bound.max(len));
            random = chance::next(random);
            if index < len {
                return Some(Slot { segment: segment as u32, index: index as u32 });
            }
        }
        let first = chance::pick(random, segments);
        (first..segments).chain(0..first).find_map(|segment| {
            let len = self.segment(segment).len();
            let index = (len > 0).then(|| chance::pick(chance::next(random), len))?;
            Some(Slot { segment: segment as u32, index: index as u32 })
        })
    }

    /// The value at [`sample_slot`](Self::sample_slot).
    pub fn sample(&self, random: u64) -> Option<&T> {
        self.sample_slot(random).map(|slot| self.get(slot))
    }

    /// A marked value chosen by `random`: fair while most values are marked; of a few marked ones, those that follow a
    /// long run of segments without any come up more often.
    pub fn sample_marked_slot(&self, random: u64) -> Option<Slot> {
        if self.marked == 0 {
            return None;
        }
        let first = chance::pick(random, self.shape.segments);
        let random = chance::next(random);
        let pick_from = |segment: usize| {
            let tags = || self.segment(segment).tags().enumerate().filter(|(_, tag)| tag & MARK != 0);
            let marked = tags().count();
            let wanted = (marked > 0).then(|| chance::pick(random, marked))?;
            let index = tags().nth(wanted)?.0;
            Some(Slot { segment: segment as u32, index: index as u32 })
        };
        let chunk_end = ((first >> CHUNK_BITS) + 1) << CHUNK_BITS;
        let here = (first..chunk_end.min(self.shape.segments)).find_map(pick_from);
        here.or_else(|| {
            let chunks = self.chunks.len();
            let chunk = (1..=chunks)
                .map(|step| ((first >> CHUNK_BITS) + step) % chunks)
                .find(|chunk| self.chunks[*chunk].marked > 0)?;
            let start = chunk << CHUNK_BITS;
            (start..start + self.chunks[chunk].segments.len()).find_map(pick_from)
        })
    }

    /// All values, in no particular order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { chunks: self.chunks.iter(), segments: [].iter(), values: [].iter(), left: self.len }
    }

    /// Hands up to `max` values to `sink` and returns how many: dropping a large table in slices. The table is given up
    /// by the first call: nothing can be found in it any more, only drained, until it is empty and as new.
    pub fn drain_some(&mut self, max: usize, sink: &mut impl FnMut(T)) -> usize {
        let mut drained = 0;
        while drained < max && self.shape.segments > 0 {
            let last = self.segment_mut(self.shape.segments - 1);
            let from = last.len().saturating_sub(max - drained);
            drained += last.len() - from;
            let marked = last.drain_from(from, sink);
            let emptied = from == 0;
            self.marked -= marked;
            self.chunks[(self.shape.segments - 1) >> CHUNK_BITS].marked -= marked;
            if emptied {
                self.pop_segment();
            }
        }
        self.len -= drained;
        if self.len == 0 {
            *self = Self::new();
        }
        drained
    }

    /// Bytes of the table's own allocations; what values own is the caller's to add.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        let headers = match self.chunks.first() {
            None => 0,
            Some(first) => first.segments.capacity() + (self.chunks.len() - 1) * CHUNK_SEGMENTS,
        };
        self.segment_bytes + headers * size_of::<Segment<T>>() + self.chunks.capacity() * size_of::<Chunk<T>>()
    }

    #[inline]
    fn segment(&self, at: usize) -> &Segment<T> {
        &self.chunks[at >> CHUNK_BITS].segments[at % CHUNK_SEGMENTS]
    }

    #[inline]
    fn segment_mut(&mut self, at: usize) -> &mut Segment<T> {
        &mut self.chunks[at >> CHUNK_BITS].segments[at % CHUNK_SEGMENTS]
    }

    fn take(&mut self, slot: Slot) -> T {
        let chunk = &mut self.chunks[slot.segment as usize >> CHUNK_BITS];
        let segment = &mut chunk.segments[slot.segment as usize % CHUNK_SEGMENTS];
        let (tag, value, freed) = segment.swap_remove(slot.index as usize);
        self.segment_bytes -= freed;
        self.len -= 1;
        if tag & MARK != 0 {
            chunk.marked -= 1;
            self.marked -= 1;
        }
        value
    }

    /// Adds the first segment, or splits the one whose turn it is.
    #[cold]
    fn grow(&mut self, rehash: impl Fn(&T) -> u64) {
        if self.shape.segments == 0 {
            self.push_segment(Segment::default());
            return;
        }
        let width = self.shape.segments.ilog2();
        let partner = self.shape.segments - (1 << width);
        let segment = std::mem::take(self.segment_mut(partner));
        self.segment_bytes -= segment.heap_bytes();
        let (mut low, mut high) = segment.split(1 << (width - u32::from(base_of(width))));
        if base_of(width + 1) != base_of(width) {
            low.retag(|value| tag_of(rehash(value), base_of(width + 1)));
            high.retag(|value| tag_of(rehash(value), base_of(width + 1)));
        }
        self.segment_bytes += low.heap_bytes() + high.heap_bytes();
        let marked = high.marked();
        *self.segment_mut(partner) = low;
        self.chunks[partner >> CHUNK_BITS].marked -= marked;
        self.push_segment(high);
    }

    /// Merges the last segment back into its partner when segments have become too empty.
    fn shrink(&mut self, rehash: impl Fn(&T) -> u64) {
        if self.len == 0 {
            *self = Self::new();
        } else if self.shape.segments > 1 && self.len < self.shape.segments * SEGMENT_LOAD_MIN {
            let last = self.pop_segment();
            let width = self.shape.segments.ilog2();
            let partner = self.shape.segments - (1 << width);
            let marked = last.marked();
            let chunk = &mut self.chunks[partner >> CHUNK_BITS];
            chunk.marked += marked;
            let segment = &mut chunk.segments[partner % CHUNK_SEGMENTS];
            self.segment_bytes -= segment.heap_bytes();
            segment.append(last);
            if base_of(width + 1) != base_of(width) {
                segment.retag(|value| tag_of(rehash(value), base_of(width)));
            }
            self.segment_bytes += segment.heap_bytes();
        }
    }

    fn push_segment(&mut self, segment: Segment<T>) {
        let marked = segment.marked();
        if self.shape.segments.is_multiple_of(CHUNK_SEGMENTS) {
            // The first chunk grows with its table, which may stay small; the others come whole.
            let room = if self.chunks.is_empty() { 1 } else { CHUNK_SEGMENTS };
            if self.chunks.is_empty() {
                self.chunks.reserve_exact(1);
            }
            self.chunks.push(Chunk { segments: Vec::with_capacity(room), marked: 0 });
        }
        let chunk = self.chunks.last_mut().expect("one was pushed when there was none");
        if chunk.segments.len() == chunk.segments.capacity() {
            chunk.segments.reserve_exact(1 + chunk.segments.len() / 4);
        }
        chunk.segments.push(segment);
        chunk.marked += marked;
        self.shape = Shape::of(self.shape.segments + 1);
    }

    /// Takes away the last segment, of which the byte count and the count of its chunk are set right here, the table's
    /// own counts not.
    fn pop_segment(&mut self) -> Segment<T> {
        let chunk = self.chunks.last_mut().expect("the caller saw a segment");
        let segment = chunk.segments.pop().expect("a chunk is dropped with its last segment");
        chunk.marked -= segment.marked();
        self.segment_bytes -= segment.heap_bytes();
        if chunk.segments.is_empty() {
            self.chunks.pop();
            if self.chunks.capacity() > 4 * self.chunks.len() + 4 {
                self.chunks.shrink_to(2 * self.chunks.len());
            }
        }
        self.shape = Shape::of(self.shape.segments - 1);
        segment
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The values of a [`Table`], in no particular order.
#[derive(Debug)]
pub struct Iter<'a, T> {
    chunks: std::slice::Iter<'a, Chunk<T>>,
    segments: std::slice::Iter<'a, Segment<T>>,
    values: std::slice::Iter<'a, T>,
    left: usize,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self {
            chunks: self.chunks.clone(),
            segments: self.segments.clone(),
            values: self.values.clone(),
            left: self.left,
        }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(value) = self.values.next() {
                self.left -= 1;
                return Some(value);
            }
            match self.segments.next() {
                Some(segment) => self.values = segment.values().iter(),
                None => self.segments = self.chunks.next()?.segments.iter(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
