//! The timeout of a blocking command.
//!
//! Owns: its bounds and their texts. Refuses to know: what is waited for.

use crate::error::CommandError;

/// When a timeout in seconds, 0 for never, is over: Unix milliseconds. A fraction of a millisecond counts as a whole one.
///
/// # Errors
/// When it is negative, or too far away to be told in milliseconds.
pub fn seconds(timeout: f64, now_ms: u64) -> Result<Option<u64>, CommandError> {
    let ms = (timeout * 1000.0).ceil();
    if ms > i64::MAX as f64 || ms.is_nan() {
        return Err(CommandError::Text("ERR timeout is out of range"));
    }
    milliseconds(ms as i64, now_ms)
}

/// As [`seconds`], for one in milliseconds.
///
/// # Errors
/// As [`seconds`].
pub fn milliseconds(timeout: i64, now_ms: u64) -> Result<Option<u64>, CommandError> {
    let Ok(ms) = u64::try_from(timeout) else { return Err(CommandError::Text("ERR timeout is negative")) };
    if ms == 0 {
        return Ok(None);
    }
    let deadline = now_ms.checked_add(ms).filter(|at| *at <= i64::MAX as u64);
    deadline.map(Some).ok_or(CommandError::Text("ERR timeout is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_bounds() {
        assert_eq!(seconds(0.0, 5), Ok(None));
        assert_eq!(seconds(1.5, 5), Ok(Some(1_505)));
        assert_eq!(seconds(0.0001, 5), Ok(Some(6)));
        assert!(seconds(-0.1, 5).is_err_and(|error| error.to_string() == "ERR timeout is negative"));
        for far in [f64::INFINITY, 1e16, 9_223_372_036_854_775.0] {
            assert!(
                seconds(far, 5_000).is_err_and(|error| error.to_string() == "ERR timeout is out of range"),
                "{far}"
            );
        }
    }
}
