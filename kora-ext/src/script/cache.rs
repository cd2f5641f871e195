//! EVAL: scripts by their SHA-1.
//!
//! Owns: the cache, its bounds, and running a script of it. Refuses to know: how the interpreter works (`state.rs`). Start at
//! [`Scripts::find_or_compile`] and [`Scripts::run`].
//!
//! Redis 7.0 keeps every script for ever. Here those that came by EVAL make room for new ones, in the order in which they came except that one that
//! was used since then gets another round; those that SCRIPT LOAD was given stay until SCRIPT FLUSH.

use std::collections::{HashMap, VecDeque};

use kora_runtime::reply::ReplyBuf;
use mlua::{Function, Table, Value};

use super::caller::Caller;
use super::digest::{DigestHash, Sha1Digest, parse_sha1, sha1, sha1_hex};
use super::error::ScriptError;
use super::header::{ScriptHeader, read_script};
use super::limits::{LUA_HEAP_BYTES_MAX, SCRIPT_BYTES_MAX, SCRIPTS_MAX};
use super::state::{Purpose, State};
use super::to_reply::error_line;

/// The name of a script's chunk: errors call it `user_script`.
const CHUNK: &str = "@user_script";
/// Scripts run between two steps of the collector that are taken whether it wants to or not.
const RUNS_PER_COLLECTION: u32 = 50;

/// A script of the cache, good until the cache changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    digest: Sha1Digest,
    slot: u32,
    header: ScriptHeader,
}

impl Script {
    /// What its first line says.
    pub fn header(&self) -> ScriptHeader {
        self.header
    }

    /// The SHA-1 of its text.
    pub fn digest(&self) -> &Sha1Digest {
        &self.digest
    }
}

struct Entry {
    script: Script,
    bytes: usize,
    /// It came by SCRIPT LOAD.
    stays: bool,
    used: bool,
}

/// The scripts of one shard and the interpreter that runs them.
pub struct Scripts<C> {
    interpreter: Option<Interpreter<C>>,
    entries: HashMap<Sha1Digest, Entry, DigestHash>,
    /// Scripts that may be dropped, the next one in front.
    leaving: VecDeque<Sha1Digest>,
    bytes: usize,
    scripts_max: usize,
    bytes_max: usize,
    heap_bytes_max: usize,
    runs: u32,
    compilations: u64,
}

struct Interpreter<C> {
    state: State<C>,
    /// Compiled scripts by their slot: references from the host are scarce, so a table of the interpreter holds them.
    compiled: Table,
    free: Vec<u32>,
    slots: u32,
}

impl<C: Caller + 'static> Default for Scripts<C> {
    fn default() -> Self {
        Self::new(SCRIPTS_MAX, SCRIPT_BYTES_MAX, LUA_HEAP_BYTES_MAX)
    }
}

impl<C: Caller + 'static> Scripts<C> {
    /// An empty cache for so many scripts of so many bytes together, with an interpreter whose heap may hold so many bytes.
    pub fn new(scripts_max: usize, bytes_max: usize, heap_bytes_max: usize) -> Self {
        Self {
            interpreter: None,
            entries: HashMap::default(),
            leaving: VecDeque::new(),
            bytes: 0,
            scripts_max,
            bytes_max,
            heap_bytes_max,
            runs: 0,
            compilations: 0,
        }
    }

    /// The script with this text, compiled and cached if it is new: EVAL.
    ///
    /// # Errors
    /// It does not compile, or there is no room.
    pub fn find_or_compile(&mut self, text: &[u8]) -> Result<Script, ScriptError> {
        let digest = sha1(text);
        match self.lookup(&digest) {
            Some(script) => Ok(script),
            None => self.insert(digest, text, false),
        }
    }

    /// The script whose SHA-1 has these 40 digits: EVALSHA.
    ///
    /// # Errors
    /// [`ScriptError::NoScript`].
    pub fn find(&mut self, hex: &[u8]) -> Result<Script, ScriptError> {
        parse_sha1(hex).and_then(|digest| self.lookup(&digest)).ok_or(ScriptError::NoScript)
    }

    /// Caches a script until [`Scripts::flush`]: SCRIPT LOAD.
    ///
    /// # Errors
    /// It does not compile, or there is no room.
    pub fn load(&mut self, text: &[u8]) -> Result<Sha1Digest, ScriptError> {
        let digest = sha1(text);
        match self.entries.get_mut(&digest) {
            Some(entry) if entry.stays => {}
            Some(entry) => {
                entry.stays = true;
                self.leaving.retain(|leaving| *leaving != digest);
            }
            None => {
                self.insert(digest, text, true)?;
            }
        }
        Ok(digest)
    }

    /// True when the script whose SHA-1 has these 40 digits is cached: SCRIPT EXISTS.
    pub fn exists(&self, hex: &[u8]) -> bool {
        parse_sha1(hex).is_some_and(|digest| self.entries.contains_key(&digest))
    }

    /// Forgets all scripts, and with them whatever they changed in the interpreter: SCRIPT FLUSH.
    pub fn flush(&mut self) {
        *self = Self::new(self.scripts_max, self.bytes_max, self.heap_bytes_max);
    }

    /// How many scripts have been compiled and cached: more than before when one was new.
    pub fn compilations(&self) -> u64 {
        self.compilations
    }

    /// How many scripts are cached.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of their texts.
    pub fn text_bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the interpreter's heap: `used_memory_vm_eval`.
    pub fn heap_bytes(&self) -> usize {
        self.interpreter.as_ref().map_or(0, |interpreter| interpreter.state.heap_bytes())
    }

    /// Changes how many bytes the interpreter's heap may hold, for scripts that run from now on.
    pub fn set_heap_bytes_max(&mut self, bytes: usize) {
        self.heap_bytes_max = bytes.max(super::limits::LUA_HEAP_BYTES_MIN);
    }

    /// Runs a script and writes its reply; true when it failed. `script` must come from this cache and nothing been compiled since.
    pub fn run(
        &mut self,
        script: Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        caller: C,
        reply: &mut ReplyBuf,
    ) -> (C, bool) {
        let Some(interpreter) = &self.interpreter else {
            error_line(reply, ScriptError::NoScript.to_string().as_bytes());
            return (caller, true);
        };
        let state = &interpreter.state;
        state.allow(self.heap_bytes_max, keys, arguments);
        let prepared = state
            .set_words("KEYS", keys)
            .and_then(|()| state.set_words("ARGV", arguments))
            .and_then(|()| interpreter.compiled.raw_get::<Function>(script.slot));
        let (caller, outcome) = match prepared {
            Ok(function) => state.run(&function, caller, false),
            Err(error) => (caller, Err(super::error::Failure::plain(format!("ERR {error}").into_bytes()))),
        };
        let failed = state.write_outcome(outcome, |failure| failure.line(&sha1_hex(&script.digest)), reply);
        self.runs += 1;
        if self.runs >= RUNS_PER_COLLECTION {
            self.runs = 0;
            // Scripts that make little garbage would otherwise leave it to the one that makes much.
            let _finished = state.lua().gc_step();
        }
        (caller, failed)
    }

    fn lookup(&mut self, digest: &Sha1Digest) -> Option<Script> {
        let entry = self.entries.get_mut(digest)?;
        entry.used = true;
        Some(entry.script)
    }

    fn insert(&mut self, digest: Sha1Digest, text: &[u8], stays: bool) -> Result<Script, ScriptError> {
        let header = read_script(text)?;
        if text.len() > self.bytes_max {
            return Err(ScriptError::ScriptTooLong);
        }
        // Compiled first: a text that is no script drops none that is.
        let (function, slot) = self.compile(&text[header.bytes..])?;
        let made_room = self.make_room(text.len());
        let interpreter = self.interpreter.as_mut().expect("compiling made it");
        if !made_room {
            interpreter.free.push(slot);
            return Err(ScriptError::CacheFull);
        }
        interpreter.compiled.raw_set(slot, function).map_err(ScriptError::of_interpreter)?;
        let script = Script { digest, slot, header };
        self.compilations += 1;
        self.bytes += text.len();
        self.entries.insert(digest, Entry { script, bytes: text.len(), stays, used: false });
        if !stays {
            self.leaving.push_back(digest);
        }
        Ok(script)
    }

    fn compile(&mut self, text: &[u8]) -> Result<(Function, u32), ScriptError> {
        if self.interpreter.is_none() {
            let state = State::new(Purpose::Scripts, self.heap_bytes_max).map_err(ScriptError::of_interpreter)?;
            let compiled = state.lua().create_table().map_err(ScriptError::of_interpreter)?;
            self.interpreter = Some(Interpreter { state, compiled, free: Vec::new(), slots: 0 });
        }
        let interpreter = self.interpreter.as_mut().expect("it was made above");
        if text.first() == Some(&27) {
            // Bytecode would be loaded unseen; the parser says this of its first byte.
            return Err(ScriptError::Compile("user_script:1: unexpected symbol near 'char(27)'".to_owned()));
        }
        interpreter.state.slot().heap.set_bytes(self.heap_bytes_max);
        let function = interpreter.state.compile(CHUNK, text).map_err(ScriptError::Compile)?;
        let slot = interpreter.free.pop().unwrap_or_else(|| {
            interpreter.slots += 1;
            interpreter.slots
        });
        Ok((function, slot))
    }

    /// Drops scripts until one of so many bytes fits; false when those that stay leave too little room.
    fn make_room(&mut self, bytes: usize) -> bool {
        while self.entries.len() >= self.scripts_max || self.bytes + bytes > self.bytes_max {
            let Some(digest) = self.leaving.pop_front() else { return false };
            let entry = self.entries.get_mut(&digest).expect("what is leaving is still there");
            if std::mem::take(&mut entry.used) {
                self.leaving.push_back(digest);
                continue;
            }
            self.bytes -= entry.bytes;
            let slot = entry.script.slot;
            self.entries.remove(&digest);
            if let Some(interpreter) = &mut self.interpreter {
                // Nothing is allocated to forget an element.
                let _forgotten = interpreter.compiled.raw_set(slot, Value::Nil);
                interpreter.free.push(slot);
            }
        }
        true
    }
}
