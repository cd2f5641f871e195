//! Which keys belong together: the values of `locality` and `pinned-databases`.
//!
//! Owns: what a locality pattern is and which part of a key it takes, the set of pinned databases, how both are read and
//! shown. Refuses to know: shards and the hash; `shard/routing.rs` decides with these. Start at [`Locality::tag`].
//!
//! Both are fixed when a data directory is made, because they say on which shard each of its keys lies.

use std::fmt;
use std::str::FromStr;

use super::value::{Kind, Refusal, Value, utf8};
use crate::limits::{DATABASES, LOCALITY_PATTERN_BYTES_MAX, LOCALITY_PATTERNS_MAX};
use crate::resp::number::parse_i64;

/// Patterns of keys that live where the first part of their name says. The first pattern that fits decides.
///
/// ```
/// use kora_runtime::config::Locality;
///
/// let locality: Locality = "bull:*:".parse().unwrap();
/// assert_eq!(locality.tag(b"bull:mail:wait"), Some(&b"bull:mail"[..]));
/// assert_eq!(locality.tag(b"cat:mail:wait"), None);
///
/// let locality: Locality = "rq:".parse().unwrap();
/// assert_eq!(locality.tag(b"rq:job:1"), Some(&b"rq:"[..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locality(Vec<Pattern>);

/// Text, one `*`, text that is not empty; the `*` stands for the fewest bytes, at least one, that end where the second
/// text begins. Or text alone, with which a key begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: Box<str>,
    /// What stands behind the `*`; empty without one.
    after: Box<str>,
}

impl Locality {
    /// True when there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns in their order, as they were written.
    pub fn patterns(&self) -> impl ExactSizeIterator<Item = String> {
        self.0.iter().map(Pattern::to_string)
    }

    /// What decides about a key that fits a pattern: its name up to the pattern's second text, without it. So `bull:mail`
    /// decides about `bull:mail:wait`, and about the key `bull:mail` itself, which fits no pattern but is the same text.
    pub fn tag<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        self.0.iter().find_map(|pattern| pattern.tag(key))
    }
}

impl Pattern {
    fn tag<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        if !key.starts_with(self.before.as_bytes()) {
            return None;
        }
        if self.after.is_empty() {
            return Some(&key[..self.before.len()]);
        }
        // One byte further on: the run is not empty.
        let run_at = self.before.len() + 1;
        let end = memchr::memmem::find(key.get(run_at..)?, self.after.as_bytes())?;
        Some(&key[..run_at + end])
    }
}

impl FromStr for Pattern {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() > LOCALITY_PATTERN_BYTES_MAX {
            return Err(Refusal::WordTooLong(LOCALITY_PATTERN_BYTES_MAX));
        }
        let (before, after) = text.split_once('*').unwrap_or((text, ""));
        let starred = text.len() > before.len();
        // A key with a tag in braces goes by the tag, so a pattern of such keys would mean nothing.
        if text.is_empty() || starred && after.is_empty() || after.contains('*') || text.contains(['{', '}']) {
            return Err(Refusal::NotLocality);
        }
        Ok(Self { before: before.into(), after: after.into() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.after.is_empty() { "" } else { "*" };
        write!(f, "{}{star}{}", self.before, self.after)
    }
}

impl FromStr for Locality {
    type Err = Refusal;

    /// Patterns separated by blanks.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.len() > LOCALITY_PATTERNS_MAX {
            return Err(Refusal::TooManyWords(LOCALITY_PATTERNS_MAX));
        }
        words.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.patterns().collect::<Vec<_>>().join(" "))
    }
}

impl Value for Locality {
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        *self = utf8(text)?.parse()?;
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        self.to_string()
    }
}

/// Databases whose keys all live on one shard each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PinnedDatabases(u32);

const _: () = assert!(DATABASES <= u32::BITS as usize);

impl PinnedDatabases {
    /// The set whose member `db` is bit `db`; `None` when a bit is no database.
    pub fn from_bits(bits: u32) -> Option<Self> {
        (u64::from(bits) < 1 << DATABASES).then_some(Self(bits))
    }

    /// Bit `db` is 1 for each member.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// True when no database is pinned.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when this database is pinned.
    #[inline]
    pub fn contains(self, db: u8) -> bool {
        self.0.checked_shr(u32::from(db)).is_some_and(|bits| bits & 1 == 1)
    }

    /// The members, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..DATABASES as u8).filter(move |db| self.contains(*db))
    }
}

impl FromStr for PinnedDatabases {
    type Err = Refusal;

    /// Numbers separated by blanks.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        text.split_ascii_whitespace().try_fold(Self::default(), |set, word| {
            let db = parse_i64(word.as_bytes()).ok_or(Refusal::NotAnInteger)?;
            let db = usize::try_from(db).ok().filter(|db| *db < DATABASES);
            let db = db.ok_or(Refusal::OutOfRange(0, DATABASES as i128 - 1))?;
            Ok(Self(set.0 | 1 << db))
        })
    }
}

impl fmt::Display for PinnedDatabases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(|db| db.to_string()).collect::<Vec<_>>().join(" "))
    }
}

impl Value for PinnedDatabases {
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        *self = utf8(text)?.parse()?;
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_shortest_run_that_is_not_empty() {
        for (patterns, key, expected) in [
            ("bull:*:", "bull:mail:wait", Some("bull:mail")),
            ("bull:*:", "bull:mail:1:lock", Some("bull:mail")),
            ("bull:*:", "bull:mail:", Some("bull:mail")),
            ("bull:*:", "bull:mail", None),
            ("bull:*:", "bull::x:y", Some("bull::x")),
            ("bull:*:", "bull::", None),
            ("bull:*:", "bull:", None),
            ("bull:*:", "bull", None),
            ("bull:*:", "a bull:mail:wait", None),
            ("bull:*:", "", None),
            ("rq:", "rq:job:1", Some("rq:")),
            ("rq:", "rq:", Some("rq:")),
            ("rq:", "rq", None),
            ("rq:", "brq:", None),
            ("*:", "user:1", Some("user")),
            ("*:", ":1", None),
            ("q*--end", "q1-2--end", Some("q1-2")),
            ("a:*: b:*:", "b:x:y", Some("b:x")),
            // The first that fits decides, not the longest.
            ("a:*: a:*:x:", "a:1:x:2", Some("a:1")),
            ("a:*:x: a:*:", "a:1:x:2", Some("a:1")),
            ("a:*:x: a:*:", "a:1:2:x:3", Some("a:1:2")),
            ("", "bull:mail:wait", None),
            ("é*é", "éxé", Some("éx")),
        ] {
            let locality: Locality = patterns.parse().expect(patterns);
            assert_eq!(locality.tag(key.as_bytes()), expected.map(str::as_bytes), "{patterns} {key}");
        }
    }

    #[test]
    fn locality_is_shown_as_it_is_read() {
        let check = |text: &str, expected: Result<&str, Refusal>| {
            let shown = text.parse::<Locality>().map(|locality| locality.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{text}");
        };
        check("", Ok(""));
        check("  bull:*:   q*/ ", Ok("bull:*: q*/"));
        for wrong in ["bull:*", "*", "**:", "a*b*c", "{*}:", "a{*:", "*}"] {
            check(wrong, Err(Refusal::NotLocality));
        }
        check(&format!("*{}", "x".repeat(LOCALITY_PATTERN_BYTES_MAX)), Err(Refusal::WordTooLong(64)));
        check(&"a*: ".repeat(LOCALITY_PATTERNS_MAX + 1), Err(Refusal::TooManyWords(16)));
        assert!("a*: ".repeat(LOCALITY_PATTERNS_MAX).parse::<Locality>().is_ok());
        assert_eq!(Locality::default().assign(b"\xff*:", Kind::Locality), Err(Refusal::NotText));
    }

    #[test]
    fn pinned_databases_are_a_set_of_numbers() {
        let check = |text: &str, expected: Result<&str, Refusal>| {
            let shown = text.parse::<PinnedDatabases>().map(|pinned| pinned.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{text}");
        };
        check("", Ok(""));
        check("5 3 5 0", Ok("0 3 5"));
        check("15", Ok("15"));
        check("16", Err(Refusal::OutOfRange(0, 15)));
        check("-1", Err(Refusal::OutOfRange(0, 15)));
        check("3:1", Err(Refusal::NotAnInteger));
        check("03", Err(Refusal::NotAnInteger));
        let pinned: PinnedDatabases = "3 5".parse().expect("two databases");
        assert_eq!((0..=255).filter(|db| pinned.contains(*db)).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(PinnedDatabases::from_bits(pinned.bits()), Some(pinned));
        assert_eq!(PinnedDatabases::from_bits(1 << 16), None);
    }
}
