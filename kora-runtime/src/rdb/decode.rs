//! From the bytes of a value to the value.
//!
//! Owns: which type of RDB becomes which of ours, and what is refused: everything that Redis would not have written. Refuses to know: keys,
//! files, how compact forms are walked (`kora-storage`). Start at [`ValueDecoder`]; streams are in `decode/stream.rs`.
//!
//! Values are made by the same constructors that commands use, so that their encodings are those that the settings ask for now.
//! A value is read element by element, or compact form by compact form: one that is large never lies in memory as it was written.

mod stream;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use ahash::RandomState;
use kora_storage::rdb::codes::{NODE_PACKED, NODE_PLAIN, types};
use kora_storage::rdb::file::{skip_groups, skip_module};
use kora_storage::rdb::unpack::{intset::Intset, listpack::Listpack, ziplist::Ziplist, zipmap::Zipmap};
use kora_storage::rdb::{Damage, Element, KeyHead, RdbError, Reader, Text};

use crate::config::Config;
use crate::keyspace::typed::{Hash, INLINE_STRING_BYTES_MAX, List, Set, Stream, Zset};
use crate::keyspace::{Detached, Draft, Kind};
use crate::shard::core::lfu;
use crate::types::packed::canonical_int;
use crate::types::{Big, Digits, End, Inserted, StreamId, ZsetRef};

/// What values are made with.
#[derive(Debug, Clone, Copy)]
pub struct DecodeOptions<'o> {
    /// The settings: how values are kept, which access clock there is.
    pub config: &'o Config,
    /// What members are hashed with.
    pub seeds: &'o RandomState,
    /// The time, in Unix milliseconds.
    pub now_ms: u64,
}

impl DecodeOptions<'_> {
    /// The access clock of a key by what was said of it, as Redis sets it: what the policy does not ask for is left out.
    pub fn access(&self, head: &KeyHead) -> u32 {
        let now_seconds = self.now_ms / 1000;
        if self.config.maxmemory_policy.is_lfu() {
            head.frequency.map_or_else(|| lfu::fresh(self.now_ms), |count| lfu::counted(self.now_ms, count))
        } else {
            now_seconds.saturating_sub(head.idle_seconds.unwrap_or(0)) as u32
        }
    }
}

/// What became of a value.
#[derive(Debug)]
pub enum Decoded {
    /// The value, without expiry, its access clock fresh.
    Value(Detached),
    /// It was read to its end, and there is nothing to keep.
    Skipped(Skipped),
}

/// Why a value was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// A collection without elements, as old versions of Redis left some behind.
    #[error("it is empty")]
    Empty,
    /// A stream with consumer groups, as many as this.
    #[error("the stream has {0} consumer groups, which are not supported")]
    Groups(u64),
    /// A value of the module of this name.
    #[error("it belongs to the module {0:?}, which is not supported")]
    Module(String),
}

/// A value that is being read.
#[derive(Debug)]
pub struct ValueDecoder<'o> {
    kind: u8,
    options: DecodeOptions<'o>,
    value: Value,
    /// Elements, pairs or compact forms that are still to come.
    left: u64,
    /// A field or member whose other half is being read.
    first: Vec<u8>,
    /// The text of an entry of a stream.
    entry: stream::EntryText,
    /// Members with the score -0 that came while the sorted set was small, and so lost its sign.
    unsigned: Vec<Box<[u8]>>,
    /// Offset of the value.
    start: u64,
}

/// What there is of a value.
#[derive(Debug)]
enum Value {
    Text(Detached),
    List(Draft<List>),
    Hash(Draft<Hash>),
    Set(Draft<Set>),
    Zset(Draft<Zset>),
    Stream(Draft<Stream>),
    Skipped(Skipped),
}

/// The bytes of an element.
#[inline]
fn bytes_of<'b>(element: Element<'b>, digits: &'b mut Digits) -> &'b [u8] {
    match element {
        Element::Bytes(bytes) => bytes,
        Element::Int(integer) => digits.format(integer).as_bytes(),
    }
}

impl<'o> ValueDecoder<'o> {
    /// Begins with a value of this type, to whose first byte `reader` points.
    ///
    /// # Errors
    /// When there is no such type, or the bytes are damaged.
    pub fn begin(kind: u8, reader: &mut Reader<'_>, options: DecodeOptions<'o>) -> Result<Self, RdbError> {
        let (start, seeds) = (reader.offset(), options.seeds);
        let value = match kind {
            types::STRING => Value::Text(detached(text_payload(reader)?, &options)),
            types::LIST | types::LIST_ZIPLIST | types::LIST_QUICKLIST | types::LIST_QUICKLIST_2 => {
                Value::List(Draft::new(seeds))
            }
            types::SET | types::SET_INTSET | types::SET_LISTPACK => Value::Set(Draft::new(seeds)),
            types::HASH | types::HASH_ZIPMAP | types::HASH_ZIPLIST | types::HASH_LISTPACK => {
                Value::Hash(Draft::new(seeds))
            }
            types::ZSET | types::ZSET_2 | types::ZSET_ZIPLIST | types::ZSET_LISTPACK => Value::Zset(Draft::new(seeds)),
            types::STREAM_LISTPACKS | types::STREAM_LISTPACKS_2 | types::STREAM_LISTPACKS_3 => {
                Value::Stream(Draft::new(seeds))
            }
            types::MODULE_2 => Value::Skipped(Skipped::Module(skip_module(reader)?)),
            types::MODULE => return Err(reader.error(Damage::Unreadable("a module's value without marks"))),
            other => return Err(reader.error(Damage::Type(other))),
        };
        let left = match kind {
            types::STRING | types::MODULE_2 => 0,
            types::LIST | types::SET | types::ZSET | types::ZSET_2 | types::HASH => reader.length()?,
            types::LIST_QUICKLIST | types::LIST_QUICKLIST_2 => reader.length()?,
            types::STREAM_LISTPACKS | types::STREAM_LISTPACKS_2 | types::STREAM_LISTPACKS_3 => reader.length()?,
            _ => 1,
        };
        let (first, entry, unsigned) = (Vec::new(), stream::EntryText::default(), Vec::new());
        Ok(Self { kind, options, value, left, first, entry, unsigned, start })
    }

    /// Reads up to `max` elements, pairs or compact forms. True while there is more.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn advance(&mut self, reader: &mut Reader<'_>, max: u64) -> Result<bool, RdbError> {
        let now = self.left.min(max);
        match self.kind {
            types::LIST => (0..now).try_for_each(|_| self.list_element(reader))?,
            types::SET => (0..now).try_for_each(|_| self.member(reader))?,
            types::HASH => (0..now).try_for_each(|_| self.pair(reader))?,
            types::ZSET | types::ZSET_2 => (0..now).try_for_each(|_| self.scored_member(reader))?,
            types::STRING | types::MODULE_2 => {}
            _ => {
                for _ in 0..now {
                    let start = reader.offset();
                    self.compact(reader, start)?;
                }
            }
        }
        self.left -= now;
        Ok(self.left > 0)
    }

    /// Reads what follows the last element.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn finish(mut self, reader: &mut Reader<'_>) -> Result<Decoded, RdbError> {
        assert!(self.left == 0, "a value is finished when all of it was read");
        if let Value::Stream(draft) = &mut self.value {
            let start = reader.offset();
            stream::finish(draft.open(), self.kind, reader)?.map_err(|damage| reader.error_at(start, damage))?;
            let groups = skip_groups(reader, self.kind)?;
            if groups > 0 {
                return Ok(Decoded::Skipped(Skipped::Groups(groups)));
            }
        }
        if let Value::Zset(draft) = &mut self.value
            && matches!(draft.view(), ZsetRef::Big(_))
        {
            // A big sorted set has the signs of its zeroes, whichever way it grew.
            let (mut zset, limits) = (draft.open(), self.options.config.zset_limits());
            for member in &self.unsigned {
                // A score that is equal would change nothing.
                zset.remove(member);
                zset.insert(member, -0.0, &limits);
            }
        }
        let access = self.options.access(&KeyHead::default());
        let (is_empty, value) = match self.value {
            Value::Text(value) => (false, value),
            Value::Skipped(why) => return Ok(Decoded::Skipped(why)),
            Value::List(draft) => (draft.view().is_empty(), draft.into_detached(access)),
            Value::Hash(draft) => (draft.view().is_empty(), draft.into_detached(access)),
            Value::Set(draft) => (draft.view().is_empty(), draft.into_detached(access)),
            Value::Zset(draft) => (draft.view().is_empty(), draft.into_detached(access)),
            // A stream without entries is a value all the same.
            Value::Stream(draft) => (false, draft.into_detached(access)),
        };
        Ok(if is_empty { Decoded::Skipped(Skipped::Empty) } else { Decoded::Value(value) })
    }

    fn list_element(&mut self, reader: &mut Reader<'_>) -> Result<(), RdbError> {
        let Value::List(draft) = &mut self.value else { unreachable!("elements are of lists") };
        let mut digits = Digits::new();
        let element = bytes_of(reader.string()?, &mut digits);
        draft.open().push(End::Back, element, &self.options.config.list_limits());
        Ok(())
    }

    fn member(&mut self, reader: &mut Reader<'_>) -> Result<(), RdbError> {
        let Value::Set(draft) = &mut self.value else { unreachable!("members are of sets") };
        let mut digits = Digits::new();
        let member = bytes_of(reader.string()?, &mut digits);
        if !draft.open().insert(member, &self.options.config.set_limits()) {
            return Err(reader.error(Damage::Duplicate("member of a set")));
        }
        Ok(())
    }

    fn first(&mut self, reader: &mut Reader<'_>) -> Result<(), RdbError> {
        let mut digits = Digits::new();
        self.first.clear();
        self.first.extend_from_slice(bytes_of(reader.string()?, &mut digits));
        Ok(())
    }

    fn pair(&mut self, reader: &mut Reader<'_>) -> Result<(), RdbError> {
        self.first(reader)?;
        let Value::Hash(draft) = &mut self.value else { unreachable!("pairs are of hashes") };
        let mut digits = Digits::new();
        let value = bytes_of(reader.string()?, &mut digits);
        if !draft.open().set(&self.first, value, &self.options.config.hash_limits()) {
            return Err(reader.error(Damage::Duplicate("field of a hash")));
        }
        Ok(())
    }

    fn scored_member(&mut self, reader: &mut Reader<'_>) -> Result<(), RdbError> {
        self.first(reader)?;
        let score = if self.kind == types::ZSET_2 { reader.double()? } else { reader.text_double()? };
        let Value::Zset(draft) = &mut self.value else { unreachable!("scores are of sorted sets") };
        if score == 0.0 && score.is_sign_negative() && matches!(draft.view(), ZsetRef::Packed(_)) {
            self.unsigned.push(self.first.as_slice().into());
        }
        score_member(draft, &self.first, score, &self.options).map_err(|damage| reader.error(damage))
    }

    /// Reads one compact form, or one element of a list that stands in its place.
    fn compact(&mut self, reader: &mut Reader<'_>, start: u64) -> Result<(), RdbError> {
        match self.kind {
            types::LIST_QUICKLIST_2 => match reader.length()? {
                NODE_PLAIN => return self.list_element(reader),
                NODE_PACKED => {}
                other => return Err(reader.error_at(start, Damage::Node(other))),
            },
            types::STREAM_LISTPACKS | types::STREAM_LISTPACKS_2 | types::STREAM_LISTPACKS_3 => self.first(reader)?,
            _ => {}
        }
        let Self { kind, options, value, first, entry, .. } = self;
        let bytes = reader.text()?;
        let outcome = match value {
            Value::List(draft) if *kind == types::LIST_QUICKLIST_2 => {
                Listpack::open(bytes).map(|pack| push_all(draft, pack.iter(), options))
            }
            Value::List(draft) => Ziplist::open(bytes).map(|pack| push_all(draft, pack.iter(), options)),
            Value::Set(draft) => add_members(draft, *kind, bytes, options),
            Value::Hash(draft) => match *kind {
                types::HASH_ZIPMAP => {
                    Zipmap::open(bytes).and_then(|pack| set_pairs(draft, pack.iter(), 2 * pack.len(), options))
                }
                types::HASH_ZIPLIST => {
                    Ziplist::open(bytes).and_then(|pack| set_pairs(draft, pack.iter(), pack.len(), options))
                }
                _ => Listpack::open(bytes).and_then(|pack| set_pairs(draft, pack.iter(), pack.len(), options)),
            },
            Value::Zset(draft) if *kind == types::ZSET_ZIPLIST => {
                Ziplist::open(bytes).and_then(|pack| score_pairs(draft, pack.iter(), pack.len(), options))
            }
            Value::Zset(draft) => {
                Listpack::open(bytes).and_then(|pack| score_pairs(draft, pack.iter(), pack.len(), options))
            }
            Value::Stream(draft) => {
                let limits = options.config.stream_limits();
                Listpack::open(bytes).and_then(|pack| stream::append_all(draft.open(), first, pack, entry, &limits))
            }
            Value::Text(_) | Value::Skipped(_) => unreachable!("neither has a compact form"),
        };
        outcome.map_err(|damage| reader.error_at(start, damage))
    }

    /// Offset of the value's first byte.
    pub fn start(&self) -> u64 {
        self.start
    }
}

/// The value of this type to whose first byte `reader` points.
///
/// # Errors
/// When there is no such type, or the bytes are damaged.
pub fn decode_value(kind: u8, reader: &mut Reader<'_>, options: DecodeOptions<'_>) -> Result<Decoded, RdbError> {
    let mut decoder = ValueDecoder::begin(kind, reader, options)?;
    while decoder.advance(reader, u64::MAX)? {}
    decoder.finish(reader)
}

/// A string as it will be kept.
pub(super) enum TextPayload<'r> {
    Int(i64),
    Inline(&'r [u8]),
    Big(Vec<u8>),
}

/// Reads a string as commands would store it.
#[inline]
pub(super) fn text_payload<'r>(reader: &'r mut Reader<'_>) -> Result<TextPayload<'r>, RdbError> {
    Ok(match reader.text_or_owned(INLINE_STRING_BYTES_MAX)? {
        Text::Shown(Element::Int(integer)) => TextPayload::Int(integer),
        Text::Shown(Element::Bytes(bytes)) => canonical_int(bytes).map_or(TextPayload::Inline(bytes), TextPayload::Int),
        Text::Owned(bytes) => TextPayload::Big(bytes),
    })
}

fn detached(text: TextPayload<'_>, options: &DecodeOptions<'_>) -> Detached {
    let (kind, inline, big): (_, Box<[u8]>, _) = match text {
        TextPayload::Int(integer) => (Kind::Int, Box::new(integer.to_le_bytes()), None),
        TextPayload::Inline(bytes) => (Kind::Str, bytes.into(), None),
        TextPayload::Big(bytes) => (Kind::StrBig, Box::default(), Some(Big::Str(bytes))),
    };
    let access = options.access(&KeyHead::default());
    Detached { kind, inline, big, expiry_ms: None, access, fenced: false, raw: false }
}

fn push_all<'e>(draft: &mut Draft<List>, elements: impl Iterator<Item = Element<'e>>, options: &DecodeOptions<'_>) {
    let (limits, mut digits) = (options.config.list_limits(), Digits::new());
    let mut list = draft.open();
    elements.for_each(|element| list.push(End::Back, bytes_of(element, &mut digits), &limits));
}

fn add_members(draft: &mut Draft<Set>, kind: u8, bytes: &[u8], options: &DecodeOptions<'_>) -> Result<(), Damage> {
    let (limits, mut digits) = (options.config.set_limits(), Digits::new());
    let mut set = draft.open();
    let mut add = |element| {
        let added = set.insert(bytes_of(element, &mut digits), &limits);
        if added { Ok(()) } else { Err(Damage::Duplicate("member of a set")) }
    };
    if kind == types::SET_INTSET {
        Intset::open(bytes)?.iter().map(Element::Int).try_for_each(&mut add)
    } else {
        Listpack::open(bytes)?.iter().try_for_each(&mut add)
    }
}

/// Elements two by two; `len` is how many they are.
fn pairs<'e>(
    mut elements: impl Iterator<Item = Element<'e>>,
    len: usize,
) -> Result<impl Iterator<Item = (Element<'e>, Element<'e>)>, Damage> {
    if !len.is_multiple_of(2) {
        return Err(Damage::Odd);
    }
    Ok(std::iter::from_fn(move || Some((elements.next()?, elements.next()?))))
}

fn set_pairs<'e>(
    draft: &mut Draft<Hash>,
    elements: impl Iterator<Item = Element<'e>>,
    len: usize,
    options: &DecodeOptions<'_>,
) -> Result<(), Damage> {
    let pairs = pairs(elements, len)?;
    let limits = options.config.hash_limits();
    let (mut field_digits, mut value_digits) = (Digits::new(), Digits::new());
    let mut hash = draft.open();
    for (field, value) in pairs {
        let (field, value) = (bytes_of(field, &mut field_digits), bytes_of(value, &mut value_digits));
        if !hash.set(field, value, &limits) {
            return Err(Damage::Duplicate("field of a hash"));
        }
    }
    Ok(())
}

fn score_pairs<'e>(
    draft: &mut Draft<Zset>,
    elements: impl Iterator<Item = Element<'e>>,
    len: usize,
    options: &DecodeOptions<'_>,
) -> Result<(), Damage> {
    let (mut digits, mut before_digits) = (Digits::new(), Digits::new());
    let mut before: Option<(f64, Element<'e>)> = None;
    for (member, score) in pairs(elements, len)? {
        let score = match score {
            Element::Int(integer) => integer as f64,
            Element::Bytes(text) => {
                std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Damage::Score)?
            }
        };
        let bytes = bytes_of(member, &mut digits);
        if let Some((score_before, member_before)) = before {
            let order = score_before.partial_cmp(&score).ok_or(Damage::Score)?;
            match order.then_with(|| bytes_of(member_before, &mut before_digits).cmp(bytes)) {
                Ordering::Less => {}
                Ordering::Equal => return Err(Damage::Duplicate("member of a sorted set")),
                Ordering::Greater => return Err(Damage::Order("the members of a sorted set")),
            }
        }
        score_member(draft, bytes, score, options)?;
        before = Some((score, member));
    }
    Ok(())
}

fn score_member(draft: &mut Draft<Zset>, member: &[u8], score: f64, options: &DecodeOptions<'_>) -> Result<(), Damage> {
    if score.is_nan() {
        return Err(Damage::Score);
    }
    match draft.open().insert(member, score, &options.config.zset_limits()) {
        Inserted::Added => Ok(()),
        Inserted::Changed | Inserted::Same => Err(Damage::Duplicate("member of a sorted set")),
    }
}

/// An id as it stands before a node of a stream: two numbers, high byte first.
fn stream_id(bytes: &[u8]) -> Option<StreamId> {
    let (ms, seq) = bytes.split_first_chunk()?;
    let seq: [u8; 8] = seq.try_into().ok()?;
    Some(StreamId::new(u64::from_be_bytes(*ms), u64::from_be_bytes(seq)))
}
