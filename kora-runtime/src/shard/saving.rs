//! Snapshots that commands ask for.
//!
//! Owns: what a shard does when one is asked for. Refuses to know: files, and what a snapshot looks like.
//! Start at [`ShardCx::save_in_background`]. The commands run on every shard under intents, so no transaction over several shards is half done at the cut.

use super::cx::ShardCx;
use crate::error::CommandError;

/// There is nothing to save to.
pub const NO_DIRECTORY: CommandError =
    CommandError::Text("ERR there is no data directory: start with --dir to keep data");
/// One is being written.
pub const RUNNING: CommandError = CommandError::Text("ERR Background save already in progress");

impl ShardCx<'_> {
    /// Begins this shard's part of a snapshot whose cut is now.
    ///
    /// # Errors
    /// When there can be none now.
    pub fn save_in_background(&mut self) -> Result<(), CommandError> {
        Err(NO_DIRECTORY)
    }

    /// As [`ShardCx::save_in_background`]; returns when it is on disk.
    ///
    /// # Errors
    /// When there can be none now, or it failed.
    pub fn save_and_wait(&mut self) -> Result<(), CommandError> {
        Err(NO_DIRECTORY)
    }

    /// Has a snapshot begun soon, when none is being written and no transaction is under way.
    ///
    /// # Errors
    /// When there can be none at all.
    pub fn save_soon(&mut self) -> Result<(), CommandError> {
        Err(NO_DIRECTORY)
    }
}
