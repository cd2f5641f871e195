//! The sections of INFO and their text.
//!
//! Owns: which sections there are, which of them a request asks for, the lines of each. Refuses to know: where the facts come from.
//! Start at [`Sections::asked`] and [`write()`].
//!
//! A line whose value is written here and not looked up is about something that this version does not have: replication, files,
//! blocking. The value is the true one as long as that is so.

use std::fmt::{Display, Write};

use super::facts::Facts;
use super::persistence;
use crate::handlers::session::{KORA_VERSION, REDIS_VERSION};
use crate::keyspace::DATABASES;
use crate::shard::stats::{CommandStat, Latencies};
use crate::table::INFO;

macro_rules! sections {
    ($($section:ident = $name:literal, $title:literal, $default:literal;)*) => {
        /// A section, in the order in which they are shown.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Section {
            $(#[doc = $title] $section,)*
        }

        impl Section {
            const ALL: &[Self] = &[$(Self::$section,)*];

            /// The word that asks for it.
            fn name(self) -> &'static str {
                match self { $(Self::$section => $name,)* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$section => $title,)* }
            }

            /// It is shown when nobody asks for anything else.
            fn is_default(self) -> bool {
                match self { $(Self::$section => $default,)* }
            }
        }
    };
}

sections! {
    Server = "server", "Server", true;
    Clients = "clients", "Clients", true;
    Memory = "memory", "Memory", true;
    Persistence = "persistence", "Persistence", true;
    Stats = "stats", "Stats", true;
    Replication = "replication", "Replication", true;
    Cpu = "cpu", "CPU", true;
    Modules = "modules", "Modules", true;
    CommandStats = "commandstats", "Commandstats", false;
    ErrorStats = "errorstats", "Errorstats", true;
    LatencyStats = "latencystats", "Latencystats", false;
    Cluster = "cluster", "Cluster", true;
    Keyspace = "keyspace", "Keyspace", true;
}

/// Some sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sections(u32);

impl Sections {
    /// These.
    pub const fn of(sections: &[Section]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < sections.len() {
            bits |= 1 << sections[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// What the words of an INFO ask for; words that name nothing ask for nothing.
    pub fn asked<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Self {
        let those = |wanted: &dyn Fn(Section) -> bool| {
            Section::ALL.iter().filter(|section| wanted(**section)).fold(0, |bits, section| bits | 1 << *section as u32)
        };
        if words.len() == 0 {
            return Self(those(&Section::is_default));
        }
        Self(words.fold(0, |bits, word| {
            let word = word.to_ascii_lowercase();
            bits | match word.as_slice() {
                b"default" => those(&Section::is_default),
                b"all" | b"everything" => those(&|_| true),
                word => those(&|section| section.name().as_bytes() == word),
            }
        }))
    }

    /// True when it is one of these.
    pub fn has(self, section: Section) -> bool {
        self.0 & 1 << section as u32 != 0
    }
}

/// The text of INFO.
pub fn write(sections: Sections, facts: &Facts) -> String {
    let mut text = Text(String::new());
    for section in Section::ALL.iter().filter(|section| sections.has(**section)) {
        if !text.0.is_empty() {
            text.0.push_str("\r\n");
        }
        text.put(format_args!("# {}", section.title()));
        match section {
            Section::Server => server(facts, &mut text),
            Section::Clients => clients(facts, &mut text),
            Section::Memory => memory(facts, &mut text),
            Section::Persistence => persistence::write(facts, &mut text),
            Section::Stats => stats(facts, &mut text),
            Section::Replication => replication(facts, &mut text),
            Section::Cpu => cpu(facts, &mut text),
            // There are none to list.
            Section::Modules => {}
            Section::CommandStats => command_stats(facts, &mut text),
            Section::ErrorStats => error_stats(facts, &mut text),
            Section::LatencyStats => latency_stats(facts, &mut text),
            Section::Cluster => text.line("cluster_enabled", 0),
            Section::Keyspace => keyspace(facts, &mut text),
        }
    }
    text.0
}

pub(super) struct Text(String);

impl Text {
    pub(super) fn put(&mut self, line: impl Display) {
        write!(self.0, "{line}\r\n").expect("writing to a String cannot fail");
    }

    pub(super) fn line(&mut self, name: impl Display, value: impl Display) {
        self.put(format_args!("{name}:{value}"));
    }

    /// Numbers that are shown under the name they are known by.
    pub(super) fn numbers(&mut self, facts: &Facts, names: &[&str]) {
        names.iter().for_each(|name| self.line(name, facts.number(name)));
    }

    /// Texts that are shown under the name they are known by.
    pub(super) fn texts(&mut self, facts: &Facts, names: &[&str]) {
        names.iter().for_each(|name| self.line(name, facts.text(name)));
    }

    /// A number of bytes, as it is and for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.line(name, bytes);
        self.line(format_args!("{name}_human"), human(bytes));
    }

    pub(super) fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.line(name, 0));
    }
}

/// Bytes with the unit that makes the number short.
fn human(bytes: u64) -> String {
    let mut unit = 0;
    let mut number = bytes as f64;
    while number >= 1024.0 && unit < 5 {
        number /= 1024.0;
        unit += 1;
    }
    let letter = ["B", "K", "M", "G", "T", "P"][unit];
    if unit == 0 { format!("{bytes}B") } else { format!("{number:.2}{letter}") }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn server(facts: &Facts, text: &mut Text) {
    text.line("redis_version", REDIS_VERSION);
    text.line("kora_version", KORA_VERSION);
    text.line("redis_mode", "standalone");
    text.texts(facts, &["os"]);
    text.line("arch_bits", usize::BITS);
    text.texts(facts, &["process_id", "run_id", "tcp_port", "server_time_usec", "uptime_in_seconds", "uptime_in_days"]);
    // Upkeep of every shard runs ten times a second.
    text.line("hz", 10);
    text.texts(facts, &["executable", "config_file", "shards"]);
}

fn clients(facts: &Facts, text: &mut Text) {
    text.numbers(facts, &["connected_clients"]);
    text.zeros(&["cluster_connections"]);
    text.texts(facts, &["maxclients"]);
    text.numbers(facts, &["client_recent_max_input_buffer", "client_recent_max_output_buffer"]);
    text.numbers(facts, &["blocked_clients"]);
    text.numbers(facts, &["tracking_clients"]);
    text.numbers(facts, &["clients_in_timeout_table", "total_blocking_keys", "watching_clients", "total_watched_keys"]);
}

fn memory(facts: &Facts, text: &mut Text) {
    let used = facts.number("used_memory");
    let resident = facts.number("resident_bytes");
    let peak = facts.number("peak_bytes");
    let overhead = facts.number("table_bytes") + facts.number("client_bytes");
    text.bytes("used_memory", used);
    text.bytes("used_memory_rss", resident);
    text.bytes("used_memory_peak", peak);
    text.line("used_memory_peak_perc", format_args!("{:.2}%", 100.0 * ratio(used, peak)));
    text.line("used_memory_overhead", overhead);
    text.line("used_memory_dataset", used.saturating_sub(overhead));
    text.line("used_memory_dataset_perc", format_args!("{:.2}%", 100.0 * ratio(used.saturating_sub(overhead), used)));
    text.line("allocator_allocated", used);
    // The allocator tells what it has handed out; what it holds beyond that is known as pages of the process only.
    text.line("allocator_active", resident);
    text.line("allocator_resident", resident);
    text.bytes("total_system_memory", facts.number("system_bytes"));
    text.bytes("used_memory_lua", facts.number("used_memory_lua"));
    text.numbers(facts, &["used_memory_scripts"]);
    text.numbers(facts, &["number_of_cached_scripts", "number_of_functions", "number_of_libraries"]);
    text.bytes("maxmemory", facts.number("maxmemory"));
    text.texts(facts, &["maxmemory_policy"]);
    text.line("mem_fragmentation_ratio", format_args!("{:.2}", ratio(resident, used)));
    text.line("mem_fragmentation_bytes", resident as i64 - used as i64);
    text.zeros(&["mem_not_counted_for_evict", "mem_replication_backlog", "mem_clients_slaves"]);
    text.line("mem_clients_normal", facts.number("client_bytes"));
    text.zeros(&["mem_cluster_links", "mem_aof_buffer", "active_defrag_running"]);
    text.numbers(facts, &["lazyfree_pending_objects"]);
}

fn stats(facts: &Facts, text: &mut Text) {
    text.numbers(facts, &["total_connections_received", "total_commands_processed", "instantaneous_ops_per_sec"]);
    text.numbers(facts, &["total_net_input_bytes", "total_net_output_bytes"]);
    for direction in ["input", "output"] {
        let bytes = facts.number(&format!("{direction}_bytes_per_sec"));
        text.line(format_args!("instantaneous_{direction}_kbps"), format_args!("{:.2}", bytes as f64 / 1024.0));
    }
    text.numbers(facts, &["rejected_connections"]);
    text.zeros(&["sync_full", "sync_partial_ok", "sync_partial_err"]);
    text.numbers(facts, &["expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses"]);
    text.numbers(facts, &["pubsub_channels", "pubsub_patterns", "pubsubshard_channels"]);
    text.zeros(&["latest_fork_usec", "total_forks"]);
    text.numbers(facts, &["tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"]);
    text.line("unexpected_error_replies", 0);
    text.numbers(facts, &["total_error_replies", "total_reads_processed", "total_writes_processed"]);
    text.numbers(facts, &["acl_access_denied_auth"]);
    text.zeros(&["acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel"]);
    text.line("client_query_buffer_limit_disconnections", facts.number("query_limit_disconnections"));
    text.line("client_output_buffer_limit_disconnections", facts.number("output_limit_disconnections"));
    text.numbers(facts, &["forwarded_commands", "multi_shard_commands", "handler_panics"]);
}

fn replication(facts: &Facts, text: &mut Text) {
    text.line("role", "master");
    text.zeros(&["connected_slaves"]);
    text.line("master_failover_state", "no-failover");
    // A history that nobody follows is told from others by its run.
    text.line("master_replid", facts.text("run_id"));
    text.line("master_replid2", "0".repeat(40));
    text.zeros(&["master_repl_offset"]);
    text.line("second_repl_offset", -1);
    text.zeros(&["repl_backlog_active", "repl_backlog_size", "repl_backlog_first_byte_offset", "repl_backlog_histlen"]);
}

fn cpu(facts: &Facts, text: &mut Text) {
    text.texts(facts, &["used_cpu_sys", "used_cpu_user"]);
    text.line("used_cpu_sys_children", "0.000000");
    text.line("used_cpu_user_children", "0.000000");
    text.texts(facts, &["used_cpu_sys_main_thread", "used_cpu_user_main_thread"]);
}

fn command_stats(facts: &Facts, text: &mut Text) {
    for info in &INFO {
        let number = |what: &str| facts.number(&format!("cmd.{}.{what}", info.name));
        let (calls, rejected) = (number("calls"), number("rejected"));
        if calls == 0 && rejected == 0 {
            continue;
        }
        let usec = CommandStat {
            calls,
            runs: number("runs"),
            samples: number("samples"),
            sampled_ns: number("sampled_ns"),
            ..CommandStat::default()
        }
        .usec();
        text.put(format_args!(
            "cmdstat_{}:calls={calls},usec={usec},usec_per_call={:.2},rejected_calls={rejected},failed_calls={}",
            info.name,
            ratio(usec, calls),
            number("failed"),
        ));
    }
}

fn error_stats(facts: &Facts, text: &mut Text) {
    for (word, count) in facts.sums_of("error.") {
        text.line(format_args!("errorstat_{word}"), format_args!("count={count}"));
    }
}

fn latency_stats(facts: &Facts, text: &mut Text) {
    for info in &INFO {
        let prefix = format!("latency.{}.", info.name);
        let mut latencies = Latencies::default();
        for (bucket, count) in facts.sums_of(&prefix) {
            latencies.add(bucket.parse().unwrap_or(usize::MAX), count);
        }
        let Some(values) = latencies.percentiles_usec([50.0, 99.0, 99.9]) else { continue };
        let [p50, p99, p999] = values;
        text.put(format_args!("latency_percentiles_usec_{}:p50={p50:.3},p99={p99:.3},p99.9={p999:.3}", info.name));
    }
}

fn keyspace(facts: &Facts, text: &mut Text) {
    for db in 0..DATABASES {
        let number = |what: &str| facts.number(&format!("db{db}.{what}"));
        let (keys, expires) = (number("keys"), number("expires"));
        if keys > 0 {
            // Each shard has weighed its average by the keys it stands for.
            let average_ms = number("ttl_ms").checked_div(expires).unwrap_or(0);
            text.line(format_args!("db{db}"), format_args!("keys={keys},expires={expires},avg_ttl={average_ms}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ask_for_sections() {
        let check = |words: &[&str], expected: &str| {
            let sections = Sections::asked(words.iter().map(|word| word.as_bytes()));
            let shown: Vec<&str> = Section::ALL.iter().filter(|it| sections.has(**it)).map(|it| it.name()).collect();
            assert_eq!(shown.join(" "), expected, "{words:?}");
        };
        let default = "server clients memory persistence stats replication cpu modules errorstats cluster keyspace";
        let all = "server clients memory persistence stats replication cpu modules commandstats errorstats latencystats \
                   cluster keyspace";
        check(&[], default);
        check(&["default"], default);
        check(&["all"], all);
        check(&["Everything", "nosuch"], all);
        check(&["KEYSPACE", "cpu"], "cpu keyspace");
        check(&[""], "");
    }

    #[test]
    fn bytes_for_people_are_short() {
        let check = |bytes: u64, expected: &str| assert_eq!(human(bytes), expected);
        check(0, "0B");
        check(1023, "1023B");
        check(1536, "1.50K");
        check(25_276_502_016, "23.54G");
        check(u64::MAX, "16384.00P");
    }
}
