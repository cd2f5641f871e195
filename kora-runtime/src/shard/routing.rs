//! Which shard a key belongs to.
//!
//! Owns: the routing hash and hash tags. Refuses to know: commands, and how anything gets to a shard.
//! Start at [`Routing::owner`].

use ahash::RandomState;

use super::message::ShardId;
use crate::types::hash_of;

/// Where keys live. It is the same on every shard.
#[derive(Debug, Clone)]
pub struct Routing {
    seeds: RandomState,
    shards: usize,
}

impl Routing {
    /// The routing of `shards` shards, at least 1, by a hash with these seeds.
    pub fn new(seeds: RandomState, shards: usize) -> Self {
        assert!(shards > 0, "keys live on some shard");
        Self { seeds, shards }
    }

    /// How many shards there are.
    #[inline]
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The shard that owns `key` of database `db`.
    #[inline]
    pub fn owner(&self, _db: u8, key: &[u8]) -> ShardId {
        if self.shards == 1 {
            return 0;
        }
        self.owner_of_tag(tag(key))
    }

    /// The shard of every key with this tag.
    #[inline]
    fn owner_of_tag(&self, tag: &[u8]) -> ShardId {
        // The high half of a product spreads the high bits of the hash; the tables use the low ones.
        ((u128::from(hash_of(&self.seeds, tag)) * self.shards as u128) >> 64) as ShardId
    }
}

/// The part of a key that decides where it lives: what stands between the first `{` and the next `}` when that is not empty, else the whole key.
#[inline]
pub fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    match memchr::memchr(b'}', &key[open + 1..]) {
        Some(len) if len > 0 => &key[open + 1..open + 1 + len],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_redis_says_it_is() {
        for (key, expected) in [
            ("user:{42}:name", "42"),
            ("{}x", "{}x"),
            ("{a", "{a"),
            ("a}b{c}", "c"),
            ("{{a}}", "{a"),
            ("{a}{b}", "a"),
            ("plain", "plain"),
        ] {
            assert_eq!(tag(key.as_bytes()), expected.as_bytes(), "{key}");
        }
    }
}
