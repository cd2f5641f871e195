//! DEBUG: what tests and tools look at.
//!
//! Owns: the line of DEBUG OBJECT. Refuses to know: how values are stored beyond their entry.

use std::time::Duration;

use crate::argv::Many;
use crate::error::CommandError;
use crate::keyspace::typed::Str;
use crate::reply::ReplyBuf;
use crate::shard::cx::ShardCx;

/// DEBUG OBJECT: a line in Redis's shape. There is no address and no serialized form to tell of: the address is 0, and the length is that of the
/// value as it is stored.
pub fn object(cx: &mut ShardCx<'_>, key: &[u8], reply: &mut ReplyBuf) -> Result<(), CommandError> {
    let now_seconds = cx.now_ms() / 1000;
    let is_lfu = cx.config().maxmemory_policy.is_lfu();
    let slot = cx.find(key).ok_or(CommandError::Text("ERR no such key"))?;
    let (entry, bigs) = cx.core.keyspace.database(usize::from(cx.call.db)).value(slot);
    let stored_bytes =
        if entry.kind().is_big() { bigs.get(entry.handle()).heap_bytes() } else { entry.payload().len() };
    let idle_seconds = if is_lfu { 0 } else { now_seconds.saturating_sub(u64::from(entry.access())) };
    reply.simple(&format!(
        "Value at:0x0 refcount:1 encoding:{} serializedlength:{stored_bytes} lru:{} lru_seconds_idle:{idle_seconds}",
        entry.encoding(),
        entry.access(),
    ));
    Ok(())
}

/// DEBUG PANIC: changes the first key half and fails as a mistake in a handler would.
pub fn fail_half_way<'a>(cx: &mut ShardCx<'_>, keys: Many<'a, &'a [u8]>) -> Result<(), CommandError> {
    let Some(key) = keys.iter().next() else { return Err(CommandError::Syntax) };
    cx.write_or_create::<Str>(key)?.edit(0, |bytes| bytes.extend_from_slice(b"half"));
    panic!("asked for by DEBUG PANIC");
}

/// DEBUG SLEEP. A negative time is none.
pub fn wait(cx: &ShardCx<'_>, seconds: f64) -> Result<(), CommandError> {
    let duration = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| CommandError::OutOfRange)?;
    cx.core.host.sleep(duration);
    Ok(())
}
