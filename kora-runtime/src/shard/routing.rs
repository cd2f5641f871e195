//! Which shard a key belongs to.
//!
//! Owns: the routing hash, hash tags, and what wins: a pinned database, a tag in braces, a locality pattern, the whole key. Refuses to know: commands, and how anything gets to a shard.
//! Start at [`Routing::owner`].

use ahash::RandomState;

use super::message::ShardId;
use crate::config::{Locality, PinnedDatabases};
use crate::types::hash_of;

/// Where keys live. It is the same on every shard.
#[derive(Debug, Clone)]
pub struct Routing {
    seeds: RandomState,
    shards: usize,
    locality: Locality,
    pinned: PinnedDatabases,
    /// There are patterns or pinned databases: the one thing that the usual way asks.
    ruled: bool,
}

impl Routing {
    /// The routing of `shards` shards, at least 1, by a hash with these seeds and these rules.
    pub fn new(seeds: RandomState, shards: usize, locality: Locality, pinned: PinnedDatabases) -> Self {
        assert!(shards > 0, "keys live on some shard");
        let ruled = !locality.is_empty() || !pinned.is_empty();
        Self { seeds, shards, locality, pinned, ruled }
    }

    /// What the hash makes of its seeds: it differs between builds whose hashes differ, and between data directories.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.seeds)
    }

    /// Patterns of keys that live together.
    pub fn locality(&self) -> &Locality {
        &self.locality
    }

    /// Databases that live on one shard each.
    pub fn pinned(&self) -> PinnedDatabases {
        self.pinned
    }

    /// The shard of every key of a database, when it is pinned.
    pub fn pinned_owner(&self, db: u8) -> Option<ShardId> {
        self.pinned.contains(db).then(|| self.owner_of_pinned(db))
    }

    /// True when every key lives on the same shard in both databases.
    pub fn agree(&self, one: u8, other: u8) -> bool {
        self.pinned_owner(one) == self.pinned_owner(other)
    }

    /// How many shards there are.
    #[inline]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The shard that owns `key` of database `db`.
    #[inline]
    pub fn owner(&self, db: u8, key: &[u8]) -> ShardId {
        if self.shards == 1 {
            return 0;
        }
        if self.ruled {
            return self.owner_by_rules(db, key);
        }
        self.owner_of_tag(braced(key).unwrap_or(key))
    }

    /// A tag in braces wins over a pattern: it is written into the key on purpose, and clients that know Redis Cluster count on it. Nothing wins over a
    /// pinned database, whose keys are together whatever they are called.
    #[inline(never)]
    fn owner_by_rules(&self, db: u8, key: &[u8]) -> ShardId {
        if self.pinned.contains(db) {
            return self.owner_of_pinned(db);
        }
        self.owner_of_tag(braced(key).or_else(|| self.locality.tag(key)).unwrap_or(key))
    }

    /// Pinned databases take turns, so that whoever pins several knows that they do not meet.
    fn owner_of_pinned(&self, db: u8) -> ShardId {
        usize::from(db) % self.shards
    }

    /// The shard of every key with this tag.
    #[inline]
    fn owner_of_tag(&self, tag: &[u8]) -> ShardId {
        // The high half of a product spreads the high bits of the hash; the tables use the low ones.
        ((u128::from(hash_of(&self.seeds, tag)) * self.shards as u128) >> 64) as ShardId
    }
}

/// The fingerprint of a routing with these seeds.
pub fn fingerprint(seeds: &RandomState) -> u64 {
    hash_of(seeds, b"kora routing")
}

/// The tag in braces: what stands between the first `{` and the next `}`, when that is not empty. Redis Cluster has the same rule.
#[inline]
fn braced(key: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'{', key)?;
    match memchr::memchr(b'}', &key[open + 1..]) {
        Some(len) if len > 0 => Some(&key[open + 1..open + 1 + len]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::typed::random_state;

    #[test]
    fn a_tag_is_what_redis_says_it_is() {
        for (key, expected) in [
            ("user:{42}:name", Some("42")),
            ("{}x", None),
            ("{a", None),
            ("a}b{c}", Some("c")),
            ("{{a}}", Some("{a")),
            ("{a}{b}", Some("a")),
            ("{}{b}", None),
            ("plain", None),
        ] {
            assert_eq!(braced(key.as_bytes()), expected.map(str::as_bytes), "{key}");
        }
    }

    fn routing(locality: &str, pinned: &str) -> Routing {
        let (locality, pinned) = (locality.parse().expect(locality), pinned.parse().expect(pinned));
        Routing::new(random_state([1, 2, 3, 4]), 64, locality, pinned)
    }

    /// With 64 shards, keys that differ in what decides hardly ever meet; these do not.
    #[test]
    fn what_decides_about_a_key() {
        let plain = routing("", "");
        let ruled = routing("bull:*: *.", "3 5 15");
        for (db, key, like) in [
            (0, "plain", "plain"),
            (0, "bull:mail:wait", "{bull:mail}"),
            (0, "bull:mail:1", "{bull:mail}"),
            (0, "bull:mail", "{bull:mail}"),
            (0, "bull:sms:1", "{bull:sms}"),
            (0, "user.1", "{user}"),
            // A tag in braces wins over a pattern, wherever it stands; without a tag braces are letters.
            (0, "bull:{x}:wait", "{x}"),
            (0, "bull:mail:{x}", "{x}"),
            (0, "bull:{}:wait", "bull:{}"),
            (1, "bull:mail:wait", "{bull:mail}"),
        ] {
            assert_eq!(ruled.owner(db, key.as_bytes()), plain.owner(db, like.as_bytes()), "{db} {key}");
        }
        assert_ne!(ruled.owner(0, b"bull:mail:wait"), plain.owner(0, b"bull:mail:wait"));
        assert_ne!(ruled.owner(0, b"bull:mail:wait"), ruled.owner(0, b"bull:sms:wait"));
        for key in ["a", "b", "{t}c", "bull:mail:wait"] {
            for db in [3, 5, 15] {
                assert_eq!(ruled.owner(db, key.as_bytes()), usize::from(db), "{db} {key}");
            }
        }
    }

    #[test]
    fn pinned_databases_take_turns_and_agree_when_they_meet() {
        let parse = |pinned: &str| pinned.parse().expect("numbers of databases");
        let routing = Routing::new(random_state([1, 2, 3, 4]), 4, Locality::default(), parse("1 3 5"));
        assert_eq!([1, 3, 5].map(|db| routing.owner(db, b"k")), [1, 3, 1]);
        for (one, other, expected) in [(0, 2, true), (1, 1, true), (1, 5, true), (1, 3, false), (0, 1, false)] {
            assert_eq!(routing.agree(one, other), expected, "{one} {other}");
            assert_eq!(routing.agree(other, one), expected, "{other} {one}");
        }
        let alone = Routing::new(random_state([1, 2, 3, 4]), 1, Locality::default(), parse("3"));
        assert_eq!(alone.owner(3, b"k"), 0);
        assert!(!alone.agree(0, 3), "what is refused does not depend on the number of shards");
    }
}
