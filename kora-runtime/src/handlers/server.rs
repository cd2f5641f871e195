//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{ServerCommands, args};

impl ServerCommands for ShardCx<'_> {
    fn command(&mut self, _: &mut ReplyBuf) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_count(&mut self) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_docs( &mut self, _: args::CommandDocs<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_getkeys( &mut self, _: args::CommandGetkeys<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_getkeysandflags( &mut self, _: args::CommandGetkeysandflags<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_help( &mut self, _: ArrayReply<'_, Simple>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_info( &mut self, _: args::CommandInfo<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn command_list( &mut self, _: args::CommandList<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn config_get( &mut self, _: args::ConfigGet<'_>, _: MapReply<'_, Bulk<'static>, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn config_help(&mut self, _: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn config_resetstat(&mut self) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn config_set(&mut self, _: args::ConfigSet<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn dbsize(&mut self) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn debug_help(&mut self, _: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn debug_object( &mut self, _: args::DebugObject<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn debug_set_active_expire( &mut self, _: args::DebugSetActiveExpire, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn debug_sleep(&mut self, _: args::DebugSleep) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn flushall(&mut self, _: args::Flushall) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn flushdb(&mut self, _: args::Flushdb) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn info<'r>(&'r mut self, _: args::Info<'_>) -> Result<Bulk<'r>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn memory_doctor<'r>(&'r mut self) -> Result<Bulk<'r>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn memory_help(&mut self, _: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn memory_purge(&mut self) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn memory_stats(&mut self, _: &mut ReplyBuf) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn memory_usage( &mut self, _: args::MemoryUsage<'_>, ) -> Result<Option<i64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn role(&mut self, _: &mut ReplyBuf) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn shutdown( &mut self, _: args::Shutdown, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn swapdb(&mut self, _: args::Swapdb) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn time(&mut self, _: ArrayReply<'_, Bulk<'static>>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}
