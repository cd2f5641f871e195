//! Numbers as Redis reads and writes them.
//!
//! Owns: canonical integers (`string2ll`), doubles (`string2d`, `%.17g`), their texts. Refuses to know: where they come from.
//! The sums of INCRBYFLOAT are made in [`super::extended`].

use crate::resp::extended;

/// A canonical decimal integer: no sign but `-`, no leading zero, no blanks, within `i64`.
#[inline]
pub fn parse_i64(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (&first, rest) = digits.split_first()?;
    // 19 digits fit u64, so nothing below wraps before the range check.
    if !first.is_ascii_digit() || digits.len() > 19 {
        return None;
    }
    if first == b'0' {
        return (rest.is_empty() && !negative).then_some(0);
    }
    let mut magnitude = u64::from(first - b'0');
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// A double as `strtod` reads it: decimal or hexadecimal, `inf` or `infinity` in any case. Refused are blanks, anything left
/// over, NaN, and what is too large or, not being zero, too small for a double.
#[inline]
pub fn parse_f64(bytes: &[u8]) -> Option<f64> {
    if let Some(number) = short_integer(bytes) {
        return Some(number);
    }
    let (number, in_range) = read_f64(bytes)?;
    in_range.then_some(number)
}

/// One end of a score range, without its `(`. Redis is more lenient here than elsewhere: blanks in front are skipped, nothing
/// at all is 0, what is too large is infinite and what is too small is 0.
pub fn parse_f64_bound(bytes: &[u8]) -> Option<f64> {
    let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    match &bytes[blanks..] {
        // Blanks alone are not a number, so nothing is read and they are left over.
        [] => (blanks == 0).then_some(0.0),
        rest => read_f64(rest).map(|(number, _)| number),
    }
}

/// A double, and whether it is in range; out of range it is infinite or 0.
fn read_f64(bytes: &[u8]) -> Option<(f64, bool)> {
    let (negative, unsigned) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (magnitude, in_range) = match unsigned {
        [b'0', b'x' | b'X', digits @ ..] => {
            let (magnitude, is_zero) = extended::parse_hexadecimal_f64(digits)?;
            (magnitude, magnitude.is_finite() && (is_zero || magnitude != 0.0))
        }
        [b'0'..=b'9' | b'.', ..] => {
            let magnitude: f64 = std::str::from_utf8(unsigned).ok()?.parse().ok()?;
            let underflow = magnitude == 0.0 && has_significant_digit(unsigned);
            (magnitude, magnitude.is_finite() && !underflow)
        }
        word if is_infinity(word) => (f64::INFINITY, true),
        _ => return None,
    };
    Some((if negative { -magnitude } else { magnitude }, in_range))
}

/// A plain integer of at most 15 digits, which is exact in a double: most scores.
#[inline]
fn short_integer(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut magnitude = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    let number = magnitude as f64;
    Some(if negative { -number } else { number })
}

/// True when a digit other than 0 stands before the exponent.
fn has_significant_digit(unsigned: &[u8]) -> bool {
    unsigned.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

/// `inf` or `infinity`, in any case.
pub(super) fn is_infinity(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity")
}

/// Appends an integer.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a double as C's `%.17g` prints it: 17 significant digits without trailing zeros, an exponent of at least two digits
/// below 1e-4 and from 1e17 up, `inf`, `-inf`, `nan`, `-0`.
pub fn write_f64(out: &mut Vec<u8>, number: f64) {
    const INTEGERS_END: f64 = 1e17;
    if number.abs() < INTEGERS_END && number.trunc() == number && (number != 0.0 || number.is_sign_positive()) {
        // The cast is exact: the number is whole and well within i64.
        return write_i64(out, number as i64);
    }
    if !number.is_finite() {
        out.extend_from_slice(match number {
            _ if number.is_nan() => b"nan".as_slice(),
            _ if number > 0.0 => b"inf",
            _ => b"-inf",
        });
        return;
    }
    let (digits, exponent) = significant_digits(number);
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let digits = trim_zeros(&digits);
    if (-4..17).contains(&exponent) {
        write_positional(out, digits, exponent);
    } else {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        write_i64(out, i64::from(exponent.abs()));
    }
}

/// The first 17 decimal digits of a finite number, rounded half to even, and the power of ten of the first.
fn significant_digits(number: f64) -> ([u8; 17], i32) {
    use std::io::Write;
    let mut text = [0u8; 32];
    let mut unwritten = text.as_mut_slice();
    write!(unwritten, "{:.16e}", number.abs()).expect("d.dddddddddddddddde-ddd is shorter than the buffer");
    let len = 32 - unwritten.len();
    let mut digits = [0u8; 17];
    digits[0] = text[0];
    digits[1..].copy_from_slice(&text[2..18]);
    // Behind the `e` at 18.
    let (negative, exponent_digits) = match &text[19..len] {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let exponent = exponent_digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    (digits, if negative { -exponent } else { exponent })
}

/// `digits` without the zeros at its end; at least one digit stays.
fn trim_zeros(digits: &[u8]) -> &[u8] {
    let kept = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    &digits[..=kept]
}

/// Writes `digits` with the decimal point where `exponent`, the power of ten of the first digit, puts it.
fn write_positional(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    match usize::try_from(exponent) {
        Err(_) => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
            out.extend_from_slice(digits);
        }
        Ok(power) if power + 1 >= digits.len() => {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', power + 1 - digits.len()));
        }
        Ok(power) => {
            out.extend_from_slice(&digits[..=power]);
            out.push(b'.');
            out.extend_from_slice(&digits[power + 1..]);
        }
    }
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
