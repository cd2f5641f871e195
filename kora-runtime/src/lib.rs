//! The shard: a sans-IO, deterministic state machine that is fed messages, a clock value, a random seed and a storage handle.
//!
//! Owns: protocol codec, data types, keyspace, command handlers, router, transactions, sessions.
//! Refuses to know: sockets, files, JSON, vectors, HTTP.

pub mod argv;
pub mod client;
pub mod config;
pub mod error;
pub mod extension;
pub mod glob;
pub mod handlers;
pub mod host;
pub mod keyspace;
pub mod limits;
pub mod random;
pub mod rdb;
pub mod reply;
pub mod resp;
pub mod shard;
pub mod table;
#[cfg(test)]
pub mod testing;
pub mod types;
