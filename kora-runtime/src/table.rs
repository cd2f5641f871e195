//! The command table at run time: ids, facts, typed arguments, handler traits, dispatch, the typed client.
//!
//! Owns: the types of the facts, and the few functions that walk them. Everything else here is compiled from `commands.toml`
//! by `build.rs`. Refuses to know: any particular command.
//! Start at [`resolve`] (words to [`CommandId`]), then [`dispatch`]; [`CommandInfo`] is one row. `cargo gen show NAME` prints
//! all that one row emits.

use crate::argv::Argv;
use crate::error::CommandError;
use crate::resp::number::parse_i64;

/// What `build.rs` made. Not every table needs every type.
#[allow(unused_imports)]
mod generated {
    use super::*;
    use crate::argv::{ArgvBuf, Cursor, LexBound, Many, ScoreBound, StreamIdArg};
    use crate::client::{FromReply, Value};
    use crate::extension::{Extension, HasExtensions};
    use crate::reply::{ArrayReply, Bulk, MapReply, ReplyBuf, SetReply, Simple, Verbatim};
    use crate::shard::cx::ShardCx;

    include!(concat!(env!("OUT_DIR"), "/table.rs"));
}

pub use generated::*;

/// What a command does to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Changes it.
    Write,
    /// Does not look at it.
    None,
}

/// How a command reaches the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wal {
    /// Not at all.
    None,
    /// As it was sent, when it changed something.
    Command,
    /// As what its handler journals.
    Effects,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// On the shard of its key.
    Key,
    /// On the shards of its keys, each with its own.
    Split(Merge),
    /// In one place, to which the values of all keys are brought.
    Gather,
    /// On every shard, at one point of the order of transactions.
    AllShards(Merge),
    /// On several shards, each when it gets there, after all earlier commands of the connection.
    Scatter(Merge),
    /// Anywhere.
    Any,
    /// In the session, on no shard.
    Connection,
    /// Where a hand-written function says; see [`custom_route`].
    Custom(CustomRoute),
}

/// How the replies of several shards become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Elements one shard after another.
    Concat,
    /// By a hand-written function; see [`custom_merge`].
    Custom(CustomMerge),
}

/// Where the keys of a command are. Positions count the words after the name, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySpec {
    /// It has none.
    None,
    /// One, at a position.
    One(usize),
    /// Every `step`th word from `first` to `last`.
    Range {
        /// Position of the first.
        first: usize,
        /// Position of the last; negative: counted from the end, -1 being the last word.
        last: i32,
        /// From one key to the next.
        step: usize,
    },
    /// A count, and as many keys behind it.
    Counted {
        /// Position of the count.
        at: usize,
        /// Positions of keys before it.
        before: &'static [usize],
    },
    /// Only [`keys`] can tell.
    Parser,
}

/// Keys that are found and used in the same way: a key spec, in Redis's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroup {
    /// What the command does to them.
    pub access: Access,
    /// The same in Redis's words: `RW`, `ACCESS`, `UPDATE`.
    pub flags: &'static [&'static str],
    /// Where the search begins.
    pub begin: KeyBegin,
    /// How the keys lie from there.
    pub find: KeyFind,
}

/// Where the search for keys begins. Positions count the name's words too, as Redis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBegin {
    /// At a position.
    Index(usize),
    /// Behind a word.
    Keyword {
        /// The word.
        word: &'static str,
        /// The first position where it may stand; a negative one is counted from the end, and it is looked for towards the front.
        start_from: i32,
    },
    /// Only [`keys`] can tell.
    Unknown,
}

/// How keys lie from where the search begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFind {
    /// Every `step`th word up to `last`.
    Range {
        /// Relative to the first; negative: counted from the end.
        last: i32,
        /// From one key to the next.
        step: usize,
        /// 2 when only the first half of the words are keys, else 0.
        limit: u32,
    },
    /// A count, then as many keys.
    Counted {
        /// From one key to the next.
        step: usize,
    },
    /// Only [`keys`] can tell.
    Unknown,
}

/// One argument, as COMMAND DOCS shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgInfo {
    /// Its name in the table.
    pub name: &'static str,
    /// Its name for people.
    pub display: &'static str,
    /// Redis's word for its type: `string`, `integer`, `pure-token`, `oneof`, `block`….
    pub kind: &'static str,
    /// The word before it.
    pub token: Option<&'static str>,
    /// It may be left out.
    pub optional: bool,
    /// It may stand several times.
    pub multiple: bool,
    /// The word stands before every value.
    pub multiple_token: bool,
    /// Which of the row's key groups it belongs to.
    pub key_group: Option<usize>,
    /// The parts of a block or choice.
    pub children: &'static [ArgInfo],
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct CommandInfo {
    /// Its id.
    pub id: CommandId,
    /// The name in lower case: `client|kill`.
    pub name: &'static str,
    /// The name in upper case: `CLIENT|KILL`.
    pub upper: &'static str,
    /// The container's name in lower case, for a subcommand.
    pub container: Option<&'static str>,
    /// Other rows are its subcommands.
    pub is_container: bool,
    /// The group.
    pub group: &'static str,
    /// The version it came with.
    pub since: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Of time.
    pub complexity: &'static str,
    /// How it is written: `GETEX key [EX seconds | …]`.
    pub syntax: &'static str,
    /// Redis's arity: the name's words counted; negative for "at least".
    pub arity: i32,
    /// What it does to its keys.
    pub access: Access,
    /// Facts, derived ones included.
    pub flags: Flags,
    /// ACL categories, each with its `@`.
    pub acl: &'static [&'static str],
    /// Command tips.
    pub tips: &'static [&'static str],
    /// Where its keys are.
    pub keys: KeySpec,
    /// The same in detail.
    pub key_groups: &'static [KeyGroup],
    /// Where it runs.
    pub route: Route,
    /// How it reaches the log.
    pub wal: Wal,
    /// What it replies, in the words of docs/command-table.md.
    pub reply: &'static str,
    /// Its arguments.
    pub args: &'static [ArgInfo],
    /// The line of `commands.toml`.
    pub line: u32,
}

/// A command that has subcommands.
#[derive(Debug, Clone, Copy)]
pub struct ContainerInfo {
    /// The name in lower case.
    pub name: &'static str,
    /// The name in upper case.
    pub upper: &'static str,
    /// The group of its subcommands.
    pub group: &'static str,
    /// The version its first subcommand came with.
    pub since: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The command it is without a subcommand, where it is one.
    pub bare: Option<CommandId>,
    /// Its subcommands, in table order.
    pub subcommands: &'static [CommandId],
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $word:literal;)*) => {
        /// Facts about a command, as bits.
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct Flags(u32);

        impl Flags {
            /// None.
            pub const EMPTY: Self = Self(0);
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// The words that COMMAND INFO shows, in Redis's order.
            pub fn words(self) -> impl Iterator<Item = &'static str> {
                [$((Self::$name, $word)),*]
                    .into_iter()
                    .filter(move |(flag, word)| self.contains(*flag) && !word.is_empty())
                    .map(|(_, word)| word)
            }
        }
    };
}

flags! {
    /// Changes keys.
    WRITE = 0, "write";
    /// Reads keys.
    READONLY = 1, "readonly";
    /// Refused when memory is used up.
    DENYOOM = 2, "denyoom";
    /// For administrators.
    ADMIN = 3, "admin";
    /// Publish or subscribe.
    PUBSUB = 4, "pubsub";
    /// Not from scripts.
    NOSCRIPT = 5, "noscript";
    /// May wait for another client.
    BLOCKING = 6, "blocking";
    /// Allowed while data is loaded.
    LOADING = 7, "loading";
    /// Allowed on a stale replica.
    STALE = 8, "stale";
    /// Runs a script. Redis says of the same commands that MONITOR does not show them.
    RUNS_SCRIPTS = 19, "skip_monitor";
    /// Never in the slow log.
    SKIP_SLOWLOG = 9, "skip_slowlog";
    /// O(1) or O(log n).
    FAST = 10, "fast";
    /// Allowed before AUTH.
    NO_AUTH = 11, "no_auth";
    /// May send something to replicas.
    MAY_REPLICATE = 12, "may_replicate";
    /// Its keys may be left out.
    NO_MANDATORY_KEYS = 13, "no_mandatory_keys";
    /// Not inside MULTI.
    NO_MULTI = 14, "no_multi";
    /// Its keys cannot be told from fixed positions.
    MOVABLEKEYS = 15, "movablekeys";
    /// Allowed while a script is stuck.
    ALLOW_BUSY = 16, "allow_busy";
    /// Touches keys that its arguments do not name.
    TOUCHES_ARBITRARY_KEYS = 17, "touches_arbitrary_keys";
    /// Its arguments are secrets.
    NOAUTH_ARGS = 18, "";
    /// Not while a replica loads data beside what it has; there are no replicas.
    NO_ASYNC_LOADING = 20, "no_async_loading";
}

impl Flags {
    /// These and `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when any of `other` is set.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True when all of `other` are set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.words()).finish()
    }
}

impl KeyGroup {
    /// True when it only tells where words stand that are treated like keys in a cluster: shard channels.
    pub fn names_no_key(&self) -> bool {
        self.flags.contains(&"NOT_KEY")
    }
}

impl CommandInfo {
    /// How many words the name has.
    #[inline]
    pub fn name_words(&self) -> usize {
        if self.container.is_some() { 2 } else { 1 }
    }

    /// True when `words` words after the name are allowed.
    #[inline]
    pub fn arity_allows(&self, words: usize) -> bool {
        let words = words + self.name_words();
        if self.arity < 0 { words >= self.arity.unsigned_abs() as usize } else { words == self.arity as usize }
    }

    /// Calls `visit` for every key, where fixed positions and counts tell them; see [`keys`].
    pub fn visit_keys(&self, argv: Argv<'_>, visit: &mut dyn FnMut(usize, Access)) -> Result<(), CommandError> {
        if !self.arity_allows(argv.len()) {
            return Err(CommandError::WrongArity(self.name));
        }
        for group in self.key_groups.iter().filter(|group| !group.names_no_key()) {
            let KeyBegin::Index(position) = group.begin else { return Err(CommandError::Internal) };
            let start = position - self.name_words();
            let (first, end, step) = match group.find {
                KeyFind::Range { last, step, .. } if last < 0 => {
                    (start, (argv.len() + 1).saturating_sub(last.unsigned_abs() as usize), step)
                }
                KeyFind::Range { last, step, .. } => (start, start + last as usize + 1, step),
                KeyFind::Counted { step } => {
                    let count = argv.get(start).and_then(parse_i64).ok_or(CommandError::NotAnInteger)?;
                    let count = usize::try_from(count).map_err(|_| CommandError::Syntax)?;
                    let end = count.checked_mul(step).and_then(|words| words.checked_add(start + 1));
                    (start + 1, end.ok_or(CommandError::Syntax)?, step)
                }
                KeyFind::Unknown => return Err(CommandError::Internal),
            };
            if end > argv.len() {
                return Err(CommandError::Syntax);
            }
            (first..end).step_by(step).for_each(|index| visit(index, group.access));
        }
        Ok(())
    }

    /// First key, last key and step, as COMMAND INFO shows them: what can be said of all key groups together.
    pub fn legacy_range(&self) -> (i32, i32, i32) {
        let ranges = self.key_groups.iter().filter_map(|group| match (group.begin, group.find) {
            (KeyBegin::Index(first), KeyFind::Range { last, step, limit: 0 }) => {
                Some((first as i32, last, step as i32))
            }
            _ => None,
        });
        let mut whole: Option<(i32, i32, i32)> = None;
        for (first, last, step) in ranges {
            let last = if last >= 0 { first + last } else { last };
            whole = match whole {
                None => Some((first, last, step)),
                Some((from, to, 1)) if step == 1 && to == first - 1 => Some((from, last, 1)),
                Some(earlier) => Some(earlier),
            };
        }
        whole.unwrap_or((0, 0, 0))
    }
}

/// What the first words of a request name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// A command.
    Command {
        /// Which.
        id: CommandId,
        /// How many words its name has; its arguments follow.
        words: usize,
    },
    /// No command has this name.
    UnknownCommand,
    /// The container has no such subcommand.
    UnknownSubcommand {
        /// The container's name in lower case.
        container: &'static str,
    },
    /// A container that needs a subcommand.
    ContainerAlone {
        /// The container's name in lower case.
        container: &'static str,
    },
}

/// What the first word of a request stands for.
enum FirstWord {
    Command(CommandId),
    Container(&'static Subcommands),
}

/// What may follow the name of a container.
struct Subcommands {
    container: &'static str,
    bare: Option<CommandId>,
    find: fn(&[u8]) -> Option<CommandId>,
}

#[inline]
fn finish_resolving(words: Argv<'_>, first_word: fn(&[u8]) -> Option<FirstWord>) -> Resolved {
    match words.get(0).and_then(first_word) {
        Some(FirstWord::Command(id)) => Resolved::Command { id, words: 1 },
        Some(FirstWord::Container(&Subcommands { container, bare, find })) => match (words.get(1), bare) {
            (None, Some(id)) => Resolved::Command { id, words: 1 },
            (None, None) => Resolved::ContainerAlone { container },
            (Some(word), _) => match find(word) {
                Some(id) => Resolved::Command { id, words: 2 },
                None => Resolved::UnknownSubcommand { container },
            },
        },
        None => Resolved::UnknownCommand,
    }
}

/// The word in upper case as one integer, first byte lowest. `N` is its length, at most 8.
#[inline(always)]
fn fold8<const N: usize>(word: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    if let Some(word) = word.first_chunk::<N>() {
        bytes[..N].copy_from_slice(word);
    }
    upper8(u64::from_le_bytes(bytes))
}

/// The word in upper case as one integer, first byte lowest. `N` is its length, at most 16.
#[inline(always)]
fn fold16<const N: usize>(word: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    if let Some(word) = word.first_chunk::<N>() {
        bytes[..N].copy_from_slice(word);
    }
    let whole = u128::from_le_bytes(bytes);
    u128::from(upper8(whole as u64)) | u128::from(upper8((whole >> 64) as u64)) << 64
}

/// Eight bytes at once: `a`–`z` lose the bit that makes them lower case.
#[inline(always)]
fn upper8(bytes: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let low = bytes & (0x7f * ONES);
    let at_least_a = low + (0x80 - b'a' as u64) * ONES;
    let above_z = low + (0x7f - b'z' as u64) * ONES;
    let lower = (at_least_a ^ above_z) & !bytes & (0x80 * ONES);
    bytes & !(lower >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argv::ArgvBuf;

    fn resolved(words: &[&str]) -> Resolved {
        let mut argv = ArgvBuf::new();
        words.iter().for_each(|word| argv.push(word.as_bytes()));
        resolve(argv.as_argv())
    }

    #[test]
    fn every_name_resolves_in_any_case() {
        for info in &INFO {
            let words: Vec<&str> = info.upper.split('|').collect();
            let expected = Resolved::Command { id: info.id, words: info.name_words() };
            assert_eq!(resolved(&words), expected, "{}", info.upper);
            let lower: Vec<&str> = info.name.split('|').collect();
            assert_eq!(resolved(&lower), expected, "{}", info.name);
            let mixed: String = info
                .name
                .chars()
                .enumerate()
                .map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c })
                .collect();
            assert_eq!(resolved(&mixed.split('|').collect::<Vec<_>>()), expected, "{mixed}");
        }
    }

    #[test]
    fn near_names_do_not_resolve() {
        for info in INFO.iter().filter(|info| info.container.is_none()) {
            for near in [format!("{}\0", info.upper), format!("{}X", info.upper), format!("\0{}", info.upper)] {
                if INFO.iter().all(|other| other.upper != near) {
                    assert_eq!(resolved(&[&near]), Resolved::UnknownCommand, "{near:?}");
                }
            }
            // The bit that folds case must not fold other bytes: `G`, `E` and `'`, `%` differ by letters' bits only.
            let folded: Vec<u8> = info.upper.bytes().map(|byte| byte ^ 0x40).collect();
            let folded = String::from_utf8(folded).expect("seven bits");
            assert_eq!(resolved(&[&folded]), Resolved::UnknownCommand, "{folded:?}");
        }
        assert_eq!(resolved(&[]), Resolved::UnknownCommand);
        assert_eq!(resolved(&[""]), Resolved::UnknownCommand);
    }

    #[test]
    fn containers_want_a_subcommand_they_know() {
        for container in &CONTAINERS {
            let alone = match container.bare {
                Some(id) => Resolved::Command { id, words: 1 },
                None => Resolved::ContainerAlone { container: container.name },
            };
            assert_eq!(resolved(&[container.upper]), alone);
            let unknown = Resolved::UnknownSubcommand { container: container.name };
            assert_eq!(resolved(&[container.upper, "NO SUCH"]), unknown);
            assert_eq!(resolved(&[container.upper, ""]), unknown);
        }
    }

    #[test]
    fn numbers_lead_back_to_their_commands() {
        for (info, id) in INFO.iter().zip(CommandId::ALL) {
            assert_eq!(info.id, id);
            assert_eq!(CommandId::from_number(id.number()), Some(id));
            assert_eq!(id.info().upper, info.upper);
        }
        assert_eq!(CommandId::from_number(0), None);
        assert_eq!(CommandId::from_number(u16::MAX), None);
    }

    #[test]
    fn only_letters_lose_their_case() {
        for byte in 0..=u8::MAX {
            let folded = upper8(u64::from_le_bytes([byte; 8]));
            assert_eq!(folded, u64::from_le_bytes([byte.to_ascii_uppercase(); 8]), "{byte}");
        }
    }
}
