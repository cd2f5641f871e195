//! What XADD and XTRIM are told about trimming.
//!
//! Owns: which of these words go together, and how far an approximate trim goes. Refuses to know: how blocks are dropped (`types/stream`).
//! Start at [`Trim::new`].

use crate::error::CommandError;
use crate::types::{Excess, Stream};

/// Blocks that an approximate trim without LIMIT may drop.
const BLOCKS_MAX: u64 = 100;
/// Entries that an approximate trim without LIMIT may drop when a block takes any number of them.
const ENTRIES_OF_ANY_BLOCKS: u64 = 10_000;
/// Entries that an approximate trim without LIMIT may drop however many a block takes.
const ENTRIES_MAX: u64 = 1_000_000;

/// A trim that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trim {
    excess: Excess,
    /// Whole blocks only.
    approximate: bool,
    limit: Option<u64>,
}

impl Trim {
    /// What the words say; `strategy` is the excess and whether `~` stood before it. `None` without a strategy.
    ///
    /// # Errors
    /// For a LIMIT that there is nothing to limit.
    pub(super) fn new(
        strategy: Option<(Excess, bool)>,
        limit: Option<i64>,
        block_entries: usize,
    ) -> Result<Option<Self>, CommandError> {
        let approximate = strategy.is_some_and(|(_, approximate)| approximate);
        // A limit of 0 is none, but even so it was given.
        let given = limit.map(|limit| u64::try_from(limit).unwrap_or(0));
        if strategy.is_none() && given.is_some_and(|limit| limit > 0) {
            return Err(CommandError::Text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if given.is_some() && !approximate {
            return Err(CommandError::Text("ERR syntax error, LIMIT cannot be used without the special ~ option"));
        }
        let limit = match given {
            Some(0) => None,
            Some(limit) => Some(limit),
            None if !approximate => None,
            None => Some(match (block_entries as u64).saturating_mul(BLOCKS_MAX) {
                0 => ENTRIES_OF_ANY_BLOCKS,
                entries => entries.min(ENTRIES_MAX),
            }),
        };
        Ok(strategy.map(|(excess, approximate)| Self { excess, approximate, limit }))
    }

    /// Trims, and says how many entries went.
    pub(super) fn apply(self, stream: &mut Stream) -> u64 {
        stream.trim(self.excess, self.approximate, self.limit)
    }
}
