//! Members chosen by chance: SPOP and SRANDMEMBER with a count.
//!
//! Owns: how several are chosen, and the limit on replies that the client makes long. Refuses to know: where randomness comes from.
//! Start at [`choose_several`].

use std::collections::HashSet;

use ahash::RandomState;

use crate::error::CommandError;
use crate::keyspace::Event;
use crate::keyspace::typed::Set;
use crate::limits::REPLY_BYTES_MAX;
use crate::reply::ReplyBuf;
use crate::shard::cx::ShardCx;
use crate::table::CommandId;
use crate::types::chance::{self, Selection};
use crate::types::{Digits, Element, SetRef};

/// Bytes of the shortest bulk string, `$0\r\n\r\n`.
const BULK_BYTES_MIN: usize = 6;
/// A big set is sampled, not walked, when at most one in this many of its members is wanted.
const SAMPLED_PART: usize = 3;
/// Draws for each wanted member before the rest is taken as it comes.
const DRAWS_PER_MEMBER: usize = 4;

/// What a count that cannot be turned around is answered with.
pub(in crate::handlers) const COUNT_RANGE: CommandError =
    CommandError::Text("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");

/// What a reply that passes its limit is answered with.
pub(in crate::handlers) const REPLY_TOO_LARGE: CommandError = CommandError::TooLarge("reply", REPLY_BYTES_MAX);

/// SPOP with a count.
pub(super) fn pop_several(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    count: u64,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let (random, logs) = (cx.random(), cx.logs());
    let Some(mut set) = cx.write::<Set>(key)? else {
        reply.set(0);
        return Ok(());
    };
    let len = set.as_ref().len();
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(len);
    reply.set(count);
    if count == 0 {
        return Ok(());
    }
    let mut popped: Vec<Vec<u8>> = Vec::new();
    if count == len {
        set.as_ref().iter().for_each(|member| reply.put_bulk(&member.into()));
    } else {
        set.pop_several(count, random, |member| {
            reply.put_bulk(&member.into());
            if logs {
                popped.push(member.bytes(&mut Digits::new()).to_vec());
            }
        });
    }
    cx.changed(Event::Spop, key);
    if count == len {
        cx.remove_emptied(key);
        cx.log(CommandId::Del, &[key]);
    } else if logs {
        let words: Vec<&[u8]> = std::iter::once(key).chain(popped.iter().map(Vec::as_slice)).collect();
        cx.log(CommandId::Srem, &words);
    }
    Ok(())
}

/// SRANDMEMBER with a count: so many different members, or with a negative count so many draws.
pub(super) fn choose_several(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    count: i64,
    random: u64,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    if count == i64::MIN {
        return Err(COUNT_RANGE);
    }
    let seeds = cx.seeds();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match cx.read::<Set>(key)? {
        None => reply.array(0),
        Some(set) if count < 0 => draw(set, wanted, random, reply)?,
        Some(set) => choose(set, wanted, random, seeds, reply),
    }
    Ok(())
}

/// Writes `wanted` draws, each out of all members.
fn draw(set: SetRef<'_>, wanted: usize, random: u64, reply: &mut ReplyBuf) -> Result<(), CommandError> {
    if wanted.saturating_mul(BULK_BYTES_MIN) > REPLY_BYTES_MAX {
        return Err(REPLY_TOO_LARGE);
    }
    // Compact forms are walked to reach a member: once, not for every draw.
    let listed: Option<Vec<_>> = (!matches!(set, SetRef::Big(_))).then(|| set.iter().collect());
    let start = reply.len();
    let mut random = random;
    reply.array(wanted);
    for _ in 0..wanted {
        random = chance::next(random);
        let member = match &listed {
            Some(members) => members.get(chance::pick(random, members.len())).copied(),
            None => set.random(random),
        };
        // A stored set has members.
        reply.put_bulk(&member.unwrap_or(Element::Bytes(b"")).into());
        if reply.len() - start > REPLY_BYTES_MAX {
            return Err(REPLY_TOO_LARGE);
        }
    }
    Ok(())
}

/// Writes `wanted` different members, or all when there are fewer.
fn choose(set: SetRef<'_>, wanted: usize, random: u64, seeds: RandomState, reply: &mut ReplyBuf) {
    let len = set.len();
    let wanted = wanted.min(len);
    reply.array(wanted);
    if !matches!(set, SetRef::Big(_)) || wanted > len / SAMPLED_PART {
        let mut selection = Selection::new(len, wanted, random);
        set.iter().filter(|_| selection.takes_next()).for_each(|member| reply.put_bulk(&member.into()));
        return;
    }
    let mut chosen = HashSet::with_capacity_and_hasher(wanted, seeds);
    let mut random = random;
    let draws = (0..wanted.saturating_mul(DRAWS_PER_MEMBER)).filter_map(|_| {
        random = chance::next(random);
        set.random(random)
    });
    // Sampling alone would do but for the worst of luck.
    for member in draws.chain(set.iter()) {
        if chosen.len() == wanted {
            break;
        }
        if let Element::Bytes(bytes) = member
            && chosen.insert(bytes)
        {
            reply.bulk(bytes);
        }
    }
}
