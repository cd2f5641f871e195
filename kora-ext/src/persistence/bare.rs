//! Shards without threads, which files are loaded into.
//!
//! Owns: what such a shard is made with. Refuses to know: which files, and what becomes of its keys. Start at [`bare_shard`].

use std::sync::Arc;

use kora_runtime::config::Config;
use kora_runtime::host::Host;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::shard::{Shard, ShardOptions};

use crate::host::ProcessHost;

/// An empty shard `id` of so many, which nobody drives. It has no clients, so nobody sees its random numbers.
pub(super) fn bare_shard(
    id: usize,
    shards: usize,
    routing_seeds: [u64; 4],
    config: Config,
    host: &Arc<ProcessHost>,
    now_ms: u64,
) -> Shard {
    let (extensions, busy_extensions) = crate::extensions(id);
    Shard::new(ShardOptions {
        id,
        shards,
        seeds: random_state(routing_seeds),
        random_seed: 0,
        config,
        host: Arc::clone(host) as Arc<dyn Host>,
        now_ms,
        extensions,
        busy_extensions,
    })
}
