//! Encoded replies looked at again: how long one is, what its elements are.
//!
//! Owns: walking RESP2 and RESP3 without decoding it. Refuses to know: what a reply means. Start at [`skip_value`]. Merges of
//! the replies of several shards are made of these readers; the bytes are our own, yet nothing here trusts them.

use crate::resp::number::parse_i64;

/// The length in bytes of the one encoded value at the beginning of `bytes`, whatever its nesting; `None` when it is not whole
/// or not RESP. An attribute belongs to the value that follows it.
#[inline]
pub fn skip_value(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut values_left = 1usize;
    while values_left > 0 {
        let header = Header::read(&bytes[at..])?;
        let (skipped, children) = match header.kind {
            Kind::Line => (header.bytes, 0),
            Kind::Blob(len) => (header.bytes.checked_add(len)?.checked_add(2)?, 0),
            Kind::Aggregate(children) => (header.bytes, children),
            Kind::Attribute(children) => (header.bytes, children.checked_add(1)?),
        };
        at = at.checked_add(skipped).filter(|at| *at <= bytes.len())?;
        values_left = (values_left - 1).checked_add(children)?;
        // Every value takes at least its kind byte and a line end.
        if values_left > bytes.len() - at {
            return None;
        }
    }
    Some(at)
}

/// The number in an encoded integer.
#[inline]
pub fn integer_of(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [b':', digits @ .., b'\r', b'\n'] => parse_i64(digits),
        _ => None,
    }
}

/// The content of an encoded bulk string; `None` for anything else, null included.
#[inline]
pub fn bulk_of(bytes: &[u8]) -> Option<&[u8]> {
    let header = Header::read(bytes)?;
    match header.kind {
        Kind::Blob(len) if bytes[0] == b'$' => bytes.get(header.bytes..)?.get(..len),
        _ => None,
    }
}

/// The text in an encoded verbatim string, or the content of a bulk string, which stands for one in RESP2.
#[inline]
pub fn text_of(bytes: &[u8]) -> Option<&[u8]> {
    let header = Header::read(bytes)?;
    match header.kind {
        // A verbatim string begins with three letters for its format and a colon.
        Kind::Blob(len) if bytes[0] == b'=' => bytes.get(header.bytes..)?.get(4..len),
        _ => bulk_of(bytes),
    }
}

/// True when `bytes` begins with an error.
#[inline]
pub fn is_error(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'-' | b'!'))
}

/// The line of an error, when `bytes` are one.
#[inline]
pub fn error_line(bytes: &[u8]) -> Option<String> {
    is_error(bytes).then(|| String::from_utf8_lossy(&bytes[1..]).trim_end().to_owned())
}

/// True when `bytes` is a null of either protocol.
#[inline]
pub fn is_null(bytes: &[u8]) -> bool {
    matches!(bytes, b"_\r\n" | b"$-1\r\n" | b"*-1\r\n")
}

/// The encoded elements of an array, set, push or map (whose keys and values alternate); `None` for anything else, null
/// included.
#[inline]
pub fn array_elements(bytes: &[u8]) -> Option<Elements<'_>> {
    let header = Header::read(bytes)?;
    match header.kind {
        Kind::Aggregate(left) if !is_null(bytes) => Some(Elements { rest: &bytes[header.bytes..], left }),
        _ => None,
    }
}

/// Iterator over encoded elements. Ends early when the bytes do.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Elements<'a> {
    /// How many elements are announced and not yet taken; the bytes may hold fewer.
    #[inline]
    pub fn announced(&self) -> usize {
        self.left
    }

    /// All bytes of the elements that are left, and whatever follows the aggregate.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let Some(len) = skip_value(self.rest) else {
            self.left = 0;
            return None;
        };
        let (element, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

/// What follows a header line.
enum Kind {
    /// Nothing.
    Line,
    /// That many bytes and a line end.
    Blob(usize),
    /// That many values.
    Aggregate(usize),
    /// That many values, then the one they are about.
    Attribute(usize),
}

/// The first line of an encoded value.
struct Header {
    kind: Kind,
    /// Its length with the line end.
    bytes: usize,
}

impl Header {
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&kind_byte, rest) = bytes.split_first()?;
        let (length, line_bytes) = match kind_byte {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {
                let end = memchr::memchr(b'\n', rest)?;
                let terminated = end > 0 && rest[end - 1] == b'\r';
                return terminated.then_some(Self { kind: Kind::Line, bytes: end + 2 });
            }
            b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|' => {
                // A length has at most 20 characters; looking further would make nonsense cost time.
                let end = rest.iter().take(21).position(|byte| *byte == b'\r')?;
                if rest.get(end + 1) != Some(&b'\n') {
                    return None;
                }
                (parse_i64(&rest[..end])?, end + 3)
            }
            _ => return None,
        };
        let kind = match (kind_byte, usize::try_from(length)) {
            (b'$' | b'*', Err(_)) if length == -1 => Kind::Line,
            (_, Err(_)) => return None,
            (b'$' | b'!' | b'=', Ok(len)) => Kind::Blob(len),
            (b'%', Ok(pairs)) => Kind::Aggregate(pairs.checked_mul(2)?),
            (b'|', Ok(pairs)) => Kind::Attribute(pairs.checked_mul(2)?),
            (_, Ok(len)) => Kind::Aggregate(len),
        };
        Some(Self { kind, bytes: line_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[&[u8]] = &[
        b"+OK\r\n",
        b"+\r\n",
        b"-ERR x\r\n",
        b":-12\r\n",
        b"_\r\n",
        b",1.5\r\n",
        b"#t\r\n",
        b"(123456789012345678901234567890\r\n",
        b"$0\r\n\r\n",
        b"$5\r\na\r\n$b\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"!5\r\nERR x\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"*2\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n+c\r\n",
        b">2\r\n+message\r\n$-1\r\n",
        b"|1\r\n+ttl\r\n:3\r\n*1\r\n:1\r\n",
    ];

    #[test]
    fn a_value_is_skipped_whole_or_not_at_all() {
        for value in WHOLE {
            let shown = value.escape_ascii();
            for end in 0..value.len() {
                assert_eq!(skip_value(&value[..end]), None, "{shown} cut at {end}");
            }
            let followed = [*value, b"+next\r\n"].concat();
            assert_eq!(skip_value(&followed), Some(value.len()), "{shown}");
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let mut deep = b"*1\r\n".repeat(200_000);
        deep.extend_from_slice(b":1\r\n");
        assert_eq!(skip_value(&deep), Some(deep.len()));
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        for bytes in [
            b"".as_slice(),
            b"x\r\n",
            b"+a\n",
            b"$-2\r\n",
            b"%-1\r\n",
            b"$01\r\na\r\n",
            b"$1\rxa\r\n",
            b"*9223372036854775807\r\n",
            b"%9223372036854775807\r\n",
            b"$9223372036854775807\r\na\r\n",
            b"*99999999999999999999999\r\n",
        ] {
            assert_eq!(skip_value(bytes), None, "{}", bytes.escape_ascii());
            assert!(array_elements(bytes).is_none_or(|mut elements| elements.next().is_none()));
        }
    }

    #[test]
    fn elements_are_given_encoded() {
        let array = b"*3\r\n:1\r\n*1\r\n$1\r\na\r\n$-1\r\n";
        let elements: Vec<&[u8]> = array_elements(array).unwrap().collect();
        assert_eq!(elements, [b":1\r\n".as_slice(), b"*1\r\n$1\r\na\r\n", b"$-1\r\n"]);
        let map: Vec<&[u8]> = array_elements(b"%1\r\n+a\r\n:1\r\n").unwrap().collect();
        assert_eq!(map, [b"+a\r\n".as_slice(), b":1\r\n"]);
        assert_eq!(array_elements(b"*0\r\n").unwrap().count(), 0);
        assert_eq!(array_elements(b"*2\r\n:1\r\n").unwrap().count(), 1);
        assert!(array_elements(b"*-1\r\n").is_none());
        assert!(array_elements(b"_\r\n").is_none());
        assert!(array_elements(b"$1\r\na\r\n").is_none());
    }

    #[test]
    fn scalars_are_read() {
        assert_eq!(integer_of(b":42\r\n"), Some(42));
        assert_eq!(integer_of(b":-9223372036854775808\r\n"), Some(i64::MIN));
        assert_eq!(integer_of(b"$2\r\n42\r\n"), None);
        assert_eq!(bulk_of(b"$3\r\na\r\n\r\n"), Some(b"a\r\n".as_slice()));
        assert_eq!(bulk_of(b"$-1\r\n"), None);
        assert_eq!(bulk_of(b"$3\r\na"), None);
        assert_eq!(text_of(b"=7\r\ntxt:abc\r\n"), Some(b"abc".as_slice()));
        assert_eq!(text_of(b"$3\r\nabc\r\n"), Some(b"abc".as_slice()));
        assert_eq!(text_of(b"=2\r\ntx\r\n"), None);
        assert!(is_error(b"-ERR\r\n") && is_error(b"!3\r\nERR\r\n") && !is_error(b"+OK\r\n") && !is_error(b""));
        assert!(is_null(b"_\r\n") && is_null(b"$-1\r\n") && is_null(b"*-1\r\n") && !is_null(b"$0\r\n\r\n"));
    }
}
