//! Sorted sets waited for: BZPOPMIN, BZPOPMAX, BZMPOP.
//!
//! Owns: what they do each time they are tried. Refuses to know: waiting itself, which [`ShardCx::wait`] asks for.

use super::pops::{self, Shape};
use crate::argv::Many;
use crate::error::CommandError;
use crate::handlers::timeout;
use crate::reply::ReplyBuf;
use crate::shard::cx::ShardCx;
use crate::types::Extreme;

/// Takes members from the first sorted set that has any, or waits for one.
pub(super) fn pop_or_wait(
    cx: &mut ShardCx<'_>,
    keys: Many<'_, &[u8]>,
    extreme: Extreme,
    (count, shape): (usize, Shape),
    seconds: f64,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let deadline_ms = timeout::seconds(seconds, cx.now_ms())?;
    for key in keys {
        if pops::take(cx, key, extreme, count, shape, reply)? {
            return Ok(());
        }
    }
    cx.wait(keys, "zset", deadline_ms);
    reply.null_array();
    Ok(())
}
