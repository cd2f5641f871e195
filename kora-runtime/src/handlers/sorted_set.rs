//! Handlers of the `sorted-set` group.
//!
//! Owns: what each sorted set command means. Refuses to know: how members are kept in order, other shards.
//! Start at [`SortedSetCommands::zadd`]; [`ranges`] has everything that names a part of a set, [`aggregate`] union, intersection and
//! difference, [`pops`] what takes members out, [`random`] the choices by chance.

mod aggregate;
mod blocking;
mod pops;
mod random;
mod ranges;
#[cfg(test)]
mod tests;

use self::aggregate::Aggregate;
use self::pops::Shape;
use self::ranges::{Limit, Order, Span, Unit};
use crate::config::Config;
use crate::error::CommandError;
use crate::handlers::page::{Page, begin_page};
use crate::keyspace::typed::Zset;
use crate::keyspace::{Draft, Event};
use crate::reply::{ArrayReply, Bulk, ReplyBuf};
use crate::shard::cx::ShardCx;
use crate::table::{SortedSetCommands, args};
use crate::types::{Digits, Extreme, PackedLimits, ZsetMut};

/// Up to where sorted sets stay packed.
fn limits(config: &Config) -> PackedLimits {
    config.zset_limits()
}

/// When an element is put into a sorted set, and how.
#[derive(Debug, Clone, Copy, Default)]
struct Terms {
    condition: Option<args::ZaddCondition>,
    comparison: Option<args::ZaddComparison>,
    increment: bool,
}

/// What putting an element in did.
#[derive(Debug, Clone, Copy)]
enum Put {
    /// The terms forbade it.
    Refused,
    /// The member is new; its score.
    Added(f64),
    /// It has another score now; this one.
    Changed(f64),
    /// It had this score.
    Same(f64),
}

impl Terms {
    /// Puts an element in, on these terms.
    fn put(
        self,
        zset: &mut ZsetMut<'_>,
        member: &[u8],
        score: f64,
        limits: &PackedLimits,
    ) -> Result<Put, CommandError> {
        let mut put = Ok(Put::Refused);
        zset.update(member, limits, |before| {
            put = self.decide(before, score);
            match put {
                Ok(Put::Added(score) | Put::Changed(score)) => Some(score),
                _ => None,
            }
        });
        put
    }

    fn decide(self, before: Option<f64>, score: f64) -> Result<Put, CommandError> {
        use args::{ZaddComparison as Comparison, ZaddCondition as Condition};
        let Some(before) = before else {
            return Ok(if self.condition == Some(Condition::Xx) { Put::Refused } else { Put::Added(score) });
        };
        if self.condition == Some(Condition::Nx) {
            return Ok(Put::Refused);
        }
        let score = if self.increment { before + score } else { score };
        if score.is_nan() {
            return Err(CommandError::ScoreNan);
        }
        let refused = match self.comparison {
            None => false,
            Some(Comparison::Gt) => score <= before,
            Some(Comparison::Lt) => score >= before,
        };
        Ok(if refused {
            Put::Refused
        } else if score == before {
            Put::Same(score)
        } else {
            Put::Changed(score)
        })
    }
}

impl SortedSetCommands for ShardCx<'_> {
    fn bzmpop(
        &mut self,
        args::Bzmpop { timeout, keys, side, count }: args::Bzmpop<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let extreme = match side {
            args::BzmpopSide::Min => Extreme::Min,
            args::BzmpopSide::Max => Extreme::Max,
        };
        let count = usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX);
        blocking::pop_or_wait(self, keys, extreme, (count, Shape::Keyed), timeout, reply)
    }

    fn bzpopmax(
        &mut self,
        args::Bzpopmax { keys, timeout }: args::Bzpopmax<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        blocking::pop_or_wait(self, keys, Extreme::Max, (1, Shape::KeyedFlat), timeout, reply)
    }

    fn bzpopmin(
        &mut self,
        args::Bzpopmin { keys, timeout }: args::Bzpopmin<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        blocking::pop_or_wait(self, keys, Extreme::Min, (1, Shape::KeyedFlat), timeout, reply)
    }

    fn zadd(
        &mut self,
        args::Zadd { key, condition, comparison, change, increment, elements }: args::Zadd<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        if condition == Some(args::ZaddCondition::Nx) && comparison.is_some() {
            return Err(CommandError::Text("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if increment && elements.len() > 1 {
            return Err(CommandError::Text("ERR INCR option supports a single increment-element pair"));
        }
        let limits = limits(self.config());
        let terms = Terms { condition, comparison, increment };
        // With XX nothing can be added, so no set is made.
        let zset = match condition {
            Some(args::ZaddCondition::Xx) => self.write::<Zset>(key)?,
            _ => Some(self.write_or_create::<Zset>(key)?),
        };
        let (mut added, mut changed, mut last) = (0, 0, Put::Refused);
        if let Some(mut zset) = zset {
            for args::ZaddElements { score, member } in elements {
                // Only an increment can fail, and then it is the only element.
                last = terms.put(&mut zset, member, score, &limits)?;
                added += i64::from(matches!(last, Put::Added(_)));
                changed += i64::from(matches!(last, Put::Changed(_)));
            }
        }
        if added + changed > 0 {
            self.changed(if increment { Event::Zincr } else { Event::Zadd }, key);
        }
        match last {
            _ if !increment => reply.integer(if change { added + changed } else { added }),
            Put::Refused => reply.null(),
            Put::Added(score) | Put::Changed(score) | Put::Same(score) => reply.double(score),
        }
        Ok(())
    }

    fn zincrby(&mut self, args::Zincrby { key, increment, member }: args::Zincrby<'_>) -> Result<f64, CommandError> {
        let limits = limits(self.config());
        let mut zset = self.write_or_create::<Zset>(key)?;
        let terms = Terms { increment: true, ..Terms::default() };
        match terms.put(&mut zset, member, increment, &limits)? {
            Put::Added(score) | Put::Changed(score) => {
                self.changed(Event::Zincr, key);
                Ok(score)
            }
            Put::Same(score) => Ok(score),
            Put::Refused => unreachable!("nothing is refused without terms"),
        }
    }

    fn zrem(&mut self, args::Zrem { key, members }: args::Zrem<'_>) -> Result<i64, CommandError> {
        let Some(mut zset) = self.write::<Zset>(key)? else { return Ok(0) };
        let removed = members.iter().filter(|member| zset.remove(member).is_some()).count();
        let emptied = zset.is_empty();
        if removed > 0 {
            self.changed(Event::Zrem, key);
        }
        if emptied {
            self.remove_emptied(key);
        }
        Ok(removed as i64)
    }

    fn zcard(&mut self, args::Zcard { key }: args::Zcard<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Zset>(key)?.map_or(0, |zset| zset.len() as i64))
    }

    fn zscore(&mut self, args::Zscore { key, member }: args::Zscore<'_>) -> Result<Option<f64>, CommandError> {
        Ok(self.read::<Zset>(key)?.and_then(|zset| zset.score(member)))
    }

    fn zmscore(
        &mut self,
        args::Zmscore { key, members }: args::Zmscore<'_>,
        reply: ArrayReply<'_, Option<f64>>,
    ) -> Result<(), CommandError> {
        let zset = self.read::<Zset>(key)?;
        reply.all(members.iter().map(|member| zset.and_then(|zset| zset.score(member))));
        Ok(())
    }

    fn zrank(&mut self, args::Zrank { key, member }: args::Zrank<'_>) -> Result<Option<i64>, CommandError> {
        Ok(self.read::<Zset>(key)?.and_then(|zset| zset.rank(member)).map(|(rank, _)| rank as i64))
    }

    fn zrevrank(&mut self, args::Zrevrank { key, member }: args::Zrevrank<'_>) -> Result<Option<i64>, CommandError> {
        let Some(zset) = self.read::<Zset>(key)? else { return Ok(None) };
        Ok(zset.rank(member).map(|(rank, _)| (zset.len() - 1 - rank) as i64))
    }

    fn zcount(&mut self, args::Zcount { key, min, max }: args::Zcount<'_>) -> Result<i64, CommandError> {
        let range = ranges::scores(min, max);
        Ok(self.read::<Zset>(key)?.map_or(0, |zset| zset.score_range(&range).len() as i64))
    }

    fn zlexcount(&mut self, args::Zlexcount { key, min, max }: args::Zlexcount<'_>) -> Result<i64, CommandError> {
        let range = ranges::names(min, max);
        Ok(self.read::<Zset>(key)?.map_or(0, |zset| zset.lex_range(&range).len() as i64))
    }

    fn zrange(
        &mut self,
        args::Zrange { key, start, stop, by, rev, limit, with_scores }: args::Zrange<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let unit = by.map_or(Unit::Rank, |by| match by {
            args::ZrangeBy::Score => Unit::Score,
            args::ZrangeBy::Lex => Unit::Name,
        });
        let limit = limit.map(|args::ZrangeLimit { offset, count }| Limit { offset, count });
        check_limit(unit, limit)?;
        if with_scores && unit == Unit::Name {
            return Err(CommandError::Text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let order = Order::of(rev);
        let span = Span::parse(start, stop, unit, order)?;
        ranges::write(self.read::<Zset>(key)?, &span, order, limit, with_scores, reply);
        Ok(())
    }

    fn zrangestore(
        &mut self,
        args::Zrangestore { destination, source, start, stop, by, rev, limit }: args::Zrangestore<'_>,
    ) -> Result<i64, CommandError> {
        let unit = by.map_or(Unit::Rank, |by| match by {
            args::ZrangestoreBy::Score => Unit::Score,
            args::ZrangestoreBy::Lex => Unit::Name,
        });
        let limit = limit.map(|args::ZrangestoreLimit { offset, count }| Limit { offset, count });
        check_limit(unit, limit)?;
        let order = Order::of(rev);
        let span = Span::parse(start, stop, unit, order)?;
        let packed_limits = limits(self.config());
        let mut result = self.draft::<Zset>();
        if let Some(zset) = self.read::<Zset>(source)? {
            let ranks = span.ranks(zset, order, limit);
            let (mut kept, mut digits) = (result.open(), Digits::new());
            for (member, score) in zset.range(ranks) {
                kept.insert(member.bytes(&mut digits), score, &packed_limits);
            }
        }
        Ok(keep(self, destination, result, Event::ZrangeStore))
    }

    fn zrevrange(
        &mut self,
        args::Zrevrange { key, start, stop, with_scores }: args::Zrevrange<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let span = Span::Ranks(start, stop);
        ranges::write(self.read::<Zset>(key)?, &span, Order::Descending, None, with_scores, reply);
        Ok(())
    }

    fn zrangebyscore(
        &mut self,
        args::Zrangebyscore { key, min, max, with_scores, limit }: args::Zrangebyscore<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let span = Span::Scores(ranges::scores(min, max));
        let limit = limit.map(|args::ZrangebyscoreLimit { offset, count }| Limit { offset, count });
        ranges::write(self.read::<Zset>(key)?, &span, Order::Ascending, limit, with_scores, reply);
        Ok(())
    }

    fn zrevrangebyscore(
        &mut self,
        args::Zrevrangebyscore { key, max, min, with_scores, limit }: args::Zrevrangebyscore<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let span = Span::Scores(ranges::scores(min, max));
        let limit = limit.map(|args::ZrevrangebyscoreLimit { offset, count }| Limit { offset, count });
        ranges::write(self.read::<Zset>(key)?, &span, Order::Descending, limit, with_scores, reply);
        Ok(())
    }

    fn zrangebylex(
        &mut self,
        args::Zrangebylex { key, min, max, limit }: args::Zrangebylex<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let limit = limit.map(|args::ZrangebylexLimit { offset, count }| Limit { offset, count });
        by_name(self, key, Span::Names(ranges::names(min, max)), Order::Ascending, limit, reply)
    }

    fn zrevrangebylex(
        &mut self,
        args::Zrevrangebylex { key, max, min, limit }: args::Zrevrangebylex<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let limit = limit.map(|args::ZrevrangebylexLimit { offset, count }| Limit { offset, count });
        by_name(self, key, Span::Names(ranges::names(min, max)), Order::Descending, limit, reply)
    }

    fn zremrangebyrank(
        &mut self,
        args::Zremrangebyrank { key, start, stop }: args::Zremrangebyrank<'_>,
    ) -> Result<i64, CommandError> {
        pops::remove(self, key, Event::ZremRangeByRank, |zset| {
            ranges::interval(start, stop, zset.len(), Order::Ascending)
        })
    }

    fn zremrangebyscore(
        &mut self,
        args::Zremrangebyscore { key, min, max }: args::Zremrangebyscore<'_>,
    ) -> Result<i64, CommandError> {
        let range = ranges::scores(min, max);
        pops::remove(self, key, Event::ZremRangeByScore, |zset| zset.score_range(&range))
    }

    fn zremrangebylex(
        &mut self,
        args::Zremrangebylex { key, min, max }: args::Zremrangebylex<'_>,
    ) -> Result<i64, CommandError> {
        let range = ranges::names(min, max);
        pops::remove(self, key, Event::ZremRangeByLex, |zset| zset.lex_range(&range))
    }

    fn zpopmin(
        &mut self,
        args::Zpopmin { key, count }: args::Zpopmin<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        pop(self, key, Extreme::Min, count, reply)
    }

    fn zpopmax(
        &mut self,
        args::Zpopmax { key, count }: args::Zpopmax<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        pop(self, key, Extreme::Max, count, reply)
    }

    fn zmpop(
        &mut self,
        args::Zmpop { keys, side, count }: args::Zmpop<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let count = match count {
            None => 1,
            Some(0) => return Err(CommandError::Text("ERR count should be greater than 0")),
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        let extreme = match side {
            args::ZmpopSide::Min => Extreme::Min,
            args::ZmpopSide::Max => Extreme::Max,
        };
        for key in keys {
            if pops::take(self, key, extreme, count, Shape::Keyed, reply)? {
                return Ok(());
            }
        }
        reply.null_array();
        Ok(())
    }

    fn zrandmember(
        &mut self,
        args::Zrandmember { key, several }: args::Zrandmember<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        if let Some(several) = several {
            return random::choose_several(self, key, several, reply);
        }
        let random = self.random();
        match self.read::<Zset>(key)?.and_then(|zset| zset.random(random)) {
            Some((member, _)) => reply.put_bulk(&member.into()),
            None => reply.null(),
        }
        Ok(())
    }

    fn zscan(
        &mut self,
        args::Zscan { key, cursor, pattern, count }: args::Zscan<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let mut page = Page::new(pattern, count)?;
        let mut shown = Vec::new();
        let next = self.read::<Zset>(key)?.map_or(0, |zset| {
            page.walk(cursor.0, |page, position| {
                zset.scan(position, &mut |member, score| {
                    if page.shows(member) {
                        shown.push((member, score));
                    }
                })
            })
        });
        begin_page(reply, next, 2 * shown.len());
        for (member, score) in shown {
            reply.put_bulk(&member.into());
            reply.bulk_double(score);
        }
        Ok(())
    }

    fn zunion(
        &mut self,
        args::Zunion { keys, weights, aggregate, with_scores }: args::Zunion<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let result = aggregate::union(self, keys, weights, aggregate.into())?;
        show(self, result, with_scores, reply);
        Ok(())
    }

    fn zinter(
        &mut self,
        args::Zinter { keys, weights, aggregate, with_scores }: args::Zinter<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let result = aggregate::intersection(self, keys, weights, aggregate.into())?;
        show(self, result, with_scores, reply);
        Ok(())
    }

    fn zdiff(
        &mut self,
        args::Zdiff { keys, with_scores }: args::Zdiff<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let result = aggregate::difference(self, keys)?;
        show(self, result, with_scores, reply);
        Ok(())
    }

    fn zintercard(&mut self, args::Zintercard { keys, limit }: args::Zintercard<'_>) -> Result<i64, CommandError> {
        let limit = match limit {
            None | Some(0) => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        Ok(aggregate::intersection_len(self, keys, limit)? as i64)
    }

    fn zunionstore(
        &mut self,
        args::Zunionstore { destination, keys, weights, aggregate }: args::Zunionstore<'_>,
    ) -> Result<i64, CommandError> {
        let result = aggregate::union(self, keys, weights, Aggregate::from(aggregate))?;
        Ok(keep(self, destination, result, Event::ZunionStore))
    }

    fn zinterstore(
        &mut self,
        args::Zinterstore { destination, keys, weights, aggregate }: args::Zinterstore<'_>,
    ) -> Result<i64, CommandError> {
        let result = aggregate::intersection(self, keys, weights, Aggregate::from(aggregate))?;
        Ok(keep(self, destination, result, Event::ZinterStore))
    }

    fn zdiffstore(
        &mut self,
        args::Zdiffstore { destination, keys }: args::Zdiffstore<'_>,
    ) -> Result<i64, CommandError> {
        let result = aggregate::difference(self, keys)?;
        Ok(keep(self, destination, result, Event::ZdiffStore))
    }
}

/// A LIMIT that would do something needs scores or names.
fn check_limit(unit: Unit, limit: Option<Limit>) -> Result<(), CommandError> {
    match limit {
        Some(Limit { count, .. }) if unit == Unit::Rank && count != -1 => Err(CommandError::Text(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        )),
        _ => Ok(()),
    }
}

fn by_name(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    span: Span<'_>,
    order: Order,
    limit: Option<Limit>,
    reply: ArrayReply<'_, Bulk<'static>>,
) -> Result<(), CommandError> {
    let Some(zset) = cx.read::<Zset>(key)? else {
        reply.empty();
        return Ok(());
    };
    let ranks = span.ranks(zset, order, limit);
    let mut items = reply.open(ranks.len());
    ranges::for_each(zset, ranks, order, |(member, _)| items.push(Bulk::from(member)));
    Ok(())
}

/// ZPOPMIN and ZPOPMAX. Without a count the reply is flat in either protocol.
fn pop(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    extreme: Extreme,
    count: Option<u64>,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let (count, shape) = match count {
        None => (1, Shape::Flat),
        Some(count) => (usize::try_from(count).unwrap_or(usize::MAX), Shape::PairsInResp3),
    };
    if !pops::take(cx, key, extreme, count, shape, reply)? {
        reply.array(0);
    }
    Ok(())
}

/// Writes a result in ascending order and drops it.
fn show(cx: &mut ShardCx<'_>, result: Draft<Zset>, with_scores: bool, reply: &mut ReplyBuf) {
    ranges::write(Some(result.view()), &Span::Ranks(0, -1), Order::Ascending, None, with_scores, reply);
    cx.discard(result);
}

/// Puts a result under its key, whatever that held; an empty one removes the key. Returns the number of members.
fn keep(cx: &mut ShardCx<'_>, destination: &[u8], result: Draft<Zset>, event: Event) -> i64 {
    let len = result.view().len();
    if len == 0 {
        cx.remove(destination);
    } else {
        cx.store(destination, result);
        cx.changed(event, destination);
    }
    len as i64
}
