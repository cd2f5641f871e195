//! What kora-ext plugs into a shard.
//!
//! Owns: the hooks that every extension has, and how its handlers are reached. Refuses to know: what any extension does.
//! Start at [`Extension`]. The handlers themselves are the generated traits of the groups with `owner = "ext"`; a shard holds one object for each
//! such group in [`Extensions`], so that core commands never pay for them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::argv::Argv;
use crate::error::CommandError;
use crate::shard::core::Effect;
use crate::shard::cx::ShardCx;
use crate::shard::message::ShardId;
use crate::table::{CommandId, Extensions};

/// Hooks of an extension on one shard. Each has a default that does nothing.
pub trait Extension {
    /// The shards that a command with `route = { scatter = … }` concerns; `None` when it is not this extension's or concerns every shard.
    fn audience(&self, _id: CommandId, _argv: Argv<'_>) -> Option<Vec<ShardId>> {
        None
    }

    /// Something that this extension said on another shard, by [`ShardCx::send`]. What one shard says to another arrives in order.
    fn receive(&mut self, _cx: &mut ShardCx<'_>, _from: ShardId, _note: &[u8]) {}

    /// A client has gone, or started afresh with RESET: nothing may be sent to its session any more.
    fn client_gone(&mut self, _cx: &mut ShardCx<'_>, _session: u32) {}

    /// Appends what of this extension's state belongs into a snapshot, as records of RDB; the same on every shard.
    fn save(&self, _out: &mut Vec<u8>) {}

    /// Numbers for INFO that are the same on every shard; one is asked for all of them.
    fn facts(&self, _tell: &mut dyn FnMut(&'static str, u64)) {}

    /// Keys of this shard changed, in this order. Told after the command that changed them, when `notify-keyspace-events` asked for it; keys that were
    /// missed and keys that are new are among them when that parameter names their classes.
    fn changed(&mut self, _cx: &mut ShardCx<'_>, _effects: &[Effect]) {}
}

/// Reaches the extensions of a shard.
pub trait HasExtensions {
    /// Takes an extension from its slot, runs `run` with it and puts it back, even when `run` panics.
    ///
    /// # Errors
    /// [`CommandError::Internal`] when the engine was started without that extension, or it is in use; else what `run` returns.
    fn extended<T: ?Sized, R>(
        &mut self,
        slot: fn(&mut Extensions) -> &mut Option<Box<T>>,
        run: impl FnOnce(&mut T, &mut ShardCx<'_>) -> Result<R, CommandError>,
    ) -> Result<R, CommandError>;
}

impl HasExtensions for ShardCx<'_> {
    fn extended<T: ?Sized, R>(
        &mut self,
        slot: fn(&mut Extensions) -> &mut Option<Box<T>>,
        run: impl FnOnce(&mut T, &mut ShardCx<'_>) -> Result<R, CommandError>,
    ) -> Result<R, CommandError> {
        let mut taken = slot(&mut self.core.extensions).take().ok_or(CommandError::Internal)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut taken, self)));
        *slot(&mut self.core.extensions) = Some(taken);
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}
