//! The `cjson` library.
//!
//! Owns: the settings of a codec and the functions that change them. Refuses to know: how text is written (`encode`) and read (`decode`).
//! Start at [`Settings`].

mod decode;
mod encode;

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Function, LightUserData, Lua, MultiValue, Table, Value};

use super::arguments::{Arguments, bad_argument};
use super::budget::{Budget, Fault, HeapLimit};
use super::natives::Natives;

/// Levels that either direction goes down whatever its setting says: each holds a reference to its table, and references are scarce.
const DEPTH_MAX: u32 = 1_000;

/// What to do with numbers that JSON does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidNumbers {
    Refuse,
    Write,
    Null,
}

/// The settings of one codec; they stay when a script ends, as in Redis.
#[derive(Debug, Clone)]
struct Settings {
    sparse_convert: bool,
    sparse_ratio: u32,
    sparse_safe: u32,
    encode_depth_max: u32,
    decode_depth_max: u32,
    encode_invalid_numbers: InvalidNumbers,
    decode_invalid_numbers: bool,
    keep_buffer: bool,
    precision: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: DEPTH_MAX,
            decode_depth_max: DEPTH_MAX,
            encode_invalid_numbers: InvalidNumbers::Refuse,
            decode_invalid_numbers: true,
            keep_buffer: true,
            precision: 14,
        }
    }
}

/// Adds the function that makes a codec.
pub(super) fn add(native: &Natives<'_>) -> mlua::Result<()> {
    let next = native.lua().globals().raw_get::<mlua::Function>("next")?;
    let heap = native.heap();
    native.add("json_codec", move |lua, ()| codec(lua, &heap, &next))?;
    Ok(())
}

/// A codec with settings of its own: the table that scripts see.
fn codec(lua: &Lua, heap: &HeapLimit, next: &Function) -> mlua::Result<Table> {
    let native = Natives::new(lua, heap)?;
    native.set("_NAME", "cjson")?;
    native.set("_VERSION", "2.1.0")?;
    native.set("null", LightUserData(std::ptr::null_mut()))?;
    let settings = Rc::new(RefCell::new(Settings::default()));
    let (shared, walk) = (Rc::clone(&settings), next.clone());
    native.add_checked("encode", move |lua, arguments| {
        let value = one_argument(&arguments, "encode")?;
        let text = encode::encode(value, &shared.borrow(), &walk)?;
        lua.create_string(text).map_err(host)
    })?;
    let (shared, limit) = (Rc::clone(&settings), heap.clone());
    native.add_checked("decode", move |lua, arguments| {
        one_argument(&arguments, "decode")?;
        let text = arguments.string(lua, 0, "decode")?;
        decode::decode(&text.as_bytes(), &shared.borrow(), Budget::new(lua, &limit))
    })?;
    let (limit, walk) = (heap.clone(), next.clone());
    native.add("new", move |lua, ()| codec(lua, &limit, &walk))?;
    let codec = Codec { native, settings };
    codec.integer("encode_max_depth", 1..=i32::MAX, |settings| &mut settings.encode_depth_max)?;
    codec.integer("decode_max_depth", 1..=i32::MAX, |settings| &mut settings.decode_depth_max)?;
    codec.integer("encode_number_precision", 1..=14, |settings| &mut settings.precision)?;
    codec.switch("encode_keep_buffer", |settings| &mut settings.keep_buffer)?;
    codec.switch("decode_invalid_numbers", |settings| &mut settings.decode_invalid_numbers)?;
    codec.setting("encode_invalid_numbers", 1, encode_invalid_numbers)?;
    codec.setting("encode_sparse_array", 3, encode_sparse_array)?;
    Ok(codec.native.into_table())
}

/// What the interpreter itself refused, as the script is told.
fn host(error: mlua::Error) -> String {
    Fault::Lua(error).text()
}

fn encode_invalid_numbers(lua: &Lua, arguments: &Arguments, settings: &mut Settings) -> Result<Vec<Value>, String> {
    if arguments.is_given(0) {
        settings.encode_invalid_numbers = match arguments.get(0) {
            Some(Value::Boolean(true)) => InvalidNumbers::Write,
            Some(Value::Boolean(false)) => InvalidNumbers::Refuse,
            _ => match option(lua, arguments, 0, "encode_invalid_numbers", &["off", "on", "null"])? {
                0 => InvalidNumbers::Refuse,
                1 => InvalidNumbers::Write,
                _ => InvalidNumbers::Null,
            },
        };
    }
    Ok(match settings.encode_invalid_numbers {
        InvalidNumbers::Refuse => vec![Value::Boolean(false)],
        InvalidNumbers::Write => vec![Value::Boolean(true)],
        InvalidNumbers::Null => {
            vec![Value::String(lua.create_string("null").map_err(host)?)]
        }
    })
}

fn encode_sparse_array(lua: &Lua, arguments: &Arguments, settings: &mut Settings) -> Result<Vec<Value>, String> {
    let name = "encode_sparse_array";
    if arguments.is_given(0) {
        settings.sparse_convert = truth(lua, arguments, 0, name)?;
    }
    for (index, place) in [(1, &mut settings.sparse_ratio), (2, &mut settings.sparse_safe)] {
        if arguments.is_given(index) {
            *place = bounded(lua, arguments, index, name, 0..=i32::MAX)?;
        }
    }
    Ok(vec![
        Value::Boolean(settings.sparse_convert),
        Value::Number(f64::from(settings.sparse_ratio)),
        Value::Number(f64::from(settings.sparse_safe)),
    ])
}

fn one_argument<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a Value, String> {
    match arguments.get(0) {
        Some(value) if arguments.len() == 1 => Ok(value),
        _ => Err(bad_argument(0, name, "expected 1 argument")),
    }
}

/// A codec while its functions are added.
struct Codec<'l> {
    native: Natives<'l>,
    settings: Rc<RefCell<Settings>>,
}

impl Codec<'_> {
    /// Adds a function that changes settings and tells them.
    fn setting(
        &self,
        name: &'static str,
        arguments_max: usize,
        change: impl Fn(&Lua, &Arguments, &mut Settings) -> Result<Vec<Value>, String> + 'static,
    ) -> mlua::Result<()> {
        let settings = Rc::clone(&self.settings);
        self.native.add_checked(name, move |lua, arguments| {
            if arguments.len() > arguments_max {
                return Err(bad_argument(arguments_max, name, "found too many arguments"));
            }
            change(lua, &arguments, &mut settings.borrow_mut()).map(MultiValue::from_vec)
        })?;
        Ok(())
    }

    fn integer(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<i32>,
        place: fn(&mut Settings) -> &mut u32,
    ) -> mlua::Result<()> {
        self.setting(name, 1, move |lua, arguments, settings| {
            let place = place(settings);
            if arguments.is_given(0) {
                *place = bounded(lua, arguments, 0, name, range.clone())?;
            }
            Ok(vec![Value::Number(f64::from(*place))])
        })
    }

    fn switch(&self, name: &'static str, place: fn(&mut Settings) -> &mut bool) -> mlua::Result<()> {
        self.setting(name, 1, move |lua, arguments, settings| {
            if arguments.is_given(0) {
                *place(settings) = truth(lua, arguments, 0, name)?;
            }
            Ok(vec![Value::Boolean(*place(settings))])
        })
    }
}

fn bounded(
    lua: &Lua,
    arguments: &Arguments,
    index: usize,
    name: &str,
    range: std::ops::RangeInclusive<i32>,
) -> Result<u32, String> {
    let number = arguments.integer(lua, index, name)?;
    i32::try_from(number).ok().filter(|number| range.contains(number)).map(i32::unsigned_abs).ok_or_else(|| {
        let expected = format!("expected integer between {} and {}", range.start(), range.end());
        // It is the first argument that cjson names, whichever it is.
        bad_argument(0, name, &expected)
    })
}

fn truth(lua: &Lua, arguments: &Arguments, index: usize, name: &str) -> Result<bool, String> {
    match arguments.get(index) {
        Some(Value::Boolean(value)) => Ok(*value),
        _ => Ok(option(lua, arguments, index, name, &["off", "on"])? == 1),
    }
}

/// Which of the words an argument is.
fn option(lua: &Lua, arguments: &Arguments, index: usize, name: &str, words: &[&str]) -> Result<usize, String> {
    let word = arguments.string(lua, index, name)?;
    let word = word.as_bytes();
    words
        .iter()
        .position(|known| known.as_bytes() == &*word)
        .ok_or_else(|| bad_argument(index, name, &format!("invalid option '{}'", String::from_utf8_lossy(&word))))
}
