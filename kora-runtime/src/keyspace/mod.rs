//! The keyspace of one shard.

pub mod entry;
