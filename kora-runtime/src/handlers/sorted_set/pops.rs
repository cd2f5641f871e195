//! Members taken from the ends: ZPOPMIN, ZPOPMAX, ZMPOP; and whole parts taken out: ZREMRANGEBY….
//!
//! Owns: taking, and what is told of it. Refuses to know: arguments.
//! Start at [`take`].

use std::ops::Range;

use super::ranges::{self, Members, Order};
use crate::error::CommandError;
use crate::keyspace::Event;
use crate::keyspace::typed::Zset;
use crate::reply::ReplyBuf;
use crate::shard::cx::ShardCx;
use crate::table::CommandId;
use crate::types::{Extreme, ZsetRef};

/// How popped members are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Member and score, one after another.
    Flat,
    /// Pairs in RESP3, flat in RESP2.
    PairsInResp3,
    /// The key and pairs.
    Keyed,
    /// The key, and one member and its score, one after another.
    KeyedFlat,
}

/// Takes up to `count` members from one end and writes them. False, and nothing written, without the key.
pub(super) fn take(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    extreme: Extreme,
    count: usize,
    shape: Shape,
    reply: &mut ReplyBuf,
) -> Result<bool, CommandError> {
    let Some(mut zset) = cx.write::<Zset>(key)? else { return Ok(false) };
    let len = zset.len();
    let count = count.min(len);
    let mut members = match shape {
        Shape::Flat => Members::open_flat(reply, count),
        Shape::PairsInResp3 => Members::open(reply, count, true),
        Shape::KeyedFlat => Members::open_keyed_flat(reply, key),
        Shape::Keyed => {
            reply.array(2);
            reply.bulk(key);
            Members::open_pairs(reply, count)
        }
    };
    let (order, ranks, event, command) = match extreme {
        Extreme::Min => (Order::Ascending, 0..count, Event::ZpopMin, CommandId::Zpopmin),
        Extreme::Max => (Order::Descending, len - count..len, Event::ZpopMax, CommandId::Zpopmax),
    };
    match count {
        0 => return Ok(true),
        _ if count == len => ranges::for_each(zset.as_ref(), ranks, order, |pair| members.push(pair)),
        1 => {
            zset.pop(extreme, |member, score| members.push((member, score)));
        }
        _ => {
            ranges::for_each(zset.as_ref(), ranks.clone(), order, |pair| members.push(pair));
            zset.remove_range(ranks, |_, _| {});
        }
    }
    cx.changed(event, key);
    if count == len {
        cx.remove_emptied(key);
    }
    if cx.logs_keys_apart() {
        cx.log(command, &[key, itoa::Buffer::new().format(count).as_bytes()]);
    }
    Ok(true)
}

/// Takes out the members of the ranks that `find` names; returns how many.
pub(super) fn remove(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    event: Event,
    find: impl FnOnce(ZsetRef<'_>) -> Range<usize>,
) -> Result<i64, CommandError> {
    let Some(mut zset) = cx.write::<Zset>(key)? else { return Ok(0) };
    let ranks = find(zset.as_ref());
    let (removed, all) = (ranks.len(), ranks.len() == zset.len());
    if removed == 0 {
        return Ok(0);
    }
    if !all {
        zset.remove_range(ranks, |_, _| {});
    }
    cx.changed(event, key);
    if all {
        // The value goes with its key, a large one slice by slice.
        cx.remove_emptied(key);
    }
    Ok(removed as i64)
}
