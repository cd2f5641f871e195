//! From JSON to Lua values.
//!
//! Owns: the tokens, and what is said about text that is not JSON. Refuses to know: how much memory there is (the budget does).
//! Start at [`decode`].

use mlua::{LightUserData, LuaString, Table, Value};

use super::super::budget::{Budget, Fault};
use super::{DEPTH_MAX, Settings, host};

/// Reads one value, which must be all there is.
pub(super) fn decode(text: &[u8], settings: &Settings, budget: Budget<'_>) -> Result<Value, String> {
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err("JSON parser does not support UTF-16 or UTF-32".to_owned());
    }
    // A zero ends the text, as it ends a C string.
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let mut decoder = Decoder { text: &text[..end], at: 0, settings, budget };
    let token = decoder.token()?;
    let value = decoder.value(token)?;
    let token = decoder.token()?;
    match token.kind {
        Kind::End => Ok(value),
        _ => Err(token.unexpected("the end")),
    }
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Truth(bool),
    Null,
    Colon,
    Comma,
    End,
    Bad(&'static str),
}

struct Token {
    kind: Kind,
    at: usize,
}

impl Token {
    fn unexpected(&self, expected: &str) -> String {
        let found = match self.kind {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Truth(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Bad(what) => what,
        };
        format!("Expected {expected} but found {found} at character {}", self.at + 1)
    }
}

/// What a value stands in.
enum Open {
    Object { table: Table, name: LuaString },
    Array { table: Table, index: usize },
}

/// Bytes that a field or an element adds to a table.
const FIELD_BYTES: usize = 40;
const ELEMENT_BYTES: usize = 16;

struct Decoder<'t, 's, 'l> {
    text: &'t [u8],
    at: usize,
    settings: &'s Settings,
    budget: Budget<'l>,
}

impl Decoder<'_, '_, '_> {
    /// The value that `token` begins. Nested values stand on a stack of their own, because text can nest deeper than a thread's would bear.
    fn value(&mut self, mut token: Token) -> Result<Value, String> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match token.kind {
                Kind::Text(text) => Value::String(self.budget.string(&text).map_err(told)?),
                Kind::Number(number) => Value::Number(number),
                Kind::Truth(truth) => Value::Boolean(truth),
                Kind::Null => Value::LightUserData(LightUserData(std::ptr::null_mut())),
                Kind::ObjectBegin => {
                    let table = self.descend(open.len())?;
                    let first = self.token()?;
                    if matches!(first.kind, Kind::ObjectEnd) {
                        Value::Table(table)
                    } else {
                        let name = self.name(first)?;
                        open.push(Open::Object { table, name });
                        token = self.token()?;
                        continue;
                    }
                }
                Kind::ArrayBegin => {
                    let table = self.descend(open.len())?;
                    token = self.token()?;
                    if matches!(token.kind, Kind::ArrayEnd) {
                        Value::Table(table)
                    } else {
                        open.push(Open::Array { table, index: 1 });
                        continue;
                    }
                }
                _ => return Err(token.unexpected("value")),
            };
            // A whole value belongs to what stands around it, which it may be the end of.
            loop {
                let next = match open.last_mut() {
                    None => return Ok(value),
                    Some(Open::Object { table, name }) => {
                        self.budget.take(FIELD_BYTES).map_err(told)?;
                        table.raw_set(&*name, value).map_err(host)?;
                        let next = self.token()?;
                        match next.kind {
                            Kind::ObjectEnd => None,
                            Kind::Comma => {
                                let next = self.token()?;
                                *name = self.name(next)?;
                                Some(self.token()?)
                            }
                            _ => return Err(next.unexpected("comma or object end")),
                        }
                    }
                    Some(Open::Array { table, index }) => {
                        self.budget.take(ELEMENT_BYTES).map_err(told)?;
                        table.raw_set(*index, value).map_err(host)?;
                        *index += 1;
                        let next = self.token()?;
                        match next.kind {
                            Kind::ArrayEnd => None,
                            Kind::Comma => Some(self.token()?),
                            _ => return Err(next.unexpected("comma or array end")),
                        }
                    }
                };
                if let Some(next) = next {
                    token = next;
                    break;
                }
                value = match open.pop() {
                    Some(Open::Object { table, .. } | Open::Array { table, .. }) => Value::Table(table),
                    None => return Err(Fault::Malformed.text()),
                };
            }
        }
    }

    /// The table of an object or array inside so many others.
    fn descend(&mut self, around: usize) -> Result<Table, String> {
        let depth = around + 1;
        if depth > self.settings.decode_depth_max.min(DEPTH_MAX) as usize {
            return Err(format!("Found too many nested data structures ({depth}) at character {}", self.at));
        }
        self.budget.table(0, 0).map_err(told)
    }

    /// The name that `token` is, with the colon behind it.
    fn name(&mut self, token: Token) -> Result<LuaString, String> {
        let Kind::Text(name) = token.kind else { return Err(token.unexpected("object key string")) };
        let name = self.budget.string(&name).map_err(told)?;
        let colon = self.token()?;
        if !matches!(colon.kind, Kind::Colon) {
            return Err(colon.unexpected("colon"));
        }
        Ok(name)
    }

    fn token(&mut self) -> Result<Token, String> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let at = self.at;
        let rest = &self.text[at..];
        let single = match rest.first() {
            None => return Ok(Token { kind: Kind::End, at }),
            Some(b'{') => Some(Kind::ObjectBegin),
            Some(b'}') => Some(Kind::ObjectEnd),
            Some(b'[') => Some(Kind::ArrayBegin),
            Some(b']') => Some(Kind::ArrayEnd),
            Some(b':') => Some(Kind::Colon),
            Some(b',') => Some(Kind::Comma),
            _ => None,
        };
        if let Some(kind) = single {
            self.at += 1;
            return Ok(Token { kind, at });
        }
        let lax = self.settings.decode_invalid_numbers;
        let kind = match rest[0] {
            b'"' => return Ok(self.string(at)),
            b'+' if lax => self.number(),
            b'-' | b'0'..=b'9' => {
                if !lax && is_unusual_number(rest) {
                    return Ok(Token { kind: Kind::Bad("invalid number"), at });
                }
                self.number()
            }
            _ if rest.starts_with(b"true") => self.word(4, Kind::Truth(true)),
            _ if rest.starts_with(b"false") => self.word(5, Kind::Truth(false)),
            _ if rest.starts_with(b"null") => self.word(4, Kind::Null),
            b'i' | b'I' | b'n' | b'N' if lax && is_unusual_number(rest) => self.number(),
            _ => Kind::Bad("invalid token"),
        };
        Ok(Token { kind, at })
    }

    fn word(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    fn number(&mut self) -> Kind {
        match read_number(&self.text[self.at..]) {
            Some((number, bytes)) => self.word(bytes, Kind::Number(number)),
            None => Kind::Bad("invalid number"),
        }
    }

    /// A string; `at` of an error is where the reading stopped.
    fn string(&mut self, start: usize) -> Token {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let problem = match rest {
                [] => "unexpected end of string",
                [b'"', ..] => {
                    self.at += 1;
                    return Token { kind: Kind::Text(text), at: start };
                }
                [b'\\', b'u', ..] => match unicode(rest) {
                    Some((character, bytes)) => {
                        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        self.at += bytes;
                        continue;
                    }
                    None => "invalid unicode escape code",
                },
                [b'\\', escaped, ..] => match unescape(*escaped) {
                    Some(byte) => {
                        text.push(byte);
                        self.at += 2;
                        continue;
                    }
                    None => "invalid escape code",
                },
                [b'\\'] => "invalid escape code",
                [byte, ..] => {
                    text.push(*byte);
                    self.at += 1;
                    continue;
                }
            };
            return Token { kind: Kind::Bad(problem), at: self.at };
        }
    }
}

fn unescape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// The character of `\uXXXX`, or of two of them that make a pair, and the bytes it took.
fn unicode(rest: &[u8]) -> Option<(char, usize)> {
    let first = four_digits(rest.get(2..6)?)?;
    if first & 0xf800 != 0xd800 {
        return Some((char::from_u32(first)?, 6));
    }
    if first & 0x400 != 0 || rest.get(6..8)? != b"\\u" {
        return None;
    }
    let second = four_digits(rest.get(8..12)?)?;
    if second & 0xfc00 != 0xdc00 {
        return None;
    }
    Some((char::from_u32(((first & 0x3ff) << 10 | (second & 0x3ff)) + 0x1_0000)?, 12))
}

fn four_digits(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// True for what `strtod` reads and JSON does not have: infinities, NaN, hexadecimal, leading zeros.
fn is_unusual_number(rest: &[u8]) -> bool {
    let rest = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest);
    match rest {
        [b'0', next, ..] => matches!(next, b'x' | b'X') || next.is_ascii_digit(),
        [byte, ..] if *byte <= b'9' => false,
        _ => rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")),
    }
}

/// The longest number at the beginning, as `strtod` reads it, and its bytes.
fn read_number(rest: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
    let negative = rest.first() == Some(&b'-');
    let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = &rest[sign..];
    let signed = |number: f64| if negative { -number } else { number };
    for (word, number) in [(b"infinity".as_slice(), f64::INFINITY), (b"inf", f64::INFINITY), (b"nan", f64::NAN)] {
        if unsigned.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)) {
            return Some((signed(number), sign + word.len()));
        }
    }
    if let [b'0', b'x' | b'X', hexadecimal @ ..] = unsigned
        && let Some((number, bytes)) = read_hexadecimal(hexadecimal)
    {
        return Some((signed(number), sign + 2 + bytes));
    }
    let mut end = sign + digits(sign);
    let mut count = end - sign;
    if rest.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        count += fraction;
        end += 1 + fraction;
    }
    if count == 0 {
        return None;
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let from = end + 1 + usize::from(matches!(rest.get(end + 1), Some(b'-' | b'+')));
        if from <= rest.len() {
            let exponent = digits(from);
            if exponent > 0 {
                end = from + exponent;
            }
        }
    }
    let text = std::str::from_utf8(&rest[sign..end]).ok()?;
    Some((signed(text.parse().ok()?), end))
}

/// Digits behind `0x`, with a fraction and a power of two.
fn read_hexadecimal(digits: &[u8]) -> Option<(f64, usize)> {
    let (mut value, mut end, mut exponent, mut seen, mut fraction) = (0.0f64, 0, 0i32, false, false);
    for byte in digits {
        match char::from(*byte).to_digit(16) {
            Some(digit) => {
                value = value * 16.0 + f64::from(digit);
                seen = true;
                if fraction {
                    exponent -= 4;
                }
            }
            None if *byte == b'.' && !fraction => fraction = true,
            None => break,
        }
        end += 1;
    }
    if !seen {
        return None;
    }
    if let [b'p' | b'P', rest @ ..] = &digits[end..] {
        let sign = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
        let count = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 {
            let power = rest[sign..sign + count].iter().fold(0i32, |power, digit| {
                power.saturating_mul(10).saturating_add(i32::from(digit - b'0')).min(10_000)
            });
            exponent += if rest[0] == b'-' { -power } else { power };
            end += 1 + sign + count;
        }
    }
    Some((value * 2f64.powi(exponent), end))
}

fn told(fault: Fault) -> String {
    fault.text()
}
