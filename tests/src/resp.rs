//! Replies as values, and a blocking client that reads them.
//!
//! Owns: decoding RESP2 and RESP3, encoding commands. Refuses to know: what a reply should have been.
//! Start at [`Client`]; [`decode`] is the part without a socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// RESP2.
    Resp2,
    /// RESP3.
    Resp3,
}

impl Protocol {
    /// Both, the older first.
    pub const ALL: [Self; 2] = [Self::Resp2, Self::Resp3];

    /// The number that HELLO takes.
    pub fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `+`, a status.
    Simple(Vec<u8>),
    /// `-`, an error; code word included.
    Error(Vec<u8>),
    /// `:`.
    Integer(i64),
    /// `$`, binary.
    Bulk(Vec<u8>),
    /// `=`, text with a format of three letters.
    Verbatim([u8; 3], Vec<u8>),
    /// `,` as it was written.
    Double(Vec<u8>),
    /// `#`.
    Bool(bool),
    /// `(` as it was written.
    BigNumber(Vec<u8>),
    /// `_`, or `$-1` in RESP2.
    Null,
    /// `*-1` in RESP2.
    NullArray,
    /// `*`.
    Array(Vec<Value>),
    /// `~`.
    Set(Vec<Value>),
    /// `%`.
    Map(Vec<(Value, Value)>),
    /// `>`, sent without having been asked for.
    Push(Vec<Value>),
}

impl Value {
    /// The bytes of a bulk string, status, verbatim string or error.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::Error(text) | Self::Bulk(text) | Self::Verbatim(_, text) => Some(text),
            _ => None,
        }
    }

    /// True for an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// Bytes that are no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "not a reply: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 64;

/// The first reply of `bytes` and its length; `None` when it is not whole yet.
pub fn decode(bytes: &[u8]) -> Result<Option<(Value, usize)>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    Ok(reader.value(0)?.map(|value| (value, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("nested too deeply".into()));
        }
        let Some(line) = self.line() else { return Ok(None) };
        let Some((&kind, rest)) = line.split_first() else { return Err(Malformed("an empty line".into())) };
        let rest = rest.to_vec();
        Ok(Some(match kind {
            b'+' => Value::Simple(rest),
            b'-' => Value::Error(rest),
            b':' => Value::Integer(number(&rest)?),
            b',' => Value::Double(rest),
            b'(' => Value::BigNumber(rest),
            b'_' => Value::Null,
            b'#' => match &rest[..] {
                b"t" => Value::Bool(true),
                b"f" => Value::Bool(false),
                _ => return Err(Malformed(format!("a bool of {rest:?}"))),
            },
            b'$' if rest == b"-1" => Value::Null,
            b'*' if rest == b"-1" => Value::NullArray,
            b'$' | b'=' => {
                let len = length(&rest)?;
                let Some(text) = self.bytes.get(self.at..self.at + len + 2) else { return Ok(None) };
                let Some(text) = text.strip_suffix(b"\r\n") else {
                    return Err(Malformed("a bulk string that does not end in CR LF".into()));
                };
                self.at += len + 2;
                match (kind, text) {
                    (b'$', text) => Value::Bulk(text.to_vec()),
                    (_, [a, b, c, b':', text @ ..]) => Value::Verbatim([*a, *b, *c], text.to_vec()),
                    _ => return Err(Malformed("a verbatim string without a format".into())),
                }
            }
            b'*' | b'~' | b'>' | b'%' => {
                let len = length(&rest)? * if kind == b'%' { 2 } else { 1 };
                let mut items = Vec::new();
                for _ in 0..len {
                    let Some(item) = self.value(depth + 1)? else { return Ok(None) };
                    items.push(item);
                }
                match kind {
                    b'*' => Value::Array(items),
                    b'~' => Value::Set(items),
                    b'>' => Value::Push(items),
                    _ => {
                        let mut items = items.into_iter();
                        Value::Map(std::iter::from_fn(|| items.next().zip(items.next())).collect())
                    }
                }
            }
            other => return Err(Malformed(format!("a reply of kind {:?}", char::from(other)))),
        }))
    }

    fn line(&mut self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.at..)?;
        let len = rest.windows(2).position(|pair| pair == b"\r\n")?;
        self.at += len + 2;
        Some(&rest[..len])
    }
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    let text = std::str::from_utf8(digits).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Malformed(format!("a number of {digits:?}")))
}

fn length(digits: &[u8]) -> Result<usize, Malformed> {
    usize::try_from(number(digits)?).map_err(|_| Malformed(format!("a length of {digits:?}")))
}

/// A command as every client sends it: an array of bulk strings.
pub fn encode<W: AsRef<[u8]>>(argv: &[W]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", argv.len()).into_bytes();
    for word in argv {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A blocking connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Longest wait for one reply.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Connects.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Self::PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a command.
    pub fn send<W: AsRef<[u8]>>(&mut self, argv: &[W]) -> io::Result<()> {
        self.send_raw(&encode(argv))
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one reply; `None` when the server has closed the connection.
    pub fn receive(&mut self) -> io::Result<Option<Value>> {
        loop {
            if let Some((value, len)) = decode(&self.buffer).map_err(io::Error::other)? {
                self.buffer.drain(..len);
                return Ok(Some(value));
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a command and reads its reply; a closed connection is an error.
    pub fn call<W: AsRef<[u8]>>(&mut self, argv: &[W]) -> io::Result<Value> {
        self.send(argv)?;
        self.receive()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Closes and waits until the server has closed its side too, so that it has forgotten the connection.
    pub fn close(mut self) {
        let closed = self.stream.shutdown(std::net::Shutdown::Write).is_ok();
        let mut chunk = [0; 4096];
        while closed && self.stream.read(&mut chunk).is_ok_and(|len| len > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_decoded_once_it_is_whole() {
        let bulk = |text: &str| Value::Bulk(text.into());
        let check = |encoded: &str, value: Value| {
            let bytes = encoded.as_bytes();
            assert_eq!(decode(bytes), Ok(Some((value, bytes.len()))), "{encoded:?}");
            for len in 0..bytes.len() {
                assert_eq!(decode(&bytes[..len]), Ok(None), "{len} bytes of {encoded:?}");
            }
        };
        check("+OK\r\n", Value::Simple("OK".into()));
        check("-ERR no\r\n", Value::Error("ERR no".into()));
        check(":-5\r\n", Value::Integer(-5));
        check("$0\r\n\r\n", bulk(""));
        check("$4\r\na\r\nb\r\n", bulk("a\r\nb"));
        check("$-1\r\n", Value::Null);
        check("_\r\n", Value::Null);
        check("*-1\r\n", Value::NullArray);
        check("*0\r\n", Value::Array(vec![]));
        check(",1.5\r\n", Value::Double("1.5".into()));
        check("#t\r\n", Value::Bool(true));
        check("(123\r\n", Value::BigNumber("123".into()));
        check("=6\r\ntxt:ab\r\n", Value::Verbatim(*b"txt", "ab".into()));
        check("~1\r\n+a\r\n", Value::Set(vec![Value::Simple("a".into())]));
        check("%1\r\n$1\r\na\r\n*1\r\n:1\r\n", Value::Map(vec![(bulk("a"), Value::Array(vec![Value::Integer(1)]))]));
        check(">1\r\n$1\r\na\r\n", Value::Push(vec![bulk("a")]));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let deep = "*1\r\n".repeat(DEPTH_MAX + 2);
        for bad in ["?\r\n", "\r\n", ":x\r\n", "$-2\r\n", "$1\r\nabc\r\n", "#x\r\n", "=1\r\na\r\n", &deep] {
            assert!(decode(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        assert_eq!(encode(&["GET", ""]), b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    }
}
