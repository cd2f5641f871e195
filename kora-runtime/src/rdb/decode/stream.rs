//! Streams as Redis writes them.
//!
//! Owns: the entries in the listpacks of a stream. Refuses to know: consumer groups. Start at [`append_all`].
//!
//! ```text
//! listpack:  entries │ removed entries │ number of names │ name… │ 0 │ entry…
//! entry:     flags │ ms - ms of the id before the listpack │ number - its number │ …
//!            with SAME_NAMES     value… │ elements before this one in the entry
//!            without             number of fields │ name │ value │ … │ elements before this one in the entry
//! ```

use kora_storage::rdb::codes::types;
use kora_storage::rdb::unpack::Element;
use kora_storage::rdb::unpack::listpack::{Listpack, ListpackIter};
use kora_storage::rdb::{Damage, RdbError, Reader};

use super::{bytes_of, stream_id};
use crate::types::{Digits, Stream, StreamId, StreamLimits};

const REMOVED: i64 = 1;
const SAME_NAMES: i64 = 2;

const SHORT: Damage = Damage::Stream("a node that ends in the middle of an entry");

/// The fields of one entry as texts, which is what a stream takes.
#[derive(Debug, Default)]
pub(super) struct EntryText {
    bytes: Vec<u8>,
    /// Where names and values end in `bytes`, by turns.
    ends: Vec<usize>,
}

impl EntryText {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, element: Element<'_>) {
        self.bytes.extend_from_slice(bytes_of(element, &mut Digits::new()));
        self.ends.push(self.bytes.len());
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends.chunks_exact(2).enumerate().map(move |(pair, ends)| {
            let (name, value) = (start(2 * pair)..ends[0], ends[0]..ends[1]);
            (&self.bytes[name], &self.bytes[value])
        })
    }
}

fn integer(elements: &mut ListpackIter<'_>) -> Result<i64, Damage> {
    match elements.next() {
        Some(Element::Int(integer)) => Ok(integer),
        Some(Element::Bytes(_)) => Err(Damage::Stream("a text where a number must stand")),
        None => Err(SHORT),
    }
}

/// A number of elements, of which there cannot be more than are left.
fn count(elements: &mut ListpackIter<'_>) -> Result<usize, Damage> {
    let count = integer(elements)?;
    usize::try_from(count).ok().filter(|count| *count <= elements.len()).ok_or(SHORT)
}

/// Appends the entries of one node that were not removed. `id` is what stands before the listpack.
pub(super) fn append_all(
    stream: &mut Stream,
    id: &[u8],
    pack: Listpack<'_>,
    text: &mut EntryText,
    limits: &StreamLimits,
) -> Result<(), Damage> {
    let base = stream_id(id).ok_or(Damage::Stream("a node whose id is not of 16 bytes"))?;
    if pack.is_empty() {
        return Err(Damage::Stream("a node without anything in it"));
    }
    let mut elements = pack.iter();
    let (there, removed) = (count(&mut elements)?, count(&mut elements)?);
    let names_len = count(&mut elements)?;
    let names = elements.clone();
    (0..names_len).try_for_each(|_| elements.next().map(drop)).ok_or(SHORT)?;
    if integer(&mut elements)? != 0 {
        return Err(Damage::Stream("a node without the end of its names"));
    }
    let mut seen = [0, 0];
    while elements.len() > 0 {
        let flags = integer(&mut elements)?;
        if flags & !(REMOVED | SAME_NAMES) != 0 {
            return Err(Damage::Stream("an entry with unknown flags"));
        }
        let (ms, seq) = (integer(&mut elements)?, integer(&mut elements)?);
        // Differences wrap round: the number may be less than the node's where the milliseconds are more.
        let id = StreamId::new(base.ms.wrapping_add(ms as u64), base.seq.wrapping_add(seq as u64));
        text.clear();
        let before = if flags & SAME_NAMES != 0 {
            let mut names = names.clone();
            for _ in 0..names_len {
                text.push(names.next().ok_or(SHORT)?);
                text.push(elements.next().ok_or(SHORT)?);
            }
            names_len + 3
        } else {
            let fields = count(&mut elements)?;
            for _ in 0..fields {
                text.push(elements.next().ok_or(SHORT)?);
                text.push(elements.next().ok_or(SHORT)?);
            }
            2 * fields + 4
        };
        if usize::try_from(integer(&mut elements)?) != Ok(before) {
            return Err(Damage::Stream("an entry with a wrong number of elements"));
        }
        let is_removed = flags & REMOVED != 0;
        seen[usize::from(is_removed)] += 1;
        if is_removed {
            continue;
        }
        if text.ends.is_empty() {
            return Err(Damage::Stream("an entry without fields"));
        }
        if id <= stream.last_id() {
            return Err(Damage::Order("the entries of a stream"));
        }
        stream.append(id, text.pairs(), limits);
    }
    if seen == [there, removed] { Ok(()) } else { Err(Damage::Stream("a node with another number of entries")) }
}

/// Reads what a stream remembers. The inner error is about all of it.
pub(super) fn finish(stream: &mut Stream, kind: u8, reader: &mut Reader<'_>) -> Result<Result<(), Damage>, RdbError> {
    let id = |reader: &mut Reader<'_>| Ok(StreamId::new(reader.length()?, reader.length()?));
    let len = reader.length()?;
    let last_id = id(reader)?;
    let (max_deleted_id, entries_added) = if kind == types::STREAM_LISTPACKS {
        (StreamId::MIN, len)
    } else {
        // The first id is that of the first entry.
        id(reader)?;
        (id(reader)?, reader.length()?)
    };
    if len != stream.len() {
        return Ok(Err(Damage::Stream("another number of entries than its nodes have")));
    }
    if last_id < stream.last_id() {
        return Ok(Err(Damage::Stream("a last id before that of an entry")));
    }
    stream.set_last_id(last_id);
    stream.set_max_deleted_id(max_deleted_id);
    stream.set_entries_added(entries_added);
    Ok(Ok(()))
}
