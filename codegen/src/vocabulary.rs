//! The closed vocabularies of the table: words that mean one thing, and what routes and replies are made of.
//!
//! Owns: every word a value may be. Refuses to know: rows (`model`), TOML.

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
        /// Not while a replica loads data beside what it has.
        NoAsyncLoading = "no-async-loading",
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
        /// It runs a script, which may touch any key of its shard.
        RunsScripts = "runs-scripts",
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
    /// On every shard, at one point of the order of transactions.
    AllShards(Merge),
    /// On several shards, each when it gets there, after all earlier commands of the connection.
    Scatter(Merge),
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
    pub const TABLE_WORDS: &'static [&'static str] = &["split", "all-shards", "scatter", "custom"];
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
