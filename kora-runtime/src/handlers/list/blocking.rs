//! Lists waited for: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP.
//!
//! Owns: what they do each time they are tried. Refuses to know: waiting itself, which [`ShardCx::wait`] asks for.
//! Each parses its timeout first, as Redis does, and is its sibling without B when an element is there.

use super::End;
use crate::argv::Many;
use crate::error::CommandError;
use crate::handlers::timeout;
use crate::keyspace::typed::List;
use crate::reply::{Bulk, ReplyBuf};
use crate::shard::cx::ShardCx;

const AWAITED: &str = "list";

impl ShardCx<'_> {
    /// BLPOP and BRPOP.
    pub(super) fn pop_or_wait(
        &mut self,
        keys: Many<'_, &[u8]>,
        seconds: f64,
        end: End,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let deadline_ms = timeout::seconds(seconds, self.now_ms())?;
        for key in keys {
            if self.write::<List>(key)?.is_some() {
                reply.array(2);
                reply.bulk(key);
                return self.pop_element(key, end, reply);
            }
        }
        self.wait(keys, AWAITED, deadline_ms);
        reply.null_array();
        Ok(())
    }

    /// BLMOVE and BRPOPLPUSH.
    pub(super) fn move_or_wait(
        &mut self,
        source: &[u8],
        destination: &[u8],
        ends: (End, End),
        seconds: f64,
    ) -> Result<Option<Bulk<'static>>, CommandError> {
        let deadline_ms = timeout::seconds(seconds, self.now_ms())?;
        let moved = self.move_list_element(source, destination, ends.0, ends.1)?;
        if moved.is_none() {
            self.wait([source], AWAITED, deadline_ms);
        }
        Ok(moved)
    }

    /// BLMPOP.
    pub(super) fn pop_many_or_wait(
        &mut self,
        keys: Many<'_, &[u8]>,
        count: u64,
        end: End,
        seconds: f64,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let deadline_ms = timeout::seconds(seconds, self.now_ms())?;
        if !self.pop_first_array(keys, count, end, reply)? {
            self.wait(keys, AWAITED, deadline_ms);
            reply.null_array();
        }
        Ok(())
    }
}
