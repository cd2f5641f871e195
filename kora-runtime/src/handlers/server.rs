//! Handlers of the `server` group.
//!
//! Owns: the group's one implementation of its trait, and the commands about databases as wholes. The larger families have files of
//! their own: COMMAND in `introspection`, CONFIG in `config`, DEBUG in `debug`, INFO in `info`, KORA in `placement`, MEMORY in `memory`, what saves and ends in `saving`.
//! Refuses to know: other shards; what concerns all of them runs on each, and a merge makes one reply of their parts.

use super::{config, debug, help, info, introspection, memory, placement, saving};
use crate::argv::Many;
use crate::error::CommandError;
use crate::keyspace::DATABASES;
use crate::reply::{ArrayReply, Bulk, MapReply, ReplyBuf, Simple};
use crate::shard::core::Core;
use crate::shard::cx::ShardCx;
use crate::shard::places::database_number;
use crate::shard::watch;
use crate::table::{ServerCommands, args};

impl ServerCommands for ShardCx<'_> {
    fn bgrewriteaof(&mut self) -> Result<&'static str, CommandError> {
        saving::begin_log_anew(self)
    }

    fn bgsave(&mut self, _: args::Bgsave) -> Result<&'static str, CommandError> {
        saving::in_background(self)
    }

    fn command(&mut self, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        introspection::info(Many::none(), reply);
        Ok(())
    }

    fn command_count(&mut self) -> Result<i64, CommandError> {
        Ok(introspection::count())
    }

    fn command_docs(&mut self, args: args::CommandDocs<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        introspection::docs(args.names, reply);
        Ok(())
    }

    fn command_getkeys(
        &mut self,
        args::CommandGetkeys { command, arguments }: args::CommandGetkeys<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let line = introspection::Line::read(command, arguments)?;
        reply.all(line.names());
        Ok(())
    }

    fn command_getkeysandflags(
        &mut self,
        args::CommandGetkeysandflags { command, arguments }: args::CommandGetkeysandflags<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        introspection::Line::read(command, arguments)?.write_with_flags(reply);
        Ok(())
    }

    fn command_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        help("COMMAND", reply);
        Ok(())
    }

    fn command_info(&mut self, args: args::CommandInfo<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        introspection::info(args.names, reply);
        Ok(())
    }

    fn command_list(
        &mut self,
        args: args::CommandList<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        reply.all(introspection::list(args.filter).into_iter());
        Ok(())
    }

    fn config_get(
        &mut self,
        args: args::ConfigGet<'_>,
        reply: MapReply<'_, Bulk<'static>, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let found = config::matching(&self.core.config, args.patterns);
        let mut pairs = reply.open(found.len());
        for (name, value) in found {
            pairs.push(name, value);
        }
        Ok(())
    }

    fn config_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        help("CONFIG", reply);
        Ok(())
    }

    fn config_resetstat(&mut self) -> Result<(), CommandError> {
        config::reset_statistics(self.core);
        Ok(())
    }

    fn config_set(&mut self, args: args::ConfigSet<'_>) -> Result<(), CommandError> {
        config::set(self.core, args.pairs)
    }

    fn dbsize(&mut self) -> Result<i64, CommandError> {
        Ok(self.core.keyspace.database(usize::from(self.call.db)).len() as i64)
    }

    fn debug_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        help("DEBUG", reply);
        Ok(())
    }

    fn debug_object(&mut self, args: args::DebugObject<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        debug::object(self, args.key, reply)
    }

    fn debug_panic(&mut self, args: args::DebugPanic<'_>) -> Result<(), CommandError> {
        debug::fail_half_way(self, args.keys)
    }

    fn debug_loadaof(&mut self) -> Result<(), CommandError> {
        self.load_log()
    }

    fn debug_reload(&mut self) -> Result<(), CommandError> {
        self.reload()
    }

    fn debug_set_active_expire(&mut self, args: args::DebugSetActiveExpire) -> Result<(), CommandError> {
        self.core.active_expire = args.enabled != 0;
        Ok(())
    }

    fn debug_sleep(&mut self, args: args::DebugSleep) -> Result<(), CommandError> {
        debug::wait(self, args.seconds)
    }

    /// ASYNC and SYNC are the same: keys are out of sight at once and dropped in slices.
    fn flushall(&mut self, _: args::Flushall) -> Result<(), CommandError> {
        (0..DATABASES).for_each(|db| flush(self.core, db));
        self.core.flushed();
        Ok(())
    }

    /// As [`ServerCommands::flushall`], for one database.
    fn flushdb(&mut self, _: args::Flushdb) -> Result<(), CommandError> {
        flush(self.core, usize::from(self.call.db));
        self.core.flushed();
        Ok(())
    }

    fn info<'r>(&'r mut self, args: args::Info<'r>) -> Result<Bulk<'r>, CommandError> {
        let sections = info::sections::Sections::asked(args.sections.iter());
        Ok(Bulk::Owned(info::part(self.core, sections).encode()))
    }

    fn kora_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        help("KORA", reply);
        Ok(())
    }

    fn kora_owner(&mut self, args: args::KoraOwner<'_>, reply: ArrayReply<'_, i64>) -> Result<(), CommandError> {
        placement::owner(self.core, args.keys, reply);
        Ok(())
    }

    fn kora_routing(&mut self, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        placement::routing(&self.core.routing, reply);
        Ok(())
    }

    fn lastsave(&mut self) -> Result<i64, CommandError> {
        Ok(saving::last_unix_seconds(self))
    }

    fn memory_doctor<'r>(&'r mut self) -> Result<Bulk<'r>, CommandError> {
        Ok(Bulk::Owned(memory::doctor(self.core).into_bytes()))
    }

    fn memory_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        help("MEMORY", reply);
        Ok(())
    }

    fn memory_purge(&mut self) -> Result<(), CommandError> {
        self.core.host.purge();
        Ok(())
    }

    fn memory_stats(&mut self, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        reply.bulk(&memory::stats_part(self.core));
        Ok(())
    }

    fn memory_usage(
        &mut self,
        args::MemoryUsage { key, samples }: args::MemoryUsage<'_>,
    ) -> Result<Option<i64>, CommandError> {
        memory::usage(self, key, samples)
    }

    fn role(&mut self, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        reply.array(3);
        reply.bulk(b"master");
        reply.integer(0);
        reply.array(0);
        Ok(())
    }

    fn save(&mut self) -> Result<(), CommandError> {
        self.save_and_wait()
    }

    fn swapdb(&mut self, args::Swapdb { first, second }: args::Swapdb) -> Result<(), CommandError> {
        let (first, second) = (database_number(first)?, database_number(second)?);
        if !self.core.routing.agree(first, second) {
            return Err(CommandError::message(format!(
                "ERR SWAPDB {first} {second} is not possible: one of these databases is pinned to a shard on which the keys of the other are not"
            )));
        }
        if first == second {
            return Ok(());
        }
        for db in [first, second] {
            watch::touch_existing(self.core, db);
        }
        self.core.keyspace.swap(usize::from(first), usize::from(second));
        for db in [first, second] {
            watch::touch_existing(self.core, db);
            self.core.database_touched(db);
        }
        self.core.stats.dirty += 1;
        Ok(())
    }

    /// The clock of the tick has milliseconds; its microseconds are whole thousands.
    fn time(&mut self, reply: ArrayReply<'_, Bulk<'static>>) -> Result<(), CommandError> {
        let now_ms = self.now_ms();
        let mut parts = reply.open(2);
        parts.push((now_ms / 1000) as i64);
        parts.push((now_ms % 1000 * 1000) as i64);
        Ok(())
    }
}

/// Empties a database; what was in it is dropped in slices.
fn flush(core: &mut Core, db: usize) {
    watch::touch_existing(core, db as u8);
    let database = core.keyspace.flush(db);
    core.stats.dirty += database.len() as u64;
    core.discard(database);
}
