//! What a reply should be: the trees that stand behind `<`.
//!
//! Owns: reading and writing them, bringing them down to RESP2, comparing. Refuses to know: commands, connections, files.
//! Start at [`Expected`]; [`Expected::admits`] is the comparison.
//!
//! Replies are written in RESP3 terms. The first byte says the kind: `+status`, `-ERR error`, `:5`, `$bulk`, `=verbatim`, `,1.5`,
//! `#t`, `(big number`, `nil`, `*nil` (null that RESP2 writes as the null array), `*2` array, `~2` set, `%2` map, `>2` push. A text that
//! has special bytes, or blanks at its ends, or begins with a quote, is quoted: `$"a\r\n"`. The elements of an aggregate follow on lines of their own,
//! indented two blanks more than it; a map of N has 2 N of them. `*2+` is an array that has at least the elements shown:
//! first when order matters, anywhere when not.

use crate::resp::{Protocol, Value};
use crate::words;

/// The kind of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `+`
    Simple,
    /// `-`
    Error,
    /// `:`
    Integer,
    /// `$`
    Bulk,
    /// `=`
    Verbatim,
    /// `,`
    Double,
    /// `#`
    Bool,
    /// `(`
    BigNumber,
    /// `nil`
    Null,
    /// `*nil`
    NullArray,
    /// `*`
    Array,
    /// `~`
    Set,
    /// `%`
    Map,
    /// `>`
    Push,
}

const MARKS: [(Kind, char); 12] = [
    (Kind::Simple, '+'),
    (Kind::Error, '-'),
    (Kind::Integer, ':'),
    (Kind::Bulk, '$'),
    (Kind::Verbatim, '='),
    (Kind::Double, ','),
    (Kind::Bool, '#'),
    (Kind::BigNumber, '('),
    (Kind::Array, '*'),
    (Kind::Set, '~'),
    (Kind::Map, '%'),
    (Kind::Push, '>'),
];

impl Kind {
    fn is_aggregate(self) -> bool {
        matches!(self, Self::Array | Self::Set | Self::Map | Self::Push)
    }

    /// What RESP2 makes of it.
    fn in_protocol(self, protocol: Protocol) -> Self {
        match (protocol, self) {
            (Protocol::Resp3, Self::NullArray) => Self::Null,
            (Protocol::Resp3, kind) => kind,
            (Protocol::Resp2, Self::Verbatim | Self::Double | Self::BigNumber) => Self::Bulk,
            (Protocol::Resp2, Self::Bool) => Self::Integer,
            (Protocol::Resp2, Self::Set | Self::Map | Self::Push) => Self::Array,
            (Protocol::Resp2, kind) => kind,
        }
    }
}

/// How strictly a reply is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leniency {
    /// `@ any`: only the kind of the whole reply counts.
    pub any: bool,
    /// `@ match`: in texts and numbers `*` stands for any bytes.
    pub globs: bool,
    /// `@ unordered`: elements and pairs in any order, at every level.
    pub unordered: bool,
}

/// A reply as a transcript shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What it is.
    pub kind: Kind,
    /// The text of what is no aggregate.
    pub text: Vec<u8>,
    /// The elements of an aggregate; keys and values by turns for a map.
    pub items: Vec<Expected>,
    /// Written `*2+`: more elements may follow.
    pub open: bool,
}

impl From<&Value> for Expected {
    fn from(value: &Value) -> Self {
        let leaf = |kind, text: &[u8]| Self { kind, text: text.to_vec(), items: Vec::new(), open: false };
        let node = |kind, items: &[Value]| Self {
            kind,
            text: Vec::new(),
            items: items.iter().map(Self::from).collect(),
            open: false,
        };
        match value {
            Value::Simple(text) => leaf(Kind::Simple, text),
            Value::Error(text) => leaf(Kind::Error, text),
            Value::Integer(number) => leaf(Kind::Integer, number.to_string().as_bytes()),
            Value::Bulk(text) => leaf(Kind::Bulk, text),
            Value::Verbatim(_, text) => leaf(Kind::Verbatim, text),
            Value::Double(text) => leaf(Kind::Double, text),
            Value::Bool(truth) => leaf(Kind::Bool, if *truth { b"t" } else { b"f" }),
            Value::BigNumber(text) => leaf(Kind::BigNumber, text),
            Value::Null => leaf(Kind::Null, b""),
            Value::NullArray => leaf(Kind::NullArray, b""),
            Value::Array(items) => node(Kind::Array, items),
            Value::Set(items) => node(Kind::Set, items),
            Value::Push(items) => node(Kind::Push, items),
            Value::Map(pairs) => Self {
                kind: Kind::Map,
                text: Vec::new(),
                items: pairs.iter().flat_map(|(key, value)| [Self::from(key), Self::from(value)]).collect(),
                open: false,
            },
        }
    }
}

impl Expected {
    /// Reads a reply from `lines`: the first without its `< `, the others indented.
    pub fn parse(lines: &[&str]) -> Result<Self, String> {
        let mut at = 0;
        let expected = Self::parse_at(lines, &mut at, 0)?;
        if at < lines.len() {
            return Err(format!("line {} of the reply is one too many or badly indented", at + 1));
        }
        Ok(expected)
    }

    fn parse_at(lines: &[&str], at: &mut usize, depth: usize) -> Result<Self, String> {
        let line = lines.get(*at).ok_or("the reply ends before its last element")?;
        let written = line.strip_prefix(&"  ".repeat(depth)).filter(|rest| !rest.starts_with(' '));
        let written =
            written.ok_or_else(|| format!("line {} of the reply must be indented {} blanks", *at + 1, depth * 2))?;
        *at += 1;
        let leaf = |kind, text| Ok(Self { kind, text, items: Vec::new(), open: false });
        match written {
            "nil" => return leaf(Kind::Null, Vec::new()),
            "*nil" => return leaf(Kind::NullArray, Vec::new()),
            _ => {}
        }
        let mark = written.chars().next();
        let found = MARKS.iter().find(|(_, known)| Some(*known) == mark);
        let (kind, rest) =
            found.map(|(kind, _)| (*kind, &written[1..])).ok_or_else(|| format!("no kind of reply: {written}"))?;
        if !kind.is_aggregate() {
            return leaf(kind, words::untext(rest)?);
        }
        let (digits, open) = rest.strip_suffix('+').map_or((rest, false), |digits| (digits, true));
        let len: usize = digits.parse().map_err(|_| format!("no number of elements: {written}"))?;
        let mut items = Vec::new();
        for _ in 0..len * if kind == Kind::Map { 2 } else { 1 } {
            items.push(Self::parse_at(lines, at, depth + 1)?);
        }
        Ok(Self { kind, text: Vec::new(), items, open })
    }

    /// The lines that [`Expected::parse`] reads.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.write_lines(0, &mut lines);
        lines
    }

    fn write_lines(&self, depth: usize, lines: &mut Vec<String>) {
        let mark = MARKS.iter().find(|(kind, _)| *kind == self.kind).map_or(' ', |(_, mark)| *mark);
        let written = match self.kind {
            Kind::Null => "nil".to_owned(),
            Kind::NullArray => "*nil".to_owned(),
            kind if kind.is_aggregate() => {
                let len = self.items.len() / if kind == Kind::Map { 2 } else { 1 };
                format!("{mark}{len}{}", if self.open { "+" } else { "" })
            }
            _ => format!("{mark}{}", words::text(&self.text)),
        };
        lines.push(format!("{}{written}", "  ".repeat(depth)));
        for item in &self.items {
            item.write_lines(depth + 1, lines);
        }
    }

    /// The reply with the elements of its sets in byte order, so that it is written the same every time.
    pub fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.items = self.items.iter().map(Self::sorted).collect();
        if self.kind == Kind::Set {
            sorted.items.sort_by_cached_key(Self::lines);
        }
        sorted
    }

    /// The reply with every text changed by `change`.
    pub fn map_texts(&self, change: &impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let items = self.items.iter().map(|item| item.map_texts(change)).collect();
        Self { kind: self.kind, text: change(&self.text), items, open: self.open }
    }

    /// The reply as `protocol` can show it, for people to read.
    pub fn in_protocol(&self, protocol: Protocol) -> Self {
        Self {
            kind: self.kind.in_protocol(protocol),
            text: self.text_in(protocol).to_vec(),
            items: self.items.iter().map(|item| item.in_protocol(protocol)).collect(),
            open: self.open,
        }
    }

    fn text_in(&self, protocol: Protocol) -> &[u8] {
        match (self.kind, protocol, &self.text[..]) {
            (Kind::Bool, Protocol::Resp2, b"t") => b"1",
            (Kind::Bool, Protocol::Resp2, _) => b"0",
            (_, _, text) => text,
        }
    }

    /// True when `got` is this reply in `protocol`. A set has no order; anything else has one unless leniency says otherwise.
    pub fn admits(&self, got: &Self, protocol: Protocol, leniency: Leniency) -> bool {
        if self.kind.in_protocol(protocol) != got.kind {
            return false;
        }
        if leniency.any {
            return true;
        }
        if !self.kind.is_aggregate() {
            let text = self.text_in(protocol);
            return text == got.text || leniency.globs && glob(text, &got.text);
        }
        let stride = if self.kind == Kind::Map { 2 } else { 1 };
        let enough = if self.open { self.items.len() <= got.items.len() } else { self.items.len() == got.items.len() };
        if !enough || !got.items.len().is_multiple_of(stride) {
            return false;
        }
        let same = |wanted: &[Self], got: &[Self]| {
            wanted.iter().zip(got).all(|(wanted, got)| wanted.admits(got, protocol, leniency))
        };
        if !leniency.unordered && self.kind != Kind::Set {
            return same(&self.items, &got.items);
        }
        let mut left: Vec<&[Self]> = got.items.chunks(stride).collect();
        self.items.chunks(stride).all(|wanted| {
            let found = left.iter().position(|got| same(wanted, got));
            found.map(|index| left.remove(index)).is_some()
        })
    }

    /// One reply that is right in both protocols, from what each of them showed, if there is one.
    pub fn merged(resp2: &Self, resp3: &Self, leniency: Leniency) -> Option<Self> {
        let merged = resp3.with_null_arrays_of(resp2);
        merged.admits(resp2, Protocol::Resp2, leniency).then_some(merged)
    }

    fn with_null_arrays_of(&self, resp2: &Self) -> Self {
        if (self.kind, resp2.kind) == (Kind::Null, Kind::NullArray) {
            return resp2.clone();
        }
        let mut merged = self.clone();
        for (item, other) in merged.items.iter_mut().zip(&resp2.items) {
            *item = item.with_null_arrays_of(other);
        }
        merged
    }
}

/// True when `text` is `pattern`, in which `*` stands for any bytes and nothing else is special.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&[u8]> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let found = (0..=rest.len().saturating_sub(part.len())).find(|&at| rest[at..].starts_with(part));
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Expected {
        Expected::parse(&text.lines().collect::<Vec<_>>()).expect(text)
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "+OK",
            "-ERR no such key",
            ":-5",
            "$a b",
            "$\"\"",
            "$\"a\\r\\n\\x00\"",
            "=text",
            ",1.5",
            "#t",
            "(123456789012345678901234567890",
            "nil",
            "*nil",
            "*0",
            "*2\n  $a\n  *1\n    nil",
            "%1\n  $a\n  ~2\n    :1\n    :2",
            "%1+\n  $a\n  $b",
            ">1\n  $invalidate",
        ] {
            assert_eq!(parse(text).lines().join("\n"), text);
        }
        for bad in ["", "OK", "*2\n  $a", "*1\n  $a\n  $b", "*1\n$a", "*1\n    $a", "*x", "$\"a", "%1\n  $a"] {
            assert!(Expected::parse(&bad.lines().collect::<Vec<_>>()).is_err(), "{bad}");
        }
    }

    #[test]
    fn replies_are_compared_as_their_protocol_shows_them() {
        use Protocol::{Resp2, Resp3};
        let strict = Leniency::default();
        let globs = Leniency { globs: true, ..strict };
        let unordered = Leniency { unordered: true, ..strict };
        let any = Leniency { any: true, ..strict };
        let check = |wanted: &str, got: &str, protocol, leniency, same: bool| {
            assert_eq!(parse(wanted).admits(&parse(got), protocol, leniency), same, "{wanted}\nagainst\n{got}");
        };
        for (wanted, got) in [
            (",1.5", "$1.5"),
            ("=a", "$a"),
            ("#t", ":1"),
            ("#f", ":0"),
            ("%1\n  $a\n  ,1", "*2\n  $a\n  $1"),
            ("~2\n  $a\n  $b", "*2\n  $b\n  $a"),
            ("*nil", "*nil"),
        ] {
            check(wanted, got, Resp2, strict, true);
            check(wanted, got, Resp3, strict, parse(wanted) == parse(got) && wanted != "*nil");
        }
        check("*nil", "nil", Resp3, strict, true);
        check("*nil", "nil", Resp2, strict, false);
        check("nil", "*nil", Resp2, strict, false);
        check("~2\n  $a\n  $b", "~2\n  $b\n  $a", Resp3, strict, true);
        check("~2\n  $a\n  $b", "~2\n  $a\n  $a", Resp3, strict, false);
        check("*2\n  $a\n  $b", "*2\n  $b\n  $a", Resp3, strict, false);
        check("*2\n  $a\n  $b", "*2\n  $b\n  $a", Resp3, unordered, true);
        check("%2\n  $a\n  :1\n  $b\n  :2", "%2\n  $b\n  :2\n  $a\n  :1", Resp3, unordered, true);
        check("%2\n  $a\n  :1\n  $b\n  :2", "*4\n  $b\n  :2\n  $a\n  :1", Resp2, unordered, true);
        check("%2\n  $a\n  :1\n  $b\n  :2", "*4\n  $b\n  :1\n  $a\n  :2", Resp2, unordered, false);
        check("%1+\n  $b\n  :2", "%2\n  $a\n  :1\n  $b\n  :2", Resp3, unordered, true);
        check("*1+\n  $a", "*2\n  $a\n  $b", Resp3, strict, true);
        check("*1+\n  $b", "*2\n  $a\n  $b", Resp3, strict, false);
        check("*1+\n  $a", "*0", Resp3, strict, false);
        check("*1\n  $a", "*0", Resp3, any, true);
        check("$a", "nil", Resp3, any, false);
        check(":*", ":12", Resp3, globs, true);
        check("$a*b*", "$axxb", Resp3, globs, true);
        check("$a*b*c", "$acb", Resp3, globs, false);
        check("$a*ba", "$aba", Resp3, globs, true);
        check("$ab*ba", "$aba", Resp3, globs, false);
        check("$a*", "$a", Resp3, strict, false);
    }

    #[test]
    fn both_protocols_merge_into_one_reply() {
        let check = |resp2: &str, resp3: &str, merged: Option<&str>| {
            let found = Expected::merged(&parse(resp2), &parse(resp3), Leniency::default());
            assert_eq!(found, merged.map(parse), "{resp2} and {resp3}");
        };
        check("$1.5", ",1.5", Some(",1.5"));
        check("*nil", "nil", Some("*nil"));
        check("*2\n  *nil\n  nil", "*2\n  nil\n  nil", Some("*2\n  *nil\n  nil"));
        check("*2\n  $a\n  $1", "*1\n  *2\n    $a\n    ,1", None);
    }
}
