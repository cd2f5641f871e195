//! Commands that look at keys they do not name: KEYS, SCAN, RANDOMKEY.
//!
//! Owns: what a step of SCAN looks at, and how a random key of several shards is chosen. Refuses to know: how a table is walked while it
//! changes (`types/table.rs`), where a cursor leads (`shard/route.rs`).
//! Start at [`scan`]. What has expired is passed over and left to the sweep: a reader of the whole keyspace does not also empty it.

use crate::argv::Argv;
use crate::error::CommandError;
use crate::glob;
use crate::handlers::page::begin_page;
use crate::keyspace::Entry;
use crate::limits::REPLY_BYTES_MAX;
use crate::reply::{ArrayReply, Bulk, ReplyBuf};
use crate::resp::value::bulk_of;
use crate::shard::cx::ShardCx;
use crate::shard::route::{next_scan_cursor, scan_cursor};
use crate::table::args;

/// Keys that a step of SCAN looks at without COUNT.
const SCAN_COUNT: i64 = 10;

/// Which keys are wanted.
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
    now_ms: u64,
}

impl<'a> Filter<'a> {
    fn new(cx: &ShardCx<'_>, pattern: Option<&'a [u8]>, type_name: Option<&'a [u8]>) -> Self {
        // The pattern `*` does not match the empty key, but it means every key.
        Self { pattern: pattern.filter(|pattern| *pattern != b"*"), type_name, now_ms: cx.now_ms() }
    }

    fn wants(&self, entry: &Entry) -> bool {
        !entry.is_expired(self.now_ms)
            && self.type_name.is_none_or(|name| name.eq_ignore_ascii_case(entry.kind().type_name().as_bytes()))
            && self.pattern.is_none_or(|pattern| glob::matches(pattern, entry.key(), false))
    }
}

/// Keys for a reply, as long as it may become.
#[derive(Default)]
struct Found<'k> {
    keys: Vec<&'k [u8]>,
    bytes: usize,
}

impl<'k> Found<'k> {
    fn push(&mut self, key: &'k [u8]) {
        self.bytes += key.len();
        // Too many are counted on, so that `keys` can tell, but not kept.
        if self.bytes <= REPLY_BYTES_MAX {
            self.keys.push(key);
        }
    }

    fn keys(self) -> Result<Vec<&'k [u8]>, CommandError> {
        if self.bytes > REPLY_BYTES_MAX {
            return Err(CommandError::TooLarge("reply", REPLY_BYTES_MAX));
        }
        Ok(self.keys)
    }
}

/// `KEYS` on this shard.
pub(super) fn keys(
    cx: &mut ShardCx<'_>,
    pattern: &[u8],
    reply: ArrayReply<'_, Bulk<'static>>,
) -> Result<(), CommandError> {
    let filter = Filter::new(cx, Some(pattern), None);
    let mut found = Found::default();
    let database = cx.core.keyspace.database(usize::from(cx.db()));
    database.iter().filter(|entry| filter.wants(entry)).for_each(|entry| found.push(entry.key()));
    reply.all(found.keys()?.iter());
    Ok(())
}

/// `SCAN`: one step on this shard; the next cursor leads on to the next shard when this one is through.
///
/// A step looks at whole segments of the table until it has seen COUNT keys, wanted or not, so a reply may hold a few more.
pub(super) fn scan(cx: &mut ShardCx<'_>, args: args::Scan<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
    let count = args.count.unwrap_or(SCAN_COUNT);
    let filter = Filter::new(cx, args.pattern, args.type_name);
    let keyspace = &cx.core.keyspace;
    let database = keyspace.database(usize::from(cx.db()));
    let (_, mut position) = scan_cursor(args.cursor.0);
    let mut found = Found::default();
    let mut seen = 0;
    loop {
        position = database.scan(position, keyspace.seeds(), &mut |entry| {
            seen += 1;
            if filter.wants(entry) {
                found.push(entry.key());
            }
        });
        if position == 0 || seen >= count {
            break;
        }
    }
    let keys = found.keys()?;
    let next = next_scan_cursor(cx.core.id, position, cx.core.shards);
    begin_page(reply, next, keys.len());
    keys.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

/// `RANDOMKEY` on this shard: its key, and what [`randomkey`] needs to choose among those of all shards.
///
/// ```text
/// number of keys u64 LE │ random u64 LE │ key
/// ```
pub(super) fn random_key(cx: &mut ShardCx<'_>) -> Option<Vec<u8>> {
    let key = loop {
        let random = cx.random();
        let entry = cx.core.keyspace.database(usize::from(cx.db())).sample(random)?;
        let expired = entry.is_expired(cx.now_ms());
        let key = entry.key().to_vec();
        if !expired {
            break key;
        }
        // Finding it removes it, so that this ends.
        cx.find(&key);
    };
    let keys = cx.core.keyspace.database(usize::from(cx.db())).len() as u64;
    let random = cx.random();
    Some([&keys.to_le_bytes(), &random.to_le_bytes(), key.as_slice()].concat())
}

/// RANDOMKEY of all shards: one of their keys, by chances that are as their numbers of keys.
pub fn randomkey(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let candidates = || parts.iter().filter_map(|part| candidate(bulk_of(part)?));
    let keys: u64 = candidates().map(|(keys, ..)| keys).sum();
    let random = candidates().fold(0, |random, (_, share, _)| random ^ share);
    let mut index = ((u128::from(random) * u128::from(keys)) >> u64::BITS) as u64;
    for (keys, _, key) in candidates() {
        if index < keys {
            return reply.bulk(key);
        }
        index -= keys;
    }
    reply.null();
}

/// What [`random_key`] wrote, taken apart.
fn candidate(part: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (keys, rest) = part.split_first_chunk()?;
    let (random, key) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*keys), u64::from_le_bytes(*random), key))
}
