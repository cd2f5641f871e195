//! Which shard a command belongs to that is not sent to the owner of a key.
//!
//! Owns: SCAN's cursors, custom routes. Refuses to know: where keys live ([`Routing`](super::routing::Routing)), how anything gets there.
//! Start at [`scan`].

use super::message::ShardId;
use crate::argv::{ArgReader, Argv, Cursor, Parse};
pub use crate::limits::SHARDS_MAX;
use crate::resp::number::parse_i64;

/// Bits of a SCAN cursor that name the shard.
const SHARD_BITS: u32 = 10;
const POSITION_UNUSED_BITS: u32 = 16;

const _: () = assert!(SHARDS_MAX <= 1 << SHARD_BITS);

/// A SCAN cursor taken apart: the shard, and the position in its table.
pub fn scan_cursor(cursor: u64) -> (ShardId, u64) {
    let shard = cursor & ((1 << SHARD_BITS) - 1);
    (shard as ShardId, cursor >> SHARD_BITS << POSITION_UNUSED_BITS)
}

/// The cursor that goes on at `position` of `shard`, or on the next shard when the position is 0; 0 after the last.
pub fn next_scan_cursor(shard: ShardId, position: u64, shards: usize) -> u64 {
    match (position, shard + 1) {
        (0, next) if next >= shards => 0,
        (0, next) => next as u64,
        (position, _) => (position >> POSITION_UNUSED_BITS << SHARD_BITS) | shard as u64,
    }
}

/// CLIENT UNBLOCK: the shard that the client is connected to, which its id tells. An id that does not parse is refused wherever it goes.
pub fn client_home(argv: Argv<'_>, shards: usize) -> ShardId {
    let id = argv.get(0).and_then(parse_i64).and_then(|id| u64::try_from(id).ok());
    id.map_or(0, |id| (id % shards as u64) as ShardId)
}

/// SCAN: the shard its cursor names. A cursor that does not parse is refused wherever it goes.
pub fn scan(argv: Argv<'_>, shards: usize) -> ShardId {
    let mut reader = ArgReader::new(argv);
    Cursor::parse(&mut reader).map_or(0, |Cursor(cursor)| scan_cursor(cursor).0).min(shards - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_walks_through_all_shards() {
        assert_eq!(next_scan_cursor(0, 0, 1), 0);
        assert_eq!(next_scan_cursor(0, 0, 4), 1);
        assert_eq!(next_scan_cursor(3, 0, 4), 0);
        let position = 0x8000_0000_0000_0000;
        assert_eq!(scan_cursor(next_scan_cursor(3, position, 4)), (3, position));
    }
}
