/// Every command. The number of a variant is frozen in docs/command-numbers.txt: it stands in frames and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CommandId {
    /// GETX: Do something. `extension.toml:5`.
    Getx = 1,
    /// DOC.FIND: Do something. `extension.toml:19`.
    DocFind = 2,
}
impl CommandId {
    /// Every command, in table order.
    pub const ALL: [Self; 2] = [Self::Getx, Self::DocFind];
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
static PLACES: [u16; 3] = [65535, 0, 1];
/// The entry of each frozen number.
static BY_NUMBER: [&CommandInfo; 3] = [&INFO[0], &INFO[0], &INFO[1]];
/// Which command the words name. `words` begins with the name.
#[inline]
pub fn resolve(words: Argv<'_>) -> Resolved {
    finish_resolving(words, first_word)
}
/// What the first word of a request stands for.
fn first_word(word: &[u8]) -> Option<FirstWord> {
    match word.len() {
        4 => {
            match fold8::<4>(word) {
                0x0000000058544547 => Some(FirstWord::Command(CommandId::Getx)),
                _ => None,
            }
        }
        8 => {
            match fold8::<8>(word) {
                0x444e49462e434f44 => Some(FirstWord::Command(CommandId::DocFind)),
                _ => None,
            }
        }
        _ => None,
    }
}
/// What the table says about every command, in table order.
pub static INFO: [CommandInfo; 2] = [
    CommandInfo {
        id: CommandId::Getx,
        name: "getx",
        upper: "GETX",
        container: None,
        is_container: false,
        group: "string",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "GETX key",
        arity: 2,
        access: Access::Read,
        flags: Flags::EMPTY.with(Flags::READONLY).with(Flags::FAST),
        acl: &["@read", "@string", "@fast"],
        tips: &[],
        keys: KeySpec::One(0),
        key_groups: &[
            KeyGroup {
                access: Access::Read,
                flags: &["RO", "ACCESS"],
                begin: KeyBegin::Index(1),
                find: KeyFind::Range {
                    last: 0,
                    step: 1,
                    limit: 0,
                },
            },
        ],
        route: Route::Key,
        wal: Wal::None,
        reply: "bulk?",
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
        ],
        line: 5,
    },
    CommandInfo {
        id: CommandId::DocFind,
        name: "doc.find",
        upper: "DOC.FIND",
        container: None,
        is_container: false,
        group: "doc",
        since: "kora 0.3.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "DOC.FIND collection WHERE field value",
        arity: 5,
        access: Access::Read,
        flags: Flags::EMPTY.with(Flags::READONLY),
        acl: &["@doc", "@read", "@slow"],
        tips: &["request_policy:all_shards"],
        keys: KeySpec::None,
        key_groups: &[],
        route: Route::AllShards(Merge::Concat),
        wal: Wal::None,
        reply: "array<bulk>",
        args: &[
            ArgInfo {
                name: "collection",
                display: "collection",
                kind: "string",
                token: None,
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "where",
                display: "where",
                kind: "block",
                token: Some("WHERE"),
                optional: false,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "field",
                        display: "field",
                        kind: "string",
                        token: None,
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
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
        line: 19,
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
    /// Arguments of GETX. `extension.toml:5`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Getx<'a> {
        /// `key`
        pub key: &'a [u8],
    }
    impl<'a> Getx<'a> {
        /// From its parts.
        pub fn new(key: &'a [u8]) -> Self {
            Self { key }
        }
        /// Reads the words after GETX.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.len() != 1 {
                return Err(CommandError::WrongArity("getx"));
            }
            let reader = &mut ArgReader::new(argv);
            let key = reader.next_bytes()?;
            Ok(Self { key })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            self.key.encode(out);
        }
    }
    /// Arguments of DOC.FIND. `extension.toml:19`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct DocFind<'a> {
        /// `collection`
        pub collection: &'a [u8],
        /// `WHERE field value`
        pub r#where: DocFindWhere<'a>,
    }
    impl<'a> DocFind<'a> {
        /// From its parts.
        pub fn new(collection: &'a [u8], r#where: DocFindWhere<'a>) -> Self {
            Self { collection, r#where }
        }
        /// Reads the words after DOC.FIND.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.len() != 4 {
                return Err(CommandError::WrongArity("doc.find"));
            }
            let reader = &mut ArgReader::new(argv);
            let collection = reader.next_bytes()?;
            reader.expect_token("WHERE")?;
            let r#where = DocFindWhere::parse(reader)?;
            Ok(Self { collection, r#where })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            self.collection.encode(out);
            out.push(b"WHERE");
            self.r#where.encode(out);
        }
    }
    /// The `where` of DOC.FIND. `extension.toml:31`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct DocFindWhere<'a> {
        /// `field`
        pub field: &'a [u8],
        /// `value`
        pub value: &'a [u8],
    }
    impl<'a> DocFindWhere<'a> {
        /// From its parts.
        pub fn new(field: &'a [u8], value: &'a [u8]) -> Self {
            Self { field, value }
        }
    }
    impl<'a> Parse<'a> for DocFindWhere<'a> {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            let field = reader.next_bytes()?;
            let value = reader.next_bytes()?;
            Ok(Self { field, value })
        }
        fn encode(&self, out: &mut ArgvBuf) {
            self.field.encode(out);
            self.value.encode(out);
        }
    }
}
/// Handlers of the `string` group.
pub trait StringCommands {
    /// Do something.
    ///
    /// `GETX key` → `bulk?`. `extension.toml:5`.
    fn getx<'r>(
        &'r mut self,
        args: args::Getx<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError>;
}
/// Handlers of the `doc` group.
pub trait DocCommands: Extension {
    /// Do something.
    ///
    /// `DOC.FIND collection WHERE field value` → `array<bulk>`. `extension.toml:19`.
    fn doc_find(
        &mut self,
        cx: &mut ShardCx<'_>,
        args: args::DocFind<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError>;
}
/// Handlers of the commands that are about the connection itself: rows with `route = "connection"`.
pub trait SessionCommands {}
/// The extensions of one shard: who handles the groups that kora-ext owns.
#[derive(Default)]
pub struct Extensions {
    /// Handlers of the `doc` group.
    pub doc: Option<Box<dyn DocCommands>>,
}
impl Extensions {
    /// The slot of `doc`.
    pub const DOC: u8 = 0;
    /// Visits those that are there, with the number of their slot.
    #[allow(unused_variables)]
    pub fn each(&mut self, visit: &mut dyn FnMut(u8, &mut dyn Extension)) {
        if let Some(extension) = &mut self.doc {
            visit(0, &mut **extension);
        }
    }
}
/// Everything that [`dispatch`] may call.
pub trait Handlers: HasExtensions + StringCommands {}
impl<H: HasExtensions + StringCommands> Handlers for H {}
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
        CommandId::Getx => {
            match StringCommands::getx(handlers, args::Getx::parse(argv)?)? {
                Some(value) => reply.put_bulk(&value),
                None => reply.null(),
            }
        }
        CommandId::DocFind => {
            let words = args::DocFind::parse(argv)?;
            handlers
                .extended(
                    |extensions| &mut extensions.doc,
                    |extension, cx| DocCommands::doc_find(
                        extension,
                        cx,
                        words,
                        ArrayReply::new(reply),
                    ),
                )?;
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
        CommandId::Getx => args::Getx::parse(argv)?.encode(out),
        CommandId::DocFind => args::DocFind::parse(argv)?.encode(out),
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
    /// Do something. `GETX key`. `extension.toml:5`.
    fn getx(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Self::Error> {
        self.call(CommandId::Getx, |out| args::Getx::new(key.as_ref()).encode(out))
    }
    /// Do something. `DOC.FIND collection WHERE field value`. `extension.toml:19`.
    fn doc_find(
        &self,
        collection: impl AsRef<[u8]>,
        r#where: args::DocFindWhere<'_>,
    ) -> Result<Vec<Vec<u8>>, Self::Error> {
        self.call(
            CommandId::DocFind,
            |out| args::DocFind::new(collection.as_ref(), r#where).encode(out),
        )
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
    /// Do something. `GETX key`. `extension.toml:5`.
    fn getx(
        &self,
        key: impl AsRef<[u8]>,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> {
        let mut words = ArgvBuf::new();
        args::Getx::new(key.as_ref()).encode(&mut words);
        self.call(CommandId::Getx, words)
    }
    /// Do something. `DOC.FIND collection WHERE field value`. `extension.toml:19`.
    fn doc_find(
        &self,
        collection: impl AsRef<[u8]>,
        r#where: args::DocFindWhere<'_>,
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, Self::Error>> {
        let mut words = ArgvBuf::new();
        args::DocFind::new(collection.as_ref(), r#where).encode(&mut words);
        self.call(CommandId::DocFind, words)
    }
}
