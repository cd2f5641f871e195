//! What one shard tells for INFO, and how the parts of all shards become one.
//!
//! Owns: the text in which a part travels. Refuses to know: what the facts mean. Start at [`Facts`].
//!
//! ```text
//! +NAME NUMBER      is added to that of the other parts
//! ^NAME NUMBER      the largest of all parts counts
//! =NAME TEXT        only one part has it
//! ```
//! One fact a line. Names have no blanks, texts no line ends.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::ops::Bound;

use super::sections::{Section, Sections};
use crate::resp::number::parse_i64;
use crate::resp::value::text_of;

/// The sections whose facts MEMORY STATS is made of.
pub const MEMORY_FACTS: Sections = Sections::of(&[Section::Memory, Section::Keyspace]);

/// Facts by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    sums: BTreeMap<String, u64>,
    largest: BTreeMap<String, u64>,
    texts: BTreeMap<String, String>,
}

impl Facts {
    /// A number that adds up over the parts.
    pub fn add(&mut self, name: impl Into<String>, number: u64) {
        let sum = self.sums.entry(name.into()).or_default();
        *sum = sum.saturating_add(number);
    }

    /// A number of which the largest counts.
    pub fn raise(&mut self, name: impl Into<String>, number: u64) {
        let largest = self.largest.entry(name.into()).or_default();
        *largest = number.max(*largest);
    }

    /// A text, without the line ends it might have.
    pub fn tell(&mut self, name: impl Into<String>, text: impl Display) {
        self.texts.insert(name.into(), text.to_string().replace(['\r', '\n'], " "));
    }

    /// A number, 0 when no part has it.
    pub fn number(&self, name: &str) -> u64 {
        self.sums.get(name).or_else(|| self.largest.get(name)).copied().unwrap_or(0)
    }

    /// A number that adds up; `None` when no part has it.
    pub fn sum(&self, name: &str) -> Option<u64> {
        self.sums.get(name).copied()
    }

    /// A text, empty when no part has it.
    pub fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// Names that begin with `prefix`, without it, and their sums.
    pub fn sums_of<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, u64)> {
        let from = self.sums.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map_while(move |(name, sum)| Some((name.strip_prefix(prefix)?, *sum)))
    }

    /// The part as text.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::new();
        let mut line = |mark: char, name: &str, value: &dyn Display| {
            writeln!(out, "{mark}{name} {value}").expect("writing to a String cannot fail");
        };
        self.sums.iter().for_each(|(name, number)| line('+', name, number));
        self.largest.iter().for_each(|(name, number)| line('^', name, number));
        self.texts.iter().for_each(|(name, text)| line('=', name, text));
        out.into_bytes()
    }

    /// The facts of all parts, which are encoded replies.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut facts = Self::default();
        for part in parts.iter().filter_map(|part| text_of(part)) {
            facts.absorb(&String::from_utf8_lossy(part));
        }
        facts
    }

    fn absorb(&mut self, part: &str) {
        for line in part.lines() {
            let mut rest = line.chars();
            let mark = rest.next();
            let Some((name, value)) = rest.as_str().split_once(' ') else { continue };
            let number = parse_i64(value.as_bytes()).and_then(|number| u64::try_from(number).ok());
            match (mark, number) {
                (Some('+'), Some(number)) => self.add(name, number),
                (Some('^'), Some(number)) => self.raise(name, number),
                (Some('='), _) => self.tell(name, value),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Protocol, ReplyBuf};

    #[test]
    fn parts_add_up() {
        let mut one = Facts::default();
        one.add("keys", 3);
        one.add("cmd get calls".replace(' ', "."), 1);
        one.raise("largest", 10);
        one.tell("os", "Linux 6\nx86_64");
        let mut other = Facts::default();
        other.add("keys", 4);
        other.raise("largest", 7);
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let parts = [&one, &other].map(|facts| {
                let mut reply = ReplyBuf::new(protocol);
                reply.verbatim(&facts.encode());
                reply.into_bytes()
            });
            let facts = Facts::of_parts(&[&parts[0], &parts[1]]);
            assert_eq!((facts.number("keys"), facts.number("largest"), facts.number("nothing")), (7, 10, 0));
            assert_eq!((facts.text("os"), facts.text("nothing")), ("Linux 6 x86_64", ""));
            assert_eq!(facts.sums_of("cmd.").collect::<Vec<_>>(), [("get.calls", 1)]);
        }
    }
}
