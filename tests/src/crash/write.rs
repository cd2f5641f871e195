//! Writes, and a small model of what each does.
//!
//! Owns: how a write is said to a server, what it replies and leaves behind in a [`State`]. Refuses to know: which write comes when,
//! and whether a server has kept it. Start at [`Write`], then [`State::apply`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::resp::Value;

/// Keys, values, fields.
pub type Bytes = Vec<u8>;
/// A command as it is sent.
pub type Argv = Vec<Bytes>;

/// One write to keys of one owner.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the command that it is named after")]
pub enum Write {
    Set {
        key: Bytes,
        value: Bytes,
        ttl_ms: Option<u64>,
    },
    Append {
        key: Bytes,
        value: Bytes,
    },
    IncrBy {
        key: Bytes,
        by: i64,
    },
    Del {
        keys: Vec<Bytes>,
    },
    MSet {
        pairs: Vec<(Bytes, Bytes)>,
    },
    PExpire {
        key: Bytes,
        ttl_ms: u64,
    },
    Persist {
        key: Bytes,
    },
    RPush {
        key: Bytes,
        items: Vec<Bytes>,
    },
    LPop {
        key: Bytes,
    },
    LMove {
        from: Bytes,
        to: Bytes,
    },
    Rename {
        from: Bytes,
        to: Bytes,
    },
    Copy {
        from: Bytes,
        to: Bytes,
    },
    HSet {
        key: Bytes,
        pairs: Vec<(Bytes, Bytes)>,
    },
    HDel {
        key: Bytes,
        field: Bytes,
    },
    SAdd {
        key: Bytes,
        member: Bytes,
    },
    SRem {
        key: Bytes,
        member: Bytes,
    },
    SMove {
        from: Bytes,
        to: Bytes,
        member: Bytes,
    },
    /// What comes out is not known before the reply.
    SPop {
        key: Bytes,
        member: Option<Bytes>,
    },
    ZAdd {
        key: Bytes,
        member: Bytes,
        score: i64,
    },
    ZIncrBy {
        key: Bytes,
        member: Bytes,
        by: i64,
    },
    ZRem {
        key: Bytes,
        member: Bytes,
    },
    XAdd {
        key: Bytes,
        number: u64,
        value: Bytes,
    },
    /// With all keys that may be in the database.
    FlushDb {
        keys: Vec<Bytes>,
    },
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each is the type that it is named after")]
pub enum Content {
    Text(Bytes),
    List(VecDeque<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    Set(BTreeSet<Bytes>),
    Zset(BTreeMap<Bytes, i64>),
    Stream(Vec<(u64, Bytes)>),
}

/// A key that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// What it holds.
    pub content: Content,
    /// When it expires, in ms of Unix time: the earliest and the latest moment, for the server read its clock between request and reply.
    pub deadline: Option<(u64, u64)>,
}

/// Some keys at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State(pub BTreeMap<Bytes, Slot>);

fn argv(name: &str, words: &[&[u8]]) -> Argv {
    [name.as_bytes()].iter().chain(words).map(|word| word.to_vec()).collect()
}

impl Write {
    /// The command.
    pub fn argv(&self) -> Argv {
        let digits = |number: &dyn ToString| number.to_string().into_bytes();
        let flat =
            |pairs: &[(Bytes, Bytes)]| pairs.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect::<Vec<_>>();
        match self {
            Self::Set { key, value, ttl_ms: None } => argv("SET", &[key, value]),
            Self::Set { key, value, ttl_ms: Some(ttl) } => argv("SET", &[key, value, b"PX", &digits(ttl)]),
            Self::Append { key, value } => argv("APPEND", &[key, value]),
            Self::IncrBy { key, by: 1 } => argv("INCR", &[key]),
            Self::IncrBy { key, by } => argv("INCRBY", &[key, &digits(by)]),
            Self::Del { keys } => argv("DEL", &keys.iter().map(Vec::as_slice).collect::<Vec<_>>()),
            Self::MSet { pairs } => argv("MSET", &flat(pairs).iter().map(Vec::as_slice).collect::<Vec<_>>()),
            Self::PExpire { key, ttl_ms } => argv("PEXPIRE", &[key, &digits(ttl_ms)]),
            Self::Persist { key } => argv("PERSIST", &[key]),
            Self::RPush { key, items } => [argv("RPUSH", &[key]), items.clone()].concat(),
            Self::LPop { key } => argv("LPOP", &[key]),
            Self::LMove { from, to } => argv("LMOVE", &[from, to, b"LEFT", b"RIGHT"]),
            Self::Rename { from, to } => argv("RENAME", &[from, to]),
            Self::Copy { from, to } => argv("COPY", &[from, to, b"REPLACE"]),
            Self::HSet { key, pairs } => [argv("HSET", &[key]), flat(pairs)].concat(),
            Self::HDel { key, field } => argv("HDEL", &[key, field]),
            Self::SAdd { key, member } => argv("SADD", &[key, member]),
            Self::SRem { key, member } => argv("SREM", &[key, member]),
            Self::SMove { from, to, member } => argv("SMOVE", &[from, to, member]),
            Self::SPop { key, .. } => argv("SPOP", &[key]),
            Self::FlushDb { .. } => argv("FLUSHDB", &[]),
            Self::ZAdd { key, member, score } => argv("ZADD", &[key, &digits(score), member]),
            Self::ZIncrBy { key, member, by } => argv("ZINCRBY", &[key, &digits(by), member]),
            Self::ZRem { key, member } => argv("ZREM", &[key, member]),
            Self::XAdd { key, number, value } => argv("XADD", &[key, &digits(&format!("{number}-1")), b"f", value]),
        }
    }

    /// The keys that it names.
    pub fn keys(&self) -> Vec<Bytes> {
        match self {
            Self::Del { keys } | Self::FlushDb { keys } => keys.clone(),
            Self::MSet { pairs } => pairs.iter().map(|(key, _)| key.clone()).collect(),
            Self::LMove { from, to }
            | Self::Rename { from, to }
            | Self::Copy { from, to }
            | Self::SMove { from, to, .. } => {
                vec![from.clone(), to.clone()]
            }
            Self::Set { key, .. }
            | Self::Append { key, .. }
            | Self::IncrBy { key, .. }
            | Self::PExpire { key, .. }
            | Self::Persist { key }
            | Self::RPush { key, .. }
            | Self::LPop { key }
            | Self::HSet { key, .. }
            | Self::HDel { key, .. }
            | Self::SAdd { key, .. }
            | Self::SRem { key, .. }
            | Self::SPop { key, .. }
            | Self::ZAdd { key, .. }
            | Self::ZIncrBy { key, .. }
            | Self::ZRem { key, .. }
            | Self::XAdd { key, .. } => vec![key.clone()],
        }
    }
}

/// A key's content of one type, made when the key is missing. Each key has one type for its whole life, so another is a mistake here.
macro_rules! content {
    ($state:expr, $key:expr, $kind:ident) => {{
        let fresh = || Slot { content: Content::$kind(Default::default()), deadline: None };
        match &mut $state.0.entry($key.clone()).or_insert_with(fresh).content {
            Content::$kind(content) => content,
            other => panic!("a key of another type: {other:?}"),
        }
    }};
}

impl State {
    /// Carries a write out that the server saw between two moments (ms of Unix time), and gives its reply. Nothing expires here; keys
    /// that may are for callers who do not rely on the reply.
    pub fn apply(&mut self, write: &Write, between_ms: (u64, u64)) -> Value {
        let deadline = |ttl: &u64| Some((between_ms.0 + ttl, between_ms.1 + ttl));
        let ok = || Value::Simple(b"OK".to_vec());
        let count = |count: usize| Value::Integer(count as i64);
        let reply = match write {
            Write::Set { key, value, ttl_ms } => {
                let content = Content::Text(value.clone());
                self.0.insert(key.clone(), Slot { content, deadline: ttl_ms.as_ref().and_then(deadline) });
                ok()
            }
            Write::MSet { pairs } => {
                for (key, value) in pairs {
                    self.0.insert(key.clone(), Slot { content: Content::Text(value.clone()), deadline: None });
                }
                ok()
            }
            Write::Append { key, value } => {
                let text = content!(self, key, Text);
                text.extend_from_slice(value);
                count(text.len())
            }
            Write::IncrBy { key, by } => {
                let text = content!(self, key, Text);
                let sum = number_of(text).unwrap_or(0) + by;
                *text = sum.to_string().into_bytes();
                Value::Integer(sum)
            }
            Write::Del { keys } => count(keys.iter().filter(|key| self.0.remove(*key).is_some()).count()),
            Write::PExpire { key, ttl_ms } => {
                count(self.0.get_mut(key).map(|slot| slot.deadline = deadline(ttl_ms)).iter().count())
            }
            Write::Persist { key } => count(self.0.get_mut(key).and_then(|slot| slot.deadline.take()).iter().count()),
            Write::RPush { key, items } => {
                let list = content!(self, key, List);
                list.extend(items.iter().cloned());
                count(list.len())
            }
            Write::LPop { key } => bulk(content!(self, key, List).pop_front()),
            Write::LMove { from, to } => {
                let item = content!(self, from, List).pop_front();
                content!(self, to, List).extend(item.clone());
                bulk(item)
            }
            Write::Rename { from, to } => match self.0.remove(from) {
                Some(slot) => {
                    self.0.insert(to.clone(), slot);
                    ok()
                }
                None => Value::Error(b"ERR no such key".to_vec()),
            },
            Write::Copy { from, to } => {
                let slot = self.0.get(from).cloned();
                count(slot.map(|slot| self.0.insert(to.clone(), slot)).iter().count())
            }
            Write::HSet { key, pairs } => {
                let hash = content!(self, key, Hash);
                count(pairs.iter().filter(|(field, value)| hash.insert(field.clone(), value.clone()).is_none()).count())
            }
            Write::HDel { key, field } => count(content!(self, key, Hash).remove(field).iter().count()),
            Write::SAdd { key, member } => count(content!(self, key, Set).insert(member.clone()).into()),
            Write::SRem { key, member } => count(content!(self, key, Set).remove(member).into()),
            Write::SMove { from, to, member } => {
                let moved = content!(self, from, Set).remove(member);
                if moved {
                    content!(self, to, Set).insert(member.clone());
                }
                count(moved.into())
            }
            Write::SPop { key, member } => {
                bulk(member.clone().filter(|member| content!(self, key, Set).remove(member)))
            }
            Write::FlushDb { keys } => {
                keys.iter().for_each(|key| drop(self.0.remove(key)));
                ok()
            }
            Write::ZAdd { key, member, score } => {
                count(content!(self, key, Zset).insert(member.clone(), *score).is_none().into())
            }
            Write::ZIncrBy { key, member, by } => {
                let score = content!(self, key, Zset).entry(member.clone()).or_insert(0);
                *score += by;
                Value::Bulk(score.to_string().into_bytes())
            }
            Write::ZRem { key, member } => count(content!(self, key, Zset).remove(member).iter().count()),
            Write::XAdd { key, number, value } => {
                content!(self, key, Stream).push((*number, value.clone()));
                Value::Bulk(format!("{number}-1").into_bytes())
            }
        };
        self.0.retain(|_, slot| !slot.content.is_empty());
        reply
    }
}

impl Content {
    /// True for what makes a key disappear.
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) | Self::Stream(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Zset(zset) => zset.is_empty(),
        }
    }
}

fn bulk(item: Option<Bytes>) -> Value {
    item.map_or(Value::Null, Value::Bulk)
}

/// A number in decimal.
pub fn number_of(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;

    #[test]
    fn the_model_replies_as_servers_do() {
        let key = || b"k".to_vec();
        let other = || b"o".to_vec();
        let mut state = State::default();
        let mut check = |write: Write, said: &str, reply: Value| {
            assert_eq!(write.argv(), words::split(said).expect("words"));
            assert_eq!(state.apply(&write, (0, 0)), reply, "{said}");
        };
        let (ok, nothing) = (|| Value::Simple(b"OK".to_vec()), || Value::Integer(0));
        check(Write::IncrBy { key: key(), by: -3 }, "INCRBY k -3", Value::Integer(-3));
        check(Write::Append { key: key(), value: b"1".to_vec() }, "APPEND k 1", Value::Integer(3));
        check(Write::Copy { from: other(), to: key() }, "COPY o k REPLACE", nothing());
        check(Write::Rename { from: key(), to: other() }, "RENAME k o", ok());
        check(Write::Persist { key: other() }, "PERSIST o", nothing());
        check(Write::PExpire { key: other(), ttl_ms: 9 }, "PEXPIRE o 9", Value::Integer(1));
        check(Write::Persist { key: other() }, "PERSIST o", Value::Integer(1));
        check(Write::Del { keys: vec![key(), other()] }, "DEL k o", Value::Integer(1));
        let items = vec![b"a".to_vec(), b"b".to_vec()];
        check(Write::RPush { key: key(), items }, "RPUSH k a b", Value::Integer(2));
        check(Write::LMove { from: key(), to: other() }, "LMOVE k o LEFT RIGHT", Value::Bulk(b"a".to_vec()));
        check(Write::LPop { key: key() }, "LPOP k", Value::Bulk(b"b".to_vec()));
        check(Write::LPop { key: key() }, "LPOP k", Value::Null);
        check(Write::FlushDb { keys: vec![key(), other()] }, "FLUSHDB", ok());
        assert_eq!(state, State::default(), "what is empty is missing");
    }
}
