//! The table as the rest of the generator sees it: rows whose words have been read, each with its place.
//!
//! Owns: the closed vocabularies (argument types, flags, routes, merges, replies) and what follows from a row by plain
//! arithmetic (arity, names). Refuses to know: TOML, Rust source.
//! Start at [`Table`], then [`Row`] and [`Arg`].

use crate::diagnostic::{At, Spanned};

/// Declares a closed vocabulary: an enum, its words in the table, and the way back.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word of the vocabulary.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The value a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }

            /// The word in the table.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The name of the variant, for emitted Rust.
            pub fn variant(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
    };
}

vocabulary! {
    /// What a command does to its keys.
    Access {
        /// Reads them.
        Read = "read",
        /// Changes them.
        Write = "write",
        /// Has none, or does not look at them.
        None = "none",
    }
}

vocabulary! {
    /// Facts about a command that cannot be derived.
    Flag {
        /// O(1) or O(log n).
        Fast = "fast",
        /// May wait for another client.
        Blocking = "blocking",
        /// For administrators.
        Admin = "admin",
        /// Allowed while data is loaded.
        Loading = "loading",
        /// Allowed on a stale replica.
        Stale = "stale",
        /// Not from scripts.
        Noscript = "noscript",
        /// Allowed before AUTH.
        NoAuth = "no-auth",
        /// Refused when memory is used up.
        Denyoom = "denyoom",
        /// Not inside MULTI.
        NoMulti = "no-multi",
        /// Never in the slow log.
        SkipSlowlog = "skip-slowlog",
        /// May send something to replicas.
        MayReplicate = "may-replicate",
        /// Its keys may be left out.
        NoMandatoryKeys = "no-mandatory-keys",
        /// Allowed while a script is stuck.
        AllowBusy = "allow-busy",
        /// Touches keys that its arguments do not name.
        TouchesArbitraryKeys = "touches-arbitrary-keys",
        /// Its arguments are secrets.
        NoauthArgs = "noauth-args",
        /// Publish or subscribe.
        Pubsub = "pubsub",
    }
}

vocabulary! {
    /// How a command reaches the log.
    Wal {
        /// Not at all.
        None = "none",
        /// As it was sent.
        Command = "command",
        /// As the effects that its handler journals.
        Effects = "effects",
    }
}

vocabulary! {
    /// Types of single arguments.
    Type {
        /// A key.
        Key = "key",
        /// Bytes.
        String = "string",
        /// A glob.
        Pattern = "pattern",
        /// An i64.
        Integer = "integer",
        /// A non-negative i64.
        Unsigned = "unsigned",
        /// An f64.
        Double = "double",
        /// A float as it was sent.
        Decimal = "decimal",
        /// A duration in seconds.
        Seconds = "seconds",
        /// A duration in milliseconds.
        Milliseconds = "milliseconds",
        /// A time in seconds.
        UnixSeconds = "unix-seconds",
        /// A time in milliseconds.
        UnixMilliseconds = "unix-milliseconds",
        /// A SCAN cursor.
        Cursor = "cursor",
        /// A bound of a score range.
        ScoreBound = "score-bound",
        /// A bound of a lexicographic range.
        LexBound = "lex-bound",
        /// A stream id.
        StreamId = "stream-id",
        /// A word alone.
        Flag = "flag",
    }
}

vocabulary! {
    /// What surplus words are called.
    Surplus {
        /// `ERR syntax error`.
        Syntax = "syntax",
        /// `ERR wrong number of arguments …`.
        Arity = "arity",
    }
}

vocabulary! {
    /// Who implements a group's trait.
    Owner {
        /// kora-runtime.
        Runtime = "runtime",
        /// kora-ext, behind one `dyn`.
        Ext = "ext",
    }
}

/// How the parts of several shards become one reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// Elements return to the order of the keys.
    InOrder,
    /// OK when all say OK.
    AllOk,
    /// The smallest integer.
    Min,
    /// The largest integer.
    Max,
    /// Arrays one after another.
    Concat,
    /// `merge::NAME`, written by hand.
    Custom(String),
}

impl Merge {
    /// The words, without the escape hatch.
    pub const WORDS: &'static [&'static str] = &["sum", "in-order", "all-ok", "min", "max", "concat"];

    /// The merge a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "sum" => Self::Sum,
            "in-order" => Self::InOrder,
            "all-ok" => Self::AllOk,
            "min" => Self::Min,
            "max" => Self::Max,
            "concat" => Self::Concat,
            _ => return None,
        })
    }

    /// The word, or the name of the function.
    pub fn word(&self) -> &str {
        match self {
            Self::Sum => "sum",
            Self::InOrder => "in-order",
            Self::AllOk => "all-ok",
            Self::Min => "min",
            Self::Max => "max",
            Self::Concat => "concat",
            Self::Custom(name) => name,
        }
    }
}

/// Where a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// On the shard of its key.
    Key,
    /// On the shards of its keys, each its own.
    Split(Merge),
    /// In one place, to which the values are brought.
    Gather,
    /// On every shard.
    AllShards(Merge),
    /// Anywhere.
    Any,
    /// In the session.
    Connection,
    /// Where `route::NAME` says.
    Custom(String),
}

impl Route {
    /// The words that stand alone.
    pub const WORDS: &'static [&'static str] = &["key", "gather", "any", "connection"];
    /// The words that are keys of an inline table.
    pub const TABLE_WORDS: &'static [&'static str] = &["split", "all-shards", "custom"];
}

/// The type of one reply value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyKind {
    /// `+OK`.
    Ok,
    /// An integer.
    Integer,
    /// A status word.
    Simple,
    /// A binary string.
    Bulk,
    /// A double.
    Double,
    /// A boolean.
    Bool,
    /// Plain text.
    Verbatim,
    /// An ordered collection.
    Array(Box<ReplyType>),
    /// An unordered collection.
    Set(Box<ReplyType>),
    /// Pairs.
    Map(Box<ReplyType>, Box<ReplyType>),
    /// Anything.
    Any,
}

impl ReplyKind {
    /// The words of scalars.
    pub const SCALARS: &'static [&'static str] =
        &["ok", "integer", "simple", "bulk", "double", "bool", "verbatim", "any"];
    /// The words that take element types.
    pub const AGGREGATES: &'static [&'static str] = &["array", "set", "map"];

    /// True for collections.
    pub fn is_aggregate(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Set(_) | Self::Map(..))
    }
}

/// A reply value that may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyType {
    /// What it is.
    pub kind: ReplyKind,
    /// Whether null may stand in its place.
    pub nullable: bool,
}

/// What a row replies: one type or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// As written in the table.
    pub text: String,
    /// The alternatives, at least one.
    pub alternatives: Vec<ReplyType>,
}

impl Reply {
    /// The only alternative, if it is the only one.
    pub fn single(&self) -> Option<&ReplyType> {
        match &self.alternatives[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

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
