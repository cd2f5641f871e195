//! One shard's log.
pub mod record;
