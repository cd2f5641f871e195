//! Handlers of the `set` group.
//!
//! Owns: what each set command means. Refuses to know: the three forms of a set, other shards.
//! Start at [`SetCommands::sadd`]; [`algebra`] has union, intersection and difference, [`random`] the choices by chance.

mod algebra;
mod random;
#[cfg(test)]
mod tests;

pub(in crate::handlers) use self::random::{COUNT_RANGE, REPLY_TOO_LARGE};
use crate::config::Config;
use crate::error::CommandError;
use crate::handlers::page::{Page, begin_page};
use crate::keyspace::typed::Set;
use crate::keyspace::{Draft, Event};
use crate::reply::{ArrayReply, Bulk, ReplyBuf, SetReply};
use crate::shard::cx::ShardCx;
use crate::table::{CommandId, SetCommands, args};
use crate::types::{Digits, SetLimits};

/// Up to where sets stay compact.
fn limits(config: &Config) -> SetLimits {
    config.set_limits()
}

impl SetCommands for ShardCx<'_> {
    fn sadd(&mut self, args::Sadd { key, members }: args::Sadd<'_>) -> Result<i64, CommandError> {
        let limits = limits(self.config());
        let mut set = self.write_or_create::<Set>(key)?;
        let added = members.iter().filter(|member| set.insert(member, &limits)).count();
        if added > 0 {
            self.changed(Event::Sadd, key);
        }
        Ok(added as i64)
    }

    fn srem(&mut self, args::Srem { key, members }: args::Srem<'_>) -> Result<i64, CommandError> {
        let Some(mut set) = self.write::<Set>(key)? else { return Ok(0) };
        let removed = members.iter().filter(|member| set.remove(member)).count();
        let emptied = set.is_empty();
        if removed > 0 {
            self.changed(Event::Srem, key);
        }
        if emptied {
            self.remove_emptied(key);
        }
        Ok(removed as i64)
    }

    fn scard(&mut self, args::Scard { key }: args::Scard<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Set>(key)?.map_or(0, |set| set.len() as i64))
    }

    fn sismember(&mut self, args::Sismember { key, member }: args::Sismember<'_>) -> Result<i64, CommandError> {
        Ok(i64::from(self.read::<Set>(key)?.is_some_and(|set| set.contains(member))))
    }

    fn smismember(
        &mut self,
        args::Smismember { key, members }: args::Smismember<'_>,
        reply: ArrayReply<'_, i64>,
    ) -> Result<(), CommandError> {
        let set = self.read::<Set>(key)?;
        reply.all(members.iter().map(|member| i64::from(set.is_some_and(|set| set.contains(member)))));
        Ok(())
    }

    fn smembers(
        &mut self,
        args::Smembers { key }: args::Smembers<'_>,
        reply: SetReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        match self.read::<Set>(key)? {
            Some(set) => {
                let mut items = reply.open(set.len());
                set.iter().for_each(|member| items.push(Bulk::from(member)));
            }
            None => reply.empty(),
        }
        Ok(())
    }

    /// Without a source there is nothing to move, whatever the destination holds; otherwise both must be sets.
    fn smove(&mut self, args::Smove { source, destination, member }: args::Smove<'_>) -> Result<i64, CommandError> {
        let limits = limits(self.config());
        if self.write::<Set>(source)?.is_none() {
            return Ok(0);
        }
        self.write::<Set>(destination)?;
        let Some(mut from) = self.write::<Set>(source)? else { return Ok(0) };
        if source == destination {
            return Ok(i64::from(from.as_ref().contains(member)));
        }
        if !from.remove(member) {
            return Ok(0);
        }
        let emptied = from.is_empty();
        let apart = self.logs_keys_apart();
        self.changed(Event::Srem, source);
        if emptied {
            self.remove_emptied(source);
        }
        if apart {
            self.log(CommandId::Srem, &[source, member]);
        }
        if self.write_or_create::<Set>(destination)?.insert(member, &limits) {
            self.changed(Event::Sadd, destination);
            if apart {
                self.log(CommandId::Sadd, &[destination, member]);
            }
        }
        Ok(1)
    }

    fn spop(&mut self, args::Spop { key, count }: args::Spop<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        if let Some(count) = count {
            return random::pop_several(self, key, count, reply);
        }
        let (random, logs) = (self.random(), self.logs());
        let Some(mut set) = self.write::<Set>(key)? else {
            reply.null();
            return Ok(());
        };
        let mut popped = Vec::new();
        set.pop_random(random, |member| {
            reply.put_bulk(&member.into());
            if logs {
                popped.extend_from_slice(member.bytes(&mut Digits::new()));
            }
        });
        let emptied = set.is_empty();
        self.changed(Event::Spop, key);
        if emptied {
            self.remove_emptied(key);
            self.log(CommandId::Del, &[key]);
        } else {
            self.log(CommandId::Srem, &[key, &popped]);
        }
        Ok(())
    }

    fn srandmember(
        &mut self,
        args::Srandmember { key, count }: args::Srandmember<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let random = self.random();
        match count {
            Some(count) => return random::choose_several(self, key, count, random, reply),
            None => match self.read::<Set>(key)?.and_then(|set| set.random(random)) {
                Some(member) => reply.put_bulk(&member.into()),
                None => reply.null(),
            },
        }
        Ok(())
    }

    fn sscan(
        &mut self,
        args::Sscan { key, cursor, pattern, count }: args::Sscan<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let mut page = Page::new(pattern, count)?;
        let mut shown = Vec::new();
        let next = self.read::<Set>(key)?.map_or(0, |set| {
            page.walk(cursor.0, |page, position| {
                set.scan(position, &mut |member| {
                    if page.shows(member) {
                        shown.push(member);
                    }
                })
            })
        });
        begin_page(reply, next, shown.len());
        shown.into_iter().for_each(|member| reply.put_bulk(&member.into()));
        Ok(())
    }

    fn sinter(
        &mut self,
        args::Sinter { keys }: args::Sinter<'_>,
        reply: SetReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let mut members = Vec::new();
        algebra::intersection(algebra::sets(self, keys)?, usize::MAX, |member| members.push(member));
        reply.all(members.into_iter().map(Bulk::from));
        Ok(())
    }

    fn sintercard(&mut self, args::Sintercard { keys, limit }: args::Sintercard<'_>) -> Result<i64, CommandError> {
        let limit = match limit {
            None | Some(0) => usize::MAX,
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let mut count = 0;
        algebra::intersection(algebra::sets(self, keys)?, limit, |_| count += 1);
        Ok(count)
    }

    fn sinterstore(
        &mut self,
        args::Sinterstore { destination, keys }: args::Sinterstore<'_>,
    ) -> Result<i64, CommandError> {
        let result = algebra::drafted(self, keys, |sets, insert| algebra::intersection(sets, usize::MAX, insert))?;
        Ok(keep(self, destination, result, Event::SinterStore))
    }

    fn sdiff(
        &mut self,
        args::Sdiff { keys }: args::Sdiff<'_>,
        reply: SetReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let seeds = self.seeds();
        let mut members = Vec::new();
        algebra::difference(algebra::sets(self, keys)?, &seeds, |member| members.push(member));
        reply.all(members.into_iter().map(Bulk::from));
        Ok(())
    }

    fn sdiffstore(
        &mut self,
        args::Sdiffstore { destination, keys }: args::Sdiffstore<'_>,
    ) -> Result<i64, CommandError> {
        let seeds = self.seeds();
        let result = algebra::drafted(self, keys, |sets, insert| algebra::difference(sets, &seeds, insert))?;
        Ok(keep(self, destination, result, Event::SdiffStore))
    }

    fn sunion(
        &mut self,
        args::Sunion { keys }: args::Sunion<'_>,
        reply: SetReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let result = algebra::drafted(self, keys, algebra::all)?;
        let mut items = reply.open(result.view().len());
        result.view().iter().for_each(|member| items.push(Bulk::from(member)));
        drop(items);
        self.discard(result);
        Ok(())
    }

    fn sunionstore(
        &mut self,
        args::Sunionstore { destination, keys }: args::Sunionstore<'_>,
    ) -> Result<i64, CommandError> {
        let result = algebra::drafted(self, keys, algebra::all)?;
        Ok(keep(self, destination, result, Event::SunionStore))
    }
}

/// Puts a result under its key, whatever that held; an empty one removes the key. Returns the number of members.
fn keep(cx: &mut ShardCx<'_>, destination: &[u8], result: Draft<Set>, event: Event) -> i64 {
    let len = result.view().len();
    if len == 0 {
        cx.remove(destination);
    } else {
        cx.store(destination, result);
        cx.changed(event, destination);
    }
    len as i64
}
