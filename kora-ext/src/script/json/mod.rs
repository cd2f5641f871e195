//! The `cjson` library.
//!
//! Owns: the settings of a codec and the functions that change them. Refuses to know: how text is written (`encode`) and read (`decode`).
//! Start at [`Settings`].

mod decode;
mod encode;

use mlua::{AnyUserData, Lua, MultiValue, Value};

use super::arguments::{Arguments, bad_argument};
use super::natives::Natives;

/// Levels that either direction goes down whatever its setting says: a thread's stack has an end.
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

/// Adds the native functions. Each takes the codec's settings before the script's arguments.
pub(super) fn add(native: &Natives<'_>) -> mlua::Result<()> {
    native.add("json_settings", |lua, ()| lua.create_any_userdata(Settings::default()))?;
    native.add("json_encode", |lua, mut arguments: Arguments| {
        let settings = settings_of(&mut arguments)?;
        let settings = settings.borrow::<Settings>()?;
        let outcome = one_argument(&arguments, "encode").and_then(|value| encode::encode(value, &settings));
        Ok(match outcome {
            Ok(text) => (Value::String(lua.create_string(text)?), None),
            Err(problem) => (Value::Nil, Some(problem)),
        })
    })?;
    let heap = native.heap();
    native.add("json_decode", move |lua, mut arguments: Arguments| {
        let settings = settings_of(&mut arguments)?;
        let settings = settings.borrow::<Settings>()?;
        let outcome = one_argument(&arguments, "decode")
            .and_then(|_| arguments.string(lua, 0, "decode"))
            .and_then(|text| decode::decode(&text.as_bytes(), &settings, super::budget::Budget::new(lua, &heap)));
        Ok(match outcome {
            Ok(value) => (value, None),
            Err(problem) => (Value::Nil, Some(problem)),
        })
    })?;
    integer(native, "encode_max_depth", 1..=i32::MAX, |settings| &mut settings.encode_depth_max)?;
    integer(native, "decode_max_depth", 1..=i32::MAX, |settings| &mut settings.decode_depth_max)?;
    integer(native, "encode_number_precision", 1..=14, |settings| &mut settings.precision)?;
    switch(native, "encode_keep_buffer", |settings| &mut settings.keep_buffer)?;
    switch(native, "decode_invalid_numbers", |settings| &mut settings.decode_invalid_numbers)?;
    setting(native, "encode_invalid_numbers", 1, |lua, arguments, settings| {
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
            InvalidNumbers::Null => vec![Value::String(lua.create_string("null").map_err(|error| error.to_string())?)],
        })
    })?;
    setting(native, "encode_sparse_array", 3, |lua, arguments, settings| {
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
            Value::Nil,
            Value::Number(f64::from(settings.sparse_ratio)),
            Value::Number(f64::from(settings.sparse_safe)),
        ])
    })
}

fn settings_of(arguments: &mut Arguments) -> mlua::Result<AnyUserData> {
    match arguments.shift() {
        Some(Value::UserData(settings)) => Ok(settings),
        _ => Err(mlua::Error::RuntimeError("a codec's functions are called by the prelude alone".to_owned())),
    }
}

fn one_argument<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a Value, String> {
    match arguments.get(0) {
        Some(value) if arguments.len() == 1 => Ok(value),
        _ => Err(bad_argument(0, name, "expected 1 argument")),
    }
}

/// Adds a function that changes settings: a value, nil, and further values; or nil and what is wrong.
fn setting(
    native: &Natives<'_>,
    name: &'static str,
    arguments_max: usize,
    change: impl Fn(&Lua, &Arguments, &mut Settings) -> Result<Vec<Value>, String> + 'static,
) -> mlua::Result<()> {
    native.add(&format!("json_{name}"), move |lua, mut arguments: Arguments| {
        let settings = settings_of(&mut arguments)?;
        let mut settings = settings.borrow_mut::<Settings>()?;
        let outcome = if arguments.len() > arguments_max {
            Err(bad_argument(arguments_max, name, "found too many arguments"))
        } else {
            change(lua, &arguments, &mut settings)
        };
        Ok(match outcome {
            Ok(values) => MultiValue::from_vec(values),
            Err(problem) => MultiValue::from_vec(vec![Value::Nil, Value::String(lua.create_string(problem)?)]),
        })
    })?;
    Ok(())
}

fn integer(
    native: &Natives<'_>,
    name: &'static str,
    range: std::ops::RangeInclusive<i32>,
    place: fn(&mut Settings) -> &mut u32,
) -> mlua::Result<()> {
    setting(native, name, 1, move |lua, arguments, settings| {
        let place = place(settings);
        if arguments.is_given(0) {
            *place = bounded(lua, arguments, 0, name, range.clone())?;
        }
        Ok(vec![Value::Number(f64::from(*place))])
    })
}

fn switch(native: &Natives<'_>, name: &'static str, place: fn(&mut Settings) -> &mut bool) -> mlua::Result<()> {
    setting(native, name, 1, move |lua, arguments, settings| {
        if arguments.is_given(0) {
            *place(settings) = truth(lua, arguments, 0, name)?;
        }
        Ok(vec![Value::Boolean(*place(settings))])
    })
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
        bad_argument(index, name, &expected)
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
    words.iter().position(|known| known.as_bytes() == &*word).ok_or_else(|| {
        bad_argument(index, name, &format!("invalid option '{}'", String::from_utf8_lossy(&word)))
    })
}
