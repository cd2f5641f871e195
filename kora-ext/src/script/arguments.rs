//! Arguments of native functions, judged as Lua's auxiliary library judges them.
//!
//! Owns: the texts of `bad argument …` errors and the coercions between strings and numbers. Refuses to know: what a function does with them.
//! Start at [`Arguments`].

use mlua::{FromLuaMulti, Lua, LuaString, MultiValue, Value};

/// The arguments of one call of a native function.
pub(super) struct Arguments {
    values: MultiValue,
}

impl FromLuaMulti for Arguments {
    fn from_lua_multi(values: MultiValue, _: &Lua) -> mlua::Result<Self> {
        Ok(Self { values })
    }
}

impl Arguments {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// All of them.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    /// One of them, from 0; `None` when it is not there.
    pub(super) fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index)
    }

    /// True when one is there and not nil.
    pub(super) fn is_given(&self, index: usize) -> bool {
        !matches!(self.get(index), None | Some(Value::Nil))
    }

    /// A number, or a string that is one.
    pub(super) fn number(&self, lua: &Lua, index: usize, function: &str) -> Result<f64, String> {
        let value = self.get(index);
        let number = match value {
            Some(Value::Integer(number)) => Some(*number as f64),
            Some(Value::Number(number)) => Some(*number),
            Some(value @ Value::String(_)) => lua.coerce_number(value.clone()).ok().flatten(),
            _ => None,
        };
        number.ok_or_else(|| bad_type(index, function, "number", value))
    }

    /// A number cut to an integer; out of range it saturates.
    pub(super) fn integer(&self, lua: &Lua, index: usize, function: &str) -> Result<i64, String> {
        Ok(self.number(lua, index, function)? as i64)
    }

    /// A string, or the text of a number.
    pub(super) fn string(&self, lua: &Lua, index: usize, function: &str) -> Result<LuaString, String> {
        let value = self.get(index);
        match value {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(number @ (Value::Integer(_) | Value::Number(_))) => lua
                .coerce_string(number.clone())
                .ok()
                .flatten()
                .ok_or_else(|| bad_type(index, function, "string", value)),
            _ => Err(bad_type(index, function, "string", value)),
        }
    }
}

/// The text of an error about one argument.
pub(super) fn bad_argument(index: usize, function: &str, what: &str) -> String {
    format!("bad argument #{} to '{function}' ({what})", index + 1)
}

fn bad_type(index: usize, function: &str, expected: &str, got: Option<&Value>) -> String {
    bad_argument(index, function, &format!("{expected} expected, got {}", got.map_or("no value", type_name)))
}

/// The name of a value's type, as `type` says it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}
