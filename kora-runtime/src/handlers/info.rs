//! INFO: what the server tells of itself.
//!
//! Owns: where each fact comes from; the reply out of the parts of all shards. Refuses to know: how facts travel (`facts.rs`) and how they
//! are shown (`sections.rs`, `persistence.rs`). Start at [`part`], which one shard tells, and [`info`], which puts the parts together.

pub mod facts;
mod persistence;
pub mod sections;

use self::facts::Facts;
use self::sections::{Section, Sections, write};
use crate::argv::Argv;
use crate::keyspace::DATABASES;
use crate::reply::ReplyBuf;
use crate::shard::core::Core;

/// Keys whose time to live one shard looks at to tell the average of a database.
const TTL_SAMPLES: u64 = 32;

/// What one shard knows for these sections. The first one speaks for the process as well.
pub fn part(core: &mut Core, sections: Sections) -> Facts {
    let mut facts = Facts::default();
    if core.id == 0 {
        process(core, &mut facts);
        core.extensions.each(&mut |_, extension| extension.facts(&mut |name, count| facts.add(name, count)));
    }
    for (name, count) in core.stats.fields() {
        facts.add(name, count);
    }
    let recent = core.meter.recent();
    facts.add("instantaneous_ops_per_sec", recent.per_second(recent.commands));
    facts.add("input_bytes_per_sec", recent.per_second(recent.input_bytes));
    facts.add("output_bytes_per_sec", recent.per_second(recent.output_bytes));
    for client in core.clients.iter() {
        let input_bytes = (client.query_bytes + client.query_free) as u64;
        let output_bytes = client.output_bytes as u64;
        facts.add("connected_clients", 1);
        facts.add("tracking_clients", u64::from(client.tracking.is_some()));
        facts.add("client_bytes", input_bytes + output_bytes);
        facts.add("blocked_clients", u64::from(client.waiting.is_some()));
        facts.add("clients_in_timeout_table", u64::from(client.waiting.is_some() && client.waits_for_time));
        facts.add("watching_clients", u64::from(!client.watching.is_empty()));
        facts.raise("client_recent_max_input_buffer", input_bytes);
        facts.raise("client_recent_max_output_buffer", output_bytes);
    }
    facts.add("tracking_total_keys", core.tracking.keys.len() as u64);
    facts.add("tracking_total_items", core.tracking.keys.items() as u64);
    facts.raise("tracking_total_prefixes", core.tracking.prefixes.watched_len() as u64);
    let script = &core.script;
    facts.add("used_memory_lua", script.heap_bytes.get() as u64);
    facts.add("used_memory_scripts", script.script_bytes.get() as u64);
    // Scripts and libraries are the same on every shard, but for scripts that ran on one alone.
    facts.raise("number_of_cached_scripts", script.scripts.get() as u64);
    facts.raise("number_of_functions", script.functions.get() as u64);
    facts.raise("number_of_libraries", script.libraries.get() as u64);
    facts.add("total_blocking_keys", core.waiters.keys_len() as u64);
    facts.add("total_watched_keys", core.watches.keys_len() as u64);
    facts.add("lazyfree_pending_objects", core.graveyard.len() as u64);
    if sections.has(Section::Persistence) {
        persistence::part(core, &mut facts);
    }
    if sections.has(Section::Memory) || sections.has(Section::Keyspace) {
        databases(core, &mut facts);
    }
    if sections.has(Section::CommandStats) {
        for (id, stat) in core.command_stats.iter() {
            let name = id.info().name;
            for (what, count) in stat.fields() {
                facts.add(format!("cmd.{name}.{what}"), count);
            }
        }
    }
    if sections.has(Section::LatencyStats) {
        for (id, latencies) in core.command_stats.latencies() {
            for (bucket, count) in latencies.counts() {
                facts.add(format!("latency.{}.{bucket}", id.info().name), count);
            }
        }
    }
    if sections.has(Section::ErrorStats) {
        for (word, count) in core.command_stats.errors() {
            facts.add(format!("error.{word}"), count);
        }
    }
    facts
}

/// What is told once for all shards.
fn process(core: &Core, facts: &mut Facts) {
    let host = core.host.facts();
    let (accepted_before, rejected_before) = core.connections_before_reset;
    facts.add("total_connections_received", host.accepted_connections.saturating_sub(accepted_before));
    facts.add("rejected_connections", host.rejected_connections.saturating_sub(rejected_before));
    facts.add("used_memory", host.allocated_bytes);
    facts.add("peak_bytes", host.peak_allocated_bytes);
    facts.add("resident_bytes", host.resident_bytes);
    facts.add("system_bytes", host.system_memory_bytes);
    facts.add("maxmemory", core.config.maxmemory);
    facts.tell("maxmemory_policy", core.config.maxmemory_policy.as_str());
    facts.tell("maxclients", core.config.maxclients);
    facts.tell("shards", core.shards);
    facts.tell("os", &host.os);
    facts.tell("process_id", host.process_id);
    facts.tell("run_id", &host.run_id);
    facts.tell("tcp_port", host.tcp_port);
    facts.tell("server_time_usec", core.now_ms.saturating_mul(1000));
    facts.tell("uptime_in_seconds", host.uptime_seconds);
    facts.tell("uptime_in_days", host.uptime_seconds / (24 * 60 * 60));
    facts.tell("executable", &host.executable);
    facts.tell("config_file", &host.config_file);
    for (name, seconds) in [
        ("used_cpu_sys", host.cpu_system_seconds),
        ("used_cpu_user", host.cpu_user_seconds),
        ("used_cpu_sys_main_thread", host.cpu_system_thread_seconds),
        ("used_cpu_user_main_thread", host.cpu_user_thread_seconds),
    ] {
        facts.tell(name, format_args!("{seconds:.6}"));
    }
}

fn databases(core: &mut Core, facts: &mut Facts) {
    for db in 0..DATABASES {
        let database = core.keyspace.database(db);
        let (keys, expires) = (database.len() as u64, database.expires_len() as u64);
        let table_bytes = database.table_bytes() as u64;
        facts.add("table_bytes", table_bytes);
        if keys == 0 {
            continue;
        }
        facts.add(format!("db{db}.keys"), keys);
        facts.add(format!("db{db}.expires"), expires);
        facts.add(format!("db{db}.table_bytes"), table_bytes);
        facts.add(format!("db{db}.ttl_ms"), average_ttl_ms(core, db).saturating_mul(expires));
    }
}

/// The average time to live in a database, from some of its keys.
fn average_ttl_ms(core: &mut Core, db: usize) -> u64 {
    let samples = TTL_SAMPLES.min(core.keyspace.database(db).expires_len() as u64);
    let mut sum_ms = 0_u64;
    for _ in 0..samples {
        let random = core.random.next_u64();
        let expiry_ms = core.keyspace.database(db).sample_expiring(random).and_then(|entry| entry.expiry_ms());
        sum_ms = sum_ms.saturating_add(expiry_ms.unwrap_or(0).saturating_sub(core.now_ms));
    }
    sum_ms.checked_div(samples).unwrap_or(0)
}

/// INFO of all shards.
pub fn info(argv: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let sections = Sections::asked(argv.iter());
    reply.verbatim(write(sections, &Facts::of_parts(parts)).as_bytes());
}
