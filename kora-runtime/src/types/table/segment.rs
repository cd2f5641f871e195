//! A few dozen values in dense order, each with its tag.
//!
//! Owns: the search by tag, how vectors grow and shrink. Refuses to know: what a tag is made of. Start at [`Segment::find`].

/// The bits of a tag that come from the hash.
pub(super) const TAG_MASK: u16 = 0x7fff;

/// The bit of a tag that is the value's mark.
pub(super) const MARK: u16 = 0x8000;

/// Values that a full segment makes room for at once: little, for slack is memory that nobody uses.
const GROWTH: usize = 8;

/// Tags compared at once.
const LANES: usize = 16;

/// Values and their tags; both vectors have the same length.
#[derive(Debug, Clone)]
pub(super) struct Segment<T> {
    pub(super) tags: Vec<u16>,
    pub(super) values: Vec<T>,
}

impl<T> Default for Segment<T> {
    fn default() -> Self {
        Self { tags: Vec::new(), values: Vec::new() }
    }
}

impl<T> Segment<T> {
    fn with_room(room: usize) -> Self {
        Self { tags: Vec::with_capacity(room), values: Vec::with_capacity(room) }
    }

    /// The first value with this tag that `eq` accepts.
    #[inline]
    pub(super) fn find(&self, tag: u16, mut eq: impl FnMut(&T) -> bool) -> Option<usize> {
        let tags = &self.tags[..];
        let values = &self.values[..tags.len()];
        let (blocks, rest) = tags.as_chunks::<LANES>();
        for (at, block) in blocks.iter().enumerate() {
            if let Some(index) = find_in_block(block, tag, &values[at * LANES..], &mut eq) {
                return Some(at * LANES + index);
            }
        }
        if rest.is_empty() {
            return None;
        }
        match tags.last_chunk::<LANES>() {
            // Some tags are compared a second time, which is cheaper than comparing the rest one by one.
            Some(block) => {
                let at = tags.len() - LANES;
                find_in_block(block, tag, &values[at..], &mut eq).map(|index| at + index)
            }
            None => (0..tags.len()).find(|index| tags[*index] & TAG_MASK == tag && eq(&values[*index])),
        }
    }

    /// Adds a value; returns by how many bytes the segment grew.
    #[inline]
    pub(super) fn push(&mut self, tag: u16, value: T) -> usize {
        let before = self.heap_bytes();
        if self.values.len() == self.values.capacity() {
            let growth = GROWTH.min(self.values.len() + 2);
            self.values.reserve_exact(growth);
            self.tags.reserve_exact(growth);
        }
        self.tags.push(tag);
        self.values.push(value);
        self.heap_bytes() - before
    }

    /// Takes a value out, the last one taking its place; returns its tag, itself, and by how many bytes the segment shrank.
    #[inline]
    pub(super) fn swap_remove(&mut self, index: usize) -> (u16, T, usize) {
        let before = self.heap_bytes();
        let tag = self.tags.swap_remove(index);
        let value = self.values.swap_remove(index);
        // Not earlier: allocators keep a block that is more than half used.
        if self.values.capacity() > 2 * self.values.len() + GROWTH {
            let room = self.values.len() + GROWTH / 2;
            self.tags.shrink_to(room);
            self.values.shrink_to(room);
        }
        (tag, value, before - self.heap_bytes())
    }

    /// The values whose tags have `bit` 0, and those that have it 1; each in allocations of the right size.
    pub(super) fn split(self, bit: u16) -> (Self, Self) {
        let ones = self.tags.iter().filter(|tag| **tag & bit != 0).count();
        let mut low = Self::with_room(self.tags.len() - ones + GROWTH / 2);
        let mut high = Self::with_room(ones + GROWTH / 2);
        for (tag, value) in self.tags.into_iter().zip(self.values) {
            let half = if tag & bit == 0 { &mut low } else { &mut high };
            half.tags.push(tag);
            half.values.push(value);
        }
        (low, high)
    }

    /// Adds all values of `other`.
    pub(super) fn append(&mut self, mut other: Self) {
        self.tags.reserve_exact(other.tags.len());
        self.values.reserve_exact(other.values.len());
        self.tags.append(&mut other.tags);
        self.values.append(&mut other.values);
    }

    /// Gives every value the tag that `tag_of` says; marks stay.
    pub(super) fn retag(&mut self, tag_of: impl Fn(&T) -> u16) {
        for (tag, value) in self.tags.iter_mut().zip(&self.values) {
            *tag = *tag & MARK | tag_of(value);
        }
    }

    /// Number of marked values.
    pub(super) fn marked(&self) -> usize {
        self.tags.iter().filter(|tag| **tag & MARK != 0).count()
    }

    /// Bytes of its two allocations.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        self.tags.capacity() * size_of::<u16>() + self.values.capacity() * size_of::<T>()
    }
}

/// The first value of a block with this tag that `eq` accepts.
#[inline]
fn find_in_block<T>(block: &[u16; LANES], tag: u16, values: &[T], mut eq: impl FnMut(&T) -> bool) -> Option<usize> {
    // Without an early exit this becomes a handful of vector instructions.
    if !block.iter().fold(false, |any, candidate| any | (candidate & TAG_MASK == tag)) {
        return None;
    }
    let (words, _) = block.as_chunks::<4>();
    for (at, word) in words.iter().enumerate() {
        let mut equal = equal_lanes(word, tag);
        while equal != 0 {
            let index = at * 4 + (equal.trailing_zeros() / u16::BITS) as usize;
            if eq(&values[index]) {
                return Some(index);
            }
            equal &= equal - 1;
        }
    }
    None
}

/// Four tags in one word: the top bit of every lane that holds `tag`. A lane that differs is 1..=0x7fff after the XOR and
/// carries into its top bit, and never beyond.
#[inline]
fn equal_lanes(tags: &[u16; 4], tag: u16) -> u64 {
    const EACH: u64 = 0x0001_0001_0001_0001;
    const LOW: u64 = EACH * TAG_MASK as u64;
    let word = tags.iter().rev().fold(0, |word, tag| word << 16 | u64::from(*tag));
    !(((word & LOW) ^ (u64::from(tag) * EACH)) + LOW) & !LOW
}
