//! One reply out of the replies of several shards.
//!
//! Owns: the merges that rows name. Refuses to know: where the parts came from. Parts are encoded replies, in the protocol of the client.
//! Start at [`merge`]. The custom ones, each named in `commands.toml`, stand with their commands' handlers and are re-exported here.

use crate::argv::Argv;
use crate::error::CommandError;
use crate::limits;
use crate::reply::ReplyBuf;
use crate::resp::value::{array_elements, integer_of, is_error};
use crate::table::{self, Merge};

pub use crate::handlers::connection::{client_kill, client_list};
pub use crate::handlers::generic::randomkey;
pub use crate::handlers::info::info;
pub use crate::handlers::memory::memory_stats;

/// Puts a reply together. An error of any part is the reply: parts fail alike, because they check the same arguments.
pub fn merge(merge: Merge, argv: Argv<'_>, parts: &[&[u8]], owners: &[usize], reply: &mut ReplyBuf) {
    if let Some(error) = parts.iter().find(|part| is_error(part)) {
        reply.bytes_mut().extend_from_slice(error);
        return;
    }
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes > limits::REPLY_BYTES_MAX {
        // Each part kept to the limit; together they need not.
        reply.error(&CommandError::TooLarge("reply", limits::REPLY_BYTES_MAX));
        return;
    }
    let integers = || parts.iter().map(|part| integer_of(part).unwrap_or(0));
    match merge {
        Merge::Sum => reply.integer(integers().sum()),
        Merge::Min => reply.integer(integers().min().unwrap_or(0)),
        Merge::Max => reply.integer(integers().max().unwrap_or(0)),
        Merge::AllOk => reply.bytes_mut().extend_from_slice(parts[0]),
        Merge::InOrder => {
            let mut elements: Vec<_> = parts.iter().map(|part| elements_of(part)).collect();
            reply.array(owners.len());
            for &owner in owners {
                reply.bytes_mut().extend_from_slice(elements[owner].next().unwrap_or(b"$-1\r\n"));
            }
        }
        Merge::Concat => {
            let elements: Vec<&[u8]> = parts.iter().flat_map(|part| elements_of(part)).collect();
            if parts[0].first() == Some(&b'~') {
                reply.set(elements.len());
            } else {
                reply.array(elements.len());
            }
            for element in elements {
                reply.bytes_mut().extend_from_slice(element);
            }
        }
        Merge::Custom(which) => table::custom_merge(which, argv, parts, reply),
    }
}

/// The reply of the shard that has the client, which comes first in an audience; the others only took note.
pub fn home_reply(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    reply.bytes_mut().extend_from_slice(parts[0]);
}

/// The elements of a part that is an array or a set; a part of ours always is.
fn elements_of(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    array_elements(part).into_iter().flatten()
}

/// What every shard says alike: the first part.
pub fn first(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    reply.bytes_mut().extend_from_slice(parts[0]);
}

/// SCRIPT KILL and FUNCTION KILL: one shard that has ended its script is enough; else the worst of the reasons why none has. Parts are the numbers of
/// [`Killed`](super::busy::Killed).
pub fn script_kill(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let outcomes: Vec<i64> = parts.iter().filter_map(|part| integer_of(part)).collect();
    super::busy::Killed::of_all(&outcomes).write(reply);
}

/// FUNCTION STATS: the part of a shard on which something runs, if there is one.
pub fn function_stats(_: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf) {
    let runs = |part: &&&[u8]| {
        let head = [&b"*4\r\n$14\r\nrunning_script\r\n"[..], b"%2\r\n$14\r\nrunning_script\r\n"];
        let rest = head.iter().find_map(|head| part.strip_prefix(*head)).unwrap_or_default();
        rest.starts_with(b"*") && !rest.starts_with(b"*-1") || rest.starts_with(b"%")
    };
    let shown = parts.iter().find(runs).or(parts.first()).copied().unwrap_or_default();
    reply.bytes_mut().extend_from_slice(shown);
}
