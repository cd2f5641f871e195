//! KORA: where keys live.
//!
//! Owns: what KORA OWNER and KORA ROUTING show. Refuses to know: how a key's shard is found (`shard/routing.rs`).
//! Start at [`owner`].

use crate::argv::Many;
use crate::reply::{ArrayReply, ReplyBuf};
use crate::shard::core::Core;
use crate::shard::routing::Routing;

/// KORA OWNER: each shard gets the keys that it owns, so it answers with its own number for each of them. What the client reads is where its keys were
/// served, not where they should be.
pub fn owner(core: &Core, keys: Many<'_, &[u8]>, reply: ArrayReply<'_, i64>) {
    reply.all(keys.iter().map(|_| core.id as i64));
}

/// KORA ROUTING: what decides where keys live. The fingerprint has 64 bits, more than an integer of the protocol, so it is shown in hexadecimal.
pub fn routing(routing: &Routing, reply: &mut ReplyBuf) {
    reply.map(4);
    reply.bulk(b"shards");
    reply.integer(routing.shards() as i64);
    reply.bulk(b"fingerprint");
    reply.bulk(format!("{:016x}", routing.fingerprint()).as_bytes());
    reply.bulk(b"locality");
    let patterns = routing.locality().patterns();
    reply.array(patterns.len());
    patterns.for_each(|pattern| reply.bulk(pattern.as_bytes()));
    reply.bulk(b"pinned-databases");
    let pinned: Vec<u8> = routing.pinned().iter().collect();
    reply.array(pinned.len());
    pinned.into_iter().for_each(|db| reply.integer(i64::from(db)));
}
