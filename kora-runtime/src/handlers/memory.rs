//! MEMORY.

/// Merges.
pub fn memory_stats(_: crate::argv::Argv<'_>, _: &[&[u8]], reply: &mut crate::reply::ReplyBuf) {
    reply.ok();
}
