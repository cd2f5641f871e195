//! What a data directory says about itself: how its keys were routed, by which rules and for how many shards, and where
//! its snapshot and its logs begin.
//!
//! Owns: the bytes of the manifest (drawn in docs/formats.md), how it is replaced so that a crash leaves the old one or
//! the new one, and which files of a directory it makes superfluous. Refuses to know: how keys are routed; seeds and
//! fingerprint are numbers here, the rules a text and bits.
//! Start at [`Manifest::read`].

use std::io;
use std::path::PathBuf;

use crate::dir::{Dir, read_at_most, uninterrupted, write_all_at};
use crate::log::segment::Header;
use crate::log::{TEMPORARY_SUFFIX, parse_segment_name, scan, segments_of};

/// Name of the manifest in its directory.
pub const FILE_NAME: &str = "kora.manifest";
/// Name under which a new manifest is written before it takes the old one's place. One that is found is left from a
/// crash.
pub const TEMPORARY_FILE_NAME: &str = "kora.manifest.new";

const MAGIC: [u8; 8] = *b"KORAMANI";
const VERSION: u8 = 3;
// Earlier versions are read, and not written any more.
const VERSION_WITHOUT_LOGS: u8 = 2;
const VERSION_WITHOUT_RULES: u8 = 1;

// Offsets in bytes. All versions have these.
const VERSION_AT: usize = 8;
const FLAGS_AT: usize = 9;
const RESERVED_AT: usize = 10;
const SHARDS_AT: usize = 12;
const SEEDS_AT: usize = 16;
const FINGERPRINT_AT: usize = 48;
// Version 1 ends here with its checksum.
const PINNED_AT: usize = 56;
const LOCALITY_LENGTH_AT: usize = 60;
// Version 2 has the patterns and the checksum here.
const LOCALITY_AT_IN_VERSION_2: usize = 62;
const RESERVED_TOO_AT: usize = 62;
const INCARNATION_AT: usize = 64;
const GENERATION_AT: usize = 72;
const FIRST_LSNS_AT: usize = 80;
const CHECKSUM_LENGTH: usize = 4;
const LSN_LENGTH: usize = 8;

/// Bit of the flags: the logs belong to the data.
const FLAG_LOG: u8 = 1;

/// Shards of one directory. Names of files have room for four digits, and the server allows fewer.
pub const SHARDS_MAX: u32 = 1024;
/// Bytes of the locality patterns of one directory.
pub const LOCALITY_BYTES_MAX: usize = 4096;
/// Bytes of a manifest.
pub const LENGTH_MAX: usize = FIRST_LSNS_AT + SHARDS_MAX as usize * LSN_LENGTH + LOCALITY_BYTES_MAX + CHECKSUM_LENGTH;

/// How the keys of a data directory were routed when it was last used, and what of its files counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Number of shards; at least 1, at most [`SHARDS_MAX`].
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
    /// How often the directory was opened for writing. It is raised on disk before any log is written.
    pub incarnation: u64,
    /// Which snapshot counts; 0 for none.
    pub generation: u64,
    /// The logs belong to the data: one that is missing is damage. Without this they are not read at all.
    pub has_log: bool,
    /// For each shard the first record that is not in the snapshot; records are counted from 1.
    pub first_lsns: Vec<u64>,
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
    /// More shards than there can be.
    #[error("a manifest of {0} shards, at most {SHARDS_MAX} were expected")]
    Shards(u32),
    /// Records are counted from 1.
    #[error("a log that begins with record 0")]
    NoLsn,
    /// More locality patterns than there can be.
    #[error("{0} bytes of locality patterns, at most {LOCALITY_BYTES_MAX} were expected")]
    LocalityLength(usize),
    /// Locality patterns that are no text.
    #[error("the locality patterns are not UTF-8 text")]
    NotText,
}

impl Manifest {
    /// The manifest of the directory; `None` when there is none.
    pub fn read(dir: &dyn Dir) -> Result<Option<Self>, ManifestError> {
        let path = dir.path().join(FILE_NAME);
        let read = uninterrupted(|| dir.open(FILE_NAME)).and_then(|file| {
            // One byte more than it may have shows that it is too long.
            let len = uninterrupted(|| file.len())?.min(LENGTH_MAX as u64 + 1);
            let mut bytes = vec![0; len as usize];
            let read = read_at_most(&*file, &mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ManifestError::Io { doing: "read", path, source }),
        };
        Self::decode(&bytes).map(Some).map_err(|(offset, damage)| ManifestError::Damaged { path, offset, damage })
    }

    /// Makes this the manifest of the directory, durably: after a crash at any moment the old one or this one is there.
    /// After an error it may be either.
    pub fn write(&self, dir: &dyn Dir) -> Result<(), ManifestError> {
        let failed = |doing, name: &str| {
            let path = dir.path().join(name);
            move |source| ManifestError::Io { doing, path, source }
        };
        let file = uninterrupted(|| dir.create(TEMPORARY_FILE_NAME)).map_err(failed("create", TEMPORARY_FILE_NAME))?;
        let written = write_all_at(&*file, &self.encode(), 0).map_err(io::Error::from);
        written.map_err(failed("write", TEMPORARY_FILE_NAME))?;
        uninterrupted(|| file.sync_all()).map_err(failed("sync", TEMPORARY_FILE_NAME))?;
        uninterrupted(|| dir.rename(TEMPORARY_FILE_NAME, FILE_NAME)).map_err(failed("replace", FILE_NAME))?;
        // The rename itself is durable only when its directory is.
        uninterrupted(|| dir.sync()).map_err(failed("sync", ""))
    }

    /// What tells this directory's files from those of another. It is made of the seeds, which nobody outside knows, so
    /// that nobody can send bytes that look like a piece of a log.
    pub fn directory(&self) -> u64 {
        let bytes: Vec<u8> = self.routing_seeds.iter().flat_map(|seed| seed.to_le_bytes()).collect();
        let (left, right) = bytes.split_at(bytes.len() / 2);
        u64::from(crc32c::crc32c(left)) << 32 | u64::from(crc32c::crc32c(right))
    }

    fn encode(&self) -> Vec<u8> {
        assert!(self.locality.len() <= LOCALITY_BYTES_MAX, "whoever makes patterns keeps them short");
        assert!((1..=SHARDS_MAX).contains(&self.shards), "whoever sets them has a limit");
        assert_eq!(self.first_lsns.len(), self.shards as usize, "one for each shard");
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.push(if self.has_log { FLAG_LOG } else { 0 });
        bytes.resize(SHARDS_AT, 0);
        bytes.extend(self.shards.to_le_bytes());
        bytes.extend(self.routing_seeds.iter().flat_map(|seed| seed.to_le_bytes()));
        bytes.extend(self.fingerprint.to_le_bytes());
        bytes.extend(self.pinned_databases.to_le_bytes());
        bytes.extend((self.locality.len() as u16).to_le_bytes());
        bytes.resize(INCARNATION_AT, 0);
        bytes.extend(self.incarnation.to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.first_lsns.iter().flat_map(|lsn| lsn.to_le_bytes()));
        bytes.extend(self.locality.as_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The manifest in `bytes`, or the offset and kind of the first thing that is wrong.
    fn decode(bytes: &[u8]) -> Result<Self, (usize, Damage)> {
        let short = |expected| (bytes.len(), Damage::Short { expected });
        let shortest = PINNED_AT + CHECKSUM_LENGTH;
        if !bytes.starts_with(&MAGIC) {
            return Err(if MAGIC.starts_with(bytes) { short(shortest) } else { (0, Damage::Magic) });
        }
        // The version decides about everything after it, so it comes before length and checksum.
        let version = match bytes.get(VERSION_AT) {
            Some(version @ VERSION_WITHOUT_RULES..=VERSION) => *version,
            Some(other) => return Err((VERSION_AT, Damage::Version(*other))),
            None => return Err(short(shortest)),
        };
        let (fixed, has_rules, has_logs) = match version {
            VERSION_WITHOUT_RULES => (PINNED_AT, false, false),
            VERSION_WITHOUT_LOGS => (LOCALITY_AT_IN_VERSION_2, true, false),
            _ => (FIRST_LSNS_AT, true, true),
        };
        if bytes.len() < fixed + CHECKSUM_LENGTH {
            return Err(short(fixed + CHECKSUM_LENGTH));
        }
        let shards = number(bytes, SHARDS_AT);
        let locality_length = if has_rules { usize::from(short_number(bytes, LOCALITY_LENGTH_AT)) } else { 0 };
        if locality_length > LOCALITY_BYTES_MAX {
            return Err((LOCALITY_LENGTH_AT, Damage::LocalityLength(locality_length)));
        }
        // Where the checksum is depends on it; in earlier versions a flipped bit is better called so.
        if has_logs && shards > SHARDS_MAX {
            return Err((SHARDS_AT, Damage::Shards(shards)));
        }
        let locality_at = fixed + if has_logs { shards as usize * LSN_LENGTH } else { 0 };
        let checksum_at = locality_at + locality_length;
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
        let flags = bytes[FLAGS_AT];
        if flags & !FLAG_LOG != 0 || (flags != 0 && !has_logs) {
            return Err((FLAGS_AT, Damage::Reserved));
        }
        if bytes[RESERVED_AT..SHARDS_AT].iter().any(|byte| *byte != 0) {
            return Err((RESERVED_AT, Damage::Reserved));
        }
        if has_logs && short_number(bytes, RESERVED_TOO_AT) != 0 {
            return Err((RESERVED_TOO_AT, Damage::Reserved));
        }
        match shards {
            0 => return Err((SHARDS_AT, Damage::NoShards)),
            1..=SHARDS_MAX => {}
            _ => return Err((SHARDS_AT, Damage::Shards(shards))),
        }
        let first_lsns: Vec<u64> = match has_logs {
            true => (0..shards as usize).map(|shard| long_number(bytes, FIRST_LSNS_AT + LSN_LENGTH * shard)).collect(),
            false => vec![1; shards as usize],
        };
        if let Some(shard) = first_lsns.iter().position(|lsn| *lsn == 0) {
            return Err((FIRST_LSNS_AT + LSN_LENGTH * shard, Damage::NoLsn));
        }
        let text = std::str::from_utf8(&bytes[locality_at..checksum_at]);
        let locality = text.map_err(|error| (locality_at + error.valid_up_to(), Damage::NotText))?.to_owned();
        Ok(Self {
            shards,
            routing_seeds: std::array::from_fn(|index| long_number(bytes, SEEDS_AT + 8 * index)),
            fingerprint: long_number(bytes, FINGERPRINT_AT),
            locality,
            pinned_databases: if has_rules { number(bytes, PINNED_AT) } else { 0 },
            incarnation: if has_logs { long_number(bytes, INCARNATION_AT) } else { 0 },
            generation: if has_logs { long_number(bytes, GENERATION_AT) } else { 0 },
            has_log: flags & FLAG_LOG != 0,
            first_lsns,
        })
    }
}

/// Name of the file of one shard in a snapshot. While it is written it has [`TEMPORARY_SUFFIX`] behind it.
pub fn snapshot_name(generation: u64, shard: u16) -> String {
    format!("dump-{generation:016x}-{shard:04}.rdb")
}

/// Generation and shard of the snapshot's file with this name; `None` if it is the name of something else.
pub fn parse_snapshot_name(name: &str) -> Option<(u64, u16)> {
    let (generation, shard) = name.strip_prefix("dump-")?.strip_suffix(".rdb")?.split_once('-')?;
    let parsed = (u64::from_str_radix(generation, 16).ok()?, shard.parse().ok()?);
    (snapshot_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// Removes what the manifest on disk makes superfluous: files that were never finished, snapshots of other generations but the `retain` before the present one,
/// segments wholly before the first record to replay, and all of them when there is no log. Says how many files went.
/// Neither a snapshot nor a log may be in writing.
pub fn sweep(dir: &dyn Dir, manifest: &Manifest, retain: u64) -> Result<u64, ManifestError> {
    let failed = |doing, name: &str| {
        let path = dir.path().join(name);
        move |source| ManifestError::Io { doing, path, source }
    };
    let names = uninterrupted(|| dir.list()).map_err(failed("list", ""))?;
    let mut superfluous: Vec<&String> = Vec::new();
    for name in &names {
        let is_ours = name.starts_with("log-") || name.starts_with("dump-");
        let is_other = parse_snapshot_name(name).is_some_and(|(generation, _)| {
            generation > manifest.generation || generation.saturating_add(retain) < manifest.generation
        });
        let log_is_none =
            parse_segment_name(name).is_some_and(|(shard, _)| !manifest.has_log || u32::from(shard) >= manifest.shards);
        let is_unfinished = name == TEMPORARY_FILE_NAME || (is_ours && name.ends_with(TEMPORARY_SUFFIX));
        if is_unfinished || is_other || log_is_none {
            superfluous.push(name);
        }
    }
    let mut replaced = Vec::new();
    for (shard, first_lsn) in (0..).zip(&manifest.first_lsns).filter(|_| manifest.has_log) {
        let segments = segments_of(&names, shard);
        // A later segment replaces those before it only if it is one: its header may never have been written.
        for at in (1..segments.len()).rev().filter(|at| segments[*at].0 <= *first_lsn) {
            let name = &segments[at].1;
            let file = uninterrupted(|| dir.open(name)).map_err(failed("open", name))?;
            let header = scan::read_header(&*file).map_err(failed("read", name))?;
            if Header::decode(&header).is_ok() {
                // One that a process left unsynced when it died would be gone with the next power failure.
                uninterrupted(|| file.sync_all()).map_err(failed("sync", name))?;
                replaced.extend(segments[..at].iter().map(|(_, name)| name.clone()));
                break;
            }
        }
    }
    // So would the manifest: only what was read is known, not that its name is on disk.
    if !superfluous.is_empty() || !replaced.is_empty() {
        uninterrupted(|| dir.sync()).map_err(failed("sync", ""))?;
    }
    let mut removed = 0;
    for name in superfluous.into_iter().chain(&replaced) {
        uninterrupted(|| dir.remove(name)).map_err(failed("remove", name))?;
        removed += 1;
    }
    Ok(removed)
}

/// Two bytes whose place was measured.
fn short_number(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
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
#[cfg(test)]
pub(crate) use tests::check_drawing;
