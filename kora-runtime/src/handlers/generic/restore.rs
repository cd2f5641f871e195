//! RESTORE: a key from what DUMP gave.
//!
//! Owns: what its words mean and in which order they are judged. Refuses to know: the payload, which `rdb` reads.

use kora_storage::rdb::KeyHead;

use crate::error::CommandError;
use crate::keyspace::{Detached, Event};
use crate::rdb::{DecodeOptions, load_payload};
use crate::shard::cx::ShardCx;
use crate::table::{CommandId, args};

/// RESTORE. What is wrong is found in Redis's order, so that a client learns of a key in its way before its payload is looked at.
pub(super) fn restore(cx: &mut ShardCx<'_>, args: args::Restore<'_>) -> Result<(), CommandError> {
    let args::Restore { key, ttl, payload, replace, abs_ttl, idle_seconds, frequency } = args;
    if idle_seconds.is_some() && frequency.is_some() {
        return Err(CommandError::Syntax);
    }
    let idle_seconds = idle_seconds
        .map(u64::try_from)
        .transpose()
        .map_err(|_| CommandError::Text("ERR Invalid IDLETIME value, must be >= 0"))?;
    let frequency = frequency
        .map(u8::try_from)
        .transpose()
        .map_err(|_| CommandError::Text("ERR Invalid FREQ value, must be >= 0 and <= 255"))?;
    if !replace && cx.find(key).is_some() {
        return Err(CommandError::Text("BUSYKEY Target key name already exists."));
    }
    let ttl = u64::try_from(ttl).map_err(|_| CommandError::Text("ERR Invalid TTL value, must be >= 0"))?;
    let now_ms = cx.now_ms();
    let expiry_ms = (ttl > 0).then(|| if abs_ttl { ttl } else { now_ms.saturating_add(ttl) });
    let seeds = cx.seeds();
    let options = DecodeOptions { config: cx.config(), seeds: &seeds, now_ms: cx.core.access_ms };
    let access = options.access(&KeyHead { idle_seconds, frequency, ..KeyHead::default() });
    let value = load_payload(payload, options)?;
    if expiry_ms.is_some_and(|expiry_ms| expiry_ms <= now_ms) {
        // It would be gone already, and so is what it replaces.
        if cx.remove(key) {
            cx.log(CommandId::Del, &[key]);
        }
        if let Some(big) = value.big {
            cx.core.graveyard.bury(big);
        }
        return Ok(());
    }
    cx.attach(cx.db(), key, Detached { expiry_ms, access, ..value });
    cx.changed(Event::Restore, key);
    if cx.logs() {
        let mut digits = itoa::Buffer::new();
        let expiry = digits.format(expiry_ms.unwrap_or(0)).as_bytes();
        let mut words = vec![key, expiry, payload, b"REPLACE", b"ABSTTL"];
        let usage = idle_seconds.map(|seconds| (&b"IDLETIME"[..], seconds));
        let usage = usage.or(frequency.map(|count| (&b"FREQ"[..], u64::from(count))));
        let mut digits = itoa::Buffer::new();
        if let Some((option, number)) = usage {
            words.extend([option, digits.format(number).as_bytes()]);
        }
        cx.log(CommandId::Restore, &words);
    }
    Ok(())
}
