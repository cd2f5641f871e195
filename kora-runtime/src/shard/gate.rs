//! What a command has to pass before it is planned, when its client, its row or the shard is in a special state.
//!
//! Owns: queueing after MULTI, the keys that WATCH names, CLIENT PAUSE, what is refused while data is loaded or cannot be kept, that subscribers pass by `subscriber.rs`. Refuses to know: how commands are planned and run.
//! Start at [`Shard::at_the_gate`]. An ordinary command of an ordinary client pays one branch for all of this: see [`OPEN`].

use super::message::{Call, Work, frame_of, write_frame};
use super::plan::{Assembly, Plan, Transaction, plan};
use super::session::Session;
use super::{Flow, Shard};
use crate::argv::Argv;
use crate::error::CommandError;
use crate::limits;
use crate::reply::{Protocol, ReplyBuf};
use crate::shard::clients::ReplyMode;
use crate::shard::core::Core;
use crate::table::{Access, CommandId, Flags, Route};

/// Bits of a client's, or the shard's, gate: with none set and a row that [`looks_at`] passes over a command walks through.
pub const OPEN: u8 = 0;
/// The client is inside MULTI.
pub const IN_MULTI: u8 = 1;
/// The shard is paused.
pub const PAUSED: u8 = 2;
/// The client is to be closed: what it sent and has not begun is not run.
pub const KILLED: u8 = 4;
/// A script has stepped aside: see [`busy`](super::busy).
pub const BUSY: u8 = 8;
/// The client has subscribed to something.
pub const SUBSCRIBED: u8 = 16;

/// What is on disk is being loaded.
pub const LOADING: u8 = 32;
/// Nothing can be logged now, or the last snapshot failed.
pub const NOT_KEEPING: u8 = 64;

/// Rows whose flags alone make them stop at the gate: they wait for others, or run scripts.
const ROWS: Flags = Flags::BLOCKING.with(Flags::RUNS_SCRIPTS);

/// True for rows that are looked at here whoever sends them: those, and the one that tells this shard what its client watches.
#[inline]
pub fn looks_at(id: CommandId) -> bool {
    id == CommandId::Watch || id.info().flags.intersects(ROWS)
}

/// What keeps a shard from taking commands; every shard is told, and the client's home decides.
#[derive(Debug, Default)]
pub struct Trouble {
    /// What is on disk is being loaded.
    loading: bool,
    /// Why nothing can be logged.
    log: Option<Box<str>>,
    /// The last snapshot failed.
    snapshot: bool,
}

impl Trouble {
    /// The bits of the gate.
    pub(super) fn gate(&self) -> u8 {
        let not_keeping = self.log.is_some() || self.snapshot;
        (u8::from(self.loading) * LOADING) | (u8::from(not_keeping) * NOT_KEEPING)
    }
}

impl Core {
    /// Why commands that write are refused now: what they wrote would not be kept as the settings promise.
    pub(super) fn refusal_of_writes(&self) -> Option<CommandError> {
        let Trouble { log, snapshot, .. } = &self.trouble;
        if *snapshot && self.config.stop_writes_on_bgsave_error && !self.config.save.is_empty() {
            return Some(CommandError::Text(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data \
                 set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails \
                 (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
            ));
        }
        let why = log.as_ref()?;
        Some(CommandError::message(format!("MISCONF Errors writing to the AOF file: {why}")))
    }
}

/// What CLIENT PAUSE asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Until when, Unix milliseconds.
    pub until_ms: u64,
    /// Every command waits, and not only those that write.
    pub all: bool,
}

impl Shard {
    /// While what is on disk is loaded, only rows that say so are run.
    pub fn set_loading(&mut self, loading: bool) {
        self.core.trouble.loading = loading;
        self.core.follow_trouble();
    }

    /// Why nothing can be logged, in the system's words; `None` when it can again. Commands that write are refused meanwhile.
    pub fn set_log_trouble(&mut self, why: Option<String>) {
        self.core.trouble.log = why.map(String::into_boxed_str);
        self.core.follow_trouble();
    }

    /// Whether the last snapshot failed. Commands that write are refused then, if the settings say so.
    pub fn set_snapshot_trouble(&mut self, failed: bool) {
        self.core.trouble.snapshot = failed;
        self.core.follow_trouble();
    }

    /// Looks at a command before it is planned. `None` lets it pass; else it has been dealt with.
    #[cold]
    pub(super) fn at_the_gate(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        id: CommandId,
        argv: Argv<'_>,
    ) -> Option<Flow> {
        let flags = id.info().flags;
        if call.protocol == Protocol::Resp2
            && self.core.clients.of(index).is_subscribed()
            && self.in_subscriber_mode(index, session, id, argv)
        {
            return Some(Flow::Next);
        }
        if self.core.gate & (LOADING | NOT_KEEPING) != 0
            && let Some(error) = self.refusal_in_trouble(index, id)
        {
            self.reject(index, session, call.protocol, id, &error);
            return Some(Flow::Next);
        }
        if self.is_busy()
            && let Some(error) = self.refusal_while_busy(id, argv)
        {
            if id == CommandId::Exec && self.core.clients.of(index).multi.is_none() {
                self.core.command_stats.of(id).rejected += 1;
                self.refuse_here(index, session, call.protocol, &error);
            } else {
                self.reject(index, session, call.protocol, id, &error);
            }
            return Some(Flow::Next);
        }
        if self.core.clients.of(index).kill || self.is_held_by_pause(index, id) {
            return Some(Flow::Wait);
        }
        if self.core.clients.of(index).multi.is_some() {
            return match id {
                CommandId::Exec if !session.is_settled() => Some(Flow::Wait),
                CommandId::Exec => Some(self.exec(index, session, call)),
                CommandId::Discard | CommandId::Quit | CommandId::Reset => None,
                // These are refused without harm to the transaction, unlike what is queued.
                CommandId::Multi | CommandId::Watch => {
                    let error = CommandError::Text(if id == CommandId::Multi {
                        "ERR MULTI calls can not be nested"
                    } else {
                        "ERR WATCH inside MULTI is not allowed"
                    });
                    self.refuse_here(index, session, call.protocol, &error);
                    Some(Flow::Next)
                }
                _ if flags.contains(Flags::NO_MULTI) => {
                    self.abort_transaction(index);
                    let error = CommandError::Text("ERR Command not allowed inside a transaction");
                    self.refuse_here(index, session, call.protocol, &error);
                    Some(Flow::Next)
                }
                _ => {
                    self.queue(index, session, call, id, argv);
                    Some(Flow::Next)
                }
            };
        }
        if id == CommandId::Watch {
            if let Err(error) = self.note_watched(index, call.db, argv) {
                self.refuse_here(index, session, call.protocol, &error);
                return Some(Flow::Next);
            }
            return self.watch_on_several(index, session, call, id, argv);
        } else if flags.contains(Flags::BLOCKING) && id.info().route == Route::Gather {
            return Some(self.start_blocking(index, session, call, id, argv));
        } else if flags.contains(Flags::RUNS_SCRIPTS) {
            return self.start_script(index, session, call, id, argv);
        }
        None
    }

    /// Refuses what would not be kept, or would be asked of keys that are not there yet. As in Redis, EXEC is what is queued, and PING, by which others find out
    /// whether a server is well, is refused with what writes.
    fn refusal_in_trouble(&mut self, index: u32, id: CommandId) -> Option<CommandError> {
        let multi = self.core.clients.of(index).multi.as_deref().filter(|_| id == CommandId::Exec);
        let any = |wanted: &dyn Fn(CommandId) -> bool| {
            wanted(id) || multi.is_some_and(|multi| multi.commands().any(|(queued, _)| wanted(queued)))
        };
        let writes = id == CommandId::Ping || any(&|id| id.info().access == Access::Write);
        let waits = any(&|id| !id.info().flags.contains(Flags::LOADING));
        if writes && let Some(error) = self.core.refusal_of_writes() {
            return Some(error);
        }
        let loading = self.core.trouble.loading && waits;
        loading.then_some(CommandError::Text("LOADING Redis is loading the dataset in memory"))
    }

    /// Puts a command into its client's transaction.
    fn queue(&mut self, index: u32, session: &mut Session, call: Call, id: CommandId, argv: Argv<'_>) {
        let bytes_max = self.core.config.client_query_buffer_limit;
        let client = self.core.clients.of(index);
        let mode = client.reply_mode;
        let Some(multi) = &mut client.multi else { return };
        let bytes: usize = argv.iter().map(|word| word.len() + 4).sum();
        let error = if multi.ends.len() >= limits::QUEUED_COMMANDS_MAX {
            Some(CommandError::Text("ERR too many commands in one transaction"))
        } else if multi.frames.len() + bytes > bytes_max {
            Some(CommandError::TooLarge("transaction", bytes_max))
        } else {
            None
        };
        if let Some(error) = error {
            multi.aborted = true;
            self.refuse_here(index, session, call.protocol, &error);
            return;
        }
        write_frame(&mut multi.frames, id, argv);
        multi.ends.push(multi.frames.len());
        let queued = |reply: &mut ReplyBuf| reply.simple("QUEUED");
        session.reply_here(call.protocol, |()| mode == ReplyMode::On, queued);
        self.after_reply(index, mode);
    }

    /// A command was refused before it could be queued: the transaction, if there is one, cannot run any more.
    #[cold]
    pub(super) fn abort_transaction(&mut self, index: u32) {
        if let Some(multi) = &mut self.core.clients.of(index).multi {
            multi.aborted = true;
        }
    }

    /// Refuses a command that could be neither queued nor run. An EXEC ends its transaction all the same, and says why.
    #[cold]
    pub(super) fn reject(
        &mut self,
        index: u32,
        session: &mut Session,
        protocol: Protocol,
        id: CommandId,
        error: &CommandError,
    ) {
        self.core.command_stats.of(id).rejected += 1;
        if id != CommandId::Exec {
            self.abort_transaction(index);
            return self.refuse_here(index, session, protocol, error);
        }
        self.core.clients.of(index).leave_multi();
        self.core.unwatch(index);
        let text = error.to_string();
        let cause = text.strip_prefix("ERR ").unwrap_or(&text);
        let error = CommandError::message(format!("EXECABORT Transaction discarded because of: {cause}"));
        self.refuse_here(index, session, protocol, &error);
    }

    /// Remembers what a client watches: its EXEC has to ask the owners. WATCH itself tells them.
    fn note_watched(&mut self, index: u32, db: u8, argv: Argv<'_>) -> Result<(), CommandError> {
        let client = self.core.clients.of(index);
        let bytes: usize = argv.iter().map(<[u8]>::len).sum();
        if client.watching.len() + argv.len() > limits::WATCHED_KEYS_MAX
            || client.watching_bytes + bytes > limits::WATCHED_BYTES_MAX
        {
            return Err(CommandError::Text("ERR too many watched keys"));
        }
        client.watching_bytes += bytes;
        client.watching.extend(argv.iter().map(|key| (db, Box::from(key))));
        Ok(())
    }

    /// WATCH of keys on several shards; `None` leaves any other to the router. Each owner is told directly and not in the order of transactions: so what the
    /// client says there later, above all that it watches no more, cannot overtake it. Nothing is read, so there is nothing to be seen half done.
    fn watch_on_several(
        &mut self,
        index: u32,
        session: &mut Session,
        call: Call,
        id: CommandId,
        argv: Argv<'_>,
    ) -> Option<Flow> {
        let Plan::Several(Transaction { parts, assembly: Assembly::Merge { merge, .. } }) =
            plan(id, argv, call, &self.core.routing)
        else {
            return None;
        };
        if !session.is_settled() {
            return Some(Flow::Wait);
        }
        let frames = parts.into_iter().filter_map(|(shard, part)| match part.work {
            Work::Run(frame) => Some((shard, frame)),
            _ => None,
        });
        let discard = self.discards_reply(index);
        let to = session.await_reply(index, discard);
        session.barrier = true;
        let frame = frame_of(id, argv);
        self.transactions.scatter(to, call, frame, merge, frames.collect(), &mut self.steps);
        Some(Flow::Next)
    }

    /// Whether CLIENT PAUSE makes a command wait.
    fn is_held_by_pause(&mut self, index: u32, id: CommandId) -> bool {
        let Some(pause) = self.core.paused else { return false };
        let changes =
            |id: CommandId| id.info().access == Access::Write || id.info().flags.contains(Flags::MAY_REPLICATE);
        let mut queued_changes = || {
            let multi = self.core.clients.of(index).multi.as_deref();
            multi.is_some_and(|multi| multi.commands().any(|frame| changes(frame.0)))
        };
        pause.all || changes(id) || id == CommandId::Exec && queued_changes()
    }

    /// Ends a pause that is over. Commands that waited go on.
    pub(super) fn end_pause(&mut self) {
        self.core.paused = None;
        self.core.gate &= !PAUSED;
        self.resume_stalled();
    }
}
