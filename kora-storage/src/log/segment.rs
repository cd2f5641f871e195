//! The fixed parts of a segment: its header, and the header of a batch.
//!
//! Owns: their bytes and what can be wrong with them. Refuses to know: files and records.
//! Start at [`Header`].
//!
//! Checksums of batches go on from that of what the segment's header says of its place. Bytes that stand in another segment, or that a client
//! sent as a value, therefore never look like a batch of this one.

use super::record::{self, RECORD_BYTES_MIN};
use super::{LOG_BATCH_BYTES_MAX, record::Record};

const MAGIC: [u8; 8] = *b"KORALOGS";
const VERSION: u8 = 1;

/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 56;
/// Bytes of a batch's header.
pub(crate) const BATCH_HEADER_BYTES: usize = 40;
/// Batches begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

// Offsets in a segment's header.
const VERSION_AT: usize = 8;
const RESERVED_AT: usize = 9;
const SHARD_AT: usize = 10;
const SHARDS_AT: usize = 12;
const DIRECTORY_AT: usize = 16;
const INCARNATION_AT: usize = 24;
const FIRST_LSN_AT: usize = 32;
const DURABLE_LSN_AT: usize = 40;
const RESERVED_TOO_AT: usize = 48;
const CHECKSUM_AT: usize = 52;

// Offsets in a batch's header.
const COUNT_AT: usize = 4;
const BATCH_FIRST_LSN_AT: usize = 8;
const BATCH_DURABLE_LSN_AT: usize = 16;
const BATCH_SETTLED_LSN_AT: usize = 24;
const RECORDS_CHECKSUM_AT: usize = 32;
const BATCH_CHECKSUM_AT: usize = 36;

/// How the bytes of a log are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The header is cut off, or was never written.
    #[error("the header of the segment is missing")]
    NoHeader,
    /// It does not begin as a segment does.
    #[error("not a log segment of Kora")]
    Magic,
    /// It was written by a later Kora, or is damaged.
    #[error("version {0} is unknown; this Kora reads version {VERSION}")]
    Version(u8),
    /// The header's bytes are not those that were written.
    #[error("the checksum of the header is {stored:#010x}, but that of its bytes is {computed:#010x}")]
    Checksum {
        /// What the file says.
        stored: u32,
        /// What its bytes have.
        computed: u32,
    },
    /// Bytes without a meaning yet are not zero.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// The header is that of another shard's log or of another segment.
    #[error("the header is that of {0}")]
    OtherName(String),
    /// The segment was written in another data directory.
    #[error("the segment belongs to another data directory")]
    OtherDirectory,
    /// The segment was written for another number of shards.
    #[error("the segment is of a directory of {found} shards, the manifest has {expected}")]
    OtherShards {
        /// In the segment.
        found: u32,
        /// In the manifest.
        expected: u32,
    },
    /// The segment is younger than the manifest.
    #[error("the segment is of incarnation {found}, the manifest knows {newest} at most")]
    LaterIncarnation {
        /// In the segment.
        found: u64,
        /// In the manifest.
        newest: u64,
    },
    /// A batch is damaged though it was on disk: what came later says so.
    #[error("record {lsn} is damaged, though it was on disk once")]
    Batch {
        /// The first record that is lost.
        lsn: u64,
    },
    /// A whole batch is not the one that belongs here.
    #[error("a batch that begins with record {found} where record {expected} belongs")]
    Lsn {
        /// In the batch.
        found: u64,
        /// By what stands before it.
        expected: u64,
    },
    /// A whole batch has records that mean nothing.
    #[error("a batch without damage holds records that this Kora does not know")]
    Records,
}

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) shard: u16,
    pub(crate) shards: u32,
    /// Which data directory it belongs to.
    pub(crate) directory: u64,
    pub(crate) incarnation: u64,
    pub(crate) first_lsn: u64,
    /// The last record that was known to be on disk when the segment was begun.
    pub(crate) durable_lsn: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..VERSION_AT].copy_from_slice(&MAGIC);
        bytes[VERSION_AT] = VERSION;
        bytes[SHARD_AT..SHARDS_AT].copy_from_slice(&self.shard.to_le_bytes());
        bytes[SHARDS_AT..DIRECTORY_AT].copy_from_slice(&self.shards.to_le_bytes());
        bytes[DIRECTORY_AT..INCARNATION_AT].copy_from_slice(&self.directory.to_le_bytes());
        bytes[INCARNATION_AT..FIRST_LSN_AT].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[FIRST_LSN_AT..DURABLE_LSN_AT].copy_from_slice(&self.first_lsn.to_le_bytes());
        bytes[DURABLE_LSN_AT..RESERVED_TOO_AT].copy_from_slice(&self.durable_lsn.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`, or the offset and kind of the first thing that is wrong.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, (u64, Damage)> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Err((0, Damage::NoHeader)) };
        if *bytes == [0; HEADER_BYTES] {
            return Err((0, Damage::NoHeader));
        }
        if !bytes.starts_with(&MAGIC) {
            return Err((0, Damage::Magic));
        }
        // The version decides about everything after it.
        if bytes[VERSION_AT] != VERSION {
            return Err((VERSION_AT as u64, Damage::Version(bytes[VERSION_AT])));
        }
        let (stored, computed) = (number(bytes, CHECKSUM_AT), crc32c::crc32c(&bytes[..CHECKSUM_AT]));
        if stored != computed {
            return Err((CHECKSUM_AT as u64, Damage::Checksum { stored, computed }));
        }
        if bytes[RESERVED_AT] != 0 {
            return Err((RESERVED_AT as u64, Damage::Reserved));
        }
        if number(bytes, RESERVED_TOO_AT) != 0 {
            return Err((RESERVED_TOO_AT as u64, Damage::Reserved));
        }
        Ok(Self {
            shard: u16::from_le_bytes([bytes[SHARD_AT], bytes[SHARD_AT + 1]]),
            shards: number(bytes, SHARDS_AT),
            directory: long_number(bytes, DIRECTORY_AT),
            incarnation: long_number(bytes, INCARNATION_AT),
            first_lsn: long_number(bytes, FIRST_LSN_AT),
            durable_lsn: long_number(bytes, DURABLE_LSN_AT),
        })
    }

    /// What the checksums of its batches go on from: all that is known even if the header itself was never written.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c(&self.encode()[..DURABLE_LSN_AT])
    }
}

/// What a batch says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Bytes of its records.
    pub(crate) length: u32,
    pub(crate) count: u32,
    pub(crate) first_lsn: u64,
    /// The last record that was known to be on disk when the batch was written.
    pub(crate) durable_lsn: u64,
    /// All transactions with records up to this one were settled when the batch was written: its records, and those
    /// behind it, may depend on them.
    pub(crate) settled_lsn: u64,
    records_checksum: u32,
}

impl BatchHeader {
    /// The header of a batch of these records, as if nothing before it was on disk or settled.
    pub(crate) fn of(seed: u32, records: &[u8], count: u32, first_lsn: u64) -> Self {
        let length = u32::try_from(records.len()).expect("it was measured");
        let records_checksum = crc32c::crc32c_append(seed, records);
        Self { length, count, first_lsn, durable_lsn: 0, settled_lsn: 0, records_checksum }
    }

    pub(crate) fn encode(&self, seed: u32) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[..COUNT_AT].copy_from_slice(&self.length.to_le_bytes());
        bytes[COUNT_AT..BATCH_FIRST_LSN_AT].copy_from_slice(&self.count.to_le_bytes());
        bytes[BATCH_FIRST_LSN_AT..BATCH_DURABLE_LSN_AT].copy_from_slice(&self.first_lsn.to_le_bytes());
        bytes[BATCH_DURABLE_LSN_AT..BATCH_SETTLED_LSN_AT].copy_from_slice(&self.durable_lsn.to_le_bytes());
        bytes[BATCH_SETTLED_LSN_AT..RECORDS_CHECKSUM_AT].copy_from_slice(&self.settled_lsn.to_le_bytes());
        bytes[RECORDS_CHECKSUM_AT..BATCH_CHECKSUM_AT].copy_from_slice(&self.records_checksum.to_le_bytes());
        let checksum = crc32c::crc32c_append(seed, &bytes[..BATCH_CHECKSUM_AT]);
        bytes[BATCH_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`, if there is one.
    pub(crate) fn decode(seed: u32, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<BATCH_HEADER_BYTES>()?;
        let first_lsn = long_number(bytes, BATCH_FIRST_LSN_AT);
        // Most of what is looked at and is no header is zeroes.
        if first_lsn == 0
            || number(bytes, BATCH_CHECKSUM_AT) != crc32c::crc32c_append(seed, &bytes[..BATCH_CHECKSUM_AT])
        {
            return None;
        }
        Some(Self {
            length: number(bytes, 0),
            count: number(bytes, COUNT_AT),
            first_lsn,
            durable_lsn: long_number(bytes, BATCH_DURABLE_LSN_AT),
            settled_lsn: long_number(bytes, BATCH_SETTLED_LSN_AT),
            records_checksum: number(bytes, RECORDS_CHECKSUM_AT),
        })
    }

    /// True when these are the records that it was made of.
    pub(crate) fn fits(&self, seed: u32, records: &[u8]) -> bool {
        self.records_checksum == crc32c::crc32c_append(seed, records)
    }

    /// True when it speaks of something that can have been written.
    pub(crate) fn is_sound(&self) -> bool {
        let (length, count) = (self.length as usize, self.count as usize);
        length <= LOG_BATCH_BYTES_MAX
            && count <= length / RECORD_BYTES_MIN
            && self.durable_lsn < self.first_lsn
            && self.settled_lsn < self.first_lsn
            && self.first_lsn.checked_add(u64::from(self.count)).is_some()
    }

    /// The number of the record behind its last.
    pub(crate) fn end_lsn(&self) -> u64 {
        self.first_lsn + u64::from(self.count)
    }

    /// Bytes from its beginning to that of the next batch.
    pub(crate) fn whole_bytes(&self) -> u64 {
        padded(BATCH_HEADER_BYTES + self.length as usize) as u64
    }
}

/// Checks that `bytes` are `count` records, and shows each.
pub(crate) fn for_each_record<'a>(
    mut bytes: &'a [u8],
    batch: &BatchHeader,
    incarnation: u64,
    mut each: impl FnMut(Record<'a>),
) -> Result<(), Damage> {
    for lsn in batch.first_lsn..batch.end_lsn() {
        each(record::split_first(&mut bytes, lsn, incarnation).map_err(|_| Damage::Records)?);
    }
    if bytes.is_empty() { Ok(()) } else { Err(Damage::Records) }
}

/// The next multiple of [`ALIGNMENT`].
pub(crate) fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

/// Four bytes whose place was measured.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Eight bytes whose place was measured.
fn long_number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
