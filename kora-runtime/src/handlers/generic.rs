//! Handlers of the `generic` group: what can be done to a key of any type.
//!
//! Owns: what each of these commands means, and the one reply that RANDOMKEY makes of the replies of several shards.
//! Refuses to know: what a value is, sockets, how a key's value comes here from another shard.
//! Start at [`rename`]. Expiry is in `generic/expire.rs`; RESTORE is in
//! `generic/restore.rs`, MIGRATE in `generic/migrate.rs`; KEYS, SCAN and RANDOMKEY, which look at keys they do not name, are in `generic/scan.rs`.
//!
//! Invariant: a handler changes a key only through [`ShardCx`], and tells the change as Redis would notify it.

pub(super) mod expire;
mod migrate;
mod restore;
mod scan;
#[cfg(test)]
mod tests;

use self::expire::{Conditions, TimeUnit};
pub use self::scan::randomkey;
use crate::argv::Many;
use crate::error::CommandError;
use crate::keyspace::{Entry, Event, Kind};
use crate::rdb::dump_payload;
use crate::reply::{ArrayReply, Bulk, ReplyBuf, Simple};
use crate::shard::core::lfu;
use crate::shard::cx::ShardCx;
use crate::shard::places::database_number;
use crate::table::{CommandId, GenericCommands, args};

/// The conditions of EXPIRE or one of its kin, each of which has types of its own for them.
macro_rules! conditions {
    ($args:ident, $condition:ident, $comparison:ident) => {
        Conditions {
            nx: $args.condition == Some(args::$condition::Nx),
            xx: $args.condition == Some(args::$condition::Xx),
            gt: $args.comparison == Some(args::$comparison::Gt),
            lt: $args.comparison == Some(args::$comparison::Lt),
        }
    };
}

impl GenericCommands for ShardCx<'_> {
    fn del(&mut self, args::Del { keys }: args::Del<'_>) -> Result<i64, CommandError> {
        Ok(count(keys, |key| self.remove(key)))
    }

    fn unlink(&mut self, args::Unlink { keys }: args::Unlink<'_>) -> Result<i64, CommandError> {
        Ok(count(keys, |key| self.remove(key)))
    }

    fn exists(&mut self, args::Exists { keys }: args::Exists<'_>) -> Result<i64, CommandError> {
        Ok(count(keys, |key| self.exists(key)))
    }

    fn touch(&mut self, args::Touch { keys }: args::Touch<'_>) -> Result<i64, CommandError> {
        // It is what the command is for, so CLIENT NO-TOUCH does not hold here.
        self.call.no_touch = false;
        Ok(count(keys, |key| self.lookup(key).is_some()))
    }

    fn r#type(&mut self, args::Type { key }: args::Type<'_>) -> Result<&'static str, CommandError> {
        Ok(self.glance(key).map_or("none", |entry| entry.kind().type_name()))
    }

    fn rename(&mut self, args::Rename { key, new_key }: args::Rename<'_>) -> Result<(), CommandError> {
        rename(self, key, new_key, Overwrite::Yes).map(|_| ())
    }

    fn renamenx(&mut self, args::Renamenx { key, new_key }: args::Renamenx<'_>) -> Result<i64, CommandError> {
        rename(self, key, new_key, Overwrite::No).map(i64::from)
    }

    fn restore(&mut self, args: args::Restore<'_>) -> Result<(), CommandError> {
        restore::restore(self, args)
    }

    fn migrate(&mut self, args: args::Migrate<'_>) -> Result<&'static str, CommandError> {
        migrate::migrate(self, args)
    }

    fn copy(&mut self, args: args::Copy<'_>) -> Result<i64, CommandError> {
        let args::Copy { source, destination, database, replace } = args;
        let to = database.map_or(Ok(self.db()), database_number)?;
        if to == self.db() && source == destination {
            return Err(CommandError::SameObject);
        }
        if self.lookup(source).is_none() || (!replace && self.find_in(to, destination).is_some()) {
            return Ok(0);
        }
        let Some(value) = self.duplicate(self.db(), source) else { return Ok(0) };
        self.attach(to, destination, value);
        self.changed_in(to, Event::CopyTo, destination);
        Ok(1)
    }

    fn dump<'r>(&'r mut self, args::Dump { key }: args::Dump<'r>) -> Result<Option<Bulk<'r>>, CommandError> {
        Ok(self.read_any(key)?.map(|value| Bulk::Owned(dump_payload(value))))
    }

    fn r#move(&mut self, args::Move { key, database }: args::Move<'_>) -> Result<i64, CommandError> {
        let to = database_number(database)?;
        if to == self.db() {
            return Err(CommandError::SameObject);
        }
        if self.find(key).is_none() || self.find_in(to, key).is_some() {
            return Ok(0);
        }
        let Some(value) = self.detach(self.db(), key) else { return Ok(0) };
        self.attach(to, key, value);
        self.changed(Event::MoveFrom, key);
        self.changed_in(to, Event::MoveTo, key);
        Ok(1)
    }

    fn expire(&mut self, args: args::Expire<'_>) -> Result<i64, CommandError> {
        let conditions = conditions!(args, ExpireCondition, ExpireComparison);
        let base_ms = self.now_ms();
        let deadline_ms = expire::deadline_ms(args.seconds, TimeUnit::Seconds, base_ms, CommandId::Expire)?;
        expire::expire(self, args.key, deadline_ms, conditions)
    }

    fn pexpire(&mut self, args: args::Pexpire<'_>) -> Result<i64, CommandError> {
        let conditions = conditions!(args, PexpireCondition, PexpireComparison);
        let base_ms = self.now_ms();
        let deadline_ms = expire::deadline_ms(args.milliseconds, TimeUnit::Milliseconds, base_ms, CommandId::Pexpire)?;
        expire::expire(self, args.key, deadline_ms, conditions)
    }

    fn expireat(&mut self, args: args::Expireat<'_>) -> Result<i64, CommandError> {
        let conditions = conditions!(args, ExpireatCondition, ExpireatComparison);
        let deadline_ms = expire::deadline_ms(args.deadline, TimeUnit::Seconds, 0, CommandId::Expireat)?;
        expire::expire(self, args.key, deadline_ms, conditions)
    }

    fn pexpireat(&mut self, args: args::Pexpireat<'_>) -> Result<i64, CommandError> {
        let conditions = conditions!(args, PexpireatCondition, PexpireatComparison);
        let deadline_ms = expire::deadline_ms(args.deadline, TimeUnit::Milliseconds, 0, CommandId::Pexpireat)?;
        expire::expire(self, args.key, deadline_ms, conditions)
    }

    fn persist(&mut self, args::Persist { key }: args::Persist<'_>) -> Result<i64, CommandError> {
        let Some(Some(_)) = self.expiry_ms(key) else { return Ok(0) };
        self.set_expiry_ms(key, None);
        self.changed(Event::Persist, key);
        Ok(1)
    }

    fn ttl(&mut self, args::Ttl { key }: args::Ttl<'_>) -> Result<i64, CommandError> {
        let now_ms = self.now_ms();
        Ok(expire::shown(self, key, |expiry_ms| expire::rounded_seconds(expiry_ms.saturating_sub(now_ms))))
    }

    fn pttl(&mut self, args::Pttl { key }: args::Pttl<'_>) -> Result<i64, CommandError> {
        let now_ms = self.now_ms();
        Ok(expire::shown(self, key, |expiry_ms| expiry_ms.saturating_sub(now_ms)))
    }

    fn expiretime(&mut self, args::Expiretime { key }: args::Expiretime<'_>) -> Result<i64, CommandError> {
        Ok(expire::shown(self, key, expire::rounded_seconds))
    }

    fn pexpiretime(&mut self, args::Pexpiretime { key }: args::Pexpiretime<'_>) -> Result<i64, CommandError> {
        Ok(expire::shown(self, key, |expiry_ms| expiry_ms))
    }

    fn keys(
        &mut self,
        args::Keys { pattern }: args::Keys<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        scan::keys(self, pattern, reply)
    }

    fn scan(&mut self, args: args::Scan<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        scan::scan(self, args, reply)
    }

    fn randomkey<'r>(&'r mut self) -> Result<Option<Bulk<'r>>, CommandError> {
        Ok(scan::random_key(self).map(Bulk::Owned))
    }

    fn object_encoding<'r>(
        &'r mut self,
        args::ObjectEncoding { key }: args::ObjectEncoding<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        Ok(self.peek(key).map(|entry| Bulk::Borrowed(encoding(entry).as_bytes())))
    }

    fn object_freq(&mut self, args::ObjectFreq { key }: args::ObjectFreq<'_>) -> Result<Option<i64>, CommandError> {
        let Some(access) = self.peek(key).map(Entry::access) else { return Ok(None) };
        if !self.config().maxmemory_policy.is_lfu() {
            return Err(CommandError::Text(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        let decay_minutes = u64::from(self.config().lfu_decay_time);
        Ok(Some(lfu::count(access, self.now_ms(), decay_minutes) as i64))
    }

    fn object_idletime(
        &mut self,
        args::ObjectIdletime { key }: args::ObjectIdletime<'_>,
    ) -> Result<Option<i64>, CommandError> {
        let Some(access) = self.peek(key).map(Entry::access) else { return Ok(None) };
        if self.config().maxmemory_policy.is_lfu() {
            return Err(CommandError::Text(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        Ok(Some((self.now_ms() / 1000).saturating_sub(u64::from(access)) as i64))
    }

    fn object_refcount(
        &mut self,
        args::ObjectRefcount { key }: args::ObjectRefcount<'_>,
    ) -> Result<Option<i64>, CommandError> {
        Ok(self.peek(key).map(|_| 1))
    }

    fn object_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        super::help("OBJECT", reply);
        Ok(())
    }
}

/// How many of `keys` `did` says yes to; a key named twice is asked twice.
fn count<'a>(keys: Many<'a, &'a [u8]>, mut did: impl FnMut(&[u8]) -> bool) -> i64 {
    keys.iter().filter(|key| did(key)).count() as i64
}

/// Whether RENAME may take a name that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overwrite {
    Yes,
    No,
}

/// RENAME. False when the name was in use and is left alone.
fn rename(cx: &mut ShardCx<'_>, key: &[u8], new_key: &[u8], overwrite: Overwrite) -> Result<bool, CommandError> {
    if cx.find(key).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if overwrite == Overwrite::No && cx.find(new_key).is_some() {
        return Ok(false);
    }
    if key != new_key {
        let value = cx.detach(cx.db(), key).ok_or(CommandError::NoSuchKey)?;
        cx.attach(cx.db(), new_key, value);
        cx.changed(Event::RenameFrom, key);
        cx.changed(Event::RenameTo, new_key);
    }
    Ok(true)
}

/// Bytes of the longest string that Redis keeps in one allocation with its header.
const EMBSTR_BYTES_MAX: usize = 44;

/// The word of OBJECT ENCODING for how a value is stored: Redis's word for what comes nearest.
pub fn encoding(entry: &Entry) -> &'static str {
    match entry.kind() {
        Kind::Int => "int",
        Kind::Str if entry.payload().len() <= EMBSTR_BYTES_MAX && !entry.is_raw() => "embstr",
        Kind::Str | Kind::StrBig => "raw",
        Kind::ListPacked | Kind::ListBig => "quicklist",
        Kind::HashPacked | Kind::SetPacked | Kind::ZsetPacked => "listpack",
        Kind::SetInts => "intset",
        Kind::HashBig | Kind::SetBig => "hashtable",
        Kind::ZsetBig => "skiplist",
        Kind::StreamNew | Kind::Stream => "stream",
    }
}
