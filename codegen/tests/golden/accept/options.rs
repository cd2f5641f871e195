/// Every command. The number of a variant is frozen in docs/command-numbers.txt: it stands in frames and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CommandId {
    /// SETX: Do something. `options.toml:2`.
    Setx = 1,
}
impl CommandId {
    /// Every command, in table order.
    pub const ALL: [Self; 1] = [Self::Setx];
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
static PLACES: [u16; 2] = [65535, 0];
/// The entry of each frozen number.
static BY_NUMBER: [&CommandInfo; 2] = [&INFO[0], &INFO[0]];
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
                0x0000000058544553 => Some(FirstWord::Command(CommandId::Setx)),
                _ => None,
            }
        }
        _ => None,
    }
}
/// What the table says about every command, in table order.
pub static INFO: [CommandInfo; 1] = [
    CommandInfo {
        id: CommandId::Setx,
        name: "setx",
        upper: "SETX",
        container: None,
        is_container: false,
        group: "string",
        since: "1.0.0",
        summary: "Do something.",
        complexity: "O(1)",
        syntax: "SETX key value [NX | XX] [GET] [ONCE] [LIMIT limit] [EX ex | KEEPTTL]",
        arity: -3,
        access: Access::Write,
        flags: Flags::EMPTY.with(Flags::WRITE),
        acl: &["@write", "@string", "@slow"],
        tips: &[],
        keys: KeySpec::One(0),
        key_groups: &[
            KeyGroup {
                access: Access::Write,
                flags: &["RW", "ACCESS", "UPDATE"],
                begin: KeyBegin::Index(1),
                find: KeyFind::Range {
                    last: 0,
                    step: 1,
                    limit: 0,
                },
            },
        ],
        route: Route::Key,
        wal: Wal::Effects,
        reply: "ok|bulk?",
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
            ArgInfo {
                name: "condition",
                display: "condition",
                kind: "oneof",
                token: None,
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "nx",
                        display: "nx",
                        kind: "pure-token",
                        token: Some("NX"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                    ArgInfo {
                        name: "xx",
                        display: "xx",
                        kind: "pure-token",
                        token: Some("XX"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                ],
            },
            ArgInfo {
                name: "get",
                display: "get",
                kind: "pure-token",
                token: Some("GET"),
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "once",
                display: "once",
                kind: "pure-token",
                token: Some("ONCE"),
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "limit",
                display: "limit",
                kind: "integer",
                token: Some("LIMIT"),
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[],
            },
            ArgInfo {
                name: "expiry",
                display: "expiry",
                kind: "oneof",
                token: None,
                optional: true,
                multiple: false,
                multiple_token: false,
                key_group: None,
                children: &[
                    ArgInfo {
                        name: "ex",
                        display: "ex",
                        kind: "integer",
                        token: Some("EX"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                    ArgInfo {
                        name: "keep-ttl",
                        display: "keep-ttl",
                        kind: "pure-token",
                        token: Some("KEEPTTL"),
                        optional: false,
                        multiple: false,
                        multiple_token: false,
                        key_group: None,
                        children: &[],
                    },
                ],
            },
        ],
        line: 2,
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
    /// Arguments of SETX. `options.toml:2`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Setx<'a> {
        /// `key`
        pub key: &'a [u8],
        /// `value`
        pub value: &'a [u8],
        /// `[NX | XX]`
        pub condition: Option<SetxCondition>,
        /// `[GET]`
        pub get: bool,
        /// `[ONCE]`
        pub once: bool,
        /// `[LIMIT limit]`
        pub limit: Option<i64>,
        /// `[EX ex | KEEPTTL]`
        pub expiry: Option<SetxExpiry>,
    }
    impl<'a> Setx<'a> {
        /// From what is required; options are off.
        pub fn new(key: &'a [u8], value: &'a [u8]) -> Self {
            Self {
                key,
                value,
                condition: None,
                get: false,
                once: false,
                limit: None,
                expiry: None,
            }
        }
        /// Reads the words after SETX.
        #[inline]
        pub fn parse(argv: Argv<'a>) -> Result<Self, CommandError> {
            if argv.len() < 2 {
                return Err(CommandError::WrongArity("setx"));
            }
            let reader = &mut ArgReader::new(argv);
            let key = reader.next_bytes()?;
            let value = reader.next_bytes()?;
            let mut condition = None;
            let mut get = false;
            let mut once = false;
            let mut limit = None;
            let mut expiry = None;
            while reader.remaining() > 0 {
                if let Some(value) = SetxCondition::take(reader)? {
                    argv::set_choice(&mut condition, value, SetxCondition::agrees)
                        .map_err(|_| CommandError::Text("ERR one of NX and XX"))?;
                } else if reader.take_token("GET") {
                    get = true;
                } else if reader.take_token("ONCE") {
                    argv::set_flag_once(&mut once)?;
                } else if reader.remaining() >= 2 && reader.take_token("LIMIT") {
                    limit = Some(
                        reader
                            .next_i64()
                            .and_then(|number| {
                                if number < 1 {
                                    Err(
                                        CommandError::with_word(
                                            "ERR ",
                                            reader.last_word(),
                                            " is too small",
                                        ),
                                    )
                                } else {
                                    Ok(number)
                                }
                            })?,
                    );
                } else if let Some(value) = SetxExpiry::take(reader)? {
                    argv::set_choice(&mut expiry, value, SetxExpiry::agrees)?;
                } else {
                    break;
                }
            }
            if let Some(word) = reader.peek() {
                return Err(CommandError::with_word("ERR Unsupported option ", word, ""));
            }
            reader.finish_late()?;
            Ok(Self {
                key,
                value,
                condition,
                get,
                once,
                limit,
                expiry,
            })
        }
        /// Appends the words that `parse` would read.
        pub fn encode(&self, out: &mut ArgvBuf) {
            self.key.encode(out);
            self.value.encode(out);
            if let Some(value) = &self.condition {
                value.encode(out);
            }
            if self.get {
                out.push(b"GET");
            }
            if self.once {
                out.push(b"ONCE");
            }
            if let Some(value) = &self.limit {
                out.push(b"LIMIT");
                value.encode(out);
            }
            if let Some(value) = &self.expiry {
                value.encode(out);
            }
        }
    }
    /// The `condition` of SETX. `options.toml:16`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum SetxCondition {
        /// `NX`
        Nx,
        /// `XX`
        Xx,
    }
    impl SetxCondition {
        /// Reads it if one of its tokens is next.
        pub fn take(reader: &mut ArgReader<'_>) -> Result<Option<Self>, CommandError> {
            let value = if reader.take_token("NX") {
                Self::Nx
            } else if reader.take_token("XX") {
                Self::Xx
            } else {
                return Ok(None);
            };
            Ok(Some(value))
        }
        /// True when `later` may stand after `earlier` in one command.
        pub fn agrees(earlier: &Self, later: &Self) -> bool {
            matches!((earlier, later), (Self::Nx, Self::Nx) | (Self::Xx, Self::Xx))
        }
    }
    impl<'a> Parse<'a> for SetxCondition {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            match Self::take(reader)? {
                Some(value) => Ok(value),
                None => Err(CommandError::Syntax),
            }
        }
        fn encode(&self, out: &mut ArgvBuf) {
            match self {
                Self::Nx => {
                    out.push(b"NX");
                }
                Self::Xx => {
                    out.push(b"XX");
                }
            }
        }
    }
    /// The `expiry` of SETX. `options.toml:20`.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum SetxExpiry {
        /// `EX ex`
        Ex(i64),
        /// `KEEPTTL`
        KeepTtl,
    }
    impl SetxExpiry {
        /// Reads it if one of its tokens is next.
        pub fn take(reader: &mut ArgReader<'_>) -> Result<Option<Self>, CommandError> {
            let value = if reader.remaining() >= 2 && reader.take_token("EX") {
                Self::Ex(
                    reader.late(ArgReader::next_i64, || CommandError::NotAnInteger)?,
                )
            } else if reader.take_token("KEEPTTL") {
                Self::KeepTtl
            } else {
                return Ok(None);
            };
            Ok(Some(value))
        }
        /// True when `later` may stand after `earlier` in one command.
        pub fn agrees(earlier: &Self, later: &Self) -> bool {
            matches!(
                (earlier, later), (Self::Ex(_), Self::Ex(_)) | (Self::KeepTtl,
                Self::KeepTtl)
            )
        }
    }
    impl<'a> Parse<'a> for SetxExpiry {
        fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
            match Self::take(reader)? {
                Some(value) => Ok(value),
                None => Err(CommandError::Syntax),
            }
        }
        fn encode(&self, out: &mut ArgvBuf) {
            match self {
                Self::Ex(value) => {
                    out.push(b"EX");
                    value.encode(out);
                }
                Self::KeepTtl => {
                    out.push(b"KEEPTTL");
                }
            }
        }
    }
}
/// Handlers of the `string` group.
pub trait StringCommands {
    /// Do something.
    ///
    /// `SETX key value [NX | XX] [GET] [ONCE] [LIMIT limit] [EX ex | KEEPTTL]` → `ok|bulk?`. `options.toml:2`.
    fn setx(
        &mut self,
        args: args::Setx<'_>,
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
pub trait Handlers: StringCommands {}
impl<H: StringCommands> Handlers for H {}
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
        CommandId::Setx => {
            StringCommands::setx(handlers, args::Setx::parse(argv)?, reply)?;
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
        CommandId::Setx => args::Setx::parse(argv)?.encode(out),
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
    /// Do something. `SETX key value [NX | XX] [GET] [ONCE] [LIMIT limit] [EX ex | KEEPTTL]`. `options.toml:2`.
    fn setx(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Value, Self::Error> {
        self.call(
            CommandId::Setx,
            |out| args::Setx::new(key.as_ref(), value.as_ref()).encode(out),
        )
    }
    /// Do something. With its options. `options.toml:2`.
    fn setx_with(&self, args: args::Setx<'_>) -> Result<Value, Self::Error> {
        self.call(CommandId::Setx, |out| args.encode(out))
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
    /// Do something. `SETX key value [NX | XX] [GET] [ONCE] [LIMIT limit] [EX ex | KEEPTTL]`. `options.toml:2`.
    fn setx(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> impl Future<Output = Result<Value, Self::Error>> {
        let mut words = ArgvBuf::new();
        args::Setx::new(key.as_ref(), value.as_ref()).encode(&mut words);
        self.call(CommandId::Setx, words)
    }
    /// Do something. With its options. `options.toml:2`.
    fn setx_with(
        &self,
        args: args::Setx<'_>,
    ) -> impl Future<Output = Result<Value, Self::Error>> {
        let mut words = ArgvBuf::new();
        args.encode(&mut words);
        self.call(CommandId::Setx, words)
    }
}
