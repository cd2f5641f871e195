//! Every limit with its name and unit, and the checks between those that depend on each other.
//!
//! Owns: the numbers. Refuses to know: who enforces them.

/// Most words of one request (Redis 7.0.15 allows `i32::MAX`; nobody can use that many and each costs a span).
pub const MULTIBULK_WORDS_MAX: usize = 1024 * 1024;

/// Most words of one request before the connection has authenticated.
pub const MULTIBULK_WORDS_BEFORE_AUTH_MAX: usize = 10;

/// Longest word of a request in bytes, unless `proto-max-bulk-len` says otherwise.
pub const BULK_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Longest word of a request in bytes before the connection has authenticated.
pub const BULK_BYTES_BEFORE_AUTH_MAX: usize = 16 * 1024;

/// Longest inline request, and longest line that announces a count or a length, in bytes before its end of line.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Longest request in bytes, all of its words and their headers together (`client-query-buffer-limit`).
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Words whose spans a decoder keeps room for between requests.
pub const SPANS_KEPT_MAX: usize = 1024;

const _: () = assert!(BULK_BYTES_MAX < REQUEST_BYTES_MAX, "a longest word must fit a request");
const _: () = assert!(REQUEST_BYTES_MAX <= u32::MAX as usize, "spans are u32 offsets into a request");
const _: () = assert!(INLINE_BYTES_MAX < REQUEST_BYTES_MAX, "an inline request is a request");
const _: () =
    assert!(MULTIBULK_WORDS_BEFORE_AUTH_MAX <= SPANS_KEPT_MAX, "no allocation is freed before authentication");
