//! Handlers of the `transactions` group that run where keys live: WATCH.
//!
//! Owns: what WATCH does at the owner of a key. Refuses to know: how a transaction runs (`shard/exec.rs`); MULTI, DISCARD and UNWATCH change only the
//! session and stand in `handlers/session.rs`.

use crate::error::CommandError;
use crate::shard::cx::ShardCx;
use crate::table::{TransactionsCommands, args};

impl TransactionsCommands for ShardCx<'_> {
    fn watch(&mut self, args::Watch { keys }: args::Watch<'_>) -> Result<(), CommandError> {
        for key in keys {
            ShardCx::watch(self, key);
        }
        Ok(())
    }
}
