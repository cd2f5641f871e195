//! Handlers of the `scripting` group.
//!
//! Owns: what each command does on one shard. Refuses to know: Lua, other shards but for telling them new scripts.
//! Start at [`Scripting::run_script`]. What must be alike everywhere (SCRIPT LOAD, FUNCTION LOAD…) runs on every shard, here as there.

use kora_runtime::argv::Many;
use kora_runtime::error::CommandError;
use kora_runtime::handlers;
use kora_runtime::reply::{ArrayReply, Bulk, ReplyBuf, Simple};
use kora_runtime::shard::busy::BUSY_SCRIPT;
use kora_runtime::shard::cx::ShardCx;
use kora_runtime::table::{Extensions, ScriptingCommands, args};

use super::lent::Lent;
use super::{Engine, Scripting};
use crate::script::limits::SCRIPT_BYTES_MAX;
use crate::script::{RestorePolicy, Script, ScriptError, sha1_hex};

/// Which script.
#[derive(Clone, Copy)]
enum Source<'s> {
    Text(&'s [u8]),
    Digest(&'s [u8]),
}

fn refused(error: ScriptError) -> CommandError {
    CommandError::message(error.to_string())
}

impl Engine {
    /// The script, compiled; the other shards hear of one that is new.
    fn script(&mut self, cx: &mut ShardCx<'_>, source: Source<'_>) -> Result<Script, CommandError> {
        self.scripts.set_heap_bytes_max(cx.config().lua_heap_max);
        match source {
            Source::Text(text) => {
                let compiled = self.scripts.compilations();
                let script = self.scripts.find_or_compile(text).map_err(refused)?;
                let is_new = self.scripts.compilations() > compiled && text.len() <= SCRIPT_BYTES_MAX;
                let here = cx.shard();
                for shard in (0..cx.shards()).filter(|shard| is_new && *shard != here) {
                    cx.send(shard, Extensions::SCRIPTING, text);
                }
                Ok(script)
            }
            Source::Digest(hex) => {
                let found = self.scripts.find(hex);
                match found {
                    Err(ScriptError::NoScript) => match self.known.find(hex) {
                        Some(text) => self.scripts.find_or_compile(&text),
                        None => found,
                    },
                    _ => found,
                }
                .map_err(refused)
            }
        }
    }

    /// Lends the shard to `run`, which hands it back.
    fn lend<T>(
        &mut self,
        cx: &mut ShardCx<'_>,
        may_write: bool,
        is_function: bool,
        run: impl FnOnce(&mut Self, Lent) -> (Lent, T),
    ) -> T {
        let state = cx.script_state().clone();
        state.is_function.set(is_function);
        state.wrote.set(false);
        state.killed.set(false);
        state.started_ns.set(cx.monotonic_ns());
        state.running.set(true);
        let mut lent = self.lent.take().unwrap_or_else(|| Lent::new(cx));
        let nested = cx.nested_call(may_write);
        lent.take(cx, nested);
        let (mut lent, outcome) = run(self, lent);
        lent.give_back(cx);
        self.lent = Some(lent);
        state.running.set(false);
        self.tell_sizes(cx);
        outcome
    }

    /// Leaves for INFO what it shows.
    fn tell_sizes(&self, cx: &ShardCx<'_>) {
        let state = cx.script_state();
        state.heap_bytes.set(self.scripts.heap_bytes() + self.libraries.heap_bytes());
        state.scripts.set(self.scripts.len());
        state.script_bytes.set(self.scripts.text_bytes());
        state.libraries.set(self.libraries.iter().len());
        state.functions.set(self.libraries.functions_len());
    }
}

impl Scripting {
    /// EVAL and its kin.
    fn run_script(
        &mut self,
        cx: &mut ShardCx<'_>,
        source: Source<'_>,
        words: (Many<'_, &[u8]>, Many<'_, &[u8]>),
        read_only: bool,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let mut engine = self.engine.borrow_mut();
        let script = engine.script(cx, source)?;
        let header = script.header();
        if read_only && header.declared && !header.flags.no_writes() {
            return Err(refused(ScriptError::ReadOnly));
        }
        let may_write = !read_only && !header.flags.no_writes();
        let keys: Vec<&[u8]> = words.0.iter().collect();
        let arguments: Vec<&[u8]> = words.1.iter().collect();
        engine.lend(cx, may_write, false, |engine, lent| engine.scripts.run(script, &keys, &arguments, lent, reply));
        Ok(())
    }

    /// FCALL and FCALL_RO.
    fn call_function(
        &mut self,
        cx: &mut ShardCx<'_>,
        name: &[u8],
        words: (Many<'_, &[u8]>, Many<'_, &[u8]>),
        read_only: bool,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let mut engine = self.engine.borrow_mut();
        let heap_bytes_max = cx.config().lua_heap_max;
        engine.libraries.set_heap_bytes_max(heap_bytes_max);
        let found = if read_only { engine.libraries.find_read_only(name) } else { engine.libraries.find(name) };
        let function = found.map_err(refused)?.clone();
        let keys: Vec<&[u8]> = words.0.iter().collect();
        let arguments: Vec<&[u8]> = words.1.iter().collect();
        let command: &[u8] = if read_only { b"FCALL_RO" } else { b"FCALL" };
        let count = keys.len().to_string();
        let said = [command, name, count.as_bytes()].into_iter().chain(keys.iter().copied());
        let said = said.chain(arguments.iter().copied()).map(<[u8]>::to_vec).collect();
        *cx.script_state().subject.borrow_mut() = (function.name.clone(), said);
        let may_write = !read_only && !function.flags.no_writes();
        engine
            .lend(cx, may_write, true, |engine, lent| engine.libraries.call(&function, &keys, &arguments, lent, reply));
        Ok(())
    }
}

impl ScriptingCommands for Scripting {
    fn eval(&mut self, cx: &mut ShardCx<'_>, args: args::Eval<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        self.run_script(cx, Source::Text(args.script), (args.keys, args.arguments), false, reply)
    }

    fn eval_ro(
        &mut self,
        cx: &mut ShardCx<'_>,
        args: args::EvalRo<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.run_script(cx, Source::Text(args.script), (args.keys, args.arguments), true, reply)
    }

    fn evalsha(
        &mut self,
        cx: &mut ShardCx<'_>,
        args: args::Evalsha<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.run_script(cx, Source::Digest(args.sha1), (args.keys, args.arguments), false, reply)
    }

    fn evalsha_ro(
        &mut self,
        cx: &mut ShardCx<'_>,
        args: args::EvalshaRo<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.run_script(cx, Source::Digest(args.sha1), (args.keys, args.arguments), true, reply)
    }

    fn fcall(&mut self, cx: &mut ShardCx<'_>, args: args::Fcall<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        self.call_function(cx, args.function, (args.keys, args.arguments), false, reply)
    }

    fn fcall_ro(
        &mut self,
        cx: &mut ShardCx<'_>,
        args: args::FcallRo<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.call_function(cx, args.function, (args.keys, args.arguments), true, reply)
    }

    fn script_exists(
        &mut self,
        _: &mut ShardCx<'_>,
        args::ScriptExists { sha1 }: args::ScriptExists<'_>,
        reply: ArrayReply<'_, i64>,
    ) -> Result<(), CommandError> {
        let engine = self.engine.borrow();
        let mut known = reply.open(sha1.len());
        for hex in sha1 {
            known.push(i64::from(engine.scripts.exists(hex) || engine.known.find(hex).is_some()));
        }
        Ok(())
    }

    /// ASYNC and SYNC are the same: an interpreter is dropped at once.
    fn script_flush(&mut self, cx: &mut ShardCx<'_>, _: args::ScriptFlush) -> Result<(), CommandError> {
        let mut engine = self.engine.borrow_mut();
        engine.scripts.flush();
        engine.known.clear();
        engine.tell_sizes(cx);
        Ok(())
    }

    fn script_help(&mut self, _: &mut ShardCx<'_>, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        handlers::help("SCRIPT", reply);
        Ok(())
    }

    fn script_kill(&mut self, cx: &mut ShardCx<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        reply.integer(cx.kill_script(false) as i64);
        Ok(())
    }

    fn script_load(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::ScriptLoad { script }: args::ScriptLoad<'_>,
    ) -> Result<Bulk<'static>, CommandError> {
        let mut engine = self.engine.borrow_mut();
        engine.scripts.set_heap_bytes_max(cx.config().lua_heap_max);
        let digest = engine.scripts.load(script).map_err(refused)?;
        engine.tell_sizes(cx);
        Ok(Bulk::Owned(sha1_hex(&digest).to_vec()))
    }

    fn function_delete(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::FunctionDelete { library_name }: args::FunctionDelete<'_>,
    ) -> Result<(), CommandError> {
        let mut engine = self.engine.borrow_mut();
        engine.libraries.delete(library_name).map_err(refused)?;
        engine.tell_sizes(cx);
        cx.changed_beside_keys();
        Ok(())
    }

    fn function_dump(&mut self, _: &mut ShardCx<'_>) -> Result<Bulk<'static>, CommandError> {
        Ok(Bulk::Owned(self.engine.borrow().libraries.dump()))
    }

    /// As [`ScriptingCommands::script_flush`].
    fn function_flush(&mut self, cx: &mut ShardCx<'_>, _: args::FunctionFlush) -> Result<(), CommandError> {
        let mut engine = self.engine.borrow_mut();
        if engine.libraries.iter().len() > 0 {
            cx.changed_beside_keys();
        }
        engine.libraries.flush();
        engine.tell_sizes(cx);
        Ok(())
    }

    fn function_help(&mut self, _: &mut ShardCx<'_>, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        handlers::help("FUNCTION", reply);
        Ok(())
    }

    fn function_kill(&mut self, cx: &mut ShardCx<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        reply.integer(cx.kill_script(true) as i64);
        Ok(())
    }

    fn function_list(
        &mut self,
        _: &mut ShardCx<'_>,
        args::FunctionList { library_name_pattern, withcode }: args::FunctionList<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.engine.borrow().libraries.write_list(library_name_pattern, withcode, reply);
        Ok(())
    }

    fn function_load(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::FunctionLoad { replace, function_code }: args::FunctionLoad<'_>,
    ) -> Result<Bulk<'static>, CommandError> {
        let mut engine = self.engine.borrow_mut();
        let heap_bytes_max = cx.config().lua_heap_max;
        engine.libraries.set_heap_bytes_max(heap_bytes_max);
        let name = engine
            .lend(cx, false, true, |engine, lent| engine.libraries.load(function_code, replace, lent))
            .map_err(refused)?;
        cx.changed_beside_keys();
        Ok(Bulk::Owned(name.into_bytes()))
    }

    fn function_restore(
        &mut self,
        cx: &mut ShardCx<'_>,
        args::FunctionRestore { serialized_value, policy }: args::FunctionRestore<'_>,
    ) -> Result<(), CommandError> {
        let policy = match policy {
            Some(args::FunctionRestorePolicy::Flush) => RestorePolicy::Flush,
            None | Some(args::FunctionRestorePolicy::Append) => RestorePolicy::Append,
            Some(args::FunctionRestorePolicy::Replace) => RestorePolicy::Replace,
        };
        let mut engine = self.engine.borrow_mut();
        let heap_bytes_max = cx.config().lua_heap_max;
        engine.libraries.set_heap_bytes_max(heap_bytes_max);
        engine
            .lend(cx, false, true, |engine, lent| engine.libraries.restore(serialized_value, policy, lent))
            .map_err(refused)?;
        cx.changed_beside_keys();
        Ok(())
    }

    /// While a script is stuck the engine is with it, and what INFO is told stands in for it.
    fn function_stats(&mut self, cx: &mut ShardCx<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        let state = cx.script_state();
        if state.running.get() && !state.is_function.get() {
            return Err(CommandError::Text(BUSY_SCRIPT));
        }
        reply.map(2);
        reply.bulk(b"running_script");
        if state.running.get() {
            let (name, command) = &*state.subject.borrow();
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(name.as_bytes());
            reply.bulk(b"command");
            reply.array(command.len());
            command.iter().for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.integer((cx.monotonic_ns().saturating_sub(state.started_ns.get()) / 1_000_000) as i64);
        } else {
            reply.null();
        }
        reply.bulk(b"engines");
        reply.map(1);
        reply.bulk(b"LUA");
        reply.map(2);
        reply.bulk(b"libraries_count");
        reply.integer(state.libraries.get() as i64);
        reply.bulk(b"functions_count");
        reply.integer(state.functions.get() as i64);
        Ok(())
    }
}
