//! Every bound of the engine, with its unit in its name.
//!
//! Owns: the numbers, why each has its size, and the checks between those that depend on each other. Refuses to know:
//! who enforces them; each constant says who should. A bound that an operator may lower is a parameter of `config`,
//! whose ceiling or default stands here.

/// One kibibyte.
pub const KIB: usize = 1024;
/// One mebibyte.
pub const MIB: usize = 1024 * KIB;
/// One gibibyte.
pub const GIB: usize = 1024 * MIB;

// ----- Shape of the process ------------------------------------------------------------------------------------------

/// Shards of one process. A SCAN cursor names a shard in ten bits.
pub const SHARDS_MAX: usize = 1024;
/// Databases that SELECT knows. Fixed: every shard keeps a table for each.
pub const DATABASES: usize = 16;
/// Patterns of the `locality` parameter: a key is compared with each.
pub const LOCALITY_PATTERNS_MAX: usize = 16;
/// Bytes of one of them.
pub const LOCALITY_PATTERN_BYTES_MAX: usize = 64;
/// Words of the `bind` parameter.
pub const BIND_ADDRESSES_MAX: usize = 16;

// ----- Requests: enforced by the decoder and by the reading side of a connection -------------------------------------

/// Bytes that one buffer of requests may ever hold: spans of arguments are `u32`s.
pub const QUERY_BUFFER_BYTES_CEILING: usize = u32::MAX as usize;
/// Bytes of unread and unfinished requests of one connection; default of `client-query-buffer-limit`.
pub const QUERY_BUFFER_BYTES_MAX: usize = GIB;
/// Bytes of one argument, and of one string value; default of `proto-max-bulk-len`.
pub const BULK_BYTES_MAX: usize = 512 * MIB;
/// The most that `proto-max-bulk-len` may be set to.
pub const BULK_BYTES_CEILING: usize = 2 * GIB;
/// Bytes of one argument before the connection has authenticated.
pub const BULK_BYTES_UNAUTHENTICATED_MAX: usize = 16 * KIB;
/// Words of one command, its name included.
pub const REQUEST_WORDS_MAX: usize = 1024 * 1024;
/// Words of one command before the connection has authenticated.
pub const REQUEST_WORDS_UNAUTHENTICATED_MAX: usize = 10;
/// Words whose spans a decoder keeps room for between requests.
pub const SPANS_KEPT_MAX: usize = 1024;
/// Bytes of one inline command, its line end included; also of a `*…` or `$…` length line.
pub const INLINE_BYTES_MAX: usize = 64 * KIB;
/// The least that `client-query-buffer-limit` and `proto-max-bulk-len` may be set to.
pub const REQUEST_BYTES_FLOOR: usize = MIB;
/// Bytes that a connection keeps allocated for requests, and for replies, while it is idle.
pub const IDLE_BUFFER_BYTES_MAX: usize = 64 * KIB;
/// Bytes of room that one read from a connection is given.
pub const READ_BYTES: usize = 16 * KIB;

/// Bytes of requests that a client which waits in a blocking command may send meanwhile before it is read no more.
pub const BLOCKED_INPUT_BYTES_MAX: usize = MIB;
/// Commands of one transaction; their bytes are bounded by `client-query-buffer-limit`.
pub const QUEUED_COMMANDS_MAX: usize = 1024 * 1024;
/// Bytes of the stack on which work with scripts runs; the system gives them as they are used.
pub const SCRIPT_STACK_BYTES: usize = 8 * MIB;
/// Keys that one client may watch.
pub const WATCHED_KEYS_MAX: usize = 64 * KIB;
/// Bytes of those keys.
pub const WATCHED_BYTES_MAX: usize = 64 * MIB;

// ----- Replies: enforced by the reply buffer and by the writing side of a connection ---------------------------------

/// Bytes of one command's reply. A command that would pass it fails with an error instead.
pub const REPLY_BYTES_MAX: usize = GIB;
/// Bytes of unsent replies at which a connection's requests are no longer read.
pub const OUTPUT_PAUSE_BYTES: usize = MIB;
/// Milliseconds after which a client that takes nothing of that much is closed.
pub const OUTPUT_STUCK_MS: u64 = 10_000;
/// Bytes of replies up to which the first of a batch of pipelined commands wait for the last.
pub const OUTPUT_HOLD_BYTES: usize = 16 * KIB;
/// Bytes of unsent replies at which a connection is closed, when its class of `client-output-buffer-limit` says 0.
pub const OUTPUT_BYTES_MAX: usize = REPLY_BYTES_MAX + 64 * MIB;
/// Bytes of unsent replies at which a connection that has not authenticated is closed.
pub const OUTPUT_UNAUTHENTICATED_BYTES_MAX: usize = 64 * KIB;

// ----- Subscriptions: enforced by the session's output and by the pub/sub extension ----------------------------------

/// Bytes from which on a message is not copied for each subscriber but shared by all of them.
pub const PUSH_SHARED_BYTES_MIN: usize = 4 * KIB;
/// Bytes of a shared message that a subscriber's output takes over at a time.
pub const PUSH_PIECE_BYTES: usize = 64 * KIB;
/// Channels, or shard channels, that one client may have subscribed to.
pub const SUBSCRIPTIONS_MAX: usize = 128 * 1024;
/// Patterns that one client may have subscribed to: each is tried on every message that is published.
pub const PATTERN_SUBSCRIPTIONS_MAX: usize = 4096;
/// Bytes of the names of all that one client has subscribed to.
pub const SUBSCRIPTION_NAME_BYTES_MAX: usize = 16 * MIB;
/// Messages that a program which uses Kora as a library may leave unread before they fill its session's output.
pub const EMBEDDED_MESSAGES_MAX: usize = 1024;
/// Bytes of them.
pub const EMBEDDED_MESSAGE_BYTES_MAX: usize = 8 * MIB;

// ----- Between shards: enforced by the router ------------------------------------------------------------------------

/// Bytes of frames that one batch to a peer shard gathers before it is sent; a longer frame travels in a batch of its
/// own.
pub const BATCH_BYTES_MAX: usize = MIB;
/// Commands of one connection that have been sent to other shards and not been answered.
pub const PIPELINE_PENDING_MAX: usize = 4096;
/// Bytes of those commands: with more outstanding, the connection's next command waits.
pub const FORWARDED_BYTES_MAX: usize = MIB;
/// A buffer of an envelope larger than this is not kept for the next.
pub const SPARE_BUFFER_BYTES_MAX: usize = 256 * KIB;
/// Buffers of envelopes that a shard keeps for the next.
pub const SPARE_BUFFERS_MAX: usize = 64;

// ----- The log -------------------------------------------------------------------------------------------------------

/// Bytes of what one script or transaction logs, above which it goes on in another record.
pub const LOG_RECORD_BYTES_MAX: usize = 512 * MIB;
/// The least that `log-segment-bytes` may be set to.
pub const LOG_SEGMENT_BYTES_MIN: usize = 64 * KIB;
/// The most that `log-segment-bytes` may be set to.
pub const LOG_SEGMENT_BYTES_MAX: usize = 4 * GIB;
/// Older snapshots that `snapshot-retain` may keep.
pub const SNAPSHOTS_RETAINED_MAX: usize = 100;
/// Rules of the `save` parameter.
pub const SAVE_RULES_MAX: usize = 16;

// ----- Slices: no step of background work may take longer ------------------------------------------------------------

/// Elements of a large value, or keys of a flushed database, that are dropped in one slice; smaller values are dropped
/// at once.
pub const DROP_SLICE_ELEMENTS: usize = 512;
/// Keys that one slice of a snapshot looks at.
pub const SAVE_SLICE_KEYS: usize = 64;
/// Bytes after which a slice of a snapshot, or a piece of a large value, is enough.
pub const SAVE_SLICE_BYTES: usize = 32 * KIB;
/// Elements of a value up to which a command that changes it has a snapshot save it at once, and does not wait for that.
pub const SAVE_AT_ONCE_ELEMENTS_MAX: usize = 1024;
/// Bytes of a string up to which it is so.
pub const SAVE_AT_ONCE_BYTES_MAX: usize = 128 * KIB;
/// Bytes of a snapshot that are handed on at a time.
pub const SAVE_WRITE_BYTES: usize = 64 * KIB;
/// Bytes of requests that MIGRATE sends before it reads what the other server says to them; a value that is longer goes alone. What it says meanwhile has to
/// find room on its side.
pub const MIGRATION_BATCH_BYTES: usize = 256 * KIB;
/// Keys with an expiry that one slice of the sweep looks at.
pub const EXPIRE_SLICE_KEYS: usize = 512;
/// Segments of the keyspace that one slice of the sweep walks through.
pub const EXPIRE_SLICE_SEGMENTS: usize = 1024;

// ----- Client-side caching -------------------------------------------------------------------------------------------

/// Prefixes of one client that tracks keys by their prefixes.
pub const TRACKING_PREFIXES_MAX: usize = 1024;
/// Bytes of those prefixes.
pub const TRACKING_PREFIX_BYTES_MAX: usize = 64 * KIB;
/// Messages about changed keys in one batch to a peer shard, above which no more commands run before it is sent.
pub const TRACKING_MESSAGES_MAX: usize = 16 * 1024;
/// Keys that may leave a full table of remembered reads for each that comes: more than one, so that a lowered limit is reached.
pub const TRACKING_EVICT_KEYS: usize = 2;
/// Keys above the limit that one slice of background work takes out of that table.
pub const TRACKING_SLICE_KEYS: usize = 512;
/// Segments of that table that one slice walks through to forget clients.
pub const TRACKING_SLICE_SEGMENTS: usize = 64;

// ----- Bookkeeping ---------------------------------------------------------------------------------------------------

/// Code words of errors that are counted one by one.
pub const ERROR_WORDS_MAX: usize = 128;

const _: () = {
    assert!(SHARDS_MAX >= 1 && SHARDS_MAX <= 1 << 10);
    assert!(DATABASES >= 1 && DATABASES <= 1 << 8);

    // An argument and the rest of its request fit the buffer that holds them.
    assert!(BULK_BYTES_MAX < QUERY_BUFFER_BYTES_MAX);
    assert!(BULK_BYTES_MAX <= BULK_BYTES_CEILING);
    assert!(BULK_BYTES_CEILING < QUERY_BUFFER_BYTES_CEILING);
    assert!(QUERY_BUFFER_BYTES_MAX <= QUERY_BUFFER_BYTES_CEILING);
    assert!(QUERY_BUFFER_BYTES_CEILING <= u32::MAX as usize);
    assert!(REQUEST_BYTES_FLOOR > INLINE_BYTES_MAX);
    assert!(IDLE_BUFFER_BYTES_MAX < REQUEST_BYTES_FLOOR);

    // Nobody gets more before authenticating than after.
    assert!(BULK_BYTES_UNAUTHENTICATED_MAX < REQUEST_BYTES_FLOOR);
    assert!(REQUEST_WORDS_UNAUTHENTICATED_MAX < REQUEST_WORDS_MAX);
    assert!(OUTPUT_UNAUTHENTICATED_BYTES_MAX < OUTPUT_BYTES_MAX);
    // An error about any unauthenticated request fits what may be written before authenticating.
    assert!(OUTPUT_UNAUTHENTICATED_BYTES_MAX > BULK_BYTES_UNAUTHENTICATED_MAX);

    // The longest string can be read back, and one whole reply fits on top of what was waiting when reading paused.
    assert!(BULK_BYTES_MAX < REPLY_BYTES_MAX);
    assert!(OUTPUT_PAUSE_BYTES + REPLY_BYTES_MAX <= OUTPUT_BYTES_MAX);

    assert!(OUTPUT_HOLD_BYTES < OUTPUT_PAUSE_BYTES);
    assert!(READ_BYTES <= IDLE_BUFFER_BYTES_MAX);
    assert!(PUSH_SHARED_BYTES_MIN <= PUSH_PIECE_BYTES);
    assert!(PUSH_PIECE_BYTES <= SPARE_BUFFER_BYTES_MAX);
    assert!(SPARE_BUFFER_BYTES_MAX <= BATCH_BYTES_MAX);
};
