//! Running one command on this shard's own keys.
//!
//! Owns: counting, error replies, and what happens when a handler panics. Refuses to know: where the command came from and where its reply goes.
//! Start at [`execute`].
//!
//! A handler that panics is a mistake of ours, not the client's. The panic is caught here: the client gets an internal error, and the keys
//! that the command was to change are *fenced*: nothing may be read from them until they are deleted or overwritten as a whole, so that nobody sees a
//! half-changed value. The shard goes on. ARCHITECTURE.md says why this and not a rollback.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::core::Core;
use super::cx::ShardCx;
use super::merge;
use super::message::Call;
use super::stats::SAMPLE_EVERY;
use crate::argv::Argv;
use crate::error::CommandError;
use crate::reply::ReplyBuf;
use crate::resp::value::is_error;
use crate::table::{self, Access, CommandId, Merge, Route};

/// Runs a command and appends its reply, whatever happens.
#[inline(always)]
pub fn execute(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    count(core, id);
    core.acting_client = call.client_id;
    if let Err(error) = perform(core, call, id, argv, reply) {
        core.command_stats.of(id).failed += 1;
        refuse(core, &error, reply);
    }
}

/// Runs a command whose keys are all here. With one shard this is also how commands over all shards run: their one part goes through the same
/// merge as several would.
#[inline(never)]
pub fn execute_merged(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    execute_hot(core, call, id, argv, reply);
}

/// [`execute_merged`] where every command of a client passes: part of its caller.
#[inline(always)]
pub fn execute_hot(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    if let Route::AllShards(merge @ Merge::Custom(_)) | Route::Scatter(merge @ Merge::Custom(_)) = id.info().route {
        execute_alone(core, merge, call, id, argv, reply);
    } else {
        execute(core, call, id, argv, reply);
    }
}

/// Runs the only part of a command over all shards.
#[inline(never)]
fn execute_alone(core: &mut Core, merge: Merge, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    let mut part = ReplyBuf::new(call.protocol);
    execute(core, call, id, argv, &mut part);
    merge::merge(merge, argv, &[part.as_bytes()], &[], reply);
}

/// Runs a command that travelled here as a frame: one of its own, or the whole of an EXEC.
#[inline]
pub fn execute_frame(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    if id == CommandId::Exec {
        super::exec::run_batch(core, call, argv, reply);
    } else {
        execute(core, call, id, argv, reply);
    }
}

/// Runs this shard's part of a command over several shards. The command is one command all the same: its coordinator counts it, by [`count_merged`].
pub fn execute_part(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    core.acting_client = call.client_id;
    if let Err(error) = perform(core, call, id, argv, reply) {
        reply.error(&error);
    }
}

/// Counts a command that ran in parts on several shards and came to `reply`.
pub fn count_merged(core: &mut Core, id: CommandId, reply: &[u8]) {
    count(core, id);
    if is_error(reply) {
        core.command_stats.of(id).failed += 1;
        core.stats.total_error_replies += 1;
        core.command_stats.count_error(&String::from_utf8_lossy(&reply[1..]));
    }
}

/// Counts a command that was let through to run.
#[inline]
pub fn count(core: &mut Core, id: CommandId) {
    core.command_stats.of(id).calls += 1;
    core.stats.total_commands_processed += 1;
    match id.info().access {
        Access::Write => core.stats.total_writes_processed += 1,
        Access::Read => core.stats.total_reads_processed += 1,
        Access::None => {}
    }
}

/// Runs a handler. On error nothing is in the reply.
#[inline]
fn perform(
    core: &mut Core,
    call: Call,
    id: CommandId,
    argv: Argv<'_>,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let mark = reply.len();
    let stat = core.command_stats.of(id);
    let sampled = stat.runs.is_multiple_of(SAMPLE_EVERY);
    stat.runs += 1;
    let started_ns = if sampled { core.host.monotonic_ns() } else { 0 };
    let logged = core.journal.is_on().then(|| core.log_mark());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut cx = ShardCx::new(core, call);
        table::dispatch(&mut cx, id, argv, reply)
    }));
    if sampled {
        let elapsed_ns = core.host.monotonic_ns().saturating_sub(started_ns);
        core.command_stats.count_time(id, elapsed_ns);
    }
    if call.tracks {
        core.remember_reads(call, id, argv);
    }
    match outcome {
        Ok(Ok(())) => {
            if let Some(logged) = logged {
                core.log_command(logged, call, id, argv);
            }
            Ok(())
        }
        Ok(Err(error)) => {
            reply.truncate(mark);
            Err(error)
        }
        Err(panic) => {
            reply.truncate(mark);
            if let Some(logged) = logged {
                core.journal.abandon(logged);
            }
            contain(core, call, id, argv, panic.as_ref());
            Err(CommandError::Internal)
        }
    }
}

/// Replies with an error and counts it.
pub fn refuse(core: &mut Core, error: &CommandError, reply: &mut ReplyBuf) {
    core.stats.total_error_replies += 1;
    core.command_stats.count_error(&error.to_string());
    reply.error(error);
}

#[cold]
fn contain(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, panic: &(dyn std::any::Any + Send)) {
    core.stats.handler_panics += 1;
    let what = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    core.host.report(&format!("{} panicked: {what}; its keys are fenced", id.info().name));
    let mut written = Vec::new();
    // A command whose keys cannot be told did not get as far as changing one: its arguments do not parse.
    let _ = table::keys(id, argv, &mut |index, access| {
        if access == Access::Write {
            written.push(index);
        }
    });
    ShardCx::new(core, call).fence(&written, argv);
}
