//! Sums of floats as Redis makes them for INCRBYFLOAT and HINCRBYFLOAT, and the plain decimal text of floats.
//!
//! Owns: the 80-bit extended format of x86 (`long double` there), which decides the digits Redis answers with: 0.1 + 0.2 is 0.3
//! but 1234567.1 + 0.2 is 1234567.30000000000006821. Refuses to know: which command adds. Start at [`add_decimal`].
//!
//! A finite number is `mantissa · 2^exponent` with a 64-bit mantissa whose top bit is set, unless the number is zero or too
//! small for that. Reading, adding and writing round once each, half to even, as glibc and the x87 do, so every result is the
//! one that Redis on x86-64 gives; Redis built where `long double` has another width answers with other last digits.

use crate::resp::natural::Natural;
use crate::resp::number::{is_infinity, write_i64};

/// Longest text that is read as an extended float, in bytes (`MAX_LONG_DOUBLE_CHARS` of Redis, less one).
pub const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

/// Digits behind the decimal point in the plain text of a float, before zeros are trimmed.
const FRACTION_DIGITS: usize = 17;

/// Why there is no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SumError {
    /// The stored text is no float.
    CurrentNotAFloat,
    /// The increment is no float.
    IncrementNotAFloat,
    /// The sum is infinite or no number.
    NanOrInfinity,
}

/// The text of `current + increment`, both texts of floats, as INCRBYFLOAT stores it. `current` is looked at first.
pub fn add_decimal(current: &[u8], increment: &[u8]) -> Result<Vec<u8>, SumError> {
    let current = Extended::parse(current).ok_or(SumError::CurrentNotAFloat)?;
    let increment = Extended::parse(increment).ok_or(SumError::IncrementNotAFloat)?;
    let sum = current.plus(increment);
    if !sum.is_finite() {
        return Err(SumError::NanOrInfinity);
    }
    let mut text = Vec::with_capacity(24);
    sum.write(&mut text);
    Ok(text)
}

/// Appends a double as plain decimal text: at most 17 digits behind the point, no exponent, no zeros at the end (GEOPOS).
pub fn write_f64_plain(out: &mut Vec<u8>, number: f64) {
    Extended::from_f64(number).write(out);
}

/// An 80-bit extended float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
    Nan,
}

/// A binary format: how many bits a mantissa has, and the exponents of its last bit.
struct Format {
    bits: i64,
    exponent_min: i64,
    exponent_max: i64,
}

const EXTENDED: Format = Format { bits: 64, exponent_min: -16445, exponent_max: 16320 };
const DOUBLE: Format = Format { bits: 53, exponent_min: -1074, exponent_max: 971 };

/// A positive real number: `value · 2^exponent`, and a little more than that when `sticky`.
#[derive(Clone, Copy)]
struct Unrounded {
    value: u128,
    exponent: i64,
    sticky: bool,
}

impl Unrounded {
    const ZERO: Self = Self { value: 0, exponent: 0, sticky: false };

    fn is_zero(self) -> bool {
        self.value == 0 && !self.sticky
    }

    /// Mantissa and exponent in `format`, rounded half to even; `None` when it is too large. With `sticky`, `value` must have
    /// more bits than the format.
    fn round(self, format: &Format) -> Option<(u64, i64)> {
        if self.value == 0 {
            return Some((0, 0));
        }
        let value_bits = 128 - i64::from(self.value.leading_zeros());
        let dropped_bits = (value_bits - format.bits).max(format.exponent_min - self.exponent);
        let mut mantissa = match dropped_bits {
            ..=0 => self.value << -dropped_bits,
            1..=128 => {
                let kept = self.value.checked_shr(dropped_bits as u32).unwrap_or(0);
                let rest = self.value - kept.checked_shl(dropped_bits as u32).unwrap_or(0);
                let half = 1u128 << (dropped_bits - 1);
                let up = rest > half || (rest == half && (self.sticky || kept & 1 == 1));
                kept + u128::from(up)
            }
            _ => 0,
        };
        let mut exponent = self.exponent + dropped_bits;
        if mantissa >> format.bits != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
        // At most `format.bits` bits are left.
        (exponent <= format.exponent_max).then_some((mantissa as u64, exponent))
    }

    /// The nearest integer, half to even, for exponents below zero.
    fn round_to_integer(self) -> u128 {
        let dropped_bits = -self.exponent;
        if dropped_bits > 128 {
            return 0;
        }
        let kept = self.value.checked_shr(dropped_bits as u32).unwrap_or(0);
        let rest = self.value - kept.checked_shl(dropped_bits as u32).unwrap_or(0);
        let half = 1u128 << (dropped_bits - 1);
        kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
    }
}

impl Extended {
    const NAN: Self = Self { negative: false, magnitude: Magnitude::Nan };

    /// A float as `strtold` reads it and Redis takes it: decimal or hexadecimal, infinite in words only, not NaN, no blanks,
    /// nothing left over, neither too large nor, not being zero, too small.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, unsigned) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if is_infinity(unsigned) {
            return Some(Self { negative, magnitude: Magnitude::Infinite });
        }
        let unrounded = match unsigned {
            [b'0', b'x' | b'X', digits @ ..] => read_hexadecimal(digits)?,
            digits => read_decimal(digits)?,
        };
        let (mantissa, exponent) = unrounded.round(&EXTENDED)?;
        let underflow = mantissa == 0 && !unrounded.is_zero();
        (!underflow).then(|| Self::finite(negative, mantissa, exponent))
    }

    /// The same number, exactly.
    pub fn from_f64(number: f64) -> Self {
        let negative = number.is_sign_negative();
        if number.is_nan() {
            return Self::NAN;
        }
        if number.is_infinite() {
            return Self { negative, magnitude: Magnitude::Infinite };
        }
        let bits = number.to_bits();
        let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
        let value = if biased == 0 { fraction } else { fraction | 1 << 52 };
        let unrounded = Unrounded { value: u128::from(value), exponent: biased.max(1) - 1075, sticky: false };
        let (mantissa, exponent) = unrounded.round(&EXTENDED).expect("every double is an extended float");
        Self::finite(negative, mantissa, exponent)
    }

    fn finite(negative: bool, mantissa: u64, exponent: i64) -> Self {
        // Rounding has brought the exponent into the range of the format.
        Self { negative, magnitude: Magnitude::Finite { mantissa, exponent: exponent as i32 } }
    }

    /// True unless it is infinite or no number.
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// The sum, rounded.
    pub fn plus(self, other: Self) -> Self {
        let (left, right) = match (self.magnitude, other.magnitude) {
            (Magnitude::Finite { mantissa: 0, .. }, Magnitude::Finite { mantissa: 0, .. }) => {
                return Self::finite(self.negative && other.negative, 0, 0);
            }
            (_, Magnitude::Finite { mantissa: 0, .. }) => return self,
            (Magnitude::Finite { mantissa: 0, .. }, _) => return other,
            (Magnitude::Finite { mantissa, exponent }, Magnitude::Finite { mantissa: m2, exponent: e2 }) => {
                ((exponent, mantissa, self.negative), (e2, m2, other.negative))
            }
            (Magnitude::Nan, _) | (_, Magnitude::Nan) => return Self::NAN,
            (Magnitude::Infinite, Magnitude::Infinite) if self.negative != other.negative => return Self::NAN,
            (Magnitude::Infinite, _) => return self,
            (_, Magnitude::Infinite) => return other,
        };
        // Mantissas with the top bit set compare by exponent first; the others all have the lowest exponent.
        let ((big_exponent, big, negative), (small_exponent, small, small_negative)) =
            if left >= right { (left, right) } else { (right, left) };
        let (wide_big, wide_small) = (u128::from(big) << 63, u128::from(small) << 63);
        let distance = big_exponent.abs_diff(small_exponent);
        let shifted = wide_small.checked_shr(distance).unwrap_or(0);
        let sticky = shifted.checked_shl(distance).unwrap_or(0) != wide_small;
        let value = if negative == small_negative {
            wide_big + shifted
        } else {
            // What was shifted out is borrowed as a whole: the difference is a little more than what stands here.
            wide_big - shifted - u128::from(sticky)
        };
        if value == 0 {
            return Self::finite(false, 0, 0);
        }
        match (Unrounded { value, exponent: i64::from(big_exponent) - 63, sticky }).round(&EXTENDED) {
            Some((mantissa, exponent)) => Self::finite(negative, mantissa, exponent),
            None => Self { negative, magnitude: Magnitude::Infinite },
        }
    }

    /// Appends the plain decimal text: `%.17Lf` of C without the zeros at the end; never `-0`.
    pub fn write(self, out: &mut Vec<u8>) {
        let (mantissa, exponent) = match self.magnitude {
            Magnitude::Nan => return out.extend_from_slice(b"nan"),
            Magnitude::Infinite => return out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" }),
            Magnitude::Finite { mantissa, exponent } => (mantissa, exponent),
        };
        let (whole, fraction) = if exponent < 0 {
            const SCALE: u128 = 10u128.pow(FRACTION_DIGITS as u32);
            // 64 bits and 57 bits: no overflow.
            let scaled =
                Unrounded { value: u128::from(mantissa) * SCALE, exponent: i64::from(exponent), sticky: false };
            let rounded = scaled.round_to_integer();
            (rounded / SCALE, rounded % SCALE)
        } else if exponent <= 64 {
            (u128::from(mantissa) << exponent, 0)
        } else {
            if self.negative {
                out.push(b'-');
            }
            return Natural::from_u128(u128::from(mantissa)).shifted_left(exponent as usize).write_decimal(out);
        };
        if self.negative && (whole, fraction) != (0, 0) {
            out.push(b'-');
        }
        match i64::try_from(whole) {
            Ok(whole) => write_i64(out, whole),
            Err(_) => out.extend_from_slice(whole.to_string().as_bytes()),
        }
        if fraction != 0 {
            let digits = format!(".{fraction:0width$}", width = FRACTION_DIGITS);
            out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
        }
    }
}

/// The double after `0x`, possibly infinite or 0 when out of range, and whether it was written as zero.
pub(super) fn parse_hexadecimal_f64(digits: &[u8]) -> Option<(f64, bool)> {
    let unrounded = read_hexadecimal(digits)?;
    let number = match unrounded.round(&DOUBLE) {
        None => f64::INFINITY,
        // Without its top bit a mantissa belongs to the lowest exponent, which is encoded as 0.
        Some((mantissa, _)) if mantissa >> 52 == 0 => f64::from_bits(mantissa),
        Some((mantissa, exponent)) => f64::from_bits(((exponent + 1075) as u64) << 52 | (mantissa & ((1 << 52) - 1))),
    };
    Some((number, unrounded.is_zero()))
}

/// What follows `0x`: digits with a point somewhere, then perhaps `p` and a power of two.
fn read_hexadecimal(bytes: &[u8]) -> Option<Unrounded> {
    let mut number = Unrounded::ZERO;
    let (mut any_digit, mut point_seen) = (false, false);
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        if let Some(digit) = char::from(*byte).to_digit(16) {
            any_digit = true;
            // 120 bits are more than any format keeps.
            if number.value >> 120 == 0 {
                number.value = number.value << 4 | u128::from(digit);
                number.exponent -= if point_seen { 4 } else { 0 };
            } else {
                number.sticky |= digit != 0;
                number.exponent += if point_seen { 0 } else { 4 };
            }
        } else if *byte == b'.' && !point_seen {
            point_seen = true;
        } else {
            break;
        }
        rest = tail;
    }
    number.exponent += read_exponent(rest, b'p')?;
    any_digit.then_some(number)
}

/// Digits with a point somewhere, then perhaps `e` and a power of ten.
fn read_decimal(bytes: &[u8]) -> Option<Unrounded> {
    // Beyond these powers of ten (of the first digit) every number is infinite or zero.
    const POWER_MAX: i64 = 4940;
    const POWER_MIN: i64 = -5000;
    let mut digits = Vec::with_capacity(bytes.len());
    let (mut any_digit, mut point_seen, mut power) = (false, false, 0i64);
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                any_digit = true;
                if *byte != b'0' || !digits.is_empty() {
                    digits.push(*byte - b'0');
                }
                power -= i64::from(point_seen);
            }
            b'.' if !point_seen => point_seen = true,
            _ => break,
        }
        rest = tail;
    }
    power += read_exponent(rest, b'e')?;
    while digits.last() == Some(&0) {
        digits.pop();
        power += 1;
    }
    if !any_digit {
        return None;
    }
    if digits.is_empty() {
        return Some(Unrounded::ZERO);
    }
    let first_power = power.saturating_add(digits.len() as i64);
    if first_power > POWER_MAX {
        return Some(Unrounded { value: 1, exponent: EXTENDED.exponent_max + 64, sticky: false });
    }
    if first_power < POWER_MIN {
        return Some(Unrounded { value: 1, exponent: EXTENDED.exponent_min - 64, sticky: false });
    }
    if digits.len() <= 19 && (-27..=19).contains(&power) {
        let value = digits.iter().fold(0u128, |value, digit| value * 10 + u128::from(*digit));
        let scale = 10u128.pow(power.unsigned_abs() as u32);
        return Some(if power >= 0 {
            Unrounded { value: value * scale, exponent: 0, sticky: false }
        } else {
            quotient_of_words(value, scale)
        });
    }
    let mut numerator = Natural::from_digits(&digits);
    let mut denominator = Natural::from_u128(1);
    if power >= 0 { &mut numerator } else { &mut denominator }.multiply_by_power_of_ten(power.unsigned_abs() as usize);
    Some(quotient(numerator, denominator))
}

/// An exponent with its mark, or nothing: 0. Held within bounds that no number of [`TEXT_BYTES_MAX`] can make up for, so that a
/// sum with it cannot overflow.
fn read_exponent(bytes: &[u8], mark: u8) -> Option<i64> {
    const EXPONENT_MAX: i64 = 1 << 40;
    let [first, rest @ ..] = bytes else {
        return Some(0);
    };
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if first.to_ascii_lowercase() != mark || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(if negative { -exponent } else { exponent })
}

/// Bits of a quotient: three more than the widest mantissa, so that the rest is in `sticky` alone.
const QUOTIENT_BITS: i64 = EXTENDED.bits + 3;

/// `numerator / denominator`, both below 2^100 and not 0.
fn quotient_of_words(numerator: u128, denominator: u128) -> Unrounded {
    let exponent = i64::from(denominator.leading_zeros()) - i64::from(numerator.leading_zeros());
    let mut remainder = if exponent < 0 { numerator << -exponent } else { numerator };
    let denominator = if exponent > 0 { denominator << exponent } else { denominator };
    let mut value = 0;
    for _ in 0..QUOTIENT_BITS {
        value <<= 1;
        if remainder >= denominator {
            remainder -= denominator;
            value |= 1;
        }
        remainder <<= 1;
    }
    Unrounded { value, exponent: exponent - (QUOTIENT_BITS - 1), sticky: remainder != 0 }
}

/// The same for numbers of any size.
fn quotient(numerator: Natural, denominator: Natural) -> Unrounded {
    let exponent = numerator.bits() as i64 - denominator.bits() as i64;
    let mut remainder = numerator.shifted_left(usize::try_from(-exponent).unwrap_or(0));
    let denominator = denominator.shifted_left(usize::try_from(exponent).unwrap_or(0));
    let mut value = 0;
    for _ in 0..QUOTIENT_BITS {
        value = value << 1 | u128::from(remainder.subtract_if_possible(&denominator));
        remainder.double();
    }
    Unrounded { value, exponent: exponent - (QUOTIENT_BITS - 1), sticky: !remainder.is_zero() }
}

#[cfg(test)]
#[path = "extended_tests.rs"]
mod tests;
