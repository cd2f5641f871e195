//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{StringCommands, args};

impl StringCommands for ShardCx<'_> {
    fn append(&mut self, _: args::Append<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn decr(&mut self, _: args::Decr<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn decrby(&mut self, _: args::Decrby<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn get<'r>( &'r mut self, _: args::Get<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn getdel<'r>( &'r mut self, _: args::Getdel<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn getex<'r>( &'r mut self, _: args::Getex<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn getrange<'r>( &'r mut self, _: args::Getrange<'r>, ) -> Result<Bulk<'r>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn getset<'r>( &'r mut self, _: args::Getset<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn incr(&mut self, _: args::Incr<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn incrby(&mut self, _: args::Incrby<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn incrbyfloat<'r>( &'r mut self, _: args::Incrbyfloat<'r>, ) -> Result<Bulk<'r>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn lcs( &mut self, _: args::Lcs<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn mget( &mut self, _: args::Mget<'_>, _: ArrayReply<'_, Option<Bulk<'static>>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn mset(&mut self, _: args::Mset<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn msetnx(&mut self, _: args::Msetnx<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn psetex(&mut self, _: args::Psetex<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn set( &mut self, _: args::Set<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn setex(&mut self, _: args::Setex<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn setnx(&mut self, _: args::Setnx<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn setrange(&mut self, _: args::Setrange<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn strlen(&mut self, _: args::Strlen<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn substr<'r>( &'r mut self, _: args::Substr<'r>, ) -> Result<Bulk<'r>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}
