//! Handlers of the `hash` group.
//!
//! Owns: what each hash command means. Refuses to know: how a hash is stored, other shards, the log's format.
//! Start at `hset` and `hget`. Fields chosen at random are chosen in `hash/choice.rs`.
//!
//! Invariant: whoever takes the last field of a hash removes its key and tells so, after the event of the command itself.

mod choice;

use self::choice::{choose, choose_distinct, choose_repeated};
use crate::error::CommandError;
use crate::glob;
use crate::keyspace::Event;
use crate::keyspace::typed::Hash;
use crate::limits::REPLY_BYTES_MAX;
use crate::random::Random;
use crate::reply::{ArrayReply, Bulk, MapReply, Protocol, ReplyBuf};
use crate::resp::extended::{Extended, SumError, add_decimal};
use crate::shard::cx::ShardCx;
use crate::table::{CommandId, HashCommands, args};
use crate::types::hash::Pair;
use crate::types::{Digits, Element, PackedLimits};

/// Elements that HSCAN asks for by itself, as in Redis.
const SCAN_COUNT: u64 = 10;
/// Steps through a table that HSCAN takes for each element it wants, before it gives up finding that many: Redis's bound.
const SCAN_STEPS_PER_ELEMENT: u64 = 10;

const REPLY_TOO_LARGE: CommandError = CommandError::TooLarge("reply", REPLY_BYTES_MAX);

impl ShardCx<'_> {
    /// Up to where hashes stay packed, by the settings.
    #[inline]
    fn hash_limits(&self) -> PackedLimits {
        self.config().hash_limits()
    }

    /// HKEYS and HVALS: of each pair what `half` picks.
    fn halves(
        &mut self,
        key: &[u8],
        reply: ArrayReply<'_, Bulk<'static>>,
        half: impl Fn(Pair<'_>) -> Element<'_>,
    ) -> Result<(), CommandError> {
        let Some(hash) = self.read::<Hash>(key)? else {
            reply.empty();
            return Ok(());
        };
        let mut items = reply.open(hash.len());
        hash.iter().for_each(|pair| items.push(half(pair)));
        Ok(())
    }

    /// HSET and HMSET; says how many fields are new.
    #[inline]
    fn set_fields<'p>(
        &mut self,
        key: &[u8],
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
    ) -> Result<i64, CommandError> {
        let limits = self.hash_limits();
        let mut hash = self.write_or_create::<Hash>(key)?;
        let mut new = 0;
        for (field, value) in pairs {
            new += i64::from(hash.set(field, value, &limits));
        }
        self.changed(Event::Hset, key);
        Ok(new)
    }
}

impl HashCommands for ShardCx<'_> {
    fn hdel(&mut self, args::Hdel { key, fields }: args::Hdel<'_>) -> Result<i64, CommandError> {
        let Some(mut hash) = self.write::<Hash>(key)? else { return Ok(0) };
        let mut removed = 0;
        let mut emptied = false;
        for field in fields {
            if hash.remove(field) {
                removed += 1;
                emptied = hash.is_empty();
                if emptied {
                    break;
                }
            }
        }
        if removed > 0 {
            self.changed(Event::Hdel, key);
        }
        if emptied {
            self.remove_emptied(key);
        }
        Ok(removed)
    }

    fn hexists(&mut self, args::Hexists { key, field }: args::Hexists<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Hash>(key)?.map_or(0, |hash| i64::from(hash.contains(field))))
    }

    fn hget<'r>(&'r mut self, args::Hget { key, field }: args::Hget<'r>) -> Result<Option<Bulk<'r>>, CommandError> {
        Ok(self.read::<Hash>(key)?.and_then(|hash| hash.get(field)).map(Bulk::from))
    }

    fn hgetall(
        &mut self,
        args::Hgetall { key }: args::Hgetall<'_>,
        reply: MapReply<'_, Bulk<'static>, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let Some(hash) = self.read::<Hash>(key)? else {
            reply.open(0);
            return Ok(());
        };
        let mut pairs = reply.open(hash.len());
        hash.iter().for_each(|(field, value)| pairs.push(field, value));
        Ok(())
    }

    fn hincrby(&mut self, args::Hincrby { key, field, increment }: args::Hincrby<'_>) -> Result<i64, CommandError> {
        let limits = self.hash_limits();
        // A hash that is new here cannot fail below: nothing plus an increment is an integer.
        let mut hash = self.write_or_create::<Hash>(key)?;
        let current = match hash.as_ref().get(field) {
            Some(value) => value.int().ok_or(CommandError::HashValueNotAnInteger)?,
            None => 0,
        };
        let sum = current.checked_add(increment).ok_or(CommandError::Overflow)?;
        hash.set(field, itoa::Buffer::new().format(sum).as_bytes(), &limits);
        self.changed(Event::HincrBy, key);
        Ok(sum)
    }

    fn hincrbyfloat<'r>(
        &'r mut self,
        args::Hincrbyfloat { key, field, increment }: args::Hincrbyfloat<'r>,
    ) -> Result<Bulk<'r>, CommandError> {
        // The increment is judged before the key is looked at, as in Redis.
        if !Extended::parse(increment).ok_or(CommandError::NotAFloat)?.is_finite() {
            return Err(CommandError::Text("ERR value is NaN or Infinity"));
        }
        let limits = self.hash_limits();
        let current = self.read::<Hash>(key)?.and_then(|hash| hash.get(field));
        let current = current.unwrap_or(Element::Int(0));
        let sum = add_decimal(current.bytes(&mut Digits::new()), increment).map_err(|error| match error {
            SumError::CurrentNotAFloat => CommandError::HashValueNotAFloat,
            SumError::IncrementNotAFloat => CommandError::NotAFloat,
            SumError::NanOrInfinity => CommandError::NanOrInfinity,
        })?;
        self.write_or_create::<Hash>(key)?.set(field, &sum, &limits);
        self.changed(Event::HincrByFloat, key);
        self.log(CommandId::Hset, &[key, field, &sum]);
        Ok(Bulk::Owned(sum))
    }

    fn hkeys(
        &mut self,
        args::Hkeys { key }: args::Hkeys<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        self.halves(key, reply, |(field, _)| field)
    }

    fn hlen(&mut self, args::Hlen { key }: args::Hlen<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Hash>(key)?.map_or(0, |hash| hash.len() as i64))
    }

    fn hmget(
        &mut self,
        args::Hmget { key, fields }: args::Hmget<'_>,
        reply: ArrayReply<'_, Option<Bulk<'static>>>,
    ) -> Result<(), CommandError> {
        let hash = self.read::<Hash>(key)?;
        let mut items = reply.open(fields.len());
        let start = items.bytes_len();
        // A client may ask for one long value again and again.
        for field in fields {
            let value = hash.and_then(|hash| hash.get(field));
            let value_bytes = value.map_or(0, |value| value.len());
            if items.bytes_len() - start + value_bytes > REPLY_BYTES_MAX {
                items.abandon();
                return Err(REPLY_TOO_LARGE);
            }
            items.push(value);
        }
        Ok(())
    }

    fn hmset(&mut self, args::Hmset { key, pairs }: args::Hmset<'_>) -> Result<(), CommandError> {
        self.set_fields(key, pairs.iter().map(|pair| (pair.field, pair.value)))?;
        Ok(())
    }

    fn hrandfield(
        &mut self,
        args::Hrandfield { key, several }: args::Hrandfield<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let Some(args::HrandfieldSeveral { count, with_values }) = several else {
            let random = self.random();
            match self.read::<Hash>(key)?.and_then(|hash| choose(hash, random)) {
                Some((field, _)) => reply.element(field),
                None => reply.null(),
            }
            return Ok(());
        };
        if count == i64::MIN {
            return Err(CommandError::Text(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
            return Err(CommandError::OutOfRange);
        }
        let mut random = Random::new(self.random());
        let Some(hash) = self.read::<Hash>(key)? else {
            reply.array(0);
            return Ok(());
        };
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let mut pairs = PairsReply { reply, with_values };
        if count >= 0 {
            // No more than are stored, so the reply is bounded.
            pairs.open(size.min(hash.len()));
            choose_distinct(hash, size, &mut random, |pair| pairs.push(pair));
            return Ok(());
        }
        if size > REPLY_BYTES_MAX / EMPTY_BULK_BYTES {
            return Err(REPLY_TOO_LARGE);
        }
        pairs.open(size);
        let start = pairs.reply.len();
        choose_repeated(hash, size, &mut random, |pair @ (field, value)| {
            let value_bytes = if with_values { value.len() } else { 0 };
            if pairs.reply.len() - start + field.len() + value_bytes > REPLY_BYTES_MAX {
                return Err(REPLY_TOO_LARGE);
            }
            pairs.push(pair);
            Ok(())
        })
    }

    fn hscan(
        &mut self,
        args::Hscan { key, cursor, pattern, count }: args::Hscan<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let count = match count {
            Some(count) => u64::try_from(count).ok().filter(|count| *count > 0).ok_or(CommandError::Syntax)?,
            None => SCAN_COUNT,
        };
        let hash = self.read::<Hash>(key)?;
        reply.array(2);
        let Some(hash) = hash else {
            reply.bulk(b"0");
            reply.array(0);
            return Ok(());
        };
        // The cursor stands before the elements but is known after them.
        let mark = reply.len();
        let mut written = 0;
        let mut visited = 0;
        let mut position = cursor.0;
        let mut digits = Digits::new();
        let mut steps_left = count.saturating_mul(SCAN_STEPS_PER_ELEMENT);
        loop {
            position = hash.scan(position, &mut |field, value| {
                visited += 1;
                if pattern.is_none_or(|pattern| glob::matches(pattern, field.bytes(&mut digits), false)) {
                    reply.element(field);
                    reply.element(value);
                    written += 2;
                }
            });
            steps_left -= 1;
            if position == 0 || visited >= count || steps_left == 0 {
                break;
            }
        }
        put_before(reply, mark, position, written);
        Ok(())
    }

    fn hset(&mut self, args::Hset { key, pairs }: args::Hset<'_>) -> Result<i64, CommandError> {
        self.set_fields(key, pairs.iter().map(|pair| (pair.field, pair.value)))
    }

    fn hsetnx(&mut self, args::Hsetnx { key, field, value }: args::Hsetnx<'_>) -> Result<i64, CommandError> {
        let limits = self.hash_limits();
        // A hash that is new here has not got the field, so none is left empty.
        let mut hash = self.write_or_create::<Hash>(key)?;
        if hash.as_ref().contains(field) {
            return Ok(0);
        }
        hash.set(field, value, &limits);
        self.changed(Event::Hset, key);
        Ok(1)
    }

    fn hstrlen(&mut self, args::Hstrlen { key, field }: args::Hstrlen<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Hash>(key)?.map_or(0, |hash| hash.value_len(field) as i64))
    }

    fn hvals(
        &mut self,
        args::Hvals { key }: args::Hvals<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        self.halves(key, reply, |(_, value)| value)
    }
}

/// Bytes of the shortest bulk string, `$0\r\n\r\n`.
const EMPTY_BULK_BYTES: usize = 6;

/// The reply of HRANDFIELD with a count: fields, or fields and values, which RESP3 shows in pairs.
struct PairsReply<'w> {
    reply: &'w mut ReplyBuf,
    with_values: bool,
}

impl PairsReply<'_> {
    fn open(&mut self, count: usize) {
        let flat = self.with_values && self.reply.protocol() == Protocol::Resp2;
        self.reply.array(if flat { 2 * count } else { count });
    }

    fn push(&mut self, (field, value): Pair<'_>) {
        if !self.with_values {
            return self.reply.element(field);
        }
        if self.reply.protocol() == Protocol::Resp3 {
            self.reply.array(2);
        }
        self.reply.element(field);
        self.reply.element(value);
    }
}

/// Puts the cursor and the header of the array before the `len` elements that were written behind `mark`.
fn put_before(reply: &mut ReplyBuf, mark: usize, cursor: u64, len: usize) {
    let mut head = ReplyBuf::new(reply.protocol());
    head.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    head.array(len);
    reply.bytes_mut().splice(mark..mark, head.into_bytes());
}

#[cfg(test)]
mod tests;
