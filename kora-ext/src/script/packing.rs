//! The `struct` library.
//!
//! Owns: its formats, alignment and byte order. Refuses to know: anything else. Start at [`pack`] and [`unpack`].

use mlua::{Lua, MultiValue, Value};

use super::arguments::{Arguments, bad_argument};
use super::budget::{Budget, Fault, HeapLimit};
use super::limits::ENCODED_BYTES_MAX;
use super::natives::Natives;

/// Bytes of the largest integer.
const INTEGER_BYTES_MAX: usize = 32;
const ALIGNMENT_DEFAULT: usize = 8;
/// Results of one call; Lua's stack for native functions holds 8,000 values.
const RESULTS_MAX: usize = 7_000;

/// Adds the native functions.
pub(super) fn add(native: &Natives<'_>) -> mlua::Result<()> {
    native.add_checked("struct_pack", |lua, arguments| {
        let packed = pack(lua, &arguments)?;
        lua.create_string(packed).map_err(|error| Fault::Lua(error).text())
    })?;
    let heap = native.heap();
    native.add_checked("struct_unpack", move |lua, arguments| unpack(lua, &heap, &arguments))?;
    native.add_checked("struct_size", size)?;
    Ok(())
}

/// A format while it is read.
struct Format<'f> {
    rest: &'f [u8],
    function: &'static str,
    big_endian: bool,
    alignment: usize,
}

/// One option and the bytes that it takes; `0` where the value says how many.
struct Item {
    option: u8,
    bytes: usize,
}

impl<'f> Format<'f> {
    fn new(text: &'f [u8], function: &'static str) -> Self {
        // A C string ends at its first zero.
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        Self { rest: &text[..end], function, big_endian: false, alignment: 1 }
    }

    fn next(&mut self) -> Result<Option<Item>, String> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let bytes = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.count(1)?,
            b'i' | b'I' => {
                let bytes = self.count(4)?;
                if bytes > INTEGER_BYTES_MAX {
                    return Err(format!("integral size {bytes} is larger than limit of {INTEGER_BYTES_MAX}"));
                }
                bytes
            }
            _ => 0,
        };
        Ok(Some(Item { option, bytes }))
    }

    fn count(&mut self, default: usize) -> Result<usize, String> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let mut count = 0i32;
        for digit in &self.rest[..digits] {
            count = count
                .checked_mul(10)
                .and_then(|count| count.checked_add(i32::from(digit - b'0')))
                .ok_or("integral size overflow")?;
        }
        self.rest = &self.rest[digits..];
        Ok(count as usize)
    }

    fn padding(&self, at: usize, item: &Item) -> usize {
        if item.bytes == 0 || item.option == b'c' {
            return 0;
        }
        let unit = item.bytes.min(self.alignment);
        unit.wrapping_sub(at & unit.wrapping_sub(1)) & unit.wrapping_sub(1)
    }

    /// Options that stand for no value.
    fn control(&mut self, option: u8) -> Result<(), String> {
        match option {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.count(ALIGNMENT_DEFAULT)?;
                if !alignment.is_power_of_two() {
                    return Err(format!("alignment {alignment} is not a power of 2"));
                }
                self.alignment = alignment;
            }
            _ => {
                let shown = format!("invalid format option '{}'", char::from(option));
                return Err(bad_argument(0, self.function, &shown));
            }
        }
        Ok(())
    }

    fn ordered(&self, mut little: Vec<u8>) -> Vec<u8> {
        if self.big_endian {
            little.reverse();
        }
        little
    }
}

fn pack(lua: &Lua, arguments: &Arguments) -> Result<Vec<u8>, String> {
    let text = arguments.string(lua, 0, "pack")?;
    let text = text.as_bytes();
    let mut format = Format::new(&text, "pack");
    let mut packed = Vec::new();
    let mut argument = 1;
    // Arguments that are not there are nil to this library.
    let nil = |problem: String| problem.replace("got no value", "got nil");
    while let Some(item) = format.next()? {
        packed.resize(packed.len() + format.padding(packed.len(), &item), 0);
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = arguments.number(lua, argument, "pack").map_err(nil)?;
                // A negative number goes through the signed type, as a C cast does.
                let value = if number < 0.0 { number as i64 as u64 } else { number as u64 };
                let mut bytes = value.to_le_bytes().to_vec();
                bytes.resize(item.bytes, 0);
                packed.extend(format.ordered(bytes));
                argument += 1;
            }
            b'f' => {
                let number = arguments.number(lua, argument, "pack").map_err(nil)? as f32;
                packed.extend(format.ordered(number.to_le_bytes().to_vec()));
                argument += 1;
            }
            b'd' => {
                let number = arguments.number(lua, argument, "pack").map_err(nil)?;
                packed.extend(format.ordered(number.to_le_bytes().to_vec()));
                argument += 1;
            }
            b'x' => packed.push(0),
            b'c' | b's' => {
                let text = arguments.string(lua, argument, "pack").map_err(nil)?;
                let text = text.as_bytes();
                argument += 1;
                let bytes = if item.bytes == 0 { text.len() } else { item.bytes };
                // The argument that Redis names is the one behind.
                let part = text.get(..bytes).ok_or_else(|| bad_argument(argument, "pack", "string too short"))?;
                packed.extend_from_slice(part);
                if item.option == b's' {
                    packed.push(0);
                }
            }
            other => format.control(other)?,
        }
        if packed.len() > ENCODED_BYTES_MAX {
            return Err(super::budget::OUT_OF_MEMORY.to_owned());
        }
    }
    Ok(packed)
}

fn unpack(lua: &Lua, heap: &HeapLimit, arguments: &Arguments) -> Result<MultiValue, String> {
    const SHORT: &str = "data string too short";
    let text = arguments.string(lua, 0, "unpack")?;
    let text = text.as_bytes();
    let data = arguments.string(lua, 1, "unpack")?;
    let data = data.as_bytes();
    let start = if arguments.is_given(2) { arguments.integer(lua, 2, "unpack")? } else { 1 };
    if start == 0 {
        return Err(bad_argument(2, "unpack", "offset must be 1 or greater"));
    }
    let mut at = usize::try_from(start - 1).map_err(|_| bad_argument(1, "unpack", SHORT))?;
    let mut budget = Budget::new(lua, heap);
    let mut format = Format::new(&text, "unpack");
    let mut values: Vec<Value> = Vec::new();
    while let Some(mut item) = format.next()? {
        at = at.saturating_add(format.padding(at, &item));
        let rest = data.get(at..).filter(|rest| rest.len() >= item.bytes);
        let rest = rest.ok_or_else(|| bad_argument(1, "unpack", SHORT))?;
        if values.len() >= RESULTS_MAX {
            return Err("stack overflow (too many results)".to_owned());
        }
        match item.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let signed = item.option.is_ascii_lowercase();
                values.push(Value::Number(integer(&format.ordered(rest[..item.bytes].to_vec()), signed)));
            }
            b'f' => {
                let bytes = format.ordered(rest[..4].to_vec());
                values.push(Value::Number(f64::from(f32::from_le_bytes(fixed(&bytes)))));
            }
            b'd' => values.push(Value::Number(f64::from_le_bytes(fixed(&format.ordered(rest[..8].to_vec()))))),
            b'x' => {}
            b'c' => {
                if item.bytes == 0 {
                    item.bytes = match values.pop() {
                        Some(Value::Number(bytes)) => bytes as usize,
                        Some(text @ Value::String(_)) => match lua.coerce_number(text) {
                            Ok(Some(bytes)) => bytes as usize,
                            _ => return Err("format 'c0' needs a previous size".to_owned()),
                        },
                        _ => return Err("format 'c0' needs a previous size".to_owned()),
                    };
                }
                let part = rest.get(..item.bytes).ok_or_else(|| bad_argument(1, "unpack", SHORT))?;
                values.push(Value::String(budget.string(part).map_err(|fault| fault.text())?));
            }
            b's' => {
                let end = rest.iter().position(|byte| *byte == 0).ok_or("unfinished string in data")?;
                values.push(Value::String(budget.string(&rest[..end]).map_err(|fault| fault.text())?));
                item.bytes = end + 1;
            }
            other => format.control(other)?,
        }
        at += item.bytes;
    }
    values.push(Value::Number(at as f64 + 1.0));
    Ok(MultiValue::from_vec(values))
}

/// An integer of any size from its bytes, the lowest first; what lies beyond 64 bits is lost, as in C.
fn integer(little: &[u8], signed: bool) -> f64 {
    let mut value = 0u64;
    for byte in little.iter().rev() {
        value = (value << 8) | u64::from(*byte);
    }
    if !signed {
        return value as f64;
    }
    let mask = u64::MAX.wrapping_shl((little.len() as u32 * 8).wrapping_sub(1));
    if value & mask != 0 {
        value |= mask;
    }
    value as i64 as f64
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

fn size(lua: &Lua, arguments: Arguments) -> Result<f64, String> {
    let text = arguments.string(lua, 0, "size")?;
    let text = text.as_bytes();
    let mut format = Format::new(&text, "size");
    let mut total = 0usize;
    while let Some(item) = format.next()? {
        total = total.saturating_add(format.padding(total, &item));
        if item.option == b's' {
            return Err(bad_argument(0, "size", "option 's' has no fixed size"));
        }
        if item.option == b'c' && item.bytes == 0 {
            return Err(bad_argument(0, "size", "option 'c0' has no fixed size"));
        }
        if !item.option.is_ascii_alphanumeric() {
            format.control(item.option)?;
        }
        total = total.saturating_add(item.bytes);
    }
    Ok(total as f64)
}
