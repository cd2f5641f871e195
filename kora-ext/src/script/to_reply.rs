//! From what a script returns to a reply.
//!
//! Owns: Redis's conversion of Lua values, for clients of either protocol. Refuses to know: which script returned it. Start at [`write_reply`].
//!
//! The walk keeps its own stack: a script can nest tables deeper than a thread's stack would bear.

use kora_runtime::reply::{Deferred, Protocol, ReplyBuf};
use kora_runtime::resp::number::write_f64;
use mlua::{Function, LuaString, Table, Value};

use super::limits::REPLY_DEPTH_MAX;

/// Where the walk stands in one table.
enum Level {
    Array {
        table: Table,
        position: usize,
        header: Deferred,
    },
    /// `value` is the half of a pair that is still to be written.
    Map {
        table: Table,
        key: Value,
        value: Option<Value>,
    },
    Set {
        table: Table,
        key: Value,
    },
}

/// Writes what a script returned. `next` is Lua's own function of that name: references to values are scarce, so a table is walked with it
/// rather than copied. `resp3` is what the script chose for replies to its own calls.
///
/// # Errors
/// Those of the interpreter; what was written so far is to be dropped.
pub(super) fn write_reply(value: Value, next: &Function, resp3: bool, reply: &mut ReplyBuf) -> mlua::Result<()> {
    let mut levels: Vec<Level> = Vec::new();
    let mut pending = Some(value);
    loop {
        if let Some(value) = pending.take() {
            if let Value::Table(table) = value {
                if levels.len() >= REPLY_DEPTH_MAX {
                    error_line(reply, b"ERR reached lua stack limit");
                } else if let Some(level) = open(table, reply)? {
                    levels.push(level);
                }
            } else {
                write_scalar(&value, resp3, reply);
            }
        }
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match level {
            Level::Array { table, position, .. } => match table.raw_get::<Value>(*position)? {
                Value::Nil => {}
                element => {
                    *position += 1;
                    pending = Some(element);
                }
            },
            Level::Map { table, key, value } => {
                pending = value.take();
                if pending.is_none() {
                    let (found, paired) = next.call::<(Value, Value)>((&*table, &*key))?;
                    if !found.is_nil() {
                        *value = Some(paired);
                        *key = found.clone();
                        pending = Some(found);
                    }
                }
            }
            Level::Set { table, key } => {
                let found = next.call::<Value>((&*table, &*key))?;
                if !found.is_nil() {
                    *key = found.clone();
                    pending = Some(found);
                }
            }
        }
        if pending.is_none()
            && let Some(Level::Array { position, header, .. }) = levels.pop()
        {
            reply.close(header, position - 1);
        }
    }
}

/// Writes a table that is a whole reply of its own, or opens one whose elements follow.
fn open(table: Table, reply: &mut ReplyBuf) -> mlua::Result<Option<Level>> {
    if let Value::String(text) = table.raw_get("err")? {
        error_line(reply, &text.as_bytes());
    } else if let Value::String(text) = table.raw_get("ok")? {
        line(reply, b'+', &text.as_bytes());
    } else if let Some(number) = as_number(&table.raw_get("double")?) {
        write_double(reply, number);
    } else if let Value::Table(map) = table.raw_get("map")? {
        reply.map(count(&map));
        return Ok(Some(Level::Map { table: map, key: Value::Nil, value: None }));
    } else if let Value::Table(set) = table.raw_get("set")? {
        reply.set(count(&set));
        return Ok(Some(Level::Set { table: set, key: Value::Nil }));
    } else if let Value::String(digits) = table.raw_get("big_number")? {
        write_big_number(reply, &digits.as_bytes());
    } else if let Some((format, content)) = verbatim(&table)? {
        write_verbatim(reply, &format.as_bytes(), &content.as_bytes());
    } else {
        return Ok(Some(Level::Array { table, position: 1, header: reply.deferred_array() }));
    }
    Ok(None)
}

fn count(table: &Table) -> usize {
    table.pairs::<Value, Value>().count()
}

fn verbatim(table: &Table) -> mlua::Result<Option<(LuaString, LuaString)>> {
    let Value::Table(inner) = table.raw_get("verbatim_string")? else { return Ok(None) };
    let Value::String(content) = inner.raw_get("string")? else { return Ok(None) };
    let Value::String(format) = inner.raw_get("format")? else { return Ok(None) };
    Ok(Some((format, content)))
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

fn write_scalar(value: &Value, resp3: bool, reply: &mut ReplyBuf) {
    match value {
        Value::String(text) => reply.bulk(&text.as_bytes()),
        Value::Integer(number) => reply.integer(*number),
        Value::Number(number) => reply.integer(truncate(*number)),
        // A script that has not asked for RESP3 has no booleans: true is 1 and false is null, whatever its client speaks.
        Value::Boolean(value) if resp3 => reply.boolean(*value),
        Value::Boolean(true) => reply.integer(1),
        _ => reply.null(),
    }
}

/// As the processors that Redis runs on cut a double to an integer: what does not fit becomes the smallest.
fn truncate(number: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) { number as i64 } else { i64::MIN }
}

/// A line whose CR and LF become spaces.
fn line(reply: &mut ReplyBuf, kind: u8, text: &[u8]) {
    let bytes = reply.bytes_mut();
    bytes.push(kind);
    bytes.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    bytes.extend_from_slice(b"\r\n");
}

/// An error with its code word in front.
pub(super) fn error_line(reply: &mut ReplyBuf, text: &[u8]) {
    line(reply, b'-', text);
}

/// NaN keeps its sign, as C prints it.
fn write_double(reply: &mut ReplyBuf, number: f64) {
    if !number.is_nan() {
        return reply.double(number);
    }
    let text: &[u8] = if number.is_sign_negative() { b"-nan" } else { b"nan" };
    match reply.protocol() {
        Protocol::Resp2 => reply.bulk(text),
        Protocol::Resp3 => line(reply, b',', text),
    }
}

fn write_big_number(reply: &mut ReplyBuf, digits: &[u8]) {
    let clean: Vec<u8> = digits.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
    match reply.protocol() {
        Protocol::Resp2 => reply.bulk(&clean),
        Protocol::Resp3 => line(reply, b'(', &clean),
    }
}

fn write_verbatim(reply: &mut ReplyBuf, format: &[u8], content: &[u8]) {
    if reply.protocol() == Protocol::Resp2 {
        return reply.bulk(content);
    }
    // The format is always three letters; a shorter one is filled up.
    let mut letters = [b' '; 3];
    for (letter, given) in letters.iter_mut().zip(format) {
        *letter = *given;
    }
    let bytes = reply.bytes_mut();
    bytes.push(b'=');
    kora_runtime::resp::number::write_i64(bytes, content.len() as i64 + 4);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&letters);
    bytes.push(b':');
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(b"\r\n");
}

/// Appends a number as a command's argument: `%.17g`, and NaN with its sign.
pub(super) fn write_number_word(words: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        words.extend_from_slice(if number.is_sign_negative() { b"-nan" } else { b"nan" });
    } else {
        write_f64(words, number);
    }
}
