//! Ids of streams as clients write them.
//!
//! Owns: which texts are ids, in each place that takes one, and which id a new entry gets. Refuses to know: what is done with them.
//! Start at [`parse`]; [`NewId`] is what XADD takes, [`interval`] what XRANGE takes.

use crate::error::CommandError;
use crate::resp::number::parse_i64;
use crate::types::StreamId;

/// Longest text that Redis takes for an id.
const ID_BYTES_MAX: usize = 127;

const INVALID: CommandError = CommandError::Text("ERR Invalid stream ID specified as stream command argument");

/// The id `ms` or `ms-number`; without a number it is `missing`.
///
/// # Errors
/// When it is none.
pub(super) fn parse(word: &[u8], missing: u64) -> Result<StreamId, CommandError> {
    let (ms, seq) = halves(word).ok_or(INVALID)?;
    let number = |digits| unsigned(digits).ok_or(INVALID);
    Ok(StreamId::new(number(ms)?, seq.map_or(Ok(missing), number)?))
}

/// The ids that XRANGE's two bounds include, or one of its errors.
///
/// # Errors
/// When one is no id, or leaves itself out and has no neighbour.
pub(super) fn interval(start: &[u8], end: &[u8]) -> Result<(StreamId, StreamId), CommandError> {
    let (from, excluded) = bound(start, 0)?;
    let from = if excluded { from.next() } else { Some(from) };
    let from = from.ok_or(CommandError::Text("ERR invalid start ID for the interval"))?;
    let (to, excluded) = bound(end, u64::MAX)?;
    let to = if excluded { to.previous() } else { Some(to) };
    let to = to.ok_or(CommandError::Text("ERR invalid end ID for the interval"))?;
    Ok((from, to))
}

/// A bound, and whether it is itself outside.
fn bound(word: &[u8], missing: u64) -> Result<(StreamId, bool), CommandError> {
    match word {
        b"-" => Ok((StreamId::MIN, false)),
        b"+" => Ok((StreamId::MAX, false)),
        [b'(', id @ ..] if !id.is_empty() => Ok((parse(id, missing)?, true)),
        id => Ok((parse(id, missing)?, false)),
    }
}

/// What XADD was given for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`: by the clock.
    Clock,
    /// `ms-*`: the next number of that millisecond.
    InMs(u64),
    /// The id itself.
    Given(StreamId),
}

impl NewId {
    /// What a word says.
    ///
    /// # Errors
    /// When it is none of these.
    pub(super) fn parse(word: &[u8]) -> Result<Self, CommandError> {
        if word == b"*" {
            return Ok(Self::Clock);
        }
        match halves(word) {
            Some((ms, Some(b"*"))) => unsigned(ms).map(Self::InMs).ok_or(INVALID),
            _ => parse(word, 0).map(Self::Given),
        }
    }

    /// The id of an entry that follows `last` at this time. On an empty stream, whose last id is [`StreamId::MIN`], every one but that is fine.
    ///
    /// # Errors
    /// When it is not above `last`, or nothing is.
    pub(super) fn after(self, last: StreamId, now_ms: u64) -> Result<StreamId, CommandError> {
        const NOT_ABOVE: CommandError =
            CommandError::Text("ERR The ID specified in XADD is equal or smaller than the target stream top item");
        let following = last
            .next()
            .ok_or(CommandError::Text("ERR The stream has exhausted the last possible ID, unable to add more items"))?;
        let id = match self {
            Self::Clock if now_ms > last.ms => StreamId::new(now_ms, 0),
            Self::Clock => following,
            Self::InMs(ms) if ms == last.ms && following.ms == ms => following,
            Self::InMs(ms) => StreamId::new(ms, 0),
            Self::Given(id) => id,
        };
        if id > last { Ok(id) } else { Err(NOT_ABOVE) }
    }
}

/// The texts before and behind the first dash.
fn halves(word: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if word.len() > ID_BYTES_MAX {
        return None;
    }
    // Redis reads a C string.
    let text = word.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(match text.iter().position(|byte| *byte == b'-') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    })
}

/// A number as Redis reads it here: what is no canonical decimal goes to C's `strtoull`, which passes over blanks, takes a sign, and lets a negative
/// number wrap around.
fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_i64(text) {
        return u64::try_from(number).ok();
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().take_while(|byte| is_blank(byte)).count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let max = u64::MAX;
        let cases: &[(&[u8], Option<(u64, u64)>)] = &[
            (b"5", Some((5, 9))),
            (b"5-3", Some((5, 3))),
            (b"0-0", Some((0, 0))),
            (b"18446744073709551615-18446744073709551615", Some((max, max))),
            (b"18446744073709551616", None),
            (b"007-01", Some((7, 1))),
            (b" 5-+3", Some((5, 3))),
            (b"5--3", None),
            (b"5--03", Some((5, max - 2))),
            (b"5\0x-1", Some((5, 9))),
            (b"5-", None),
            (b"-5", None),
            (b"", None),
            (b"-", None),
            (b"+", None),
            (b"5-*", None),
            (b"5 ", None),
            (b"0x5", None),
        ];
        for (text, expected) in cases {
            let found = parse(text, 9).ok().map(|id| (id.ms, id.seq));
            assert_eq!(found, *expected, "{}", text.escape_ascii());
        }
        assert_eq!(parse(&[b'0'; 127], 9), Ok(StreamId::new(0, 9)));
        assert_eq!(parse(&[b'0'; 128], 9), Err(INVALID));
    }

    #[test]
    fn a_new_id_is_above_the_last() {
        let last = StreamId::new(5, 7);
        let after = |word: &[u8], now_ms| NewId::parse(word).expect("an id").after(last, now_ms).ok();
        assert_eq!(after(b"*", 6), Some(StreamId::new(6, 0)));
        assert_eq!(after(b"*", 5), Some(StreamId::new(5, 8)));
        assert_eq!(after(b"*", 2), Some(StreamId::new(5, 8)));
        assert_eq!(after(b"5-*", 2), Some(StreamId::new(5, 8)));
        assert_eq!(after(b"6-*", 2), Some(StreamId::new(6, 0)));
        assert_eq!(after(b"4-*", 9), None);
        assert_eq!(after(b"5-7", 9), None);
        let full = StreamId::new(5, u64::MAX);
        assert_eq!(NewId::Clock.after(full, 2), Ok(StreamId::new(6, 0)));
        assert!(NewId::InMs(5).after(full, 2).is_err());
        assert!(NewId::Clock.after(StreamId::MAX, 2).is_err());
    }
}
