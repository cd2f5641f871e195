//! INFO.

/// Merges.
pub fn info(_: crate::argv::Argv<'_>, _: &[&[u8]], reply: &mut crate::reply::ReplyBuf) {
    reply.ok();
}
