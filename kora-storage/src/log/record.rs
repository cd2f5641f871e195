//! The layout of one record.
/// Begins a record of a change that is this shard's alone.
pub fn begin_plain(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, 0]);
    start
}
/// Begins a record of a transaction.
pub fn begin_transaction(
    out: &mut Vec<u8>,
    txid: u64,
    held: bool,
    participants: impl ExactSizeIterator<Item = u16>,
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, 1 | u8::from(held) << 1]);
    out.extend_from_slice(&txid.to_le_bytes());
    out.extend_from_slice(&(participants.len() as u16).to_le_bytes());
    for participant in participants {
        out.extend_from_slice(&participant.to_le_bytes());
    }
    start
}
/// Ends a record that was begun at `start`.
pub fn seal(out: &mut [u8], start: usize) {
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}
