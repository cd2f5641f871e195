//! The native functions behind `redis.*`, and how native functions are made.
//!
//! Owns: `redis.call` and its kin, `math.random`, and the registration of functions. Refuses to know: what commands do (the caller knows).
//! Start at [`call`].
//!
//! What a native function raises is [`Raised`] or a text with the position of its caller; the prelude makes of it what scripts see.

use std::rc::Rc;

use mlua::{Function, IntoLua, IntoLuaMulti, Lua, Table, Value};

use super::arguments::{Arguments, bad_argument};
use super::budget::{Budget, HeapLimit};
use super::caller::{Caller, LogLevel, Propagation};
use super::digest::{sha1, sha1_hex};
use super::from_reply::{error_text, to_lua};
use super::header::Flags;
use super::state::{Registration, Slot};
use super::to_reply::write_number_word;

/// Words of a command that need no memory of their own.
const WORDS_IN_PLACE_MAX: usize = 8;
const WORDS_KEPT_MAX: usize = 8 * kora_runtime::limits::KIB;
const WORDS_KEPT_BYTES_MAX: usize = 64 * kora_runtime::limits::KIB;

/// The table of native functions while it is filled.
pub(super) struct Natives<'l> {
    lua: &'l Lua,
    table: Table,
    heap: HeapLimit,
}

impl<'l> Natives<'l> {
    /// An empty one.
    pub(super) fn new(lua: &'l Lua, heap: &HeapLimit) -> mlua::Result<Self> {
        Ok(Self { lua, table: lua.create_table()?, heap: heap.clone() })
    }

    /// The interpreter, before the sandbox is made.
    pub(super) fn lua(&self) -> &Lua {
        self.lua
    }

    /// The heap's limit, for functions that build values.
    pub(super) fn heap(&self) -> HeapLimit {
        self.heap.clone()
    }

    /// Adds a value.
    pub(super) fn set(&self, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        self.table.raw_set(name, value)
    }

    /// Adds a function, which runs with the state's own memory limit lifted.
    pub(super) fn add<A, R>(
        &self,
        name: &str,
        perform: impl Fn(&Lua, A) -> mlua::Result<R> + 'static,
    ) -> mlua::Result<Function>
    where
        A: mlua::FromLuaMulti,
        R: IntoLuaMulti,
    {
        let heap = self.heap.clone();
        let function =
            self.lua.create_function(move |lua, arguments: A| heap.lifted(lua, || perform(lua, arguments)))?;
        self.table.raw_set(name, &function)?;
        Ok(function)
    }

    /// Adds a function whose errors are texts with the position of its caller in front, as Lua's own.
    pub(super) fn add_checked<R: IntoLuaMulti>(
        &self,
        name: &str,
        perform: impl Fn(&Lua, Arguments) -> Result<R, String> + 'static,
    ) -> mlua::Result<Function> {
        self.add(name, move |lua, arguments: Arguments| perform(lua, arguments).map_err(|problem| raise(lua, &problem)))
    }

    /// Adds a function of `redis.*`, whose errors are tables.
    fn add_redis<R: IntoLuaMulti>(
        &self,
        name: &str,
        perform: impl Fn(&Lua, Arguments) -> Result<R, String> + 'static,
    ) -> mlua::Result<()> {
        self.add(name, move |lua, arguments: Arguments| {
            perform(lua, arguments).map_err(|problem| {
                let text = format!("ERR {problem}").into_bytes();
                mlua::Error::external(Raised { text, from_command: false })
            })
        })?;
        Ok(())
    }

    /// The table.
    pub(super) fn into_table(self) -> Table {
        self.table
    }
}

/// An error of `redis.*`, which scripts see as a table with `err`. It holds no reference into the interpreter, because errors live until they are
/// collected and references are scarce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raised {
    /// The code word and the text.
    pub(super) text: Vec<u8>,
    /// It is a command's reply, so that it is counted already.
    pub(super) from_command: bool,
}

impl std::fmt::Display for Raised {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for Raised {}

impl Raised {
    /// The table that scripts see.
    pub(super) fn to_table(&self, lua: &Lua) -> mlua::Result<Table> {
        let table = lua.create_table()?;
        table.raw_set("err", lua.create_string(&self.text)?)?;
        if self.from_command {
            table.raw_set("ignore_error_stats_update", true)?;
        }
        Ok(table)
    }
}

/// An error with the position of the native function's caller, and the name that the caller has for it.
fn raise(lua: &Lua, problem: &str) -> mlua::Error {
    let mut text = super::state::caller_prefix(lua);
    match problem
        .strip_prefix("bad argument #")
        .and_then(|rest| Some((rest.split_once(" to '")?, rest.split_once("' (")?)))
    {
        Some(((index, _), (_, what))) => {
            let name = lua.inspect_stack(0, |debug| debug.names().name.map(|name| name.into_owned())).flatten();
            text.push_str(&format!("bad argument #{index} to '{}' ({what}", name.as_deref().unwrap_or("?")));
        }
        None => text.push_str(problem),
    }
    mlua::Error::RuntimeError(text)
}

/// Adds `redis.*`, `math.random` and `math.randomseed`.
pub(super) fn add<C: Caller + 'static>(native: &Natives<'_>, slot: &Rc<Slot<C>>) -> mlua::Result<()> {
    let shared = Rc::clone(slot);
    native.add("call", move |lua, arguments: Arguments| match call(lua, &shared, &arguments)? {
        Outcome::Value(value) => Ok(value),
        Outcome::Raised(raised) => Err(mlua::Error::external(raised)),
    })?;
    let shared = Rc::clone(slot);
    native.add("pcall", move |lua, arguments: Arguments| match call(lua, &shared, &arguments)? {
        Outcome::Value(value) => Ok(value),
        Outcome::Raised(raised) => Ok(Value::Table(raised.to_table(lua)?)),
    })?;
    let shared = Rc::clone(slot);
    native.add_redis("log", move |lua, arguments| log(lua, &shared, &arguments))?;
    native.add_redis("sha1hex", sha1hex)?;
    let shared = Rc::clone(slot);
    native.add_redis("setresp", move |lua, arguments| set_protocol(lua, &shared, &arguments))?;
    let shared = Rc::clone(slot);
    native.add_redis("set_repl", move |lua, arguments| set_propagation(lua, &shared, &arguments))?;
    let shared = Rc::clone(slot);
    native.add_redis("acl_check_cmd", move |lua, arguments| acl_check(lua, &shared, &arguments))?;
    let shared = Rc::clone(slot);
    native.add_redis("register_function", move |lua, arguments| register_function(lua, &shared, &arguments))?;
    let shared = Rc::clone(slot);
    native.add_checked("random", move |lua, arguments| random(lua, &shared, &arguments))?;
    let shared = Rc::clone(slot);
    native.add_checked("randomseed", move |lua, arguments| {
        let seed = arguments.integer(lua, 0, "randomseed")? as i32;
        let mut random = shared.random.get();
        random.seed(seed);
        shared.random.set(random);
        Ok(())
    })?;
    Ok(())
}

const NO_WORDS: &str = "Please specify at least one argument for this redis lib call";
const BAD_WORDS: &str = "Lua redis lib command arguments must be strings or integers";

/// What a command came to.
enum Outcome {
    Value(Value),
    Raised(Raised),
}

/// `redis.call` and `redis.pcall`.
fn call<C: Caller>(lua: &Lua, slot: &Slot<C>, arguments: &Arguments) -> mlua::Result<Outcome> {
    let mut reply = slot.reply.take();
    reply.clear();
    let outcome = with_words(slot, arguments, |caller, words| caller.call(words, slot.resp3.get(), &mut reply));
    let refused =
        |problem: String| Outcome::Raised(Raised { text: format!("ERR {problem}").into_bytes(), from_command: false });
    let converted = match (outcome, error_text(&reply)) {
        (Err(problem), _) => refused(problem),
        (Ok(()), Some(text)) => Outcome::Raised(Raised { text: text.to_vec(), from_command: true }),
        (Ok(()), None) => match to_lua(&reply, &mut Budget::new(lua, &slot.heap)) {
            Ok(value) => Outcome::Value(value),
            Err(fault) => refused(fault.text()),
        },
    };
    if reply.capacity() <= WORDS_KEPT_BYTES_MAX {
        slot.reply.replace(reply);
    }
    Ok(converted)
}

/// Hands the arguments to `perform` as words, with the caller.
fn with_words<C: Caller, T>(
    slot: &Slot<C>,
    arguments: &Arguments,
    perform: impl FnOnce(&mut C, &[&[u8]]) -> T,
) -> Result<T, String> {
    if arguments.len() == 0 {
        return Err(NO_WORDS.to_owned());
    }
    let mut bytes = slot.words.take();
    bytes.clear();
    let mut ends = slot.ends.take();
    ends.clear();
    for value in arguments.values() {
        match value {
            Value::String(text) => bytes.extend_from_slice(&text.as_bytes()),
            Value::Integer(number) => kora_runtime::resp::number::write_i64(&mut bytes, *number),
            Value::Number(number) => write_number_word(&mut bytes, *number),
            _ => return Err(BAD_WORDS.to_owned()),
        }
        ends.push(bytes.len());
    }
    let mut start = 0;
    let split = ends.iter().map(|end| &bytes[std::mem::replace(&mut start, *end)..*end]);
    let mut few;
    let many: Vec<&[u8]>;
    let words = if ends.len() <= WORDS_IN_PLACE_MAX {
        few = [&[][..]; WORDS_IN_PLACE_MAX];
        few.iter_mut().zip(split).for_each(|(place, word)| *place = word);
        &few[..ends.len()]
    } else {
        many = split.collect();
        &many[..]
    };
    let outcome = match slot.caller.borrow_mut().as_mut() {
        Some(caller) => Ok(perform(caller, words)),
        // A coroutine of a library that outlives its call is resumed while another library is loaded.
        None => Err("redis.call is not possible here".to_owned()),
    };
    if bytes.capacity() <= WORDS_KEPT_BYTES_MAX && ends.capacity() <= WORDS_KEPT_MAX {
        slot.words.replace(bytes);
        slot.ends.replace(ends);
    }
    outcome
}

fn log<C: Caller>(lua: &Lua, slot: &Slot<C>, arguments: &Arguments) -> Result<Value, String> {
    if arguments.len() < 2 {
        return Err("redis.log() requires two arguments or more.".to_owned());
    }
    let level = match arguments.get(0) {
        Some(Value::Integer(_) | Value::Number(_)) => arguments.integer(lua, 0, "log")?,
        Some(Value::String(_)) if arguments.number(lua, 0, "log").is_ok() => arguments.integer(lua, 0, "log")?,
        _ => return Err("First argument must be a number (log level).".to_owned()),
    };
    let level = LogLevel::from_number(level).ok_or("Invalid debug level.")?;
    let mut text = Vec::new();
    for index in 1..arguments.len() {
        // What is neither text nor number is left out.
        if let Ok(part) = arguments.string(lua, index, "log") {
            if index > 1 {
                text.push(b' ');
            }
            text.extend_from_slice(&part.as_bytes());
        }
    }
    if let Some(caller) = slot.caller.borrow_mut().as_mut() {
        caller.log(level, &text);
    }
    Ok(Value::Nil)
}

fn sha1hex(lua: &Lua, arguments: Arguments) -> Result<String, String> {
    if arguments.len() != 1 {
        return Err("wrong number of arguments".to_owned());
    }
    // What has no text has an empty one.
    let digest = match arguments.string(lua, 0, "sha1hex") {
        Ok(text) => sha1(&text.as_bytes()),
        Err(_) => sha1(b""),
    };
    Ok(String::from_utf8_lossy(&sha1_hex(&digest)).into_owned())
}

fn set_protocol<C>(lua: &Lua, slot: &Slot<C>, arguments: &Arguments) -> Result<Value, String> {
    if arguments.len() != 1 {
        return Err("redis.setresp() requires one argument.".to_owned());
    }
    match arguments.number(lua, 0, "setresp").map(|number| number as i64) {
        Ok(version @ (2 | 3)) => {
            slot.resp3.set(version == 3);
            Ok(Value::Nil)
        }
        _ => Err("RESP version must be 2 or 3.".to_owned()),
    }
}

fn set_propagation<C: Caller>(lua: &Lua, slot: &Slot<C>, arguments: &Arguments) -> Result<Value, String> {
    if arguments.len() != 1 {
        return Err("redis.set_repl() requires two arguments.".to_owned());
    }
    let flags = arguments.number(lua, 0, "set_repl").map_or(0, |number| number as i64);
    if flags & !3 != 0 {
        return Err("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.".to_owned());
    }
    if let Some(caller) = slot.caller.borrow_mut().as_mut() {
        caller.set_propagation(Propagation { log: flags & 1 != 0, replicas: flags & 2 != 0 });
    }
    Ok(Value::Nil)
}

fn acl_check<C: Caller>(_: &Lua, slot: &Slot<C>, arguments: &Arguments) -> Result<bool, String> {
    with_words(slot, arguments, |caller, words| caller.acl_check(words))?
        .ok_or_else(|| "Invalid command passed to redis.acl_check_cmd()".to_owned())
}

fn random<C>(lua: &Lua, slot: &Slot<C>, arguments: &Arguments) -> Result<f64, String> {
    const RANGE: i32 = i32::MAX;
    let mut generator = slot.random.get();
    let drawn = f64::from(generator.next_31_bits() % RANGE) / f64::from(RANGE);
    slot.random.set(generator);
    match arguments.len() {
        0 => Ok(drawn),
        1 => {
            let high = f64::from(arguments.integer(lua, 0, "random")? as i32);
            if high < 1.0 {
                return Err(bad_argument(0, "random", "interval is empty"));
            }
            Ok((drawn * high).floor() + 1.0)
        }
        2 => {
            let low = f64::from(arguments.integer(lua, 0, "random")? as i32);
            let high = f64::from(arguments.integer(lua, 1, "random")? as i32);
            if low > high {
                return Err(bad_argument(1, "random", "interval is empty"));
            }
            Ok((drawn * (high - low + 1.0)).floor() + low)
        }
        _ => Err("wrong number of arguments".to_owned()),
    }
}

/// `redis.register_function`, with a name and a function or with one table of named arguments.
fn register_function<C>(lua: &Lua, slot: &Slot<C>, arguments: &Arguments) -> Result<(), String> {
    let registration = match arguments.len() {
        1 => match arguments.get(0) {
            Some(Value::Table(named)) => registration_from(lua, named)?,
            _ => {
                return Err("calling redis.register_function with a single argument is only applicable to Lua table \
                            (representing named arguments)."
                    .to_owned());
            }
        },
        2 => {
            let name = arguments
                .string(lua, 0, "register_function")
                .map_err(|_| "first argument to redis.register_function must be a string")?;
            let Some(Value::Function(callback)) = arguments.get(1) else {
                return Err("second argument to redis.register_function must be a function".to_owned());
            };
            Registration {
                name: name.as_bytes().to_vec(),
                callback: callback.clone(),
                flags: Flags::default(),
                description: None,
            }
        }
        _ => return Err("wrong number of arguments to redis.register_function".to_owned()),
    };
    if !super::header::is_name(&registration.name) {
        return Err("Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                    character long"
            .to_owned());
    }
    let mut registering = slot.registering.borrow_mut();
    let Some(registered) = registering.as_mut() else {
        return Err("redis.register_function can only be called on FUNCTION LOAD command".to_owned());
    };
    if registered.iter().any(|known| known.name == registration.name) {
        return Err("Function already exists in the library".to_owned());
    }
    registered.push(registration);
    Ok(())
}

fn registration_from(lua: &Lua, named: &Table) -> Result<Registration, String> {
    let (mut name, mut callback, mut description, mut flags) = (None, None, None, Flags::default());
    let text = |value: Value| lua.coerce_string(value).ok().flatten().map(|text| text.as_bytes().to_vec());
    for pair in named.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let Value::String(key) = key else { return Err(UNKNOWN_ARGUMENT.to_owned()) };
        match &*key.as_bytes() {
            b"function_name" => {
                name = Some(
                    text(value).ok_or("function_name argument given to redis.register_function must be a string")?,
                );
            }
            b"description" => {
                description =
                    Some(text(value).ok_or("description argument given to redis.register_function must be a string")?);
            }
            b"callback" => {
                let Value::Function(function) = value else {
                    return Err("callback argument given to redis.register_function must be a function".to_owned());
                };
                callback = Some(function);
            }
            b"flags" => {
                let Value::Table(words) = value else {
                    return Err(
                        "flags argument to redis.register_function must be a table representing function flags"
                            .to_owned(),
                    );
                };
                for word in words.sequence_values::<Value>() {
                    let word = word.map_err(|error| error.to_string())?;
                    let Value::String(word) = word else { return Err("unknown flag given".to_owned()) };
                    if !flags.insert(&word.as_bytes()) {
                        return Err("unknown flag given".to_owned());
                    }
                }
            }
            _ => return Err(UNKNOWN_ARGUMENT.to_owned()),
        }
    }
    Ok(Registration {
        name: name.ok_or("redis.register_function must get a function name argument")?,
        callback: callback.ok_or("redis.register_function must get a callback argument")?,
        flags,
        description,
    })
}

const UNKNOWN_ARGUMENT: &str = "unknown argument given to redis.register_function";
