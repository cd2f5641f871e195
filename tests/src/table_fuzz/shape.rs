//! The declared type of a reply, read from a row, and whether a reply has it.
//!
//! Owns: the words of docs/command-table.md, "Replies", and what each looks like in either protocol. Refuses to know: commands.
//! Start at [`fits`].

use crate::resp::{Protocol, Value};

/// Says what is wrong when `value` is not of the type `declared`, for example `bulk?|array<bulk>?`. Errors are not replies of any type.
///
/// # Errors
/// A sentence that names the type and shows the value.
pub fn fits(declared: &str, value: &Value, protocol: Protocol) -> Result<(), String> {
    if let Some(stranger) = stranger(value, protocol) {
        return Err(format!("{} does not exist in {protocol:?}: {}", kind_of(stranger), shown(value)));
    }
    if declared.split('|').any(|one| one_fits(one, value, protocol)) {
        Ok(())
    } else {
        Err(format!("declared as `{declared}`, but in {protocol:?} it is {}", shown(value)))
    }
}

/// A part of the value that the protocol cannot carry, or that no reply may hold.
fn stranger(value: &Value, protocol: Protocol) -> Option<&Value> {
    let old = protocol == Protocol::Resp2;
    let inner = |items: &'_ [Value]| -> Option<usize> {
        items.iter().position(|item| item.is_error() || stranger(item, protocol).is_some())
    };
    match value {
        Value::Double(_) | Value::Bool(_) | Value::BigNumber(_) | Value::Verbatim(..) if old => Some(value),
        Value::Push(_) => Some(value),
        Value::NullArray if !old => Some(value),
        Value::Set(_) | Value::Map(_) if old => Some(value),
        Value::Simple(text) | Value::Error(text) if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) => {
            Some(value)
        }
        Value::Array(items) | Value::Set(items) => inner(items).map(|at| &items[at]),
        Value::Map(pairs) => pairs
            .iter()
            .flat_map(|(key, value)| [key, value])
            .find(|item| item.is_error() || stranger(item, protocol).is_some()),
        _ => None,
    }
}

fn one_fits(declared: &str, value: &Value, protocol: Protocol) -> bool {
    let old = protocol == Protocol::Resp2;
    if let Some(some) = declared.strip_suffix('?') {
        let null = if old && some.ends_with('>') { Value::NullArray } else { Value::Null };
        return *value == null || one_fits(some, value, protocol);
    }
    let inside = |word: &str| declared.strip_prefix(word)?.strip_prefix('<')?.strip_suffix('>');
    if let Some(item) = inside("array") {
        return matches!(value, Value::Array(items) if all_fit(item, items, protocol));
    }
    if let Some(item) = inside("set") {
        return match value {
            Value::Array(items) if old => all_fit(item, items, protocol),
            Value::Set(items) => all_fit(item, items, protocol) && all_differ(items),
            _ => false,
        };
    }
    if let Some((key, item)) = inside("map").and_then(|pair| pair.split_once(',')) {
        return match value {
            Value::Array(items) if old => {
                items.len().is_multiple_of(2)
                    && items.iter().step_by(2).all(|item| one_fits(key, item, protocol))
                    && items.iter().skip(1).step_by(2).all(|value| one_fits(item, value, protocol))
            }
            Value::Map(pairs) => pairs.iter().all(|(k, v)| one_fits(key, k, protocol) && one_fits(item, v, protocol)),
            _ => false,
        };
    }
    match (declared, value) {
        ("any", _) => true,
        ("ok", Value::Simple(text)) => text == b"OK",
        ("simple", Value::Simple(_)) | ("integer", Value::Integer(_)) | ("bulk", Value::Bulk(_)) => true,
        ("double", Value::Double(text)) => is_double(text),
        ("double", Value::Bulk(text)) => old && is_double(text),
        ("bool", Value::Bool(_)) => true,
        ("bool", Value::Integer(number)) => old && matches!(number, 0 | 1),
        ("verbatim", Value::Verbatim(..)) => true,
        ("verbatim", Value::Bulk(_)) => old,
        _ => false,
    }
}

fn all_fit(declared: &str, items: &[Value], protocol: Protocol) -> bool {
    items.iter().all(|item| one_fits(declared, item, protocol))
}

fn all_differ(items: &[Value]) -> bool {
    let mut texts: Vec<_> = items.iter().map(Value::bytes).collect();
    texts.sort();
    texts.windows(2).all(|pair| pair[0] != pair[1])
}

/// A number as Redis writes it, infinities included, NaN not.
fn is_double(text: &[u8]) -> bool {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(|number| !number.is_nan())
}

fn kind_of(value: &Value) -> String {
    let text = format!("{value:?}");
    text.split(['(', '[']).next().unwrap_or_default().to_owned()
}

/// A value, not all of it when it is long.
pub fn shown(value: &Value) -> String {
    let text = match value.bytes() {
        Some(text) => format!("{} {}", kind_of(value), text.escape_ascii()),
        None => format!("{value:?}"),
    };
    if text.chars().count() > 300 { format!("{}…", text.chars().take(300).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode;

    type Replies = &'static [&'static str];

    /// Replies that are of a type, and some that are not, in both protocols.
    const CASES: &[(&str, Replies, Replies, Replies, Replies)] = &[
        // declared, RESP2 yes, RESP2 no, RESP3 yes, RESP3 no
        ("ok", &["+OK\r\n"], &["+ok\r\n", "$2\r\nOK\r\n", ":1\r\n"], &["+OK\r\n"], &["_\r\n"]),
        ("integer", &[":1\r\n"], &["$1\r\n1\r\n", "$-1\r\n", "+1\r\n"], &[":1\r\n"], &["_\r\n", ",1\r\n", "#t\r\n"]),
        ("integer?", &[":1\r\n", "$-1\r\n"], &["*-1\r\n"], &["_\r\n"], &["*-1\r\n"]),
        ("bulk?", &["$0\r\n\r\n", "$-1\r\n"], &["*-1\r\n", "+a\r\n"], &["_\r\n"], &[":1\r\n"]),
        (
            "double",
            &["$3\r\n1.5\r\n", "$3\r\ninf\r\n"],
            &["$1\r\nx\r\n", ",1\r\n"],
            &[",1.5\r\n"],
            &["$1\r\n1\r\n", ",nan\r\n"],
        ),
        ("bool", &[":1\r\n"], &[":2\r\n", "#t\r\n"], &["#f\r\n"], &[":1\r\n"]),
        ("verbatim", &["$1\r\na\r\n"], &["=5\r\ntxt:a\r\n"], &["=5\r\ntxt:a\r\n"], &["$1\r\na\r\n"]),
        (
            "array<bulk>",
            &["*0\r\n", "*1\r\n$1\r\na\r\n"],
            &["*1\r\n:1\r\n", "*-1\r\n", "*1\r\n$-1\r\n"],
            &["*0\r\n"],
            &["~0\r\n"],
        ),
        ("array<bulk?>", &["*1\r\n$-1\r\n"], &["*1\r\n*-1\r\n"], &["*1\r\n_\r\n"], &["_\r\n"]),
        ("bulk?|array<bulk>?", &["$-1\r\n", "*-1\r\n", "*0\r\n"], &[":1\r\n"], &["_\r\n"], &["%0\r\n"]),
        (
            "set<bulk>",
            &["*1\r\n$1\r\na\r\n"],
            &["~0\r\n"],
            &["~1\r\n$1\r\na\r\n"],
            &["*0\r\n", "~2\r\n$1\r\na\r\n$1\r\na\r\n"],
        ),
        (
            "map<bulk,bulk>",
            &["*2\r\n$1\r\na\r\n$1\r\nb\r\n"],
            &["*1\r\n$1\r\na\r\n", "%0\r\n"],
            &["%0\r\n"],
            &["*0\r\n"],
        ),
        (
            "any",
            &["*2\r\n:1\r\n*0\r\n"],
            &["*1\r\n,1\r\n", "*1\r\n-ERR x\r\n", ">1\r\n:1\r\n"],
            &["%0\r\n"],
            &[">1\r\n:1\r\n", "*1\r\n*-1\r\n"],
        ),
        ("ok|integer", &["+OK\r\n", ":3\r\n"], &["$2\r\nOK\r\n"], &[":3\r\n"], &["_\r\n"]),
    ];

    #[test]
    fn types_are_told_apart_in_both_protocols() {
        for (declared, yes2, no2, yes3, no3) in CASES {
            for (protocol, replies, expected) in [
                (Protocol::Resp2, yes2, true),
                (Protocol::Resp2, no2, false),
                (Protocol::Resp3, yes3, true),
                (Protocol::Resp3, no3, false),
            ] {
                for reply in *replies {
                    let (value, _) = decode(reply.as_bytes()).expect("well-formed").expect("whole");
                    assert_eq!(fits(declared, &value, protocol).is_ok(), expected, "{declared} {protocol:?} {reply:?}");
                }
            }
        }
    }
}
