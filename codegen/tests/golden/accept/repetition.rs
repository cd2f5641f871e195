/// Every command. The number of a variant is frozen in docs/command-numbers.txt: it stands in frames and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CommandId {
    /// SORTX: Do something. `repetition.toml:2`.
    Sortx = 1,
    /// STORE: Do something. `repetition.toml:21`.
    Store = 2,
    /// MSETX: Do something. `repetition.toml:40`.
    Msetx = 3,
    /// XREADX: Do something. `repetition.toml:56`.
    Xreadx = 4,
}
impl CommandId {
    /// Every command, in table order.
    pub const ALL: [Self; 4] = [Self::Sortx, Self::Store, Self::Msetx, Self::Xreadx];
    /// The command with a frozen number, if there is one.
    #[inline]
    pub fn from_number(number: u16) -> Option<Self> {
        let place = *PLACES.get(usize::from(number))?;
        Self::ALL.get(usize::from(place)).copied()
    }
    /// The frozen number.
    #[inline]
    pub fn number(self) -> u16 {
        self as u16
    }
    /// What the table says about the command.
    #[inline]
    pub fn info(self) -> &'static CommandInfo {
        BY_NUMBER[usize::from(self as u16)]
    }
}
/// Where a frozen number's command stands in the table; `u16::MAX` where it is retired.
static PLACES: [u16; 5] = [65535, 0, 1, 2, 3];
/// The entry of each frozen number.
static BY_NUMBER: [&CommandInfo; 5] = [&INFO[0], &INFO[0], &INFO[1], &INFO[2], &INFO[3]];
/// Which command the words name. `words` begins with the name.
#[inline]
pub fn resolve(words: Argv<'_>) -> Resolved {
    finish_resolving(words, first_word)
}
/// What the first word of a request stands for.
fn first_word(word: &[u8]) -> Option<FirstWord> {
    match word.len() {
        5 => {
            match fold8::<5>(word) {
                0x000000585445534d => Some(FirstWord::Command(CommandId::Msetx)),
                0x0000005854524f53 => Some(FirstWord::Command(CommandId::Sortx)),
                0x00000045524f5453 => Some(FirstWord::Command(CommandId::Store)),
                _ => None,
            }
        }
        6 => {
            match fold8::<6>(word) {
                0x0000584441455258 => Some(FirstWord::Command(CommandId::Xreadx)),
                _ => None,
            }
        }
        _ => None,
    }
}
/// What the table says about every command, in table order.
pub static INFO: [CommandInfo; 4] = [
    CommandInfo {
        id: CommandId::Sortx,
        name: "sortx",
        upper: "SORTX",
        container: None,
        is_container: false,
        group: "generic",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "SORTX key [GET patterns [GET patterns …]] [ASC | DESC] [STORE target]",
        arity: -2,
        access: Access::Write,
        flags: Flags::EMPTY.with(Flags::WRITE).with(Flags::MOVABLEKEYS),
        acl: &["@keyspace", "@write", "@slow"],
        tips: &[],
        keys: KeySpec::Parser,
        key_groups: &[
            KeyGroup {
                access: Access::Write,
                flags: &["RW", "UPDATE"],
                begin: KeyBegin::Index(1),
                find: KeyFind::Range {
                    last: 0,
                    step: 1,
                    limit: 0,
                },
            },
            KeyGroup {
                access: Access::Write,
                flags: &["RW", "UPDATE"],
                begin: KeyBegin::Keyword {
                    word: "STORE",
                    start_from: 2,
                },
                find: KeyFind::Range {
                    last: 0,
                    step: 1,
                    limit: 0,
                },
            },
        ],
        route: Route::Gather,
        wal: Wal::Effects,
        reply: "integer|array<bulk?>",
        args: &[
            ArgInfo {
                name: "key",
                display: "key",
                kind: "key",
                token: None,
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: Some(0),
                children: &[],
            },
            ArgInfo {
                name: "patterns",
                display: "patterns",
                kind: "pattern",
                token: Some("GET"),
                optional: true,
                multiple: true,
                multiple_token: true,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "order",
                display: "order",
                kind: "oneof",
                token: None,
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "asc",
                        display: "asc",
                        kind: "pure-token",
                        token: Some("ASC"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                    ArgInfo {
                        name: "desc",
                        display: "desc",
                        kind: "pure-token",
                        token: Some("DESC"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                ],
            },
            ArgInfo {
                name: "target",
                display: "target",
                kind: "key",
                token: Some("STORE"),
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: Some(1),
                children: &[],
            },
        ],
        line: 2,
    },
    CommandInfo {
        id: CommandId::Store,
        name: "store",
        upper: "STORE",
        container: None,
        is_container: false,
        group: "generic",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "STORE destination numkeys keys [keys …] [WEIGHTS weights [weights …]] [STORE target]",
        arity: -4,
        access: Access::Write,
        flags: Flags::EMPTY.with(Flags::WRITE).with(Flags::MOVABLEKEYS),
        acl: &["@keyspace", "@write", "@slow"],
        tips: &[],
        keys: KeySpec::Parser,
        key_groups: &[
            KeyGroup {
                access: Access::Write,
                flags: &["OW", "UPDATE"],
                begin: KeyBegin::Index(1),
                find: KeyFind::Range {
                    last: 0,
                    step: 1,
                    limit: 0,
                },
            },
            KeyGroup {
                access: Access::Read,
                flags: &["RO", "ACCESS"],
                begin: KeyBegin::Index(2),
                find: KeyFind::Counted { step: 1 },
            },
            KeyGroup {
                access: Access::Write,
                flags: &["RW", "UPDATE"],
                begin: KeyBegin::Keyword {
                    word: "STORE",
                    start_from: 4,
                },
                find: KeyFind::Range {
                    last: 0,
                    step: 1,
                    limit: 0,
                },
            },
        ],
        route: Route::Gather,
        wal: Wal::Effects,
        reply: "integer",
        args: &[
            ArgInfo {
                name: "destination",
                display: "destination",
                kind: "key",
                token: None,
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: Some(0),
                children: &[],
            },
            ArgInfo {
                name: "numkeys",
                display: "numkeys",
                kind: "integer",
                token: None,
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "keys",
                display: "keys",
                kind: "key",
                token: None,
                optional: false,
                multiple: true,
                multiple_token: false,
                key_group: Some(1),
                children: &[],
            },
            ArgInfo {
                name: "weights",
                display: "weights",
                kind: "double",
                token: Some("WEIGHTS"),
                optional: true,
                multiple: true,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "target",
                display: "target",
                kind: "key",
                token: Some("STORE"),
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: Some(2),
                children: &[],
            },
        ],
        line: 21,
    },
    CommandInfo {
        id: CommandId::Msetx,
        name: "msetx",
        upper: "MSETX",
        container: None,
        is_container: false,
        group: "string",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "MSETX key value [key value …]",
        arity: -3,
        access: Access::Write,
        flags: Flags::EMPTY.with(Flags::WRITE),
        acl: &["@write", "@string", "@slow"],
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        keys: KeySpec::Range {
            first: 0,
            last: -1,
            step: 2,
        },
        key_groups: &[
            KeyGroup {
                access: Access::Write,
                flags: &["RW", "UPDATE"],
                begin: KeyBegin::Index(1),
                find: KeyFind::Range {
                    last: -1,
                    step: 2,
                    limit: 0,
                },
            },
        ],
        route: Route::Split(Merge::AllOk),
        wal: Wal::Command,
        reply: "ok",
        args: &[
            ArgInfo {
                name: "pairs",
                display: "pairs",
                kind: "block",
                token: None,
                optional: false,
                multiple: true,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "key",
                        display: "key",
                        kind: "key",
                        token: None,
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: Some(0),
                        children: &[],
                    },
                    ArgInfo {
                        name: "value",
                        display: "value",
                        kind: "string",
                        token: None,
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                ],
            },
        ],
        line: 40,
    },
    CommandInfo {
        id: CommandId::Xreadx,
        name: "xreadx",
        upper: "XREADX",
        container: None,
        is_container: false,
        group: "stream",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "XREADX GROUP group consumer [COUNT count] STREAMS keys [keys …] ids [ids …]",
        arity: -7,
        access: Access::Read,
        flags: Flags::EMPTY.with(Flags::READONLY).with(Flags::MOVABLEKEYS),
        acl: &["@read", "@stream", "@slow"],
        tips: &[],
        keys: KeySpec::Parser,
        key_groups: &[
            KeyGroup {
                access: Access::Read,
                flags: &["RO", "ACCESS"],
                begin: KeyBegin::Keyword {
                    word: "STREAMS",
                    start_from: 4,
                },
                find: KeyFind::Range {
                    last: -1,
                    step: 1,
                    limit: 2,
                },
            },
        ],
        route: Route::Gather,
        wal: Wal::None,
        reply: "any",
        args: &[
            ArgInfo {
                name: "group",
                display: "group",
                kind: "block",
                token: Some("GROUP"),
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "group",
                        display: "group",
                        kind: "string",
                        token: None,
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                    ArgInfo {
                        name: "consumer",
                        display: "consumer",
                        kind: "string",
                        token: None,
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                ],
            },
            ArgInfo {
                name: "count",
                display: "count",
                kind: "integer",
                token: Some("COUNT"),
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "streams",
                display: "streams",
                kind: "block",
                token: Some("STREAMS"),
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "keys",
                        display: "keys",
                        kind: "key",
                        token: None,
                        optional: false,
                        multiple: true,
                        multiple_token: false,
                        key_group: Some(0),
                        children: &[],
                    },
                    ArgInfo {
                        name: "ids",
                        display: "ids",
                        kind: "string",
                        token: None,
                        optional: false,
                        multiple: true,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                ],
            },
        ],
        line: 56,
    },
];
/// The commands that have subcommands, in the order of their first row.
pub static CONTAINERS: [ContainerInfo; 0] = [];
/// Routes that are written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomRoute {}
/// Merges that are written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomMerge {}
/// Asks a hand-written route for the shard.
pub fn custom_route(which: CustomRoute, _argv: Argv<'_>, _shards: usize) -> usize {
    match which {}
}
/// Calls a hand-written merge.
pub fn custom_merge(
    which: CustomMerge,
    _argv: Argv<'_>,
    _parts: &[&[u8]],
    _reply: &mut ReplyBuf,
) {
    match which {}
}
/// The typed arguments of every command that has any: parsed from words, and written back as the same words.
pub mod args {
    #[allow(unused_imports)]
    use crate::argv::{
        self, ArgReader, Argv, ArgvBuf, Cursor, LexBound, Many, Parse, ScoreBound,
        StreamIdArg,
    };
    use crate::error::CommandError;
    /// Arguments of SORTX. `repetition.toml:2`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Sortx<'a> {
        /// `key`
        pub key: &'a [u8],
        /// `[GET patterns [GET patterns …]]`
        pub patterns: Many<'a, &'a [u8]>,
        /// `[ASC | DESC]`
        pub order: Option<SortxOrder>,
        /// `[STORE target]`
        pub target: Option<&'a [u8]>,
    }
    impl<'a> Sortx<'a> {
        /// From what is required; options are off.
        pub fn new(key: &'a [u8]) -> Self {
            Self {
                key,
                patterns: Many::none(),
                order: None,
                target: None,
            }
        }
        /// Reads the words after SORTX.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.is_empty() {
                return Err(CommandError::WrongArity("sortx"));
            }
            let reader = &mut ArgReader::new(argv);
            let key = reader.next_bytes()?;
            let mut patterns = argv::Scatter::new();
            let mut order = None;
            let mut target = None;
            fn skip_to_patterns(reader: &mut ArgReader<'_>) -> Result<(), CommandError> {
                if reader.at_any(&["ASC", "DESC"]) {
                    let _ = SortxOrder::parse(reader)?;
                    return Ok(());
                }
                if reader.take_token("STORE") {
                    let _ = reader.next_bytes()?;
                    return Ok(());
                }
                Err(CommandError::Syntax)
            }
            while reader.remaining() > 0 {
                if reader.take_token("GET") {
                    let start = reader.position() - 1;
                    let _ = reader.next_bytes()?;
                    patterns.note(start, reader.position());
                } else if let Some(value) = SortxOrder::take(reader)? {
                    order = Some(value);
                } else if reader.take_token("STORE") {
                    argv::set_once(&mut target, reader.next_bytes()?)?;
                } else {
                    break;
                }
            }
            let patterns: Many<'_, &'_ [u8]> = patterns
                .finish(reader, "GET", skip_to_patterns);
            reader.finish()?;
            Ok(Self {
                key,
                patterns,
                order,
                target,
            })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            self.key.encode(out);
            for value in self.patterns {
                out.push(b"GET");
                value.encode(out);
            }
            if let Some(value) = &self.order {
                value.encode(out);
            }
            if let Some(value) = &self.target {
                out.push(b"STORE");
                value.encode(out);
            }
        }
    }
    /// The `order` of SORTX. `repetition.toml:15`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum SortxOrder {
        /// `ASC`
        Asc,
        /// `DESC`
        Desc,
    }
    impl SortxOrder {
        /// Reads it if one of its tokens is next.
        pub fn take(reader: &mut ArgReader<'_>) -> Result<Option<Self>, CommandError> {
            let value = if reader.take_token("ASC") {
                Self::Asc
            } else if reader.take_token("DESC") {
                Self::Desc
            } else {
                return Ok(None);
            };
            Ok(Some(value))
        }
    }
    impl<'a> Parse<'a> for SortxOrder {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            match Self::take(reader)? {
                Some(value) => Ok(value),
                None => Err(CommandError::Syntax),
            }
        }
        fn encode(&self, out: &mut ArgvBuf) {
            match self {
                Self::Asc => {
                    out.push(b"ASC");
                }
                Self::Desc => {
                    out.push(b"DESC");
                }
            }
        }
    }
    /// Arguments of STORE. `repetition.toml:21`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Store<'a> {
        /// `destination`
        pub destination: &'a [u8],
        /// `numkeys keys [keys …]`
        pub keys: Many<'a, &'a [u8]>,
        /// `[WEIGHTS weights [weights …]]`
        pub weights: Many<'a, f64>,
        /// `[STORE target]`
        pub target: Option<&'a [u8]>,
    }
    impl<'a> Store<'a> {
        /// From what is required; options are off.
        pub fn new(destination: &'a [u8], keys: Many<'a, &'a [u8]>) -> Self {
            Self {
                destination,
                keys,
                weights: Many::none(),
                target: None,
            }
        }
        /// Reads the words after STORE.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.len() < 3 {
                return Err(CommandError::WrongArity("store"));
            }
            let reader = &mut ArgReader::new(argv);
            let destination = reader.next_bytes()?;
            let keys = {
                let count = reader
                    .next_count(
                        &argv::CountRules {
                            min: 1,
                            width: 1,
                            tail: 0,
                            zero: "ERR at least 1 input key is needed for 'store' command",
                            many: None,
                            integer: None,
                        },
                    )?;
                Many::<&'_ [u8]>::parse_count(reader, count)?
            };
            let mut weights = Many::none();
            let mut target = None;
            while reader.remaining() > 0 {
                if reader.take_token("WEIGHTS") {
                    if !weights.is_empty() {
                        return Err(CommandError::Syntax);
                    }
                    weights = Many::<f64>::parse_count(reader, keys.len())
                        .map_err(|error| {
                            error.or_text("ERR weight value is not a float")
                        })?;
                } else if reader.take_token("STORE") {
                    argv::set_once(&mut target, reader.next_bytes()?)?;
                } else {
                    break;
                }
            }
            reader.finish()?;
            Ok(Self {
                destination,
                keys,
                weights,
                target,
            })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            self.destination.encode(out);
            out.push_integer(self.keys.len() as i64);
            self.keys.encode(out);
            if !self.weights.is_empty() {
                out.push(b"WEIGHTS");
                self.weights.encode(out);
            }
            if let Some(value) = &self.target {
                out.push(b"STORE");
                value.encode(out);
            }
        }
    }
    /// Arguments of MSETX. `repetition.toml:40`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Msetx<'a> {
        /// `key value [key value …]`
        pub pairs: Many<'a, MsetxPairs<'a>>,
    }
    impl<'a> Msetx<'a> {
        /// From its parts.
        pub fn new(pairs: Many<'a, MsetxPairs<'a>>) -> Self {
            Self { pairs }
        }
        /// Reads the words after MSETX.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.len() < 2 {
                return Err(CommandError::WrongArity("msetx"));
            }
            let reader = &mut ArgReader::new(argv);
            let pairs = {
                let count = reader
                    .groups_of(2, 0)
                    .ok_or(CommandError::WrongArity("msetx"))?;
                if count == 0 {
                    return Err(CommandError::WrongArity("msetx"));
                }
                Many::<MsetxPairs<'_>>::parse_count(reader, count)?
            };
            reader.finish()?;
            Ok(Self { pairs })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            self.pairs.encode(out);
        }
    }
    /// The `pairs` of MSETX. `repetition.toml:51`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct MsetxPairs<'a> {
        /// `key`
        pub key: &'a [u8],
        /// `value`
        pub value: &'a [u8],
    }
    impl<'a> MsetxPairs<'a> {
        /// From its parts.
        pub fn new(key: &'a [u8], value: &'a [u8]) -> Self {
            Self { key, value }
        }
    }
    impl<'a> Parse<'a> for MsetxPairs<'a> {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            let key = reader.next_bytes()?;
            let value = reader.next_bytes()?;
            Ok(Self { key, value })
        }
        fn encode(&self, out: &mut ArgvBuf) {
            self.key.encode(out);
            self.value.encode(out);
        }
    }
    /// Arguments of XREADX. `repetition.toml:56`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Xreadx<'a> {
        /// `GROUP group consumer`
        pub group: XreadxGroup<'a>,
        /// `[COUNT count]`
        pub count: Option<i64>,
        /// `STREAMS keys [keys …] ids [ids …]`
        pub streams: XreadxStreams<'a>,
    }
    impl<'a> Xreadx<'a> {
        /// From what is required; options are off.
        pub fn new(group: XreadxGroup<'a>, streams: XreadxStreams<'a>) -> Self {
            Self {
                group,
                count: None,
                streams,
            }
        }
        /// Reads the words after XREADX.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.len() < 6 {
                return Err(CommandError::WrongArity("xreadx"));
            }
            let reader = &mut ArgReader::new(argv);
            let mut group = None;
            let mut count = None;
            while reader.remaining() > 0 {
                if reader.take_token("GROUP") {
                    argv::set_once(&mut group, XreadxGroup::parse(reader)?)?;
                } else if reader.take_token("COUNT") {
                    count = Some(reader.next_i64()?);
                } else {
                    break;
                }
            }
            let group = group.ok_or(CommandError::Text("ERR Missing GROUP option"))?;
            reader.expect_token("STREAMS")?;
            let streams = XreadxStreams::parse(reader)?;
            reader.finish()?;
            Ok(Self { group, count, streams })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            out.push(b"GROUP");
            self.group.encode(out);
            if let Some(value) = &self.count {
                out.push(b"COUNT");
                value.encode(out);
            }
            out.push(b"STREAMS");
            self.streams.encode(out);
        }
    }
    /// The `group` of XREADX. `repetition.toml:67`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct XreadxGroup<'a> {
        /// `group`
        pub group: &'a [u8],
        /// `consumer`
        pub consumer: &'a [u8],
    }
    impl<'a> XreadxGroup<'a> {
        /// From its parts.
        pub fn new(group: &'a [u8], consumer: &'a [u8]) -> Self {
            Self { group, consumer }
        }
    }
    impl<'a> Parse<'a> for XreadxGroup<'a> {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            let group = reader.next_bytes()?;
            let consumer = reader.next_bytes()?;
            Ok(Self { group, consumer })
        }
        fn encode(&self, out: &mut ArgvBuf) {
            self.group.encode(out);
            self.consumer.encode(out);
        }
    }
    /// The `streams` of XREADX. `repetition.toml:69`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct XreadxStreams<'a> {
        /// `keys [keys …]`
        pub keys: Many<'a, &'a [u8]>,
        /// `ids [ids …]`
        pub ids: Many<'a, StreamIdArg<'a>>,
    }
    impl<'a> XreadxStreams<'a> {
        /// From its parts.
        pub fn new(keys: Many<'a, &'a [u8]>, ids: Many<'a, StreamIdArg<'a>>) -> Self {
            Self { keys, ids }
        }
    }
    impl<'a> Parse<'a> for XreadxStreams<'a> {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            if reader.remaining() == 0 {
                return Err(CommandError::Syntax);
            }
            let half = reader
                .half()
                .ok_or(CommandError::Text("ERR Unbalanced list of streams"))?;
            let keys = Many::parse_count(reader, half)?;
            let ids = Many::parse_count(reader, half)?;
            Ok(Self { keys, ids })
        }
        fn encode(&self, out: &mut ArgvBuf) {
            self.keys.encode(out);
            self.ids.encode(out);
        }
    }
}
/// Handlers of the `generic` group.
pub trait GenericCommands {
    /// Do something.
    ///
    /// `SORTX key [GET patterns [GET patterns …]] [ASC | DESC] [STORE target]` → `integer|array<bulk?>`. `repetition.toml:2`.
    fn sortx(
        &mut self,
        args: args::Sortx<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError>;
    /// Do something.
    ///
    /// `STORE destination numkeys keys [keys …] [WEIGHTS weights [weights …]] [STORE target]` → `integer`. `repetition.toml:21`.
    fn store(&mut self, args: args::Store<'_>) -> Result<i64, CommandError>;
}
/// Handlers of the `string` group.
pub trait StringCommands {
    /// Do something.
    ///
    /// `MSETX key value [key value …]` → `ok`. `repetition.toml:40`.
    fn msetx(&mut self, args: args::Msetx<'_>) -> Result<(), CommandError>;
}
/// Handlers of the `stream` group.
pub trait StreamCommands {
    /// Do something.
    ///
    /// `XREADX GROUP group consumer [COUNT count] STREAMS keys [keys …] ids [ids …]` → `any`. `repetition.toml:56`.
    fn xreadx(
        &mut self,
        args: args::Xreadx<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError>;
}
/// Handlers of the commands that are about the connection itself: rows with `route = "connection"`.
pub trait SessionCommands {}
/// The extensions of one shard: who handles the groups that kora-ext owns.
#[derive(Default)]
pub struct Extensions {}
impl Extensions {
    /// Visits those that are there, with the number of their slot.
    #[allow(unused_variables)]
    pub fn each(&mut self, visit: &mut dyn FnMut(u8, &mut dyn Extension)) {}
}
/// Everything that [`dispatch`] may call.
pub trait Handlers: GenericCommands + StringCommands + StreamCommands {}
impl<H: GenericCommands + StringCommands + StreamCommands> Handlers for H {}
/// Parses the words after the name and runs the command on a shard.
///
/// On an error, what `reply` holds beyond its former length is unfinished and must be dropped.
#[allow(unreachable_patterns, clippy::match_single_binding)]
pub fn dispatch<H: Handlers>(
    handlers: &mut H,
    id: CommandId,
    argv: Argv<'_>,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    match id {
        CommandId::Sortx => {
            GenericCommands::sortx(handlers, args::Sortx::parse(argv)?, reply)?;
        }
        CommandId::Store => {
            let value = GenericCommands::store(handlers, args::Store::parse(argv)?)?;
            reply.integer(value);
        }
        CommandId::Msetx => {
            StringCommands::msetx(handlers, args::Msetx::parse(argv)?)?;
            reply.ok();
        }
        CommandId::Xreadx => {
            StreamCommands::xreadx(handlers, args::Xreadx::parse(argv)?, reply)?;
        }
        _ => return Err(CommandError::Internal),
    }
    Ok(())
}
/// As [`dispatch`], for commands about the connection itself.
#[allow(unreachable_patterns, clippy::match_single_binding)]
pub fn dispatch_session<H: SessionCommands>(
    handlers: &mut H,
    id: CommandId,
    argv: Argv<'_>,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    match id {
        _ => return Err(CommandError::Internal),
    }
    Ok(())
}
/// Calls `visit` with the position in `argv` of every key, and what the command does to it.
pub fn keys(
    id: CommandId,
    argv: Argv<'_>,
    visit: &mut dyn FnMut(usize, Access),
) -> Result<(), CommandError> {
    match id {
        CommandId::Sortx => sortx_keys(argv, visit),
        CommandId::Store => store_keys(argv, visit),
        CommandId::Xreadx => xreadx_keys(argv, visit),
        _ => id.info().visit_keys(argv, visit),
    }
}
/// The keys of SORTX, found by its parser. `repetition.toml:2`.
#[allow(unused, clippy::all)]
pub fn sortx_keys(
    argv: Argv<'_>,
    visit: &mut dyn FnMut(usize, Access),
) -> Result<(), CommandError> {
    use crate::argv::{self, *};
    use args::*;
    if argv.is_empty() {
        return Err(CommandError::WrongArity("sortx"));
    }
    let reader = &mut ArgReader::new(argv);
    let key = {
        let index = reader.position();
        let word = reader.next_bytes()?;
        visit(index, Access::Write);
        word
    };
    let mut patterns = argv::Scatter::new();
    let mut order = None;
    let mut target = None;
    fn skip_to_patterns(reader: &mut ArgReader<'_>) -> Result<(), CommandError> {
        if reader.at_any(&["ASC", "DESC"]) {
            let _ = SortxOrder::parse(reader)?;
            return Ok(());
        }
        if reader.take_token("STORE") {
            let _ = reader.next_bytes()?;
            return Ok(());
        }
        Err(CommandError::Syntax)
    }
    while reader.remaining() > 0 {
        if reader.take_token("GET") {
            let start = reader.position() - 1;
            let _ = reader.next_bytes()?;
            patterns.note(start, reader.position());
        } else if let Some(value) = SortxOrder::take(reader)? {
            order = Some(value);
        } else if reader.take_token("STORE") {
            argv::set_once(
                &mut target,
                {
                    let index = reader.position();
                    let word = reader.next_bytes()?;
                    visit(index, Access::Write);
                    word
                },
            )?;
        } else {
            break;
        }
    }
    let patterns: Many<'_, &'_ [u8]> = patterns.finish(reader, "GET", skip_to_patterns);
    reader.finish()
}
/// The keys of STORE, found by its parser. `repetition.toml:21`.
#[allow(unused, clippy::all)]
pub fn store_keys(
    argv: Argv<'_>,
    visit: &mut dyn FnMut(usize, Access),
) -> Result<(), CommandError> {
    use crate::argv::{self, *};
    use args::*;
    if argv.len() < 3 {
        return Err(CommandError::WrongArity("store"));
    }
    let reader = &mut ArgReader::new(argv);
    let destination = {
        let index = reader.position();
        let word = reader.next_bytes()?;
        visit(index, Access::Write);
        word
    };
    let keys = {
        let values = {
            let count = reader
                .next_count(
                    &argv::CountRules {
                        min: 1,
                        width: 1,
                        tail: 0,
                        zero: "ERR at least 1 input key is needed for 'store' command",
                        many: None,
                        integer: None,
                    },
                )?;
            Many::<&'_ [u8]>::parse_count(reader, count)?
        };
        for index in reader.position() - values.len()..reader.position() {
            visit(index, Access::Read);
        }
        values
    };
    let mut weights = Many::none();
    let mut target = None;
    while reader.remaining() > 0 {
        if reader.take_token("WEIGHTS") {
            if !weights.is_empty() {
                return Err(CommandError::Syntax);
            }
            weights = Many::<f64>::parse_count(reader, keys.len())
                .map_err(|error| error.or_text("ERR weight value is not a float"))?;
        } else if reader.take_token("STORE") {
            argv::set_once(
                &mut target,
                {
                    let index = reader.position();
                    let word = reader.next_bytes()?;
                    visit(index, Access::Write);
                    word
                },
            )?;
        } else {
            break;
        }
    }
    reader.finish()
}
/// The keys of XREADX, found by its parser. `repetition.toml:56`.
#[allow(unused, clippy::all)]
pub fn xreadx_keys(
    argv: Argv<'_>,
    visit: &mut dyn FnMut(usize, Access),
) -> Result<(), CommandError> {
    use crate::argv::{self, *};
    use args::*;
    if argv.len() < 6 {
        return Err(CommandError::WrongArity("xreadx"));
    }
    let reader = &mut ArgReader::new(argv);
    let mut group = None;
    let mut count = None;
    while reader.remaining() > 0 {
        if reader.take_token("GROUP") {
            argv::set_once(&mut group, XreadxGroup::parse(reader)?)?;
        } else if reader.take_token("COUNT") {
            count = Some(reader.next_i64()?);
        } else {
            break;
        }
    }
    let group = group.ok_or(CommandError::Text("ERR Missing GROUP option"))?;
    reader.expect_token("STREAMS")?;
    let streams = {
        let start = reader.position();
        let half = reader.remaining() / 2;
        let value = XreadxStreams::parse(reader)?;
        for index in start + 0usize * half..start + (0usize + 1) * half {
            visit(index, Access::Read);
        }
        value
    };
    reader.finish()
}
/// Parses the words after the name and appends what they were understood as: the words that `parse` reads as the same.
///
/// A command without arguments appends nothing, whatever the words.
#[allow(unreachable_patterns, unused_variables, clippy::match_single_binding)]
pub fn reencode(
    id: CommandId,
    argv: Argv<'_>,
    out: &mut ArgvBuf,
) -> Result<(), CommandError> {
    match id {
        CommandId::Sortx => args::Sortx::parse(argv)?.encode(out),
        CommandId::Store => args::Store::parse(argv)?.encode(out),
        CommandId::Msetx => args::Msetx::parse(argv)?.encode(out),
        CommandId::Xreadx => args::Xreadx::parse(argv)?.encode(out),
        _ => {}
    }
    Ok(())
}
/// A typed client: every command that is not about a connection as a method.
#[allow(clippy::type_complexity)]
pub trait Client {
    /// Why a call failed.
    type Error;
    /// Sends one command; `encode` writes the words after its name.
    fn call<T: FromReply>(
        &self,
        id: CommandId,
        encode: impl FnOnce(&mut ArgvBuf),
    ) -> Result<T, Self::Error>;
    /// Do something. `SORTX key [GET patterns [GET patterns …]] [ASC | DESC] [STORE target]`. `repetition.toml:2`.
    fn sortx(&self, key: impl AsRef<[u8]>) -> Result<Value, Self::Error> {
        self.call(CommandId::Sortx, |out| args::Sortx::new(key.as_ref()).encode(out))
    }
    /// Do something. With its options. `repetition.toml:2`.
    fn sortx_with(&self, args: args::Sortx<'_>) -> Result<Value, Self::Error> {
        self.call(CommandId::Sortx, |out| args.encode(out))
    }
    /// Do something. `STORE destination numkeys keys [keys …] [WEIGHTS weights [weights …]] [STORE target]`. `repetition.toml:21`.
    fn store(
        &self,
        destination: impl AsRef<[u8]>,
        keys: &[impl AsRef<[u8]>],
    ) -> Result<i64, Self::Error> {
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        self.call(
            CommandId::Store,
            |out| args::Store::new(destination.as_ref(), Many::Given(&keys)).encode(out),
        )
    }
    /// Do something. With its options. `repetition.toml:21`.
    fn store_with(&self, args: args::Store<'_>) -> Result<i64, Self::Error> {
        self.call(CommandId::Store, |out| args.encode(out))
    }
    /// Do something. `MSETX key value [key value …]`. `repetition.toml:40`.
    fn msetx(&self, pairs: &[args::MsetxPairs<'_>]) -> Result<(), Self::Error> {
        self.call(
            CommandId::Msetx,
            |out| args::Msetx::new(Many::Given(pairs)).encode(out),
        )
    }
    /// Do something. `XREADX GROUP group consumer [COUNT count] STREAMS keys [keys …] ids [ids …]`. `repetition.toml:56`.
    fn xreadx(
        &self,
        group: args::XreadxGroup<'_>,
        streams: args::XreadxStreams<'_>,
    ) -> Result<Value, Self::Error> {
        self.call(CommandId::Xreadx, |out| args::Xreadx::new(group, streams).encode(out))
    }
    /// Do something. With its options. `repetition.toml:56`.
    fn xreadx_with(&self, args: args::Xreadx<'_>) -> Result<Value, Self::Error> {
        self.call(CommandId::Xreadx, |out| args.encode(out))
    }
}
/// As [`Client`], without waiting in place.
#[allow(clippy::type_complexity)]
pub trait AsyncClient {
    /// Why a call failed.
    type Error;
    /// Sends one command with the words after its name.
    fn call<T: FromReply>(
        &self,
        id: CommandId,
        words: ArgvBuf,
    ) -> impl Future<Output = Result<T, Self::Error>>;
    /// Do something. `SORTX key [GET patterns [GET patterns …]] [ASC | DESC] [STORE target]`. `repetition.toml:2`.
    fn sortx(
        &self,
        key: impl AsRef<[u8]>,
    ) -> impl Future<Output = Result<Value, Self::Error>> {
        let mut words = ArgvBuf::new();
        args::Sortx::new(key.as_ref()).encode(&mut words);
        self.call(CommandId::Sortx, words)
    }
    /// Do something. With its options. `repetition.toml:2`.
    fn sortx_with(
        &self,
        args: args::Sortx<'_>,
    ) -> impl Future<Output = Result<Value, Self::Error>> {
        let mut words = ArgvBuf::new();
        args.encode(&mut words);
        self.call(CommandId::Sortx, words)
    }
    /// Do something. `STORE destination numkeys keys [keys …] [WEIGHTS weights [weights …]] [STORE target]`. `repetition.toml:21`.
    fn store(
        &self,
        destination: impl AsRef<[u8]>,
        keys: &[impl AsRef<[u8]>],
    ) -> impl Future<Output = Result<i64, Self::Error>> {
        let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        let mut words = ArgvBuf::new();
        args::Store::new(destination.as_ref(), Many::Given(&keys)).encode(&mut words);
        self.call(CommandId::Store, words)
    }
    /// Do something. With its options. `repetition.toml:21`.
    fn store_with(
        &self,
        args: args::Store<'_>,
    ) -> impl Future<Output = Result<i64, Self::Error>> {
        let mut words = ArgvBuf::new();
        args.encode(&mut words);
        self.call(CommandId::Store, words)
    }
    /// Do something. `MSETX key value [key value …]`. `repetition.toml:40`.
    fn msetx(
        &self,
        pairs: &[args::MsetxPairs<'_>],
    ) -> impl Future<Output = Result<(), Self::Error>> {
        let mut words = ArgvBuf::new();
        args::Msetx::new(Many::Given(pairs)).encode(&mut words);
        self.call(CommandId::Msetx, words)
    }
    /// Do something. `XREADX GROUP group consumer [COUNT count] STREAMS keys [keys …] ids [ids …]`. `repetition.toml:56`.
    fn xreadx(
        &self,
        group: args::XreadxGroup<'_>,
        streams: args::XreadxStreams<'_>,
    ) -> impl Future<Output = Result<Value, Self::Error>> {
        let mut words = ArgvBuf::new();
        args::Xreadx::new(group, streams).encode(&mut words);
        self.call(CommandId::Xreadx, words)
    }
    /// Do something. With its options. `repetition.toml:56`.
    fn xreadx_with(
        &self,
        args: args::Xreadx<'_>,
    ) -> impl Future<Output = Result<Value, Self::Error>> {
        let mut words = ArgvBuf::new();
        args.encode(&mut words);
        self.call(CommandId::Xreadx, words)
    }
}
