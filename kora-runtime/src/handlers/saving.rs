//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN: when what is in memory goes to disk, and when it all ends.
//!
//! Owns: their replies. Refuses to know: how a snapshot is taken; see `shard::saving`. Start at [`in_background`].
//!
//! Kora's log always begins at a snapshot, so BGREWRITEAOF and BGSAVE do the same and differ in what they say.

use crate::error::CommandError;
use crate::host::SaveAtEnd;
use crate::shard::core::Core;
use crate::shard::cx::ShardCx;
use crate::shard::saving::RUNNING;
use crate::table::args;

/// BGSAVE on one shard. In a transaction, whose commands before it may not be in a snapshot that lacks those behind it, it is put off, as in Redis.
pub fn in_background(cx: &mut ShardCx<'_>) -> Result<&'static str, CommandError> {
    if cx.call.nested {
        cx.save_soon()?;
        return Ok("Background saving scheduled");
    }
    cx.save_in_background()?;
    Ok("Background saving started")
}

/// BGREWRITEAOF on one shard. A snapshot that is being written began before this was asked for; another follows.
pub fn begin_log_anew(cx: &mut ShardCx<'_>) -> Result<&'static str, CommandError> {
    let started = if cx.call.nested { Err(RUNNING) } else { cx.save_in_background() };
    match started {
        Ok(()) => Ok("Background append only file rewriting started"),
        Err(error) if error == RUNNING => {
            cx.save_soon()?;
            Ok("Background append only file rewriting scheduled")
        }
        Err(error) => Err(error),
    }
}

/// LASTSAVE: what was never saved counts as saved at start, when it was as it is on disk.
pub fn last_unix_seconds(cx: &ShardCx<'_>) -> i64 {
    cx.core.host.persistence().last_snapshot_unix_seconds as i64
}

/// SHUTDOWN. NOW changes nothing: there are no replicas to wait for. What has begun to end cannot be called off, so ABORT always comes too late.
pub fn shutdown(core: &Core, args: args::Shutdown) -> Result<(), CommandError> {
    let args::Shutdown { save, now, force, abort } = args;
    if abort {
        let alone = save.is_none() && !now && !force;
        let error = CommandError::Text("ERR No shutdown in progress.");
        return Err(if alone { error } else { CommandError::Syntax });
    }
    let facts = core.host.persistence();
    let save = match save {
        // What is not all loaded must not replace what is on disk.
        _ if facts.loading => SaveAtEnd::No,
        None => SaveAtEnd::AsConfigured,
        Some(args::ShutdownSave::NoSave) => SaveAtEnd::No,
        Some(args::ShutdownSave::Save) => SaveAtEnd::Yes,
    };
    if save == SaveAtEnd::Yes && facts.directory.is_none() && !force {
        return Err(CommandError::Text(
            "ERR SHUTDOWN SAVE is not possible: there is no data directory; start with --dir to keep data",
        ));
    }
    core.host.shutdown(save, force)
}
