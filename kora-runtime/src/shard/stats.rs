//! Counters of one shard; INFO adds them up over all shards.
//!
//! Owns: what is counted. Refuses to know: how it is shown.

use kora_macros::Counters;

use crate::table::CommandId;

/// Counters of one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Counters)]
pub struct Stats {
    /// Commands that ran or were refused.
    pub total_commands_processed: u64,
    /// Bytes read from clients.
    pub total_net_input_bytes: u64,
    /// Bytes written to clients.
    pub total_net_output_bytes: u64,
    /// Keys that expired.
    pub expired_keys: u64,
    /// Keys evicted to stay under `maxmemory`.
    pub evicted_keys: u64,
    /// Lookups for reading that found the key.
    pub keyspace_hits: u64,
    /// Lookups for reading that did not.
    pub keyspace_misses: u64,
    /// Error replies.
    pub total_error_replies: u64,
    /// Commands that read.
    pub total_reads_processed: u64,
    /// Commands that write.
    pub total_writes_processed: u64,
    /// Changes of keys.
    pub dirty: u64,
    /// Connections closed because their output passed its limit.
    pub output_limit_disconnections: u64,
    /// Connections closed because their input passed its limit.
    pub query_limit_disconnections: u64,
    /// Failed authentications.
    pub acl_access_denied_auth: u64,
    /// Commands sent to another shard.
    pub forwarded_commands: u64,
    /// Commands that ran as a transaction over several shards.
    pub multi_shard_commands: u64,
    /// Handlers that panicked.
    pub handler_panics: u64,
}

/// Calls of one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommandStat {
    /// Times it ran.
    pub calls: u64,
    /// Microseconds it took, estimated from every sixteenth call.
    pub sampled_ns: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Times it replied with an error.
    pub failed: u64,
}

/// Every sixteenth call of a command is timed.
pub const SAMPLE_EVERY: u64 = 16;

impl CommandStat {
    /// Estimated time in microseconds of all calls.
    pub fn usec(&self) -> u64 {
        let samples = self.calls.div_ceil(SAMPLE_EVERY).max(1);
        (u128::from(self.sampled_ns) * u128::from(self.calls) / u128::from(samples) / 1000) as u64
    }
}

/// Calls of every command, and errors by their code word.
#[derive(Debug, Clone)]
pub struct CommandStats {
    by_number: Vec<CommandStat>,
    errors: std::collections::BTreeMap<String, u64>,
}

impl Default for CommandStats {
    fn default() -> Self {
        let most = CommandId::ALL.iter().map(|id| usize::from(id.number())).max().unwrap_or(0);
        Self { by_number: vec![CommandStat::default(); most + 1], errors: std::collections::BTreeMap::new() }
    }
}

impl CommandStats {
    /// The counters of a command.
    #[inline]
    pub fn of(&mut self, id: CommandId) -> &mut CommandStat {
        &mut self.by_number[usize::from(id.number())]
    }

    /// Commands that were called or refused, in table order.
    pub fn iter(&self) -> impl Iterator<Item = (CommandId, CommandStat)> {
        CommandId::ALL.iter().map(|id| (*id, self.by_number[usize::from(id.number())])).filter(|(_, stat)| *stat != CommandStat::default())
    }

    /// Counts an error by its code word. Words are the program's own, so the map is bounded; a limit holds all the same.
    pub fn count_error(&mut self, text: &str) {
        let word = text.split(' ').next().unwrap_or("ERR");
        if let Some(count) = self.errors.get_mut(word) {
            *count += 1;
        } else if self.errors.len() < crate::limits::ERROR_WORDS_MAX {
            self.errors.insert(word.to_owned(), 1);
        }
    }

    /// Errors by code word.
    pub fn errors(&self) -> impl Iterator<Item = (&str, u64)> {
        self.errors.iter().map(|(word, count)| (word.as_str(), *count))
    }

    /// Forgets everything (CONFIG RESETSTAT).
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
