//! A block of a stream: entries side by side in one allocation.
//!
//! Owns: the bytes of an entry. Refuses to know: when a block is full, which blocks there are (`mod.rs`), the block's own id, which callers pass in.
//! Start at [`Block::push`] to write, at [`Block::entries`] to read.
//!
//! ```text
//! block:  names of the first entry's fields, packed elements │ entries…
//! entry:  bytes of the rest varint │ ms - ms of the block varint │ number varint │ names varint │ elements…
//! ```
//! The number is the difference to the block's where the milliseconds are the same, and stands for itself elsewhere. `names` is 0 when the fields are called as those
//! of the block's first entry: then the elements are values alone. Otherwise it is the number of fields, and the elements are name and value by turns.
//! The block's id is that of its first entry, which may have been removed since; no entry's is less.

use std::ops::Range;

use super::StreamId;
use crate::types::packed::{self, Element, Encoded, Packed};

/// Longest head of an entry, in bytes: three varints.
const HEAD_BYTES_MAX: usize = 30;

/// Some entries, and the names of the fields that most of them have.
#[derive(Debug, Clone)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where the entries begin.
    entries_at: u32,
    /// Fields of the first entry.
    names: u32,
    /// Entries that are there.
    len: u32,
    /// Entries that ever were: what has been removed still counts when the block fills up.
    placed: u32,
}

/// One entry of a stream, where it lies.
#[derive(Debug, Clone, Copy)]
pub struct StreamEntry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Number of its fields.
    pub fields: usize,
    /// Where the names are when they do not lie with the values.
    names: Option<&'a [u8]>,
    elements: &'a [u8],
}

impl<'a> StreamEntry<'a> {
    /// True when its fields are called as [`StreamBlock::names`] says.
    pub fn has_block_names(&self) -> bool {
        self.names.is_some()
    }

    /// What lies with it: its values when it has the names of its block, otherwise names and values by turns.
    pub fn elements(&self) -> Packed<'a> {
        Packed(self.elements)
    }

    /// Its fields, name and value, in the order in which they were given.
    pub fn pairs(&self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> + use<'a> {
        let Self { fields, names, elements, .. } = *self;
        let (mut name_at, mut at) = (0, 0);
        (0..fields).map(move |_| {
            let name = match names {
                Some(names) => {
                    let (name, end) = packed::decode(names, name_at);
                    name_at = end;
                    name
                }
                None => {
                    let (name, end) = packed::decode(elements, at);
                    at = end;
                    name
                }
            };
            let (value, end) = packed::decode(elements, at);
            at = end;
            (name, value)
        })
    }
}

/// Some entries that lie together.
#[derive(Debug, Clone, Copy)]
pub struct StreamBlock<'a> {
    /// The id that it is found by: of the first entry there was.
    pub base: StreamId,
    /// Number of its entries.
    pub len: usize,
    /// What most of its entries call their fields.
    pub names: Packed<'a>,
    block: &'a Block,
}

impl<'a> StreamBlock<'a> {
    pub(super) fn of(base: StreamId, block: &'a Block) -> Self {
        Self { base, len: block.len(), names: Packed(&block.bytes[..block.entries_at as usize]), block }
    }

    /// Number of [`names`](Self::names).
    pub fn names_len(&self) -> usize {
        self.block.names as usize
    }

    /// Its entries in order.
    pub fn entries(&self) -> impl Iterator<Item = StreamEntry<'a>> + use<'a> {
        self.block.entries(self.base)
    }
}

impl Block {
    /// A block for an entry with these field names, not yet with the entry.
    pub(super) fn new<'f>(names: impl Iterator<Item = &'f [u8]>) -> Self {
        let mut bytes = Vec::new();
        let mut count = 0;
        for name in names {
            packed::encode_into(&mut bytes, name);
            count += 1;
        }
        let entries_at = u32::try_from(bytes.len()).expect("a request is shorter than 4 GiB");
        Self { bytes, entries_at, names: count, len: 0, placed: 0 }
    }

    /// Entries that are there.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Entries that ever were.
    pub(super) fn placed(&self) -> usize {
        self.placed as usize
    }

    /// Bytes of names and entries.
    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of the allocation.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back what was allocated for entries to come.
    pub(super) fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Puts an entry behind the others. Its id is above theirs; there is at least one field.
    pub(super) fn push<'f, F>(&mut self, base: StreamId, id: StreamId, fields: F)
    where
        F: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        let count = fields.clone().count();
        let alike = self.has_names(count, fields.clone().map(|(name, _)| name));
        let mut head = Head::default();
        head.push(id.ms - base.ms);
        head.push(if id.ms == base.ms { id.seq - base.seq } else { id.seq });
        head.push(if alike { 0 } else { count as u64 });
        let elements = |(name, value)| {
            let name = if alike { 0 } else { Encoded::of(name).stored_len() };
            name + Encoded::of(value).stored_len()
        };
        let rest = head.bytes().len() + fields.clone().map(elements).sum::<usize>();
        let mut length = Head::default();
        length.push(rest as u64);
        self.bytes.reserve(length.bytes().len() + rest);
        self.bytes.extend_from_slice(length.bytes());
        self.bytes.extend_from_slice(head.bytes());
        for (name, value) in fields {
            if !alike {
                packed::encode_into(&mut self.bytes, name);
            }
            packed::encode_into(&mut self.bytes, value);
        }
        self.len += 1;
        self.placed += 1;
    }

    /// True when these are the names of the block's first entry, in its order.
    fn has_names<'f>(&self, count: usize, names: impl Iterator<Item = &'f [u8]>) -> bool {
        if count != self.names as usize {
            return false;
        }
        let mut rest = &self.bytes[..self.entries_at as usize];
        for name in names {
            let name = Encoded::of(name);
            if !name.starts(rest) {
                return false;
            }
            rest = &rest[name.stored_len()..];
        }
        true
    }

    /// The entries in order.
    pub(super) fn entries(&self, base: StreamId) -> impl Iterator<Item = StreamEntry<'_>> {
        self.places().map(move |place| self.entry(base, place))
    }

    /// The entries from the last to the first.
    pub(super) fn entries_backward(&self, base: StreamId) -> impl Iterator<Item = StreamEntry<'_>> {
        // Entries are read from the front only; a block is short, so that its places are found first.
        let places: Vec<Range<usize>> = self.places().collect();
        places.into_iter().rev().map(move |place| self.entry(base, place))
    }

    /// The last entry.
    pub(super) fn last(&self, base: StreamId) -> Option<StreamEntry<'_>> {
        self.places().last().map(|place| self.entry(base, place))
    }

    /// Removes the entry of this id. False when it is not there.
    pub(super) fn remove(&mut self, base: StreamId, id: StreamId) -> bool {
        let mut places = self.places();
        let Some(place) = places.find(|place| self.entry(base, place.clone()).id >= id) else { return false };
        if self.entry(base, place.clone()).id != id {
            return false;
        }
        drop(places);
        self.cut(place, 1);
        true
    }

    /// Removes entries from the front as long as `wanted` says so, and says how many.
    pub(super) fn remove_front(&mut self, base: StreamId, mut wanted: impl FnMut(StreamId) -> bool) -> usize {
        let mut end = self.entries_at as usize;
        let mut count = 0;
        for place in self.places() {
            if !wanted(self.entry(base, place.clone()).id) {
                break;
            }
            end = place.end;
            count += 1;
        }
        self.cut(self.entries_at as usize..end, count);
        count
    }

    fn cut(&mut self, place: Range<usize>, entries: usize) {
        self.bytes.drain(place);
        self.len -= entries as u32;
        if self.bytes.capacity() > 2 * self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
    }

    /// Where each entry lies, its length not included but at the end of the one before it.
    fn places(&self) -> impl Iterator<Item = Range<usize>> + use<'_> {
        let mut at = self.entries_at as usize;
        std::iter::from_fn(move || {
            if at == self.bytes.len() {
                return None;
            }
            let start = at;
            let (rest, body) = varint(&self.bytes, at);
            at = body + rest as usize;
            Some(start..at)
        })
    }

    fn entry(&self, base: StreamId, place: Range<usize>) -> StreamEntry<'_> {
        let (_, at) = varint(&self.bytes, place.start);
        let (ms, at) = varint(&self.bytes, at);
        let (seq, at) = varint(&self.bytes, at);
        let (own, at) = varint(&self.bytes, at);
        let id = StreamId::new(base.ms + ms, if ms == 0 { base.seq + seq } else { seq });
        let elements = &self.bytes[at..place.end];
        match own {
            0 => {
                let names = Some(&self.bytes[..self.entries_at as usize]);
                StreamEntry { id, fields: self.names as usize, names, elements }
            }
            fields => StreamEntry { id, fields: fields as usize, names: None, elements },
        }
    }
}

/// Varints one after another: seven bits a byte, the low ones first, the high bit set in all bytes but the last.
#[derive(Debug, Default)]
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    len: usize,
}

impl Head {
    fn push(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes[self.len] = number as u8 | 0x80;
            self.len += 1;
            number >>= 7;
        }
        self.bytes[self.len] = number as u8;
        self.len += 1;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The varint at an offset, and where it ends.
fn varint(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[at];
        at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (number, at);
        }
        shift += 7;
    }
}
