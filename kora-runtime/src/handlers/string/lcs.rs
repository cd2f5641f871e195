//! LCS: the longest common subsequence of two strings.
//!
//! Owns: the table of subsequence lengths, the walk back through it, the three replies. Refuses to know: where the strings live.
//! Start at [`lcs`]. Where several subsequences are longest, this takes the one that Redis takes.

use crate::error::CommandError;
use crate::keyspace::typed::{Str, StrRef};
use crate::reply::ReplyBuf;
use crate::shard::cx::ShardCx;
use crate::table::args;

/// The `LCS` command. Its work and its memory are bounded by `proto-max-bulk-len`, as in Redis.
pub(super) fn lcs(cx: &mut ShardCx<'_>, args: args::Lcs<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
    let first = text(cx, args.first)?;
    let second = text(cx, args.second)?;
    if args.len && args.idx {
        return Err(CommandError::Text("ERR If you want both the length and indexes, please just use IDX."));
    }
    let lengths = Lengths::compute(&first, &second, cx.config().proto_max_bulk_len)?;
    if args.idx {
        let length_min = usize::try_from(args.min_match_len.unwrap_or(0)).unwrap_or(0);
        let mut matches = Vec::new();
        walk_back(&first, &second, &lengths, |found| {
            if found.length >= length_min {
                matches.push(found);
            }
        });
        reply.map(2);
        reply.bulk(b"matches");
        reply.array(matches.len());
        for found in matches {
            reply.array(2 + usize::from(args.with_match_len));
            for start in [found.first_start, found.second_start] {
                reply.array(2);
                reply.integer(start as i64);
                reply.integer((start + found.length - 1) as i64);
            }
            if args.with_match_len {
                reply.integer(found.length as i64);
            }
        }
        reply.bulk(b"len");
        reply.integer(lengths.whole() as i64);
    } else if args.len {
        reply.integer(lengths.whole() as i64);
    } else {
        let mut common = vec![0; lengths.whole()];
        let mut unwritten = common.len();
        walk_back(&first, &second, &lengths, |found| {
            let start = unwritten - found.length;
            common[start..unwritten].copy_from_slice(&first[found.first_start..][..found.length]);
            unwritten = start;
        });
        reply.bulk(&common);
    }
    Ok(())
}

/// A key's string; a missing key is the empty one.
fn text(cx: &mut ShardCx<'_>, key: &[u8]) -> Result<Vec<u8>, CommandError> {
    match cx.read::<Str>(key) {
        Ok(value) => Ok(value.map_or_else(Vec::new, StrRef::to_vec)),
        Err(CommandError::WrongType) => Err(CommandError::Text("ERR The specified keys must contain string values")),
        Err(error) => Err(error),
    }
}

/// For every pair of prefixes, the length of their longest common subsequence.
struct Lengths {
    table: Vec<u32>,
    width: usize,
}

impl Lengths {
    fn compute(first: &[u8], second: &[u8], bytes_max: usize) -> Result<Self, CommandError> {
        let width = second.len() + 1;
        let cells = width.checked_mul(first.len() + 1).filter(|cells| *cells <= bytes_max / size_of::<u32>());
        let cells = cells.ok_or(CommandError::Text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ))?;
        let mut table = vec![0_u32; cells];
        for (row, byte) in first.iter().enumerate() {
            let (above, below) = table[row * width..].split_at_mut(width);
            let below = &mut below[..width];
            for (column, other) in second.iter().enumerate() {
                below[column + 1] =
                    if byte == other { above[column] + 1 } else { above[column + 1].max(below[column]) };
            }
        }
        Ok(Self { table, width })
    }

    /// Of the first `first_len` and `second_len` bytes.
    fn at(&self, first_len: usize, second_len: usize) -> u32 {
        self.table[first_len * self.width + second_len]
    }

    fn whole(&self) -> usize {
        self.table[self.table.len() - 1] as usize
    }
}

/// Equal bytes that follow each other in both strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Match {
    first_start: usize,
    second_start: usize,
    length: usize,
}

/// Visits the parts of the subsequence from the end to the beginning. No part can be longer: before it, the strings differ or begin.
fn walk_back(first: &[u8], second: &[u8], lengths: &Lengths, mut visit: impl FnMut(Match)) {
    let (mut first_len, mut second_len) = (first.len(), second.len());
    while first_len > 0 && second_len > 0 {
        let equal = first[..first_len].iter().rev().zip(second[..second_len].iter().rev());
        let length = equal.take_while(|(byte, other)| byte == other).count();
        if length > 0 {
            first_len -= length;
            second_len -= length;
            visit(Match { first_start: first_len, second_start: second_len, length });
        } else if lengths.at(first_len - 1, second_len) > lengths.at(first_len, second_len - 1) {
            first_len -= 1;
        } else {
            second_len -= 1;
        }
    }
}
