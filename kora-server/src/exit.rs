//! Exit codes.
//!
//! Owns: the number of each way in which the process ends; `--help` prints them from here. Refuses to know: what led
//! to it.

use std::process::ExitCode;

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was asked to stop, and did.
    Clean = 0,
    /// It could not start or go on, for a reason without a number of its own.
    Failed = 1,
    /// A flag, a variable or the configuration file is wrong.
    Usage = 2,
    /// The port or the Unix socket is taken.
    AddressTaken = 3,
    /// The data directory is locked by another process, damaged or not writable.
    DataDirectory = 4,
    /// What was written could not be synced to disk: nobody knows what is there.
    SyncFailed = 5,
    /// What was to be imported was, but for what Kora has no place for.
    Partial = 6,
    /// A mistake of ours.
    Internal = 70,
}

impl Exit {
    /// Every code with what it means, for people.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Clean, "stopped when asked to"),
        (Self::Failed, "could not start or go on"),
        (Self::Usage, "a flag, a variable or the configuration file is wrong"),
        (Self::AddressTaken, "the port or the Unix socket is taken"),
        (Self::DataDirectory, "the data directory is in use, damaged or not writable"),
        (Self::SyncFailed, "what was written could not be synced to disk"),
        (Self::Partial, "imported, but for what was named as left out"),
        (Self::Internal, "a mistake in Kora; please report it"),
    ];

    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
