//! Numbers as Redis reads and writes them.
//!
//! Owns: canonical integers (`string2ll`), doubles, their texts. Refuses to know: where they come from.

/// A canonical decimal integer: no sign but `-`, no leading zero, no blanks, within `i64`.
pub fn parse_i64(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number: i64 = text.parse().ok()?;
    (itoa::Buffer::new().format(number) == text).then_some(number)
}

/// A double; infinities are read, NaN is refused.
pub fn parse_f64(bytes: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (!number.is_nan()).then_some(number)
}

/// Appends a double.
pub fn write_f64(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(number.to_string().as_bytes());
}
