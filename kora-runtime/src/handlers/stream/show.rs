//! How entries of streams stand in replies, and XINFO.
//!
//! Owns: the shape of an entry, of a range of entries and of XINFO STREAM. Refuses to know: where a range was asked for.
//! Start at [`range`].

use std::ops::ControlFlow;

use crate::error::CommandError;
use crate::limits::REPLY_BYTES_MAX;
use crate::reply::ReplyBuf;
use crate::types::{Direction, Stream, StreamEntry, StreamId};

/// Entries that XINFO STREAM FULL shows when the client does not say.
const FULL_ENTRIES: i64 = 10;

/// Writes the entries from one id to another, both included, `most` at most.
///
/// # Errors
/// When the reply would become too large.
pub(super) fn range(
    stream: &Stream,
    (from, to): (StreamId, StreamId),
    direction: Direction,
    most: u64,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let start = reply.len();
    let entries = reply.deferred_array();
    let mut count = 0;
    let mut too_large = false;
    stream.visit(from, to, direction, |shown| {
        entry(&shown, reply);
        count += 1;
        too_large = reply.len() - start > REPLY_BYTES_MAX;
        if too_large || count as u64 >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if too_large {
        return Err(CommandError::TooLarge("reply", REPLY_BYTES_MAX));
    }
    reply.close(entries, count);
    Ok(())
}

fn entry(entry: &StreamEntry<'_>, reply: &mut ReplyBuf) {
    reply.array(2);
    id(entry.id, reply);
    reply.array(2 * entry.fields);
    for (name, value) in entry.pairs() {
        reply.element(name);
        reply.element(value);
    }
}

fn id(id: StreamId, reply: &mut ReplyBuf) {
    reply.bulk(&id.text());
}

/// How many entries an argument of COUNT that means all by 0 asks for.
pub(super) fn count_or_all(count: i64) -> u64 {
    match u64::try_from(count) {
        Ok(0) | Err(_) => u64::MAX,
        Ok(count) => count,
    }
}

/// XINFO STREAM. `full` is the COUNT of its FULL, as far as it was given.
///
/// # Errors
/// When the reply would become too large.
pub(super) fn info(stream: &Stream, full: Option<Option<i64>>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
    let number = |name: &str, number: u64, reply: &mut ReplyBuf| {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
    };
    reply.map(if full.is_some() { 9 } else { 10 });
    let blocks = stream.blocks_len() as u64;
    number("length", stream.len(), reply);
    number("radix-tree-keys", blocks, reply);
    // There is no radix tree. This is what Redis says of a stream of no block or one; with more its number depends on
    // which bytes the ids of the blocks share.
    number("radix-tree-nodes", blocks + 1, reply);
    let first_id = stream.first().map_or(StreamId::MIN, |entry| entry.id);
    reply.bulk(b"last-generated-id");
    id(stream.last_id(), reply);
    reply.bulk(b"max-deleted-entry-id");
    id(stream.max_deleted_id(), reply);
    number("entries-added", stream.entries_added(), reply);
    reply.bulk(b"recorded-first-entry-id");
    id(first_id, reply);
    let Some(count) = full else {
        number("groups", 0, reply);
        for (name, shown) in [("first-entry", stream.first()), ("last-entry", stream.last())] {
            reply.bulk(name.as_bytes());
            match shown {
                Some(shown) => entry(&shown, reply),
                None => reply.null(),
            }
        }
        return Ok(());
    };
    let count = count.filter(|count| *count >= 0).unwrap_or(FULL_ENTRIES);
    reply.bulk(b"entries");
    range(stream, (StreamId::MIN, StreamId::MAX), Direction::Forward, count_or_all(count), reply)?;
    reply.bulk(b"groups");
    reply.array(0);
    Ok(())
}
