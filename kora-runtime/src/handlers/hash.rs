//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{HashCommands, args};

impl HashCommands for ShardCx<'_> {
    fn hdel(&mut self, _: args::Hdel<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hexists(&mut self, _: args::Hexists<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hget<'r>( &'r mut self, _: args::Hget<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hgetall( &mut self, _: args::Hgetall<'_>, _: MapReply<'_, Bulk<'static>, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hincrby(&mut self, _: args::Hincrby<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hincrbyfloat<'r>( &'r mut self, _: args::Hincrbyfloat<'r>, ) -> Result<Bulk<'r>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hkeys( &mut self, _: args::Hkeys<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hlen(&mut self, _: args::Hlen<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hmget( &mut self, _: args::Hmget<'_>, _: ArrayReply<'_, Option<Bulk<'static>>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hmset(&mut self, _: args::Hmset<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hrandfield( &mut self, _: args::Hrandfield<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hscan( &mut self, _: args::Hscan<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hset(&mut self, _: args::Hset<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hsetnx(&mut self, _: args::Hsetnx<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hstrlen(&mut self, _: args::Hstrlen<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn hvals( &mut self, _: args::Hvals<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}
