//! The layout of one record.
//!
//! Owns: how a record is begun, ended and taken apart. Refuses to know: what its payload means.
//! Start at [`begin_plain`] and [`Record`].
//!
//! ```text
//! record = length u32 (of what follows) │ kind u8 │ [transaction: id u64, participants u16, a u16 for each] │ payload
//! ```

/// Bit of a record's kind: it is part of a transaction over several shards.
const KIND_TRANSACTION: u8 = 1;

/// Bytes of the shortest record.
pub const RECORD_BYTES_MIN: usize = LENGTH_BYTES + 1;
const LENGTH_BYTES: usize = 4;

/// Begins a record of a change that is this shard's alone. The payload is appended behind; [`seal`] ends it.
#[inline]
pub fn begin_plain(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_BYTES_MIN]);
    start
}

/// Begins a record of a transaction that counts only if every participant has a record of it.
pub fn begin_transaction(out: &mut Vec<u8>, txid: u64, participants: impl ExactSizeIterator<Item = u16>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, KIND_TRANSACTION]);
    out.extend_from_slice(&txid.to_le_bytes());
    let count = u16::try_from(participants.len()).expect("there are fewer shards");
    out.extend_from_slice(&count.to_le_bytes());
    for participant in participants {
        out.extend_from_slice(&participant.to_le_bytes());
    }
    start
}

/// Ends a record that was begun at `start`.
#[inline]
pub fn seal(out: &mut [u8], start: usize) {
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).expect("batches are shorter, and so are records");
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Writes a whole record of one shard's change.
pub fn write_plain(out: &mut Vec<u8>, payload: &[u8]) {
    let start = begin_plain(out);
    out.extend_from_slice(payload);
    seal(out, start);
}

/// Writes a whole record of a transaction.
pub fn write_txn(out: &mut Vec<u8>, txid: u64, participants: &[u16], payload: &[u8]) {
    let start = begin_transaction(out, txid, participants.iter().copied());
    out.extend_from_slice(payload);
    seal(out, start);
}

/// The payloads of whole records that stand one behind the other.
pub fn payloads(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || split_first(&mut records, 0, 0).ok().map(|record| record.payload))
}

/// One record that was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in its shard's log.
    pub lsn: u64,
    /// Which life of the directory wrote it; a transaction's number is unique within one.
    pub incarnation: u64,
    /// The transaction that it is a part of.
    pub txn: Option<Txn<'a>>,
    /// What it says.
    pub payload: &'a [u8],
}

/// The transaction that a record is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Txn<'a> {
    /// Its number, unique within an incarnation.
    pub id: u64,
    /// The shards that must each have a record of it.
    pub participants: Participants<'a>,
}

/// Numbers of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Participants<'a>(&'a [u8]);

impl<'a> Participants<'a> {
    /// The shards, in the order they were written.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u16> + 'a {
        let (pairs, _) = self.0.as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_le_bytes(*pair))
    }
}

/// A record's bytes mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes the first record off `bytes`.
pub(crate) fn split_first<'a>(bytes: &mut &'a [u8], lsn: u64, incarnation: u64) -> Result<Record<'a>, Malformed> {
    let length = u32::from_le_bytes(*take::<LENGTH_BYTES>(bytes)?) as usize;
    let (mut body, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    let [kind] = *take::<1>(&mut body)?;
    let txn = match kind {
        0 => None,
        KIND_TRANSACTION => {
            let id = u64::from_le_bytes(*take(&mut body)?);
            let count = usize::from(u16::from_le_bytes(*take(&mut body)?));
            let (participants, payload) = body.split_at_checked(2 * count).ok_or(Malformed)?;
            body = payload;
            Some(Txn { id, participants: Participants(participants) })
        }
        _ => return Err(Malformed),
    };
    *bytes = rest;
    Ok(Record { lsn, incarnation, txn, payload: body })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], Malformed> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back() {
        let mut bytes = Vec::new();
        write_plain(&mut bytes, b"one");
        write_txn(&mut bytes, 7, &[3, 258], b"");
        write_txn(&mut bytes, 8, &[], b"three");
        let mut rest = &bytes[..];
        let first = split_first(&mut rest, 10, 2).expect("a record");
        assert_eq!(first, Record { lsn: 10, incarnation: 2, txn: None, payload: b"one" });
        let second = split_first(&mut rest, 11, 2).expect("a record");
        let txn = second.txn.expect("it has one");
        assert_eq!((txn.id, second.payload), (7, &b""[..]));
        assert_eq!(txn.participants.iter().collect::<Vec<_>>(), [3, 258]);
        let third = split_first(&mut rest, 12, 2).expect("a record");
        let txn = third.txn.expect("it has one");
        assert_eq!((txn.id, txn.participants.iter().len(), third.payload), (8, 0, &b"three"[..]));
        assert!(rest.is_empty());
        assert!(payloads(&bytes).eq([&b"one"[..], b"", b"three"]));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let mut whole = Vec::new();
        write_txn(&mut whole, 7, &[3, 4], b"");
        for length in 0..whole.len() {
            let mut cut = &whole[..length];
            assert_eq!(split_first(&mut cut, 1, 1), Err(Malformed), "{length}");
        }
        for kind in [2, 3, 4, 0x80] {
            let mut bytes = whole.clone();
            bytes[LENGTH_BYTES] = kind;
            assert_eq!(split_first(&mut &bytes[..], 1, 1), Err(Malformed), "kind {kind}");
        }
        // A record of no bytes, and participants that reach out of their record.
        assert_eq!(split_first(&mut &[0, 0, 0, 0, 0][..], 1, 1), Err(Malformed));
        let mut bytes = whole.clone();
        bytes[LENGTH_BYTES + 9] = 3;
        bytes.extend([0; 2]);
        assert_eq!(split_first(&mut &bytes[..], 1, 1), Err(Malformed));
    }
}
