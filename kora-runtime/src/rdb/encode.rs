//! Values written as RDB.
//!
//! Owns: which type of RDB a value becomes, and its bytes. Refuses to know: files, keys that are not to be written (expired ones,
//! fenced ones), the way back. Start at [`ValueEncoder::encode_some`].
//!
//! | value | type |
//! |---|---|
//! | string | STRING |
//! | list | LIST_QUICKLIST_2: a node for each chunk, a plain one for an element of more than [`PLAIN_BYTES_MIN`] bytes |
//! | hash | HASH_LISTPACK when packed, else HASH |
//! | set | SET_INTSET when of integers, else SET (Redis 7.0 knows no packed one) |
//! | sorted set | ZSET_LISTPACK when packed, else ZSET_2, highest score first, as Redis fills its skip list fastest |
//! | stream | STREAM_LISTPACKS_2: a listpack for each block, no consumer groups |

mod stream;
#[cfg(test)]
mod tests;

use kora_storage::rdb::Checksum;
use kora_storage::rdb::codes::{NODE_PACKED, NODE_PLAIN, VERSION, types};
use kora_storage::rdb::listpack::ListpackWriter;
use kora_storage::rdb::write::{self, StringWriter, write_length};

use super::ValueView;
use crate::config::MaxmemoryPolicy;
use crate::keyspace::typed::StrRef;
use crate::resp::number::write_f64;
use crate::shard::core::lfu;
use crate::types::set::ints::Ints;
use crate::types::{Direction, Element, HashRef, List, ListRef, Packed, SetRef, StreamId, ZsetPacked, ZsetRef};

/// An element that has a node of a list to itself and is longer than this, in bytes, is written as it is.
pub const PLAIN_BYTES_MIN: usize = 8 << 10;

/// Strings up to this length, in bytes, are written in one go, however little room there is.
const WHOLE_STRING_BYTES_MAX: usize = 64 << 10;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Strings are compressed when that saves something (`rdbcompression`).
    pub compress: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { compress: true }
    }
}

/// What a file says about how much a key is used, so that eviction goes on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Nothing: no policy asks for it.
    Untold,
    /// Seconds since it was used last.
    Idle(u64),
    /// How often it is used.
    Frequency(u8),
}

impl Usage {
    /// What a policy needs to know of an entry's access clock. `decay_minutes` is `lfu-decay-time`.
    #[inline]
    pub fn of(access: u32, policy: MaxmemoryPolicy, decay_minutes: u64, now_ms: u64) -> Self {
        if policy.is_lfu() {
            Self::Frequency(lfu::count(access, now_ms, decay_minutes) as u8)
        } else if policy.is_lru() {
            Self::Idle((now_ms / 1000).saturating_sub(u64::from(access)))
        } else {
            Self::Untold
        }
    }
}

/// The type of RDB that a value is written as.
#[inline]
pub fn value_type(value: ValueView<'_>) -> u8 {
    match value {
        ValueView::Str(_) => types::STRING,
        ValueView::List(_) => types::LIST_QUICKLIST_2,
        ValueView::Hash(HashRef::Packed(_)) => types::HASH_LISTPACK,
        ValueView::Hash(HashRef::Big(_)) => types::HASH,
        ValueView::Set(SetRef::Ints(_)) => types::SET_INTSET,
        ValueView::Set(_) => types::SET,
        ValueView::Zset(ZsetRef::Packed(_)) => types::ZSET_LISTPACK,
        ValueView::Zset(ZsetRef::Big(_)) => types::ZSET_2,
        ValueView::Stream(_) => types::STREAM_LISTPACKS_2,
    }
}

/// Appends a value without its type. Whoever writes many values keeps a [`ValueEncoder`].
pub fn encode_value(out: &mut Vec<u8>, value: ValueView<'_>, options: EncodeOptions) {
    ValueEncoder::new(options).encode(out, value);
}

/// A value as DUMP replies it: its type, itself, the version as u16 LE, the CRC-64 of all that as u64 LE.
pub fn dump_payload(value: ValueView<'_>) -> Vec<u8> {
    let mut out = vec![value_type(value)];
    encode_value(&mut out, value, EncodeOptions::default());
    out.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = Checksum::of(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// Where a value is gone on with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// At the beginning.
    Start,
    /// A string's byte.
    Byte(usize),
    /// A list's chunk.
    Chunk(usize),
    /// A position of a table's scan.
    Scan(u64),
    /// As many of a sorted set's members as are still to be written.
    Left(usize),
    /// A stream's block.
    Block(StreamId),
}

/// Writes values, one after another, each in one go or in pieces.
#[derive(Debug)]
pub struct ValueEncoder {
    strings: StringWriter,
    /// The listpack, or whatever is one string of the file, until it can be written as one.
    blob: Vec<u8>,
    /// A list's chunk that lies compressed; the text of a score.
    scratch: Vec<u8>,
    place: Place,
}

impl ValueEncoder {
    /// One that writes as `options` say.
    pub fn new(options: EncodeOptions) -> Self {
        Self {
            strings: StringWriter::new(options.compress),
            blob: Vec::new(),
            scratch: Vec::new(),
            place: Place::Start,
        }
    }

    /// For the strings that stand between values.
    pub fn strings(&mut self) -> &mut StringWriter {
        &mut self.strings
    }

    /// Appends what comes before a value: expiry in Unix milliseconds, usage, type, key.
    #[inline]
    pub fn encode_head(
        &mut self,
        out: &mut Vec<u8>,
        key: &[u8],
        value: ValueView<'_>,
        expiry_ms: Option<u64>,
        usage: Usage,
    ) {
        if let Some(expiry_ms) = expiry_ms {
            write::expire_time_ms(out, expiry_ms);
        }
        match usage {
            Usage::Untold => {}
            Usage::Idle(seconds) => write::idle(out, seconds),
            Usage::Frequency(frequency) => write::freq(out, frequency),
        }
        out.push(value_type(value));
        self.strings.write(out, key);
    }

    /// Appends a key with its value.
    #[inline]
    pub fn encode_entry(
        &mut self,
        out: &mut Vec<u8>,
        key: &[u8],
        value: ValueView<'_>,
        expiry_ms: Option<u64>,
        usage: Usage,
    ) {
        self.encode_head(out, key, value, expiry_ms, usage);
        self.encode(out, value);
    }

    /// Appends a value without its type.
    #[inline]
    pub fn encode(&mut self, out: &mut Vec<u8>, value: ValueView<'_>) {
        let finished = self.encode_some(out, value, usize::MAX);
        debug_assert!(finished, "there is room for everything");
    }

    /// Appends about `bytes_max` bytes of a value, and says whether it is finished. Until then this encoder is for no other value, and the
    /// value must not change; after that it is ready for the next. A single element is never cut, and neither is what
    /// becomes one string: a chunk of a list, a block of a stream, a packed collection.
    #[inline]
    pub fn encode_some(&mut self, out: &mut Vec<u8>, value: ValueView<'_>, bytes_max: usize) -> bool {
        let end = out.len().saturating_add(bytes_max);
        self.place = match value {
            ValueView::Str(StrRef::Int(int)) => {
                write_element(&mut self.strings, out, Element::Int(int));
                Place::Start
            }
            ValueView::Str(StrRef::Bytes(bytes)) => self.string(out, bytes, end),
            ValueView::List(list @ ListRef::Packed(_)) => self.packed_list(out, list),
            ValueView::List(ListRef::Big(list)) => self.list(out, list, end),
            ValueView::Hash(HashRef::Packed(pairs)) => self.listpack(out, pairs),
            ValueView::Set(SetRef::Ints(ints)) => self.intset(out, ints),
            ValueView::Zset(ZsetRef::Packed(pairs)) => self.packed_zset(out, pairs),
            ValueView::Hash(hash) => self.hash(out, hash, end),
            ValueView::Set(set) => self.set(out, set, end),
            ValueView::Zset(zset) => self.zset(out, zset, end),
            ValueView::Stream(stream) => self.stream(out, stream, end),
        };
        self.place == Place::Start
    }

    #[inline]
    fn string(&mut self, out: &mut Vec<u8>, bytes: &[u8], end: usize) -> Place {
        let from = match self.place {
            Place::Byte(at) => at,
            _ if bytes.len() <= WHOLE_STRING_BYTES_MAX || self.strings.compresses(bytes.len()) => {
                self.strings.write(out, bytes);
                return Place::Start;
            }
            _ => {
                write_length(out, bytes.len() as u64);
                0
            }
        };
        let some = end.saturating_sub(out.len()).max(1).min(bytes.len() - from);
        out.extend_from_slice(&bytes[from..from + some]);
        if from + some == bytes.len() { Place::Start } else { Place::Byte(from + some) }
    }

    /// A packed value as one listpack.
    fn listpack(&mut self, out: &mut Vec<u8>, packed: Packed<'_>) -> Place {
        self.blob.clear();
        let mut listpack = ListpackWriter::new(&mut self.blob);
        packed.iter().for_each(|element| push_element(&mut listpack, element));
        listpack.finish();
        self.strings.write_blob(out, &self.blob);
        Place::Start
    }

    fn packed_zset(&mut self, out: &mut Vec<u8>, pairs: ZsetPacked<'_>) -> Place {
        let Self { strings, blob, scratch, .. } = self;
        blob.clear();
        let mut listpack = ListpackWriter::new(blob);
        for (member, score) in pairs.iter() {
            push_element(&mut listpack, member);
            let int = score as i64;
            if int as f64 == score {
                listpack.push_int(int);
            } else {
                scratch.clear();
                write_f64(scratch, score);
                listpack.push_bytes(scratch);
            }
        }
        listpack.finish();
        strings.write_blob(out, blob);
        Place::Start
    }

    /// The width, the number and the integers, all little endian; these are as they lie in the payload.
    fn intset(&mut self, out: &mut Vec<u8>, ints: Ints<'_>) -> Place {
        self.blob.clear();
        self.blob.extend_from_slice(&(ints.width() as u32).to_le_bytes());
        self.blob.extend_from_slice(&(ints.len() as u32).to_le_bytes());
        self.blob.extend_from_slice(ints.stored());
        self.strings.write_blob(out, &self.blob);
        Place::Start
    }

    fn packed_list(&mut self, out: &mut Vec<u8>, list: ListRef<'_>) -> Place {
        write_length(out, 1);
        self.blob.clear();
        let mut listpack = ListpackWriter::new(&mut self.blob);
        list.visit(0..list.len(), Direction::Forward, |element| push_element(&mut listpack, element));
        listpack.finish();
        write_length(out, NODE_PACKED);
        self.strings.write_blob(out, &self.blob);
        Place::Start
    }

    fn list(&mut self, out: &mut Vec<u8>, list: &List, end: usize) -> Place {
        let mut at = match self.place {
            Place::Chunk(at) => at,
            _ => {
                write_length(out, list.chunks_len() as u64);
                0
            }
        };
        while at < list.chunks_len() {
            self.node(out, list, at);
            at += 1;
            if out.len() >= end && at < list.chunks_len() {
                return Place::Chunk(at);
            }
        }
        Place::Start
    }

    fn node(&mut self, out: &mut Vec<u8>, list: &List, at: usize) {
        let Self { strings, blob, scratch, .. } = self;
        let alone = list.chunk_len(at) == 1;
        let mut plain = false;
        blob.clear();
        let mut listpack = ListpackWriter::new(blob);
        list.visit_chunk(at, scratch, |element| match element {
            Element::Bytes(bytes) if alone && bytes.len() > PLAIN_BYTES_MIN => {
                write_length(out, NODE_PLAIN);
                strings.write_blob(out, bytes);
                plain = true;
            }
            element => push_element(&mut listpack, element),
        });
        listpack.finish();
        if !plain {
            write_length(out, NODE_PACKED);
            strings.write_blob(out, blob);
        }
    }

    fn hash(&mut self, out: &mut Vec<u8>, hash: HashRef<'_>, end: usize) -> Place {
        self.table(out, hash.len(), end, |strings, out, position| {
            hash.scan(position, &mut |field, value| {
                write_element(strings, out, field);
                write_element(strings, out, value);
            })
        })
    }

    fn set(&mut self, out: &mut Vec<u8>, set: SetRef<'_>, end: usize) -> Place {
        self.table(out, set.len(), end, |strings, out, position| {
            set.scan(position, &mut |member| write_element(strings, out, member))
        })
    }

    /// The length of a table, then its scan; `step` writes what is at a position and returns the next.
    fn table(
        &mut self,
        out: &mut Vec<u8>,
        len: usize,
        end: usize,
        step: impl Fn(&mut StringWriter, &mut Vec<u8>, u64) -> u64,
    ) -> Place {
        let mut position = match self.place {
            Place::Scan(position) => position,
            _ => {
                write_length(out, len as u64);
                0
            }
        };
        loop {
            position = step(&mut self.strings, out, position);
            if position == 0 {
                return Place::Start;
            }
            if out.len() >= end {
                return Place::Scan(position);
            }
        }
    }

    fn zset(&mut self, out: &mut Vec<u8>, zset: ZsetRef<'_>, end: usize) -> Place {
        let mut left = match self.place {
            Place::Left(left) => left,
            _ => {
                write_length(out, zset.len() as u64);
                zset.len()
            }
        };
        for (member, score) in zset.range_backward(0..left) {
            if out.len() >= end {
                return Place::Left(left);
            }
            write_element(&mut self.strings, out, member);
            write::write_double(out, score);
            left -= 1;
        }
        Place::Start
    }
}

/// Appends an element as a string.
#[inline]
fn write_element(strings: &mut StringWriter, out: &mut Vec<u8>, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => strings.write(out, bytes),
        Element::Int(int) => write::write_integer(out, int),
    }
}

/// Adds an element to a listpack. Elements that lie packed are integers whenever they can be.
#[inline]
fn push_element(listpack: &mut ListpackWriter<'_>, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => listpack.push_bytes(bytes),
        Element::Int(int) => listpack.push_int(int),
    }
}
