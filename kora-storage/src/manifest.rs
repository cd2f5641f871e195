//! What a data directory says about itself: how its keys were routed and for how many shards.
//!
//! Owns: the bytes of the manifest (drawn in docs/formats.md) and how it is replaced so that a crash leaves the old
//! one or the new one. Refuses to know: how keys are routed; the seeds and the fingerprint are numbers here.
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
const VERSION: u8 = 1;

// Offsets of version 1, in bytes.
const VERSION_AT: usize = 8;
const RESERVED_AT: usize = 9;
const SHARDS_AT: usize = 12;
const SEEDS_AT: usize = 16;
const FINGERPRINT_AT: usize = 48;
const CHECKSUM_AT: usize = 56;
/// Length of a manifest of version 1, in bytes.
pub const LENGTH: usize = 60;

/// How the keys of a data directory were routed when it was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// Number of shards; at least 1.
    pub shards: u32,
    /// Seeds of the hash that routes keys, drawn once per directory.
    pub routing_seeds: [u64; 4],
    /// That hash of a fixed text: it differs when the hash function itself has changed.
    pub fingerprint: u64,
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
    #[error("version {0} is unknown; this Kora reads version {VERSION}")]
    Version(u8),
    /// It ends early.
    #[error("the file ends here, {LENGTH} bytes were expected")]
    Short,
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
}

impl Manifest {
    /// The manifest of `directory`; `None` when there is none.
    pub fn read(directory: &Path) -> Result<Option<Self>, ManifestError> {
        let path = directory.join(FILE_NAME);
        let mut bytes = Vec::with_capacity(LENGTH + 1);
        let read = File::open(&path).and_then(|file| file.take(LENGTH as u64 + 1).read_to_end(&mut bytes));
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

    fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..VERSION_AT].copy_from_slice(&MAGIC);
        bytes[VERSION_AT] = VERSION;
        bytes[SHARDS_AT..SEEDS_AT].copy_from_slice(&self.shards.to_le_bytes());
        for (seed, place) in self.routing_seeds.iter().zip(bytes[SEEDS_AT..FINGERPRINT_AT].chunks_exact_mut(8)) {
            place.copy_from_slice(&seed.to_le_bytes());
        }
        bytes[FINGERPRINT_AT..CHECKSUM_AT].copy_from_slice(&self.fingerprint.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The manifest in `bytes`, or the offset and kind of the first thing that is wrong.
    fn decode(bytes: &[u8]) -> Result<Self, (usize, Damage)> {
        if !bytes.starts_with(&MAGIC) {
            return Err(match MAGIC.starts_with(bytes) {
                true => (bytes.len(), Damage::Short),
                false => (0, Damage::Magic),
            });
        }
        // The version decides about everything after it, so it comes before length and checksum.
        match bytes.get(VERSION_AT) {
            Some(&VERSION) => {}
            Some(&other) => return Err((VERSION_AT, Damage::Version(other))),
            None => return Err((bytes.len(), Damage::Short)),
        }
        let bytes: &[u8; LENGTH] = match bytes.len() {
            ..LENGTH => return Err((bytes.len(), Damage::Short)),
            LENGTH => bytes.try_into().expect("its length was matched"),
            _ => return Err((LENGTH, Damage::Long)),
        };
        let (stored, computed) = (number(bytes, CHECKSUM_AT), crc32c::crc32c(&bytes[..CHECKSUM_AT]));
        if stored != computed {
            return Err((CHECKSUM_AT, Damage::Checksum { stored, computed }));
        }
        if bytes[RESERVED_AT..SHARDS_AT] != [0; SHARDS_AT - RESERVED_AT] {
            return Err((RESERVED_AT, Damage::Reserved));
        }
        let shards = number(bytes, SHARDS_AT);
        if shards == 0 {
            return Err((SHARDS_AT, Damage::NoShards));
        }
        let routing_seeds = std::array::from_fn(|index| long_number(bytes, SEEDS_AT + 8 * index));
        Ok(Self { shards, routing_seeds, fingerprint: long_number(bytes, FINGERPRINT_AT) })
    }
}

fn number(bytes: &[u8; LENGTH], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long_number(bytes: &[u8; LENGTH], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests;
