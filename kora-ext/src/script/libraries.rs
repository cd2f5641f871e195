//! Function libraries: FUNCTION and FCALL.
//!
//! Owns: the libraries, their functions and their interpreter. Refuses to know: the layout of a dump (`payload.rs`). Start at
//! [`Libraries::load`] and [`Libraries::call`].
//!
//! Loading is all or nothing: a library is compiled and has registered its functions before anything is replaced.

use std::collections::{BTreeMap, HashMap};

use kora_runtime::glob;
use kora_runtime::reply::ReplyBuf;
use mlua::{Table, Value};

use super::caller::Caller;
use super::error::{Failure, ScriptError};
use super::header::{Flags, read_library};
use super::limits::{LIBRARIES_MAX, LIBRARY_BYTES_MAX, LIBRARY_LOAD_NS_MAX, LUA_HEAP_BYTES_MAX};
use super::payload::{self, RestorePolicy};
use super::state::{Purpose, State};
use super::to_reply::error_line;

/// The name of a library's chunk: errors call it `user_function`.
const CHUNK: &str = "@user_function";

/// One function of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name, which is letters, digits and underscores.
    pub name: String,
    /// What it says about itself.
    pub flags: Flags,
    /// What it is for, in its author's words.
    pub description: Option<Vec<u8>>,
    slot: u32,
}

/// One library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// Its text, the first line included.
    pub code: Vec<u8>,
    /// Its functions, in the order in which they were registered.
    pub functions: Vec<FunctionInfo>,
}

/// The function libraries of one shard and the interpreter that runs them.
pub struct Libraries<C> {
    interpreter: Option<Interpreter<C>>,
    libraries: BTreeMap<String, Library>,
    /// By their names in lower case: FCALL takes either, as Redis does.
    functions: HashMap<String, FunctionInfo>,
    heap_bytes_max: usize,
}

struct Interpreter<C> {
    state: State<C>,
    /// Callbacks by their slot.
    callbacks: Table,
    free: Vec<u32>,
    slots: u32,
}

impl<C: Caller + 'static> Default for Libraries<C> {
    fn default() -> Self {
        Self::new(LUA_HEAP_BYTES_MAX)
    }
}

impl<C: Caller + 'static> Libraries<C> {
    /// No libraries yet, for an interpreter whose heap may hold so many bytes.
    pub fn new(heap_bytes_max: usize) -> Self {
        Self { interpreter: None, libraries: BTreeMap::new(), functions: HashMap::new(), heap_bytes_max }
    }

    /// Loads a library and returns its name: FUNCTION LOAD, with REPLACE when `replace`.
    ///
    /// # Errors
    /// Every way in which the text is no library, or a name that is taken.
    pub fn load(&mut self, code: &[u8], replace: bool, caller: C) -> (C, Result<String, ScriptError>) {
        let header = match read_library(code) {
            Ok(header) => header,
            Err(error) => return (caller, Err(error)),
        };
        if !replace && self.libraries.contains_key(&header.name) {
            return (caller, Err(ScriptError::LibraryExists(header.name)));
        }
        let (caller, library) = self.register(code, caller);
        let outcome = library.and_then(|library| {
            let name = library.name.clone();
            self.admit(vec![library], replace)?;
            Ok(name)
        });
        (caller, outcome)
    }

    /// Removes a library: FUNCTION DELETE.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete(&mut self, name: &[u8]) -> Result<(), ScriptError> {
        let name = std::str::from_utf8(name).map_err(|_| ScriptError::LibraryNotFound)?;
        let library = self.libraries.remove(name).ok_or(ScriptError::LibraryNotFound)?;
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        self.forget(&library);
        Ok(())
    }

    /// Removes all: FUNCTION FLUSH.
    pub fn flush(&mut self) {
        *self = Self::new(self.heap_bytes_max);
    }

    /// The libraries by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.libraries.values()
    }

    /// Those whose name matches a pattern, in either case of letters, as FUNCTION LIST shows them.
    pub fn write_list(&self, pattern: Option<&[u8]>, with_code: bool, reply: &mut ReplyBuf) {
        let shown: Vec<&Library> = self
            .iter()
            .filter(|library| pattern.is_none_or(|pattern| glob::matches(pattern, library.name.as_bytes(), true)))
            .collect();
        reply.array(shown.len());
        for library in shown {
            reply.map(if with_code { 4 } else { 3 });
            reply.bulk(b"library_name");
            reply.bulk(library.name.as_bytes());
            reply.bulk(b"engine");
            reply.bulk(b"LUA");
            reply.bulk(b"functions");
            reply.array(library.functions.len());
            for function in &library.functions {
                reply.map(3);
                reply.bulk(b"name");
                reply.bulk(function.name.as_bytes());
                reply.bulk(b"description");
                match &function.description {
                    Some(text) => reply.bulk(text),
                    None => reply.null(),
                }
                reply.bulk(b"flags");
                reply.set(function.flags.names().count());
                for flag in function.flags.names() {
                    reply.simple(flag);
                }
            }
            if with_code {
                reply.bulk(b"library_code");
                reply.bulk(&library.code);
            }
        }
    }

    /// How many functions there are.
    pub fn functions_len(&self) -> usize {
        self.functions.len()
    }

    /// Bytes of the interpreter's heap: `used_memory_vm_functions`.
    pub fn heap_bytes(&self) -> usize {
        self.interpreter.as_ref().map_or(0, |interpreter| interpreter.state.heap_bytes())
    }

    /// Changes how many bytes the interpreter's heap may hold, for functions that run from now on.
    pub fn set_heap_bytes_max(&mut self, bytes: usize) {
        self.heap_bytes_max = bytes.max(super::limits::LUA_HEAP_BYTES_MIN);
    }

    /// The source texts of all libraries.
    pub fn codes(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|library| library.code.as_slice())
    }

    /// All libraries in the form that Redis's FUNCTION RESTORE takes.
    pub fn dump(&self) -> Vec<u8> {
        payload::dump(self.codes())
    }

    /// Loads the libraries of a dump, ours or Redis's.
    ///
    /// # Errors
    /// A damaged payload, a library that does not load, a name that is taken. Nothing has changed then.
    pub fn restore(&mut self, bytes: &[u8], policy: RestorePolicy, mut caller: C) -> (C, Result<(), ScriptError>) {
        let codes = match payload::read(bytes) {
            Ok(codes) => codes,
            Err(error) => return (caller, Err(error)),
        };
        if policy == RestorePolicy::Flush {
            let mut fresh = Self::new(self.heap_bytes_max);
            let outcome;
            (caller, outcome) = fresh.restore_into(&codes, false, caller);
            if outcome.is_ok() {
                *self = fresh;
            }
            return (caller, outcome);
        }
        self.restore_into(&codes, policy == RestorePolicy::Replace, caller)
    }

    fn restore_into(&mut self, codes: &[Vec<u8>], replace: bool, mut caller: C) -> (C, Result<(), ScriptError>) {
        let mut loaded: Vec<Library> = Vec::new();
        for code in codes {
            let library;
            (caller, library) = self.register(code, caller);
            let problem = match library {
                Err(error) => Some(error),
                Ok(library) if loaded.iter().any(|other| other.name == library.name) => {
                    let name = library.name.clone();
                    loaded.push(library);
                    Some(ScriptError::LibraryExists(name))
                }
                Ok(library) => {
                    loaded.push(library);
                    None
                }
            };
            if let Some(error) = problem {
                for library in &loaded {
                    self.forget(library);
                }
                return (caller, Err(error));
            }
        }
        if !replace && let Some(taken) = loaded.iter().find(|library| self.libraries.contains_key(&library.name)) {
            let error = ScriptError::RestoredLibraryExists(taken.name.clone());
            for library in &loaded {
                self.forget(library);
            }
            return (caller, Err(error));
        }
        (caller, self.admit(loaded, replace))
    }

    /// A function by its name, in either case of letters.
    ///
    /// # Errors
    /// [`ScriptError::FunctionNotFound`].
    pub fn find(&self, name: &[u8]) -> Result<&FunctionInfo, ScriptError> {
        let name = std::str::from_utf8(name).map_err(|_| ScriptError::FunctionNotFound)?;
        self.functions.get(&name.to_ascii_lowercase()).ok_or(ScriptError::FunctionNotFound)
    }

    /// A function that FCALL_RO may call.
    ///
    /// # Errors
    /// There is none of this name, or it may write.
    pub fn find_read_only(&self, name: &[u8]) -> Result<&FunctionInfo, ScriptError> {
        let function = self.find(name)?;
        if function.flags.no_writes() { Ok(function) } else { Err(ScriptError::ReadOnly) }
    }

    /// Calls a function and writes its reply; true when it failed.
    pub fn call(
        &self,
        function: &FunctionInfo,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        caller: C,
        reply: &mut ReplyBuf,
    ) -> (C, bool) {
        let Some(interpreter) = &self.interpreter else {
            error_line(reply, ScriptError::FunctionNotFound.to_string().as_bytes());
            return (caller, true);
        };
        let state = &interpreter.state;
        state.allow(self.heap_bytes_max, keys, arguments);
        let prepared = interpreter.callbacks.raw_get(function.slot).and_then(|callback: mlua::Function| {
            let keys = state.words(keys)?;
            Ok((callback, keys, state.words(arguments)?))
        });
        let (caller, outcome) = match prepared {
            Ok((callback, keys, words)) => state.run_function(&callback, keys, words, caller),
            Err(error) => (caller, Err(Failure::of_interpreter(error))),
        };
        (caller, state.write_outcome(outcome, |failure| failure.line(function.name.as_bytes()), reply))
    }

    /// Compiles a library and lets it register its functions, which are not to be found yet.
    fn register(&mut self, code: &[u8], caller: C) -> (C, Result<Library, ScriptError>) {
        let header = match read_library(code) {
            Ok(header) => header,
            Err(error) => return (caller, Err(error)),
        };
        let compiled = self.interpreter().and_then(|interpreter| {
            let text = &code[header.bytes..];
            let function = interpreter.state.compile(CHUNK, text).map_err(ScriptError::CompileLibrary)?;
            interpreter.state.set_loading(true).map_err(ScriptError::of_interpreter)?;
            Ok((interpreter, function))
        });
        let (interpreter, chunk) = match compiled {
            Ok(compiled) => compiled,
            Err(error) => return (caller, Err(error)),
        };
        let state = &interpreter.state;
        *state.slot().registering.borrow_mut() = Some(Vec::new());
        let (caller, outcome) = state.run_for(&chunk, caller, LIBRARY_LOAD_NS_MAX);
        let registered = state.slot().registering.take().unwrap_or_default();
        if let Err(error) = state.set_loading(false) {
            return (caller, Err(ScriptError::of_interpreter(error)));
        }
        if let Err(failure) = outcome {
            let text = String::from_utf8_lossy(failure.text()).into_owned();
            return (caller, Err(ScriptError::Register(text)));
        }
        if registered.is_empty() {
            return (caller, Err(ScriptError::NoFunctions));
        }
        let mut functions = Vec::with_capacity(registered.len());
        for function in registered {
            let slot = interpreter.free.pop().unwrap_or_else(|| {
                interpreter.slots += 1;
                interpreter.slots
            });
            if let Err(error) = interpreter.callbacks.raw_set(slot, function.callback) {
                return (caller, Err(ScriptError::of_interpreter(error)));
            }
            functions.push(FunctionInfo {
                name: String::from_utf8_lossy(&function.name).into_owned(),
                flags: function.flags,
                description: function.description,
                slot,
            });
        }
        (caller, Ok(Library { name: header.name, code: code.to_vec(), functions }))
    }

    fn interpreter(&mut self) -> Result<&mut Interpreter<C>, ScriptError> {
        if self.interpreter.is_none() {
            let state = State::new(Purpose::Libraries, self.heap_bytes_max).map_err(ScriptError::of_interpreter)?;
            let callbacks = state.lua().create_table().map_err(ScriptError::of_interpreter)?;
            self.interpreter = Some(Interpreter { state, callbacks, free: Vec::new(), slots: 0 });
        }
        let interpreter = self.interpreter.as_mut().expect("it was made above");
        interpreter.state.slot().heap.set_bytes(self.heap_bytes_max);
        Ok(interpreter)
    }

    /// Makes registered libraries visible, in place of those of the same names.
    fn admit(&mut self, libraries: Vec<Library>, replace: bool) -> Result<(), ScriptError> {
        let replaced = |name: &str| replace && libraries.iter().any(|library| library.name == name);
        let mut names: HashMap<String, &str> = HashMap::new();
        for library in self.libraries.values().filter(|library| !replaced(&library.name)).chain(&libraries) {
            for function in &library.functions {
                if names.insert(function.name.to_ascii_lowercase(), &library.name).is_some() {
                    let error = ScriptError::FunctionExists(function.name.clone());
                    for library in &libraries {
                        self.forget(library);
                    }
                    return Err(error);
                }
            }
        }
        let kept = self.libraries.values().filter(|library| !replaced(&library.name));
        let (count, bytes) =
            kept.chain(&libraries).fold((0, 0), |(count, bytes), library| (count + 1, bytes + library.code.len()));
        if count > LIBRARIES_MAX || bytes > LIBRARY_BYTES_MAX {
            for library in &libraries {
                self.forget(library);
            }
            return Err(ScriptError::LibrariesFull);
        }
        for library in libraries {
            if let Some(old) = self.libraries.remove(&library.name) {
                for function in &old.functions {
                    self.functions.remove(&function.name.to_ascii_lowercase());
                }
                self.forget(&old);
            }
            for function in &library.functions {
                self.functions.insert(function.name.to_ascii_lowercase(), function.clone());
            }
            self.libraries.insert(library.name.clone(), library);
        }
        Ok(())
    }

    /// Lets go of a library's callbacks.
    fn forget(&mut self, library: &Library) {
        if let Some(interpreter) = &mut self.interpreter {
            for function in &library.functions {
                // Nothing is allocated to forget an element.
                let _forgotten = interpreter.callbacks.raw_set(function.slot, Value::Nil);
                interpreter.free.push(function.slot);
            }
        }
    }
}
