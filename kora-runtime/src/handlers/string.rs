//! Handlers of the `string` group.
//!
//! Owns: what each string command means. Refuses to know: how a string is stored, sockets, other shards, the log's format.
//! Start at [`StringCommands::set`]; the others are variations on it. LCS is in `string/lcs.rs`.
//!
//! Invariant: a handler changes a key only through [`ShardCx`], and tells the change as Redis would notify it.

mod lcs;
#[cfg(test)]
mod tests;

use super::generic::expire::log_deadline;
use crate::error::CommandError;
use crate::keyspace::typed::{Str, StrRef};
use crate::keyspace::{Detached, Event, Kind};
use crate::limits::REPLY_BYTES_MAX;
use crate::reply::{ArrayReply, Bulk, ReplyBuf};
use crate::resp::extended::{SumError, add_decimal};
use crate::resp::number::parse_i64;
use crate::shard::cx::{ExpiryChange, ShardCx};
use crate::table::{CommandId, StringCommands, args};
use crate::types::Big;

impl StringCommands for ShardCx<'_> {
    #[inline]
    fn get<'r>(&'r mut self, args::Get { key }: args::Get<'r>) -> Result<Option<Bulk<'r>>, CommandError> {
        Ok(self.read::<Str>(key)?.map(Bulk::from))
    }

    #[inline]
    fn set(&mut self, args: args::Set<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        use args::{SetCondition as Condition, SetExpiry as Expiry};
        let args::Set { key, value, condition, get, expiry } = args;
        let is_plain = condition.is_none() && !get && expiry.is_none();
        let expiry = match expiry {
            None => ExpiryChange::Clear,
            Some(Expiry::KeepTtl) => ExpiryChange::Keep,
            Some(Expiry::Ex(seconds)) => Time::Seconds(seconds).expiry(self, CommandId::Set)?,
            Some(Expiry::Px(milliseconds)) => Time::Milliseconds(milliseconds).expiry(self, CommandId::Set)?,
            Some(Expiry::Exat(seconds)) => Time::UnixSeconds(seconds).expiry(self, CommandId::Set)?,
            Some(Expiry::Pxat(milliseconds)) => Time::UnixMilliseconds(milliseconds).expiry(self, CommandId::Set)?,
        };
        if get {
            match self.read::<Str>(key)? {
                Some(old) => reply.put_bulk(&old.into()),
                None => reply.null(),
            }
        }
        if let Some(condition) = condition
            && self.find(key).is_some() != (condition == Condition::Xx)
        {
            if !get {
                reply.null();
            }
            return Ok(());
        }
        store(self, key, value, expiry);
        if is_plain {
            self.log_as_sent();
        } else {
            log_set(self, key, value, expiry);
        }
        if !get {
            reply.ok();
        }
        Ok(())
    }

    fn setnx(&mut self, args::Setnx { key, value }: args::Setnx<'_>) -> Result<i64, CommandError> {
        if self.find(key).is_some() {
            return Ok(0);
        }
        store(self, key, value, ExpiryChange::Clear);
        Ok(1)
    }

    fn setex(&mut self, args::Setex { key, seconds, value }: args::Setex<'_>) -> Result<(), CommandError> {
        let expiry = Time::Seconds(seconds).expiry(self, CommandId::Setex)?;
        store(self, key, value, expiry);
        log_set(self, key, value, expiry);
        Ok(())
    }

    fn psetex(&mut self, args::Psetex { key, milliseconds, value }: args::Psetex<'_>) -> Result<(), CommandError> {
        let expiry = Time::Milliseconds(milliseconds).expiry(self, CommandId::Psetex)?;
        store(self, key, value, expiry);
        log_set(self, key, value, expiry);
        Ok(())
    }

    fn getset<'r>(
        &'r mut self,
        args::Getset { key, value }: args::Getset<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        let old = self.read::<Str>(key)?.map(owned);
        store(self, key, value, ExpiryChange::Clear);
        Ok(old)
    }

    fn getdel<'r>(&'r mut self, args::Getdel { key }: args::Getdel<'r>) -> Result<Option<Bulk<'r>>, CommandError> {
        if self.read::<Str>(key)?.is_none() {
            return Ok(None);
        }
        let old = self.detach(self.db(), key);
        self.changed(Event::Del, key);
        Ok(old.map(moved_out))
    }

    /// The reply is what the key held before: a time in the past deletes it.
    fn getex<'r>(&'r mut self, args::Getex { key, expiry }: args::Getex<'r>) -> Result<Option<Bulk<'r>>, CommandError> {
        use args::GetexExpiry as Expiry;
        let Some(expiry) = expiry else { return Ok(self.read::<Str>(key)?.map(Bulk::from)) };
        let Some(value) = self.read::<Str>(key)?.map(owned) else { return Ok(None) };
        let time = match expiry {
            Expiry::Ex(seconds) => Time::Seconds(seconds),
            Expiry::Px(milliseconds) => Time::Milliseconds(milliseconds),
            Expiry::Exat(seconds) => Time::UnixSeconds(seconds),
            Expiry::Pxat(milliseconds) => Time::UnixMilliseconds(milliseconds),
            Expiry::Persist => {
                if let Some(Some(_)) = self.expiry_ms(key) {
                    self.set_expiry_ms(key, None);
                    self.changed(Event::Persist, key);
                    self.log(CommandId::Persist, &[key]);
                }
                return Ok(Some(value));
            }
        };
        let deadline_ms = time.deadline_ms(self.now_ms(), CommandId::Getex)?;
        if deadline_ms <= self.now_ms() {
            self.remove(key);
            self.log(CommandId::Del, &[key]);
        } else {
            self.set_expiry_ms(key, Some(deadline_ms));
            self.changed(Event::Expire, key);
            log_deadline(self, key, deadline_ms);
        }
        Ok(Some(value))
    }

    #[inline]
    fn mget(
        &mut self,
        args::Mget { keys }: args::Mget<'_>,
        reply: ArrayReply<'_, Option<Bulk<'static>>>,
    ) -> Result<(), CommandError> {
        let mut values = reply.open(keys.len());
        let mut bytes = 0;
        for key in keys {
            let value = match self.read::<Str>(key) {
                Ok(value) => value,
                Err(CommandError::WrongType) => None,
                Err(error) => {
                    values.abandon();
                    return Err(error);
                }
            };
            // One long string under many names would multiply.
            bytes += value.map_or(0, StrRef::len);
            if bytes > REPLY_BYTES_MAX {
                values.abandon();
                return Err(CommandError::TooLarge("reply", REPLY_BYTES_MAX));
            }
            values.push(value.map(Bulk::from));
        }
        Ok(())
    }

    #[inline]
    fn mset(&mut self, args::Mset { pairs }: args::Mset<'_>) -> Result<(), CommandError> {
        for args::MsetPairs { key, value } in pairs {
            store(self, key, value, ExpiryChange::Clear);
        }
        Ok(())
    }

    fn msetnx(&mut self, args::Msetnx { pairs }: args::Msetnx<'_>) -> Result<i64, CommandError> {
        if pairs.iter().any(|pair| self.find(pair.key).is_some()) {
            return Ok(0);
        }
        for args::MsetnxPairs { key, value } in pairs {
            store(self, key, value, ExpiryChange::Clear);
        }
        Ok(1)
    }

    fn strlen(&mut self, args::Strlen { key }: args::Strlen<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Str>(key)?.map_or(0, |value| value.len() as i64))
    }

    fn getrange<'r>(&'r mut self, args: args::Getrange<'r>) -> Result<Bulk<'r>, CommandError> {
        part(self, args.key, args.start, args.end)
    }

    fn substr<'r>(&'r mut self, args: args::Substr<'r>) -> Result<Bulk<'r>, CommandError> {
        part(self, args.key, args.start, args.end)
    }

    fn append(&mut self, args::Append { key, value }: args::Append<'_>) -> Result<i64, CommandError> {
        let len_max = self.config().proto_max_bulk_len;
        let len = match self.write::<Str>(key)? {
            Some(mut string) => {
                let len = lengthened(string.get().len(), value.len(), len_max)?;
                string.edit(len, |bytes| bytes.extend_from_slice(value));
                len
            }
            None => {
                self.set_string(key, value, ExpiryChange::Clear);
                value.len()
            }
        };
        self.changed(Event::Append, key);
        Ok(len as i64)
    }

    fn setrange(&mut self, args::Setrange { key, offset, value }: args::Setrange<'_>) -> Result<i64, CommandError> {
        // The row refuses negative ones, with the text for it.
        let offset = usize::try_from(offset).map_err(|_| CommandError::OutOfRange)?;
        let len_max = self.config().proto_max_bulk_len;
        let old_len = self.write::<Str>(key)?.map_or(0, |string| string.get().len());
        if value.is_empty() {
            return Ok(old_len as i64);
        }
        let end = lengthened(offset, value.len(), len_max)?;
        let len = end.max(old_len);
        self.write_or_create::<Str>(key)?.edit(len, |bytes| {
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[offset..end].copy_from_slice(value);
        });
        self.changed(Event::SetRange, key);
        Ok(len as i64)
    }

    #[inline]
    fn incr(&mut self, args::Incr { key }: args::Incr<'_>) -> Result<i64, CommandError> {
        add(self, key, 1)
    }

    #[inline]
    fn decr(&mut self, args::Decr { key }: args::Decr<'_>) -> Result<i64, CommandError> {
        add(self, key, -1)
    }

    fn incrby(&mut self, args::Incrby { key, increment }: args::Incrby<'_>) -> Result<i64, CommandError> {
        add(self, key, increment)
    }

    fn decrby(&mut self, args::Decrby { key, decrement }: args::Decrby<'_>) -> Result<i64, CommandError> {
        // Redis refuses the one integer without an opposite even where the difference would fit.
        let increment = decrement.checked_neg().ok_or(CommandError::Text("ERR decrement would overflow"))?;
        add(self, key, increment)
    }

    fn incrbyfloat<'r>(
        &'r mut self,
        args::Incrbyfloat { key, increment }: args::Incrbyfloat<'r>,
    ) -> Result<Bulk<'r>, CommandError> {
        let sum = {
            let mut scratch = itoa::Buffer::new();
            let string = self.write::<Str>(key)?;
            let current = string.as_ref().map_or(b"0".as_slice(), |string| string.get().bytes(&mut scratch));
            add_decimal(current, increment).map_err(|error| match error {
                SumError::CurrentNotAFloat | SumError::IncrementNotAFloat => CommandError::NotAFloat,
                SumError::NanOrInfinity => CommandError::NanOrInfinity,
            })?
        };
        self.set_string(key, &sum, ExpiryChange::Keep);
        self.changed(Event::IncrByFloat, key);
        log_set(self, key, &sum, ExpiryChange::Keep);
        Ok(Bulk::Owned(sum))
    }

    fn lcs(&mut self, args: args::Lcs<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        lcs::lcs(self, args, reply)
    }
}

/// Sets a key as SET does, and tells it.
#[inline]
fn store(cx: &mut ShardCx<'_>, key: &[u8], value: &[u8], expiry: ExpiryChange) {
    cx.set_string(key, value, expiry);
    cx.changed(Event::Set, key);
    if let ExpiryChange::At(_) = expiry {
        cx.changed(Event::Expire, key);
    }
}

/// Logs a SET by what came of it: its conditions held, its time is a fixed one.
fn log_set(cx: &mut ShardCx<'_>, key: &[u8], value: &[u8], expiry: ExpiryChange) {
    match expiry {
        ExpiryChange::Clear => cx.log(CommandId::Set, &[key, value]),
        ExpiryChange::Keep => cx.log(CommandId::Set, &[key, value, b"KEEPTTL"]),
        ExpiryChange::At(at_ms) if cx.logs() => {
            cx.log(CommandId::Set, &[key, value, b"PXAT", itoa::Buffer::new().format(at_ms).as_bytes()]);
        }
        ExpiryChange::At(_) => {}
    }
}

/// INCR and its kin. The expiry stays.
#[inline]
fn add(cx: &mut ShardCx<'_>, key: &[u8], increment: i64) -> Result<i64, CommandError> {
    let sum = match cx.write::<Str>(key)? {
        Some(mut string) => {
            let current = match string.get() {
                StrRef::Int(number) => number,
                StrRef::Bytes(text) => parse_i64(text).ok_or(CommandError::NotAnInteger)?,
            };
            let sum = current.checked_add(increment).ok_or(CommandError::Overflow)?;
            string.set_int(sum);
            sum
        }
        None => {
            cx.set_string(key, itoa::Buffer::new().format(increment).as_bytes(), ExpiryChange::Clear);
            increment
        }
    };
    cx.changed(Event::IncrBy, key);
    Ok(sum)
}

/// GETRANGE: the bytes from `start` to `end`, both counted from the end when negative, both clamped to the string.
fn part<'r>(cx: &'r mut ShardCx<'_>, key: &[u8], start: i64, end: i64) -> Result<Bulk<'r>, CommandError> {
    let Some(value) = cx.read::<Str>(key)? else { return Ok(Bulk::Borrowed(b"")) };
    let len = value.len() as i64;
    let from_front = |index: i64| if index < 0 { (index + len).max(0) } else { index };
    let (first, last) = (from_front(start), from_front(end).min(len - 1));
    // Two negative indices the wrong way round are empty even where clamping would make them one byte.
    if first > last || (start < 0 && end < 0 && start > end) {
        return Ok(Bulk::Borrowed(b""));
    }
    let range = first as usize..last as usize + 1;
    Ok(match value {
        StrRef::Bytes(bytes) => Bulk::Borrowed(&bytes[range]),
        StrRef::Int(number) => Bulk::Owned(itoa::Buffer::new().format(number).as_bytes()[range].to_vec()),
    })
}

/// The length of a string of `len` bytes and `added` more.
fn lengthened(len: usize, added: usize, len_max: usize) -> Result<usize, CommandError> {
    len.checked_add(added).filter(|sum| *sum <= len_max).ok_or(CommandError::StringTooLong)
}

/// A string in a reply that outlives it.
fn owned(value: StrRef<'_>) -> Bulk<'static> {
    match value {
        StrRef::Bytes(bytes) => Bulk::Owned(bytes.to_vec()),
        StrRef::Int(number) => Bulk::Integer(number),
    }
}

/// A string that was taken out of the keyspace; a long one is not copied.
fn moved_out(value: Detached) -> Bulk<'static> {
    match (value.kind, value.big) {
        (_, Some(Big::Str(bytes))) => Bulk::Owned(bytes),
        (Kind::Int, _) => {
            Bulk::Integer(i64::from_le_bytes(value.inline[..].try_into().expect("an Int payload has 8 bytes")))
        }
        _ => Bulk::Owned(value.inline.into_vec()),
    }
}

/// A time as SET and its kin take it.
#[derive(Debug, Clone, Copy)]
enum Time {
    Seconds(i64),
    Milliseconds(i64),
    UnixSeconds(i64),
    UnixMilliseconds(i64),
}

impl Time {
    /// The Unix milliseconds it names. Must be positive and, like the deadline, in the range of an `i64` of milliseconds; the past is allowed.
    fn deadline_ms(self, now_ms: u64, command: CommandId) -> Result<u64, CommandError> {
        let (amount, unit_ms, base_ms) = match self {
            Self::Seconds(seconds) => (seconds, 1000, now_ms as i64),
            Self::Milliseconds(milliseconds) => (milliseconds, 1, now_ms as i64),
            Self::UnixSeconds(seconds) => (seconds, 1000, 0),
            Self::UnixMilliseconds(milliseconds) => (milliseconds, 1, 0),
        };
        let positive = (amount > 0).then_some(amount);
        positive
            .and_then(|amount| amount.checked_mul(unit_ms)?.checked_add(base_ms))
            .map(|deadline_ms| deadline_ms as u64)
            .ok_or(CommandError::InvalidExpire(command.info().name))
    }

    fn expiry(self, cx: &ShardCx<'_>, command: CommandId) -> Result<ExpiryChange, CommandError> {
        self.deadline_ms(cx.now_ms(), command).map(ExpiryChange::At)
    }
}
