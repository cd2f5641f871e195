//! ZRANDMEMBER with a count.
//!
//! Owns: how several members are chosen, and the limit on replies that the client makes long. Refuses to know: where randomness comes
//! from. Start at [`choose_several`].

use std::collections::HashSet;

use ahash::RandomState;

use super::ranges::Members;
use crate::error::CommandError;
use crate::handlers::set::{COUNT_RANGE, REPLY_TOO_LARGE};
use crate::keyspace::typed::Zset;
use crate::limits::REPLY_BYTES_MAX;
use crate::reply::ReplyBuf;
use crate::shard::cx::ShardCx;
use crate::table::args::ZrandmemberSeveral;
use crate::types::chance::{self, Selection};
use crate::types::{Element, ZsetRef};

/// Bytes of the shortest bulk string, `$0\r\n\r\n`.
const BULK_BYTES_MIN: usize = 6;
/// A big set is looked into by rank, not walked, when at most one in this many of its members is wanted.
const SAMPLED_PART: usize = 3;

/// So many different members, or with a negative count so many draws.
pub(super) fn choose_several(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    ZrandmemberSeveral { count, with_scores }: ZrandmemberSeveral,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    if count == i64::MIN {
        return Err(COUNT_RANGE);
    }
    // Twice as many elements have to be counted.
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::OutOfRange);
    }
    let (random, seeds) = (cx.random(), cx.seeds());
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match cx.read::<Zset>(key)? {
        None => reply.array(0),
        Some(zset) if count < 0 => draw(zset, wanted, random, with_scores, reply)?,
        Some(zset) => choose(zset, wanted, random, seeds, with_scores, reply),
    }
    Ok(())
}

/// Writes `wanted` draws, each out of all members.
fn draw(
    zset: ZsetRef<'_>,
    wanted: usize,
    random: u64,
    with_scores: bool,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    if wanted.saturating_mul(BULK_BYTES_MIN) > REPLY_BYTES_MAX {
        return Err(REPLY_TOO_LARGE);
    }
    // A packed set is walked to reach a member: once, not for every draw.
    let listed: Option<Vec<_>> = matches!(zset, ZsetRef::Packed(_)).then(|| zset.iter().collect());
    let start = reply.len();
    let mut random = random;
    let mut members = Members::open(reply, wanted, with_scores);
    for _ in 0..wanted {
        random = chance::next(random);
        let drawn = match &listed {
            Some(pairs) => pairs.get(chance::pick(random, pairs.len())).copied(),
            None => zset.random(random),
        };
        // A stored set has members.
        members.push(drawn.unwrap_or((Element::Bytes(b""), 0.0)));
        if members.reply_len() - start > REPLY_BYTES_MAX {
            return Err(REPLY_TOO_LARGE);
        }
    }
    Ok(())
}

/// Writes `wanted` different members, or all when there are fewer.
fn choose(zset: ZsetRef<'_>, wanted: usize, random: u64, seeds: RandomState, with_scores: bool, reply: &mut ReplyBuf) {
    let len = zset.len();
    let wanted = wanted.min(len);
    let mut members = Members::open(reply, wanted, with_scores);
    if matches!(zset, ZsetRef::Packed(_)) || wanted > len / SAMPLED_PART {
        let mut selection = Selection::new(len, wanted, random);
        zset.iter().filter(|_| selection.takes_next()).for_each(|pair| members.push(pair));
        return;
    }
    // Floyd's algorithm: every choice of ranks with the same chance, none drawn in vain (Bentley and Floyd, A Sample of
    // Brilliance, 1987).
    let mut chosen = HashSet::with_capacity_and_hasher(wanted, seeds);
    let mut random = random;
    for last in len - wanted..len {
        random = chance::next(random);
        let drawn = chance::pick(random, last + 1);
        let rank = if chosen.insert(drawn) { drawn } else { last };
        chosen.insert(rank);
        if let Some(pair) = zset.nth(rank) {
            members.push(pair);
        }
    }
}
