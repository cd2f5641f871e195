//! MEMORY: where the bytes are.
//!
//! Owns: what a key costs, what looks wrong, and the map of MEMORY STATS out of the parts of all shards.
//! Refuses to know: how values are laid out; each counts its own bytes. Start at [`usage`].

use super::info::facts::{Facts, MEMORY_FACTS};
use crate::argv::Argv;
use crate::error::CommandError;
use crate::keyspace::{DATABASES, Entry};
use crate::reply::ReplyBuf;
use crate::shard::core::Core;
use crate::shard::cx::ShardCx;
use crate::types::Big;

/// Bytes that a key takes with its value: its place in the table, its allocation, and what is behind its handle. `samples` is checked as Redis does,
/// but every value knows its size without sampling.
pub fn usage(cx: &mut ShardCx<'_>, key: &[u8], samples: Option<i64>) -> Result<Option<i64>, CommandError> {
    if samples.is_some_and(|count| count < 0) {
        return Err(CommandError::Syntax);
    }
    let Some(slot) = cx.find(key) else { return Ok(None) };
    let (entry, bigs) = cx.core.keyspace.database(usize::from(cx.call.db)).value(slot);
    let behind =
        if entry.kind().is_big() { size_of::<Option<Big>>() + bigs.get(entry.handle()).heap_bytes() } else { 0 };
    Ok(Some((size_of::<Entry>() + entry.heap_bytes() + behind) as i64))
}

/// What MEMORY DOCTOR calls too little to judge by.
const DOCTOR_BYTES_MIN: u64 = 5 << 20;
/// What MEMORY DOCTOR calls a large buffer of a connection.
const DOCTOR_CLIENT_BYTES: usize = 200 << 10;

/// MEMORY DOCTOR: one line for each thing that looks wrong.
pub fn doctor(core: &Core) -> String {
    let facts = core.host.facts();
    let used = facts.allocated_bytes;
    if used < DOCTOR_BYTES_MIN {
        return "Too little memory is used to say anything about it.\n".to_owned();
    }
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str("* ");
        text.push_str(line);
        text.push('\n');
    };
    if facts.peak_allocated_bytes > used + used / 2 {
        say(
            "Peak: more than one and a half times as much memory was in use once; what the system counts may stay near that.",
        );
    }
    if facts.resident_bytes > used + used / 5 * 2 {
        say(
            "Fragmentation: the system counts over 1.4 times the memory that is in use; MEMORY PURGE may give some back.",
        );
    }
    let buffers: usize =
        core.clients.iter().map(|client| client.query_bytes + client.query_free + client.output_bytes).sum();
    if buffers / core.clients.len().max(1) > DOCTOR_CLIENT_BYTES {
        say("Connections: their buffers are large on average; some may not read their replies.");
    }
    if text.is_empty() { "Nothing looks wrong with memory.\n".to_owned() } else { text }
}

/// One shard's part of MEMORY STATS.
pub fn stats_part(core: &mut Core) -> Vec<u8> {
    super::info::part(core, MEMORY_FACTS).encode()
}

/// MEMORY STATS of all shards.
pub fn memory_stats(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let facts = Facts::of_parts(parts);
    let databases: Vec<(usize, u64)> =
        (0..DATABASES).map(|db| (db, facts.number(&format!("db{db}.keys")))).filter(|(_, keys)| *keys > 0).collect();
    let used = facts.number("used_memory");
    let resident = facts.number("resident_bytes");
    let peak = facts.number("peak_bytes");
    let overhead = facts.number("table_bytes") + facts.number("client_bytes");
    let dataset = used.saturating_sub(overhead);
    let keys: u64 = databases.iter().map(|(_, keys)| keys).sum();

    let integers_before = [
        ("peak.allocated", peak),
        ("total.allocated", used),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", facts.number("client_bytes")),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
    ];
    let integers_after = [
        ("overhead.total", overhead),
        ("keys.count", keys),
        ("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0)),
        ("dataset.bytes", dataset),
    ];
    let doubles = [
        ("dataset.percentage", percent(dataset, used)),
        ("peak.percentage", percent(used, peak)),
        ("fragmentation", if used == 0 { 0.0 } else { resident as f64 / used as f64 }),
    ];
    let last = [
        ("allocator.allocated", used),
        ("allocator.resident", resident),
        ("fragmentation.bytes", resident.saturating_sub(used)),
    ];
    reply.map(integers_before.len() + databases.len() + integers_after.len() + doubles.len() + last.len());
    let integers = |reply: &mut ReplyBuf, list: &[(&str, u64)]| {
        for (name, value) in list {
            reply.bulk(name.as_bytes());
            reply.integer(*value as i64);
        }
    };
    integers(reply, &integers_before);
    for (db, _) in &databases {
        reply.bulk(format!("db.{db}").as_bytes());
        reply.map(3);
        // A mark in the key's own place says that it expires: there is no table for that.
        let tables = [
            ("overhead.hashtable.main", facts.number(&format!("db{db}.table_bytes"))),
            ("overhead.hashtable.expires", 0),
            ("overhead.hashtable.slot-to-keys", 0),
        ];
        integers(reply, &tables);
    }
    integers(reply, &integers_after);
    for (name, value) in doubles {
        reply.bulk(name.as_bytes());
        reply.double(value);
    }
    integers(reply, &last);
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
