//! From an encoded reply to Lua values.
//!
//! Owns: Redis's conversion of replies, in RESP2 and RESP3. Refuses to know: which command replied. Start at [`to_lua`].

use kora_runtime::resp::number::{parse_f64, parse_i64};
use mlua::{IntoLua, Table, Value};

use super::budget::{Budget, Fault, STRING_BYTES};
use super::limits::CALL_REPLY_DEPTH_MAX;

/// The code word and text of a reply that is an error.
pub(super) fn error_text(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader { rest: bytes };
    match reader.line().ok()? {
        (b'-', text) => Some(text),
        (b'!', text) => reader.blob(length(text).ok()?).ok(),
        _ => None,
    }
}

/// Converts the one reply in `bytes`.
pub(super) fn to_lua(bytes: &[u8], budget: &mut Budget<'_>) -> Result<Value, Fault> {
    Reader { rest: bytes }.value(budget, 0)
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn line(&mut self) -> Result<(u8, &'b [u8]), Fault> {
        let end = self.rest.iter().position(|byte| *byte == b'\r').ok_or(Fault::Malformed)?;
        let (&kind, text) = self.rest[..end].split_first().ok_or(Fault::Malformed)?;
        self.rest = self.rest.get(end + 2..).ok_or(Fault::Malformed)?;
        Ok((kind, text))
    }

    fn blob(&mut self, len: usize) -> Result<&'b [u8], Fault> {
        let blob = self.rest.get(..len).ok_or(Fault::Malformed)?;
        self.rest = self.rest.get(len + 2..).ok_or(Fault::Malformed)?;
        Ok(blob)
    }

    fn value(&mut self, budget: &mut Budget<'_>, depth: usize) -> Result<Value, Fault> {
        if depth > CALL_REPLY_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        let (kind, text) = self.line()?;
        match kind {
            b'$' => match parse_i64(text) {
                Some(-1) => Ok(Value::Boolean(false)),
                Some(len) => {
                    let blob = self.blob(usize::try_from(len).map_err(|_| Fault::Malformed)?)?;
                    Ok(Value::String(budget.string(blob)?))
                }
                None => Err(Fault::Malformed),
            },
            b':' => {
                // A Lua number is a double: integers beyond 2^53 lose digits, as in Redis.
                let number = parse_i64(text).ok_or(Fault::Malformed)?;
                Ok(Value::Number(number as f64))
            }
            b'+' => self.field(budget, "ok", text),
            b'-' => self.field(budget, "err", text),
            b'!' => {
                let blob = self.blob(length(text)?)?;
                self.field(budget, "err", blob)
            }
            b'*' | b'>' => match parse_i64(text) {
                Some(-1) => Ok(Value::Boolean(false)),
                _ => self.array(budget, length(text)?, depth),
            },
            b'%' => self.map(budget, length(text)?, depth),
            b'~' => self.set(budget, length(text)?, depth),
            b'_' => Ok(Value::Nil),
            b'#' => Ok(Value::Boolean(text == b"t")),
            b',' => {
                let number = parse_f64(text).unwrap_or(f64::NAN);
                wrap(budget, "double", Value::Number(number))
            }
            b'(' => self.field(budget, "big_number", text),
            b'=' => {
                let blob = self.blob(length(text)?)?;
                let (format, content) = blob.split_at_checked(4).ok_or(Fault::Malformed)?;
                let table = budget.table(0, 2)?;
                table.raw_set("string", budget.string(content)?)?;
                table.raw_set("format", budget.string(&format[..3])?)?;
                wrap(budget, "verbatim_string", Value::Table(table))
            }
            _ => Err(Fault::Malformed),
        }
    }

    fn field(&mut self, budget: &mut Budget<'_>, name: &str, text: &[u8]) -> Result<Value, Fault> {
        // The binding puts a `str` straight into the table.
        if let Ok(text) = std::str::from_utf8(text) {
            budget.take(text.len() + STRING_BYTES)?;
            return wrap(budget, name, text);
        }
        let text = Value::String(budget.string(text)?);
        wrap(budget, name, text)
    }

    fn array(&mut self, budget: &mut Budget<'_>, len: usize, depth: usize) -> Result<Value, Fault> {
        let len = self.check(len)?;
        budget.take(len.saturating_mul(16) + 64)?;
        let mut fault = None;
        let lua = budget.lua;
        let elements = (0..len).map_while(|_| match self.value(budget, depth + 1) {
            Ok(value) => Some(value),
            Err(problem) => {
                fault = Some(problem);
                None
            }
        });
        let table = lua.create_sequence_from(Sized { elements, len })?;
        match fault {
            None => Ok(Value::Table(table)),
            Some(fault) => Err(fault),
        }
    }

    fn map(&mut self, budget: &mut Budget<'_>, pairs: usize, depth: usize) -> Result<Value, Fault> {
        let table = budget.table(0, self.check(pairs)?)?;
        for _ in 0..pairs {
            let key = self.value(budget, depth + 1)?;
            let value = self.value(budget, depth + 1)?;
            set_field(&table, key, value)?;
        }
        wrap(budget, "map", Value::Table(table))
    }

    fn set(&mut self, budget: &mut Budget<'_>, len: usize, depth: usize) -> Result<Value, Fault> {
        let table = budget.table(0, self.check(len)?)?;
        for _ in 0..len {
            let member = self.value(budget, depth + 1)?;
            set_field(&table, member, Value::Boolean(true))?;
        }
        wrap(budget, "set", Value::Table(table))
    }

    /// Every element takes three bytes at least, so that an announced length cannot ask for more memory than was sent.
    fn check(&self, len: usize) -> Result<usize, Fault> {
        if len > self.rest.len() / 3 { Err(Fault::Malformed) } else { Ok(len) }
    }
}

/// An iterator that says how many elements it will have, so that the table is made with room for them.
struct Sized<I> {
    elements: I,
    len: usize,
}

impl<I: Iterator> Iterator for Sized<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.elements.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, None)
    }
}

fn length(text: &[u8]) -> Result<usize, Fault> {
    parse_i64(text).and_then(|len| usize::try_from(len).ok()).ok_or(Fault::Malformed)
}

/// Nil and NaN cannot be keys of a Lua table; such a field is left out.
fn set_field(table: &Table, key: Value, value: Value) -> Result<(), Fault> {
    match key {
        Value::Nil => Ok(()),
        Value::Number(number) if number.is_nan() => Ok(()),
        key => Ok(table.raw_set(key, value)?),
    }
}

fn wrap(budget: &mut Budget<'_>, name: &str, value: impl IntoLua) -> Result<Value, Fault> {
    let table = budget.table(0, 1)?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}
