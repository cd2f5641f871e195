//! Words on a line, quoted as redis-cli reads and prints them.
//!
//! Owns: splitting a line into binary words and writing bytes back as one word. Refuses to know: what the words mean.
//! Start at [`split`]; [`quote`] is its inverse for one word.

/// Splits a line into words: bare, `"with \x00 \n \r \t \b \a \\ \" escapes"`, or `'as it is, but for \''`.
pub fn split(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if at == bytes.len() {
            return Ok(words);
        }
        let mut word = Vec::new();
        while at < bytes.len() && !bytes[at].is_ascii_whitespace() {
            match bytes[at] {
                quote @ (b'"' | b'\'') => {
                    at = unquote(bytes, at + 1, quote, &mut word)?;
                    if at < bytes.len() && !bytes[at].is_ascii_whitespace() {
                        return Err(format!("a blank must follow the closing quote in column {at}"));
                    }
                }
                byte => {
                    word.push(byte);
                    at += 1;
                }
            }
        }
        words.push(word);
    }
}

/// Reads up to the closing quote; returns the offset after it.
fn unquote(bytes: &[u8], mut at: usize, quote: u8, word: &mut Vec<u8>) -> Result<usize, String> {
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Err("unbalanced quotes".into()),
            (Some(&byte), _) if byte == quote => return Ok(at + 1),
            (Some(b'\\'), Some(b'\'')) if quote == b'\'' => {
                word.push(b'\'');
                at += 2;
            }
            (Some(b'\\'), Some(&escape)) if quote == b'"' => {
                let hex = bytes.get(at + 2..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
                let code = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                at += 2;
                word.push(match (escape, code) {
                    (b'x', Some(code)) => {
                        at += 2;
                        code
                    }
                    (b'n', _) => b'\n',
                    (b'r', _) => b'\r',
                    (b't', _) => b'\t',
                    (b'b', _) => 8,
                    (b'a', _) => 7,
                    (other, _) => other,
                });
            }
            (Some(&byte), _) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// Writes bytes as one quoted word that [`split`] reads back.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            8 => out.push_str("\\b"),
            7 => out.push_str("\\a"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// Writes the text of a reply: as it is when that is clear, otherwise quoted.
pub fn text(bytes: &[u8]) -> String {
    let blank_end = |byte: Option<&u8>| byte.is_some_and(|byte| *byte == b' ');
    let plain = !bytes.is_empty()
        && bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
        && bytes[0] != b'"'
        && !blank_end(bytes.first())
        && !blank_end(bytes.last());
    match std::str::from_utf8(bytes) {
        Ok(text) if plain => text.to_owned(),
        _ => quote(bytes),
    }
}

/// Reads what [`text`] wrote.
pub fn untext(written: &str) -> Result<Vec<u8>, String> {
    if !written.starts_with('"') {
        return Ok(written.as_bytes().to_vec());
    }
    let mut words = split(written)?;
    match (words.pop(), words.is_empty()) {
        (Some(word), true) => Ok(word),
        _ => Err("a quoted text must be one word".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_redis_cli_reads_them() {
        let check = |line: &str, words: &[&[u8]]| assert_eq!(split(line).expect(line), words, "{line}");
        check("", &[]);
        check("  SET  k\tv ", &[b"SET", b"k", b"v"]);
        check(r#"SET "" '' "#, &[b"SET", b"", b""]);
        check(r#""a b\x00\xfF\n\r\t\b\a\\\"\q\xzz""#, &[b"a b\x00\xff\n\r\t\x08\x07\\\"qxzz"]);
        check(r"'a\'b\n'", &[br"a'b\n"]);
        check(r#"pre"quoted""#, &[b"prequoted"]);
        for bad in [r#""open"#, r"'open", r#""shut"behind"#] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_byte_survives_quoting() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(&quote(&all)).expect("quoted"), std::slice::from_ref(&all));
        for bytes in [&b""[..], b" ", b"a b", b" a", b"a ", b"\"a", b"a\"", b"\\x00", b"\x00", &all] {
            assert_eq!(untext(&text(bytes)).expect("text"), bytes, "{bytes:?}");
        }
    }
}
