//! The declared list of parameters.
//!
//! Owns: each parameter's name, type, kind, default, and who may change it when; the struct [`Config`] that holds
//! their values. Refuses to know: how texts are read (`value.rs`) and how changes are put together (`mod.rs`).
//! Start at the list under `parameters!`. A new parameter is one row there; something must read its field.

use super::notified::NotifiedEvents;
use super::placement::{Locality, PinnedDatabases};
use super::save_rules::SaveRules;
use super::value::{
    AppendFsync, Kind, LogLevel, MaxmemoryPolicy, OutputLimits, PipelineOrder, RecoverMode, Refusal, Value,
};
use crate::limits;

/// Who may change a parameter when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// CONFIG SET may, at any time.
    AtRunTime,
    /// Flags, environment and file may; CONFIG SET is refused.
    AtStart,
    /// Nobody: the parameter can be read, and set to the value that it has. Why it cannot have another.
    Never(&'static str),
}

/// One name that CONFIG GET and CONFIG SET know. A parameter with an older name as well is listed under both.
#[derive(Debug)]
pub struct Parameter {
    /// In lower case.
    pub name: &'static str,
    /// The name to prefer, when this is an older one.
    pub alias_of: Option<&'static str>,
    /// What texts it takes.
    pub kind: Kind,
    /// Who may change it when.
    pub change: Change,
    /// What it does, in a sentence or two.
    pub help: &'static str,
    /// Which part of Kora reads it.
    pub read_by: &'static str,
    pub(super) text: fn(&Config) -> String,
    pub(super) assign: fn(&mut Config, &[u8]) -> Result<(), Refusal>,
}

/// `rows` of the list to the struct, its defaults, and the table.
macro_rules! parameters {
    ($(
        $field:ident $(($alias:literal))? : $type:ty = $name:literal {
            kind: $kind:expr, default: $default:expr, change: $change:expr,
            help: $help:literal, read_by: $read_by:literal $(,)?
        }
    )*) => {
        /// The values of all parameters. Every shard keeps its own copy; CONFIG SET reaches each of them.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            $(
                #[doc = concat!("`", $name, "`: ", $help, "\n\nRead by ", $read_by, ".")]
                pub $field: $type,
            )*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        /// Every parameter under every name, in the order of the list; an older name follows its newer one.
        pub static PARAMETERS: &[Parameter] = &[
            $(
                parameters!(@row $field, $name, None, $kind, $change, $help, $read_by),
                $(parameters!(@row $field, $alias, Some($name), $kind, $change, $help, $read_by),)?
            )*
        ];
    };
    (@row $field:ident, $name:literal, $alias_of:expr, $kind:expr, $change:expr, $help:literal, $read_by:literal) => {
        Parameter {
            name: $name,
            alias_of: $alias_of,
            kind: $kind,
            change: $change,
            help: $help,
            read_by: $read_by,
            text: |config| config.$field.text($kind),
            assign: |config, text| config.$field.assign(text, $kind),
        }
    };
}

/// Any `int` of Redis that is not negative.
const COUNT: Kind = Kind::Integer(0, i32::MAX as i64);
/// Thresholds of entries and the like.
const ENTRIES: Kind = Kind::Integer(0, i64::MAX);
/// Thresholds of value lengths.
const VALUE_BYTES: Kind = Kind::Bytes(0, i64::MAX as u64);

const NO_EVICTION: Change = Change::Never("a memory limit is not supported yet");

parameters! {
    // ----- Network -----
    port: u16 = "port" {
        kind: Kind::Integer(0, u16::MAX as i64), default: 6379, change: Change::AtStart,
        help: "TCP port; 0 lets the system choose one.",
        read_by: "the listeners of kora-server, before the first connection",
    }
    bind: Vec<String> = "bind" {
        kind: Kind::Words(limits::BIND_ADDRESSES_MAX),
        default: vec!["*".to_owned(), "-::*".to_owned()], change: Change::AtStart,
        help: "Addresses to listen on; `*` is every IPv4 and `::*` every IPv6 address, and one after `-` may be \
            missing on this machine. Empty listens on no TCP port.",
        read_by: "the listeners of kora-server, before the first connection",
    }
    unixsocket: String = "unixsocket" {
        kind: Kind::Text, default: String::new(), change: Change::AtStart,
        help: "Path of a Unix socket to listen on as well; empty for none.",
        read_by: "the listeners of kora-server, before the first connection",
    }
    unixsocketperm: u32 = "unixsocketperm" {
        kind: Kind::Octal(0o777), default: 0, change: Change::AtStart,
        help: "Permissions of the Unix socket, in octal; 0 leaves those that the process's umask gives.",
        read_by: "the listeners of kora-server, before the first connection",
    }
    tcp_backlog: u32 = "tcp-backlog" {
        kind: COUNT, default: 511, change: Change::AtStart,
        help: "Connections that may wait to be accepted, per listener.",
        read_by: "the listeners of kora-server, before the first connection",
    }
    tcp_keepalive: u32 = "tcp-keepalive" {
        kind: COUNT, default: 300, change: Change::AtRunTime,
        help: "Seconds without traffic after which a TCP connection is probed; 0 never probes. Holds for \
            connections accepted later.",
        read_by: "kora-server, when it accepts a connection",
    }
    timeout: u32 = "timeout" {
        kind: COUNT, default: 0, change: Change::AtRunTime,
        help: "Seconds without a command after which a connection is closed; 0 never closes it.",
        read_by: "the sweep of each shard over its sessions",
    }
    maxclients: u32 = "maxclients" {
        kind: Kind::Integer(1, u32::MAX as i64), default: 10_000, change: Change::AtRunTime,
        help: "Connections that may be open at once, over all shards.",
        read_by: "kora-server, when it accepts a connection",
    }
    protected_mode: bool = "protected-mode" {
        kind: Kind::YesNo, default: true, change: Change::AtRunTime,
        help: "Without a password, serve connections from this machine only.",
        read_by: "kora-server, when it accepts a connection",
    }
    requirepass: Vec<u8> = "requirepass" {
        kind: Kind::Secret, default: Vec::new(), change: Change::AtRunTime,
        help: "Password of the default user; empty asks for none. Connections that are authenticated stay so.",
        read_by: "AUTH, HELLO and new sessions",
    }

    // ----- Process -----
    shards: usize = "shards" {
        kind: Kind::Integer(0, limits::SHARDS_MAX as i64), default: 0, change: Change::AtStart,
        help: "Threads, each of which owns a part of the keys; 0 is one for each core that the process may use.",
        read_by: "kora-server, which replaces 0 by the number it chose before the shards start",
    }
    databases: u32 = "databases" {
        kind: Kind::Integer(limits::DATABASES as i64, limits::DATABASES as i64),
        default: limits::DATABASES as u32, change: Change::AtStart,
        help: "Number of databases. It cannot be changed.",
        read_by: "clients; the keyspace has limits::DATABASES of them",
    }
    locality: Locality = "locality" {
        kind: Kind::Locality, default: Locality::default(), change: Change::AtStart,
        help: "Patterns such as `bull:*:`: keys whose names agree up to the text behind the `*` live on one shard. Fixed \
            when a data directory is made.",
        read_by: "the routing of every shard; kora-server, which compares it with the data directory's",
    }
    pinned_databases: PinnedDatabases = "pinned-databases" {
        kind: Kind::Databases, default: PinnedDatabases::default(), change: Change::AtStart,
        help: "Numbers of databases whose keys all live on one shard: that of the number modulo the number of shards. \
            Fixed when a data directory is made.",
        read_by: "the routing of every shard; kora-server, which compares it with the data directory's",
    }
    dir: String = "dir" {
        kind: Kind::Text, default: ".".to_owned(), change: Change::AtStart,
        help: "The data directory, which one process at a time may use. When none is given, nothing is written, and nothing survives the end of the process.",
        read_by: "kora-server, which makes it absolute, and locks it when it is given, before the shards start",
    }
    loglevel: LogLevel = "loglevel" {
        kind: Kind::OneOf(LogLevel::NAMES), default: LogLevel::Notice, change: Change::AtRunTime,
        help: "How much is logged.",
        read_by: "the log of kora-server, when it starts and when the engine tells it of a change",
    }
    pipeline_order: PipelineOrder = "pipeline-order" {
        kind: Kind::OneOf(PipelineOrder::NAMES), default: PipelineOrder::Relaxed, change: Change::AtRunTime,
        help: "With `strict`, a connection's command waits until the one before it has ended; with `relaxed`, \
            single-key commands of a pipeline on different shards may overlap. Replies come in order either way.",
        read_by: "the router, for every command of a pipeline",
    }
    tracking_table_max_keys: usize = "tracking-table-max-keys" {
        kind: ENTRIES, default: 1_000_000, change: Change::AtRunTime,
        help: "Keys that are remembered because clients with CLIENT TRACKING have read them, each shard its share; of more, \
            some are declared invalid. 0 is no limit.",
        read_by: "client-side caching",
    }
    busy_reply_threshold ("lua-time-limit"): u32 = "busy-reply-threshold" {
        kind: COUNT, default: 5000, change: Change::AtRunTime,
        help: "Milliseconds after which a script that runs is taken for stuck: other clients of its shard are answered with BUSY, \
            and SCRIPT KILL works. 0 is never.",
        read_by: "scripts, now and then while they run",
    }
    lua_heap_max: usize = "lua-heap-max" {
        kind: Kind::Bytes(4 * limits::MIB as u64, limits::GIB as u64), default: 64 * limits::MIB, change: Change::AtRunTime,
        help: "Bytes that the interpreter of scripts may take on one shard, and the interpreter of functions as well, beside the words a script is given.",
        read_by: "scripts, when they begin",
    }
    active_expire_effort: u32 = "active-expire-effort" {
        kind: Kind::Integer(1, 10), default: 1, change: Change::AtRunTime,
        help: "How much time the sweep for expired keys may take, from 1 to 10.",
        read_by: "the expiry sweep of each shard",
    }

    // ----- What a client may cost -----
    proto_max_bulk_len: usize = "proto-max-bulk-len" {
        kind: Kind::Bytes(limits::REQUEST_BYTES_FLOOR as u64, limits::BULK_BYTES_CEILING as u64),
        default: limits::BULK_BYTES_MAX, change: Change::AtRunTime,
        help: "Bytes of one argument, and of one string value.",
        read_by: "the request decoder, and commands that lengthen a string",
    }
    client_query_buffer_limit: usize = "client-query-buffer-limit" {
        kind: Kind::Bytes(limits::REQUEST_BYTES_FLOOR as u64, limits::QUERY_BUFFER_BYTES_CEILING as u64),
        default: limits::QUERY_BUFFER_BYTES_MAX, change: Change::AtRunTime,
        help: "Bytes of requests that a connection may have waiting; one that sends more is closed.",
        read_by: "the reading side of a connection",
    }
    client_output_buffer_limit: OutputLimits = "client-output-buffer-limit" {
        kind: Kind::OutputLimits, default: OutputLimits::default(), change: Change::AtRunTime,
        help: "For each class (normal, replica, pubsub) the bytes of unsent replies at which a connection is closed \
            at once, the bytes at which it is closed when they stay, and for how many seconds they may. A hard \
            limit of 0 is limits::OUTPUT_BYTES_MAX.",
        read_by: "the writing side of a connection",
    }

    // ----- Memory -----
    maxmemory: u64 = "maxmemory" {
        kind: Kind::Bytes(0, u64::MAX), default: 0, change: NO_EVICTION,
        help: "Bytes of memory that the process may use for data; 0 is no limit.",
        read_by: "clients",
    }
    maxmemory_policy: MaxmemoryPolicy = "maxmemory-policy" {
        kind: Kind::OneOf(MaxmemoryPolicy::NAMES), default: MaxmemoryPolicy::NoEviction, change: Change::AtRunTime,
        help: "What is evicted when memory runs out; an LFU policy makes keys count how often they are used instead \
            of remembering when.",
        read_by: "the access clock of entries, OBJECT IDLETIME and OBJECT FREQ",
    }
    maxmemory_samples: u32 = "maxmemory-samples" {
        kind: Kind::Integer(1, i32::MAX as i64), default: 5, change: Change::AtRunTime,
        help: "Keys that eviction compares before it picks one.",
        read_by: "eviction, which a `maxmemory` of 0 keeps off",
    }
    lfu_log_factor: u32 = "lfu-log-factor" {
        kind: COUNT, default: 10, change: Change::AtRunTime,
        help: "How slowly the use counter of a key grows under an LFU policy.",
        read_by: "the access clock of entries",
    }
    lfu_decay_time: u32 = "lfu-decay-time" {
        kind: COUNT, default: 1, change: Change::AtRunTime,
        help: "Minutes after which the use counter of a key drops by one under an LFU policy; 0 never drops it.",
        read_by: "the access clock of entries",
    }
    lazyfree_lazy_user_del: bool = "lazyfree-lazy-user-del" {
        kind: Kind::YesNo,
        default: true, change: Change::Never("DEL always frees large values in slices, as UNLINK does"),
        help: "DEL frees large values in the background.",
        read_by: "clients",
    }

    // ----- Encodings: the small form of a type is kept up to these -----
    hash_max_listpack_entries ("hash-max-ziplist-entries"): usize = "hash-max-listpack-entries" {
        kind: ENTRIES, default: 512, change: Change::AtRunTime,
        help: "Fields up to which a hash is packed.",
        read_by: "the handlers of hashes",
    }
    hash_max_listpack_value ("hash-max-ziplist-value"): usize = "hash-max-listpack-value" {
        kind: VALUE_BYTES, default: 64, change: Change::AtRunTime,
        help: "Bytes of a field or value up to which a hash is packed.",
        read_by: "the handlers of hashes",
    }
    list_max_listpack_size ("list-max-ziplist-size"): i32 = "list-max-listpack-size" {
        kind: Kind::Integer(i32::MIN as i64, i32::MAX as i64), default: -2, change: Change::AtRunTime,
        help: "Size of one chunk of a list: entries when positive; -1 to -5 are 4, 8, 16, 32 and 64 KiB.",
        read_by: "the handlers of lists",
    }
    list_compress_depth: u32 = "list-compress-depth" {
        kind: COUNT, default: 2, change: Change::AtRunTime,
        help: "Chunks at each end of a list that are not compressed; 0 compresses none. Holds for lists that grow long from then on.",
        read_by: "the handlers of lists",
    }
    set_max_intset_entries: usize = "set-max-intset-entries" {
        kind: ENTRIES, default: 512, change: Change::AtRunTime,
        help: "Members up to which a set of integers is packed.",
        read_by: "the handlers of sets",
    }
    set_max_listpack_entries: usize = "set-max-listpack-entries" {
        kind: ENTRIES, default: 128, change: Change::AtRunTime,
        help: "Members up to which a set of strings is packed.",
        read_by: "the handlers of sets",
    }
    set_max_listpack_value: usize = "set-max-listpack-value" {
        kind: VALUE_BYTES, default: 64, change: Change::AtRunTime,
        help: "Bytes of a member up to which a set of strings is packed.",
        read_by: "the handlers of sets",
    }
    zset_max_listpack_entries ("zset-max-ziplist-entries"): usize = "zset-max-listpack-entries" {
        kind: ENTRIES, default: 128, change: Change::AtRunTime,
        help: "Members up to which a sorted set is packed.",
        read_by: "the handlers of sorted sets",
    }
    zset_max_listpack_value ("zset-max-ziplist-value"): usize = "zset-max-listpack-value" {
        kind: VALUE_BYTES, default: 64, change: Change::AtRunTime,
        help: "Bytes of a member up to which a sorted set is packed.",
        read_by: "the handlers of sorted sets",
    }

    stream_node_max_bytes: usize = "stream-node-max-bytes" {
        kind: VALUE_BYTES, default: 4096, change: Change::AtRunTime,
        help: "Bytes up to which a block of a stream takes more entries; 0 leaves it to the number of entries.",
        read_by: "XADD",
    }
    stream_node_max_entries: usize = "stream-node-max-entries" {
        kind: ENTRIES, default: 100, change: Change::AtRunTime,
        help: "Entries that a block of a stream takes; 0 leaves it to their bytes. A trim by `~` goes by whole blocks, a hundred at most.",
        read_by: "XADD and XTRIM",
    }

    // ----- Notifications -----
    notify_keyspace_events: NotifiedEvents = "notify-keyspace-events" {
        kind: Kind::EventClasses, default: NotifiedEvents::default(), change: Change::AtRunTime,
        help: "Which changes of keys are published: `K` and `E` name the channels, the other letters the classes of events, `A` most of them.",
        read_by: "each shard, when a key changes, is missed or is new, and the pub/sub extension",
    }

    // ----- What is kept on disk -----
    appendonly: bool = "appendonly" {
        kind: Kind::YesNo, default: false, change: Change::AtRunTime,
        help: "Writes are logged, and what is logged survives a crash. With a data directory this is on unless it is turned off; without one it cannot be on.",
        read_by: "kora-server, when it starts; the threads that write the log, when it changes",
    }
    appendfsync: AppendFsync = "appendfsync" {
        kind: Kind::OneOf(AppendFsync::NAMES), default: AppendFsync::EverySec, change: Change::AtRunTime,
        help: "When what was logged is written through to the disk: before anybody hears of it, once a second, or when the system likes.",
        read_by: "each shard, and whoever syncs its log",
    }
    save: SaveRules = "save" {
        kind: Kind::SaveRules, default: SaveRules::default(), change: Change::AtRunTime,
        help: "When snapshots are taken by themselves: pairs of seconds since the last one and changes since; empty for never. With a data directory and \
            without a log it is Redis's, unless it is given.",
        read_by: "the upkeep of the first shard; SHUTDOWN, SIGTERM and SIGINT, which save when there are rules and no log",
    }
    auto_aof_rewrite_percentage: u32 = "auto-aof-rewrite-percentage" {
        kind: COUNT, default: 100, change: Change::AtRunTime,
        help: "A snapshot is taken, and the log before it removed, when the log has grown by this much of what it was behind the last one; 0 is never.",
        read_by: "the upkeep of the first shard",
    }
    auto_aof_rewrite_min_size: u64 = "auto-aof-rewrite-min-size" {
        kind: Kind::Bytes(0, i64::MAX as u64), default: 64 * limits::MIB as u64, change: Change::AtRunTime,
        help: "Bytes of all logs below which auto-aof-rewrite-percentage does nothing.",
        read_by: "the upkeep of the first shard",
    }
    stop_writes_on_bgsave_error: bool = "stop-writes-on-bgsave-error" {
        kind: Kind::YesNo, default: true, change: Change::AtRunTime,
        help: "While there are `save` rules and the last snapshot failed, commands that write are refused.",
        read_by: "the gate of every shard",
    }
    snapshot_retain: u32 = "snapshot-retain" {
        kind: Kind::Integer(0, limits::SNAPSHOTS_RETAINED_MAX as i64), default: 0, change: Change::AtRunTime,
        help: "Older snapshots that are kept beside the present one, for those who want to go back; a start reads the present one only.",
        read_by: "whoever removes what a new snapshot replaces",
    }
    recover: RecoverMode = "recover" {
        kind: Kind::OneOf(RecoverMode::NAMES), default: RecoverMode::Strict, change: Change::AtStart,
        help: "What to do at the start with a log that is damaged, and not only torn at its end: refuse to start, or keep what stands before the damage \
            and report what is dropped.",
        read_by: "the start, once",
    }
    log_segment_bytes: u64 = "log-segment-bytes" {
        kind: Kind::Bytes(limits::LOG_SEGMENT_BYTES_MIN as u64, limits::LOG_SEGMENT_BYTES_MAX as u64), default: 64 * limits::MIB as u64,
        change: Change::AtStart,
        help: "Bytes of one file of a shard's log; a file is removed when a snapshot has all that is in it.",
        read_by: "whoever writes the logs",
    }
    dbfilename: String = "dbfilename" {
        kind: Kind::Text, default: "dump-*.rdb".to_owned(),
        change: Change::Never("each snapshot has a file for each shard, whose name says which it is"),
        help: "Names of the files of a snapshot, in `dir`.",
        read_by: "clients",
    }
    appendfilename: String = "appendfilename" {
        kind: Kind::Text, default: "log-*.wal".to_owned(), change: Change::Never("each shard's log has files whose names say which they are"),
        help: "Names of the files of the logs, in `dir`.",
        read_by: "clients",
    }
    rdbcompression: bool = "rdbcompression" {
        kind: Kind::YesNo, default: true, change: Change::AtRunTime,
        help: "Strings in snapshots are compressed.",
        read_by: "whoever encodes a snapshot, or a key for DUMP",
    }
    rdbchecksum: bool = "rdbchecksum" {
        kind: Kind::YesNo, default: true, change: Change::Never("snapshots always end with a checksum, and it is always looked at"),
        help: "Snapshots have a checksum.",
        read_by: "clients",
    }
    aof_load_truncated: bool = "aof-load-truncated" {
        kind: Kind::YesNo, default: true,
        change: Change::Never("the end of a log that a crash has torn holds nothing that was known to be on disk, so it is cut off; other damage always stops the start"),
        help: "A log whose end a crash has torn is used up to there.",
        read_by: "clients",
    }
    aof_use_rdb_preamble: bool = "aof-use-rdb-preamble" {
        kind: Kind::YesNo, default: true, change: Change::Never("a log always begins at a snapshot, which is in the RDB format"),
        help: "What a log begins with is in the RDB format.",
        read_by: "clients",
    }
    no_appendfsync_on_rewrite: bool = "no-appendfsync-on-rewrite" {
        kind: Kind::YesNo, default: false, change: Change::Never("the log keeps its promise also while a snapshot is written"),
        help: "While a snapshot is written, the log is not written through to the disk.",
        read_by: "clients",
    }
    aof_timestamp_enabled: bool = "aof-timestamp-enabled" {
        kind: Kind::YesNo, default: false, change: Change::Never("the log has no annotations"),
        help: "The log says at what time each part of it was written.",
        read_by: "clients",
    }
    aof_rewrite_incremental_fsync: bool = "aof-rewrite-incremental-fsync" {
        kind: Kind::YesNo, default: true, change: Change::Never("a snapshot is always written through to the disk in pieces"),
        help: "As rdb-save-incremental-fsync.",
        read_by: "clients",
    }
    rdb_save_incremental_fsync: bool = "rdb-save-incremental-fsync" {
        kind: Kind::YesNo, default: true, change: Change::Never("a snapshot is always written through to the disk in pieces"),
        help: "A snapshot is written through to the disk while it is written, and not only at its end.",
        read_by: "clients",
    }

    // ----- What clients ask about -----
    replica_read_only ("slave-read-only"): bool = "replica-read-only" {
        kind: Kind::YesNo, default: true, change: Change::Never("replication is not supported"),
        help: "Replicas refuse writes.",
        read_by: "clients",
    }
}
