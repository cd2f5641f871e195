//! Numbers, sums, globs and inline requests against the answers of redis-server 7.0.15.
//!
//! Owns: the files in `codec/`, each line a case as quoted words, the last one the encoded reply of Redis. Refuses to know: how
//! the codec works. Start at [`check`]. With `KORA_ORACLE` set, thousands of random cases are put to a redis-server as well;
//! with `UPDATE_EXPECT=1` besides, the files are written anew from its answers.

#![allow(clippy::unwrap_used, reason = "a test that cannot ask or read its files fails")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kora_runtime::argv::Argv;
use kora_runtime::error::CommandError;
use kora_runtime::glob;
use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::resp::decode::ProtocolError;
use kora_runtime::resp::extended::{SumError, add_decimal};
use kora_runtime::resp::inline::split_words;
use kora_runtime::resp::number::{parse_f64, write_f64};
use kora_runtime::resp::value::{array_elements, bulk_of, skip_value};

type Words = Vec<Vec<u8>>;

/// The bytes to send, how many replies come, and which of them is the answer.
type Request = (Vec<u8>, usize, usize);

/// One thing the codec does, and how to ask Redis about it.
struct Topic {
    name: &'static str,
    /// Random cases put to the oracle.
    random_cases: usize,
    generate: fn(&mut Random) -> Words,
    ours: fn(&[Vec<u8>]) -> Vec<u8>,
    request: fn(&[Vec<u8>]) -> Request,
    /// Makes the answer independent of what else the server holds.
    normalise: fn(&[Vec<u8>], Vec<u8>) -> Vec<u8>,
}

/// Cases in a file.
const CASES_KEPT: usize = 300;

#[track_caller]
fn check(topic: &Topic) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec").join(topic.name).with_extension("txt");
    let wanted = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if wanted("KORA_ORACLE") {
        let mut oracle = Oracle::start();
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let mut file = String::new();
        for index in 0..topic.random_cases {
            let case = (topic.generate)(&mut random);
            let theirs = oracle.ask(topic, &case);
            if index < CASES_KEPT {
                for word in case.iter().chain([&theirs]) {
                    write!(file, "\"{}\" ", word.escape_ascii()).unwrap();
                }
                file.pop();
                file.push('\n');
            }
            compare(topic, &case, &theirs);
        }
        if wanted("UPDATE_EXPECT") {
            std::fs::write(&path, file).unwrap();
        }
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert_eq!(file.lines().count(), CASES_KEPT);
    for line in file.lines() {
        let (mut scratch, mut spans) = (Vec::new(), Vec::new());
        split_words(line.as_bytes(), &mut scratch, &mut spans).expect("a case is quoted words");
        let words: Words = Argv::new(&scratch, &spans).iter().map(<[u8]>::to_vec).collect();
        let (theirs, case) = words.split_last().expect("a case has an answer");
        compare(topic, case, theirs);
    }
}

#[track_caller]
fn compare(topic: &Topic, case: &[Vec<u8>], theirs: &[u8]) {
    let ours = (topic.ours)(case);
    let shown: Vec<String> = case.iter().map(|word| word.escape_ascii().to_string()).collect();
    assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{}: {shown:?}", topic.name);
}

#[test]
fn doubles() {
    check(&Topic {
        name: "doubles",
        random_cases: 30_000,
        generate: |random| vec![random.double_text()],
        ours: |case| {
            let mut text = Vec::new();
            let score = parse_f64(&case[0]).map(|number| write_f64(&mut text, number));
            encoded(|reply| match score {
                Some(()) => reply.bulk(&text),
                None => reply.null(),
            })
        },
        request: |case| {
            let commands = [
                command(&[b"DEL", b"z"]),
                command(&[b"ZADD", b"z", &case[0], b"m"]),
                command(&[b"ZSCORE", b"z", b"m"]),
            ];
            (commands.concat(), 3, 2)
        },
        normalise: |_, reply| reply,
    });
}

#[test]
fn sums() {
    check(&Topic {
        name: "sums",
        random_cases: 30_000,
        generate: |random| vec![random.addend(), random.addend()],
        ours: |case| {
            let sum = add_decimal(&case[0], &case[1]);
            encoded(|reply| match sum {
                Ok(text) => reply.bulk(&text),
                Err(SumError::NanOrInfinity) => reply.error(&CommandError::NanOrInfinity),
                Err(_) => reply.error(&CommandError::NotAFloat),
            })
        },
        request: |case| {
            let commands = [command(&[b"SET", b"k", &case[0]]), command(&[b"INCRBYFLOAT", b"k", &case[1]])];
            (commands.concat(), 2, 1)
        },
        normalise: |_, reply| reply,
    });
}

#[test]
fn globs() {
    check(&Topic {
        name: "globs",
        random_cases: 60_000,
        generate: |random| loop {
            let text = random.word(b"abcABC-]\\\x00\x80\xff", 6);
            let pattern = match random.below(2) {
                0 => random.word(b"ab*?[^-]\\cC\x80\xff", 9),
                _ => random.pattern_like(&text),
            };
            // KEYS takes `*` for "all" before it matches.
            if pattern != b"*" {
                return vec![pattern, text];
            }
        },
        ours: |case| encoded(|reply| reply.boolean(glob::matches(&case[0], &case[1], false))),
        request: |case| {
            let commands =
                [command(&[b"SET", &case[1], b""]), command(&[b"KEYS", &case[0]]), command(&[b"DEL", &case[1]])];
            (commands.concat(), 3, 1)
        },
        normalise: |case, reply| {
            let found = array_elements(&reply).expect("KEYS gives an array").any(|key| bulk_of(key) == Some(&case[1]));
            encoded(|reply| reply.boolean(found))
        },
    });
}

#[test]
fn globs_in_any_case() {
    check(&Topic {
        name: "globs_in_any_case",
        random_cases: 30_000,
        generate: |random| loop {
            let name: &[u8] =
                [b"hz".as_slice(), b"port", b"save", b"dir", b"maxmemory", b"io-threads"][random.below(6)];
            let pattern = random.pattern_like(name);
            // CONFIG GET matches when there is something to match, and its patterns are C strings.
            if pattern.iter().any(|byte| b"*?[".contains(byte)) && !pattern.contains(&0) {
                return vec![pattern, name.to_vec()];
            }
        },
        ours: |case| encoded(|reply| reply.boolean(glob::matches(&case[0], &case[1], true))),
        request: |case| (command(&[b"CONFIG", b"GET", &case[0]]), 1, 0),
        normalise: |case, reply| {
            let mut names = array_elements(&reply).expect("CONFIG GET gives an array").step_by(2);
            let found = names.any(|name| bulk_of(name) == Some(&case[1]));
            encoded(|reply| reply.boolean(found))
        },
    });
}

#[test]
fn inline_requests() {
    check(&Topic {
        name: "inline_requests",
        random_cases: 20_000,
        generate: |random| vec![random.word(b"ab  \t\x0b\r\"\"''\\\\xnrt40f\xff", 16)],
        ours: |case| {
            let (mut scratch, mut spans) = (Vec::new(), Vec::new());
            let line = [b"EVAL 'return ARGV' 0 ".as_slice(), &case[0]].concat();
            if split_words(&line, &mut scratch, &mut spans).is_none() {
                let mut out = Vec::new();
                ProtocolError::UnbalancedQuotes.write(&mut out);
                return out;
            }
            encoded(|reply| {
                let words = Argv::new(&scratch, &spans[3..]);
                reply.array(words.len());
                words.iter().for_each(|word| reply.bulk(word));
            })
        },
        request: |case| ([b"EVAL 'return ARGV' 0 ", case[0].as_slice(), b"\n"].concat(), 1, 0),
        normalise: |_, reply| reply,
    });
}

fn encoded(write: impl FnOnce(&mut ReplyBuf)) -> Vec<u8> {
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    write(&mut reply);
    reply.into_bytes()
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    encoded(|reply| {
        reply.array(words.len());
        words.iter().for_each(|word| reply.bulk(word));
    })
}

/// Xorshift: the same cases every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize) % end
    }

    fn word(&mut self, alphabet: &[u8], len_max: usize) -> Vec<u8> {
        (0..self.below(len_max + 1)).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }

    fn digits(&mut self, len_max: usize) -> String {
        (0..=self.below(len_max)).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    fn sign(&mut self) -> &'static str {
        ["", "", "-", "+"][self.below(4)]
    }

    fn garbage(&mut self) -> Vec<u8> {
        self.word(b"0123456789..eE+-xXpPinfaINFNA 1111", 8)
    }

    fn hexadecimal(&mut self) -> String {
        let (whole, fraction, power) = (self.next() >> self.below(64), self.next() >> self.below(64), self.below(2200));
        format!("{}0x{whole:x}.{fraction:X}p{}", self.sign(), power as i64 - 1100)
    }

    fn double_text(&mut self) -> Vec<u8> {
        let text = match self.below(8) {
            0 | 1 => format!("{:e}", f64::from_bits(self.next())),
            2 => (self.next() as i64 >> self.below(64)).to_string(),
            3 => format!("{}{}.{}", self.sign(), self.digits(9), self.digits(20)),
            // Ties, where half to even shows: these have up to 18 significant digits and end in 5.
            4 => ((self.below(200_000) | 1) as f64 / (1u64 << (14 + self.below(9))) as f64).to_string(),
            5 => format!("{}{}e{}", self.sign(), self.digits(20), self.below(700) as i64 - 350),
            6 => self.hexadecimal(),
            _ => return self.garbage(),
        };
        text.into_bytes()
    }

    fn addend(&mut self) -> Vec<u8> {
        let text = match self.below(12) {
            0 | 1 => (self.next() as i64 >> self.below(64)).to_string(),
            2..=4 => format!("{}{}.{}", self.sign(), self.digits(6), self.digits(4)),
            5 => format!("{}{}.{}", self.sign(), self.digits(25), self.digits(25)),
            6 => format!("{}{}.{}e{}", self.sign(), self.digits(3), self.digits(6), self.below(60) as i64 - 30),
            7 => format!("{}{}e{}", self.sign(), self.digits(30), self.below(10_000) as i64 - 5000),
            8 => self.hexadecimal(),
            9 => f64::from_bits(self.next()).to_string(),
            10 => ["inf", "-inf", "0", "-0", "1e17", "0.5", "-1", "18446744073709551616"][self.below(8)].into(),
            _ => return self.garbage(),
        };
        text.into_bytes()
    }

    /// A pattern made from `text`, so that it matches often.
    fn pattern_like(&mut self, text: &[u8]) -> Vec<u8> {
        let mut pattern = Vec::new();
        for &byte in text {
            match self.below(12) {
                0 => pattern.push(b'*'),
                1 => pattern.push(b'?'),
                2 => pattern.extend_from_slice(&[b'\\', byte]),
                3 => pattern.extend_from_slice(&[b'[', byte, b'x', b']']),
                4 => pattern.extend_from_slice(&[b'[', b'^', byte.wrapping_add(1), b']']),
                5 => pattern.extend_from_slice(&[b'[', byte.wrapping_sub(2), b'-', byte.wrapping_add(3), b']']),
                6 => pattern.extend_from_slice(&[b'[', byte.wrapping_add(3), b'-', b'A', b']']),
                7 => pattern.extend_from_slice(&[byte, b'*']),
                8 => pattern.push(byte.to_ascii_uppercase()),
                9 => pattern.extend_from_slice(&[b'[', b'\\', byte.to_ascii_uppercase(), b']']),
                _ => pattern.push(byte),
            }
        }
        if self.below(8) == 0 {
            pattern.push(b'*');
        }
        pattern
    }
}

/// A redis-server of our own; ended when dropped.
struct Oracle {
    server: Child,
    address: SocketAddr,
    stream: TcpStream,
}

impl Oracle {
    fn start() -> Self {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let mut server = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            // Integers in a packed sorted set lose the sign of their zero, others do not.
            .args(["--zset-max-listpack-entries", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("KORA_ORACLE needs redis-server");
        let log = server.stdout.take().expect("the output is piped");
        let ready = BufReader::new(log).lines().map_while(Result::ok).any(|line| line.contains("Ready to accept"));
        assert!(ready, "redis-server ended before it was ready");
        Self { server, address, stream: TcpStream::connect(address).unwrap() }
    }

    fn ask(&mut self, topic: &Topic, case: &[Vec<u8>]) -> Vec<u8> {
        let (request, replies, answer) = (topic.request)(case);
        self.stream.write_all(&request).unwrap();
        let (mut received, mut chunk) = (Vec::new(), [0; 65536]);
        let mut found = Vec::new();
        while found.len() < replies {
            let len = self.stream.read(&mut chunk).unwrap();
            assert!(len > 0, "redis-server closed the connection");
            received.extend_from_slice(&chunk[..len]);
            while let Some(len) = skip_value(&received) {
                found.push(received.drain(..len).collect::<Vec<u8>>());
            }
        }
        let answer = found.swap_remove(answer);
        if answer.starts_with(b"-ERR Protocol error") {
            self.stream = TcpStream::connect(self.address).unwrap();
        }
        (topic.normalise)(case, answer)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: the process is ours.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
