//! What scripts see and return, case by case, beside redis-server.
//!
//! Owns: the cases of tests/scripts and a shard in miniature that answers `redis.call`. Refuses to know: the server's own EVAL, which transcripts
//! test. Start at `scripts_reply_as_expected`.
//!
//! A case is `> script`, `>3 script` for a client of RESP3, `>load library` (FUNCTION LOAD REPLACE) or `>fcall function`, in one line with `\n`, `\r`, `\t`, `\\` and `\xNN` escaped; below it stands
//! `< reply`, every byte of it, in the same way. With `KORA_ORACLE=1` the same cases run on a redis-server, and `UPDATE_EXPECT=1` beside it writes
//! its replies into the files. A case behind `! reason` differs from Redis on purpose and does not run there; `UPDATE_EXPECT=1` alone writes its
//! reply.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use kora_ext::script::{Caller, Interrupt, Libraries, LogLevel, Propagation, RestorePolicy, Scripts};
use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::resp::value::skip_value;
use kora_tests::oracle::Oracle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Eval,
    EvalResp3,
    Load,
    Call,
}

#[derive(Debug)]
struct Case {
    script: Vec<u8>,
    kind: Kind,
    differs: bool,
    expected: String,
    line: usize,
}

fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut differs = false;
    for (index, line) in text.lines().enumerate() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            ">" | ">3" | ">load" | ">fcall" => {
                cases.push(Case {
                    script: unescape(rest),
                    kind: match mark {
                        ">" => Kind::Eval,
                        ">3" => Kind::EvalResp3,
                        ">load" => Kind::Load,
                        _ => Kind::Call,
                    },
                    differs: std::mem::take(&mut differs),
                    expected: String::new(),
                    line: index + 1,
                });
            }
            "<" => cases.last_mut().expect("a script above").expected = rest.to_owned(),
            "!" => differs = true,
            "#" | "" => {}
            other => panic!("line {}: unknown mark {other}", index + 1),
        }
    }
    cases
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, tail) = rest.split_first().expect("something behind a backslash");
        rest = tail;
        bytes.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'\\' => b'\\',
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).expect("two digits")
            }
            other => panic!("unknown escape {}", char::from(other)),
        });
    }
    bytes
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").expect("a string takes everything"),
        }
    }
    text
}

/// A shard in miniature: a few strings, and one fixed value of every other type.
#[derive(Default)]
struct Miniature {
    strings: HashMap<Vec<u8>, Vec<u8>>,
    /// How often a script was long enough to be asked about: its clock.
    asked: u64,
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

impl Miniature {
    fn reply(&mut self, words: &[&[u8]], resp3: bool) -> String {
        let name = String::from_utf8_lossy(words[0]).to_lowercase();
        let bulk = |bytes: &[u8]| format!("${}\r\n{}\r\n", bytes.len(), String::from_utf8_lossy(bytes));
        let null = if resp3 { "_\r\n" } else { "$-1\r\n" };
        match (name.as_str(), &words[1..]) {
            ("multi" | "eval" | "subscribe" | "debug", _) | ("config", [b"get", ..]) => {
                "-ERR This Redis command is not allowed from script\r\n".into()
            }
            ("config", [_, ..]) => "-ERR Unknown Redis command called from script\r\n".into(),
            ("ping", []) => "+PONG\r\n".into(),
            ("echo", [text]) => bulk(text),
            ("set", [key, value]) => {
                self.strings.insert(key.to_vec(), value.to_vec());
                "+OK\r\n".into()
            }
            ("set", [_, _, ..]) => "-ERR syntax error\r\n".into(),
            ("get", [key]) => self.strings.get(*key).map_or(null.into(), |value| bulk(value)),
            ("del", keys @ [_, ..]) => {
                format!(":{}\r\n", keys.iter().filter(|key| self.strings.remove(**key).is_some()).count())
            }
            ("incr", [key]) => {
                let old =
                    self.strings.get(*key).map_or("0".into(), |value| String::from_utf8_lossy(value).into_owned());
                match old.parse::<i64>() {
                    Ok(number) => {
                        self.strings.insert(key.to_vec(), (number + 1).to_string().into_bytes());
                        format!(":{}\r\n", number + 1)
                    }
                    Err(_) => "-ERR value is not an integer or out of range\r\n".into(),
                }
            }
            ("lpush", [_, _]) => WRONG_TYPE.into(),
            ("lrange", [_, _, _]) => "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n".into(),
            ("hgetall", [_]) => format!("{}\r\n$1\r\nf\r\n$1\r\nv\r\n", if resp3 { "%1" } else { "*2" }),
            ("smembers", [_]) => format!("{}\r\n$1\r\nm\r\n", if resp3 { "~1" } else { "*1" }),
            ("zscore", [_, _]) => if resp3 { ",1.5\r\n" } else { "$3\r\n1.5\r\n" }.into(),
            ("set" | "get" | "incr" | "config" | "echo" | "lpush", _) => {
                "-ERR Wrong number of args calling Redis command from script\r\n".into()
            }
            _ => "-ERR Unknown Redis command called from script\r\n".into(),
        }
    }
}

/// What makes a redis-server answer like the miniature.
const PREPARATION: [&[&str]; 8] = [
    &["FLUSHALL"],
    &["SCRIPT", "FLUSH"],
    &["FUNCTION", "FLUSH"],
    &["SET", "str", "v"],
    &["RPUSH", "l", "a", "b", "c"],
    &["HSET", "h", "f", "v"],
    &["SADD", "s", "m"],
    &["ZADD", "z", "1.5", "m"],
];

impl Caller for Miniature {
    fn call(&mut self, words: &[&[u8]], resp3: bool, reply: &mut Vec<u8>) {
        reply.extend_from_slice(self.reply(words, resp3).as_bytes());
    }
    fn log(&mut self, _: LogLevel, _: &[u8]) {}
    fn acl_check(&mut self, words: &[&[u8]]) -> Option<bool> {
        (words[0].eq_ignore_ascii_case(b"get")).then_some(true)
    }
    fn set_propagation(&mut self, _: Propagation) {}
    fn now_ns(&self) -> u64 {
        self.asked * 100_000_000
    }
    fn interrupt(&mut self) -> Interrupt {
        self.asked += 1;
        Interrupt::Continue
    }
}

fn on_kora(cases: &[Case]) -> Vec<String> {
    let mut scripts = Scripts::default();
    let mut caller = Miniature::default();
    caller.strings.insert(b"str".to_vec(), b"v".to_vec());
    let mut replies = Vec::new();
    let mut libraries = Libraries::default();
    for case in cases {
        let protocol = if case.kind == Kind::EvalResp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        let mut reply = ReplyBuf::new(protocol);
        let mut refused = None;
        match case.kind {
            Kind::Eval | Kind::EvalResp3 => match scripts.find_or_compile(&case.script) {
                Ok(script) => (caller, _) = scripts.run(script, &[b"key"], &[b"one", b"two"], caller, &mut reply),
                Err(error) => refused = Some(error),
            },
            Kind::Load => {
                let loaded;
                (caller, loaded) = libraries.load(&case.script, true, caller);
                match loaded {
                    Ok(name) => reply.bulk(name.as_bytes()),
                    Err(error) => refused = Some(error),
                }
            }
            Kind::Call => match libraries.find(&case.script) {
                Ok(function) => {
                    (caller, _) = libraries.call(function, &[b"key"], &[b"one", b"two"], caller, &mut reply);
                }
                Err(error) => refused = Some(error),
            },
        }
        if let Some(error) = refused {
            reply.bytes_mut().extend_from_slice(format!("-{error}\r\n").as_bytes());
        }
        assert_eq!(skip_value(reply.as_bytes()), Some(reply.len()), "one whole reply: {}", escape(reply.as_bytes()));
        replies.push(escape(reply.as_bytes()));
    }
    replies
}

fn ask(stream: &mut TcpStream, words: &[&[u8]]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request).expect("redis-server reads");
    let mut reply = Vec::new();
    let mut part = [0; 4096];
    while skip_value(&reply) != Some(reply.len()) {
        let count = stream.read(&mut part).expect("redis-server answers");
        assert!(count > 0, "redis-server closed the connection at {}", escape(&request));
        reply.extend_from_slice(&part[..count]);
    }
    reply
}

fn on_redis(oracle: &Oracle, cases: &[Case]) -> Vec<Option<String>> {
    let mut stream = TcpStream::connect(oracle.address()).expect("redis-server listens");
    for command in PREPARATION {
        let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        ask(&mut stream, &words);
    }
    let mut replies = Vec::new();
    for case in cases {
        if case.differs {
            replies.push(None);
            continue;
        }
        ask(&mut stream, &[b"HELLO", if case.kind == Kind::EvalResp3 { b"3" } else { b"2" }]);
        let words: &[&[u8]] = match case.kind {
            Kind::Eval | Kind::EvalResp3 => &[b"EVAL", &case.script, b"1", b"key", b"one", b"two"],
            Kind::Load => &[b"FUNCTION", b"LOAD", b"REPLACE", &case.script],
            Kind::Call => &[b"FCALL", &case.script, b"1", b"key", b"one", b"two"],
        };
        replies.push(Some(escape(&ask(&mut stream, words))));
    }
    replies
}

fn problems(path: &std::path::Path, cases: &[Case], replies: impl Iterator<Item = Option<String>>) -> Vec<String> {
    cases
        .iter()
        .zip(replies)
        .filter_map(|(case, reply)| {
            let got = reply.filter(|reply| *reply != case.expected)?;
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            Some(format!(
                "{name}:{}: {}\n  expected {}\n  got      {got}",
                case.line,
                escape(&case.script),
                case.expected
            ))
        })
        .collect()
}

#[test]
fn scripts_reply_as_expected() {
    let oracle = Oracle::is_wanted().then(|| Oracle::start().expect("redis-server is installed"));
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let cases = parse(&text);
        assert!(!cases.is_empty(), "no cases in {}", path.display());
        if let Some(oracle) = &oracle {
            let replies = on_redis(oracle, &cases);
            if update {
                std::fs::write(&path, updated(&text, &replies)).expect("a writable file");
            } else {
                wrong.extend(problems(&path, &cases, replies.into_iter()));
            }
            continue;
        }
        let replies: Vec<Option<String>> = on_kora(&cases).into_iter().map(Some).collect();
        if update {
            // Only what differs on purpose is taken from Kora.
            let own: Vec<_> =
                replies.iter().zip(&cases).map(|(reply, case)| reply.clone().filter(|_| case.differs)).collect();
            std::fs::write(&path, updated(&text, &own)).expect("a writable file");
        } else {
            wrong.extend(problems(&path, &cases, replies.into_iter()));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// What FUNCTION DUMP says on one side is what FUNCTION RESTORE takes on the other.
#[test]
fn dumps_of_libraries_go_both_ways() {
    if !Oracle::is_wanted() {
        return; // the unit tests read a dump of redis-server's that is kept
    }
    let oracle = Oracle::start().expect("redis-server is installed");
    let mut stream = TcpStream::connect(oracle.address()).expect("redis-server listens");
    let mut libraries = Libraries::default();
    for functions in [1, 40, 900] {
        let mut code = format!("#!lua name=lib{functions}\n");
        for number in 0..functions {
            writeln!(code, "redis.register_function('f{functions}_{number}', function() return {number} end)")
                .expect("a string takes everything");
        }
        libraries.load(code.as_bytes(), false, Miniature::default()).1.expect("a library");
    }
    assert_eq!(ask(&mut stream, &[b"FUNCTION", b"RESTORE", &libraries.dump()]), b"+OK\r\n");
    assert_eq!(ask(&mut stream, &[b"FCALL", b"f900_899", b"0"]), b":899\r\n");
    let dump = ask(&mut stream, &[b"FUNCTION", b"DUMP"]);
    let dump = kora_runtime::resp::value::bulk_of(&dump).expect("a bulk string");
    libraries.flush();
    libraries.restore(dump, RestorePolicy::Append, Miniature::default()).1.expect("a payload");
    assert_eq!((libraries.iter().len(), libraries.functions_len()), (3, 941));
}

/// The text with new replies; those of cases that did not run stay.
fn updated(text: &str, replies: &[Option<String>]) -> String {
    let mut replies = replies.iter();
    let mut written = String::new();
    let mut keep = true;
    for line in text.lines() {
        if line.starts_with("< ") && !keep {
            continue;
        }
        writeln!(written, "{line}").expect("a string takes everything");
        if line.starts_with('>') {
            let reply = replies.next().expect("one for each case");
            keep = reply.is_none();
            if let Some(reply) = reply {
                writeln!(written, "< {reply}").expect("a string takes everything");
            }
        }
    }
    written
}
