/// Every command. The number of a variant is frozen in docs/command-numbers.txt: it stands in frames and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CommandId {
    /// BOX: Do something. `containers.toml:2`.
    Box = 1,
    /// BOX|OPEN: Do something. `containers.toml:16`.
    BoxOpen = 2,
    /// BOX|SELF: Do something. `containers.toml:32`.
    BoxSelf = 3,
    /// BOX|SUM: Do something. `containers.toml:46`.
    BoxSum = 4,
}
impl CommandId {
    /// Every command, in table order.
    pub const ALL: [Self; 4] = [Self::Box, Self::BoxOpen, Self::BoxSelf, Self::BoxSum];
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
        3 => {
            match fold8::<3>(word) {
                0x0000000000584f42 => {
                    Some(
                        FirstWord::Container(
                            &Subcommands {
                                container: "box",
                                bare: Some(CommandId::Box),
                                find: box_subcommand,
                            },
                        ),
                    )
                }
                _ => None,
            }
        }
        _ => None,
    }
}
/// The subcommands of BOX.
fn box_subcommand(word: &[u8]) -> Option<CommandId> {
    match word.len() {
        3 => {
            match fold8::<3>(word) {
                0x00000000004d5553 => Some(CommandId::BoxSum),
                _ => None,
            }
        }
        4 => {
            match fold8::<4>(word) {
                0x000000004e45504f => Some(CommandId::BoxOpen),
                0x00000000464c4553 => Some(CommandId::BoxSelf),
                _ => None,
            }
        }
        _ => None,
    }
}
/// What the table says about every command, in table order.
pub static INFO: [CommandInfo; 4] = [
    CommandInfo {
        id: CommandId::Box,
        name: "box",
        upper: "BOX",
        container: None,
        is_container: true,
        group: "server",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "BOX",
        arity: -1,
        access: Access::None,
        flags: Flags::EMPTY,
        acl: &["@slow"],
        tips: &[],
        keys: KeySpec::None,
        key_groups: &[],
        route: Route::Any,
        wal: Wal::None,
        reply: "array<simple>",
        args: &[],
        line: 2,
    },
    CommandInfo {
        id: CommandId::BoxOpen,
        name: "box|open",
        upper: "BOX|OPEN",
        container: Some("box"),
        is_container: false,
        group: "server",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "BOX OPEN [ID id | name]",
        arity: -2,
        access: Access::None,
        flags: Flags::EMPTY,
        acl: &["@slow"],
        tips: &[],
        keys: KeySpec::None,
        key_groups: &[],
        route: Route::Custom(CustomRoute::Nearest),
        wal: Wal::None,
        reply: "bulk?",
        args: &[
            ArgInfo {
                name: "filter",
                display: "filter",
                kind: "oneof",
                token: None,
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "id",
                        display: "id",
                        kind: "integer",
                        token: Some("ID"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                    ArgInfo {
                        name: "name",
                        display: "name",
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
        line: 16,
    },
    CommandInfo {
        id: CommandId::BoxSelf,
        name: "box|self",
        upper: "BOX|SELF",
        container: Some("box"),
        is_container: false,
        group: "server",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "BOX SELF",
        arity: 2,
        access: Access::None,
        flags: Flags::EMPTY,
        acl: &["@slow"],
        tips: &[],
        keys: KeySpec::None,
        key_groups: &[],
        route: Route::Connection,
        wal: Wal::None,
        reply: "verbatim",
        args: &[],
        line: 32,
    },
    CommandInfo {
        id: CommandId::BoxSum,
        name: "box|sum",
        upper: "BOX|SUM",
        container: Some("box"),
        is_container: false,
        group: "server",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "BOX SUM",
        arity: 2,
        access: Access::None,
        flags: Flags::EMPTY,
        acl: &["@slow"],
        tips: &["request_policy:all_shards", "response_policy:special"],
        keys: KeySpec::None,
        key_groups: &[],
        route: Route::AllShards(Merge::Custom(CustomMerge::Boxes)),
        wal: Wal::None,
        reply: "map<bulk,integer?>",
        args: &[],
        line: 46,
    },
];
/// The commands that have subcommands, in the order of their first row.
pub static CONTAINERS: [ContainerInfo; 1] = [
    ContainerInfo {
        name: "box",
        upper: "BOX",
        group: "server",
        since: "1.0.0",
        summary: "Do something.",
        bare: Some(CommandId::Box),
        subcommands: &[CommandId::BoxOpen, CommandId::BoxSelf, CommandId::BoxSum],
    },
];
/// Routes that are written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomRoute {
    /// `shard::route::nearest`.
    Nearest,
}
/// Merges that are written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomMerge {
    /// `shard::merge::boxes`.
    Boxes,
}
/// Asks a hand-written route for the shard.
pub fn custom_route(which: CustomRoute, argv: Argv<'_>, shards: usize) -> usize {
    match which {
        CustomRoute::Nearest => crate::shard::route::nearest(argv, shards),
    }
}
/// Calls a hand-written merge.
pub fn custom_merge(
    which: CustomMerge,
    argv: Argv<'_>,
    parts: &[&[u8]],
    reply: &mut ReplyBuf,
) {
    match which {
        CustomMerge::Boxes => crate::shard::merge::boxes(argv, parts, reply),
    }
}
/// The typed arguments of every command that has any: parsed from words, and written back as the same words.
pub mod args {
    #[allow(unused_imports)]
    use crate::argv::{
        self, ArgReader, Argv, ArgvBuf, Cursor, LexBound, Many, Parse, ScoreBound,
        StreamIdArg,
    };
    use crate::error::CommandError;
    /// Arguments of BOX|OPEN. `containers.toml:16`.
    #[derive(Debug, Clone, Copy, PartialEq, Default)]
    pub struct BoxOpen<'a> {
        /// `[ID id | name]`
        pub filter: Option<BoxOpenFilter<'a>>,
    }
    impl<'a> BoxOpen<'a> {
        /// From what is required; options are off.
        pub fn new() -> Self {
            Self { filter: None }
        }
        /// Reads the words after BOX OPEN.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            let reader = &mut ArgReader::new(argv);
            let filter = if reader.remaining() > 0 {
                Some(BoxOpenFilter::parse(reader)?)
            } else {
                None
            };
            reader.finish()?;
            Ok(Self { filter })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            if let Some(value) = &self.filter {
                value.encode(out);
            }
        }
    }
    /// The `filter` of BOX|OPEN. `containers.toml:27`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum BoxOpenFilter<'a> {
        /// `ID id`
        Id(i64),
        /// `name`
        Name(&'a [u8]),
    }
    impl<'a> BoxOpenFilter<'a> {
        /// Reads it if one of its tokens is next.
        pub fn take(reader: &mut ArgReader<'a>) -> Result<Option<Self>, CommandError> {
            let value = if reader.remaining() >= 2 && reader.take_token("ID") {
                Self::Id(reader.next_i64()?)
            } else {
                return Ok(None);
            };
            Ok(Some(value))
        }
    }
    impl<'a> Parse<'a> for BoxOpenFilter<'a> {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            match Self::take(reader)? {
                Some(value) => Ok(value),
                None => Ok(Self::Name(reader.next_bytes()?)),
            }
        }
        fn encode(&self, out: &mut ArgvBuf) {
            match self {
                Self::Id(value) => {
                    out.push(b"ID");
                    value.encode(out);
                }
                Self::Name(value) => {
                    value.encode(out);
                }
            }
        }
    }
}
/// Handlers of the `server` group.
pub trait ServerCommands {
    /// Do something.
    ///
    /// `BOX` → `array<simple>`. `containers.toml:2`.
    fn r#box(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError>;
    /// Do something.
    ///
    /// `BOX OPEN [ID id | name]` → `bulk?`. `containers.toml:16`.
    fn box_open<'r>(
        &'r mut self,
        args: args::BoxOpen<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError>;
    /// Do something.
    ///
    /// `BOX SUM` → `map<bulk,integer?>`. `containers.toml:46`.
    fn box_sum(
        &mut self,
        reply: MapReply<'_, Bulk<'static>, Option<i64>>,
    ) -> Result<(), CommandError>;
}
/// Handlers of the commands that are about the connection itself: rows with `route = "connection"`.
pub trait SessionCommands {
    /// Do something.
    ///
    /// `BOX SELF` → `verbatim`. `containers.toml:32`.
    fn box_self<'r>(&'r mut self) -> Result<Bulk<'r>, CommandError>;
}
/// The extensions of one shard: who handles the groups that kora-ext owns.
#[derive(Default)]
pub struct Extensions {}
impl Extensions {
    /// Visits those that are there, with the number of their slot.
    #[allow(unused_variables)]
    pub fn each(&mut self, visit: &mut dyn FnMut(u8, &mut dyn Extension)) {}
}
/// Everything that [`dispatch`] may call.
pub trait Handlers: ServerCommands {}
impl<H: ServerCommands> Handlers for H {}
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
        CommandId::Box => {
            if !argv.is_empty() {
                return Err(CommandError::WrongArity("box"));
            }
            ServerCommands::r#box(handlers, ArrayReply::new(reply))?;
        }
        CommandId::BoxOpen => {
            match ServerCommands::box_open(handlers, args::BoxOpen::parse(argv)?)? {
                Some(value) => reply.put_bulk(&value),
                None => reply.null(),
            }
        }
        CommandId::BoxSum => {
            if !argv.is_empty() {
                return Err(CommandError::WrongArity("box|sum"));
            }
            ServerCommands::box_sum(handlers, MapReply::new(reply))?;
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
        CommandId::BoxSelf => {
            if !argv.is_empty() {
                return Err(CommandError::WrongArity("box|self"));
            }
            let value = SessionCommands::box_self(handlers)?;
            reply.put_verbatim(&value);
        }
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
    id.info().visit_keys(argv, visit)
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
        CommandId::BoxOpen => args::BoxOpen::parse(argv)?.encode(out),
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
    /// Do something. `BOX`. `containers.toml:2`.
    fn r#box(&self) -> Result<Vec<String>, Self::Error> {
        self.call(CommandId::Box, |_| {})
    }
    /// Do something. `BOX OPEN [ID id | name]`. `containers.toml:16`.
    fn box_open(&self) -> Result<Option<Vec<u8>>, Self::Error> {
        self.call(CommandId::BoxOpen, |out| args::BoxOpen::new().encode(out))
    }
    /// Do something. With its options. `containers.toml:16`.
    fn box_open_with(
        &self,
        args: args::BoxOpen<'_>,
    ) -> Result<Option<Vec<u8>>, Self::Error> {
        self.call(CommandId::BoxOpen, |out| args.encode(out))
    }
    /// Do something. `BOX SUM`. `containers.toml:46`.
    fn box_sum(&self) -> Result<Vec<(Vec<u8>, Option<i64>)>, Self::Error> {
        self.call(CommandId::BoxSum, |_| {})
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
    /// Do something. `BOX`. `containers.toml:2`.
    fn r#box(&self) -> impl Future<Output = Result<Vec<String>, Self::Error>> {
        self.call(CommandId::Box, ArgvBuf::new())
    }
    /// Do something. `BOX OPEN [ID id | name]`. `containers.toml:16`.
    fn box_open(&self) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> {
        let mut words = ArgvBuf::new();
        args::BoxOpen::new().encode(&mut words);
        self.call(CommandId::BoxOpen, words)
    }
    /// Do something. With its options. `containers.toml:16`.
    fn box_open_with(
        &self,
        args: args::BoxOpen<'_>,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> {
        let mut words = ArgvBuf::new();
        args.encode(&mut words);
        self.call(CommandId::BoxOpen, words)
    }
    /// Do something. `BOX SUM`. `containers.toml:46`.
    fn box_sum(
        &self,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, Option<i64>)>, Self::Error>> {
        self.call(CommandId::BoxSum, ArgvBuf::new())
    }
}
