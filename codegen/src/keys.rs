//! Where a row's keys are, derived from its arguments.
//!
//! Owns: key groups (Redis's key specs), their flags, and the one summary that routing uses. Refuses to know: Rust source.
//! Start at [`groups`], then [`summary`]. Positions count the words after the command's name, from 0.

use crate::model::{Access, Arg, Row, Shape};

/// Keys that are found in the same way and used in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGroup {
    /// What the command does to them.
    pub access: Access,
    /// Redis's words for that.
    pub flags: Vec<String>,
    /// Where the search begins.
    pub begin: Begin,
    /// How the keys lie from there.
    pub find: Find,
    /// How many arguments of the row they are.
    pub keys: usize,
}

impl KeyGroup {
    /// Takes `next` in when it is the single key behind this one and is used in the same way.
    fn absorb(&mut self, next: &KeyGroup) -> bool {
        let (Begin::Index(start), Begin::Index(at)) = (&self.begin, &next.begin) else { return false };
        let single = Find::Range { last: 0, step: 1, limit: 0 };
        let Find::Range { last, step: 1, limit: 0 } = &mut self.find else { return false };
        let follows = *last >= 0 && *at == start + *last as usize + 1;
        if !follows || next.find != single || self.access != next.access || self.flags != next.flags {
            return false;
        }
        *last += 1;
        self.keys += 1;
        true
    }
}

/// Where the search for keys begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// At a position.
    Index(usize),
    /// After a word, looked for from a position.
    Keyword {
        /// The word.
        word: String,
        /// The first position where it may be; a negative one is counted from the end, and it is looked for towards the front.
        start_from: i32,
    },
    /// Only the parser knows.
    Unknown,
}

/// How keys lie from where the search begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` (0: only the first; negative: counted from the end), every `step`th word.
    Range {
        /// Relative to the beginning, or from the end when negative.
        last: i32,
        /// From one key to the next.
        step: usize,
        /// 2 when only the first half are keys, else 0.
        limit: u32,
    },
    /// A count, then as many keys.
    Counted {
        /// From one key to the next.
        step: usize,
    },
    /// Only the parser knows.
    Unknown,
}

/// All keys of a row in one value, where that is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// No keys.
    None,
    /// One key at a position.
    One(usize),
    /// From `first` to `last` (from the end when negative), every `step`th word.
    Range {
        /// Position of the first.
        first: usize,
        /// Position of the last, or from the end when negative.
        last: i32,
        /// From one key to the next.
        step: usize,
    },
    /// Fixed keys, then a count at `at` and as many keys behind it.
    Counted {
        /// Position of the count.
        at: usize,
        /// Positions of fixed keys before it.
        before: Vec<usize>,
    },
    /// Only the parser knows.
    Parser,
}

/// The key groups of a row, in the order of its arguments.
pub fn groups(row: &Row) -> Vec<KeyGroup> {
    let mut found = Vec::new();
    let mut position = Some(0);
    let mut least = 0;
    for (index, arg) in row.args.iter().enumerate() {
        let after = &row.args[index + 1..];
        collect(row, arg, position, least, after, &mut found);
        position = position.zip(arg.fixed_words()).map(|(position, words)| position + words);
        least += arg.min_words();
    }
    let mut groups: Vec<KeyGroup> = Vec::new();
    for group in found {
        if !groups.last_mut().is_some_and(|last| last.absorb(&group)) {
            groups.push(group);
        }
    }
    groups
}

fn collect(row: &Row, arg: &Arg, position: Option<usize>, least: usize, after: &[Arg], found: &mut Vec<KeyGroup>) {
    let token = usize::from(arg.token.is_some());
    let tail: Option<usize> = after.iter().map(Arg::fixed_words).sum();
    let begin = match (position, &arg.token) {
        (Some(position), _) if !arg.optional || is_no_key(arg) => Begin::Index(position + token),
        // Keys up to the end may be many: their word is looked for from there.
        (_, Some(word)) if arg.multiple && !arg.counted && tail == Some(0) => {
            Begin::Keyword { word: word.value.clone(), start_from: -2 }
        }
        (_, Some(word)) => Begin::Keyword { word: word.value.clone(), start_from: least as i32 },
        _ => Begin::Unknown,
    };
    let last_of_many = tail.map(|tail| -1 - tail as i32);
    match &arg.shape {
        Shape::Scalar(_) if arg.is_key() => {
            let find = match (arg.counted, arg.multiple, last_of_many) {
                (true, ..) => Find::Counted { step: 1 },
                (_, true, Some(last)) => Find::Range { last, step: 1, limit: 0 },
                (_, true, None) => Find::Unknown,
                _ => Find::Range { last: 0, step: 1, limit: 0 },
            };
            found.push(key_group(row, arg, begin, find));
        }
        Shape::Scalar(_) => {}
        Shape::Block(parts) if !arg.optional => {
            let mut offset = Some(0);
            for (index, part) in parts.iter().enumerate() {
                if arg.multiple {
                    if part.is_key() {
                        let begin = match (&begin, offset) {
                            (Begin::Index(start), Some(offset)) if !arg.counted => Begin::Index(start + offset),
                            (Begin::Index(start), Some(0)) => Begin::Index(*start),
                            _ => Begin::Unknown,
                        };
                        let find = match (arg.fixed_value_words(), last_of_many) {
                            (Some(step), _) if arg.counted => Find::Counted { step },
                            (Some(step), Some(last)) => Find::Range { last, step, limit: 0 },
                            _ => Find::Unknown,
                        };
                        found.push(key_group(row, part, begin, find));
                    }
                } else {
                    let position = position.zip(offset).map(|(position, offset)| position + token + offset);
                    let rest: Vec<Arg> = parts[index + 1..].iter().chain(after).cloned().collect();
                    collect(row, part, position, least + token, &rest, found);
                }
                offset = offset.zip(part.fixed_words()).map(|(offset, words)| offset + words);
            }
        }
        Shape::RestSplit(halves) => {
            if let Some(half) = halves.first().filter(|half| half.is_key()) {
                let begin = match &arg.token {
                    Some(word) => Begin::Keyword { word: word.value.clone(), start_from: least as i32 },
                    None => begin,
                };
                found.push(key_group(row, half, begin, Find::Range { last: -1, step: 1, limit: 2 }));
            }
        }
        Shape::OneOf(parts) | Shape::Block(parts) => {
            for key in parts.iter().flat_map(all_keys) {
                found.push(key_group(row, key, Begin::Unknown, Find::Unknown));
            }
        }
    }
}

/// True for what only stands where a key would, such as a shard channel.
fn is_no_key(arg: &Arg) -> bool {
    arg.key_flags.iter().flatten().any(|flag| flag == "NOT_KEY")
}

/// Every key argument inside `arg`.
pub fn all_keys(arg: &Arg) -> Vec<&Arg> {
    if arg.is_key() { vec![arg] } else { arg.children().iter().flat_map(all_keys).collect() }
}

/// What a row does to one of its key arguments.
pub fn access(row: &Row, arg: &Arg) -> Access {
    arg.access.as_ref().map_or(row.access.value, |access| access.value)
}

fn key_group(row: &Row, arg: &Arg, begin: Begin, find: Find) -> KeyGroup {
    let access = access(row, arg);
    let flags = arg.key_flags.clone().unwrap_or_else(|| {
        let words: &[&str] = match access {
            Access::Read => &["RO", "ACCESS"],
            Access::Write => &["RW", "UPDATE"],
            Access::None => &["RO"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    });
    KeyGroup { access, flags, begin, find, keys: 1 }
}

/// The one value that routing uses.
pub fn summary(groups: &[KeyGroup]) -> Summary {
    let mut summary = Summary::None;
    for group in groups.iter().filter(|group| !group.flags.iter().any(|flag| flag == "NOT_KEY")) {
        let (Begin::Index(start), find) = (&group.begin, &group.find) else { return Summary::Parser };
        let start = *start;
        summary = match (summary, find) {
            (Summary::None, &Find::Range { last: 0, limit: 0, .. }) => Summary::One(start),
            (Summary::None, &Find::Range { last, step, limit: 0 }) => {
                Summary::Range { first: start, last: absolute(start, last), step }
            }
            (Summary::One(first), &Find::Range { last, step: 1, limit: 0 }) if start == first + 1 => {
                Summary::Range { first, last: absolute(start, last), step: 1 }
            }
            (Summary::Range { first, last: end, step: 1 }, &Find::Range { last, step: 1, limit: 0 })
                if end >= 0 && start as i32 == end + 1 =>
            {
                Summary::Range { first, last: absolute(start, last), step: 1 }
            }
            (Summary::None, Find::Counted { step: 1 }) => Summary::Counted { at: start, before: Vec::new() },
            (Summary::One(first), Find::Counted { step: 1 }) => Summary::Counted { at: start, before: vec![first] },
            _ => return Summary::Parser,
        };
    }
    summary
}

/// The position of the last key, where that counts from the front.
fn absolute(start: usize, last: i32) -> i32 {
    if last < 0 { last } else { start as i32 + last }
}

/// True when the keys cannot be told from fixed positions: Redis's `movablekeys`.
pub fn are_movable(groups: &[KeyGroup]) -> bool {
    groups.iter().any(|group| !matches!((&group.begin, &group.find), (Begin::Index(_), Find::Range { limit: 0, .. })))
}
