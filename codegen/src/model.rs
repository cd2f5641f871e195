//! The table as the rest of the generator sees it: rows whose words have been read, each with its place.
//!
//! Owns: rows and arguments, and what follows from them by plain arithmetic (arity, first tokens). Refuses to know: TOML, Rust
//! source. Start at [`Table`], then [`Row`] and [`Arg`]; the words are in `vocabulary`.

use crate::diagnostic::{At, Spanned};
pub use crate::vocabulary::*;

/// The error texts an argument overrides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Errors {
    /// A count below the minimum.
    pub zero: Option<String>,
    /// A count above what is there.
    pub many: Option<String>,
    /// A count that is not an integer.
    pub integer: Option<String>,
    /// Repeated blocks or halves that do not come out even.
    pub odd: Option<String>,
    /// Two members of one choice.
    pub conflict: Option<String>,
    /// A required option that is not there.
    pub missing: Option<String>,
    /// A value below the smallest.
    pub min: Option<String>,
}

impl Errors {
    /// The keys of the `errors` table.
    pub const WORDS: &'static [&'static str] = &["zero", "many", "integer", "odd", "conflict", "missing", "min"];
}

/// What an argument consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// One word, or none for a flag.
    Scalar(Type),
    /// One of several.
    OneOf(Vec<Arg>),
    /// Several in a row.
    Block(Vec<Arg>),
    /// Two halves of what is left.
    RestSplit(Vec<Arg>),
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: Spanned<String>,
    /// What it consists of.
    pub shape: Shape,
    /// The word before it, in upper case.
    pub token: Option<Spanned<String>>,
    /// It may be left out.
    pub optional: bool,
    /// It may stand several times.
    pub multiple: bool,
    /// The token stands before every value.
    pub token_each: bool,
    /// The values are preceded by their count.
    pub counted: bool,
    /// The smallest count.
    pub count_min: u32,
    /// What COMMAND DOCS calls the count.
    pub count_name: String,
    /// As many values as this earlier argument has.
    pub as_many_as: Option<Spanned<String>>,
    /// It may be given again, or, when false, not even a flag may.
    pub repeatable: Option<bool>,
    /// A later member of a choice replaces an earlier one.
    pub last_wins: bool,
    /// Its text is judged after all words have found their places.
    pub late: bool,
    /// The smallest value.
    pub min: Option<i64>,
    /// Required, but takes part in the options around it.
    pub any_order: bool,
    /// An empty word is no key.
    pub empty_is_none: bool,
    /// Other than the row's access.
    pub access: Option<Spanned<Access>>,
    /// The key's flags, where the derived ones do not fit.
    pub key_flags: Option<Vec<String>>,
    /// The text when the value does not parse.
    pub error: Option<String>,
    /// Other texts.
    pub errors: Errors,
    /// The name that COMMAND DOCS shows.
    pub doc: Option<String>,
}

impl Arg {
    /// True for a key.
    pub fn is_key(&self) -> bool {
        self.shape == Shape::Scalar(Type::Key)
    }

    /// True for a word alone.
    pub fn is_flag(&self) -> bool {
        self.shape == Shape::Scalar(Type::Flag)
    }

    /// The parts of a choice, a block or a split.
    pub fn children(&self) -> &[Arg] {
        match &self.shape {
            Shape::Scalar(_) => &[],
            Shape::OneOf(children) | Shape::Block(children) | Shape::RestSplit(children) => children,
        }
    }

    /// The fewest words one value takes, its own token included.
    pub fn value_words(&self) -> usize {
        let token = usize::from(self.token.is_some());
        token
            + match &self.shape {
                Shape::Scalar(Type::Flag) => 0,
                Shape::Scalar(_) => 1,
                Shape::OneOf(variants) => variants.iter().map(Arg::min_words).min().unwrap_or(0),
                Shape::Block(parts) => parts.iter().map(Arg::min_words).sum(),
                Shape::RestSplit(_) => 2,
            }
    }

    /// The fewest words it takes in its sequence.
    pub fn min_words(&self) -> usize {
        if self.optional {
            0
        } else if self.counted {
            let token = usize::from(self.token.is_some());
            token + 1 + self.count_min as usize * (self.value_words() - token)
        } else {
            self.value_words()
        }
    }

    /// The number of words when that is always the same.
    pub fn fixed_words(&self) -> Option<usize> {
        if self.optional || self.multiple {
            return None;
        }
        self.fixed_value_words()
    }

    /// The number of words of one value when that is always the same, its token included.
    pub fn fixed_value_words(&self) -> Option<usize> {
        let token = usize::from(self.token.is_some());
        let value = match &self.shape {
            Shape::Scalar(Type::Flag) => 0,
            Shape::Scalar(_) => 1,
            Shape::Block(parts) => parts.iter().map(Arg::fixed_words).sum::<Option<usize>>()?,
            Shape::OneOf(variants) => {
                let mut lengths = variants.iter().map(Arg::fixed_words);
                let first = lengths.next()??;
                lengths.all(|length| length == Some(first)).then_some(first)?
            }
            Shape::RestSplit(_) => return None,
        };
        Some(token + value)
    }

    /// The tokens it may begin with; empty when it may begin with any word.
    pub fn first_tokens(&self) -> Vec<&str> {
        if let Some(token) = &self.token {
            return vec![token];
        }
        if self.counted {
            return Vec::new();
        }
        match &self.shape {
            Shape::Scalar(_) | Shape::RestSplit(_) => Vec::new(),
            Shape::OneOf(variants) => {
                let sets: Vec<_> = variants.iter().map(Arg::first_tokens).collect();
                if sets.iter().any(Vec::is_empty) { Vec::new() } else { sets.concat() }
            }
            Shape::Block(parts) => {
                let mut tokens = Vec::new();
                for part in parts {
                    let first = part.first_tokens();
                    if first.is_empty() {
                        return Vec::new();
                    }
                    tokens.extend(first);
                    if !part.optional {
                        return tokens;
                    }
                }
                tokens
            }
        }
    }

    /// True when it can be told from its first word.
    pub fn starts_with_token(&self) -> bool {
        !self.first_tokens().is_empty()
    }

    /// True when it takes part in a run of options.
    pub fn in_run(&self) -> bool {
        self.starts_with_token() && (self.optional || self.any_order)
    }
}

/// A group of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Spanned<String>,
    /// Who implements its trait.
    pub owner: Owner,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name in upper case, `CONTAINER|SUB` for a subcommand.
    pub name: Spanned<String>,
    /// The group.
    pub group: Spanned<String>,
    /// The version it came with.
    pub since: Spanned<String>,
    /// One sentence.
    pub summary: Spanned<String>,
    /// Of time.
    pub complexity: Spanned<String>,
    /// What it does to its keys.
    pub access: Spanned<Access>,
    /// Facts.
    pub flags: Vec<Spanned<Flag>>,
    /// ACL categories to add, or to take away with a `-`.
    pub acl: Vec<Spanned<String>>,
    /// Tips to add.
    pub tips: Vec<Spanned<String>>,
    /// Where it runs.
    pub route: Spanned<Route>,
    /// How it reaches the log.
    pub wal: Spanned<Wal>,
    /// What it replies.
    pub reply: Spanned<Reply>,
    /// What too many words are called.
    pub surplus: Surplus,
    /// Another text for a word that is no option.
    pub option_error: Option<Spanned<String>>,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// The frozen number; 0 until the list of numbers has been read.
    pub number: u16,
    /// Another row is a subcommand of this one.
    pub is_container: bool,
}

impl Row {
    /// The name words: `CLIENT` and `KILL`.
    pub fn words(&self) -> (&str, Option<&str>) {
        match self.name.split_once('|') {
            Some((container, sub)) => (container, Some(sub)),
            None => (&self.name, None),
        }
    }

    /// How many words the name has.
    pub fn name_words(&self) -> usize {
        if self.words().1.is_some() { 2 } else { 1 }
    }

    /// The name in lower case.
    pub fn lower(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// The line that emitted code points to.
    pub fn line(&self) -> u32 {
        self.name.at.line
    }

    /// The fewest words after the name.
    pub fn min_words(&self) -> usize {
        self.args.iter().map(Arg::min_words).sum()
    }

    /// The number of words after the name when that is always the same.
    pub fn fixed_words(&self) -> Option<usize> {
        self.args.iter().map(Arg::fixed_words).sum()
    }

    /// Redis's arity: name words counted, negative for "at least".
    pub fn arity(&self) -> i32 {
        let words = (self.name_words() + self.min_words()) as i32;
        if self.fixed_words().is_some() && !self.is_container { words } else { -words }
    }

    /// True when the text of some value is judged late.
    pub fn has_late(&self) -> bool {
        fn any_late(args: &[Arg]) -> bool {
            args.iter().any(|arg| arg.late || any_late(arg.children()))
        }
        any_late(&self.args)
    }

    /// True when `flag` is set.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.iter().any(|set| set.value == flag)
    }
}

/// The whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The file, as it is named in diagnostics and comments.
    pub file: String,
    /// The groups that need more than a name, and those that rows mention.
    pub groups: Vec<Group>,
    /// The rows in the order of the file.
    pub rows: Vec<Row>,
}

impl Table {
    /// The groups in the order in which rows first mention them, with their owners.
    pub fn groups_in_order(&self) -> Vec<(&str, Owner)> {
        let mut seen: Vec<(&str, Owner)> = Vec::new();
        for row in &self.rows {
            if !seen.iter().any(|(name, _)| *name == row.group.value) {
                seen.push((&row.group, self.owner(&row.group)));
            }
        }
        seen
    }

    /// Who implements a group.
    pub fn owner(&self, group: &str) -> Owner {
        self.groups.iter().find(|candidate| candidate.name.value == group).map_or(Owner::Runtime, |found| found.owner)
    }

    /// The containers in the order in which rows first mention them, with the row of the same name if there is one.
    pub fn containers(&self) -> Vec<(&str, Option<&Row>)> {
        let mut seen: Vec<(&str, Option<&Row>)> = Vec::new();
        for row in &self.rows {
            if let (container, Some(_)) = row.words()
                && !seen.iter().any(|(name, _)| *name == container)
            {
                seen.push((container, self.rows.iter().find(|bare| bare.name.value == container)));
            }
        }
        seen
    }
}

/// Where something is when nothing better is known.
pub const START: At = At { line: 1, column: 1 };
