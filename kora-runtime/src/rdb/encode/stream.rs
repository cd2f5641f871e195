//! Streams as RDB has them.
//!
//! Owns: the layout of a block's listpack. Refuses to know: which entries a stream has. Start at [`ValueEncoder::stream`].
//!
//! ```text
//! stream:    number of listpacks │ listpacks… │ entries │ last id │ first id │ greatest deleted id │ entries added │ groups: 0
//! listpack:  id, a string of two u64 BE │ a string with these elements:
//!            entries │ deleted: 0 │ names │ name… │ 0 │ entry…
//! entry:     flags │ ms │ number │ value… │ elements so far                            with the names above
//!            flags │ ms │ number │ fields │ name, value… │ elements so far             otherwise
//! ```
//! The ms and the number of an entry are differences to those of the listpack's id, modulo 2^64.

use kora_storage::rdb::listpack::ListpackWriter;
use kora_storage::rdb::write::{write_length, write_plain};

use super::{Place, ValueEncoder, push_element};
use crate::types::{Stream, StreamBlock, StreamEntry, StreamId};

/// The entry has the names that its listpack begins with.
const SAME_NAMES: i64 = 2;

impl ValueEncoder {
    pub(super) fn stream(&mut self, out: &mut Vec<u8>, stream: &Stream, end: usize) -> Place {
        let from = match self.place {
            Place::Block(from) => from,
            _ => {
                write_length(out, stream.blocks_len() as u64);
                StreamId::MIN
            }
        };
        for block in stream.blocks_from(from) {
            if out.len() >= end {
                return Place::Block(block.base);
            }
            self.block(out, &block);
        }
        write_length(out, stream.len());
        let first = stream.first().map_or(StreamId::MIN, |entry| entry.id);
        for id in [stream.last_id(), first, stream.max_deleted_id()] {
            write_length(out, id.ms);
            write_length(out, id.seq);
        }
        write_length(out, stream.entries_added());
        write_length(out, 0);
        Place::Start
    }

    fn block(&mut self, out: &mut Vec<u8>, block: &StreamBlock<'_>) {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&block.base.ms.to_be_bytes());
        key[8..].copy_from_slice(&block.base.seq.to_be_bytes());
        write_plain(out, &key);
        self.blob.clear();
        let mut listpack = ListpackWriter::new(&mut self.blob);
        listpack.push_int(block.len as i64);
        listpack.push_int(0);
        listpack.push_int(block.names_len() as i64);
        block.names.iter().for_each(|name| push_element(&mut listpack, name));
        listpack.push_int(0);
        block.entries().for_each(|entry| push_entry(&mut listpack, block.base, &entry));
        listpack.finish();
        self.strings.write_blob(out, &self.blob);
    }
}

fn push_entry(listpack: &mut ListpackWriter<'_>, base: StreamId, entry: &StreamEntry<'_>) {
    let same_names = entry.has_block_names();
    listpack.push_int(if same_names { SAME_NAMES } else { 0 });
    listpack.push_int(entry.id.ms.wrapping_sub(base.ms) as i64);
    listpack.push_int(entry.id.seq.wrapping_sub(base.seq) as i64);
    let fields = entry.fields as i64;
    if !same_names {
        listpack.push_int(fields);
    }
    entry.elements().iter().for_each(|element| push_element(listpack, element));
    listpack.push_int(if same_names { fields + 3 } else { 2 * fields + 4 });
}
