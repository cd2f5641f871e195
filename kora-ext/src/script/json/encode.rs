//! From Lua values to JSON.
//!
//! Owns: what counts as an array, how numbers and strings are written, and the refusals. Refuses to know: the settings' meaning elsewhere.
//! Start at [`encode`].

use mlua::{Function, Table, Value};

use super::super::arguments::type_name;
use super::super::budget::OUT_OF_MEMORY;
use super::super::limits::ENCODED_BYTES_MAX;
use super::{DEPTH_MAX, InvalidNumbers, Settings, host};

/// Writes one value. `next` is Lua's own function of that name, with which tables are walked.
pub(super) fn encode(value: &Value, settings: &Settings, next: &Function) -> Result<Vec<u8>, String> {
    let mut encoder = Encoder { out: Vec::new(), settings };
    let mut open: Vec<Open> = Vec::new();
    encoder.begin(value.clone(), &mut open)?;
    // Tables stand on a stack of their own, because they can nest deeper than a thread's would bear.
    while let Some(level) = open.last_mut() {
        if encoder.out.len() > ENCODED_BYTES_MAX {
            return Err(OUT_OF_MEMORY.to_owned());
        }
        let element = match level {
            Open::Array { table, len, index } => {
                if *index == *len {
                    None
                } else {
                    if *index > 0 {
                        encoder.out.push(b',');
                    }
                    *index += 1;
                    Some(table.raw_get::<Value>(*index).map_err(host)?)
                }
            }
            Open::Object { table, key } => {
                let (found, value) = next.call::<(Value, Value)>((&*table, &*key)).map_err(host)?;
                if found.is_nil() {
                    None
                } else {
                    if !key.is_nil() {
                        encoder.out.push(b',');
                    }
                    encoder.name(&found)?;
                    *key = found;
                    Some(value)
                }
            }
        };
        match element {
            Some(element) => encoder.begin(element, &mut open)?,
            None => {
                let end = if matches!(level, Open::Array { .. }) { b']' } else { b'}' };
                encoder.out.push(end);
                open.pop();
            }
        }
    }
    Ok(encoder.out)
}

/// A table that is being written.
enum Open {
    Array { table: Table, len: usize, index: usize },
    Object { table: Table, key: Value },
}

struct Encoder<'s> {
    out: Vec<u8>,
    settings: &'s Settings,
}

impl Encoder<'_> {
    /// Writes a value that is no table, or opens one that is.
    fn begin(&mut self, value: Value, open: &mut Vec<Open>) -> Result<(), String> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Boolean(value) => self.out.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Integer(number) => self.number(number as f64)?,
            Value::Number(number) => self.number(number)?,
            Value::String(text) => self.string(&text.as_bytes()),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Table(table) => {
                let depth = open.len() + 1;
                if depth > self.settings.encode_depth_max.min(DEPTH_MAX) as usize {
                    return Err(format!("Cannot serialise, excessive nesting ({depth})"));
                }
                if let Some(len @ 1..) = self.array_len(&table)? {
                    self.out.push(b'[');
                    open.push(Open::Array { table, len, index: 0 });
                } else {
                    self.out.push(b'{');
                    open.push(Open::Object { table, key: Value::Nil });
                }
            }
            other => return Err(refusal(&other, "type not supported")),
        }
        Ok(())
    }

    /// Writes the name of a field and its colon.
    fn name(&mut self, key: &Value) -> Result<(), String> {
        match key {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => self.quoted(*number as f64)?,
            Value::Number(number) => self.quoted(*number)?,
            other => return Err(refusal(other, "table key must be a number or string")),
        }
        self.out.push(b':');
        Ok(())
    }

    fn quoted(&mut self, number: f64) -> Result<(), String> {
        self.out.push(b'"');
        self.number(number)?;
        self.out.push(b'"');
        Ok(())
    }

    /// The greatest index of a table whose keys are all positive integers; `None` for any other and for what is too sparse.
    fn array_len(&self, table: &Table) -> Result<Option<usize>, String> {
        let (mut greatest, mut count) = (0.0f64, 0.0);
        for pair in table.pairs::<Value, Value>() {
            let number = match pair.map_err(host)?.0 {
                Value::Integer(number) => number as f64,
                Value::Number(number) => number,
                _ => return Ok(None),
            };
            if number < 1.0 || number.trunc() != number || number > f64::from(i32::MAX) {
                return Ok(None);
            }
            greatest = greatest.max(number);
            count += 1.0;
        }
        let Settings { sparse_convert, sparse_ratio, sparse_safe, .. } = *self.settings;
        if sparse_ratio > 0 && greatest > count * f64::from(sparse_ratio) && greatest > f64::from(sparse_safe) {
            if !sparse_convert {
                return Err("Cannot serialise table: excessively sparse array".to_owned());
            }
            return Ok(None);
        }
        Ok(Some(greatest as usize))
    }

    fn number(&mut self, number: f64) -> Result<(), String> {
        if !number.is_finite() {
            match self.settings.encode_invalid_numbers {
                InvalidNumbers::Refuse => return Err(refusal(&Value::Number(number), "must not be NaN or Inf")),
                InvalidNumbers::Null => self.out.extend_from_slice(b"null"),
                InvalidNumbers::Write if number.is_nan() => self.out.extend_from_slice(b"nan"),
                InvalidNumbers::Write => self.out.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" }),
            }
            return Ok(());
        }
        write_general(&mut self.out, number, self.settings.precision as usize);
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for byte in text {
            let escape = match byte {
                b'"' => br#"\""#.as_slice(),
                b'\\' => br"\\",
                b'/' => br"\/",
                8 => br"\b",
                12 => br"\f",
                b'\n' => br"\n",
                b'\r' => br"\r",
                b'\t' => br"\t",
                0..=31 | 127 => {
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    continue;
                }
                byte => std::slice::from_ref(byte),
            };
            self.out.extend_from_slice(escape);
        }
        self.out.push(b'"');
    }
}

fn refusal(value: &Value, reason: &str) -> String {
    format!("Cannot serialise {}: {reason}", type_name(value))
}

/// A finite number as C's `%.{precision}g` prints it.
fn write_general(out: &mut Vec<u8>, number: f64, precision: usize) {
    if number == 0.0 {
        out.extend_from_slice(if number.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    let scientific = format!("{:.*e}", precision - 1, number);
    // Rust always writes an exponent behind an `e`.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..precision as i32).contains(&exponent) {
        let decimals = usize::try_from(precision as i32 - 1 - exponent).unwrap_or(0);
        out.extend_from_slice(without_zeros(&format!("{number:.decimals$}")).as_bytes());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mantissa = without_zeros(mantissa);
        out.extend_from_slice(format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()).as_bytes());
    }
}

/// Without the zeros at the end of a fraction.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
