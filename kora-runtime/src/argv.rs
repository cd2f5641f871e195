//! Argument vectors: slices of one buffer, and the reader that generated parsers walk them with.
//!
//! Owns: [`Argv`] (what a command was given), [`ArgReader`] (one pass over it), [`Many`] (a repeated argument, never copied).
//! Refuses to know: any particular command; the generated `args` module holds those.
//! Start at [`Parse`]: generated structs, enums and the scalar types here all implement it.

use crate::error::CommandError;
use crate::resp::number::{parse_f64, parse_f64_bound, parse_i64};

/// Where one argument lies in its buffer, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

/// The arguments of one command, without its name: views of a buffer, nothing owned.
#[derive(Debug, Clone, Copy)]
pub struct Argv<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Argv<'a> {
    /// Arguments at `spans` of `bytes`. Every span must lie inside `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    /// Number of arguments.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is no argument.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The `index`th argument, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        Some(&self.bytes[span.start as usize..][..span.len as usize])
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| &bytes[span.start as usize..][..span.len as usize])
    }

    /// The arguments from `start` up to but not including `end`.
    #[inline]
    pub fn range(&self, start: usize, end: usize) -> Argv<'a> {
        Argv { bytes: self.bytes, spans: &self.spans[start..end] }
    }
}

/// One pass over an [`Argv`], from the front.
#[derive(Debug, Clone)]
pub struct ArgReader<'a> {
    argv: Argv<'a>,
    at: usize,
    /// The first value that was wrong but is judged only once everything else is in place.
    late: Option<fn() -> CommandError>,
}

impl<'a> ArgReader<'a> {
    /// A reader at the first argument.
    #[inline]
    pub fn new(argv: Argv<'a>) -> Self {
        Self { argv, at: 0, late: None }
    }

    /// How many arguments are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.argv.len() - self.at
    }

    /// The next argument, without taking it.
    #[inline]
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.argv.get(self.at)
    }

    /// Takes the next argument; a missing one is a syntax error.
    #[inline]
    pub fn next_bytes(&mut self) -> Result<&'a [u8], CommandError> {
        let bytes = self.argv.get(self.at).ok_or(CommandError::Syntax)?;
        self.at += 1;
        Ok(bytes)
    }

    /// Takes the next argument when it is `token` (upper case in the table, any case on the wire).
    #[inline]
    pub fn take_token(&mut self, token: &str) -> bool {
        let matched = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(token.as_bytes()));
        self.at += usize::from(matched);
        matched
    }

    /// Takes a decimal integer in the range of `i64`.
    #[inline]
    pub fn next_i64(&mut self) -> Result<i64, CommandError> {
        parse_i64(self.next_bytes()?).ok_or(CommandError::NotAnInteger)
    }

    /// Takes a double; infinities are fine, NaN is not.
    #[inline]
    pub fn next_f64(&mut self) -> Result<f64, CommandError> {
        parse_f64(self.next_bytes()?).ok_or(CommandError::NotAFloat)
    }

    /// Takes `count` arguments as they are.
    pub fn take(&mut self, count: usize) -> Result<Argv<'a>, CommandError> {
        if count > self.remaining() {
            return Err(CommandError::Syntax);
        }
        let taken = self.argv.range(self.at, self.at + count);
        self.at += count;
        Ok(taken)
    }

    /// The position of the next argument.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Moves to `position`, one that [`ArgReader::position`] gave.
    #[inline]
    pub fn seek(&mut self, position: usize) {
        self.at = position;
    }

    /// The arguments between two positions.
    #[inline]
    pub fn between(&self, start: usize, end: usize) -> Argv<'a> {
        self.argv.range(start, end)
    }

    /// The argument that was taken last.
    pub fn last_word(&self) -> &'a [u8] {
        self.at.checked_sub(1).and_then(|at| self.argv.get(at)).unwrap_or_default()
    }

    /// Reads a value; when it is there but wrong, a stand-in is given and `error` kept until [`ArgReader::finish_late`].
    pub fn late<T: Default>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CommandError>,
        error: fn() -> CommandError,
    ) -> Result<T, CommandError> {
        match read(self) {
            Err(CommandError::Syntax) => Err(CommandError::Syntax),
            Err(_) => {
                self.late = self.late.or(Some(error));
                Ok(T::default())
            }
            Ok(value) => Ok(value),
        }
    }

    /// Fails when a value was wrong whose error was put off.
    #[inline]
    pub fn finish_late(&self) -> Result<(), CommandError> {
        self.late.map_or(Ok(()), |error| Err(error()))
    }

    /// Takes `token`; anything else is a syntax error.
    #[inline]
    pub fn expect_token(&mut self, token: &str) -> Result<(), CommandError> {
        if self.take_token(token) { Ok(()) } else { Err(CommandError::Syntax) }
    }

    /// True when the next argument is one of `tokens`.
    #[inline]
    pub fn at_any(&self, tokens: &[&str]) -> bool {
        self.peek().is_some_and(|word| tokens.iter().any(|token| word.eq_ignore_ascii_case(token.as_bytes())))
    }

    /// How many groups of `width` arguments there are before the last `tail`; `None` when they do not come out even.
    #[inline]
    pub fn groups_of(&self, width: usize, tail: usize) -> Option<usize> {
        let words = self.remaining().saturating_sub(tail);
        words.is_multiple_of(width).then_some(words / width)
    }

    /// Half of what is left; `None` when nothing is left or it does not come out even.
    #[inline]
    pub fn half(&self) -> Option<usize> {
        let words = self.remaining();
        (words > 0 && words.is_multiple_of(2)).then_some(words / 2)
    }

    /// Takes the count that stands before a counted argument, and checks it against what is left.
    pub fn next_count(&mut self, rules: &CountRules) -> Result<usize, CommandError> {
        let count = match (self.next_i64(), rules.integer) {
            (Ok(count), _) => count,
            (Err(error), Some(text)) => return Err(error.or_text(text)),
            (Err(error), None) => return Err(error),
        };
        if count < rules.min {
            return Err(CommandError::Text(rules.zero));
        }
        let there = self.remaining().saturating_sub(rules.tail) / rules.width;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= there)
            .ok_or(rules.many.map_or(CommandError::Syntax, CommandError::Text))
    }

    /// Fails unless everything was taken.
    #[inline]
    pub fn finish(&self) -> Result<(), CommandError> {
        if self.remaining() == 0 { Ok(()) } else { Err(CommandError::Syntax) }
    }
}

/// What a counted argument allows, and what is said otherwise.
#[derive(Debug, Clone, Copy)]
pub struct CountRules {
    /// The smallest count.
    pub min: i64,
    /// How many arguments one value takes at least.
    pub width: usize,
    /// How many arguments must be left after the values.
    pub tail: usize,
    /// The error for a smaller count.
    pub zero: &'static str,
    /// The error for a count above what is there; a syntax error when left out.
    pub many: Option<&'static str>,
    /// The error for a count that is not an integer.
    pub integer: Option<&'static str>,
}

/// Fills an option that may be given once.
#[inline]
pub fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), CommandError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::Syntax),
    }
}

/// Raises a flag that may be given once.
#[inline]
pub fn set_flag_once(flag: &mut bool) -> Result<(), CommandError> {
    if std::mem::replace(flag, true) { Err(CommandError::Syntax) } else { Ok(()) }
}

/// Fills a choice, which may be made again only where `agree(earlier, later)` says so.
#[inline]
pub fn set_choice<T>(slot: &mut Option<T>, value: T, agree: fn(&T, &T) -> bool) -> Result<(), CommandError> {
    if slot.as_ref().is_some_and(|earlier| !agree(earlier, &value)) {
        return Err(CommandError::Syntax);
    }
    *slot = Some(value);
    Ok(())
}

/// What can be read from arguments and written back as arguments; the two are inverse.
pub trait Parse<'a>: Sized {
    /// One value is one argument, and any argument will do.
    const ANY_WORD: bool = false;

    /// Reads one value and stands after it.
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError>;
    /// Appends the words that [`Parse::parse`] would read.
    fn encode(&self, out: &mut ArgvBuf);
}

impl<'a> Parse<'a> for &'a [u8] {
    const ANY_WORD: bool = true;

    #[inline]
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        reader.next_bytes()
    }
    fn encode(&self, out: &mut ArgvBuf) {
        out.push(self);
    }
}

impl<'a> Parse<'a> for i64 {
    #[inline]
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        reader.next_i64()
    }
    fn encode(&self, out: &mut ArgvBuf) {
        out.push(itoa::Buffer::new().format(*self).as_bytes());
    }
}

impl<'a> Parse<'a> for u64 {
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        // Redis has one text for a count that is negative and for one that is no number at all.
        parse_i64(reader.next_bytes()?).and_then(|number| u64::try_from(number).ok()).ok_or(CommandError::NotPositive)
    }
    fn encode(&self, out: &mut ArgvBuf) {
        out.push(itoa::Buffer::new().format(*self).as_bytes());
    }
}

impl<'a> Parse<'a> for f64 {
    #[inline]
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        reader.next_f64()
    }
    fn encode(&self, out: &mut ArgvBuf) {
        let mut text = Vec::with_capacity(24);
        crate::resp::number::write_f64(&mut text, *self);
        out.push(&text);
    }
}

/// A SCAN-like cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(pub u64);

impl<'a> Parse<'a> for Cursor {
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        let word = reader.next_bytes()?;
        let digits = std::str::from_utf8(word).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|text| text.parse().ok()).map(Cursor).ok_or(CommandError::InvalidCursor)
    }
    fn encode(&self, out: &mut ArgvBuf) {
        self.0.encode(out);
    }
}

/// One end of a range of scores.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScoreBound {
    /// The score; may be infinite.
    pub score: f64,
    /// Written `(score`: the score itself is outside.
    pub exclusive: bool,
}

impl ScoreBound {
    /// What one word says, for a bound that may be a score or something else.
    ///
    /// # Errors
    /// When it is no bound of a range of scores.
    pub fn from_word(word: &[u8]) -> Result<Self, CommandError> {
        let (exclusive, digits) = match word.strip_prefix(b"(") {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let score = parse_f64_bound(digits).ok_or(CommandError::MinMaxNotAFloat)?;
        Ok(Self { score, exclusive })
    }
}

impl<'a> Parse<'a> for ScoreBound {
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        Self::from_word(reader.next_bytes()?)
    }
    fn encode(&self, out: &mut ArgvBuf) {
        let mut text = Vec::with_capacity(25);
        if self.exclusive {
            text.push(b'(');
        }
        crate::resp::number::write_f64(&mut text, self.score);
        out.push(&text);
    }
}

/// One end of a range of members in byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LexBound<'a> {
    /// `-`: before every member.
    #[default]
    Min,
    /// `+`: after every member.
    Max,
    /// `[member`.
    Included(&'a [u8]),
    /// `(member`.
    Excluded(&'a [u8]),
}

impl<'a> LexBound<'a> {
    /// What one word says, for a bound that may be a member or something else.
    ///
    /// # Errors
    /// When it is no bound of a range of members.
    pub fn from_word(word: &'a [u8]) -> Result<Self, CommandError> {
        match word {
            b"-" => Ok(Self::Min),
            b"+" => Ok(Self::Max),
            [b'[', member @ ..] => Ok(Self::Included(member)),
            [b'(', member @ ..] => Ok(Self::Excluded(member)),
            _ => Err(CommandError::MinMaxNotALexBound),
        }
    }
}

impl<'a> Parse<'a> for LexBound<'a> {
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        Self::from_word(reader.next_bytes()?)
    }
    fn encode(&self, out: &mut ArgvBuf) {
        match self {
            Self::Min => out.push(b"-"),
            Self::Max => out.push(b"+"),
            Self::Included(member) => out.push_parts(&[b"[", member]),
            Self::Excluded(member) => out.push_parts(&[b"(", member]),
        }
    }
}

/// A stream id as it was sent; the handler knows which forms the command allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamIdArg<'a>(pub &'a [u8]);

impl<'a> Parse<'a> for StreamIdArg<'a> {
    const ANY_WORD: bool = true;

    #[inline]
    fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
        reader.next_bytes().map(Self)
    }
    fn encode(&self, out: &mut ArgvBuf) {
        out.push(self.0);
    }
}

/// Passes over one option, or says that none is next.
pub type SkipOption = fn(&mut ArgReader<'_>) -> Result<(), CommandError>;

/// Where the values of an option that may be given again and again were found among other options.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scatter {
    bounds: Option<(usize, usize)>,
    count: usize,
}

impl Scatter {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value stands, with its token, from `start` to `end`.
    pub fn note(&mut self, start: usize, end: usize) {
        let first = self.bounds.map_or(start, |(first, _)| first);
        self.bounds = Some((first, end));
        self.count += 1;
    }

    /// The values; `skip` passes over the other options between them.
    pub fn finish<'a, T>(self, reader: &ArgReader<'a>, token: &'static str, skip: SkipOption) -> Many<'a, T> {
        match self.bounds {
            None => Many::none(),
            Some((start, end)) => Many::Scattered { argv: reader.between(start, end), count: self.count, token, skip },
        }
    }
}

/// A repeated argument: a view of the words it was sent as, or a slice that a caller gives.
///
/// What was sent has been validated as a whole before the view is handed out, so iterating cannot fail.
#[derive(Debug, Clone, Copy)]
pub enum Many<'a, T> {
    /// Validated words; `count` values.
    Sent {
        /// The words.
        argv: Argv<'a>,
        /// How many values they hold.
        count: usize,
    },
    /// Validated words with other options between them: `count` values, each behind `token`.
    Scattered {
        /// The words, from the first token to the last value.
        argv: Argv<'a>,
        /// How many values they hold.
        count: usize,
        /// The word before each value.
        token: &'static str,
        /// Passes over another option.
        skip: SkipOption,
    },
    /// Values that were never words (the typed client).
    Given(&'a [T]),
}

impl<T> Default for Many<'_, T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> Many<'_, T> {
    /// No value.
    pub const fn none() -> Self {
        Self::Given(&[])
    }
}

impl<'a, T: Parse<'a> + Clone> Many<'a, T> {
    /// Takes values while `more` says so, checking each.
    pub fn parse_while(
        reader: &mut ArgReader<'a>,
        more: impl Fn(&ArgReader<'a>) -> bool,
    ) -> Result<Self, CommandError> {
        let start = reader.position();
        let mut count = 0;
        while more(reader) {
            T::parse(reader)?;
            count += 1;
        }
        Ok(Self::Sent { argv: reader.between(start, reader.position()), count })
    }

    /// Takes exactly `count` values, checking each.
    #[inline]
    pub fn parse_count(reader: &mut ArgReader<'a>, count: usize) -> Result<Self, CommandError> {
        if T::ANY_WORD {
            return Ok(Self::Sent { argv: reader.take(count)?, count });
        }
        if count > reader.remaining() {
            return Err(CommandError::Syntax);
        }
        let start = reader.position();
        for _ in 0..count {
            T::parse(reader)?;
        }
        Ok(Self::Sent { argv: reader.between(start, reader.position()), count })
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Sent { count, .. } | Self::Scattered { count, .. } => *count,
            Self::Given(values) => values.len(),
        }
    }

    /// True when there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in order.
    #[inline]
    pub fn iter(&self) -> ManyIter<'a, T> {
        match *self {
            Self::Sent { argv, count } => ManyIter::Sent { reader: ArgReader::new(argv), left: count },
            Self::Scattered { argv, count, token, skip } => {
                ManyIter::Scattered { reader: ArgReader::new(argv), left: count, token, skip }
            }
            Self::Given(values) => ManyIter::Given(values.iter()),
        }
    }

    /// Appends every value's words.
    pub fn encode(&self, out: &mut ArgvBuf) {
        for value in self.iter() {
            value.encode(out);
        }
    }
}

/// Equal when they hold the same values, wherever those came from.
impl<'a, T: Parse<'a> + Clone + PartialEq> PartialEq for Many<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Parse<'a> + Clone> IntoIterator for Many<'a, T> {
    type Item = T;
    type IntoIter = ManyIter<'a, T>;
    #[inline]
    fn into_iter(self) -> ManyIter<'a, T> {
        self.iter()
    }
}

/// Iterator over a [`Many`].
#[derive(Debug, Clone)]
pub enum ManyIter<'a, T> {
    /// Over words.
    Sent {
        /// Stands at the next value.
        reader: ArgReader<'a>,
        /// Values left.
        left: usize,
    },
    /// Over words with other options between them.
    Scattered {
        /// Stands at the next option.
        reader: ArgReader<'a>,
        /// Values left.
        left: usize,
        /// The word before each value.
        token: &'static str,
        /// Passes over another option.
        skip: SkipOption,
    },
    /// Over given values.
    Given(std::slice::Iter<'a, T>),
}

impl<'a, T: Parse<'a> + Clone> Iterator for ManyIter<'a, T> {
    type Item = T;
    #[inline]
    fn next(&mut self) -> Option<T> {
        match self {
            Self::Sent { reader, left } => {
                *left = left.checked_sub(1)?;
                // The words were validated when the view was made; see `Many`.
                Some(T::parse(reader).expect("validated arguments parse again"))
            }
            Self::Scattered { reader, left, token, skip } => {
                *left = left.checked_sub(1)?;
                while !reader.take_token(token) {
                    skip(reader).expect("validated options are passed over again");
                }
                Some(T::parse(reader).expect("validated arguments parse again"))
            }
            Self::Given(values) => values.next().cloned(),
        }
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Self::Sent { left, .. } | Self::Scattered { left, .. } => *left,
            Self::Given(values) => values.len(),
        };
        (left, Some(left))
    }
}

impl<'a, T: Parse<'a> + Clone> ExactSizeIterator for ManyIter<'a, T> {}

/// An owned argument vector that is being written: one buffer and its spans.
#[derive(Debug, Clone, Default)]
pub struct ArgvBuf {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl ArgvBuf {
    /// An empty vector.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Appends one argument.
    pub fn push(&mut self, word: &[u8]) {
        self.push_parts(&[word]);
    }

    /// Appends an integer.
    pub fn push_integer(&mut self, number: i64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Appends one argument made of several parts.
    pub fn push_parts(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.spans.push(Span { start: start as u32, len: (self.bytes.len() - start) as u32 });
    }

    /// A view of what was written.
    pub fn as_argv(&self) -> Argv<'_> {
        Argv::new(&self.bytes, &self.spans)
    }
}
