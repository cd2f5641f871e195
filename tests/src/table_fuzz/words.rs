//! Words for the commands of the table, made from the rows' argument trees.
//!
//! Owns: lines that a row allows, and the ways in which they are broken. Refuses to know: what the words do.
//! Start at [`Maker::line`]; [`Maker::broken`] spoils one.

use kora_runtime::config::{Config, PARAMETERS};
use kora_runtime::keyspace::typed::StrRef;
use kora_runtime::random::Random;
use kora_runtime::rdb::{ValueView, dump_payload};
use kora_runtime::table::{ArgInfo, CommandId, CommandInfo};

/// Numbers at which ranges end, and words that only some parsers take for numbers.
pub const EDGES: [&str; 11] = [
    "0",
    "1",
    "-1",
    "2147483648",
    "4294967296",
    "9007199254740992",
    "9223372036854775807",
    "-9223372036854775808",
    "1e400",
    "nan",
    "inf",
];

/// Bytes of the longest word that a line is spoiled with.
const LONG_WORD_BYTES: usize = 70_000;

/// Keys of each type. The last of each holds more than its packed form may.
pub const KEYS: [(&str, [&str; 3]); 6] = [
    ("string", ["s0", "s1", "s2"]),
    ("list", ["l0", "l1", "l2"]),
    ("hash", ["h0", "h1", "h2"]),
    ("set", ["t0", "t1", "t2"]),
    ("sorted-set", ["z0", "z1", "z2"]),
    ("stream", ["x0", "x1", "x2"]),
];

/// Keys that hold an integer, a float, nothing.
const OTHER_KEYS: [&str; 5] = ["i0", "f0", "none", "new", ""];

/// A script that runs.
pub const SCRIPT: &str = "return 1";
const SCRIPT_DIGEST: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
/// A library with a function that runs.
pub const FUNCTIONS: &str = "#!lua name=lib\n\
    redis.register_function{function_name='fn', callback=function(keys) return #keys end, flags={'no-writes'}}";

/// Scripts of all kinds; text that was not meant as one does not even compile.
const SCRIPTS: [&str; 9] = [
    SCRIPT,
    "return {KEYS[1], ARGV[1], 2.5, false, true}",
    "return redis.call('SET', KEYS[1], ARGV[1] or 'v')",
    "return redis.call('TYPE', KEYS[1])",
    "return redis.pcall('INCR', KEYS[1])",
    "redis.setresp(3); return redis.call('HGETALL', KEYS[1])",
    "return redis.error_reply('MINE of words')",
    "#!lua flags=no-writes\nreturn redis.call('DEL', KEYS[1])",
    "for i = 1, 100 do redis.call('RPUSH', KEYS[1] or 'l0', i) end return redis.call('LLEN', KEYS[1] or 'l0')",
];

/// What redis-server 7.0.15 replies to FUNCTION DUMP, with one library and without any.
const DUMPS: [&[u8]; 2] = [
    b"\xf58#!lua name=b\nredis.register_function(\"f\",function() end)\n\0\xd2-F\x8e\xdej<\xcd",
    b"\n\0]\x9b\\@\x0f\x7f\xa2\xda",
];

/// What DUMP replies for a list of `y` and `z`.
const LIST_DUMP: &[u8] = b"\x12\x01\x02\r\r\0\0\0\x02\0\x81y\x02\x81z\x02\xff\n\0\x18\xb4\xdf3\x044\xea\x08";

/// One command, its name included, and which argument of the row each word stands for.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The words.
    pub words: Vec<Vec<u8>>,
    /// Positions of values, with the argument that each was made for.
    pub values: Vec<(usize, &'static ArgInfo)>,
}

/// True for an argument that takes numbers.
pub fn is_numeric(arg: &ArgInfo) -> bool {
    // The bounds of ZRANGE are `string`s in the table, for it depends on an option what they are.
    let of_range = arg.kind == "string" && matches!(arg.name, "start" | "stop" | "min" | "max");
    matches!(arg.kind, "integer" | "double" | "unix-time") || of_range
}

/// All arguments of a tree that take numbers.
pub fn numeric_arguments(args: &'static [ArgInfo]) -> Vec<&'static ArgInfo> {
    args.iter()
        .flat_map(|arg| {
            let own = (arg.children.is_empty() && is_numeric(arg)).then_some(arg);
            own.into_iter().chain(numeric_arguments(arg.children))
        })
        .collect()
}

/// The most words that a tree takes when no option stands twice; `None` when something in it may be repeated.
pub fn most_words(args: &[ArgInfo]) -> Option<usize> {
    args.iter()
        .map(|arg| {
            let own = match arg.kind {
                "oneof" => arg
                    .children
                    .iter()
                    .map(|child| most_words(std::slice::from_ref(child)))
                    .max_by_key(|most| most.unwrap_or(usize::MAX))?,
                "block" => most_words(arg.children),
                "pure-token" => Some(0),
                _ => Some(1),
            };
            if arg.multiple { None } else { own.map(|words| words + usize::from(arg.token.is_some())) }
        })
        .sum()
}

/// True when words come in groups of several, which an odd number of words cannot fill.
pub fn has_groups(args: &[ArgInfo]) -> bool {
    args.iter().any(|arg| arg.kind == "block" && arg.multiple)
}

/// Makes lines.
pub struct Maker<'r> {
    random: &'r mut Random,
    /// How many keys the last count announced.
    counted: usize,
    group: &'static str,
    line: Line,
}

impl<'r> Maker<'r> {
    /// A maker that draws from `random`.
    pub fn new(random: &'r mut Random) -> Self {
        Self { random, counted: 1, group: "", line: Line::default() }
    }

    /// A line that has everything the row asks for, with some of its options.
    pub fn line(mut self, info: &'static CommandInfo) -> Line {
        self.write(info);
        self.line
    }

    fn write(&mut self, info: &'static CommandInfo) {
        self.group = info.group;
        for word in info.upper.split('|') {
            let word = if self.coin() { word.to_owned() } else { word.to_lowercase() };
            self.line.words.push(word.into_bytes());
        }
        match info.id {
            // Words that are a command themselves.
            CommandId::CommandGetkeys | CommandId::CommandGetkeysandflags if self.coin() => {
                let inner = CommandId::ALL[self.below(CommandId::ALL.len())].info();
                let line = Maker::new(self.random).line(inner);
                if info.arity_allows(line.words.len()) {
                    self.line.words.extend(line.words);
                } else {
                    self.sequence(info.args);
                }
            }
            _ => self.sequence(info.args),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn sequence(&mut self, args: &'static [ArgInfo]) {
        let mut order: Vec<usize> = (0..args.len()).collect();
        // Options that stand beside each other may come in any order.
        for at in 1..order.len() {
            if is_option(&args[at]) && is_option(&args[at - 1]) && self.coin() {
                order.swap(at, at - 1);
            }
        }
        let mut announced = None;
        for (place, &at) in order.iter().enumerate() {
            let arg = &args[at];
            let next = order.get(place + 1).map(|next| &args[*next]);
            if let Some(next) = next.filter(|next| arg.name == "numkeys" && next.multiple && next.token.is_none()) {
                let least = usize::from(!next.optional);
                self.counted = least + self.below(3);
                announced = Some(self.counted);
                self.value(arg, self.counted.to_string().into_bytes());
                continue;
            }
            match announced.take() {
                Some(count) => (0..count).for_each(|_| self.one_value(arg)),
                None => self.argument(arg),
            }
        }
    }

    fn argument(&mut self, arg: &'static ArgInfo) {
        if arg.optional && self.below(5) < 2 {
            return;
        }
        let times = match (arg.multiple, arg.token, arg.kind) {
            (false, ..) => 1,
            // WEIGHTS has one for each key.
            (true, Some(_), "double") => self.counted,
            _ => 1 + self.below(3),
        };
        for turn in 0..times {
            if let Some(token) = arg.token
                && (turn == 0 || arg.multiple_token)
            {
                let token = if self.below(4) == 0 { token.to_lowercase() } else { token.to_owned() };
                self.line.words.push(token.into_bytes());
            }
            self.one_value(arg);
        }
    }

    fn one_value(&mut self, arg: &'static ArgInfo) {
        match arg.kind {
            "pure-token" => {}
            "oneof" => {
                let child = &arg.children[self.below(arg.children.len())];
                // A member is not left out once it is chosen.
                self.member(child);
            }
            "block" => self.sequence(arg.children),
            _ => {
                let word = self.word(arg);
                self.value(arg, word);
            }
        }
    }

    fn member(&mut self, arg: &'static ArgInfo) {
        let times = if arg.multiple { 1 + self.below(3) } else { 1 };
        if let Some(token) = arg.token {
            self.line.words.push(token.as_bytes().to_vec());
        }
        (0..times).for_each(|_| self.one_value(arg));
    }

    fn value(&mut self, arg: &'static ArgInfo, word: Vec<u8>) {
        self.line.values.push((self.line.words.len(), arg));
        self.line.words.push(word);
    }

    fn word(&mut self, arg: &ArgInfo) -> Vec<u8> {
        match (arg.kind, arg.name) {
            ("key", _) => self.key().as_bytes().to_vec(),
            ("pattern", _) => self.pick(&["*", "s*", "?0", "[a-m]*", "[^s]?", "[", "\\", "", "*0*", "none"]).into(),
            ("integer", "cursor") => self.pick(&["0", "0", "0", "1", "5", "1024", "18446744073709551615"]).into(),
            // Not fewer than the stream has.
            (_, "entries-added") => self.pick(&["1000", "200", "3", "-1"]).into(),
            // Without a log there is nothing that could be kept here.
            (_, "numlocal") => self.pick(&["0", "0", "1", "-1"]).into(),
            ("integer", _) => self.integer().into_bytes(),
            ("unix-time", _) => self.pick(&["1", "1000", "2000", "999999", "2000000000", "2000000000000", "0"]).into(),
            ("double", "min" | "max") => self.pick(&["-inf", "+inf", "(1", "3.5", "(-2", "0", "inf", "100"]).into(),
            ("double", _) => self.pick(&["1", "0", "-1.5", "3.25", "1e3", "inf", "-inf", "100", "0.1", "17"]).into(),
            (_, "id" | "ids" | "last-id" | "max-deleted-id" | "threshold" | "start" | "end")
                if self.group == "stream" =>
            {
                let ids =
                    ["0", "1", "3-0", "5-*", "*", "$", "-", "+", "(2", "7-7", "200", "18446744073709551615", "0-0"];
                self.pick(&ids).into()
            }
            (_, "start" | "stop" | "min" | "max") => {
                let of_lex = self.group == "sorted-set" && self.below(3) > 0;
                if of_lex {
                    self.pick(&["-", "+", "[m1", "(m3", "[", "(", "[zzz", "[a"]).into()
                } else {
                    self.integer().into_bytes()
                }
            }
            (_, "script") => self.pick(&SCRIPTS).into(),
            (_, "sha1") => {
                self.pick(&[SCRIPT_DIGEST, SCRIPT_DIGEST, "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", "no"]).into()
            }
            (_, "function-code") => {
                self.pick(&[FUNCTIONS, FUNCTIONS, "#!lua name=none\n", "#!lua name=none", SCRIPT]).into()
            }
            (_, "payload") if self.below(4) > 0 => match self.below(2) {
                0 => LIST_DUMP.to_vec(),
                _ => dump_payload(ValueView::Str(StrRef::Int(7))),
            },
            (_, "serialized-value") if self.below(4) > 0 => DUMPS[self.below(DUMPS.len())].to_vec(),
            (_, "function") => self.pick(&["fn", "fn", "none"]).into(),
            (_, "library-name" | "library-name-pattern") => self.pick(&["lib", "l*", "none"]).into(),
            (_, "command" | "names") => self.command_name().into_bytes(),
            (_, "patterns" | "parameter") => match self.below(4) {
                0 => self.pick(&["*", "max*", "*list*", "nosuch", ""]).into(),
                // Most of the others take few words, so that hardly any line would be accepted.
                1 => self.pick(&["timeout", "lfu-decay-time", "hash-max-listpack-entries"]).into(),
                _ => PARAMETERS[self.below(PARAMETERS.len())].name.into(),
            },
            (_, "value") if self.group == "server" => match self.below(3) {
                0 => self.integer().into_bytes(),
                1 => self.pick(&["yes", "no", "", "1mb", "allkeys-lfu", "noeviction", "strict", "normal 0 0 0"]).into(),
                _ => PARAMETERS[self.below(PARAMETERS.len())].text(&Config::default()).into_bytes(),
            },
            (_, "sections") => {
                let sections = [
                    "all",
                    "everything",
                    "default",
                    "server",
                    "clients",
                    "memory",
                    "stats",
                    "cpu",
                    "commandstats",
                    "keyspace",
                ];
                self.pick(&sections).into()
            }
            (_, "type-name") => self.pick(&["string", "list", "hash", "set", "zset", "stream", ""]).into(),
            (_, "username" | "user") => self.pick(&["default", "default", "nobody"]).into(),
            (_, "addr" | "laddr" | "address") => self.pick(&["client:0", "client:1", "world:0", "nowhere:1"]).into(),
            (_, "connection-name" | "client-name" | "lib-name" | "lib-ver") => {
                self.pick(&["alice", "lib-1.0", "a b", ""]).into()
            }
            _ => self.text(),
        }
    }

    /// A key, of the row's own group more often than not.
    fn key(&mut self) -> &'static str {
        if self.below(10) == 0 {
            return self.pick(&OTHER_KEYS);
        }
        let own = KEYS.iter().position(|(group, _)| *group == self.group).filter(|_| self.below(5) > 0);
        let (_, keys) = KEYS[own.unwrap_or_else(|| self.random.below(KEYS.len() as u64) as usize)];
        if self.group == "string" && self.below(4) == 0 { self.pick(&["i0", "f0"]) } else { self.pick(&keys) }
    }

    fn integer(&mut self) -> String {
        match self.below(12) {
            0 => "100".to_owned(),
            1 => "1000".to_owned(),
            2 => "-100".to_owned(),
            _ => (self.below(9) as i64 - 3).to_string(),
        }
    }

    fn text(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => Vec::new(),
            1 => b"\r\n".to_vec(),
            2 => vec![0xff, 0, b'$'],
            3 => vec![b'x'; 100],
            4 => self.integer().into_bytes(),
            5 => b"3.5".to_vec(),
            _ => format!("m{}", self.below(8)).into_bytes(),
        }
    }

    fn command_name(&mut self) -> String {
        if self.below(8) == 0 {
            return self.pick(&["nosuch", "", "client", "config|", "|", "object|nosuch"]).to_owned();
        }
        let info = CommandId::ALL[self.below(CommandId::ALL.len())].info();
        if self.coin() { info.name.to_owned() } else { info.upper.to_owned() }
    }

    /// A line of the row that is most likely wrong, in one to three places. The name stays.
    pub fn broken(mut self, info: &'static CommandInfo) -> Line {
        self.write(info);
        let name_words = info.name_words();
        for _ in 0..1 + self.below(3) {
            let len = self.line.words.len();
            let arguments = len - name_words;
            let stranger = self.stranger(info);
            let words = &mut self.line.words;
            let mut any = |from: usize, to: usize| from + self.random.below((to - from).max(1) as u64) as usize;
            match any(0, 8) {
                0 if arguments > 0 => drop(words.remove(any(name_words, len))),
                1 if arguments > 0 => words.truncate(any(name_words, len)),
                2 if arguments > 1 => words.swap(any(name_words, len), any(name_words, len)),
                3 if arguments > 0 => {
                    let twice = words[any(name_words, len)].clone();
                    words.insert(any(name_words, len + 1), twice);
                }
                4 => words.insert(any(name_words, len + 1), stranger),
                _ if arguments > 0 => words[any(name_words, len)] = stranger,
                _ => words.push(stranger),
            }
        }
        self.line.values.clear();
        self.line
    }

    /// A word that belongs nowhere, or somewhere else.
    fn stranger(&mut self, info: &'static CommandInfo) -> Vec<u8> {
        match self.below(8) {
            0 => Vec::new(),
            1 if self.below(6) == 0 => vec![b'y'; LONG_WORD_BYTES],
            1 | 2 => (0..1 + self.below(20)).map(|_| self.random.next_u64() as u8).collect(),
            3 | 4 => self.pick(&EDGES).into(),
            5 => {
                self.pick(&["*", "$-1", "+", "-", "(", "[", "\r\n*1\r\n", "\0", "HELP", "NX", "COUNT", "LIMIT"]).into()
            }
            _ => {
                let mut tokens = Vec::new();
                tokens_of(info.args, &mut tokens);
                if tokens.is_empty() { self.text() } else { self.pick(&tokens).into() }
            }
        }
    }
}

fn is_option(arg: &ArgInfo) -> bool {
    let chosen = arg.kind == "oneof" && arg.children.iter().all(|child| child.token.is_some());
    arg.optional && (arg.token.is_some() || chosen)
}

fn tokens_of(args: &'static [ArgInfo], tokens: &mut Vec<&'static str>) {
    for arg in args {
        tokens.extend(arg.token);
        tokens_of(arg.children, tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_words_that_its_row_counts() {
        let mut random = Random::new(1);
        for id in CommandId::ALL {
            let info = id.info();
            for _ in 0..50 {
                let line = Maker::new(&mut random).line(info);
                let arguments = line.words.len() - info.name_words();
                assert!(info.arity_allows(arguments), "{} with {:?}", info.upper, line.words);
                if let Some(most) = most_words(info.args).filter(|_| !info.name.starts_with("command|getkeys")) {
                    assert!(arguments <= most, "{} takes {most} words, not {:?}", info.upper, line.words);
                }
            }
        }
    }

    #[test]
    fn every_number_is_written_at_some_time() {
        let mut random = Random::new(2);
        for id in CommandId::ALL {
            for wanted in numeric_arguments(id.info().args) {
                let written = (0..200).any(|_| {
                    let line = Maker::new(&mut random).line(id.info());
                    line.values.iter().any(|(_, arg)| std::ptr::eq(*arg, wanted))
                });
                assert!(written, "{} never has its {}", id.info().upper, wanted.name);
            }
        }
    }

    #[test]
    fn broken_lines_differ_from_whole_ones() {
        let long = (0..3000).filter(|seed| {
            let line = Maker::new(&mut Random::new(*seed)).broken(CommandId::Set.info());
            line.words.iter().any(|word| word.len() == LONG_WORD_BYTES)
        });
        assert!(long.count() > 10, "long words are rare");
        let whole = (0..1000).filter(|seed| {
            let arguments = Maker::new(&mut Random::new(*seed)).broken(CommandId::Get.info()).words.len() - 1;
            CommandId::Get.info().arity_allows(arguments)
        });
        let whole = whole.count();
        assert!((200..800).contains(&whole), "{whole} of 1000 lines have the right number of words");
    }
}
