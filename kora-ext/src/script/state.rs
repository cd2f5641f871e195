//! One Lua state: the sandbox, what interrupts a script, and how a function is run in it.
//!
//! Owns: the interpreter, the slot that the caller stands in while a script runs, memory and time limits, and where an error happened. Refuses
//! to know: caches of scripts, libraries, and replies to clients. Start at [`State::run`].
//!
//! The native functions live as long as the state, so nothing is created for a script but its own values; they find the caller in the slot.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kora_runtime::reply::ReplyBuf;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, IntoLuaMulti, Lua, LuaOptions, StdLib, Table, Value, VmState};

use super::budget::HeapLimit;
use super::caller::{Caller, Interrupt};
use super::error::{Failure, Position};
use super::limits::{INTERRUPT_INSTRUCTIONS, LUA_HEAP_BYTES_MIN};
use super::natives::{self, Natives, Raised};
use super::random::Random;
use super::{bits, json, msgpack, packing, to_reply};

const PRELUDE: &str = include_str!("prelude.lua");
/// Words of a script that are tried as text, which is quicker.
const WORDS_AS_TEXT_MAX: usize = 16;
/// What functions of the prelude say they come from.
const PRELUDE_SOURCE: &str = "=[kora]";

/// What a state is for. What scripts see differs a little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// EVAL.
    Scripts,
    /// Function libraries.
    Libraries,
}

/// Why a running script is being ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// SCRIPT KILL or FUNCTION KILL.
    Killed,
    /// A library took too long to register its functions.
    LoadTimeout,
}

impl Stop {
    fn text(self) -> &'static str {
        match self {
            Self::Killed => "ERR Script killed by user with SCRIPT KILL...",
            Self::LoadTimeout => "ERR FUNCTION LOAD timeout",
        }
    }
}

/// A function that a library has registered while it is loaded.
pub(super) struct Registration {
    pub(super) name: Vec<u8>,
    pub(super) callback: Function,
    pub(super) flags: super::header::Flags,
    pub(super) description: Option<Vec<u8>>,
}

/// What native functions and the code around a run share.
pub(super) struct Slot<C> {
    pub(super) caller: RefCell<Option<C>>,
    /// The protocol that `redis.setresp` has chosen for replies to `redis.call`.
    pub(super) resp3: Cell<bool>,
    pub(super) random: Cell<Random>,
    pub(super) heap: HeapLimit,
    /// Functions registered by the library that is being loaded.
    pub(super) registering: RefCell<Option<Vec<Registration>>>,
    /// Buffers of `redis.call`, kept from one call to the next.
    pub(super) words: RefCell<Vec<u8>>,
    pub(super) ends: RefCell<Vec<usize>>,
    pub(super) reply: RefCell<Vec<u8>>,
    stop: Cell<Option<Stop>>,
    deadline_ns: Cell<Option<u64>>,
    failure: RefCell<Option<Failure>>,
}

/// A Lua state with the sandbox in it.
pub(super) struct State<C> {
    lua: Lua,
    slot: Rc<Slot<C>>,
    /// The table behind the globals that scripts see.
    globals: Table,
    set_loading: Function,
    run_with_arguments: Function,
    xpcall: Function,
    describe: Function,
    next: Function,
    /// Bytes of the heap above which garbage is collected before anything runs.
    collect_above: Cell<usize>,
}

impl<C: Caller + 'static> State<C> {
    /// A new state.
    ///
    /// # Errors
    /// Those of the interpreter, which are mistakes of ours.
    pub(super) fn new(purpose: Purpose, heap_bytes_max: usize) -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::default())?;
        let slot = Rc::new(Slot {
            caller: RefCell::new(None),
            resp3: Cell::new(false),
            random: Cell::new(Random::new()),
            heap: HeapLimit::new(heap_bytes_max.max(LUA_HEAP_BYTES_MIN)),
            registering: RefCell::new(None),
            words: RefCell::default(),
            ends: RefCell::default(),
            reply: RefCell::default(),
            stop: Cell::new(None),
            deadline_ns: Cell::new(None),
            failure: RefCell::new(None),
        });
        let native = Natives::new(&lua, &slot.heap)?;
        bits::add(&native)?;
        packing::add(&native)?;
        msgpack::add(&native)?;
        json::add(&native)?;
        natives::add(&native, &slot)?;
        native.add("position", |lua, ()| Ok(position(lua).map(|found| found.prefix()).unwrap_or_default()))?;
        native.add("problem_value", |lua, problem: Value| match &problem {
            Value::Error(error) => problem_value(lua, error),
            _ => Ok(problem),
        })?;
        let describing = Rc::clone(&slot);
        let describe = native.add("describe", move |lua, problem: Value| {
            let place = position(lua);
            *describing.failure.borrow_mut() = Some(Failure::new(lua, &problem, place));
            Ok(())
        })?;
        let (xpcall, next) = (lua.globals().raw_get("xpcall")?, lua.globals().raw_get("next")?);
        let (globals, shown, set_loading, run_with_arguments): (Table, Table, Function, Function) =
            lua.load(PRELUDE).set_name(PRELUDE_SOURCE).call((native.into_table(), purpose == Purpose::Libraries))?;
        lua.set_globals(shown)?;
        let state = Self {
            lua,
            slot,
            globals,
            set_loading,
            run_with_arguments,
            xpcall,
            describe,
            next,
            collect_above: Cell::new(0),
        };
        state.watch()?;
        Ok(state)
    }

    /// What native functions share with what stands around a run.
    pub(super) fn slot(&self) -> &Slot<C> {
        &self.slot
    }

    /// The interpreter.
    pub(super) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// Bytes of its heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.lua.used_memory()
    }

    /// Compiles a text; the error is the compiler's own line.
    pub(super) fn compile(&self, name: &str, text: &[u8]) -> Result<Function, String> {
        self.make_room();
        let heap = &self.slot.heap;
        heap.enforced(&self.lua, || {
            self.lua.load(text).set_name(name).set_mode(ChunkMode::Text).into_function().map_err(|error| match error {
                mlua::Error::SyntaxError { message, .. } => message,
                mlua::Error::MemoryError(_) => super::budget::OUT_OF_MEMORY.to_owned(),
                other => other.to_string(),
            })
        })
    }

    /// Sets a global array of words.
    pub(super) fn set_words(&self, name: &str, words: &[&[u8]]) -> mlua::Result<()> {
        self.globals.raw_set(name, self.words(words)?)
    }

    /// An array of words.
    pub(super) fn words(&self, words: &[&[u8]]) -> mlua::Result<Table> {
        let mut texts = [""; WORDS_AS_TEXT_MAX];
        let are_texts = words.len() <= texts.len()
            && texts
                .iter_mut()
                .zip(words)
                .all(|(text, word)| std::str::from_utf8(word).map(|valid| *text = valid).is_ok());
        if are_texts {
            // The binding puts a `str` straight into the table, and bytes by way of a reference for each.
            self.lua.create_sequence_from(texts[..words.len()].iter().copied())
        } else {
            self.lua.create_sequence_from(words.iter().map(mlua::LuaString::wrap))
        }
    }

    /// Lets libraries see what they may use while they are loaded, or what their functions may use.
    pub(super) fn set_loading(&self, loading: bool) -> mlua::Result<()> {
        self.set_loading.call(loading)
    }

    /// Runs a chunk without arguments.
    pub(super) fn run(&self, chunk: &Function, caller: C, resp3: bool) -> (C, Result<Value, Failure>) {
        self.guarded(caller, resp3, &self.xpcall, (chunk, &self.describe))
    }

    /// Runs a function of a library.
    pub(super) fn run_function(
        &self,
        function: &Function,
        keys: Table,
        words: Table,
        caller: C,
    ) -> (C, Result<Value, Failure>) {
        self.guarded(caller, false, &self.run_with_arguments, (function, keys, words))
    }

    /// Runs the text of a library for at most so many nanoseconds.
    pub(super) fn run_for(&self, chunk: &Function, caller: C, ns: u64) -> (C, Result<Value, Failure>) {
        self.slot.deadline_ns.set(Some(caller.now_ns().saturating_add(ns)));
        let outcome = self.run(chunk, caller, false);
        self.slot.deadline_ns.set(None);
        outcome
    }

    /// Lets the heap hold so many bytes, and what the next run is given besides.
    pub(super) fn allow(&self, heap_bytes_max: usize, keys: &[&[u8]], arguments: &[&[u8]]) {
        let given: usize = keys.iter().chain(arguments).map(|word| word.len()).sum();
        self.slot.heap.set_bytes(heap_bytes_max + given);
    }

    /// Writes what a run came to; true when it failed. `line` is what the client is told of a failure.
    pub(super) fn write_outcome(
        &self,
        outcome: Result<Value, Failure>,
        line: impl FnOnce(&Failure) -> Vec<u8>,
        reply: &mut ReplyBuf,
    ) -> bool {
        match outcome {
            Ok(value) => {
                self.write_reply(value, reply);
                false
            }
            Err(failure) => {
                to_reply::error_line(reply, &line(&failure));
                true
            }
        }
    }

    /// Writes what a script returned.
    fn write_reply(&self, value: Value, reply: &mut ReplyBuf) {
        let start = reply.len();
        if let Err(error) = to_reply::write_reply(value, &self.next, self.slot.resp3.get(), reply) {
            reply.truncate(start);
            to_reply::error_line(reply, format!("ERR {}", super::budget::Fault::Lua(error).text()).as_bytes());
        }
    }

    /// Collects what earlier scripts left when it is much: Lua 5.1 does not collect before it gives up for want of memory. What is found to be
    /// alive is not looked at again until a quarter of the rest is used.
    fn make_room(&self) {
        let limit = self.slot.heap.bytes();
        if self.lua.used_memory() > self.collect_above.get().max(limit / 2) {
            // It fails where a finalizer does, and scripts cannot make any.
            let _collected = self.lua.gc_collect();
            let alive = self.lua.used_memory();
            self.collect_above.set(alive + limit.saturating_sub(alive) / 4);
        }
    }

    fn guarded(
        &self,
        caller: C,
        resp3: bool,
        runner: &Function,
        arguments: impl IntoLuaMulti,
    ) -> (C, Result<Value, Failure>) {
        self.make_room();
        let slot = &*self.slot;
        slot.resp3.set(resp3);
        let before = slot.caller.borrow_mut().replace(caller);
        debug_assert!(before.is_none(), "one script at a time");
        let outcome = slot.heap.enforced(&self.lua, || runner.call::<(bool, Value)>(arguments));
        let caller = slot.caller.borrow_mut().take().expect("it was put there above, and natives only borrow it");
        let failure = slot.failure.borrow_mut().take();
        let stopped = slot.stop.take();
        if stopped.is_some() {
            // The hook of a killed script fires on every line; a new one must not meet it.
            self.watch().expect("a hook that was set once can be set again");
        }
        let result = match (outcome, stopped) {
            (_, Some(stop)) => Err(Failure::stopped(stop.text(), failure)),
            (Ok((true, value)), None) => Ok(value),
            // Lua does not call the handler when memory is out or when the handler itself failed.
            (Ok((false, problem)), None) => Err(failure.unwrap_or_else(|| Failure::new(&self.lua, &problem, None))),
            (Err(error), None) => Err(Failure::of_interpreter(error)),
        };
        (caller, result)
    }

    /// Has the running script asked from time to time whether it goes on.
    fn watch(&self) -> mlua::Result<()> {
        let slot = Rc::clone(&self.slot);
        let triggers = HookTriggers::new().every_nth_instruction(INTERRUPT_INSTRUCTIONS);
        self.lua.set_global_hook(triggers, move |lua, _| {
            let stop = match slot.stop.get() {
                Some(stop) => Some(stop),
                None => slot.ask(),
            };
            let Some(stop) = stop else { return Ok(VmState::Continue) };
            slot.stop.set(Some(stop));
            // Errors can be caught, so from here on every line raises it again. A coroutine keeps its own hook, which then says the same.
            lua.set_global_hook(HookTriggers::new().every_line().every_nth_instruction(1_000), move |_, _| {
                Err(mlua::Error::RuntimeError(stop.text().to_owned()))
            })?;
            Err(mlua::Error::RuntimeError(stop.text().to_owned()))
        })
    }
}

impl<C: Caller> Slot<C> {
    fn ask(&self) -> Option<Stop> {
        let mut caller = self.caller.try_borrow_mut().ok()?;
        let caller = caller.as_mut()?;
        if self.deadline_ns.get().is_some_and(|deadline_ns| caller.now_ns() >= deadline_ns) {
            return Some(Stop::LoadTimeout);
        }
        match caller.interrupt() {
            Interrupt::Continue => None,
            Interrupt::Kill => Some(Stop::Killed),
        }
    }
}

/// The innermost place in a script, skipping native functions and the prelude.
fn position(lua: &Lua) -> Option<Position> {
    for level in 1.. {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.as_deref().unwrap_or_default();
            if source.what == "C" || source.what == "tail" || name == PRELUDE_SOURCE {
                return None;
            }
            Some(Position {
                source: name.to_owned(),
                short: source.short_src.as_deref().unwrap_or_default().to_owned(),
                line: debug.current_line(),
            })
        })?;
        if found.is_some() {
            return found;
        }
    }
    None
}

/// What Lua puts in front of an error that a native function raises: the place of its caller, when that is Lua code.
pub(super) fn caller_prefix(lua: &Lua) -> String {
    lua.inspect_stack(1, |debug| {
        let short = debug.source().short_src.map(|short| short.into_owned()).unwrap_or_default();
        debug.current_line().filter(|line| *line > 0).map_or_else(String::new, |line| format!("{short}:{line}: "))
    })
    .unwrap_or_default()
}

/// What a script sees of an error that the host raised.
fn problem_value(lua: &Lua, error: &mlua::Error) -> mlua::Result<Value> {
    match told(error) {
        Told::Table(raised) => Ok(Value::Table(raised.to_table(lua)?)),
        Told::Text(text) => Ok(Value::String(lua.create_string(text)?)),
    }
}

/// An error of the host as scripts would see it.
pub(super) enum Told {
    /// A table with `err`.
    Table(Raised),
    /// A string.
    Text(String),
}

/// Looks into an error of the host.
pub(super) fn told(error: &mlua::Error) -> Told {
    match error {
        mlua::Error::CallbackError { cause, .. } => told(cause),
        mlua::Error::RuntimeError(text) => Told::Text(text.clone()),
        mlua::Error::ExternalError(inner) => match inner.downcast_ref::<Raised>() {
            Some(raised) => Told::Table(raised.clone()),
            None => Told::Text(inner.to_string()),
        },
        other => Told::Text(super::budget::Fault::Lua(other.clone()).text()),
    }
}
