//! What DUMP gives and RESTORE takes: one value with a version and a checksum behind it.
//!
//! Owns: the frame. Refuses to know: the value. Start at [`open`].
//!
//! ```text
//! type u8 │ value │ version u16 LE │ checksum u64 LE of all before
//! ```

use super::checksum::Checksum;
use super::codes::VERSION_MAX;

/// Bytes behind the value.
const FOOTER_BYTES: usize = 10;

/// The type of the value and its bytes; `None` when the version is not known or the checksum is another. Unlike in a file, 0 is a checksum like
/// any other.
pub fn open(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (value, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER_BYTES)?)?;
    let (version, stored) = footer.split_first_chunk()?;
    if u16::from_le_bytes(*version) > VERSION_MAX {
        return None;
    }
    let stored = u64::from_le_bytes(*stored.first_chunk()?);
    let computed = Checksum::of(&payload[..payload.len() - stored.to_le_bytes().len()]);
    let (kind, body) = value.split_first()?;
    (stored == computed).then_some((*kind, body))
}

/// Puts the frame round a type and a value.
pub fn close(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + body.len() + FOOTER_BYTES);
    payload.push(kind);
    payload.extend_from_slice(body);
    payload.extend_from_slice(&VERSION_MAX.to_le_bytes());
    let checksum = Checksum::of(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}
