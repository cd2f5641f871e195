//! Commands that a script runs.
//!
//! Owns: which commands a script may run, and on which keys. Refuses to know: the script's language.
//! Start at [`ShardCx::run_nested`].
//!
//! A script runs in one tick on one shard, so that everything it touches has to be there: the keys of that shard, or, when its declared keys are on several
//! shards, those keys and no others, which have been brought here for its time.

use super::cx::ShardCx;
use super::execute::execute_merged;
use super::message::Call;
use crate::argv::Argv;
use crate::error::CommandError;
use crate::limits::DATABASES;
use crate::reply::ReplyBuf;
use crate::resp::number::parse_i64;
use crate::table::{self, Access, CommandId, Flags, Resolved, Route};

/// A key that the script may not touch where it runs.
const FOREIGN_KEY: CommandError = CommandError::Text(
    "ERR Script attempted to access an undeclared key that is on another shard: declare it in KEYS, or keep related keys together by a {tag}, a \
     `locality` rule or a pinned database",
);

/// A command over all shards.
const EVERY_SHARD: CommandError = CommandError::Text(
    "ERR This command works on all shards and is not allowed from a script on several shards, but in a pinned database",
);

/// What a script's commands run under.
#[derive(Debug, Clone, Copy)]
pub struct NestedCall {
    /// The script's own call, its database as SELECT inside the script left it.
    pub call: Call,
    /// Commands that write are allowed.
    pub may_write: bool,
}

impl ShardCx<'_> {
    /// What the commands of a script run under that this command begins.
    pub fn nested_call(&self, may_write: bool) -> NestedCall {
        NestedCall { call: Call { nested: true, ..self.call }, may_write }
    }
}

impl ShardCx<'_> {
    /// Runs one command of a script, name and arguments in `words`, and appends its reply, which may be an error reply.
    ///
    /// # Errors
    /// When a script may not run it: nothing has happened then, and the caller shows where in the script.
    pub fn run_nested(
        &mut self,
        nested: &mut NestedCall,
        words: Argv<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let Resolved::Command { id, words: name_words } = table::resolve(words) else {
            return Err(CommandError::Text("ERR Unknown Redis command called from script"));
        };
        let argv = words.range(name_words, words.len());
        let info = id.info();
        if !info.arity_allows(argv.len()) {
            return Err(CommandError::Text("ERR Wrong number of args calling Redis command from script"));
        }
        if info.flags.contains(Flags::NOSCRIPT) {
            return Err(CommandError::Text("ERR This Redis command is not allowed from script"));
        }
        if !nested.may_write && (info.access == Access::Write || info.flags.contains(Flags::MAY_REPLICATE)) {
            return Err(CommandError::Text("ERR Write commands are not allowed from read-only scripts."));
        }
        if info.access == Access::Write
            && let Some(error) = self.core.refusal_of_writes()
        {
            return Err(error);
        }
        if id == CommandId::Select {
            return select(nested, argv, reply);
        }
        self.may_run_here(nested.call.db, id, argv)?;
        if info.access == Access::Write {
            self.core.script.wrote.set(true);
        }
        reply.set_protocol(nested.call.protocol);
        let call = Call { nested: true, ..nested.call };
        execute_merged(self.core, call, id, argv, reply);
        Ok(())
    }

    /// Whether all that a command touches is here.
    fn may_run_here(&self, db: u8, id: CommandId, argv: Argv<'_>) -> Result<(), CommandError> {
        if self.core.shards == 1 {
            return match id.info().route {
                Route::Connection => Err(CommandError::Text("ERR This Redis command is not allowed from script")),
                _ => Ok(()),
            };
        }
        match id.info().route {
            Route::Any => Ok(()),
            Route::Connection => Err(CommandError::Text("ERR This Redis command is not allowed from script")),
            Route::Scatter(_) if id.info().flags.contains(Flags::MAY_REPLICATE) => Ok(()),
            Route::AllShards(_) | Route::Scatter(_) | Route::Custom(_) => {
                let all_here = self.core.gathered.is_none() && self.core.routing.pinned_owner(db) == Some(self.core.id);
                if all_here { Ok(()) } else { Err(EVERY_SHARD) }
            }
            Route::Key | Route::Split(_) | Route::Gather => {
                let mut foreign = false;
                // Arguments that do not parse touch nothing, and get their error from the command itself.
                let _ = table::keys(id, argv, &mut |index, _| {
                    foreign |= argv.get(index).is_some_and(|key| !self.is_here(db, key));
                });
                if foreign { Err(FOREIGN_KEY) } else { Ok(()) }
            }
        }
    }

    fn is_here(&self, db: u8, key: &[u8]) -> bool {
        match &self.core.gathered {
            Some(keys) => keys.iter().any(|(known_db, known)| *known_db == db && **known == *key),
            None => self.core.routing.owner(db, key) == self.core.id,
        }
    }
}

/// SELECT inside a script holds until its end.
fn select(nested: &mut NestedCall, argv: Argv<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
    let index = argv.get(0).and_then(parse_i64);
    match index.and_then(|db| usize::try_from(db).ok()).filter(|db| *db < DATABASES) {
        Some(db) => {
            nested.call.db = db as u8;
            reply.ok();
        }
        None if index.is_none() => reply.error(&CommandError::NotAnInteger),
        None => reply.error(&CommandError::DbIndexOutOfRange),
    }
    Ok(())
}
