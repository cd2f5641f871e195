//! A directory whose calls fail on command.
//!
//! Owns: which call fails, and how. Refuses to know: what the calls are for. Start at [`FailingDir::fail_nth`].

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Call, Dir, File};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device answers with an error; nothing is done.
    Device,
    /// There is no room; of a write, half is done.
    Full,
    /// A signal came before anything was done.
    Interrupted,
    /// A write does the first half only, without an error; other calls work.
    Short,
}

/// A directory that passes everything on to another, except what is to fail. Clones are the same directory.
#[derive(Debug, Clone)]
pub struct FailingDir {
    inner: Arc<dyn Dir>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Calls so far of the kind that is to fail.
    calls: u64,
    kind: Option<Call>,
    fault: Option<(u64, Fault)>,
    /// Every later one fails as well.
    from_then_on: bool,
    stop_at: Option<u64>,
    /// Bytes by which files may still grow.
    room_bytes: Option<u64>,
}

impl FailingDir {
    /// Passes everything on.
    pub fn new(inner: Arc<dyn Dir>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// The `nth` call from now on (the next is 0), counting one kind only if there is one, fails once.
    pub fn fail_nth(&self, kind: Option<Call>, nth: u64, fault: Fault) {
        *self.plan() = Plan { kind, fault: Some((nth, fault)), ..Plan::default() };
    }

    /// As [`FailingDir::fail_nth`], and so does every later one.
    pub fn fail_from(&self, kind: Option<Call>, nth: u64, fault: Fault) {
        *self.plan() = Plan { kind, fault: Some((nth, fault)), from_then_on: true, ..Plan::default() };
    }

    /// The process ends before the `nth` call from now on: that and every later one do nothing.
    pub fn stop_at(&self, nth: u64) {
        *self.plan() = Plan { stop_at: Some(nth), ..Plan::default() };
    }

    /// The disk has room for so many bytes more than the files have now.
    pub fn leave_room(&self, bytes: u64) {
        *self.plan() = Plan { room_bytes: Some(bytes), ..Plan::default() };
    }

    /// Everything works again.
    pub fn lift(&self) {
        *self.plan() = Plan::default();
    }

    /// Calls since the last command to this directory; of one kind, if it named one.
    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this call may be made; for writes, also whether only half of it is made and how that ends.
    fn admit(&self, call: Call) -> io::Result<Option<Fault>> {
        let mut plan = self.plan();
        if plan.kind.is_some_and(|kind| kind != call) {
            return Ok(None);
        }
        let number = plan.calls;
        plan.calls += 1;
        if plan.stop_at.is_some_and(|stop| number >= stop) {
            return Err(io::Error::other("the process has ended"));
        }
        let Some((nth, fault)) = plan.fault else { return Ok(None) };
        if number != nth && !(plan.from_then_on && number > nth) {
            return Ok(None);
        }
        match fault {
            Fault::Device => Err(io::Error::from_raw_os_error(5)),
            Fault::Interrupted => Err(ErrorKind::Interrupted.into()),
            Fault::Full if call == Call::WriteAt => Ok(Some(fault)),
            Fault::Full if matches!(call, Call::Create | Call::SetLen | Call::Rename) => Err(full()),
            Fault::Full => Ok(None),
            Fault::Short => Ok(Some(fault)),
        }
    }

    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(FailingFile { dir: self.clone(), inner })
    }
}

fn full() -> io::Error {
    ErrorKind::StorageFull.into()
}

impl Dir for FailingDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.admit(Call::List)?;
        self.inner.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.admit(Call::Open)?;
        self.inner.open(name).map(|file| self.wrap(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.admit(Call::Create)?;
        self.inner.create(name).map(|file| self.wrap(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.admit(Call::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.admit(Call::Remove)?;
        self.inner.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.admit(Call::SyncDir)?;
        self.inner.sync()
    }
}

#[derive(Debug)]
struct FailingFile {
    dir: FailingDir,
    inner: Arc<dyn File>,
}

impl FailingFile {
    /// How many bytes of a write have room.
    fn room(&self, bytes: usize, offset: u64) -> io::Result<usize> {
        let len = self.inner.len()?;
        let mut plan = self.dir.plan();
        let Some(room) = plan.room_bytes else { return Ok(bytes) };
        let end = (offset + bytes as u64).min(len.max(offset) + room);
        plan.room_bytes = Some(room - end.saturating_sub(len.max(offset)).min(room));
        if end <= offset { Err(full()) } else { Ok((end - offset) as usize) }
    }
}

impl File for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.dir.admit(Call::Len)?;
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.dir.admit(Call::ReadAt)?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let half = &bytes[..bytes.len().div_ceil(2)];
        match self.dir.admit(Call::WriteAt)? {
            Some(Fault::Full) => {
                self.inner.write_at(half, offset)?;
                Err(full())
            }
            Some(_) => self.inner.write_at(half, offset),
            None => self.inner.write_at(&bytes[..self.room(bytes.len(), offset)?], offset),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.dir.admit(Call::SetLen)?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.dir.admit(Call::SyncData)?;
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.dir.admit(Call::SyncAll)?;
        self.inner.sync_all()
    }
}
