//! What a data directory says about itself: how its keys were routed, by which rules and for how many shards.
//!
//! Owns: the bytes of the manifest (drawn in docs/formats.md) and how it is replaced so that a crash leaves the old
//! one or the new one. Refuses to know: how keys are routed; seeds and fingerprint are
//! numbers here, the rules a text and bits.
//! Start at [`Manifest::read`].

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Name of the manifest in its directory.
pub const FILE_NAME: &str = "kora.manifest";
/// Name under which a new manifest is written before it takes the old one's place. One that is found is left from a
/// crash.
pub const TEMPORARY_FILE_NAME: &str = "kora.manifest.new";

const MAGIC: [u8; 8] = *b"KORAMANI";
const VERSION: u8 = 2;
/// The version before the rules; it is read, and not written any more.
const VERSION_WITHOUT_RULES: u8 = 1;

// Offsets in bytes. Both versions have these.
const VERSION_AT: usize = 8;
const RESERVED_AT: usize = 9;
const SHARDS_AT: usize = 12;
const SEEDS_AT: usize = 16;
const FINGERPRINT_AT: usize = 48;
// Only version 2 has these. Version 1 ends here with its checksum.
const PINNED_AT: usize = 56;
const LOCALITY_LENGTH_AT: usize = 60;
const LOCALITY_AT: usize = 62;
const CHECKSUM_LENGTH: usize = 4;
const LENGTH_WITHOUT_RULES: usize = PINNED_AT + CHECKSUM_LENGTH;

/// Bytes of the locality patterns of one directory.
pub const LOCALITY_BYTES_MAX: usize = 4096;
/// Bytes of a manifest.
pub const LENGTH_MAX: usize = LOCALITY_AT + LOCALITY_BYTES_MAX + CHECKSUM_LENGTH;

/// How the keys of a data directory were routed when it was last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Number of shards; at least 1.
    pub shards: u32,
    /// Seeds of the hash that routes keys, drawn once per directory.
    pub routing_seeds: [u64; 4],
    /// That hash of a fixed text: it differs when the hash function itself has changed.
    pub fingerprint: u64,
    /// Patterns of keys that live together, separated by one blank each, since the directory was made; at most
    /// [`LOCALITY_BYTES_MAX`] bytes.
    pub locality: String,
    /// Databases that live on one shard each, since the directory was made: bit 3 is database 3.
    pub pinned_databases: u32,
}

/// Why a manifest could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// `read`, `write`, …
        doing: &'static str,
        /// The manifest, its temporary file or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not a manifest that this version of Kora reads.
    #[error("{} at offset {offset}: {damage}", .path.display())]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// Where the bytes are wrong.
        offset: usize,
        /// How they are wrong.
        damage: Damage,
    },
}

/// How the bytes of a manifest are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It does not begin as a manifest does.
    #[error("not a manifest of Kora")]
    Magic,
    /// It was written by a later Kora, or is damaged.
    #[error("version {0} is unknown; this Kora reads versions {VERSION_WITHOUT_RULES} to {VERSION}")]
    Version(u8),
    /// It ends early.
    #[error("the file ends here, {expected} bytes were expected")]
    Short {
        /// How many bytes it should have, as far as those that are there say.
        expected: usize,
    },
    /// It goes on.
    #[error("bytes follow the end of the manifest")]
    Long,
    /// The bytes are not those that were written.
    #[error("the checksum is {stored:#010x}, but that of the bytes before it is {computed:#010x}")]
    Checksum {
        /// What the file says.
        stored: u32,
        /// What its bytes have.
        computed: u32,
    },
    /// Bytes without a meaning yet are not zero.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// A number of shards that cannot be.
    #[error("a manifest of 0 shards")]
    NoShards,
    /// More locality patterns than there can be.
    #[error("{0} bytes of locality patterns, at most {LOCALITY_BYTES_MAX} were expected")]
    LocalityLength(usize),
    /// Locality patterns that are no text.
    #[error("the locality patterns are not UTF-8 text")]
    NotText,
}

impl Manifest {
    /// The manifest of `directory`; `None` when there is none.
    pub fn read(directory: &Path) -> Result<Option<Self>, ManifestError> {
        let path = directory.join(FILE_NAME);
        let mut bytes = Vec::with_capacity(LENGTH_WITHOUT_RULES);
        let read = File::open(&path).and_then(|file| file.take(LENGTH_MAX as u64 + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ManifestError::Io { doing: "read", path, source }),
        }
        Self::decode(&bytes).map(Some).map_err(|(offset, damage)| ManifestError::Damaged { path, offset, damage })
    }

    /// Makes this the manifest of `directory`, durably: after a crash at any moment the old one or this one is there.
    pub fn write(&self, directory: &Path) -> Result<(), ManifestError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ManifestError::Io { doing, path, source }
        };
        let path = directory.join(FILE_NAME);
        let temporary = directory.join(TEMPORARY_FILE_NAME);
        let mut file = File::create(&temporary).map_err(failed("create", &temporary))?;
        file.write_all(&self.encode()).map_err(failed("write", &temporary))?;
        file.sync_all().map_err(failed("sync", &temporary))?;
        drop(file);
        fs::rename(&temporary, &path).map_err(failed("replace", &path))?;
        // The rename itself is durable only when its directory is.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync", directory))
    }

    fn encode(&self) -> Vec<u8> {
        assert!(self.locality.len() <= LOCALITY_BYTES_MAX, "whoever makes patterns keeps them short");
        let mut bytes = Vec::with_capacity(LOCALITY_AT + self.locality.len() + CHECKSUM_LENGTH);
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.resize(SHARDS_AT, 0);
        bytes.extend(self.shards.to_le_bytes());
        bytes.extend(self.routing_seeds.iter().flat_map(|seed| seed.to_le_bytes()));
        bytes.extend(self.fingerprint.to_le_bytes());
        bytes.extend(self.pinned_databases.to_le_bytes());
        bytes.extend((self.locality.len() as u16).to_le_bytes());
        bytes.extend(self.locality.as_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The manifest in `bytes`, or the offset and kind of the first thing that is wrong.
    fn decode(bytes: &[u8]) -> Result<Self, (usize, Damage)> {
        let short = |expected| (bytes.len(), Damage::Short { expected });
        if !bytes.starts_with(&MAGIC) {
            return Err(if MAGIC.starts_with(bytes) { short(LENGTH_WITHOUT_RULES) } else { (0, Damage::Magic) });
        }
        // The version decides about everything after it, so it comes before length and checksum.
        let locality_length = match bytes.get(VERSION_AT) {
            Some(&VERSION_WITHOUT_RULES) => None,
            Some(&VERSION) => {
                let field =
                    bytes.get(LOCALITY_LENGTH_AT..LOCALITY_AT).ok_or_else(|| short(LOCALITY_AT + CHECKSUM_LENGTH))?;
                Some(usize::from(u16::from_le_bytes(field.try_into().expect("two bytes"))))
            }
            Some(&other) => return Err((VERSION_AT, Damage::Version(other))),
            None => return Err(short(LENGTH_WITHOUT_RULES)),
        };
        if let Some(length) = locality_length.filter(|length| *length > LOCALITY_BYTES_MAX) {
            return Err((LOCALITY_LENGTH_AT, Damage::LocalityLength(length)));
        }
        let checksum_at = locality_length.map_or(PINNED_AT, |length| LOCALITY_AT + length);
        let expected = checksum_at + CHECKSUM_LENGTH;
        match bytes.len() {
            length if length < expected => return Err(short(expected)),
            length if length > expected => return Err((expected, Damage::Long)),
            _ => {}
        }
        let (stored, computed) = (number(bytes, checksum_at), crc32c::crc32c(&bytes[..checksum_at]));
        if stored != computed {
            return Err((checksum_at, Damage::Checksum { stored, computed }));
        }
        if bytes[RESERVED_AT..SHARDS_AT] != [0; SHARDS_AT - RESERVED_AT] {
            return Err((RESERVED_AT, Damage::Reserved));
        }
        let shards = number(bytes, SHARDS_AT);
        if shards == 0 {
            return Err((SHARDS_AT, Damage::NoShards));
        }
        let rules = match locality_length {
            None => (String::new(), 0),
            Some(_) => {
                let text = std::str::from_utf8(&bytes[LOCALITY_AT..checksum_at]);
                let text = text.map_err(|error| (LOCALITY_AT + error.valid_up_to(), Damage::NotText))?;
                (text.to_owned(), number(bytes, PINNED_AT))
            }
        };
        let (locality, pinned_databases) = rules;
        let routing_seeds = std::array::from_fn(|index| long_number(bytes, SEEDS_AT + 8 * index));
        let fingerprint = long_number(bytes, FINGERPRINT_AT);
        Ok(Self { shards, routing_seeds, fingerprint, locality, pinned_databases })
    }
}

/// Four bytes whose place was measured.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Eight bytes whose place was measured.
fn long_number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests;
