//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{SortedSetCommands, args};

impl SortedSetCommands for ShardCx<'_> {
    fn zadd( &mut self, _: args::Zadd<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zcard(&mut self, _: args::Zcard<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zcount(&mut self, _: args::Zcount<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zdiff( &mut self, _: args::Zdiff<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zdiffstore(&mut self, _: args::Zdiffstore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zincrby(&mut self, _: args::Zincrby<'_>) -> Result<f64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zinter( &mut self, _: args::Zinter<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zintercard(&mut self, _: args::Zintercard<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zinterstore(&mut self, _: args::Zinterstore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zlexcount(&mut self, _: args::Zlexcount<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zmpop( &mut self, _: args::Zmpop<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zmscore( &mut self, _: args::Zmscore<'_>, _: ArrayReply<'_, Option<f64>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zpopmax( &mut self, _: args::Zpopmax<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zpopmin( &mut self, _: args::Zpopmin<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrandmember( &mut self, _: args::Zrandmember<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrange( &mut self, _: args::Zrange<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrangebylex( &mut self, _: args::Zrangebylex<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrangebyscore( &mut self, _: args::Zrangebyscore<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrangestore(&mut self, _: args::Zrangestore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrank(&mut self, _: args::Zrank<'_>) -> Result<Option<i64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrem(&mut self, _: args::Zrem<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zremrangebylex( &mut self, _: args::Zremrangebylex<'_>, ) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zremrangebyrank( &mut self, _: args::Zremrangebyrank<'_>, ) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zremrangebyscore( &mut self, _: args::Zremrangebyscore<'_>, ) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrevrange( &mut self, _: args::Zrevrange<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrevrangebylex( &mut self, _: args::Zrevrangebylex<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrevrangebyscore( &mut self, _: args::Zrevrangebyscore<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zrevrank( &mut self, _: args::Zrevrank<'_>, ) -> Result<Option<i64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zscan( &mut self, _: args::Zscan<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zscore(&mut self, _: args::Zscore<'_>) -> Result<Option<f64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zunion( &mut self, _: args::Zunion<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn zunionstore(&mut self, _: args::Zunionstore<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}
