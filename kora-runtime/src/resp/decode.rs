//! Requests: bytes in, word spans out, whatever the pieces they arrive in.
//!
//! Owns: the framing of requests, the limits on it, and what is remembered of a request that is not whole yet. Refuses to
//! know: sockets, commands, who the client is (that comes in as [`DecodeLimits`]). Start at [`Decoder::next`].
//!
//! Redis 7.0.15 is matched, its lenience included: the two bytes that end a header line or a word are skipped unseen, only
//! the CR of a header line is looked for. Lengths alone decide where a word ends, so this is deterministic. Known
//! differences: a NUL in a header line or in an inline request does not hide the rest of it from the decoder (Redis waits for
//! more input); a line that is too long is refused even when its end has already arrived (in Redis that depends on how the
//! bytes were split into reads); a request has at most `multibulk_max` words and `request_bytes_max` bytes.

use crate::argv::{Argv, Span};
use crate::limits::{
    BULK_BYTES_MAX, BULK_BYTES_UNAUTHENTICATED_MAX, INLINE_BYTES_MAX, QUERY_BUFFER_BYTES_MAX, REQUEST_WORDS_MAX,
    REQUEST_WORDS_UNAUTHENTICATED_MAX, SPANS_KEPT_MAX,
};
use crate::resp::inline::split_words;
use crate::resp::number::parse_i64;

/// What a client may announce and send. Checked before anything is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// False until the client has authenticated; the limits before AUTH then hold as well.
    pub authenticated: bool,
    /// Most words of one request.
    pub multibulk_max: usize,
    /// Longest word, in bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: usize,
    /// Longest inline request or header line, in bytes.
    pub inline_bytes_max: usize,
    /// Longest request, in bytes; never taken to be more than `u32::MAX`.
    pub request_bytes_max: usize,
}

impl DecodeLimits {
    /// The limits of a server that was not told otherwise.
    pub const fn new(authenticated: bool) -> Self {
        Self {
            authenticated,
            multibulk_max: REQUEST_WORDS_MAX,
            bulk_bytes_max: BULK_BYTES_MAX,
            inline_bytes_max: INLINE_BYTES_MAX,
            request_bytes_max: QUERY_BUFFER_BYTES_MAX,
        }
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self::new(true)
    }
}

/// Why the bytes of a client are no request. Nothing after them can be read: the connection is closed once the error is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A number of words that is no number, or too large.
    #[error("ERR Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// More words than a client may send before it has authenticated.
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// A word length that is no number, negative, or too large.
    #[error("ERR Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// A longer word than a client may send before it has authenticated.
    #[error("ERR Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// A word does not begin with `$`. The byte goes out as it came in, CR and LF as a space: see [`ProtocolError::write`].
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedDollar(u8),
    /// The line with the number of words does not end.
    #[error("ERR Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// The line with the length of a word does not end.
    #[error("ERR Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// An inline request does not end.
    #[error("ERR Protocol error: too big inline request")]
    TooBigInline,
    /// An inline request has a quote that is not closed, or something right behind a closing one.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// The words of a request are too long together. Redis closes such a connection without a word.
    #[error("ERR Protocol error: too big request")]
    TooBigRequest,
}

impl ProtocolError {
    /// Appends the encoded error reply, byte for byte that of Redis.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'-');
        if let Self::ExpectedDollar(byte) = *self {
            let shown = if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
            out.extend_from_slice(b"ERR Protocol error: expected '$', got '");
            out.extend_from_slice(&[shown, b'\'']);
        } else {
            out.extend_from_slice(self.to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// What [`Decoder::next`] found at the beginning of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A whole request of at least one word: see [`Decoder::words`].
    Command {
        /// How many bytes it takes up in the buffer.
        consumed: usize,
    },
    /// A request of no words (an empty line, `*0`, `*-1`), which gets no reply.
    Empty {
        /// How many bytes it takes up in the buffer.
        consumed: usize,
    },
    /// The request goes on behind the end of the buffer.
    Incomplete {
        /// How many bytes more it takes for any progress; what a client announced, so not to be trusted with an allocation.
        at_least: usize,
    },
}

/// An incremental decoder of requests.
///
/// The buffer begins at the first byte that no finished request has consumed; while a request is incomplete the caller keeps
/// its bytes, appends, and calls again. What was parsed is not parsed again.
#[derive(Debug, Default)]
pub struct Decoder {
    spans: Vec<Span>,
    /// The words of the last inline request, unquoted; `inline` says that the spans refer to it.
    scratch: Vec<u8>,
    inline: bool,
    /// Offset up to which the request has been parsed.
    at: usize,
    /// Words of a multibulk request that have not arrived; 0 between requests.
    words_left: usize,
    /// Length of the word at `at`, once its header has been read.
    bulk_bytes: Option<usize>,
    /// Offset up to which the end of the current line has been looked for in vain.
    scanned: usize,
}

/// The outcome of looking for a header line.
enum Line {
    /// What stands between the kind byte and the CR, and the offset behind the line.
    Whole { value: Option<i64>, next: usize },
    /// Its end has not arrived.
    Partial,
    /// Its end is too far away.
    TooLong,
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the words of the last whole request lie: in the buffer that [`Decoder::next`] was given, unless it was an inline
    /// request. [`Decoder::words`] knows.
    #[inline]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The words of the last whole request, the command's name first; `buf` is what [`Decoder::next`] was given.
    #[inline]
    pub fn words<'a>(&'a self, buf: &'a [u8]) -> Argv<'a> {
        Argv::new(if self.inline { &self.scratch } else { buf }, &self.spans)
    }

    /// True while a request has arrived in part and something is remembered of it.
    #[inline]
    pub fn is_mid_request(&self) -> bool {
        self.words_left > 0 || self.scanned > 0
    }

    /// Decodes the request at the beginning of `buf`. After an error the decoder is of no more use.
    #[inline]
    pub fn next(&mut self, buf: &[u8], limits: &DecodeLimits) -> Result<Decoded, ProtocolError> {
        if self.words_left == 0 {
            match buf.first() {
                Some(b'*') => {}
                Some(_) => return self.next_inline(buf, limits),
                None => return Ok(Decoded::Incomplete { at_least: 1 }),
            }
            let (count, at) = match short_length(&buf[1..]) {
                Some((count, taken)) => (count, 1 + taken),
                None => match self.header_line(buf, 0, limits) {
                    // None and negative counts are skipped alike.
                    Line::Whole { value: Some(count), next } => (usize::try_from(count).unwrap_or(0), next),
                    Line::Whole { value: None, .. } => return Err(ProtocolError::InvalidMultibulkLength),
                    Line::Partial => return Ok(Decoded::Incomplete { at_least: 1 }),
                    Line::TooLong => return Err(ProtocolError::TooBigMultibulkCount),
                },
            };
            if count > limits.multibulk_max {
                return Err(ProtocolError::InvalidMultibulkLength);
            }
            if count > REQUEST_WORDS_UNAUTHENTICATED_MAX && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedMultibulkLength);
            }
            if count == 0 {
                self.scanned = 0;
                return Ok(Decoded::Empty { consumed: at });
            }
            self.spans.clear();
            if self.spans.capacity() > SPANS_KEPT_MAX {
                self.spans.shrink_to(SPANS_KEPT_MAX);
            }
            self.inline = false;
            self.words_left = count;
            self.at = at;
        }
        self.next_words(buf, limits)
    }

    /// Reads the words that a multibulk request has left.
    #[inline]
    fn next_words(&mut self, buf: &[u8], limits: &DecodeLimits) -> Result<Decoded, ProtocolError> {
        let request_bytes_max = limits.request_bytes_max.min(u32::MAX as usize);
        while self.words_left > 0 {
            let bulk_bytes = match self.bulk_bytes {
                Some(bulk_bytes) => bulk_bytes,
                None => match self.next_bulk_header(buf, limits, request_bytes_max)? {
                    Some(bulk_bytes) => bulk_bytes,
                    None => return Ok(Decoded::Incomplete { at_least: 1 }),
                },
            };
            let end = self.at + bulk_bytes + 2;
            if end > buf.len() {
                self.bulk_bytes = Some(bulk_bytes);
                return Ok(Decoded::Incomplete { at_least: end - buf.len() });
            }
            // Both fit: `next_bulk_header` holds `end` within `request_bytes_max`.
            self.spans.push(Span { start: self.at as u32, len: bulk_bytes as u32 });
            self.bulk_bytes = None;
            self.at = end;
            self.words_left -= 1;
        }
        // A line that arrived in pieces may have left its mark; within a request it lies behind, in the next one it would not.
        self.scanned = 0;
        Ok(Decoded::Command { consumed: self.at })
    }

    /// Reads the `$` line of the next word and stands behind it; `None` when it has not arrived.
    #[inline]
    fn next_bulk_header(
        &mut self,
        buf: &[u8],
        limits: &DecodeLimits,
        request_bytes_max: usize,
    ) -> Result<Option<usize>, ProtocolError> {
        let short = match buf.get(self.at..) {
            Some([b'$', rest @ ..]) => short_length(rest),
            _ => None,
        };
        let (bulk_bytes, next) = match short {
            Some((bulk_bytes, taken)) => (bulk_bytes, self.at + 1 + taken),
            None => match self.header_line(buf, self.at, limits) {
                Line::Whole { .. } if buf[self.at] != b'$' => {
                    return Err(ProtocolError::ExpectedDollar(buf[self.at]));
                }
                Line::Whole { value, next } => {
                    let length = value.and_then(|value| usize::try_from(value).ok());
                    (length.ok_or(ProtocolError::InvalidBulkLength)?, next)
                }
                Line::Partial => return Ok(None),
                Line::TooLong => return Err(ProtocolError::TooBigBulkCount),
            },
        };
        if bulk_bytes > limits.bulk_bytes_max {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if bulk_bytes > BULK_BYTES_UNAUTHENTICATED_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        if bulk_bytes.saturating_add(next + 2) > request_bytes_max {
            return Err(ProtocolError::TooBigRequest);
        }
        self.at = next;
        Ok(Some(bulk_bytes))
    }

    /// The header line at `start`, its kind byte not looked at: the general form of [`short_length`].
    #[cold]
    fn header_line(&mut self, buf: &[u8], start: usize, limits: &DecodeLimits) -> Line {
        let line_max = limits.inline_bytes_max;
        let window = &buf[start.min(buf.len())..buf.len().min(start.saturating_add(line_max).saturating_add(1))];
        let scanned = self.scanned.saturating_sub(start).min(window.len());
        let Some(found) = memchr::memchr(b'\r', &window[scanned..]) else {
            self.scanned = start + window.len();
            return if window.len() > line_max { Line::TooLong } else { Line::Partial };
        };
        let line_bytes = scanned + found;
        if buf.len() < start + line_bytes + 2 {
            self.scanned = start + line_bytes;
            return Line::Partial;
        }
        self.scanned = 0;
        // A CR in place of the kind byte leaves an empty line: no number.
        let value = window[..line_bytes].get(1..).and_then(parse_i64);
        Line::Whole { value, next: start + line_bytes + 2 }
    }

    /// Decodes an inline request.
    #[cold]
    fn next_inline(&mut self, buf: &[u8], limits: &DecodeLimits) -> Result<Decoded, ProtocolError> {
        let window = &buf[..buf.len().min(limits.inline_bytes_max.saturating_add(1))];
        let scanned = self.scanned.min(window.len());
        let Some(found) = memchr::memchr(b'\n', &window[scanned..]) else {
            self.scanned = window.len();
            let too_long = window.len() > limits.inline_bytes_max;
            return if too_long { Err(ProtocolError::TooBigInline) } else { Ok(Decoded::Incomplete { at_least: 1 }) };
        };
        self.scanned = 0;
        let line = &window[..scanned + found];
        let consumed = line.len() + 1;
        self.spans.clear();
        self.scratch.clear();
        self.inline = true;
        split_words(line.strip_suffix(b"\r").unwrap_or(line), &mut self.scratch, &mut self.spans)
            .ok_or(ProtocolError::UnbalancedQuotes)?;
        Ok(if self.spans.is_empty() { Decoded::Empty { consumed } } else { Decoded::Command { consumed } })
    }
}

/// A canonical length of at most nine digits and its line end, the usual case: the length and the bytes taken. `None` says
/// only that the general way must be gone.
#[inline(always)]
fn short_length(line: &[u8]) -> Option<(usize, usize)> {
    let mut value = usize::from(line.first()?.wrapping_sub(b'0'));
    if value > 9 {
        return None;
    }
    let mut digits = 1;
    loop {
        let byte = *line.get(digits)?;
        if byte == b'\r' {
            return (digits + 2 <= line.len()).then_some((value, digits + 2));
        }
        let digit = byte.wrapping_sub(b'0');
        // A value of 0 before another digit is a leading zero.
        if digit > 9 || value == 0 || digits == 9 {
            return None;
        }
        value = value * 10 + usize::from(digit);
        digits += 1;
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
