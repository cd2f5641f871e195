//! Values of parameters: how each kind is read from text, checked and written back.
//!
//! Owns: [`Kind`], [`Refusal`] (Redis's texts), the types that values have ([`Value`]), memory sizes such as `64mb`.
//! Refuses to know: which parameters there are (`parameters.rs`) and who may change them when (`mod.rs`).
//! Start at [`Value`].

use kora_macros::Keyword;

use crate::limits;
use crate::resp::number::parse_i64;

/// What texts a parameter takes. A parameter's Rust type says how the value is kept; this says what is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A canonical decimal integer in this range, ends included.
    Integer(i64, i64),
    /// Bytes in this range, ends included, with an optional unit: `512`, `1k` (1000), `1kb` (1024), `64mb`, `1gb`.
    Bytes(u64, u64),
    /// File permissions in octal, up to this value.
    Octal(u32),
    /// `yes` or `no`.
    YesNo,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// Any text.
    Text,
    /// Any bytes; they must not be logged.
    Secret,
    /// Words separated by blanks, at most this many.
    Words(usize),
    /// Patterns of keys, separated by blanks.
    Locality,
    /// Numbers of databases, separated by blanks.
    Databases,
    /// `class hard soft seconds`, for one or more classes of clients.
    OutputLimits,
    /// Letters of classes of events.
    EventClasses,
    /// `seconds changes`, any number of times.
    SaveRules,
}

/// Why a value or a change was not taken; the text that a client sees after `CONFIG SET failed (…) - `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a decimal integer.
    #[error("argument couldn't be parsed into an integer")]
    NotAnInteger,
    /// Not octal file permissions.
    #[error("argument couldn't be parsed as an octal number")]
    NotOctal,
    /// Not a number of bytes with an optional unit.
    #[error("argument must be a memory value")]
    NotBytes,
    /// Outside the range, whose ends are included.
    #[error("argument must be between {0} and {1} inclusive")]
    OutOfRange(i128, i128),
    /// Neither `yes` nor `no`.
    #[error("argument must be 'yes' or 'no'")]
    NotYesNo,
    /// None of the words that the parameter takes.
    #[error("argument(s) must be one of the following: {}", .0.join(", "))]
    NotOneOf(&'static [&'static str]),
    /// Not UTF-8, where the value is shown to people.
    #[error("argument must be valid UTF-8 text")]
    NotText,
    /// More words than the parameter takes.
    #[error("argument must have at most {0} words")]
    TooManyWords(usize),
    /// A word has more bytes than the parameter takes.
    #[error("argument must have words of at most {0} bytes")]
    WordTooLong(usize),
    /// Not patterns of keys.
    #[error(
        "argument must be patterns such as bull:*: (one '*' and text behind it) or rq: (the beginning of names), without braces"
    )]
    NotLocality,
    /// Not groups of four words.
    #[error("Wrong number of arguments in buffer limit configuration.")]
    OutputLimitWords,
    /// Not a class of clients.
    #[error("Invalid client class specified in buffer limit configuration.")]
    OutputLimitClass,
    /// A limit or a time that is not a number.
    #[error("Error in hard, soft or soft_seconds setting in buffer limit configuration.")]
    OutputLimitNumber,
    /// A letter that names no class of events.
    #[error("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")]
    EventClass,
    /// Not pairs of seconds and changes.
    #[error("Invalid save parameters")]
    SaveRules,
    /// It needs a data directory, and there is none.
    #[error("there is no data directory: start with --dir to keep data")]
    NoDirectory,
    /// The parameter is named twice in one change.
    #[error("duplicate parameter")]
    Duplicate,
    /// The parameter is read when the server starts and never again.
    #[error("can't set immutable config")]
    Immutable,
    /// The parameter can be read, but has one value only; why.
    #[error("{0}")]
    Fixed(&'static str),
}

/// The type in which a parameter's value is kept.
pub(super) trait Value: Clone + PartialEq {
    /// Replaces the value by what `text` says under `kind`. On error the value may be anything.
    fn assign(&mut self, text: &[u8], kind: Kind) -> Result<(), Refusal>;

    /// The value as CONFIG GET shows it; [`Value::assign`] reads it back.
    fn text(&self, kind: Kind) -> String;
}

/// A number of bytes with an optional unit: `b`, `k`, `kb`, `m`, `mb`, `g`, `gb` in any case, where the short forms
/// are powers of 1000 and the others of 1024. Unlike Redis, which reads digits that are missing as 0 and wraps around,
/// it must be a number that fits.
pub fn parse_bytes(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    std::str::from_utf8(number).ok()?.parse::<u64>().ok()?.checked_mul(scale)
}

/// The number that `text` says under one of the numeric kinds.
fn number(text: &[u8], kind: Kind) -> Result<i128, Refusal> {
    let (number, min, max) = match kind {
        Kind::Integer(min, max) => {
            (parse_i64(text).ok_or(Refusal::NotAnInteger)?.into(), i128::from(min), i128::from(max))
        }
        Kind::Bytes(min, max) => (parse_bytes(text).ok_or(Refusal::NotBytes)?.into(), i128::from(min), i128::from(max)),
        Kind::Octal(max) => {
            let digits = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
            let mode = digits.and_then(|text| u32::from_str_radix(text, 8).ok()).ok_or(Refusal::NotOctal)?;
            if mode > max {
                return Err(Refusal::NotOctal);
            }
            (mode.into(), 0, i128::from(max))
        }
        Kind::YesNo
        | Kind::OneOf(_)
        | Kind::Text
        | Kind::Secret
        | Kind::Words(_)
        | Kind::Locality
        | Kind::Databases
        | Kind::OutputLimits
        | Kind::EventClasses
        | Kind::SaveRules => {
            unreachable!("a number is declared with the kind {kind:?}")
        }
    };
    if number < min || number > max { Err(Refusal::OutOfRange(min, max)) } else { Ok(number) }
}

/// Numbers differ by their type only.
macro_rules! numeric_value {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn assign(&mut self, text: &[u8], kind: Kind) -> Result<(), Refusal> {
                let number = number(text, kind)?;
                *self = <$type>::try_from(number)
                    .map_err(|_| Refusal::OutOfRange(<$type>::MIN as i128, <$type>::MAX as i128))?;
                Ok(())
            }

            fn text(&self, kind: Kind) -> String {
                if matches!(kind, Kind::Octal(_)) { format!("{self:o}") } else { self.to_string() }
            }
        }
    )* };
}

numeric_value!(u16, u32, u64, usize, i32);

impl Value for bool {
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        *self = match text {
            yes if yes.eq_ignore_ascii_case(b"yes") => true,
            no if no.eq_ignore_ascii_case(b"no") => false,
            _ => return Err(Refusal::NotYesNo),
        };
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Value for String {
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        *self = utf8(text)?.to_owned();
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        self.clone()
    }
}

/// A secret or another value that need not be text.
impl Value for Vec<u8> {
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        *self = text.to_vec();
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        String::from_utf8_lossy(self).into_owned()
    }
}

impl Value for Vec<String> {
    fn assign(&mut self, text: &[u8], kind: Kind) -> Result<(), Refusal> {
        *self = utf8(text)?.split_ascii_whitespace().map(str::to_owned).collect();
        match kind {
            Kind::Words(max) if self.len() > max => Err(Refusal::TooManyWords(max)),
            _ => Ok(()),
        }
    }

    fn text(&self, _: Kind) -> String {
        self.join(" ")
    }
}

pub(super) fn utf8(text: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(text).map_err(|_| Refusal::NotText)
}

/// What to evict when memory runs out; also which clock an entry keeps for OBJECT IDLETIME and OBJECT FREQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
pub enum MaxmemoryPolicy {
    /// The least recently used key that has an expiry.
    VolatileLru,
    /// The least frequently used key that has an expiry.
    VolatileLfu,
    /// Any key that has an expiry.
    VolatileRandom,
    /// The key that expires first.
    VolatileTtl,
    /// The least recently used key.
    #[keyword("allkeys-lru")]
    AllKeysLru,
    /// The least frequently used key.
    #[keyword("allkeys-lfu")]
    AllKeysLfu,
    /// Any key.
    #[keyword("allkeys-random")]
    AllKeysRandom,
    /// None: writes that need memory fail.
    #[keyword("noeviction")]
    NoEviction,
}

impl MaxmemoryPolicy {
    /// True when entries count how often they are used instead of remembering when.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllKeysLfu)
    }

    /// True when it goes by when entries were used last.
    pub fn is_lru(self) -> bool {
        matches!(self, Self::VolatileLru | Self::AllKeysLru)
    }
}

/// How much is logged, in Redis's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
pub enum LogLevel {
    /// All that happens.
    Debug,
    /// What a developer wants to see.
    Verbose,
    /// What an operator wants to see.
    Notice,
    /// What an operator must see.
    Warning,
}

/// Whether commands of one connection on different shards may overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
pub enum PipelineOrder {
    /// Single-key commands on different shards may.
    Relaxed,
    /// No command starts before the one before it has ended.
    Strict,
}

/// When what was logged is written through to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
pub enum AppendFsync {
    /// Before anybody hears of it.
    Always,
    /// Once a second.
    #[keyword("everysec")]
    EverySec,
    /// When the operating system likes.
    No,
}

/// What becomes of a damaged log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
pub enum RecoverMode {
    /// The start is refused.
    Strict,
    /// What stands before the damage is kept.
    Salvage,
}

/// Words are kept as the enum that derives them.
macro_rules! keyword_value {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
                *self = Self::parse(text).ok_or(Refusal::NotOneOf(Self::NAMES))?;
                Ok(())
            }

            fn text(&self, _: Kind) -> String {
                self.as_str().to_owned()
            }
        }
    )* };
}

keyword_value!(MaxmemoryPolicy, LogLevel, PipelineOrder, AppendFsync, RecoverMode);

/// A class of clients for `client-output-buffer-limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Keyword)]
pub enum ClientClass {
    /// Sends commands and reads replies.
    Normal,
    /// Replicates; `replica` is the same word.
    Slave,
    /// Has subscribed to something.
    Pubsub,
}

/// When a connection that does not read is closed. Zero means that this bound does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes of unsent replies at which it is closed at once.
    pub hard_bytes: u64,
    /// Bytes of unsent replies at which it is closed when they stay that many for `soft_seconds`.
    pub soft_bytes: u64,
    /// How long the soft limit is tolerated.
    pub soft_seconds: u32,
}

impl OutputLimit {
    /// Bytes of unsent replies at which a connection is closed at once, the engine's own bound included.
    pub fn hard_bytes_or_max(&self) -> u64 {
        match self.hard_bytes {
            0 => limits::OUTPUT_BYTES_MAX as u64,
            bytes => bytes.min(limits::OUTPUT_BYTES_MAX as u64),
        }
    }
}

/// The output limit of every class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits([OutputLimit; ClientClass::ALL.len()]);

impl OutputLimits {
    /// The limit of one class.
    pub fn of(&self, class: ClientClass) -> OutputLimit {
        self.0[class as usize]
    }
}

impl Default for OutputLimits {
    fn default() -> Self {
        let limit = |hard_bytes, soft_bytes, soft_seconds| OutputLimit { hard_bytes, soft_bytes, soft_seconds };
        Self([limit(0, 0, 0), limit(256 << 20, 64 << 20, 60), limit(32 << 20, 8 << 20, 60)])
    }
}

impl Value for OutputLimits {
    /// Classes that are not named keep their limits.
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        if text.is_empty() {
            return Ok(());
        }
        let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let groups = words.chunks_exact(4);
        if !groups.remainder().is_empty() {
            return Err(Refusal::OutputLimitWords);
        }
        for group in groups {
            let class = match group[0] {
                replica if replica.eq_ignore_ascii_case(b"replica") => ClientClass::Slave,
                class => ClientClass::parse(class).ok_or(Refusal::OutputLimitClass)?,
            };
            let limit = || {
                let soft_seconds = u32::try_from(parse_i64(group[3])?).ok()?;
                let (hard_bytes, soft_bytes) = (parse_bytes(group[1])?, parse_bytes(group[2])?);
                Some(OutputLimit { hard_bytes, soft_bytes, soft_seconds })
            };
            self.0[class as usize] = limit().ok_or(Refusal::OutputLimitNumber)?;
        }
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        let classes = ClientClass::ALL.iter().zip(self.0);
        let texts: Vec<String> = classes
            .map(|(class, limit)| {
                format!("{} {} {} {}", class.as_str(), limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
            })
            .collect();
        texts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_units_of_both_bases() {
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("010", Some(10)),
            ("1b", Some(1)),
            ("1k", Some(1000)),
            ("1KB", Some(1024)),
            ("2m", Some(2_000_000)),
            ("2mb", Some(2 << 20)),
            ("3G", Some(3_000_000_000)),
            ("3gB", Some(3 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("17179869184gb", None),
            ("", None),
            ("gb", None),
            ("1 gb", None),
            ("1tb", None),
            ("1.5gb", None),
            ("-1", None),
            ("+1", None),
            ("0x10", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn output_limits_change_only_the_classes_they_name() {
        let check = |text: &str, expected: Result<&str, Refusal>| {
            let mut limits = OutputLimits::default();
            let outcome = limits.assign(text.as_bytes(), Kind::OutputLimits).map(|()| limits.text(Kind::OutputLimits));
            assert_eq!(outcome, expected.map(str::to_owned), "{text}");
        };
        let untouched = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        check("", Ok(untouched));
        check("replica 1mb 2 3", Ok("normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60"));
        check("slave 1 2 3 NORMAL 4 5 6", Ok("normal 4 5 6 slave 1 2 3 pubsub 33554432 8388608 60"));
        check(untouched, Ok(untouched));
        check("normal 1 2", Err(Refusal::OutputLimitWords));
        check("  normal 0   0 0 ", Err(Refusal::OutputLimitWords));
        check("master 1 2 3", Err(Refusal::OutputLimitClass));
        check("normal 1 a 3", Err(Refusal::OutputLimitNumber));
        check("normal 1 2 -3", Err(Refusal::OutputLimitNumber));
        check("normal 1 2 3mb", Err(Refusal::OutputLimitNumber));
    }

    #[test]
    fn a_limit_of_zero_still_has_the_bound_of_the_engine() {
        let limits = OutputLimits::default();
        assert_eq!(limits.of(ClientClass::Normal).hard_bytes_or_max(), limits::OUTPUT_BYTES_MAX as u64);
        assert_eq!(limits.of(ClientClass::Pubsub).hard_bytes_or_max(), 32 << 20);
    }

    #[test]
    fn permissions_are_octal() {
        let mut mode = 0_u32;
        for (text, expected) in [("700", Ok(0o700)), ("0777", Ok(0o777)), ("0", Ok(0))] {
            assert_eq!(mode.assign(text.as_bytes(), Kind::Octal(0o777)).map(|()| mode), expected, "{text}");
        }
        for text in ["8", "1000", "", "+7", "-7", "rwx"] {
            assert_eq!(mode.assign(text.as_bytes(), Kind::Octal(0o777)), Err(Refusal::NotOctal), "{text}");
        }
        assert_eq!(0o750_u32.text(Kind::Octal(0o777)), "750");
    }
}
