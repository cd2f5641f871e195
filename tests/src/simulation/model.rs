//! A store that runs one command after another: the meaning that the shards together must have.
//!
//! Owns: a plain model of some commands, single-key and over several keys, of transactions and watching; a source of random commands. Refuses to know: Kora.
//! Start at [`Model::explains`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kora_runtime::random::Random;
use kora_runtime::resp::value::array_elements;

use super::check::Call;
use super::drive::{Words, words};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Text(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Scores(BTreeMap<String, i64>),
}

/// What one connection watches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Watcher {
    keys: BTreeSet<(usize, String)>,
    changed: bool,
}

/// The whole store: two databases, and who watches what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Model {
    databases: [BTreeMap<String, Value>; 2],
    watchers: BTreeMap<usize, Watcher>,
    /// The database of the command that runs.
    db: usize,
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn array<'t>(items: impl ExactSizeIterator<Item = &'t String>) -> String {
    let mut text = format!("*{}\r\n", items.len());
    for item in items {
        text.push_str(&bulk(item));
    }
    text
}

const NIL: &str = "$-1\r\n";
const NO_ARRAY: &str = "*-1\r\n";
const OK: &str = "+OK\r\n";

/// True when this is what was replied, or nothing was.
fn is(call: &Call, expected: &str) -> bool {
    call.replied.is_none() || call.reply == expected.as_bytes()
}

/// True when a reply is as expected; some name things in no order, and a client that was told to wait no more got nothing.
fn same(words: &[String], expected: &str, reply: &[u8]) -> bool {
    match words[0].as_str() {
        "SMEMBERS" | "SUNION" | "SINTER" | "KEYS" => {
            let sorted = |reply: &[u8]| {
                let mut elements: Vec<Vec<u8>> =
                    array_elements(reply).into_iter().flatten().map(<[u8]>::to_vec).collect();
                elements.sort();
                elements
            };
            sorted(expected.as_bytes()) == sorted(reply)
        }
        "BLPOP" | "BLMOVE" | "BZPOPMIN" if reply.starts_with(b"-UNBLOCKED ") => matches!(expected, NIL | NO_ARRAY),
        _ => expected.as_bytes() == reply,
    }
}

impl Model {
    /// Runs a call and says whether its reply is what it replies. One that was never answered may have replied anything.
    pub fn explains(&mut self, call: &Call) -> bool {
        self.db = call.db;
        match call.words[0].as_str() {
            "WATCH" => {
                let watcher = self.watchers.entry(call.connection).or_default();
                watcher.keys.extend(call.words[1..].iter().map(|key| (call.db, key.clone())));
                return is(call, OK);
            }
            "UNWATCH" | "DISCARD" => {
                self.watchers.remove(&call.connection);
                return is(call, OK);
            }
            "CLIENT" => return is(call, ":0\r\n") || is(call, ":1\r\n"),
            "EXEC" => {}
            _ => {
                let expected = self.run(&call.words);
                return call.replied.is_none() || same(&call.words, &expected, &call.reply);
            }
        }
        let watcher = self.watchers.remove(&call.connection);
        if watcher.is_some_and(|watcher| watcher.changed) {
            return is(call, NO_ARRAY);
        }
        let expected: Vec<String> = call.body.iter().map(|words| self.run(words)).collect();
        if call.replied.is_none() {
            return true;
        }
        let Some(replies) = array_elements(&call.reply) else { return false };
        let replies: Vec<&[u8]> = replies.collect();
        replies.len() == expected.len()
            && call
                .body
                .iter()
                .zip(&expected)
                .zip(replies)
                .all(|((words, expected), reply)| same(words, expected, reply))
    }

    /// A key of the database of the command that runs changes.
    fn touch(&mut self, key: &str) {
        let db = self.db;
        self.touch_in(db, key);
    }

    fn touch_in(&mut self, db: usize, key: &str) {
        let place = (db, key.to_owned());
        self.watchers
            .values_mut()
            .filter(|watcher| watcher.keys.contains(&place))
            .for_each(|watcher| watcher.changed = true);
    }

    fn put(&mut self, key: &str, value: Value) {
        self.keys_mut().insert(key.to_owned(), value);
        self.touch(key);
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let value = self.keys_mut().remove(key)?;
        self.touch(key);
        Some(value)
    }

    fn has(&self, key: &str) -> bool {
        self.databases[self.db].contains_key(key)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.databases[self.db].get(key)
    }

    fn keys_mut(&mut self) -> &mut BTreeMap<String, Value> {
        &mut self.databases[self.db]
    }

    fn pop(&mut self, key: &str) -> Option<String> {
        let Some(Value::List(list)) = self.keys_mut().get_mut(key) else { return None };
        let value = list.pop_front().expect("no list is empty");
        if list.is_empty() {
            self.keys_mut().remove(key);
        }
        self.touch(key);
        Some(value)
    }

    fn push(&mut self, key: &str, value: &str) -> usize {
        let list = self.keys_mut().entry(key.to_owned()).or_insert_with(|| Value::List(VecDeque::new()));
        let Value::List(list) = list else { unreachable!("list keys hold lists") };
        list.push_back(value.to_owned());
        let len = list.len();
        self.touch(key);
        len
    }

    fn pop_lowest(&mut self, key: &str) -> Option<(String, i64)> {
        let Some(Value::Scores(scores)) = self.keys_mut().get_mut(key) else { return None };
        let (score, member) = scores.iter().map(|(member, score)| (*score, member.clone())).min()?;
        scores.remove(&member);
        if scores.is_empty() {
            self.keys_mut().remove(key);
        }
        self.touch(key);
        Some((member, score))
    }

    fn swap(&mut self) {
        let [first, second] = &self.databases;
        let held: BTreeSet<String> = first.keys().chain(second.keys()).cloned().collect();
        for key in &held {
            self.touch_in(0, key);
            self.touch_in(1, key);
        }
        self.databases.swap(0, 1);
    }

    fn flush(&mut self) {
        for db in 0..2 {
            for key in std::mem::take(&mut self.databases[db]).into_keys() {
                self.touch_in(db, &key);
            }
        }
    }

    fn text(&self, key: &str) -> String {
        match self.value(key) {
            Some(Value::Text(text)) => bulk(text),
            _ => NIL.to_owned(),
        }
    }

    fn set_of(&self, key: &str) -> BTreeSet<String> {
        match self.value(key) {
            Some(Value::Set(members)) => members.clone(),
            _ => BTreeSet::new(),
        }
    }

    fn store_set(&mut self, key: &str, members: BTreeSet<String>) {
        if members.is_empty() {
            self.take(key);
        } else {
            self.put(key, Value::Set(members));
        }
    }

    fn run(&mut self, words: &[String]) -> String {
        let rest: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        match (words[0].as_str(), rest.as_slice()) {
            ("SET", [key, value]) => {
                self.put(key, Value::Text((*value).to_owned()));
                OK.to_owned()
            }
            ("GET", [key]) => self.text(key),
            ("MGET", keys) => {
                format!("*{}\r\n{}", keys.len(), keys.iter().map(|key| self.text(key)).collect::<String>())
            }
            ("MSET", pairs) => {
                pairs.chunks(2).for_each(|pair| self.put(pair[0], Value::Text(pair[1].to_owned())));
                OK.to_owned()
            }
            ("MSETNX", pairs) => {
                if pairs.chunks(2).any(|pair| self.has(pair[0])) {
                    return ":0\r\n".to_owned();
                }
                pairs.chunks(2).for_each(|pair| self.put(pair[0], Value::Text(pair[1].to_owned())));
                ":1\r\n".to_owned()
            }
            ("DEL", keys) => format!(":{}\r\n", keys.iter().filter(|key| self.take(key).is_some()).count()),
            ("EXISTS", keys) => format!(":{}\r\n", keys.iter().filter(|key| self.has(key)).count()),
            ("DBSIZE", []) => format!(":{}\r\n", self.databases[self.db].len()),
            ("KEYS", ["*"]) => array(self.databases[self.db].keys()),
            ("FLUSHALL", []) => {
                self.flush();
                OK.to_owned()
            }
            ("SWAPDB", ["0", "1"]) => {
                self.swap();
                OK.to_owned()
            }
            ("RENAME", [from, to]) if from == to && self.has(from) => OK.to_owned(),
            ("RENAME", [from, to]) => match self.take(from) {
                None => "-ERR no such key\r\n".to_owned(),
                Some(value) => {
                    self.put(to, value);
                    OK.to_owned()
                }
            },
            ("RENAMENX", [from, to]) => match self.value(from).cloned() {
                None => "-ERR no such key\r\n".to_owned(),
                Some(_) if self.has(to) => ":0\r\n".to_owned(),
                Some(value) => {
                    self.take(from);
                    self.put(to, value);
                    ":1\r\n".to_owned()
                }
            },
            ("COPY", [from, to]) => match self.value(from).cloned() {
                Some(value) if !self.has(to) => {
                    self.put(to, value);
                    ":1\r\n".to_owned()
                }
                _ => ":0\r\n".to_owned(),
            },
            ("RPUSH", [key, value]) => format!(":{}\r\n", self.push(key, value)),
            ("LPOP", [key]) => self.pop(key).map_or(NIL.to_owned(), |value| bulk(&value)),
            ("LMOVE", [from, to, "LEFT", "RIGHT"]) | ("BLMOVE", [from, to, "LEFT", "RIGHT", _]) => {
                let Some(value) = self.pop(from) else { return NIL.to_owned() };
                self.push(to, &value);
                bulk(&value)
            }
            ("BLPOP", [keys @ .., _]) => {
                for key in keys {
                    if let Some(value) = self.pop(key) {
                        return array([(*key).to_owned(), value].iter());
                    }
                }
                NO_ARRAY.to_owned()
            }
            ("BZPOPMIN", [keys @ .., _]) => {
                for key in keys {
                    if let Some((member, score)) = self.pop_lowest(key) {
                        return array([(*key).to_owned(), member, score.to_string()].iter());
                    }
                }
                NO_ARRAY.to_owned()
            }
            ("LRANGE", [key, ..]) => match self.value(key) {
                Some(Value::List(list)) => array(list.iter()),
                _ => array([].iter()),
            },
            ("SADD", [key, member]) => {
                let mut members = self.set_of(key);
                let added = members.insert((*member).to_owned());
                if added {
                    self.store_set(key, members);
                }
                format!(":{}\r\n", u8::from(added))
            }
            ("SMOVE", [from, to, member]) if from == to => {
                format!(":{}\r\n", u8::from(self.set_of(from).contains(*member)))
            }
            ("SMOVE", [from, to, member]) => {
                let mut source = self.set_of(from);
                if !source.remove(*member) {
                    return ":0\r\n".to_owned();
                }
                self.store_set(from, source);
                let mut target = self.set_of(to);
                if target.insert((*member).to_owned()) {
                    self.store_set(to, target);
                }
                ":1\r\n".to_owned()
            }
            ("SMEMBERS", [key]) => array(self.set_of(key).iter()),
            ("SUNION", [one, other]) => {
                array(self.set_of(one).union(&self.set_of(other)).cloned().collect::<Vec<_>>().iter())
            }
            ("SINTERSTORE", [to, one, other]) => {
                let common: BTreeSet<String> = self.set_of(one).intersection(&self.set_of(other)).cloned().collect();
                let len = common.len();
                self.store_set(to, common);
                format!(":{len}\r\n")
            }
            ("ZADD", [key, score, member]) => {
                let scores = self.keys_mut().entry((*key).to_owned()).or_insert_with(|| Value::Scores(BTreeMap::new()));
                let Value::Scores(scores) = scores else { unreachable!("sorted set keys hold sorted sets") };
                let score = score.parse().expect("a score is a number");
                let old = scores.insert((*member).to_owned(), score);
                if old != Some(score) {
                    self.touch(key);
                }
                format!(":{}\r\n", u8::from(old.is_none()))
            }
            ("ZUNIONSTORE", [to, "2", one, other]) => {
                let mut sum: BTreeMap<String, i64> = BTreeMap::new();
                for key in [one, other] {
                    if let Some(Value::Scores(scores)) = self.value(key) {
                        scores.iter().for_each(|(member, score)| *sum.entry(member.clone()).or_default() += score);
                    }
                }
                let len = sum.len();
                if sum.is_empty() {
                    self.take(to);
                } else {
                    self.put(to, Value::Scores(sum));
                }
                format!(":{len}\r\n")
            }
            ("ZSCORE", [key, member]) => match self.value(key) {
                Some(Value::Scores(scores)) => {
                    scores.get(*member).map_or(NIL.to_owned(), |score| bulk(&score.to_string()))
                }
                _ => NIL.to_owned(),
            },
            _ => unreachable!("the model does not know {words:?}"),
        }
    }
}

/// A command with few keys, so that commands meet.
pub fn random_command(random: &mut Random) -> Words {
    let value = random.below(1000);
    let mut key = |kind: char| format!("{kind}{}", random.below(4));
    let line = match value % 25 {
        0..=1 => format!("SET {} {value}", key('s')),
        2..=3 => format!("GET {}", key('s')),
        4..=6 => format!("MGET {} {} {}", key('s'), key('s'), key('s')),
        7..=9 => format!("MSET {} {value} {} {value} {} {value}", key('s'), key('s'), key('s')),
        10 => format!("MSETNX {} {value} {} {value}", key('s'), key('s')),
        11 => format!("DEL {} {}", key('s'), key('l')),
        12 => format!("EXISTS {} {} {}", key('s'), key('t'), key('z')),
        13 => "DBSIZE".to_owned(),
        14 => format!("RENAME {} {}", key('s'), key('s')),
        15 => format!("RENAMENX {} {}", key('s'), key('s')),
        16 => format!("COPY {} {}", format_args!("s{}", value % 2), format_args!("s{}", 2 + value / 2 % 2)),
        17 if value.is_multiple_of(3) => format!("LPOP {}", key('l')),
        17 => format!("RPUSH {} {value}", key('l')),
        18 => format!("LMOVE {} {} LEFT RIGHT", key('l'), key('l')),
        19 => format!("LRANGE {} 0 -1", key('l')),
        20 => format!("SADD {} m{}", key('t'), value % 3),
        21 => match value / 25 % 3 {
            0 => format!("SMOVE {} {} m{}", key('t'), key('t'), value % 3),
            1 => format!("SUNION {} {}", key('t'), key('t')),
            _ => format!("SMEMBERS {}", key('t')),
        },
        22 => format!("SINTERSTORE {} {} {}", key('t'), key('t'), key('t')),
        23 => match value / 25 % 3 {
            0 => format!("ZADD {} {} m{}", key('z'), value % 10, value % 3),
            1 => format!("ZUNIONSTORE {} 2 {} {}", key('z'), key('z'), key('z')),
            _ => format!("ZSCORE {} m{}", key('z'), value % 3),
        },
        _ => match value / 25 % 6 {
            0 => "FLUSHALL".to_owned(),
            1 | 2 => "SWAPDB 0 1".to_owned(),
            _ => "KEYS *".to_owned(),
        },
    };
    words(&line)
}

/// A command that may wait.
pub fn random_wait(random: &mut Random) -> Words {
    let timeout = ["0", "0.004", "0.02"][random.below(3) as usize];
    let choice = random.below(6);
    let mut key = |kind: char| format!("{kind}{}", random.below(4));
    words(&match choice {
        0 | 1 => format!("BLPOP {} {timeout}", key('l')),
        2 | 3 => format!("BLPOP {} {} {timeout}", key('l'), key('l')),
        4 => format!("BLMOVE {} {} LEFT RIGHT {timeout}", key('l'), key('l')),
        _ => format!("BZPOPMIN {} {} {timeout}", key('z'), key('z')),
    })
}

/// A command that brings what is waited for.
pub fn random_push(random: &mut Random) -> Words {
    let value = random.below(1000);
    words(&if value < 750 {
        format!("RPUSH l{} {value}", random.below(4))
    } else {
        format!("ZADD z{} {} m{}", random.below(4), value % 10, value % 3)
    })
}
