//! A directory in memory that knows what a power loss may leave of it.
//!
//! Owns: two images, the live one and the durable one, and what was done between them. Refuses to know: what the files
//! mean. Start at [`MemoryDir::crash`].
//!
//! What a disk promises is taken at its word and no further: a sector of 512 bytes is written wholly or not at all;
//! everything else that was not synced happens or does not, each sector and each name for itself, in any order.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Call, Dir, File};

/// Bytes that a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// A directory in memory. Clones are the same directory.
#[derive(Debug, Clone, Default)]
pub struct MemoryDir {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Files that are or may become reachable again by a name, by number.
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What happened to names since the directory was synced.
    name_changes: Vec<NameChange>,
    calls: BTreeMap<Call, u64>,
    /// How often the process died: files that were open then are closed.
    deaths: u64,
}

#[derive(Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// What happened since the file was synced.
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug)]
enum NameChange {
    Give { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Remove { name: String },
}

impl MemoryDir {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The process dies, the machine does not: all that was written is still there. Files that were open are closed.
    pub fn kill(&self) {
        self.state().deaths += 1;
    }

    /// Power is lost, and with it all that was not synced.
    pub fn crash_losing_all(&self) {
        let mut state = self.state();
        state.deaths += 1;
        for content in &mut state.contents {
            content.live.clone_from(&content.durable);
            content.changes.clear();
        }
        state.names = state.durable_names.clone();
        state.name_changes.clear();
    }

    /// Power is lost. Of what was not synced, each sector of each write and each change of a name happened or did not:
    /// `random(n)` is below `n`.
    pub fn crash(&self, random: &mut dyn FnMut(u64) -> u64) {
        let mut state = self.state();
        state.deaths += 1;
        for content in &mut state.contents {
            content.crash(random);
        }
        let mut names = std::mem::take(&mut state.durable_names);
        for change in std::mem::take(&mut state.name_changes) {
            if random(2) == 0 {
                continue;
            }
            match change {
                NameChange::Give { name, file } => drop(names.insert(name, file)),
                NameChange::Remove { name } => drop(names.remove(&name)),
                NameChange::Rename { from, to, file } => {
                    if names.get(&from) == Some(&file) {
                        names.remove(&from);
                    }
                    names.insert(to, file);
                }
            }
        }
        state.names = names.clone();
        state.durable_names = names;
    }

    /// How many calls of a kind there were.
    pub fn calls(&self, call: Call) -> u64 {
        self.state().calls.get(&call).copied().unwrap_or(0)
    }

    /// How many calls there were.
    pub fn all_calls(&self) -> u64 {
        self.state().calls.values().sum()
    }

    /// What a file has now, synced or not.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|file| state.contents[*file].live.clone())
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.contents.len();
        state.contents.push(Content { live: bytes.to_vec(), durable: bytes.to_vec(), changes: Vec::new() });
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }

    /// Another directory with the same two images, nothing of it open.
    pub fn copy(&self) -> Self {
        let state = self.state();
        let contents = state.contents.iter().map(Content::copy).collect();
        let copied = State {
            contents,
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            name_changes: state.name_changes.iter().map(NameChange::copy).collect(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(copied)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, call: Call) -> MutexGuard<'_, State> {
        let mut state = self.state();
        *state.calls.entry(call).or_default() += 1;
        state
    }

    fn handle(&self, file: usize, deaths: u64) -> Arc<dyn File> {
        Arc::new(MemoryFile { dir: self.clone(), file, deaths })
    }
}

impl NameChange {
    fn copy(&self) -> Self {
        match self {
            Self::Give { name, file } => Self::Give { name: name.clone(), file: *file },
            Self::Rename { from, to, file } => Self::Rename { from: from.clone(), to: to.clone(), file: *file },
            Self::Remove { name } => Self::Remove { name: name.clone() },
        }
    }
}

impl Content {
    fn copy(&self) -> Self {
        let changes = self.changes.iter().map(|change| match change {
            Change::Write { offset, bytes } => Change::Write { offset: *offset, bytes: bytes.clone() },
            Change::SetLen(len) => Change::SetLen(*len),
        });
        Self { live: self.live.clone(), durable: self.durable.clone(), changes: changes.collect() }
    }

    fn apply(&mut self, change: Change) {
        match &change {
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if self.live.len() < end {
                    self.live.resize(end, 0);
                }
                self.live[*offset..end].copy_from_slice(bytes);
            }
            Change::SetLen(len) => self.live.resize(*len, 0),
        }
        self.changes.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Write { offset, bytes } => {
                    let end = offset + bytes.len();
                    if self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                    self.durable[offset..end].copy_from_slice(&bytes);
                }
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    fn crash(&mut self, random: &mut dyn FnMut(u64) -> u64) {
        // The length is one that the file had; the bytes come sector by sector.
        let mut lengths = vec![self.durable.len()];
        let mut bytes_of = std::mem::take(&mut self.durable);
        for change in std::mem::take(&mut self.changes) {
            let before = lengths[lengths.len() - 1];
            match change {
                Change::Write { offset, bytes } => {
                    let end = offset + bytes.len();
                    lengths.push(before.max(end));
                    if bytes_of.len() < end {
                        bytes_of.resize(end, 0);
                    }
                    let mut at = offset;
                    while at < end {
                        let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
                        if random(2) == 1 {
                            bytes_of[at..next].copy_from_slice(&bytes[at - offset..next - offset]);
                        }
                        at = next;
                    }
                }
                Change::SetLen(len) => {
                    lengths.push(len);
                    if random(2) == 1 && len < bytes_of.len() {
                        bytes_of[len..].fill(0);
                    }
                }
            }
        }
        bytes_of.resize(lengths[random(lengths.len() as u64) as usize], 0);
        self.live.clone_from(&bytes_of);
        self.durable = bytes_of;
    }
}

impl Dir for MemoryDir {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.count(Call::List).names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let state = self.count(Call::Open);
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(self.handle(file, state.deaths))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.count(Call::Create);
        let file = match state.names.get(name) {
            Some(file) => {
                let file = *file;
                state.contents[file].apply(Change::SetLen(0));
                file
            }
            None => {
                let file = state.contents.len();
                state.contents.push(Content::default());
                state.names.insert(name.to_owned(), file);
                state.name_changes.push(NameChange::Give { name: name.to_owned(), file });
                file
            }
        };
        Ok(self.handle(file, state.deaths))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.count(Call::Rename);
        let file = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        state.name_changes.push(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), file });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.count(Call::Remove);
        state.names.remove(name).ok_or(ErrorKind::NotFound)?;
        state.name_changes.push(NameChange::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.count(Call::SyncDir);
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    dir: MemoryDir,
    file: usize,
    deaths: u64,
}

impl MemoryFile {
    /// Does something with the content, unless the process that opened the file is dead.
    fn with<T>(&self, call: Call, work: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.dir.count(call);
        if state.deaths != self.deaths {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        Ok(work(&mut state.contents[self.file]))
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        self.with(Call::Len, |content| content.live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(Call::ReadAt, |content| {
            let rest = content.live.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.with(Call::WriteAt, |content| {
            content.apply(Change::Write { offset: offset as usize, bytes: bytes.to_vec() });
            bytes.len()
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(Call::SetLen, |content| content.apply(Change::SetLen(len as usize)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(Call::SyncData, Content::sync)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.with(Call::SyncAll, Content::sync)
    }
}
