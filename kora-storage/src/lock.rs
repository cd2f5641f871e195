//! One process at a time in a data directory.
//!
//! Owns: the lock file. Refuses to know: what else is in the directory. Start at [`DirectoryLock::acquire`].
//!
//! The lock is the operating system's lock on the open file, so it goes with its process however that ends. The file
//! itself stays: removing it would let one process lock the removed file and another a new one. Its content, the
//! process id of the last holder, is for people only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Name of the lock file in its directory.
pub const FILE_NAME: &str = "kora.lock";

/// Bytes of a lock file's content that are read to say who holds it.
const HOLDER_BYTES_MAX: u64 = 32;

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process holds it, or this one does already.
    #[error("the data directory {} is in use by {holder}", .directory.display())]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// `process 1234`, or `another process` when the file does not say.
        holder: String,
    },
    /// The directory or the lock file could not be created or opened.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// `create`, `open`, …
        doing: &'static str,
        /// The directory or the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The right to use a data directory, until it is dropped or the process ends.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    /// Held open: closing it gives the lock up.
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `directory`, which is created if it is not there. Never waits.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { doing, path, source }
        };
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        let path = directory.join(FILE_NAME);
        // Not truncated: until the lock is ours, the content is another's.
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::InUse { directory: directory.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        file.set_len(0).map_err(failed("truncate", &path))?;
        writeln!(file, "{}", std::process::id()).map_err(failed("write", &path))?;
        Ok(Self { directory: directory.to_owned(), _file: file })
    }

    /// The directory that is locked.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Who the lock file says holds it. A file of anything but a number is not quoted.
fn holder(file: &mut File) -> String {
    let mut content = String::new();
    let read = file.take(HOLDER_BYTES_MAX).read_to_string(&mut content);
    match (read, content.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!("process {process}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_until_the_lock_is_dropped() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = place.path().join("not/there/yet");
        let lock = DirectoryLock::acquire(&directory).expect("nobody holds it");
        assert_eq!(lock.directory(), directory);

        let second = DirectoryLock::acquire(&directory).expect_err("it is held");
        let text = second.to_string();
        let expected =
            format!("the data directory {} is in use by process {}", directory.display(), std::process::id());
        assert_eq!(text, expected);

        drop(lock);
        DirectoryLock::acquire(&directory).expect("it was given up");
        assert!(directory.join(FILE_NAME).exists(), "the file stays");
    }

    #[test]
    fn what_stands_in_the_lock_file_does_no_harm() {
        let place = tempfile::tempdir().expect("a temporary directory");
        for content in [b"".as_slice(), b"\xff\xfe", b"not a number", &[b'9'; 100]] {
            fs::write(place.path().join(FILE_NAME), content).expect("a writable directory");
            let lock = DirectoryLock::acquire(place.path()).expect("nobody holds it");
            fs::write(place.path().join(FILE_NAME), content).expect("a writable directory");
            let second = DirectoryLock::acquire(place.path()).expect_err("it is held");
            assert!(second.to_string().ends_with("in use by another process"), "{second}");
            drop(lock);
        }
    }

    #[test]
    fn a_file_in_the_directorys_place_is_named() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let file = place.path().join("file");
        fs::write(&file, "").expect("a writable directory");
        let error = DirectoryLock::acquire(&file.join("data")).expect_err("a file is no directory");
        assert!(error.to_string().starts_with(&format!("cannot create {}", file.display())), "{error}");
    }
}
