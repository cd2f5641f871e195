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
use super::message::Call;
use super::stats::SAMPLE_EVERY;
use crate::argv::Argv;
use crate::error::CommandError;
use crate::reply::ReplyBuf;
use crate::table::{self, Access, CommandId};

/// Runs a command and appends its reply, whatever happens.
pub fn execute(core: &mut Core, call: Call, id: CommandId, argv: Argv<'_>, reply: &mut ReplyBuf) {
    let mark = reply.len();
    let stat = core.command_stats.of(id);
    let sampled = stat.calls.is_multiple_of(SAMPLE_EVERY);
    stat.calls += 1;
    let started_ns = if sampled { core.host.monotonic_ns() } else { 0 };
    core.stats.total_commands_processed += 1;
    match id.info().access {
        Access::Write => core.stats.total_writes_processed += 1,
        Access::Read => core.stats.total_reads_processed += 1,
        Access::None => {}
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut cx = ShardCx::new(core, call);
        table::dispatch(&mut cx, id, argv, reply)
    }));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            reply.truncate(mark);
            fail(core, id, &error, reply);
        }
        Err(panic) => {
            reply.truncate(mark);
            contain(core, call, id, argv, panic.as_ref());
            fail(core, id, &CommandError::Internal, reply);
        }
    }
    if sampled {
        let elapsed_ns = core.host.monotonic_ns().saturating_sub(started_ns);
        core.command_stats.of(id).sampled_ns += elapsed_ns;
    }
}

/// Replies with an error and counts it as a failed call.
fn fail(core: &mut Core, id: CommandId, error: &CommandError, reply: &mut ReplyBuf) {
    core.command_stats.of(id).failed += 1;
    refuse(core, error, reply);
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
