//! What one client writes to: objects of one or more keys that only it touches, each with writes that suit it.
//!
//! Owns: the kinds of objects and a random next operation for each. Refuses to know: connections, and what a server keeps.
//! Start at [`Kind`], then [`Object::next`].
//!
//! Invariant: operations of an object that are under way at the same time touch the same keys. A server may finish single-key commands
//! of one pipeline in another order than it got them; with this, an object is always as it was after some number of its operations.

use kora_runtime::random::Random;

use super::write::{Argv, Bytes, Content, State, Write};
use crate::resp::Value;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// INCR and INCRBY.
    Counter,
    /// RPUSH of elements that never come twice, LPOP.
    List,
    /// Fields that are set and deleted.
    Hash,
    /// SADD and SREM.
    Set,
    /// ZADD, ZINCRBY, ZREM.
    Zset,
    /// XADD.
    Stream,
    /// Strings, some of them long, with and without an expiry that is far away.
    Text,
    /// Strings that expire in a moment.
    Fleeting,
    /// Several keys that always hold the same: by MSET, in transactions, by scripts.
    Group,
    /// A counter and a list that grow together, in transactions and by scripts.
    Journal,
    /// Two lists: LMOVE, RENAME, COPY between them.
    Lists,
    /// Two sets: SMOVE between them.
    Sets,
    /// A set that loses members by SPOP.
    Draw,
    /// Two strings in a database of the client's own, and FLUSHDB.
    Elsewhere,
}

impl Kind {
    /// The objects of each client.
    pub const ALL: [Self; 17] = [
        Self::Counter,
        Self::Counter,
        Self::List,
        Self::Hash,
        Self::Set,
        Self::Zset,
        Self::Stream,
        Self::Text,
        Self::Text,
        Self::Fleeting,
        Self::Group,
        Self::Group,
        Self::Journal,
        Self::Lists,
        Self::Sets,
        Self::Draw,
        Self::Elsewhere,
    ];

    fn parts(self) -> usize {
        match self {
            Self::Group => 5,
            Self::Journal | Self::Lists | Self::Sets | Self::Elsewhere => 2,
            _ => 1,
        }
    }

    /// True when its operations touch some of its keys only, or their outcome is known by the reply only, so that one of them must be
    /// answered before the next is sent.
    pub fn is_one_at_a_time(self) -> bool {
        matches!(self, Self::Lists | Self::Sets | Self::Draw | Self::Elsewhere)
    }
}

/// Some keys, as the last verified crash left them.
#[derive(Debug, Clone)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub database: usize,
    /// Its keys, in different places of the keyspace.
    pub keys: Vec<Bytes>,
    /// What was there when the present cycle began.
    pub base: State,
    /// What is there once everything that was sent is done.
    pub latest: State,
    /// A number that never comes twice, for this object.
    fresh: u64,
}

/// How the writes of an operation are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// One command.
    Plain,
    /// MULTI and EXEC around them.
    Multi,
    /// All by one script.
    Script,
    /// SELECT of this database before, and of the first one behind.
    Select(usize),
}

/// What happens at once.
#[derive(Debug, Clone)]
pub struct Operation {
    /// How it is sent.
    pub wrap: Wrap,
    /// What it does.
    pub writes: Vec<Write>,
}

/// Runs the commands in ARGV, each with its number of words before it.
const SCRIPT: &str = "local i = 1
while i <= #ARGV do
  local words = tonumber(ARGV[i])
  redis.call(unpack(ARGV, i + 1, i + words))
  i = i + words + 1
end
return i";

impl Operation {
    /// The commands, given what each write replies, and their replies.
    pub fn commands(&self, replies: Vec<Value>) -> Vec<(Argv, Value)> {
        let word = |text: &str| text.as_bytes().to_vec();
        match self.wrap {
            Wrap::Plain => self.writes.iter().map(Write::argv).zip(replies).collect(),
            Wrap::Multi => {
                let mut commands = vec![(vec![word("MULTI")], Value::Simple(word("OK")))];
                commands.extend(self.writes.iter().map(|write| (write.argv(), Value::Simple(word("QUEUED")))));
                commands.push((vec![word("EXEC")], Value::Array(replies)));
                commands
            }
            Wrap::Select(database) => {
                let select =
                    |number: usize| (vec![word("SELECT"), word(&number.to_string())], Value::Simple(word("OK")));
                let writes = self.writes.iter().map(Write::argv).zip(replies);
                [select(database)].into_iter().chain(writes).chain([select(0)]).collect()
            }
            Wrap::Script => {
                let keys: Vec<Bytes> = self.writes.iter().flat_map(Write::keys).collect();
                let mut argv = vec![word("EVAL"), word(SCRIPT), word(&keys.len().to_string())];
                argv.extend(keys);
                let mut words = 0;
                for command in self.writes.iter().map(Write::argv) {
                    words += 1 + command.len() as i64;
                    argv.push(word(&command.len().to_string()));
                    argv.extend(command);
                }
                vec![(argv, Value::Integer(words + 1))]
            }
        }
    }
}

/// Beyond this an object shrinks more than it grows, so that data stays small however many cycles there are.
const ELEMENTS_MAX: usize = 24;
const HOUR_MS: u64 = 3_600_000;

impl Object {
    /// The `number`th object of a client; nothing is there yet.
    pub fn new(client: usize, number: usize, kind: Kind) -> Self {
        let name = format!("{kind:?}").to_lowercase();
        let keys = (0..kind.parts()).map(|part| format!("c{client}:{name}:{number}:{part}").into_bytes()).collect();
        let database = if kind == Kind::Elsewhere { 1 + client } else { 0 };
        Self { kind, database, keys, base: State::default(), latest: State::default(), fresh: 0 }
    }

    fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh
    }

    /// A value that never comes twice: binary, now and then long.
    fn value(&mut self, random: &mut Random) -> Bytes {
        let mut value = format!("{}\r\n", self.fresh()).into_bytes();
        value.push(random.below(256) as u8);
        let padding = match random.below(40) {
            0 => random.below(16_000),
            1..10 => random.below(200),
            _ => 0,
        };
        value.resize(value.len() + padding as usize, b'.');
        value
    }

    fn elements(&self) -> usize {
        let sizes = self.latest.0.values().map(|slot| match &slot.content {
            Content::Text(_) => 1,
            Content::List(list) => list.len(),
            Content::Hash(hash) => hash.len(),
            Content::Set(set) => set.len(),
            Content::Zset(zset) => zset.len(),
            Content::Stream(stream) => stream.len(),
        });
        sizes.sum()
    }

    /// A random operation that suits what is there.
    pub fn next(&mut self, random: &mut Random) -> Operation {
        let key = self.keys[0].clone();
        let is_full = self.elements() > ELEMENTS_MAX;
        let dice = random.below(20);
        let small = |random: &mut Random| format!("m{}", random.below(12)).into_bytes();
        let write = match self.kind {
            Kind::Counter => match dice {
                0 => Write::Del { keys: vec![key] },
                1..10 => Write::IncrBy { key, by: random.below(1_000) as i64 - 300 },
                _ => Write::IncrBy { key, by: 1 },
            },
            Kind::List => match dice {
                0 => Write::Del { keys: vec![key] },
                _ if is_full || dice < 5 => Write::LPop { key },
                _ => Write::RPush { key, items: (0..=random.below(3)).map(|_| self.value(random)).collect() },
            },
            Kind::Hash => match dice {
                0 => Write::Del { keys: vec![key] },
                1..6 => Write::HDel { key, field: small(random) },
                _ => {
                    let pairs = (0..=random.below(2)).map(|_| (small(random), self.value(random)));
                    Write::HSet { key, pairs: pairs.collect() }
                }
            },
            Kind::Set => match dice {
                0 => Write::Del { keys: vec![key] },
                1..8 => Write::SRem { key, member: small(random) },
                _ => Write::SAdd { key, member: small(random) },
            },
            Kind::Zset => match dice {
                0 => Write::Del { keys: vec![key] },
                1..6 => Write::ZRem { key, member: small(random) },
                6..12 => Write::ZIncrBy { key, member: small(random), by: random.below(100) as i64 + 1 },
                _ => Write::ZAdd { key, member: small(random), score: self.fresh() as i64 },
            },
            Kind::Stream if is_full => Write::Del { keys: vec![key] },
            Kind::Stream => Write::XAdd { key, number: self.fresh(), value: self.value(random) },
            Kind::Text => match dice {
                0 => Write::Del { keys: vec![key] },
                1..4 => Write::Persist { key },
                4..7 => Write::PExpire { key, ttl_ms: HOUR_MS + random.below(HOUR_MS) },
                7..11 => Write::Set { key, value: self.value(random), ttl_ms: Some(HOUR_MS + random.below(HOUR_MS)) },
                11..14 => Write::Append { key, value: format!("+{}", self.fresh()).into_bytes() },
                _ => Write::Set { key, value: self.value(random), ttl_ms: None },
            },
            Kind::Fleeting => match dice {
                0 => Write::Del { keys: vec![key] },
                1..5 => Write::Set { key, value: self.value(random), ttl_ms: None },
                _ => Write::Set { key, value: self.value(random), ttl_ms: Some(1 + random.below(2_000)) },
            },
            Kind::Group => return self.group(random, dice),
            Kind::Journal => {
                let mut writes = vec![Write::IncrBy { key, by: 1 }];
                let list = self.keys[1].clone();
                if is_full {
                    writes.push(Write::Del { keys: vec![list.clone()] });
                }
                writes.push(Write::RPush { key: list, items: vec![self.value(random)] });
                return Operation { wrap: if dice < 10 { Wrap::Multi } else { Wrap::Script }, writes };
            }
            Kind::Lists | Kind::Sets => self.pair(random, dice, is_full),
            Kind::Draw if is_full || dice < 8 => Write::SPop { key, member: None },
            Kind::Draw => Write::SAdd { key, member: self.value(random) },
            Kind::Elsewhere => {
                let key = self.keys[random.below(2) as usize].clone();
                let write = match dice {
                    0..4 => Write::FlushDb { keys: self.keys.clone() },
                    4..6 => Write::Del { keys: vec![key] },
                    _ => Write::Set { key, value: self.value(random), ttl_ms: None },
                };
                return Operation { wrap: Wrap::Select(self.database), writes: vec![write] };
            }
        };
        Operation { wrap: Wrap::Plain, writes: vec![write] }
    }

    fn group(&mut self, random: &mut Random, dice: u64) -> Operation {
        let value = self.value(random);
        let pairs = || self.keys.iter().map(|key| (key.clone(), value.clone()));
        let sets = || pairs().map(|(key, value)| Write::Set { key, value, ttl_ms: None }).collect();
        match dice {
            0 | 1 => Operation { wrap: Wrap::Plain, writes: vec![Write::Del { keys: self.keys.clone() }] },
            2..7 => Operation { wrap: Wrap::Multi, writes: sets() },
            7..12 => Operation { wrap: Wrap::Script, writes: sets() },
            _ => Operation { wrap: Wrap::Plain, writes: vec![Write::MSet { pairs: pairs().collect() }] },
        }
    }

    fn pair(&mut self, random: &mut Random, dice: u64, is_full: bool) -> Write {
        let (from, to) = match random.below(2) {
            0 => (self.keys[0].clone(), self.keys[1].clone()),
            _ => (self.keys[1].clone(), self.keys[0].clone()),
        };
        let is_there = self.latest.0.contains_key(&from);
        match (self.kind, dice) {
            (_, 0) => Write::Del { keys: self.keys.clone() },
            (_, 1 | 2) => Write::Copy { from, to },
            (_, 3..6) if is_there => Write::Rename { from, to },
            (Kind::Lists, 6..11) => Write::LMove { from, to },
            (Kind::Lists, _) if is_full => Write::LPop { key: from },
            (Kind::Lists, _) => Write::RPush { key: from, items: vec![self.value(random)] },
            (Kind::Sets, 6..10) => Write::SRem { key: from, member: format!("m{}", random.below(12)).into_bytes() },
            (Kind::Sets, 10..14) => Write::SMove { from, to, member: format!("m{}", random.below(12)).into_bytes() },
            _ => Write::SAdd { key: from, member: format!("m{}", random.below(12)).into_bytes() },
        }
    }
}
