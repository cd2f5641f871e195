//! Handlers.

use crate::error::CommandError;
use crate::reply::*;
use crate::shard::cx::ShardCx;
use crate::table::{GenericCommands, args};

impl GenericCommands for ShardCx<'_> {
    fn copy(&mut self, _: args::Copy<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn del(&mut self, _: args::Del<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn exists(&mut self, _: args::Exists<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn expire(&mut self, _: args::Expire<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn expireat(&mut self, _: args::Expireat<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn expiretime(&mut self, _: args::Expiretime<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn keys( &mut self, _: args::Keys<'_>, _: ArrayReply<'_, Bulk<'static>>, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn r#move(&mut self, _: args::Move<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn object_encoding<'r>( &'r mut self, _: args::ObjectEncoding<'r>, ) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn object_freq( &mut self, _: args::ObjectFreq<'_>, ) -> Result<Option<i64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn object_help(&mut self, _: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn object_idletime( &mut self, _: args::ObjectIdletime<'_>, ) -> Result<Option<i64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn object_refcount( &mut self, _: args::ObjectRefcount<'_>, ) -> Result<Option<i64>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn persist(&mut self, _: args::Persist<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn pexpire(&mut self, _: args::Pexpire<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn pexpireat(&mut self, _: args::Pexpireat<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn pexpiretime(&mut self, _: args::Pexpiretime<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn pttl(&mut self, _: args::Pttl<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn randomkey<'r>(&'r mut self) -> Result<Option<Bulk<'r>>, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn rename(&mut self, _: args::Rename<'_>) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn renamenx(&mut self, _: args::Renamenx<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn scan( &mut self, _: args::Scan<'_>, _: &mut ReplyBuf, ) -> Result<(), CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn touch(&mut self, _: args::Touch<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn ttl(&mut self, _: args::Ttl<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn r#type(&mut self, _: args::Type<'_>) -> Result<&'static str, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
    fn unlink(&mut self, _: args::Unlink<'_>) -> Result<i64, CommandError> {
        Err(CommandError::Text("ERR not there yet"))
    }
}


/// Merges.
pub fn randomkey(_: crate::argv::Argv<'_>, _: &[&[u8]], reply: &mut crate::reply::ReplyBuf) {
    reply.ok();
}
