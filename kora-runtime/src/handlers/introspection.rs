//! COMMAND: the table, told to clients.
//!
//! Owns: which names COMMAND knows (rows, and containers that are only implied by rows), the shape of its replies, the errors of
//! COMMAND GETKEYS. Refuses to know: any fact about a command; all of them are in the row.
//! Start at [`info`]; redis-cli begins with [`docs`].

use crate::argv::{Argv, ArgvBuf, Many};
use crate::error::CommandError;
use crate::glob;
use crate::reply::ReplyBuf;
use crate::table::{self, Access, ArgInfo, CommandInfo, Flags, INFO, KeyBegin, KeyFind, KeyGroup, Resolved, args};

/// Flags that Redis keeps to itself.
const UNSEEN_FLAGS: &[&str] = &["may_replicate", "touches_arbitrary_keys"];

/// A name that COMMAND knows.
#[derive(Clone, Copy)]
enum Shown {
    /// A row, which may be a container as well.
    Row(&'static CommandInfo),
    /// A container without a row of its own, by its name in lower case.
    Container(&'static str),
}

impl Shown {
    /// The row or container of a name: `get`, `config`, `config|get`, in any case.
    fn named(name: &[u8]) -> Option<Self> {
        let same = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        let row = INFO.iter().find(|info| same(info.name)).map(Self::Row);
        row.or_else(|| INFO.iter().filter_map(|info| info.container).find(|name| same(name)).map(Self::Container))
    }

    /// Everything that is not a subcommand, in the order of the table.
    fn top_level() -> Vec<Self> {
        let mut shown: Vec<Self> = Vec::with_capacity(INFO.len());
        for info in &INFO {
            match info.container {
                None => shown.push(Self::Row(info)),
                Some(name) if shown.iter().any(|earlier| earlier.name() == name) => {}
                Some(name) => shown.push(Self::Container(name)),
            }
        }
        shown
    }

    fn name(self) -> &'static str {
        match self {
            Self::Row(info) => info.name,
            Self::Container(name) => name,
        }
    }

    /// The rows of its subcommands; none when it is no container.
    fn subcommands(self) -> Vec<&'static CommandInfo> {
        INFO.iter().filter(|info| info.container == Some(self.name())).collect()
    }

    /// ACL categories; a container that is only implied has that of its speed.
    fn categories(self) -> &'static [&'static str] {
        match self {
            Self::Row(info) => info.acl,
            Self::Container(_) => &["@slow"],
        }
    }
}

/// COMMAND COUNT: names that are not subcommands.
pub fn count() -> i64 {
    Shown::top_level().len() as i64
}

/// COMMAND, and COMMAND INFO with the names that were asked for; a name that nothing has is null.
pub fn info(names: Many<'_, &[u8]>, reply: &mut ReplyBuf) {
    if names.is_empty() {
        let all = Shown::top_level();
        reply.array(all.len());
        all.into_iter().for_each(|shown| write_info(shown, reply));
        return;
    }
    reply.array(names.len());
    for name in names {
        match Shown::named(name) {
            Some(shown) => write_info(shown, reply),
            None => reply.null(),
        }
    }
}

fn write_info(shown: Shown, reply: &mut ReplyBuf) {
    let (arity, flags, (first, last, step), tips, key_groups): (_, _, _, &[&str], &[KeyGroup]) = match shown {
        Shown::Row(info) => (info.arity, info.flags, info.legacy_range(), info.tips, info.key_groups),
        Shown::Container(_) => (-2, Flags::EMPTY, (0, 0, 0), &[], &[]),
    };
    reply.array(10);
    reply.bulk(shown.name().as_bytes());
    reply.integer(arity.into());
    write_words(&flags.words().filter(|word| !UNSEEN_FLAGS.contains(word)).collect::<Vec<_>>(), reply);
    for number in [first, last, step] {
        reply.integer(number.into());
    }
    write_words(shown.categories(), reply);
    reply.set(tips.len());
    tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(key_groups.len());
    key_groups.iter().for_each(|group| write_key_spec(group, reply));
    let subcommands = shown.subcommands();
    if subcommands.is_empty() {
        // Redis shows no subcommands as a set, and some as an array.
        reply.set(0);
        return;
    }
    reply.array(subcommands.len());
    for info in subcommands {
        write_info(Shown::Row(info), reply);
    }
}

/// A set of status words.
fn write_words(words: &[&str], reply: &mut ReplyBuf) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

/// The word for flags that depend on the rest of the command line.
const VARIABLE_FLAGS: &str = "VARIABLE_FLAGS";

/// The words for what is done to keys: the first is in capitals, as in Redis.
fn key_flags(group: &KeyGroup) -> Vec<String> {
    let shown = |flag: &&'static str| match *flag {
        "RO" | "RW" | "OW" | "RM" => (*flag).to_owned(),
        flag => flag.to_ascii_lowercase(),
    };
    group.flags.iter().map(shown).collect()
}

fn write_key_flags(group: &KeyGroup, reply: &mut ReplyBuf) {
    let flags = key_flags(group);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
}

fn write_key_spec(group: &KeyGroup, reply: &mut ReplyBuf) {
    reply.map(3);
    reply.bulk(b"flags");
    write_key_flags(group, reply);
    reply.bulk(b"begin_search");
    match group.begin {
        KeyBegin::Index(index) => write_spec("index", &[("index", index as i64)], reply),
        KeyBegin::Keyword { word, start_from } => {
            open_spec("keyword", 2, reply);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.integer(start_from.into());
        }
        KeyBegin::Unknown => write_spec("unknown", &[], reply),
    }
    reply.bulk(b"find_keys");
    match group.find {
        KeyFind::Range { last, step, limit } => {
            write_spec("range", &[("lastkey", last.into()), ("keystep", step as i64), ("limit", limit.into())], reply);
        }
        KeyFind::Counted { step } => {
            write_spec("keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", step as i64)], reply);
        }
        KeyFind::Unknown => write_spec("unknown", &[], reply),
    }
}

fn open_spec(kind: &str, fields: usize, reply: &mut ReplyBuf) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

fn write_spec(kind: &str, fields: &[(&str, i64)], reply: &mut ReplyBuf) {
    open_spec(kind, fields.len(), reply);
    for (name, number) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(*number);
    }
}

/// COMMAND DOCS of the names that were asked for, or of all; a name that nothing has is left out.
pub fn docs(names: Many<'_, &[u8]>, reply: &mut ReplyBuf) {
    let shown = if names.is_empty() { Shown::top_level() } else { names.iter().filter_map(Shown::named).collect() };
    reply.map(shown.len());
    for shown in shown {
        reply.bulk(shown.name().as_bytes());
        write_docs(shown, reply);
    }
}

fn write_docs(shown: Shown, reply: &mut ReplyBuf) {
    let subcommands = shown.subcommands();
    let row = match shown {
        Shown::Row(info) => Some(info),
        Shown::Container(_) => None,
    };
    // A container came with the first of its subcommands and belongs where they do.
    let summary =
        row.map_or_else(|| format!("Holds the {} subcommands.", shown.name().to_uppercase()), |row| row.summary.into());
    let since = row.map_or_else(|| oldest(&subcommands), |row| row.since);
    let group = row.or(subcommands.first().copied()).map_or("", |row| row.group);
    let complexity = row.map_or("That of the subcommand.", |row| row.complexity);
    let arguments = row.map_or(&[][..], |row| row.args);
    reply.map(4 + usize::from(!arguments.is_empty()) + usize::from(!subcommands.is_empty()));
    for (name, text) in [("summary", summary.as_str()), ("since", since), ("group", group), ("complexity", complexity)]
    {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        write_arguments(arguments, reply);
    }
    if !subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(subcommands.len());
        for info in subcommands {
            reply.bulk(info.name.as_bytes());
            write_docs(Shown::Row(info), reply);
        }
    }
}

/// The lowest version that a row came with; versions are numbers between dots, behind a name when they are not Redis's.
fn oldest(rows: &[&'static CommandInfo]) -> &'static str {
    let parts = |since: &str| -> Vec<u32> { since.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect() };
    rows.iter().map(|row| row.since).min_by_key(|since| parts(since)).unwrap_or_default()
}

fn write_arguments(arguments: &[ArgInfo], reply: &mut ReplyBuf) {
    reply.array(arguments.len());
    for arg in arguments {
        let all = [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")];
        let flags: Vec<&str> = all.into_iter().filter_map(|(set, word)| set.then_some(word)).collect();
        let parts = [arg.key_group.is_some(), arg.token.is_some(), !flags.is_empty(), !arg.children.is_empty()];
        reply.map(2 + parts.into_iter().filter(|present| *present).count());
        reply.bulk(b"name");
        reply.bulk(arg.display.as_bytes());
        reply.bulk(b"type");
        reply.bulk(arg.kind.as_bytes());
        if let Some(group) = arg.key_group {
            reply.bulk(b"key_spec_index");
            reply.integer(group as i64);
        }
        if let Some(token) = arg.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            write_words(&flags, reply);
        }
        if !arg.children.is_empty() {
            reply.bulk(b"arguments");
            write_arguments(arg.children, reply);
        }
    }
}

/// COMMAND LIST: names, subcommands included, that the filter lets through.
pub fn list(filter: Option<args::CommandListFilter<'_>>) -> Vec<&'static str> {
    use args::CommandListFilter as Filter;
    let subcommands = INFO.iter().filter(|info| info.container.is_some()).map(Shown::Row);
    let shown = Shown::top_level().into_iter().chain(subcommands);
    let picked = |shown: &Shown| match filter {
        None => true,
        // There are no modules, so nothing is of one.
        Some(Filter::Module(_)) => false,
        Some(Filter::Category(category)) => {
            let known = |name: &&str| name.trim_start_matches('@').as_bytes().eq_ignore_ascii_case(category);
            shown.categories().iter().any(known)
        }
        Some(Filter::Pattern(pattern)) => glob::matches(pattern, shown.name().as_bytes(), true),
    };
    shown.filter(picked).map(Shown::name).collect()
}

/// A key of a command line: its position behind the name, and its group.
type FoundKey = (usize, &'static KeyGroup);

/// A command line that was sent as arguments.
pub struct Line {
    words: ArgvBuf,
    name_words: usize,
    keys: Vec<FoundKey>,
}

impl Line {
    /// The keys of a command line, found by the row's key specs alone, as Redis does: options are not looked at.
    pub fn read(command: &[u8], arguments: Many<'_, &[u8]>) -> Result<Self, CommandError> {
        let mut words = ArgvBuf::new();
        words.push(command);
        arguments.iter().for_each(|word| words.push(word));
        let Resolved::Command { id, words: name_words } = table::resolve(words.as_argv()) else {
            return Err(CommandError::Text("ERR Invalid command specified"));
        };
        let info = id.info();
        if info.key_groups.iter().all(KeyGroup::names_no_key) {
            return Err(CommandError::Text("ERR The command has no key arguments"));
        }
        let argv = words.as_argv().range(name_words, arguments.len() + 1);
        if !info.arity_allows(argv.len()) {
            return Err(CommandError::Text("ERR Invalid number of arguments specified for command"));
        }
        let keys = match keys_by_group(info, argv) {
            Ok(keys) => keys,
            Err(_) if info.flags.contains(Flags::NO_MANDATORY_KEYS) => Vec::new(),
            Err(_) => return Err(CommandError::Text("ERR Invalid arguments specified for command")),
        };
        Ok(Self { words, name_words, keys })
    }

    /// Every key with its group.
    fn keys(&self) -> impl ExactSizeIterator<Item = (&[u8], &'static KeyGroup)> {
        let argv = self.words.as_argv();
        self.keys.iter().map(move |(at, group)| (argv.get(self.name_words + at).unwrap_or_default(), *group))
    }

    /// The keys, for COMMAND GETKEYS.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.keys().map(|(key, _)| key)
    }

    /// The keys and what is done to each, for COMMAND GETKEYSANDFLAGS.
    pub fn write_with_flags(&self, reply: &mut ReplyBuf) {
        reply.array(self.keys.len());
        for (key, group) in self.keys() {
            reply.array(2);
            reply.bulk(key);
            if group.flags.contains(&VARIABLE_FLAGS) {
                self.write_flags_of_use(reply);
            } else {
                write_key_flags(group, reply);
            }
        }
    }

    /// What is done to a key whose flags depend on the words: SET reads the old value with GET only.
    fn write_flags_of_use(&self, reply: &mut ReplyBuf) {
        let reads = self.words.as_argv().iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"GET"));
        write_words(if reads { &["RW", "access", "update"] } else { &["OW", "update"] }, reply);
    }
}

/// The keys of each group in turn. Groups that positions and counts do not tell are left to the row's parser, whose keys go to the first
/// such group of the same access.
fn keys_by_group(info: &'static CommandInfo, argv: Argv<'_>) -> Result<Vec<FoundKey>, CommandError> {
    let mut found: Vec<FoundKey> = Vec::new();
    let is_fixed = |group: &KeyGroup| matches!(group.begin, KeyBegin::Index(_)) && group.find != KeyFind::Unknown;
    for group in info.key_groups.iter().filter(|group| is_fixed(group)) {
        let alone = CommandInfo { key_groups: std::slice::from_ref(group), ..*info };
        alone.visit_keys(argv, &mut |at, _| found.push((at, group)))?;
    }
    if info.key_groups.iter().all(is_fixed) {
        return Ok(found);
    }
    let mut meant = Vec::new();
    table::keys(info.id, argv, &mut |at, access: Access| {
        meant.push(at);
        let group = info.key_groups.iter().find(|group| !is_fixed(group) && group.access == access);
        if let Some(group) = group.filter(|_| !found.iter().any(|(known, _)| *known == at)) {
            found.push((at, group));
        }
    })?;
    // MIGRATE has an empty word in a key's place.
    found.retain(|(at, _)| meant.contains(at));
    Ok(found)
}
