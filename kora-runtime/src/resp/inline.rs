//! Inline requests: one line of words, as typed into telnet.
//!
//! Owns: quoting. Refuses to know: where a line ends. Start at [`split_words`].
//!
//! Matches `sdssplitargs` of Redis: `"…"` knows `\n \r \t \b \a \xHH` and takes any other escaped byte as itself; `'…'` knows
//! only `\'`; a quote may begin inside a word but must end it. A NUL is a byte like any other, which it is not in Redis.

use crate::argv::Span;

/// Splits `line` into words, unquoted into `scratch`, each with a span of it. `None` when the quotes are not balanced.
pub fn split_words(line: &[u8], scratch: &mut Vec<u8>, spans: &mut Vec<Span>) -> Option<()> {
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Some(());
        }
        let start = scratch.len();
        rest = word(rest, scratch)?;
        spans.push(Span { start: u32::try_from(start).ok()?, len: u32::try_from(scratch.len() - start).ok()? });
    }
}

/// Unquotes the word at the beginning of `rest` and returns what follows it.
fn word<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Option<&'a [u8]> {
    while let [byte, tail @ ..] = rest {
        match byte {
            // A vertical tab or a form feed separates words but does not end one: so it is in Redis.
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => return double_quoted(tail, scratch).and_then(closed),
            b'\'' => return single_quoted(tail, scratch).and_then(closed),
            _ => scratch.push(*byte),
        }
        rest = tail;
    }
    Some(rest)
}

/// What may follow a closing quote: a blank or nothing.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| is_blank(*byte)).then_some(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                scratch.push(hex_digit(*high) << 4 | hex_digit(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                scratch.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                tail
            }
            [b'"', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                scratch.push(*byte);
                tail
            }
            [] => return None,
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'\'', tail @ ..] => {
                scratch.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                scratch.push(*byte);
                tail
            }
            [] => return None,
        }
    }
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The value of a hexadecimal digit.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argv::Argv;

    fn check(line: &[u8], expected: Option<&[&[u8]]>) {
        let (mut scratch, mut spans) = (Vec::new(), Vec::new());
        let split = split_words(line, &mut scratch, &mut spans);
        let words: Vec<&[u8]> = Argv::new(&scratch, &spans).iter().collect();
        assert_eq!(split.map(|()| words.as_slice()), expected, "{:?}", line.escape_ascii().to_string());
    }

    #[test]
    fn words_are_split_as_redis_splits_them() {
        check(b"", Some(&[]));
        check(b" \t\x0b\x0c ", Some(&[]));
        check(b"GET k", Some(&[b"GET", b"k"]));
        check(b"  GET   k  ", Some(&[b"GET", b"k"]));
        check(b"a\rb", Some(&[b"a", b"b"]));
        check(b"a\x0bb \x0b\x0cc", Some(&[b"a\x0bb", b"c"]));
        check(b"a\0b", Some(&[b"a\0b"]));
        check(b"\"\" ''", Some(&[b"", b""]));
        check(br#""\x41\n\r\t\b\a\\\"\q\x4""#, Some(&[b"A\n\r\t\x08\x07\\\"qx4"]));
        check(br#""\xfF\xgg""#, Some(&[b"\xffxgg"]));
        check(br"'a\'b\n\x' c", Some(&[br"a'b\n\x", b"c"]));
        check(br#"f"oo b" a'b'"#, Some(&[b"foo b", b"ab"]));
        check(br#"a\"b""#, Some(&[br"a\b"]));
        check(b"\"a\"\x0bb", Some(&[b"a", b"b"]));
    }

    #[test]
    fn quotes_that_do_not_balance_are_refused() {
        for line in [r#""a"#, r#""a"b"#, "'a'b", "'a", r#""a\"#, r#""a\""#, r#"x ""a"#, r#""a"'b'"#, r"'\'", r"'\\'"] {
            check(line.as_bytes(), None);
        }
    }
}
