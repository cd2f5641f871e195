//! Redis's file format: RDB, versions 1 to 11.
//!
//! Owns: the bytes of files and of the compact forms inside them. Refuses to know: what a value becomes in memory, who opens files.
//! Start at [`RdbFile`] to read a file, at [`Reader`] to read a value, at [`mod@write`] to write either; the compact forms are in [`unpack`].
//!
//! Everything read here may have been damaged or made to do harm: each length is compared with what is there before anything is allocated for
//! it, and compact forms are walked as a whole before an element is taken from them.

pub mod checksum;
pub mod codes;
pub mod damage;
pub mod file;
pub mod listpack;
pub mod lzf;
pub mod payload;
pub mod reader;
pub mod unpack;
pub mod write;

#[cfg(test)]
mod tests;

pub use checksum::Checksum;
pub use damage::{Damage, RdbError};
pub use file::{Item, KeyHead, RdbFile};
pub use reader::{Reader, Source, Text};
pub use unpack::Element;
