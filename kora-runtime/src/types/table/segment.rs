//! A few dozen values in dense order, each with its tag.
//!
//! Owns: the search by tag, how vectors grow and shrink. Refuses to know: what a tag is made of. Start at
//! [`Segment::find`].

/// The bits of a tag that come from the hash.
pub(super) const TAG_MASK: u16 = 0x7fff;

/// The bit of a tag that is the value's mark.
pub(super) const MARK: u16 = 0x8000;

/// Tags inside a segment, compared all at once; with them a segment is two cache lines.
const NEAR: usize = 48;

/// Values that a segment makes room for at once: little, for slack is memory that nobody uses.
const GROWTH: usize = 4;

/// Values and their tags. Tags of the first [`NEAR`] values are near; what stands there after the last value's tag is
/// left over and means nothing. A segment that is fuller than most has further tags elsewhere.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Segment<T> {
    near: [u16; NEAR],
    values: Vec<T>,
    far: Option<Box<Far>>,
}

/// The tags of the values from the [`NEAR`]th on.
#[derive(Debug, Clone, Default)]
struct Far {
    tags: Vec<u16>,
}

impl<T> Default for Segment<T> {
    fn default() -> Self {
        Self::with_room(0)
    }
}

impl<T> Segment<T> {
    fn with_room(room: usize) -> Self {
        Self { near: [0; NEAR], values: Vec::with_capacity(room), far: None }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    #[inline]
    pub(super) fn value_mut(&mut self, index: usize) -> &mut T {
        &mut self.values[index]
    }

    fn far_tags(&self) -> &[u16] {
        self.far.as_ref().map_or(&[], |far| &far.tags)
    }

    /// The tags of all values.
    pub(super) fn tags(&self) -> impl Iterator<Item = u16> {
        self.near[..self.len().min(NEAR)].iter().chain(self.far_tags()).copied()
    }

    #[inline]
    pub(super) fn tag(&self, index: usize) -> u16 {
        if index < NEAR { self.near[index] } else { self.far_tags()[index - NEAR] }
    }

    #[inline]
    pub(super) fn tag_mut(&mut self, index: usize) -> &mut u16 {
        if index < NEAR {
            return &mut self.near[index];
        }
        &mut self.far.as_mut().expect("a value past the near tags has a far one").tags[index - NEAR]
    }

    /// The first value with this tag that `eq` accepts.
    #[inline]
    pub(super) fn find(&self, tag: u16, mut eq: impl FnMut(&T) -> bool) -> Option<usize> {
        let index = first_equal(&self.near, tag);
        if index < NEAR {
            // A tag that is left over comes after the tags of all values.
            let value = self.values.get(index)?;
            return if eq(value) { Some(index) } else { self.find_from(index + 1, tag, eq) };
        }
        if self.far.is_some() { self.find_from(NEAR, tag, eq) } else { None }
    }

    /// The search among the rest of the tags: one in some dozens comes here.
    #[cold]
    fn find_from(&self, start: usize, tag: u16, mut eq: impl FnMut(&T) -> bool) -> Option<usize> {
        (start..self.len()).find(|index| self.tag(*index) & TAG_MASK == tag && eq(&self.values[*index]))
    }

    /// Adds a value; returns by how many bytes the segment grew.
    #[inline]
    pub(super) fn push(&mut self, tag: u16, value: T) -> usize {
        let before = self.heap_bytes();
        let len = self.values.len();
        if len == self.values.capacity() {
            self.values.reserve_exact(GROWTH);
        }
        self.values.push(value);
        if len < NEAR {
            self.near[len] = tag;
        } else {
            self.far.get_or_insert_default().tags.push(tag);
        }
        self.heap_bytes() - before
    }

    /// Takes a value out, the last one taking its place; returns its tag, itself, and by how many bytes the segment
    /// shrank.
    #[inline]
    pub(super) fn swap_remove(&mut self, index: usize) -> (u16, T, usize) {
        let before = self.heap_bytes();
        let last = self.tag(self.len() - 1);
        let tag = std::mem::replace(self.tag_mut(index), last);
        let value = self.values.swap_remove(index);
        self.fit_far();
        // Not earlier: allocators keep a block that is more than half used.
        if self.values.capacity() > 2 * self.values.len() + 2 * GROWTH {
            self.values.shrink_to(self.values.len() + GROWTH / 2);
        }
        (tag, value, before - self.heap_bytes())
    }

    /// Drops the far tags that no value has any more.
    #[inline]
    fn fit_far(&mut self) {
        if let Some(far) = &mut self.far {
            far.tags.truncate(self.values.len().saturating_sub(NEAR));
            if far.tags.is_empty() {
                self.far = None;
            }
        }
    }

    /// Hands all values from `from` on to `sink`, and returns how many of them were marked.
    pub(super) fn drain_from(&mut self, from: usize, sink: &mut impl FnMut(T)) -> usize {
        let marked = self.tags().skip(from).filter(|tag| tag & MARK != 0).count();
        self.values.drain(from..).for_each(sink);
        self.fit_far();
        marked
    }

    /// The values whose tags have `bit` 0, and those that have it 1; each in allocations of the right size.
    pub(super) fn split(self, bit: u16) -> (Self, Self) {
        let ones = self.tags().filter(|tag| tag & bit != 0).count();
        let mut low = Self::with_room(self.len() - ones + GROWTH / 2);
        let mut high = Self::with_room(ones + GROWTH / 2);
        let far = self.far.unwrap_or_default();
        for (tag, value) in self.near.iter().chain(&far.tags).zip(self.values) {
            let half = if tag & bit == 0 { &mut low } else { &mut high };
            half.push(*tag, value);
        }
        (low, high)
    }

    /// Adds all values of `other`.
    pub(super) fn append(&mut self, other: Self) {
        self.values.reserve_exact(other.len());
        let far = other.far.unwrap_or_default();
        for (tag, value) in other.near.iter().chain(&far.tags).zip(other.values) {
            self.push(*tag, value);
        }
    }

    /// Gives every value the tag that `tag_of` says; marks stay.
    pub(super) fn retag(&mut self, tag_of: impl Fn(&T) -> u16) {
        let far = self.far.iter_mut().flat_map(|far| &mut far.tags);
        for (tag, value) in self.near.iter_mut().chain(far).zip(&self.values) {
            *tag = (*tag & MARK) | tag_of(value);
        }
    }

    /// Number of marked values.
    pub(super) fn marked(&self) -> usize {
        self.tags().filter(|tag| tag & MARK != 0).count()
    }

    /// Bytes of its allocations.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        let far = self.far.as_ref().map_or(0, |far| size_of::<Far>() + far.tags.capacity() * size_of::<u16>());
        self.values.capacity() * size_of::<T>() + far
    }
}

/// The index of the first tag that equals `tag`, or [`NEAR`].
///
/// There is no branch in here, so that no search is mispredicted: it becomes some fifty vector instructions, which keep
/// the largest number of an equal tag, of numbers that fall from tag to tag.
#[inline]
fn first_equal(tags: &[u16; NEAR], tag: u16) -> usize {
    const NUMBERS: [i16; NEAR] = {
        let mut numbers = [0; NEAR];
        let mut index = 0;
        while index < NEAR {
            numbers[index] = (NEAR - index) as i16;
            index += 1;
        }
        numbers
    };
    let numbers =
        tags.iter().zip(NUMBERS).map(|(candidate, number)| if candidate & TAG_MASK == tag { number } else { 0 });
    NEAR - numbers.fold(0, i16::max) as usize
}
