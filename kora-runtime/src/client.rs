//! Replies as the typed client sees them: owned values, decoded from the bytes a session produced.
//!
//! Owns: [`Value`], [`FromReply`] and the conversion from a RESP3 reply to what a method promises.
//! Refuses to know: how a command travels; implementors of the generated `Client` do.
//! Start at [`decode`].

/// How deep replies may be nested.
const REPLY_DEPTH_MAX: usize = 32;

/// Any reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// A status word.
    Simple(String),
    /// An error, code word included.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// A binary string.
    Bulk(Vec<u8>),
    /// Plain text.
    Verbatim(Vec<u8>),
    /// An ordered collection.
    Array(Vec<Value>),
    /// An unordered collection.
    Set(Vec<Value>),
    /// Pairs.
    Map(Vec<(Value, Value)>),
    /// Something nobody asked for.
    Push(Vec<Value>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Simple(_) => "a status",
            Self::Error(_) => "an error",
            Self::Integer(_) => "an integer",
            Self::Double(_) => "a double",
            Self::Bool(_) => "a boolean",
            Self::Bulk(_) => "a binary string",
            Self::Verbatim(_) => "a text",
            Self::Array(_) => "an array",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Push(_) => "a push message",
        }
    }
}

/// Why a reply is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The command was refused; the text begins with its code word.
    #[error("{0}")]
    Refused(String),
    /// A reply of another kind.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What was asked for.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// Bytes that are no reply.
    #[error("the reply is not well formed at byte {0}")]
    Malformed(usize),
}

/// A type that a reply can be turned into.
pub trait FromReply: Sized {
    /// Turns a reply into it; an error reply is [`ReplyError::Refused`].
    fn from_reply(value: Value) -> Result<Self, ReplyError>;
}

/// Decodes one whole reply.
pub fn decode<T: FromReply>(bytes: &[u8]) -> Result<T, ReplyError> {
    let mut decoder = Decoder { bytes, at: 0 };
    let value = decoder.value(0)?;
    if decoder.at < bytes.len() {
        return Err(ReplyError::Malformed(decoder.at));
    }
    T::from_reply(value)
}

struct Decoder<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Decoder<'_> {
    fn malformed<T>(&self) -> Result<T, ReplyError> {
        Err(ReplyError::Malformed(self.at))
    }

    fn line(&mut self) -> Result<&str, ReplyError> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\r', rest).filter(|end| rest.get(end + 1) == Some(&b'\n'));
        let text = end.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
        match text {
            Some(text) => {
                self.at += text.len() + 2;
                Ok(text)
            }
            None => self.malformed(),
        }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, ReplyError> {
        let at = self.at;
        self.line()?.parse().map_err(|_| ReplyError::Malformed(at))
    }

    fn bulk(&mut self, len: usize) -> Result<&[u8], ReplyError> {
        let end =
            self.at.checked_add(len).filter(|end| self.bytes.get(*end..).is_some_and(|rest| rest.starts_with(b"\r\n")));
        match end {
            Some(end) => {
                let body = &self.bytes[self.at..end];
                self.at = end + 2;
                Ok(body)
            }
            None => self.malformed(),
        }
    }

    fn items(&mut self, len: usize, depth: usize) -> Result<Vec<Value>, ReplyError> {
        // Every element takes at least three bytes, which bounds what a length may ask for.
        if depth >= REPLY_DEPTH_MAX || len > self.bytes.len() / 3 {
            return self.malformed();
        }
        (0..len).map(|_| self.value(depth + 1)).collect()
    }

    fn value(&mut self, depth: usize) -> Result<Value, ReplyError> {
        let Some(&kind) = self.bytes.get(self.at) else { return self.malformed() };
        self.at += 1;
        Ok(match kind {
            b'+' => Value::Simple(self.line()?.to_owned()),
            b'-' => Value::Error(self.line()?.to_owned()),
            b':' => Value::Integer(self.number()?),
            b',' => Value::Double(self.number()?),
            b'#' => match self.line()? {
                "t" => Value::Bool(true),
                "f" => Value::Bool(false),
                _ => return self.malformed(),
            },
            b'_' => match self.line()? {
                "" => Value::Null,
                _ => return self.malformed(),
            },
            b'$' | b'=' | b'*' | b'~' | b'%' | b'>' => {
                let len: i64 = self.number()?;
                if len == -1 {
                    return Ok(Value::Null);
                }
                let Ok(len) = usize::try_from(len) else { return self.malformed() };
                match kind {
                    b'$' => Value::Bulk(self.bulk(len)?.to_vec()),
                    // The first four bytes name the format: `txt:`.
                    b'=' => Value::Verbatim(self.bulk(len)?.get(4..).unwrap_or_default().to_vec()),
                    b'*' => Value::Array(self.items(len, depth)?),
                    b'~' => Value::Set(self.items(len, depth)?),
                    b'>' => Value::Push(self.items(len, depth)?),
                    _ => {
                        let mut items = self.items(len.saturating_mul(2), depth)?.into_iter();
                        let mut pairs = Vec::with_capacity(len);
                        while let (Some(key), Some(value)) = (items.next(), items.next()) {
                            pairs.push((key, value));
                        }
                        Value::Map(pairs)
                    }
                }
            }
            _ => return self.malformed(),
        })
    }
}

fn unexpected<T>(expected: &'static str, value: Value) -> Result<T, ReplyError> {
    match value {
        Value::Error(text) => Err(ReplyError::Refused(text)),
        other => Err(ReplyError::Unexpected { expected, got: other.kind() }),
    }
}

impl FromReply for Value {
    fn from_reply(value: Value) -> Result<Self, ReplyError> {
        match value {
            Value::Error(text) => Err(ReplyError::Refused(text)),
            other => Ok(other),
        }
    }
}

macro_rules! from_reply {
    ($($ty:ty, $expected:literal: $($pattern:pat => $value:expr),+;)*) => {$(
        impl FromReply for $ty {
            fn from_reply(value: Value) -> Result<Self, ReplyError> {
                match value {
                    $($pattern => Ok($value),)+
                    other => unexpected($expected, other),
                }
            }
        }
    )*};
}

from_reply! {
    (), "OK": Value::Simple(_) => ();
    i64, "an integer": Value::Integer(number) => number;
    f64, "a double": Value::Double(number) => number, Value::Integer(number) => number as f64;
    bool, "a boolean": Value::Bool(value) => value, Value::Integer(number) => number != 0;
    Vec<u8>, "a binary string": Value::Bulk(bytes) => bytes, Value::Verbatim(bytes) => bytes;
}

impl FromReply for String {
    fn from_reply(value: Value) -> Result<Self, ReplyError> {
        let bytes = match value {
            Value::Simple(text) => return Ok(text),
            Value::Bulk(bytes) | Value::Verbatim(bytes) => bytes,
            other => return unexpected("a text", other),
        };
        String::from_utf8(bytes).map_err(|_| ReplyError::Unexpected { expected: "UTF-8", got: "other bytes" })
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(value: Value) -> Result<Self, ReplyError> {
        match value {
            Value::Null => Ok(None),
            other => T::from_reply(other).map(Some),
        }
    }
}

/// What may be an element of a list: everything but a byte, which would make a binary string of the list.
pub trait Element: FromReply {}

impl Element for i64 {}
impl Element for f64 {}
impl Element for bool {}
impl Element for String {}
impl Element for Value {}
impl Element for Vec<u8> {}
impl<T: FromReply> Element for Option<T> {}

impl<T: Element> FromReply for Vec<T> {
    fn from_reply(value: Value) -> Result<Self, ReplyError> {
        match value {
            Value::Array(items) | Value::Set(items) => items.into_iter().map(T::from_reply).collect(),
            other => unexpected("an array", other),
        }
    }
}

impl<K: FromReply, V: FromReply> FromReply for Vec<(K, V)> {
    fn from_reply(value: Value) -> Result<Self, ReplyError> {
        match value {
            Value::Map(pairs) => {
                pairs.into_iter().map(|(key, value)| Ok((K::from_reply(key)?, V::from_reply(value)?))).collect()
            }
            other => unexpected("a map", other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_become_what_was_asked_for() {
        assert_eq!(decode(b"+OK\r\n"), Ok(()));
        assert_eq!(decode(b":-7\r\n"), Ok(-7_i64));
        assert_eq!(decode(b",1.5\r\n"), Ok(1.5_f64));
        assert_eq!(decode(b",-inf\r\n"), Ok(f64::NEG_INFINITY));
        assert_eq!(decode(b"#t\r\n"), Ok(true));
        assert_eq!(decode(b"$3\r\na\r\n\r\n"), Ok(b"a\r\n".to_vec()));
        assert_eq!(decode(b"=7\r\ntxt:abc\r\n"), Ok("abc".to_owned()));
        assert_eq!(decode::<Option<i64>>(b"_\r\n"), Ok(None));
        assert_eq!(decode::<Option<Vec<u8>>>(b"$-1\r\n"), Ok(None));
        assert_eq!(decode(b"*2\r\n$1\r\na\r\n_\r\n"), Ok(vec![Some(b"a".to_vec()), None]));
        assert_eq!(decode(b"~2\r\n:1\r\n:2\r\n"), Ok(vec![1_i64, 2]));
        assert_eq!(decode(b"%1\r\n$1\r\nk\r\n:2\r\n"), Ok(vec![(b"k".to_vec(), 2_i64)]));
        let nested = Value::Array(vec![Value::Array(vec![]), Value::Simple("x".to_owned())]);
        assert_eq!(decode(b"*2\r\n*0\r\n+x\r\n"), Ok(nested));
    }

    #[test]
    fn refusals_and_surprises_are_errors() {
        let refused = ReplyError::Refused("ERR no".to_owned());
        assert_eq!(decode::<i64>(b"-ERR no\r\n"), Err(refused.clone()));
        assert_eq!(decode::<Value>(b"-ERR no\r\n"), Err(refused));
        let unexpected = ReplyError::Unexpected { expected: "an integer", got: "a status" };
        assert_eq!(decode::<i64>(b"+OK\r\n"), Err(unexpected));
    }

    #[test]
    fn what_is_no_reply_is_told_from_one() {
        let deep = [b"*1\r\n".repeat(REPLY_DEPTH_MAX + 1), b":1\r\n".to_vec()].concat();
        let cases: [&[u8]; 12] = [
            b"",
            b"+OK",
            b"+OK\n",
            b"?\r\n",
            b":x\r\n",
            b"$5\r\nab\r\n",
            b"$-2\r\n",
            b"*9223372036854775807\r\n",
            b"#x\r\n",
            b"+a\r\n+b\r\n",
            b"%4611686018427387904\r\n",
            &deep,
        ];
        for bytes in cases {
            let outcome = decode::<Value>(bytes);
            assert!(matches!(outcome, Err(ReplyError::Malformed(_))), "{bytes:?}: {outcome:?}");
        }
    }
}
