//! When keys expire: the arithmetic of EXPIRE and TTL and their kin.
//!
//! Owns: which deadlines are allowed, when a condition holds, how times are shown. Refuses to know: who removes what has expired.
//! Start at [`expire`]. Unlike SET, EXPIRE takes times in the past, negative ones included: the key goes.

use crate::error::CommandError;
use crate::keyspace::Event;
use crate::shard::cx::ShardCx;
use crate::table::CommandId;

/// What a time is counted in.
#[derive(Debug, Clone, Copy)]
pub(super) enum TimeUnit {
    Seconds,
    Milliseconds,
}

/// When a deadline replaces what the key has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    /// Only when the key has none.
    pub nx: bool,
    /// Only when the key has one.
    pub xx: bool,
    /// Only when it is later; never is later than all.
    pub gt: bool,
    /// Only when it is earlier.
    pub lt: bool,
}

impl Conditions {
    fn check(self) -> Result<(), CommandError> {
        if self.nx && (self.xx || self.gt || self.lt) {
            return Err(CommandError::Text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        Ok(())
    }

    fn hold(self, current_ms: Option<i64>, deadline_ms: i64) -> bool {
        !(self.nx && current_ms.is_some()
            || self.xx && current_ms.is_none()
            || self.gt && current_ms.is_none_or(|current_ms| deadline_ms <= current_ms)
            || self.lt && current_ms.is_some_and(|current_ms| deadline_ms >= current_ms))
    }
}

/// `amount` after `base_ms` as Unix milliseconds; may lie before 1970.
pub(super) fn deadline_ms(amount: i64, unit: TimeUnit, base_ms: u64, command: CommandId) -> Result<i64, CommandError> {
    let amount_ms = match unit {
        TimeUnit::Seconds => amount.checked_mul(1000),
        TimeUnit::Milliseconds => Some(amount),
    };
    let deadline_ms = amount_ms.and_then(|amount_ms| amount_ms.checked_add_unsigned(base_ms));
    deadline_ms.ok_or(CommandError::InvalidExpire(command.info().name))
}

/// EXPIRE: 1 when the key exists and the conditions hold.
pub(super) fn expire(
    cx: &mut ShardCx<'_>,
    key: &[u8],
    deadline_ms: i64,
    conditions: Conditions,
) -> Result<i64, CommandError> {
    conditions.check()?;
    let Some(current_ms) = cx.expiry_ms(key) else { return Ok(0) };
    if !conditions.hold(current_ms.map(|current_ms| current_ms as i64), deadline_ms) {
        return Ok(0);
    }
    match u64::try_from(deadline_ms) {
        Ok(deadline_ms) if deadline_ms > cx.now_ms() => {
            cx.set_expiry_ms(key, Some(deadline_ms));
            cx.changed(Event::Expire, key);
            log_deadline(cx, key, deadline_ms);
        }
        _ => {
            cx.remove(key);
            cx.log(CommandId::Del, &[key]);
        }
    }
    Ok(1)
}

/// Logs when a key expires.
pub(in crate::handlers) fn log_deadline(cx: &mut ShardCx<'_>, key: &[u8], deadline_ms: u64) {
    if cx.logs() {
        cx.log(CommandId::Pexpireat, &[key, itoa::Buffer::new().format(deadline_ms).as_bytes()]);
    }
}

/// What TTL and its kin say of a key: `of` its expiry, -1 without one, -2 without the key.
pub(super) fn shown(cx: &mut ShardCx<'_>, key: &[u8], of: impl Fn(u64) -> u64) -> i64 {
    match cx.glance(key).map(|entry| entry.expiry_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(expiry_ms)) => of(expiry_ms) as i64,
    }
}

/// Milliseconds as seconds, rounded half up as in Redis.
pub(super) fn rounded_seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1000
}
