//! The data directory: locked, and with a manifest that fits.
//!
//! Owns: when the manifest is made, drawing the routing seeds, and that the rules of a directory stay those it was made
//! with. Refuses to know: the bytes (kora-storage) and how keys are routed.
//! Start at [`DataDirectory::open`].

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use kora_runtime::config::{Locality, PinnedDatabases, Refusal};
use kora_runtime::limits::{DATABASES, LOCALITY_PATTERN_BYTES_MAX, LOCALITY_PATTERNS_MAX};
use kora_storage::dir::RealDir;
use kora_storage::lock::{DirectoryLock, LockError};
use kora_storage::manifest::{LOCALITY_BYTES_MAX, Manifest, ManifestError};

// Every setting that is let in fits the manifest, with a blank after each pattern.
const _: () = assert!(LOCALITY_PATTERNS_MAX * (LOCALITY_PATTERN_BYTES_MAX + 1) <= LOCALITY_BYTES_MAX);

/// Rules about where keys live that are fixed when a directory is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `locality`.
    pub locality: Locality,
    /// `pinned-databases`.
    pub pinned_databases: PinnedDatabases,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirectoryError {
    /// It is in use, or cannot be created or locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It is locked, and cannot be opened.
    #[error("cannot open {}: {source}", .directory.display())]
    Open {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its manifest is damaged, or cannot be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It was made with another rule than the settings have.
    #[error(
        "{} was made with {setting} \"{made}\", but the settings say \"{given}\"; a directory keeps what it was made with",
        .directory.display()
    )]
    OtherRules {
        /// The directory.
        directory: PathBuf,
        /// Which setting.
        setting: &'static str,
        /// What the directory has; empty for none.
        made: String,
        /// What the settings say.
        given: String,
    },
    /// Its rules mean nothing to this version of Kora.
    #[error("{} was made with {setting} \"{made}\": {refusal}", .directory.display())]
    UnknownRules {
        /// The directory.
        directory: PathBuf,
        /// Which setting.
        setting: &'static str,
        /// What the directory has.
        made: String,
        /// Why it is not taken.
        refusal: Refusal,
    },
}

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    /// The right to use it.
    pub lock: DirectoryLock,
    /// What its files were written by; it holds until they have been loaded.
    pub found: Manifest,
    /// The rules in it.
    pub rules: Rules,
    /// What the running hash makes of its seeds.
    pub fingerprint: u64,
    shards: u32,
}

impl DataDirectory {
    /// Takes the directory for this many shards, and makes it if it is not there. It must have been made with the rules
    /// that are `given`; one that is empty is not given. `fingerprint` is what the running hash makes of seeds.
    pub fn open(
        directory: &Path,
        shards: u32,
        given: &Rules,
        fingerprint: impl Fn([u64; 4]) -> u64,
    ) -> Result<Self, DataDirectoryError> {
        let lock = DirectoryLock::acquire(directory)?;
        let dir = RealDir::open(directory)
            .map_err(|source| DataDirectoryError::Open { directory: directory.to_owned(), source })?;
        let found = Manifest::read(&dir)?;
        let rules = match &found {
            Some(found) => Rules::of(found, directory)?,
            None => given.clone(),
        };
        rules.admit(given, directory)?;
        let found = match found {
            Some(found) => found,
            None => {
                let routing_seeds = draw_seeds();
                let manifest = Manifest {
                    shards,
                    routing_seeds,
                    fingerprint: fingerprint(routing_seeds),
                    locality: rules.locality.to_string(),
                    pinned_databases: rules.pinned_databases.bits(),
                    incarnation: 0,
                    generation: 0,
                    has_log: false,
                    first_lsns: vec![1; shards as usize],
                };
                manifest.write(&dir)?;
                manifest
            }
        };
        let fingerprint = fingerprint(found.routing_seeds);
        Ok(Self { lock, found, rules, fingerprint, shards })
    }

    /// True when keys live on other shards now than those whose files they are in: they are routed anew when they are loaded, and the manifest changes
    /// when they have been saved.
    pub fn is_rerouted(&self) -> bool {
        self.found.shards != self.shards || self.found.fingerprint != self.fingerprint
    }
}

impl Rules {
    /// The rules of a manifest. It is whole, so what cannot be read was written by a Kora that knew more.
    pub(super) fn of(manifest: &Manifest, directory: &Path) -> Result<Self, DataDirectoryError> {
        let unknown = |setting, made: String| {
            let directory = directory.to_owned();
            move |refusal| DataDirectoryError::UnknownRules { directory, setting, made, refusal }
        };
        let Manifest { locality, pinned_databases: bits, .. } = manifest;
        let pinned = PinnedDatabases::from_bits(*bits).ok_or(Refusal::OutOfRange(0, DATABASES as i128 - 1));
        Ok(Self {
            locality: locality.parse().map_err(unknown("locality", locality.clone()))?,
            pinned_databases: pinned.map_err(unknown("pinned-databases", format!("{bits:#x}")))?,
        })
    }

    /// Refuses settings that say something else.
    fn admit(&self, given: &Self, directory: &Path) -> Result<(), DataDirectoryError> {
        let differ = |setting, made: String, given: String| DataDirectoryError::OtherRules {
            directory: directory.to_owned(),
            setting,
            made,
            given,
        };
        if !given.locality.is_empty() && given.locality != self.locality {
            return Err(differ("locality", self.locality.to_string(), given.locality.to_string()));
        }
        if !given.pinned_databases.is_empty() && given.pinned_databases != self.pinned_databases {
            let (made, given) = (self.pinned_databases.to_string(), given.pinned_databases.to_string());
            return Err(differ("pinned-databases", made, given));
        }
        Ok(())
    }
}

/// Seeds that nobody outside can guess: clients that could, could send all their keys to one shard.
pub fn draw_seeds() -> [u64; 4] {
    // The standard library's hasher is keyed by the operating system's random numbers; what it makes of nothing
    // depends on its key alone.
    std::array::from_fn(|_| RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path, shards: u32, hash_version: u64) -> Result<DataDirectory, DataDirectoryError> {
        DataDirectory::open(directory, shards, &Rules::default(), |seeds| seeds[0] ^ hash_version)
    }

    fn real(directory: &Path) -> RealDir {
        RealDir::open(directory).expect("it was made")
    }

    fn rules(locality: &str, pinned_databases: &str) -> Rules {
        Rules {
            locality: locality.parse().expect(locality),
            pinned_databases: pinned_databases.parse().expect(pinned_databases),
        }
    }

    /// Makes a directory with rules, opens it with others, and compares the rules then, or the error without the path.
    fn check(made: [&str; 2], given: [&str; 2], expected: Result<[&str; 2], &str>) {
        let place = tempfile::tempdir().expect("a temporary directory");
        let open = |[locality, pinned]: [&str; 2]| {
            DataDirectory::open(place.path(), 2, &rules(locality, pinned), |seeds| seeds[0])
        };
        let manifest = open(made).expect("a new directory").found;
        let outcome = open(given).map(|directory| {
            assert_eq!((&directory.found, directory.is_rerouted()), (&manifest, false), "{made:?} {given:?}");
            directory.rules
        });
        let outcome = outcome.map_err(|error| error.to_string().replace(&*place.path().to_string_lossy(), "DIR"));
        let expected = expected.map(|[locality, pinned]| rules(locality, pinned)).map_err(str::to_owned);
        assert_eq!(outcome, expected, "{made:?} {given:?}");
        assert_eq!(Manifest::read(&real(place.path())).expect("it is whole"), Some(manifest), "{made:?} {given:?}");
    }

    #[test]
    fn a_directory_keeps_the_rules_it_was_made_with() {
        check(["", ""], ["", ""], Ok(["", ""]));
        check(["bull:*: *.", "5 3"], ["", ""], Ok(["bull:*: *.", "3 5"]));
        check(["bull:*: *.", "5 3"], ["bull:*:  *.", ""], Ok(["bull:*: *.", "3 5"]));
        check(["bull:*: *.", "5 3"], ["", "3 5"], Ok(["bull:*: *.", "3 5"]));
        let keeps = "; a directory keeps what it was made with";
        for (made, given, expected) in [
            (["", ""], ["bull:*:", ""], r#"DIR was made with locality "", but the settings say "bull:*:""#),
            (
                ["a*: b*:", ""],
                ["b*: a*:", ""],
                r#"DIR was made with locality "a*: b*:", but the settings say "b*: a*:""#,
            ),
            (["a*:", "3"], ["a*:", "3 5"], r#"DIR was made with pinned-databases "3", but the settings say "3 5""#),
            (["", ""], ["", "0"], r#"DIR was made with pinned-databases "", but the settings say "0""#),
        ] {
            check(made, given, Err(&format!("{expected}{keeps}")));
        }
    }

    #[test]
    fn a_directory_of_the_first_format_has_no_rules() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let old = include_bytes!("../../../kora-storage/tests/golden/manifest-v1.bin");
        let path = place.path().join(kora_storage::manifest::FILE_NAME);
        std::fs::write(&path, old).expect("a writable directory");
        let open = |rules| DataDirectory::open(place.path(), 8, &rules, |_| 0x1122_3344_5566_7788);
        assert!(matches!(open(rules("a*:", "")), Err(DataDirectoryError::OtherRules { setting: "locality", .. })));
        let opened = open(Rules::default()).expect("an old directory");
        assert_eq!((&opened.rules, opened.is_rerouted()), (&Rules::default(), false));
        assert_eq!(std::fs::read(&path).expect("it is there"), old, "what says the same is left alone");
    }

    #[test]
    fn rules_of_a_later_version_are_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let check = |locality: &str, pinned_databases, expected: &str| {
            let locality = locality.to_owned();
            let manifest = Manifest {
                shards: 2,
                routing_seeds: [1; 4],
                fingerprint: 1,
                locality,
                pinned_databases,
                incarnation: 0,
                generation: 0,
                has_log: false,
                first_lsns: vec![1; 2],
            };
            manifest.write(&real(place.path())).expect("a writable directory");
            let error = open(place.path(), 2, 1).expect_err("nobody knows what it means").to_string();
            assert_eq!(error, format!("{} was made with {expected}", place.path().display()));
        };
        check(
            "{a}",
            0,
            "locality \"{a}\": argument must be patterns such as bull:*: (one '*' and text behind it) or rq: (the beginning of names), without braces",
        );
        check("", 1 << 16, "pinned-databases \"0x10000\": argument must be between 0 and 15 inclusive");
    }

    #[test]
    fn seeds_are_drawn_once_for_a_directory() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = open(place.path(), 2, 1).expect("a new directory");
        assert_eq!((first.found.shards, first.is_rerouted()), (2, false));
        let manifest = first.found.clone();
        drop(first);

        let again = open(place.path(), 2, 1).expect("the same directory");
        assert_eq!((&again.found, again.is_rerouted()), (&manifest, false));
        drop(again);

        let other = tempfile::tempdir().expect("a temporary directory");
        let other = open(other.path(), 2, 1).expect("a new directory");
        assert_ne!(other.found.routing_seeds, manifest.routing_seeds);
    }

    #[test]
    fn another_number_of_shards_or_another_hash_routes_anew() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = open(place.path(), 2, 1).expect("a new directory").found;
        for (shards, hash_version, rerouted) in [(2, 1, false), (3, 1, true), (2, 2, true), (3, 2, true), (2, 1, false)]
        {
            let again = open(place.path(), shards, hash_version).expect("the same directory");
            // What the files were written by holds until they have been loaded.
            assert_eq!((again.is_rerouted(), &again.found), (rerouted, &first), "{shards} {hash_version}");
        }
    }

    #[test]
    fn a_directory_in_use_or_with_a_damaged_manifest_is_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = open(place.path(), 2, 1).expect("a new directory");
        assert!(matches!(open(place.path(), 2, 1), Err(DataDirectoryError::Lock(LockError::InUse { .. }))));
        drop(first);
        let path = place.path().join(kora_storage::manifest::FILE_NAME);
        std::fs::write(&path, "KORAMANI").expect("a writable directory");
        let error = open(place.path(), 2, 1).expect_err("the manifest is damaged").to_string();
        assert_eq!(error, format!("{} at offset 8: the file ends here, 60 bytes were expected", path.display()));
        assert_eq!(
            std::fs::read(&path).expect("it is there"),
            b"KORAMANI",
            "what is damaged is kept for a closer look"
        );
    }
}
