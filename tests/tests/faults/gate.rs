//! A directory whose syncs wait until they are let go, and which can be made read-only.
//!
//! Owns: what waits. Refuses to know: what is written. Start at [`Gate`].

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kora_storage::dir::{Call, Dir, File};

#[derive(Debug, Default)]
struct State {
    is_shut: bool,
    is_read_only: bool,
    waiting: usize,
    /// Of those that wait, so many may go.
    let_go: usize,
}

/// What calls have to pass. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    /// A directory behind this gate.
    pub(crate) fn guard(&self, inner: Arc<dyn Dir>) -> Arc<dyn Dir> {
        Arc::new(GatedDir { gate: self.clone(), inner })
    }

    /// Syncs wait from now on.
    pub(crate) fn shut(&self) {
        self.state().is_shut = true;
    }

    /// One of the syncs that wait goes on.
    pub(crate) fn let_one_go(&self) {
        let mut state = self.state();
        if state.waiting > 0 {
            state.waiting -= 1;
            state.let_go += 1;
            self.0.1.notify_all();
        }
    }

    /// Syncs go on.
    pub(crate) fn open(&self) {
        self.state().is_shut = false;
        self.0.1.notify_all();
    }

    /// What changes files is refused from now on, or is not.
    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        self.state().is_read_only = is_read_only;
    }

    /// How many syncs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, call: Call) -> io::Result<()> {
        let mut state = self.state();
        let changes = matches!(call, Call::Create | Call::Rename | Call::Remove | Call::WriteAt | Call::SetLen);
        if state.is_read_only && changes {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        if matches!(call, Call::SyncDir | Call::SyncData | Call::SyncAll) {
            if !state.is_shut {
                return Ok(());
            }
            state.waiting += 1;
            while state.is_shut && state.let_go == 0 {
                state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            match state.let_go {
                0 => state.waiting -= 1,
                _ => state.let_go -= 1,
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GatedDir {
    gate: Gate,
    inner: Arc<dyn Dir>,
}

#[derive(Debug)]
struct GatedFile {
    gate: Gate,
    inner: Arc<dyn File>,
}

impl GatedDir {
    fn file(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile { gate: self.gate.clone(), inner })
    }
}

impl Dir for GatedDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.inner.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.gate.pass(Call::Create)?;
        self.inner.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.gate.pass(Call::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.gate.pass(Call::Remove)?;
        self.inner.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass(Call::SyncDir)?;
        self.inner.sync()
    }
}

impl File for GatedFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.gate.pass(Call::WriteAt)?;
        self.inner.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.gate.pass(Call::SetLen)?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass(Call::SyncData)?;
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.gate.pass(Call::SyncAll)?;
        self.inner.sync_all()
    }
}
