//! From a file into a database, and from what DUMP gave to a value.
//!
//! Owns: what becomes of a key of a file. Refuses to know: which shard a key belongs to, what else a file says.
//! Start at [`load_key`].

use kora_storage::rdb::codes::types;
use kora_storage::rdb::{Damage, KeyHead, RdbError, RdbFile, Reader, payload};

use super::decode::{DecodeOptions, Decoded, Skipped, TextPayload, decode_value, text_payload};
use crate::error::CommandError;
use crate::keyspace::{Database, Detached, Entry, Kind};
use crate::types::{Big, hash_of};

/// What became of a key of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// It is in the database.
    Key,
    /// It had expired.
    Expired,
    /// Its value could not be kept.
    Skipped(Skipped),
}

/// Puts the key that `file` is at into a database, where it must not be yet. `head` is what the file said of it; it is left out
/// when it is dead at `dead_at_ms`, which is 0 to keep every key.
///
/// # Errors
/// When the bytes are damaged, or the key is there.
pub fn load_key(
    file: &mut RdbFile<'_>,
    head: &KeyHead,
    database: &mut Database,
    options: &DecodeOptions<'_>,
    dead_at_ms: u64,
) -> Result<Loaded, RdbError> {
    if head.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= dead_at_ms) {
        file.skip_value(head.kind)?;
        return Ok(Loaded::Expired);
    }
    let (key, reader) = file.parts();
    let (hash, access) = (hash_of(options.seeds, key), options.access(head));
    if database.find(hash, key).is_some() {
        return Err(reader.error(Damage::DuplicateKey));
    }
    if head.kind != types::STRING {
        return Ok(match decode_value(head.kind, reader, *options)? {
            Decoded::Skipped(why) => Loaded::Skipped(why),
            Decoded::Value(value) => {
                let value = Detached { expiry_ms: head.expiry_ms, access, ..value };
                database.attach(hash, key, value, options.seeds);
                Loaded::Key
            }
        });
    }
    // By far the most keys of most files: from the reader's buffer straight to where it stays.
    let entry = |kind, payload: &[u8]| Entry::new(key, kind, payload, head.expiry_ms, access);
    match text_payload(reader)? {
        TextPayload::Int(integer) => {
            database.insert(hash, entry(Kind::Int, &integer.to_le_bytes()), options.seeds);
        }
        TextPayload::Inline(bytes) => {
            database.insert(hash, entry(Kind::Str, bytes), options.seeds);
        }
        TextPayload::Big(bytes) => {
            let slot = database.insert(hash, entry(Kind::Str, &[]), options.seeds);
            database.replace_big(slot, Kind::StrBig, Big::Str(bytes));
        }
    }
    Ok(Loaded::Key)
}

/// Why RESTORE does not take a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Its frame is wrong.
    #[error("ERR DUMP payload version or checksum are wrong")]
    Frame,
    /// The value is damaged.
    #[error("ERR Bad data format")]
    Format(#[source] RdbError),
    /// There is nothing in it.
    #[error("ERR Bad data format")]
    Nothing,
    /// A value that cannot be kept without loss.
    #[error("ERR The value cannot be restored: {0}")]
    Unsupported(Skipped),
}

impl From<PayloadError> for CommandError {
    fn from(error: PayloadError) -> Self {
        Self::message(error.to_string())
    }
}

/// The value in what DUMP gave.
///
/// # Errors
/// When it is not of a version that is known, damaged, or not to be kept.
pub fn load_payload(bytes: &[u8], options: DecodeOptions<'_>) -> Result<Detached, PayloadError> {
    let (kind, body) = payload::open(bytes).ok_or(PayloadError::Frame)?;
    let mut reader = Reader::of_bytes("the payload", body);
    let decoded = decode_value(kind, &mut reader, options).map_err(PayloadError::Format)?;
    if reader.offset() != body.len() as u64 {
        return Err(PayloadError::Format(reader.error(Damage::Long)));
    }
    match decoded {
        Decoded::Value(value) => Ok(value),
        Decoded::Skipped(Skipped::Empty) => Err(PayloadError::Nothing),
        Decoded::Skipped(why) => Err(PayloadError::Unsupported(why)),
    }
}
