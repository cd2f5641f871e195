//! The files of one directory, real or imagined.
//!
//! Owns: the two traits through which everything else reaches storage, and reading and writing whole ranges through
//! them. Refuses to know: what is in the files.
//! Start at [`Dir`]. [`RealDir`] is the file system, [`MemoryDir`] forgets on command what was not synced,
//! [`FailingDir`] fails on command.

mod failing;
mod memory;
mod real;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

pub use failing::{FailingDir, Fault};
pub use memory::MemoryDir;
pub use real::RealDir;

/// A kind of call to storage, for those that count calls or make them fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of the calls of Dir and File")]
pub enum Call {
    List,
    Open,
    Create,
    Rename,
    Remove,
    SyncDir,
    Len,
    ReadAt,
    WriteAt,
    SetLen,
    SyncData,
    SyncAll,
}

/// One directory of plain files.
pub trait Dir: Send + Sync + Debug {
    /// Where it is, for messages.
    fn path(&self) -> &Path;
    /// Names of its plain files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A file that is there, to read and to write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// A new file, or one whose content is thrown away, to read and to write.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name; what had that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes durable which names there are: without it a crash may undo creating, renaming and removing.
    fn sync(&self) -> io::Result<()>;
}

/// One open file. Offsets and lengths in bytes.
#[expect(clippy::len_without_is_empty, reason = "a length that can fail")]
pub trait File: Send + Sync + Debug {
    /// Its length.
    fn len(&self) -> io::Result<u64>;
    /// Reads at `offset`; fewer bytes than asked for are no error, none at all are the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset`, and says how many bytes; they may be fewer.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file or lengthens it with zeroes.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes its content durable, and of what is known about it as much as reading it back takes.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes all of it durable.
    fn sync_all(&self) -> io::Result<()>;
}

/// Calls until the answer is not that a signal came in between.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Writes all of `bytes` at `offset`. On an error says how many were written before it.
pub fn write_all_at(file: &dyn File, bytes: &[u8], offset: u64) -> Result<(), PartialWrite> {
    let mut written = 0;
    while written < bytes.len() {
        match uninterrupted(|| file.write_at(&bytes[written..], offset + written as u64)) {
            Ok(0) => return Err(PartialWrite { written, source: ErrorKind::WriteZero.into() }),
            Ok(more) => written += more,
            Err(source) => return Err(PartialWrite { written, source }),
        }
    }
    Ok(())
}

/// A write that failed after some of its bytes.
#[derive(Debug, thiserror::Error)]
#[error("after {written} bytes: {source}")]
pub struct PartialWrite {
    /// Bytes that were written.
    pub written: usize,
    /// What the system said then.
    pub source: io::Error,
}

impl From<PartialWrite> for io::Error {
    fn from(partial: PartialWrite) -> Self {
        partial.source
    }
}

/// Fills `buffer` from `offset` on; [`ErrorKind::UnexpectedEof`] when the file ends before.
pub fn read_exact_at(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    if read_at_most(file, buffer, offset)? < buffer.len() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Fills as much of `buffer` as the file has from `offset` on, and says how much that is.
pub fn read_at_most(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match uninterrupted(|| file.read_at(&mut buffer[read..], offset + read as u64))? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Numbers that look random, below the argument of each call, for [`MemoryDir::crash`].
#[cfg(test)]
pub(crate) fn xorshift(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % below.max(1)
    }
}
