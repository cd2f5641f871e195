//! A long list: a deque of packed chunks, the inner ones compressed.
//!
//! Owns: which chunk an element is in, when chunks are made, cut, joined, sealed. Refuses to know: how a chunk keeps its bytes
//! (`chunk.rs`), small lists inside an entry (`mod.rs`). Start at [`List::push`] and [`List::visit`].
//!
//! Invariants: no chunk is empty, none but a single large element is larger than `chunk_bytes`. Chunks nearer than `compress_depth` to an
//! end are plain from the moment they are pushed to or popped from; the others are sealed once they are not being changed: of those at
//! most one, `opened`, is plain because it was changed last.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use crate::types::packed::Element;

use super::chunk::Chunk;
use super::run::{Encoded, Run};
use super::{Direction, End, Fetched, ListLimits};

/// No chunk.
const NONE: u32 = u32::MAX;

/// A list too large for its entry.
#[derive(Debug, Clone)]
pub struct List {
    chunks: VecDeque<Chunk>,
    len: usize,
    chunk_bytes: u32,
    chunk_elements: u32,
    compress_depth: u32,
    /// The inner chunk that was changed last. A hint: at worst a chunk stays plain that need not.
    opened: u32,
}

impl List {
    /// An empty list. What `limits` says about chunks is kept for good.
    pub fn new(limits: &ListLimits) -> Self {
        let narrow = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
        Self {
            chunks: VecDeque::new(),
            len: 0,
            chunk_bytes: narrow(limits.chunk_bytes),
            chunk_elements: narrow(limits.chunk_elements.max(1)),
            compress_depth: narrow(limits.compress_depth),
            opened: NONE,
        }
    }

    /// A list of one chunk with these elements.
    pub(super) fn from_run(run: Run<'_>, limits: &ListLimits) -> Self {
        let mut list = Self::new(limits);
        if run.count > 0 {
            list.len = run.count;
            list.chunks.push_back(Chunk::from_run(run));
        }
        list
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, element: &[u8]) {
        let element = Encoded::new(element);
        self.push_encoded(end, &element);
    }

    #[inline]
    pub(super) fn push_encoded(&mut self, end: End, element: &Encoded<'_>) {
        let at = self.end_chunk(end);
        if !at.is_some_and(|at| self.fits(at, element)) {
            self.add_chunk(end);
        }
        let alone = self.chunks.len() == 1;
        let bytes_max = self.chunk_bytes as usize;
        let chunk = match end {
            End::Front => self.chunks.front_mut(),
            End::Back => self.chunks.back_mut(),
        };
        let chunk = chunk.expect("a chunk was added when there was none");
        chunk.open().push(end, element, bytes_max, alone);
        self.len += 1;
    }

    /// Takes an element from an end, once `take` has seen it.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let alone = self.chunks.len() == 1;
        let chunk = match end {
            End::Front => self.chunks.front_mut(),
            End::Back => self.chunks.back_mut(),
        }?;
        let result = chunk.open().pop(end, take);
        self.len -= 1;
        if chunk.count() == 0 {
            self.drop_chunk(end);
        } else if alone {
            chunk.shrink();
        }
        Some(result)
    }

    /// The element at an index.
    pub fn get(&self, index: usize) -> Option<Fetched<'_>> {
        let (at, index) = self.locate(index)?;
        let chunk = &self.chunks[at];
        if let Some(run) = chunk.plain() {
            return Some(Fetched::Stored(run.element(run.offset(index)).0));
        }
        let mut scratch = Vec::new();
        let run = chunk.view(&mut scratch);
        let mut copy = Vec::new();
        run.element(run.offset(index)).0.write_to(&mut copy);
        Some(Fetched::Copied(copy))
    }

    /// Shows the elements at these indices, which must exist, in order or backwards.
    pub fn visit(
        &self,
        indices: Range<usize>,
        direction: Direction,
        visit: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) {
        let _ = self.each_run(indices, direction, |run, _, local| run.visit(local, direction, visit));
    }

    /// Shows the index of each element at these indices that equals `element`.
    pub fn search(
        &self,
        indices: Range<usize>,
        direction: Direction,
        element: &[u8],
        found: &mut impl FnMut(usize) -> ControlFlow<()>,
    ) {
        let wanted = Encoded::new(element).to_vec();
        let _ = self.each_run(indices, direction, |run, base, local| {
            run.walk(local, direction, |index, bytes| {
                if run.bytes[bytes] == wanted[..] { found(base + index) } else { ControlFlow::Continue(()) }
            })
        });
    }

    /// Replaces the element at an index. False when there is none.
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let Some((at, local)) = self.locate(index) else { return false };
        let encoded = Encoded::new(element);
        let chunk_bytes = self.chunk_bytes as usize;
        let chunk = self.edit(at);
        let run = chunk.plain().expect("a chunk that is edited is plain");
        let start = run.offset(local);
        let range = start..run.end_of(start);
        let count = run.count;
        if count == 1 || run.bytes.len() - range.len() + encoded.len() <= chunk_bytes {
            chunk.splice(range, 1, &encoded.parts(), 1);
        } else {
            chunk.splice(range, 1, &[], 0);
            self.len -= 1;
            self.insert_in(at, start, local, &encoded);
        }
        true
    }

    /// Puts an element before the one at `index`, or behind the last one.
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        let encoded = Encoded::new(element);
        match self.locate(index) {
            _ if index == 0 => self.push_encoded(End::Front, &encoded),
            None => self.push_encoded(End::Back, &encoded),
            Some((at, local)) => self.insert_before(at, local, &encoded),
        }
    }

    /// Puts an element before the element `local` of the chunk `at`, which is not the first of the list.
    fn insert_before(&mut self, at: usize, local: usize, encoded: &Encoded<'_>) {
        if local == 0 && !self.fits(at, encoded) && self.fits(at - 1, encoded) {
            let chunk = self.edit(at - 1);
            let end = chunk.raw_len();
            chunk.splice(end..end, 0, &encoded.parts(), 1);
            self.len += 1;
            return;
        }
        let offset = self.edit(at).plain().expect("a chunk that is edited is plain").offset(local);
        self.insert_in(at, offset, local, encoded);
    }

    /// Puts an element into a chunk that is being edited, before the element `index` of it, which begins at `offset`.
    fn insert_in(&mut self, at: usize, offset: usize, index: usize, element: &Encoded<'_>) {
        self.len += 1;
        if self.fits(at, element) {
            return self.chunks[at].splice(offset..offset, 0, &element.parts(), 1);
        }
        let count = self.chunks[at].count();
        if index > 0 && index < count {
            let right = self.chunks[at].split_off(offset, index);
            self.add_inner_chunk(at + 1, right);
            let left_end = self.chunks[at].raw_len();
            if self.fits(at, element) {
                return self.chunks[at].splice(left_end..left_end, 0, &element.parts(), 1);
            }
            if self.fits(at + 1, element) {
                return self.edit(at + 1).splice(0..0, 0, &element.parts(), 1);
            }
        }
        if index == count && at + 1 < self.chunks.len() && self.fits(at + 1, element) {
            return self.edit(at + 1).splice(0..0, 0, &element.parts(), 1);
        }
        // Before a chunk when the place is its first, else behind it: then it is the last place or the chunk was cut there.
        let at = if index == 0 { at } else { at + 1 };
        self.add_inner_chunk(at, Chunk::default());
        self.edit(at).splice(0..0, 0, &element.parts(), 1);
    }

    /// Takes out up to `count` elements that equal `element`, the first ones or the last ones, and says how many.
    pub fn remove(&mut self, element: &[u8], count: usize, direction: Direction) -> usize {
        let wanted = Encoded::new(element).to_vec();
        let mut scratch = Vec::new();
        let mut changed = Vec::new();
        let mut left = count;
        for step in 0..self.chunks.len() {
            if left == 0 {
                break;
            }
            let at = match direction {
                Direction::Forward => step,
                Direction::Backward => self.chunks.len() - 1 - step,
            };
            let found = self.chunks[at].view(&mut scratch).find_all(&wanted, left, direction);
            if !found.is_empty() {
                left -= found.len();
                self.chunks[at].open().remove(&found);
                changed.push(at);
            }
        }
        let removed = count - left;
        self.len -= removed;
        if changed.len() <= 8 {
            changed.sort_unstable();
            changed.into_iter().rev().for_each(|at| self.tidy_at(at));
        } else {
            self.tidy();
        }
        removed
    }

    /// Keeps the elements at these indices and drops the others.
    pub fn keep(&mut self, indices: Range<usize>) {
        let end = indices.end.min(self.len);
        let start = indices.start.min(end);
        self.cut(End::Back, self.len - end);
        self.cut(End::Front, start);
    }

    /// Drops `count` elements at an end.
    fn cut(&mut self, end: End, count: usize) {
        let mut left = count;
        self.len -= count;
        while left > 0 {
            let at = self.end_chunk(end).expect("there are as many elements as the length says");
            let chunk = &mut self.chunks[at];
            let in_chunk = chunk.count();
            if in_chunk <= left {
                left -= in_chunk;
                self.drop_chunk(end);
            } else {
                let index = match end {
                    End::Front => left,
                    End::Back => in_chunk - left,
                };
                chunk.open().cut(end, index);
                chunk.shrink();
                left = 0;
            }
        }
    }

    /// Drops chunks with about `max` elements and says whether any are left. The list stays a list.
    pub fn drain_some(&mut self, max: usize) -> bool {
        let mut dropped = 0;
        while dropped < max
            && let Some(chunk) = self.chunks.pop_back()
        {
            dropped += chunk.count();
            self.len -= chunk.count();
        }
        !self.chunks.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>() + self.chunks.iter().map(Chunk::heap_bytes).sum::<usize>()
    }

    /// Number of chunks: stretches of elements that lie together.
    pub fn chunks_len(&self) -> usize {
        self.chunks.len()
    }

    /// Number of elements of a chunk, by its index.
    pub fn chunk_len(&self, chunk: usize) -> usize {
        self.chunks[chunk].count()
    }

    /// Shows the elements of a chunk, by its index. A compressed one is decompressed into `scratch`.
    pub fn visit_chunk(&self, chunk: usize, scratch: &mut Vec<u8>, mut visit: impl FnMut(Element<'_>)) {
        let run = self.chunks[chunk].view(scratch);
        let _ = run.visit(0..run.count, Direction::Forward, &mut |element| {
            visit(element);
            ControlFlow::Continue(())
        });
    }

    #[cfg(test)]
    pub(super) fn chunks(&self) -> impl ExactSizeIterator<Item = &Chunk> {
        self.chunks.iter()
    }

    #[inline]
    fn end_chunk(&self, end: End) -> Option<usize> {
        match end {
            End::Front => (!self.chunks.is_empty()).then_some(0),
            End::Back => self.chunks.len().checked_sub(1),
        }
    }

    /// True when an element may still be added to a chunk.
    #[inline]
    fn fits(&self, at: usize, element: &Encoded<'_>) -> bool {
        let chunk = &self.chunks[at];
        let count = chunk.count();
        count == 0
            || (chunk.raw_len() + element.len() <= self.chunk_bytes as usize && count < self.chunk_elements as usize)
    }

    /// The chunk of an element and its index there, counted from the nearer end.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (at, chunk) in self.chunks.iter().enumerate() {
                match left.checked_sub(chunk.count()) {
                    Some(rest) => left = rest,
                    None => return Some((at, left)),
                }
            }
        } else {
            let mut end = self.len;
            for (at, chunk) in self.chunks.iter().enumerate().rev() {
                end -= chunk.count();
                if index >= end {
                    return Some((at, index - end));
                }
            }
        }
        unreachable!("the counts of the chunks add up to the length")
    }

    /// Shows the runs that these indices lie in: the run, the index of its first element, the indices within it.
    fn each_run(
        &self,
        indices: Range<usize>,
        direction: Direction,
        mut visit: impl FnMut(Run<'_>, usize, Range<usize>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let indices = indices.start..indices.end.min(self.len);
        if indices.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut scratch = Vec::new();
        match direction {
            Direction::Forward => {
                let (first, local) = self.locate(indices.start).expect("the range was cut to the length");
                let mut base = indices.start - local;
                for chunk in self.chunks.range(first..) {
                    if base >= indices.end {
                        break;
                    }
                    let local = indices.start.saturating_sub(base)..(indices.end - base).min(chunk.count());
                    visit(chunk.view(&mut scratch), base, local)?;
                    base += chunk.count();
                }
            }
            Direction::Backward => {
                let (last, local) = self.locate(indices.end - 1).expect("the range was cut to the length");
                let mut end = indices.end - 1 - local + self.chunks[last].count();
                for chunk in self.chunks.range(..=last).rev() {
                    if end <= indices.start {
                        break;
                    }
                    let base = end - chunk.count();
                    let local = indices.start.saturating_sub(base)..(indices.end - base).min(chunk.count());
                    visit(chunk.view(&mut scratch), base, local)?;
                    end = base;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// A chunk to be changed: made plain; the inner chunk that was changed before is sealed again.
    fn edit(&mut self, at: usize) -> &mut Chunk {
        let before = std::mem::replace(&mut self.opened, at as u32);
        if before != at as u32 {
            self.seal(before as usize);
        }
        self.chunks[at].open()
    }

    /// Seals a chunk when it is an inner one.
    fn seal(&mut self, at: usize) {
        let depth = self.compress_depth as usize;
        if depth > 0 && at >= depth && at.saturating_add(depth) < self.chunks.len() && !self.chunks[at].is_sealed() {
            self.chunks[at].seal();
        }
    }

    /// Adds an empty chunk at an end; the one that becomes an inner one by that is sealed.
    fn add_chunk(&mut self, end: End) {
        let depth = self.compress_depth as usize;
        let len = self.chunks.len();
        match end {
            End::Front => {
                if let Some(chunk) = self.chunks.front_mut() {
                    chunk.trim_slack();
                }
                self.chunks.push_front(Chunk::default());
                self.opened = self.opened.saturating_add(1);
                self.seal(depth);
            }
            End::Back => {
                if let Some(chunk) = self.chunks.back_mut() {
                    chunk.trim_slack();
                }
                self.chunks.push_back(Chunk::default());
                self.seal(len.saturating_sub(depth));
            }
        }
    }

    /// Puts a chunk before the chunk `at`; of those that moves inwards, none is sealed that is being cut right now.
    fn add_inner_chunk(&mut self, at: usize, chunk: Chunk) {
        self.chunks.insert(at, chunk);
        if self.opened != NONE && self.opened as usize >= at {
            self.opened += 1;
        }
        let depth = self.compress_depth as usize;
        for inner in [depth, self.chunks.len().saturating_sub(1 + depth)] {
            if inner.abs_diff(at) > 1 {
                self.seal(inner);
            }
        }
    }

    /// Drops the chunk at an end.
    fn drop_chunk(&mut self, end: End) {
        match end {
            End::Front => {
                self.chunks.pop_front();
                self.opened = if self.opened == NONE { NONE } else { self.opened.checked_sub(1).unwrap_or(NONE) };
            }
            End::Back => {
                self.chunks.pop_back();
            }
        }
        if self.chunks.capacity() > 16 && self.chunks.len() < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
    }

    /// After elements went from a chunk: drops it when it is empty, joins it with a neighbour when both fit into one, seals what is
    /// an inner one.
    fn tidy_at(&mut self, at: usize) {
        self.opened = NONE;
        if self.chunks[at].count() == 0 {
            self.chunks.remove(at);
            return;
        }
        let joined = self.join(at) || (at > 0 && self.join(at - 1));
        if !joined || at < self.chunks.len() {
            self.seal(at);
        }
        self.seal(at.saturating_sub(1));
    }

    /// Joins a chunk and the next one when they fit into one.
    fn join(&mut self, at: usize) -> bool {
        let Some(next) = self.chunks.get(at + 1) else { return false };
        if !self.may_join(&self.chunks[at], next) {
            return false;
        }
        let mut next = self.chunks.remove(at + 1).expect("it was just looked at");
        self.chunks[at].open().append(next.open());
        true
    }

    fn may_join(&self, left: &Chunk, right: &Chunk) -> bool {
        left.raw_len() + right.raw_len() <= self.chunk_bytes as usize
            && left.count() + right.count() <= self.chunk_elements as usize
    }

    /// After elements went from many chunks: drops the empty ones, joins changed ones with their neighbours where they fit into
    /// one, seals the inner ones.
    fn tidy(&mut self) {
        self.opened = NONE;
        self.chunks.retain(|chunk| chunk.count() > 0);
        let mut joined: VecDeque<Chunk> = VecDeque::with_capacity(self.chunks.len());
        for mut chunk in std::mem::take(&mut self.chunks) {
            if let Some(last) = joined.back_mut()
                && (!last.is_sealed() || !chunk.is_sealed())
                && self.may_join(last, &chunk)
            {
                last.open().append(chunk.open());
            } else {
                joined.push_back(chunk);
            }
        }
        joined.shrink_to(joined.len() * 2);
        self.chunks = joined;
        for at in 0..self.chunks.len() {
            self.seal(at);
        }
    }
}
