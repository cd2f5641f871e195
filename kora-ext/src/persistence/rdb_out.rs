//! A file of RDB that is being written.
//!
//! Owns: how it begins and ends. Refuses to know: what is in it, and what the file is called in the end.
//! Start at [`RdbOut::begin`].

use std::io;
use std::sync::Arc;

use kora_storage::dir::{File, write_all_at};
use kora_storage::rdb::Checksum;
use kora_storage::rdb::write::{self, StringWriter};

/// A file of RDB that is being written.
pub(super) struct RdbOut {
    file: Arc<dyn File>,
    checksum: Option<Checksum>,
    bytes: u64,
}

impl RdbOut {
    /// Writes what a file begins with: its version and facts about it, `facts` among them.
    pub(super) fn begin(
        file: Arc<dyn File>,
        checksum: bool,
        unix_seconds: u64,
        facts: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut out = Self { file, checksum: checksum.then(Checksum::default), bytes: 0 };
        let mut head = Vec::new();
        write::header(&mut head);
        let mut strings = StringWriter::new(false);
        let created = unix_seconds.to_string();
        let common = [
            ("redis-ver", kora_runtime::handlers::session::REDIS_VERSION),
            ("redis-bits", "64"),
            ("ctime", &created),
            ("kora-ver", env!("CARGO_PKG_VERSION")),
        ];
        for (name, value) in common.iter().chain(facts) {
            strings.aux(&mut head, name.as_bytes(), value.as_bytes());
        }
        out.put(&head)?;
        Ok(out)
    }

    /// Appends what is in it.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        write_all_at(&*self.file, bytes, self.bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends it; when this returns it is on disk. Its length.
    pub(super) fn end(mut self) -> io::Result<u64> {
        let mut end = Vec::new();
        write::end(&mut end, self.checksum.take());
        self.put(&end)?;
        self.file.sync_all()?;
        Ok(self.bytes)
    }
}
