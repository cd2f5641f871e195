//! Redis's file format: RDB, versions 1 to 11.
//!
//! Owns: the bytes of files and of the compact forms inside them. Refuses to know: what a value becomes in memory, who opens files.
//! Start at [`RdbFile`] to read a file, at [`Reader`] to read a value, at [`write`] to write either; the compact forms are in [`unpack`].
//!
//! Everything read here may have been damaged or made to do harm: each length is compared with what is there before anything is allocated for
//! it, and compact forms are walked as a whole before an element is taken from them.

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

pub use damage::{Damage, RdbError};
pub use file::{Item, KeyHead, RdbFile};
pub use reader::{Checksum, Reader, Source, Text};
pub use unpack::Element;

/// What a file begins with, before the four digits of its version.
pub const MAGIC: [u8; 5] = *b"REDIS";
/// The version that is written.
pub const VERSION: u16 = 10;

/// What a byte that is no type of a value announces.
pub mod opcode {
    /// A library of functions, its source a string.
    pub const FUNCTION2: u8 = 245;
    /// How long the next key has not been used: seconds, a length.
    pub const IDLE: u8 = 248;
    /// How often the next key is used: one byte, logarithmic.
    pub const FREQ: u8 = 249;
    /// A fact about the file: two strings, name and value.
    pub const AUX: u8 = 250;
    /// How large the tables of the database will be: two lengths, keys and keys that expire.
    pub const RESIZEDB: u8 = 251;
    /// When the next key expires: Unix milliseconds, i64 LE.
    pub const EXPIRETIME_MS: u8 = 252;
    /// Which database the next keys are in: a length.
    pub const SELECTDB: u8 = 254;
    /// The end, and the checksum.
    pub const EOF: u8 = 255;
}

/// How a value is written.
pub mod value_type {
    /// A string.
    pub const STRING: u8 = 0;
    /// A set: its length, its members.
    pub const SET: u8 = 2;
    /// A hash: its length, fields and values by turns.
    pub const HASH: u8 = 4;
    /// A sorted set: its length, members and scores (f64 LE) by turns.
    pub const ZSET_2: u8 = 5;
    /// A set: a string of sorted integers of one width.
    pub const SET_INTSET: u8 = 11;
    /// A hash: a listpack of fields and values by turns.
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set: a listpack of members and scores by turns, in order.
    pub const ZSET_LISTPACK: u8 = 17;
    /// A list: the number of its nodes; of each its container and a string.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// A stream: listpacks by their ids, and what is remembered of entries that are gone.
    pub const STREAM_LISTPACKS_2: u8 = 19;
}

/// What a node of a list is.
pub mod container {
    /// One element.
    pub const PLAIN: u8 = 1;
    /// A listpack.
    pub const PACKED: u8 = 2;
}

/// How a length is written: the two high bits of its first byte, or all of it.
pub mod length {
    /// Six bits here: 0 to 63.
    pub const BITS_6: u8 = 0x00;
    /// Six bits here and eight in the next byte: to 16383.
    pub const BITS_14: u8 = 0x40;
    /// u32, big endian, follows.
    pub const BITS_32: u8 = 0x80;
    /// u64, big endian, follows.
    pub const BITS_64: u8 = 0x81;
    /// No length: a string in a form of its own, which the other six bits tell.
    pub const ENCODED: u8 = 0xc0;
}

/// How a string is written that is not its length and its bytes, beside [`length::ENCODED`].
pub mod encoding {
    /// The text of an i8.
    pub const INT8: u8 = 0;
    /// The text of an i16, LE.
    pub const INT16: u8 = 1;
    /// The text of an i32, LE.
    pub const INT32: u8 = 2;
    /// Two lengths, compressed and not, and the bytes that LZF made.
    pub const LZF: u8 = 3;
}
