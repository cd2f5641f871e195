//! Lists.
//!
//! Owns: lists small enough to lie in their entry, and the step to a long one. Refuses to know: keys, blocked clients, replies.
//! Start at [`ListRef`] to read, at [`ListMut`] to change; a long list is a [`List`] (`big.rs`).
//!
//! ```text
//! payload of a small list:  nothing, or  number of elements u8 │ elements (run.rs)
//! ```

mod big;
mod chunk;
mod run;

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

pub use big::List;
use run::{Encoded, Run};

use super::big::{Big, Slab};
use super::packed::Element;
use super::value::ValueMut;
use crate::keyspace::entry::{Entry, Kind};

/// Largest small list: its number of elements is one byte.
const PACKED_ELEMENTS_MAX: usize = u8::MAX as usize;

/// One of the two ends of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Left, where index 0 is.
    Front,
    /// Right.
    Back,
}

/// Which way to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the front to the back.
    Forward,
    /// From the back to the front.
    Backward,
}

/// How large a list in an entry may be, and how a long one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListLimits {
    /// Bytes of a list in its entry.
    pub packed_bytes: usize,
    /// Elements of a list in its entry; 255 at most.
    pub packed_elements: usize,
    /// Bytes of a chunk of more than one element.
    pub chunk_bytes: usize,
    /// Elements of a chunk.
    pub chunk_elements: usize,
    /// Chunks at either end that are not compressed; 0: none are.
    pub compress_depth: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            packed_bytes: 512,
            packed_elements: 128,
            chunk_bytes: 8 * 1024,
            chunk_elements: usize::MAX,
            compress_depth: 2,
        }
    }
}

impl ListLimits {
    /// The same with chunks as Redis's `list-max-listpack-size` has it: -1 to -5 for 4 to 64 KiB, otherwise a number of elements.
    pub fn with_listpack_size(self, size: i64) -> Self {
        let (chunk_bytes, chunk_elements) = match size {
            ..=0 => (2048 << size.unsigned_abs().clamp(1, 5), usize::MAX),
            _ => (8 * 1024, usize::try_from(size).unwrap_or(usize::MAX)),
        };
        Self { chunk_bytes, chunk_elements, ..self }
    }
}

/// One element that was asked for: where it lies, or a copy of what lay compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched<'a> {
    /// As it is stored.
    Stored(Element<'a>),
    /// Its bytes.
    Copied(Vec<u8>),
}

impl<'a> Fetched<'a> {
    /// Its bytes.
    pub fn into_cow(self) -> Cow<'a, [u8]> {
        match self {
            Self::Stored(element) => element.as_cow(),
            Self::Copied(bytes) => Cow::Owned(bytes),
        }
    }
}

/// A list to read.
#[derive(Debug, Clone, Copy)]
pub enum ListRef<'a> {
    /// The payload of its entry.
    Packed(&'a [u8]),
    /// A long one.
    Big(&'a List),
}

/// The elements of a small list.
#[inline]
fn packed_run(payload: &[u8]) -> Run<'_> {
    match payload.split_first() {
        Some((&count, bytes)) => Run { bytes, count: usize::from(count) },
        None => Run { bytes: &[], count: 0 },
    }
}

impl<'a> ListRef<'a> {
    /// The list that `entry` holds; `None` when it holds another type.
    #[inline]
    pub fn open(entry: &'a Entry, bigs: &'a Slab<Big>) -> Option<Self> {
        match entry.kind() {
            Kind::ListPacked => Some(Self::Packed(entry.payload())),
            Kind::ListBig => match bigs.get(entry.handle()) {
                Big::List(list) => Some(Self::Big(list)),
                other => unreachable!("the handle of a list names {other:?}"),
            },
            _ => None,
        }
    }

    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Packed(payload) => packed_run(payload).count,
            Self::Big(list) => list.len(),
        }
    }

    /// True without elements.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at an index.
    pub fn get(self, index: usize) -> Option<Fetched<'a>> {
        match self {
            Self::Packed(payload) => {
                let run = packed_run(payload);
                (index < run.count).then(|| Fetched::Stored(run.element(run.offset(index)).0))
            }
            Self::Big(list) => list.get(index),
        }
    }

    /// Shows the elements at these indices, in order or backwards, until told to stop. Indices past the end are left out.
    #[inline]
    pub fn visit_while(
        self,
        indices: Range<usize>,
        direction: Direction,
        mut visit: impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) {
        match self {
            Self::Packed(payload) => {
                let run = packed_run(payload);
                let end = indices.end.min(run.count);
                let _ = run.visit(indices.start.min(end)..end, direction, &mut visit);
            }
            Self::Big(list) => list.visit(indices, direction, &mut visit),
        }
    }

    /// Shows the elements at these indices, in order or backwards. Indices past the end are left out.
    #[inline]
    pub fn visit(self, indices: Range<usize>, direction: Direction, mut visit: impl FnMut(Element<'_>)) {
        self.visit_while(indices, direction, |element| {
            visit(element);
            ControlFlow::Continue(())
        });
    }

    /// Shows the index of each element at these indices that equals `element`, in order or backwards, until told to stop.
    pub fn search(
        self,
        indices: Range<usize>,
        direction: Direction,
        element: &[u8],
        mut found: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        match self {
            Self::Packed(payload) => {
                let run = packed_run(payload);
                let wanted = Encoded::new(element).to_vec();
                let end = indices.end.min(run.count);
                let _ = run.walk(indices.start.min(end)..end, direction, |index, bytes| {
                    if run.bytes[bytes] == wanted[..] { found(index) } else { ControlFlow::Continue(()) }
                });
            }
            Self::Big(list) => list.search(indices, direction, element, &mut found),
        }
    }

    /// The index of the first element that equals `element`.
    pub fn position(self, element: &[u8]) -> Option<usize> {
        let mut position = None;
        self.search(0..self.len(), Direction::Forward, element, |index| {
            position = Some(index);
            ControlFlow::Break(())
        });
        position
    }
}

/// A list to change. One that has become empty is for the caller to delete.
#[derive(Debug)]
pub struct ListMut<'a>(ValueMut<'a>);

impl<'a> ListMut<'a> {
    /// The list that the entry of `value` holds; `None` when it holds another type. A new list is [`Kind::ListPacked`] with an empty
    /// payload.
    #[inline]
    pub fn open(value: ValueMut<'a>) -> Option<Self> {
        matches!(value.entry.kind(), Kind::ListPacked | Kind::ListBig).then_some(Self(value))
    }

    /// The same list, to read.
    #[inline]
    pub fn as_ref(&self) -> ListRef<'_> {
        ListRef::open(self.0.entry, self.0.bigs).expect("`open` saw a list")
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// True when there is no element: the key is to be deleted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, element: &[u8], limits: &ListLimits) {
        let encoded = Encoded::new(element);
        if let Some(list) = self.big_for(encoded.len(), limits) {
            return list.push_encoded(end, &encoded);
        }
        let run = self.run();
        let (at, count) = (if end == End::Front { 0 } else { run.bytes.len() }, run.count);
        self.splice(at..at, encoded.parts(), count + 1);
    }

    /// Takes an element from an end, once `take` has seen it.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        if let Some(list) = self.big() {
            return list.pop(end, take);
        }
        let run = self.run();
        if run.count == 0 {
            return None;
        }
        let range = match end {
            End::Front => 0..run.end_of(0),
            End::Back => run.start_of(run.bytes.len())..run.bytes.len(),
        };
        let result = take(run.element(range.start).0);
        let count = run.count - 1;
        self.splice(range, [&[]; 3], count);
        Some(result)
    }

    /// Replaces the element at an index. False when there is none.
    pub fn set(&mut self, index: usize, element: &[u8], limits: &ListLimits) -> bool {
        if let Some(list) = self.big() {
            return list.set(index, element);
        }
        let run = self.run();
        if index >= run.count {
            return false;
        }
        let encoded = Encoded::new(element);
        let at = run.offset(index);
        let (range, count) = (at..run.end_of(at), run.count);
        if 1 + run.bytes.len() - range.len() + encoded.len() > limits.packed_bytes {
            return self.grow_big(limits).set(index, element);
        }
        self.splice(range, encoded.parts(), count);
        true
    }

    /// Puts an element before the one at `index`, or at the back when there is none.
    pub fn insert(&mut self, index: usize, element: &[u8], limits: &ListLimits) {
        let encoded = Encoded::new(element);
        if let Some(list) = self.big_for(encoded.len(), limits) {
            return list.insert(index, element);
        }
        let run = self.run();
        let (at, count) = (run.offset(index.min(run.count)), run.count);
        self.splice(at..at, encoded.parts(), count + 1);
    }

    /// Takes out up to `count` elements that equal `element`, the first ones or the last ones, and says how many.
    pub fn remove(&mut self, element: &[u8], count: usize, direction: Direction) -> usize {
        if let Some(list) = self.big() {
            return list.remove(element, count, direction);
        }
        let run = self.run();
        let found = run.find_all(&Encoded::new(element).to_vec(), count, direction);
        if !found.is_empty() {
            let kept = run.without(&found);
            let (len, count) = (run.bytes.len(), run.count - found.len());
            self.splice(0..len, [&kept, &[], &[]], count);
        }
        found.len()
    }

    /// Keeps the elements at these indices and drops the others.
    pub fn keep(&mut self, indices: Range<usize>) {
        if let Some(list) = self.big() {
            return list.keep(indices);
        }
        let run = self.run();
        let end = indices.end.min(run.count);
        let start = indices.start.min(end);
        if end - start < run.count {
            let kept = run.bytes[run.offset(start)..run.offset(end)].to_vec();
            let len = run.bytes.len();
            self.splice(0..len, [&kept, &[], &[]], end - start);
        }
    }

    /// The long list, if it is one or has to be one to take another element of `added` bytes.
    #[inline]
    fn big_for(&mut self, added: usize, limits: &ListLimits) -> Option<&mut List> {
        if self.0.entry.kind() == Kind::ListPacked {
            let len = self.0.entry.payload().len().max(1) + added;
            if len <= limits.packed_bytes && self.run().count < limits.packed_elements.min(PACKED_ELEMENTS_MAX) {
                return None;
            }
            return Some(self.grow_big(limits));
        }
        self.big()
    }

    /// The long list, if it is one.
    #[inline]
    fn big(&mut self) -> Option<&mut List> {
        if self.0.entry.kind() == Kind::ListPacked {
            return None;
        }
        match self.0.big_mut() {
            Big::List(list) => Some(list),
            other => unreachable!("the handle of a list names {other:?}"),
        }
    }

    fn grow_big(&mut self, limits: &ListLimits) -> &mut List {
        let list = List::from_run(self.run(), limits);
        self.0.promote(Kind::ListBig, Big::List(Box::new(list)));
        self.big().expect("it was made a long list")
    }

    /// The elements of a small list.
    #[inline]
    fn run(&self) -> Run<'_> {
        packed_run(self.0.entry.payload())
    }

    /// Replaces a range of a small list's bytes, after which there are `count` elements.
    fn splice(&mut self, range: Range<usize>, [a, b, c]: [&[u8]; 3], count: usize) {
        if self.0.entry.payload().is_empty() {
            return self.0.entry.splice_payload(0..0, &[&[count as u8], a, b, c]);
        }
        self.0.entry.payload_mut()[0] = count as u8;
        self.0.entry.splice_payload(range.start + 1..range.end + 1, &[a, b, c]);
    }
}

#[cfg(test)]
mod tests;
