//! What the table says about commands, beside what redis-server says.
//!
//! With `KORA_ORACLE=1` the answers of COMMAND INFO and COMMAND GETKEYSANDFLAGS are asked of a real server and compared with
//! the facts derived from `commands.toml`: arity, flags, categories, tips, key specs, and the keys found in sample command
//! lines. Without it the samples are only parsed, so that every row has a command line that its own parser takes.
//! Start at [`facts_of_row`]; what differs on purpose is listed, with reasons, in [`KORA_ONLY`].

use std::collections::BTreeSet;

use kora_runtime::argv::ArgvBuf;
use kora_runtime::table::{self, Access, ArgInfo, CommandInfo, INFO, KeyBegin, KeyFind, KeyGroup};
use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::resp::{Client, Value};

/// Rows that Redis 7.0 does not know though they come from Redis: they are younger, or Redis has them inside a command without
/// subcommands. A name that ends in `|` stands for all rows of its container.
const KORA_ONLY: &[(&str, &str)] = &[
    ("client|no-touch", "7.2"),
    ("client|setinfo", "7.2"),
    ("waitaof", "7.2"),
    ("debug|", "DEBUG tells its subcommands apart by itself"),
];

/// Rows whose keys stand in one of two places, with the first of them; in the first is an empty word when they are in the second.
const KEYS_IN_EITHER_PLACE: &[(&str, usize)] = &[("migrate", 2)];

/// Flags that Redis keeps to itself.
const UNSEEN_FLAGS: &[&str] = &["touches_arbitrary_keys", "may_replicate"];

fn kora_only(info: &CommandInfo) -> bool {
    let is_meant = |known: &str| known == info.name || known.ends_with('|') && info.name.starts_with(known);
    info.since.starts_with("kora ") || KORA_ONLY.iter().any(|(known, _)| is_meant(known))
}

fn sorted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

/// The facts of a row as lines of text.
fn facts_of_row(info: &CommandInfo) -> Vec<String> {
    let (first, last, step) = info.legacy_range();
    let mut facts = vec![
        format!("arity {}", info.arity),
        format!("flags {}", sorted(info.flags.words().filter(|word| !UNSEEN_FLAGS.contains(word)))),
        format!("keys from {first} to {last} by {step}"),
        format!("categories {}", sorted(info.acl.iter().copied())),
        format!("tips {}", sorted(info.tips.iter().copied())),
    ];
    facts.extend(info.key_groups.iter().map(|group| {
        let flags = sorted(group.flags.iter().copied()).to_ascii_lowercase();
        let begin = match group.begin {
            KeyBegin::Index(index) => format!("index {index}"),
            KeyBegin::Keyword { word, start_from } => format!("keyword {word} {start_from}"),
            KeyBegin::Unknown => "unknown".into(),
        };
        let find = match group.find {
            KeyFind::Range { last, step, limit } => format!("range {last} {step} {limit}"),
            KeyFind::Counted { step } => format!("keynum 0 1 {step}"),
            KeyFind::Unknown => "unknown".into(),
        };
        format!("key spec [{flags}] {begin}, {find}")
    }));
    facts
}

fn text(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        other => {
            other.bytes().map_or_else(|| format!("{other:?}"), |bytes| String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

fn words(value: &Value) -> Vec<String> {
    items(value).into_iter().map(text).collect()
}

/// What stands behind `key` in a map.
fn at<'v>(map: &'v Value, key: &str) -> &'v Value {
    match map {
        Value::Map(pairs) => pairs.iter().find(|(name, _)| text(name) == key).map_or(&Value::Null, |(_, value)| value),
        _ => &Value::Null,
    }
}

/// The facts in one element of a COMMAND INFO reply (RESP3) as lines of text.
fn facts_of_server(info: &Value) -> Vec<String> {
    let fields = items(info);
    let [_, arity, flags, first, last, step, categories, tips, specs, ..] = fields[..] else {
        return vec![format!("an unexpected reply: {info:?}")];
    };
    let set = |value: &Value| sorted(words(value).iter().map(String::as_str));
    let mut facts = vec![
        format!("arity {}", text(arity)),
        format!("flags {}", set(flags)),
        format!("keys from {} to {} by {}", text(first), text(last), text(step)),
        format!("categories {}", set(categories)),
        format!("tips {}", set(tips)),
    ];
    facts.extend(items(specs).into_iter().map(|spec| {
        let part = |name: &str, fields: &[&str]| {
            let part = at(spec, name);
            let values: Vec<String> = fields.iter().map(|field| text(at(at(part, "spec"), field))).collect();
            (text(at(part, "type")), values.join(" "))
        };
        let (begin_type, _) = part("begin_search", &[]);
        let fields: &[&str] = if begin_type == "keyword" { &["keyword", "startfrom"] } else { &["index"] };
        let (_, begin) = part("begin_search", fields);
        let (find_type, _) = part("find_keys", &[]);
        let fields: &[&str] = match find_type.as_str() {
            "range" => &["lastkey", "keystep", "limit"],
            "keynum" => &["keynumidx", "firstkey", "keystep"],
            _ => &[],
        };
        let (_, find) = part("find_keys", fields);
        let flags = set(at(spec, "flags")).to_ascii_lowercase();
        let flags = sorted(flags.split(' '));
        format!("key spec [{flags}] {begin_type} {begin}, {find_type} {find}")
    }));
    facts
}

/// Appends words that these arguments take, one after another. What was counted is there, also when its count might have been 0.
fn sample_each(args: &[ArgInfo], full: bool, keys: &mut usize, out: &mut Vec<String>) {
    let mut counted = false;
    for arg in args {
        sample(&ArgInfo { optional: arg.optional && !counted, ..*arg }, full, keys, out);
        counted = arg.name == "numkeys";
    }
}

/// Appends words that `arg` takes; optional ones only when `full`. Every repetition is two values, so that counts agree.
fn sample(arg: &ArgInfo, full: bool, keys: &mut usize, out: &mut Vec<String>) {
    if arg.optional && !full {
        return;
    }
    out.extend(arg.token.map(str::to_owned));
    let values = if arg.multiple { 2 } else { 1 };
    for _ in 0..values {
        match arg.kind {
            "pure-token" => {}
            "oneof" => {
                let choice = arg.children.first().expect("a choice has members");
                sample(&ArgInfo { optional: false, ..*choice }, full, keys, out);
            }
            "block" => sample_each(arg.children, full, keys, out),
            "key" => {
                *keys += 1;
                out.push(format!("key{keys}"));
            }
            // A count of keys is 2, as there are two of every repeated argument; elsewhere 2 is as good as any.
            "integer" | "double" | "unix-time" => out.push("2".into()),
            "pattern" => out.push("*".into()),
            // Fits where a lexicographic bound stands too.
            _ => out.push("[word".into()),
        }
    }
}

/// Command lines without the name: what is required, and everything.
fn samples(info: &CommandInfo) -> [Vec<String>; 2] {
    [false, true].map(|full| {
        let (mut words, mut keys) = (Vec::new(), 0);
        sample_each(info.args, full, &mut keys, &mut words);
        for (_, place) in KEYS_IN_EITHER_PLACE.iter().filter(|(name, _)| full && *name == info.name) {
            words[*place].clear();
        }
        words
    })
}

fn buffer(words: &[String]) -> ArgvBuf {
    let mut buffer = ArgvBuf::new();
    words.iter().for_each(|word| buffer.push(word.as_bytes()));
    buffer
}

/// The keys that the table finds in a command line, each with `RO` or `RW`.
fn keys_of_row(info: &CommandInfo, words: &[String]) -> Result<Vec<String>, String> {
    let buffer = buffer(words);
    let argv = buffer.as_argv();
    let mut found = Vec::new();
    table::keys(info.id, argv, &mut |index, access| {
        let key = argv.get(index).map_or_else(|| "(none)".into(), String::from_utf8_lossy);
        found.push(format!("{key} {}", if access == Access::Read { "RO" } else { "RW" }));
    })
    .map_err(|error| error.to_string())?;
    Ok(found)
}

/// The same as redis-server finds them.
fn keys_of_server(client: &mut Client, info: &CommandInfo, words: &[String]) -> Vec<String> {
    let name = info.name.split('|').map(str::to_owned);
    let line: Vec<String> = ["COMMAND", "GETKEYSANDFLAGS"]
        .map(str::to_owned)
        .into_iter()
        .chain(name)
        .chain(words.iter().cloned())
        .collect();
    let reply = client.call(&line).expect("redis-server answers");
    if reply.is_error() {
        return vec![text(&reply)];
    }
    items(&reply)
        .into_iter()
        .map(|pair| match items(pair)[..] {
            [key, flags] => {
                let read = words_contain(flags, "RO");
                format!("{} {}", text(key), if read { "RO" } else { "RW" })
            }
            _ => format!("an unexpected reply: {pair:?}"),
        })
        .collect()
}

fn words_contain(flags: &Value, word: &str) -> bool {
    words(flags).iter().any(|flag| flag == word)
}

#[test]
fn every_row_has_command_lines_in_which_its_keys_are_found() {
    let mut problems = Vec::new();
    for info in &INFO {
        for words in samples(info) {
            let either = KEYS_IN_EITHER_PLACE.iter().filter(|(name, _)| *name == info.name).count();
            let declared = info.key_groups.iter().filter(|group| !group.names_no_key()).count() - either;
            match keys_of_row(info, &words) {
                Ok(keys) if keys.len() < declared => problems.push(format!("{} {words:?}: only {keys:?}", info.upper)),
                Ok(_) => {}
                Err(error) => problems.push(format!("{} {words:?}: {error}", info.upper)),
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn redis_server_states_the_same_facts() {
    if !Oracle::is_wanted() {
        eprintln!("not compared with redis-server: {VARIABLE} is not set");
        return;
    }
    let oracle = Oracle::start().expect("redis-server is installed");
    let mut client = Client::connect(oracle.address()).expect("redis-server listens");
    client.call(&["HELLO", "3"]).expect("redis-server speaks RESP3");
    let mut problems = Vec::new();
    for info in &INFO {
        let reply = client.call(&["COMMAND", "INFO", info.name]).expect("redis-server answers");
        let known = items(&reply).into_iter().find(|element| **element != Value::Null && **element != Value::NullArray);
        if known.is_some() == kora_only(info) {
            problems.push(format!("{}: known to redis-server: {}", info.upper, known.is_some()));
        }
        let Some(known) = known else { continue };
        let (ours, theirs) = (facts_of_row(info), facts_of_server(known));
        let both = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs);
        problems.extend(both.map(|(ours, theirs)| format!("{}: {ours}\n    redis-server: {theirs}", info.upper)));
        if ours.len() != theirs.len() {
            problems.push(format!("{}: {} facts, redis-server has {}", info.upper, ours.len(), theirs.len()));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn redis_server_finds_the_same_keys() {
    if !Oracle::is_wanted() {
        eprintln!("not compared with redis-server: {VARIABLE} is not set");
        return;
    }
    let oracle = Oracle::start().expect("redis-server is installed");
    let mut client = Client::connect(oracle.address()).expect("redis-server listens");
    client.call(&["HELLO", "3"]).expect("redis-server speaks RESP3");
    let mut problems = Vec::new();
    let has_keys = |info: &CommandInfo| !info.key_groups.iter().all(KeyGroup::names_no_key);
    for info in INFO.iter().filter(|info| has_keys(info) && !kora_only(info)) {
        for words in samples(info) {
            let ours = keys_of_row(info, &words).unwrap_or_else(|error| vec![error]);
            let theirs = keys_of_server(&mut client, info, &words);
            if ours != theirs {
                problems.push(format!("{} {words:?}\n    table: {ours:?}\n    redis-server: {theirs:?}", info.upper));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
