//! What the program does beside serving: looking at a data directory, filling it from a file, and writing it to one.
//!
//! Owns: which tool runs, and what a failure exits with. Refuses to know: how the command line is written.
//! Start at [`Tool::run`]. Tools but `import` change nothing. A directory that a server is using may look torn at the end of its logs.

pub mod check;
pub mod exchange;
pub mod log;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kora_ext::persistence::exchange::ExchangeError;
use kora_storage::dir::RealDir;
use kora_storage::manifest::{Manifest, ManifestError};
use kora_storage::recovery::RecoveryError;

use crate::exit::Exit;

/// What to do instead of serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// Say what is in a data directory, and whether all of it is whole.
    Check(PathBuf),
    /// Print the log of a data directory.
    Log(PathBuf, log::Selection),
    /// Fill a data directory from a file.
    Import(exchange::Import),
    /// Write a data directory to a file.
    Export {
        /// The file.
        file: PathBuf,
        /// The directory.
        directory: PathBuf,
    },
}

/// Why a tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is no such directory, or it cannot be read.
    #[error("cannot read {}: {source}", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory is none of Kora's.
    #[error("{} is no data directory: it has no manifest", .0.display())]
    NoManifest(PathBuf),
    /// The manifest is damaged or cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The logs are damaged or cannot be read.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Nothing was imported or exported.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// Nobody takes what is printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

impl ToolError {
    fn exit(&self) -> Exit {
        match self {
            Self::Print(_) => Exit::Failed,
            Self::Exchange(error) if error.is_about_the_file() => Exit::Failed,
            _ => Exit::DataDirectory,
        }
    }
}

impl Tool {
    /// Does it; prints to `out`, and what is wrong to standard error.
    pub fn run(&self, out: &mut dyn Write) -> Exit {
        let outcome = match self {
            Self::Check(directory) => check::run(directory, out),
            Self::Import(import) => exchange::import(import, out),
            Self::Export { file, directory } => exchange::export(file, directory, out).map(|()| Exit::Clean),
            Self::Log(directory, selection) => log::run(directory, selection, out).map(|()| Exit::Clean),
        };
        match outcome {
            Ok(exit) => exit,
            // Whoever has seen enough closes the pipe.
            Err(ToolError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Clean,
            Err(error) => {
                eprintln!("kora-server: {error}");
                error.exit()
            }
        }
    }
}

/// A directory and its manifest.
fn open(directory: &Path) -> Result<(RealDir, Manifest), ToolError> {
    let dir =
        RealDir::open(directory).map_err(|source| ToolError::Directory { directory: directory.to_owned(), source })?;
    let manifest = Manifest::read(&dir)?.ok_or_else(|| ToolError::NoManifest(directory.to_owned()))?;
    Ok((dir, manifest))
}

#[cfg(test)]
mod tests;
