//! A store that runs one command after another: the meaning that the shards together must have.
//!
//! Owns: a plain model of some commands, single-key and over several keys, and a source of random ones. Refuses to know: Kora.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kora_runtime::random::Random;
use kora_runtime::resp::value::array_elements;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Text(String),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Scores(BTreeMap<String, i64>),
}

/// The whole store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Model {
    keys: BTreeMap<String, Value>,
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
const OK: &str = "+OK\r\n";

impl Model {
    /// Runs a command and says whether `reply` is what it replies.
    pub fn explains(&mut self, words: &[String], reply: &[u8]) -> bool {
        let expected = self.run(words);
        if matches!(words[0].as_str(), "SMEMBERS" | "SUNION" | "SINTER" | "KEYS") {
            let sorted = |reply: &[u8]| {
                let mut elements: Vec<Vec<u8>> =
                    array_elements(reply).into_iter().flatten().map(<[u8]>::to_vec).collect();
                elements.sort();
                elements
            };
            return sorted(expected.as_bytes()) == sorted(reply);
        }
        expected.as_bytes() == reply
    }

    fn text(&self, key: &str) -> String {
        match self.keys.get(key) {
            Some(Value::Text(text)) => bulk(text),
            _ => NIL.to_owned(),
        }
    }

    fn set_of(&self, key: &str) -> BTreeSet<String> {
        match self.keys.get(key) {
            Some(Value::Set(members)) => members.clone(),
            _ => BTreeSet::new(),
        }
    }

    fn store_set(&mut self, key: &str, members: BTreeSet<String>) {
        if members.is_empty() {
            self.keys.remove(key);
        } else {
            self.keys.insert(key.to_owned(), Value::Set(members));
        }
    }

    fn run(&mut self, words: &[String]) -> String {
        let rest: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        match (words[0].as_str(), rest.as_slice()) {
            ("SET", [key, value]) => {
                self.keys.insert((*key).to_owned(), Value::Text((*value).to_owned()));
                OK.to_owned()
            }
            ("GET", [key]) => self.text(key),
            ("MGET", keys) => {
                format!("*{}\r\n{}", keys.len(), keys.iter().map(|key| self.text(key)).collect::<String>())
            }
            ("MSET", pairs) => {
                for pair in pairs.chunks(2) {
                    self.keys.insert(pair[0].to_owned(), Value::Text(pair[1].to_owned()));
                }
                OK.to_owned()
            }
            ("MSETNX", pairs) => {
                if pairs.chunks(2).any(|pair| self.keys.contains_key(pair[0])) {
                    return ":0\r\n".to_owned();
                }
                for pair in pairs.chunks(2) {
                    self.keys.insert(pair[0].to_owned(), Value::Text(pair[1].to_owned()));
                }
                ":1\r\n".to_owned()
            }
            ("DEL", keys) => format!(":{}\r\n", keys.iter().filter(|key| self.keys.remove(**key).is_some()).count()),
            ("EXISTS", keys) => format!(":{}\r\n", keys.iter().filter(|key| self.keys.contains_key(**key)).count()),
            ("DBSIZE", []) => format!(":{}\r\n", self.keys.len()),
            ("KEYS", ["*"]) => array(self.keys.keys()),
            ("FLUSHALL", []) => {
                self.keys.clear();
                OK.to_owned()
            }
            ("RENAME", [from, to]) => match self.keys.remove(*from) {
                None => "-ERR no such key\r\n".to_owned(),
                Some(value) => {
                    self.keys.insert((*to).to_owned(), value);
                    OK.to_owned()
                }
            },
            ("RENAMENX", [from, to]) => match self.keys.get(*from).cloned() {
                None => "-ERR no such key\r\n".to_owned(),
                Some(_) if self.keys.contains_key(*to) => ":0\r\n".to_owned(),
                Some(value) => {
                    self.keys.remove(*from);
                    self.keys.insert((*to).to_owned(), value);
                    ":1\r\n".to_owned()
                }
            },
            ("COPY", [from, to]) => match self.keys.get(*from).cloned() {
                Some(value) if !self.keys.contains_key(*to) => {
                    self.keys.insert((*to).to_owned(), value);
                    ":1\r\n".to_owned()
                }
                _ => ":0\r\n".to_owned(),
            },
            ("RPUSH", [key, value]) => {
                let Value::List(list) =
                    self.keys.entry((*key).to_owned()).or_insert_with(|| Value::List(VecDeque::new()))
                else {
                    unreachable!("list keys hold lists")
                };
                list.push_back((*value).to_owned());
                format!(":{}\r\n", list.len())
            }
            ("LMOVE", [from, to, "LEFT", "RIGHT"]) => {
                let Some(Value::List(list)) = self.keys.get_mut(*from) else { return NIL.to_owned() };
                let value = list.pop_front().expect("no list is empty");
                if list.is_empty() {
                    self.keys.remove(*from);
                }
                self.run(&["RPUSH".to_owned(), (*to).to_owned(), value.clone()]);
                bulk(&value)
            }
            ("LRANGE", [key, ..]) => match self.keys.get(*key) {
                Some(Value::List(list)) => array(list.iter()),
                _ => array([].iter()),
            },
            ("SADD", [key, member]) => {
                let mut members = self.set_of(key);
                let added = members.insert((*member).to_owned());
                self.store_set(key, members);
                format!(":{}\r\n", u8::from(added))
            }
            ("SMOVE", [from, to, member]) => {
                let mut source = self.set_of(from);
                if !source.remove(*member) {
                    return ":0\r\n".to_owned();
                }
                self.store_set(from, source);
                let mut target = self.set_of(to);
                target.insert((*member).to_owned());
                self.store_set(to, target);
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
                let Value::Scores(scores) =
                    self.keys.entry((*key).to_owned()).or_insert_with(|| Value::Scores(BTreeMap::new()))
                else {
                    unreachable!("sorted set keys hold sorted sets")
                };
                let score = score.parse().expect("a score is a number");
                format!(":{}\r\n", u8::from(scores.insert((*member).to_owned(), score).is_none()))
            }
            ("ZUNIONSTORE", [to, "2", one, other]) => {
                let mut sum: BTreeMap<String, i64> = BTreeMap::new();
                for key in [one, other] {
                    if let Some(Value::Scores(scores)) = self.keys.get(*key) {
                        scores.iter().for_each(|(member, score)| *sum.entry(member.clone()).or_default() += score);
                    }
                }
                let len = sum.len();
                if sum.is_empty() {
                    self.keys.remove(*to);
                } else {
                    self.keys.insert((*to).to_owned(), Value::Scores(sum));
                }
                format!(":{len}\r\n")
            }
            ("ZSCORE", [key, member]) => match self.keys.get(*key) {
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
pub fn random_command(random: &mut Random) -> Vec<String> {
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
        _ if value.is_multiple_of(5) => "FLUSHALL".to_owned(),
        _ => "KEYS *".to_owned(),
    };
    line.split(' ').map(str::to_owned).collect()
}
