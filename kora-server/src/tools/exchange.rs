//! `kora-server import FILE --dir DIR` and `kora-server export FILE --dir DIR`.
//!
//! Owns: how it is told what was done. Refuses to know: how it is done (kora-ext). Start at [`import`] and [`export`].

use std::io::Write;
use std::path::{Path, PathBuf};

use kora_ext::persistence::exchange;

use super::ToolError;
use crate::exit::Exit;
use crate::settings::cores;

/// What is to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The file.
    pub file: PathBuf,
    /// The data directory.
    pub directory: PathBuf,
    /// For how many shards; `None` for one for each core.
    pub shards: Option<usize>,
    /// What is there is replaced.
    pub force: bool,
}

/// Fills a data directory. [`Exit::Partial`] when something of the file was left out.
pub(super) fn import(import: &Import, out: &mut dyn Write) -> Result<Exit, ToolError> {
    let Import { file, directory, shards, force } = import;
    let shards = shards.unwrap_or_else(|| cores().clamp(1, kora_runtime::limits::SHARDS_MAX));
    let options = exchange::ImportOptions { file: file.clone(), directory: directory.clone(), shards, force: *force };
    let exchange::Imported { keys, expired, functions, skipped } = exchange::import(&options)?;
    for what in &skipped {
        writeln!(out, "left out: {what}")?;
    }
    writeln!(
        out,
        "{}: {keys} keys and {functions} libraries of functions for {shards} shards; {expired} keys had expired",
        directory.display()
    )?;
    out.flush()?;
    Ok(if skipped.is_empty() { Exit::Clean } else { Exit::Partial })
}

/// Writes a data directory to a file.
pub(super) fn export(file: &Path, directory: &Path, out: &mut dyn Write) -> Result<(), ToolError> {
    let exchange::Exported { keys, bytes, reports } = exchange::export(file, directory)?;
    for report in &reports {
        writeln!(out, "{report}")?;
    }
    writeln!(out, "{}: {keys} keys, {bytes} bytes", file.display())?;
    out.flush()?;
    Ok(())
}
