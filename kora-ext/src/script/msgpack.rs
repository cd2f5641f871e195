//! The `cmsgpack` library.
//!
//! Owns: MessagePack as Redis's Lua library writes and reads it, with its quirks: numbers without fraction are integers, tables nested too
//! deep are nil. Refuses to know: anything else. Start at [`pack`] and [`unpack`].

use mlua::{Lua, MultiValue, Table, Value};

use super::arguments::Arguments;
use super::budget::{Budget, Fault, HeapLimit};
use super::limits::{ENCODED_BYTES_MAX, MSGPACK_PACK_DEPTH_MAX, MSGPACK_UNPACK_DEPTH_MAX};
use super::natives::Natives;

/// Results of one call; Lua's stack for native functions holds 8,000 values.
const RESULTS_MAX: usize = 7_000;

/// Adds the native functions.
pub(super) fn add(native: &Natives<'_>) -> mlua::Result<()> {
    native.add_checked("msgpack", |lua, arguments| {
        let packed = pack(&arguments)?;
        lua.create_string(packed).map_err(|error| Fault::Lua(error).text())
    })?;
    add_unpack(native, "msgunpack", "unpack", |_, _| Ok((0, 0)))?;
    add_unpack(native, "msgunpack_one", "unpack_one", |lua, arguments| {
        Ok((1, optional_integer(lua, arguments, 1, "unpack_one")?))
    })?;
    add_unpack(native, "msgunpack_limit", "unpack_limit", |lua, arguments| {
        let limit = arguments.integer(lua, 1, "unpack_limit")?;
        Ok((limit, optional_integer(lua, arguments, 2, "unpack_limit")?))
    })
}

fn optional_integer(lua: &Lua, arguments: &Arguments, index: usize, name: &str) -> Result<i64, String> {
    if arguments.is_given(index) { arguments.integer(lua, index, name) } else { Ok(0) }
}

/// Adds a function that unpacks; `range` gives how many values from which offset, both 0 for all.
fn add_unpack(
    native: &Natives<'_>,
    native_name: &str,
    name: &'static str,
    range: fn(&Lua, &Arguments) -> Result<(i64, i64), String>,
) -> mlua::Result<()> {
    let heap = native.heap();
    native.add_checked(native_name, move |lua, arguments| {
        let (limit, offset) = range(lua, &arguments)?;
        let data = arguments.string(lua, 0, name)?;
        unpack(lua, &heap, &data.as_bytes(), limit, offset)
    })?;
    Ok(())
}

fn pack(arguments: &Arguments) -> Result<Vec<u8>, String> {
    if arguments.len() == 0 {
        // Redis counts arguments from one and means none.
        return Err("bad argument #0 to 'pack' (MessagePack pack needs input.)".to_owned());
    }
    let mut out = Vec::new();
    for value in arguments.values() {
        pack_value(value, 0, &mut out).map_err(|fault| fault.text())?;
    }
    Ok(out)
}

fn pack_value(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    if out.len() > ENCODED_BYTES_MAX {
        return Err(Fault::Memory);
    }
    match value {
        Value::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => pack_integer(*number, out),
        Value::Number(number) => pack_number(*number, out),
        Value::String(text) => {
            let text = text.as_bytes();
            match text.len() {
                len @ 0..32 => out.push(0xa0 | len as u8),
                len => pack_length(len, [Some(0xd9), Some(0xda), Some(0xdb)], out)?,
            }
            out.extend_from_slice(&text);
        }
        Value::Table(table) if depth < MSGPACK_PACK_DEPTH_MAX => {
            if is_array(table)? {
                let len = table.raw_len();
                match len {
                    0..16 => out.push(0x90 | len as u8),
                    _ => pack_length(len, [None, Some(0xdc), Some(0xdd)], out)?,
                }
                for index in 1..=len {
                    pack_value(&table.raw_get(index)?, depth + 1, out)?;
                }
            } else {
                let len = table.pairs::<Value, Value>().count();
                match len {
                    0..16 => out.push(0x80 | len as u8),
                    _ => pack_length(len, [None, Some(0xde), Some(0xdf)], out)?,
                }
                for pair in table.pairs::<Value, Value>() {
                    let (key, value) = pair?;
                    pack_value(&key, depth + 1, out)?;
                    pack_value(&value, depth + 1, out)?;
                }
            }
        }
        _ => out.push(0xc0),
    }
    Ok(())
}

/// A length of one, two or four bytes behind the mark of that size.
fn pack_length(len: usize, marks: [Option<u8>; 3], out: &mut Vec<u8>) -> Result<(), Fault> {
    match (marks, len) {
        ([Some(mark), ..], 0..=0xff) => out.extend_from_slice(&[mark, len as u8]),
        ([_, Some(mark), _], 0..=0xffff) => {
            out.push(mark);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        ([.., Some(mark)], _) => {
            out.push(mark);
            out.extend_from_slice(&u32::try_from(len).map_err(|_| Fault::Memory)?.to_be_bytes());
        }
        _ => return Err(Fault::Malformed),
    }
    Ok(())
}

fn pack_number(number: f64, out: &mut Vec<u8>) {
    let whole = number as i64;
    // The cast saturates at 2⁶³, which no i64 is.
    if whole as f64 == number && whole != i64::MAX {
        pack_integer(whole, out);
    } else if f64::from(number as f32) == number {
        out.push(0xca);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn pack_integer(number: i64, out: &mut Vec<u8>) {
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
        -32..0 => out.push(number as u8),
        -0x80..-32 => out.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..-0x80 => {
            out.push(0xd1);
            out.extend_from_slice(&(number as i16).to_be_bytes());
        }
        -0x8000_0000..-0x8000 => {
            out.push(0xd2);
            out.extend_from_slice(&(number as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// True when the keys are exactly 1 to n, so also for an empty table.
fn is_array(table: &Table) -> Result<bool, Fault> {
    let (mut count, mut greatest) = (0.0, 0.0f64);
    for pair in table.pairs::<Value, Value>() {
        let number = match pair?.0 {
            Value::Integer(number) => number as f64,
            Value::Number(number) => number,
            _ => return Ok(false),
        };
        if number <= 0.0 || number.trunc() != number || number > f64::from(i32::MAX) {
            return Ok(false);
        }
        count += 1.0;
        greatest = greatest.max(number);
    }
    Ok(greatest == count)
}

const MISSING: &str = "Missing bytes in input.";
const MALFORMED: &str = "Bad data format in input.";

fn unpack(lua: &Lua, heap: &HeapLimit, data: &[u8], limit: i64, offset: i64) -> Result<MultiValue, String> {
    let len = data.len();
    if offset < 0 || limit < 0 {
        return Err(format!("Invalid request to unpack with offset of {offset} and limit of {len}."));
    }
    let Some(start) = usize::try_from(offset).ok().filter(|start| *start <= len) else {
        return Err(format!("Start offset {offset} greater than input length {len}."));
    };
    let all = limit == 0 && offset == 0;
    let mut reader = Reader { rest: &data[start..], budget: Budget::new(lua, heap) };
    let mut values = Vec::new();
    while !reader.rest.is_empty() && (all || (values.len() as i64) < limit) {
        if values.len() >= RESULTS_MAX {
            return Err("too many return values at once; use unpack_one or unpack_limit instead.".to_owned());
        }
        values.push(reader.value().map_err(|problem| match problem {
            Problem::Missing => MISSING.to_owned(),
            Problem::Malformed => MALFORMED.to_owned(),
            Problem::Fault(fault) => fault.text(),
        })?);
    }
    if !all {
        let next = if reader.rest.is_empty() { -1.0 } else { (len - reader.rest.len()) as f64 };
        values.insert(0, Value::Number(next));
    }
    Ok(MultiValue::from_vec(values))
}

enum Problem {
    Missing,
    Malformed,
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for Problem {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

/// How a value begins.
enum Start {
    Whole(Value),
    Array(usize),
    Map(usize),
}

/// What a value stands in.
enum Open {
    Array { table: Table, len: usize, index: usize },
    Map { table: Table, pairs: usize, key: Option<Value> },
}

struct Reader<'d, 'l> {
    rest: &'d [u8],
    budget: Budget<'l>,
}

impl<'d> Reader<'d, '_> {
    fn take(&mut self, len: usize) -> Result<&'d [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Problem::Missing)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// An unsigned number of so many bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, Problem> {
        Ok(self.take(bytes)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    /// One value. Nested ones stand on a stack of their own, because input can nest deeper than a thread's would bear.
    fn value(&mut self) -> Result<Value, Problem> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.start()? {
                Start::Whole(value) => value,
                Start::Array(len) => {
                    // Room is made for what can be there: every element takes a byte.
                    let table = self.budget.table(len.min(self.rest.len()), 0)?;
                    if len > 0 {
                        open.push(Open::Array { table, len, index: 1 });
                        if open.len() > MSGPACK_UNPACK_DEPTH_MAX {
                            return Err(Problem::Fault(Fault::Depth));
                        }
                        continue;
                    }
                    Value::Table(table)
                }
                Start::Map(pairs) => {
                    let table = self.budget.table(0, pairs.min(self.rest.len()))?;
                    if pairs > 0 {
                        open.push(Open::Map { table, pairs, key: None });
                        if open.len() > MSGPACK_UNPACK_DEPTH_MAX {
                            return Err(Problem::Fault(Fault::Depth));
                        }
                        continue;
                    }
                    Value::Table(table)
                }
            };
            // A whole value belongs to what stands around it, which it may be the end of.
            loop {
                let ended = match open.last_mut() {
                    None => return Ok(value),
                    Some(Open::Array { table, len, index }) => {
                        table.raw_set(*index, value)?;
                        *index += 1;
                        *index > *len
                    }
                    Some(Open::Map { table, pairs, key }) => match key.take() {
                        None => {
                            *key = Some(value);
                            false
                        }
                        Some(key) => {
                            match key {
                                // Neither can be a key; the pair is left out.
                                Value::Nil => {}
                                Value::Number(number) if number.is_nan() => {}
                                key => table.raw_set(key, value)?,
                            }
                            *pairs -= 1;
                            *pairs == 0
                        }
                    },
                };
                if !ended {
                    break;
                }
                value = match open.pop() {
                    Some(Open::Array { table, .. } | Open::Map { table, .. }) => Value::Table(table),
                    None => return Err(Problem::Malformed),
                };
            }
        }
    }

    /// The head of a value, and all of it unless it holds others.
    fn start(&mut self) -> Result<Start, Problem> {
        let [mark] = self.array()?;
        Ok(Start::Whole(match mark {
            0..=0x7f => Value::Number(f64::from(mark)),
            0xe0..=0xff => Value::Number(f64::from(mark as i8)),
            0xa0..=0xbf => self.text(usize::from(mark & 0x1f))?,
            0x90..=0x9f => return Ok(Start::Array(usize::from(mark & 0x0f))),
            0x80..=0x8f => return Ok(Start::Map(usize::from(mark & 0x0f))),
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xcc => Value::Number(f64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Value::Number(f64::from(u16::from_be_bytes(self.array()?))),
            0xce => Value::Number(f64::from(u32::from_be_bytes(self.array()?))),
            // Redis takes the upper half for negative numbers.
            0xcf => Value::Number(i64::from_be_bytes(self.array()?) as f64),
            0xd0 => Value::Number(f64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Value::Number(f64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Value::Number(f64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Value::Number(i64::from_be_bytes(self.array()?) as f64),
            0xca => Value::Number(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Value::Number(f64::from_be_bytes(self.array()?)),
            0xd9 => {
                let len = self.length(1)?;
                self.text(len)?
            }
            0xda => {
                let len = self.length(2)?;
                self.text(len)?
            }
            0xdb => {
                let len = self.length(4)?;
                self.text(len)?
            }
            0xdc => return Ok(Start::Array(self.length(2)?)),
            0xdd => return Ok(Start::Array(self.length(4)?)),
            0xde => return Ok(Start::Map(self.length(2)?)),
            0xdf => return Ok(Start::Map(self.length(4)?)),
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => return Err(Problem::Malformed),
        }))
    }

    fn text(&mut self, len: usize) -> Result<Value, Problem> {
        let bytes = self.take(len)?;
        Ok(Value::String(self.budget.string(bytes)?))
    }
}
