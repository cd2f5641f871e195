//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{ListCommands, args};

impl ListCommands for ShardCx<'_> {
    fn lindex<'r>( &'r mut self, _: args::Lindex<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn linsert(&mut self, _: args::Linsert<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn llen(&mut self, _: args::Llen<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lmove<'r>( &'r mut self, _: args::Lmove<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lmpop( &mut self, _: args::Lmpop<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lpop( &mut self, _: args::Lpop<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lpos( &mut self, _: args::Lpos<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lpush(&mut self, _: args::Lpush<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lpushx(&mut self, _: args::Lpushx<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lrange( &mut self, _: args::Lrange<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lrem(&mut self, _: args::Lrem<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lset(&mut self, _: args::Lset<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn ltrim(&mut self, _: args::Ltrim<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn rpop( &mut self, _: args::Rpop<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn rpoplpush<'r>( &'r mut self, _: args::Rpoplpush<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn rpush(&mut self, _: args::Rpush<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn rpushx(&mut self, _: args::Rpushx<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}
