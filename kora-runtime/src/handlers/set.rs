//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{SetCommands, args};

impl SetCommands for ShardCx<'_> {
    fn sadd(&mut self, _: args::Sadd<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn scard(&mut self, _: args::Scard<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sdiff( &mut self, _: args::Sdiff<'_>, _: SetReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sdiffstore(&mut self, _: args::Sdiffstore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sinter( &mut self, _: args::Sinter<'_>, _: SetReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sintercard(&mut self, _: args::Sintercard<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sinterstore(&mut self, _: args::Sinterstore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sismember(&mut self, _: args::Sismember<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn smembers( &mut self, _: args::Smembers<'_>, _: SetReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn smismember( &mut self, _: args::Smismember<'_>, _: ArrayReply<'_, i64>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn smove(&mut self, _: args::Smove<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn spop( &mut self, _: args::Spop<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn srandmember( &mut self, _: args::Srandmember<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn srem(&mut self, _: args::Srem<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sscan( &mut self, _: args::Sscan<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sunion( &mut self, _: args::Sunion<'_>, _: SetReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn sunionstore(&mut self, _: args::Sunionstore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}
