//! The numbers of the RDB format.
//!
//! Owns: types of values, opcodes, encodings, versions, and the bounds of what is read. Refuses to know: how any of it is laid out.

/// What a file begins with, before four digits of its version.
pub const MAGIC: [u8; 5] = *b"REDIS";
/// The version that is written: Redis 7.0.
pub const VERSION: u16 = 10;
/// The newest version that is read: Redis 7.2.
pub const VERSION_MAX: u16 = 11;
/// The first version with a checksum at its end.
pub const VERSION_WITH_CHECKSUM: u16 = 5;

/// Types of values.
pub mod types {
    /// String.
    pub const STRING: u8 = 0;
    /// List: count, strings.
    pub const LIST: u8 = 1;
    /// Set: count, strings.
    pub const SET: u8 = 2;
    /// Sorted set: count, pairs of a string and a score as text.
    pub const ZSET: u8 = 3;
    /// Hash: count, pairs of strings.
    pub const HASH: u8 = 4;
    /// Sorted set: count, pairs of a string and an f64.
    pub const ZSET_2: u8 = 5;
    /// A module's value, without marks by which it could be walked.
    pub const MODULE: u8 = 6;
    /// A module's value: its parts say what they are.
    pub const MODULE_2: u8 = 7;
    /// Hash: one zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// List: one ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// Set: one intset.
    pub const SET_INTSET: u8 = 11;
    /// Sorted set: one ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// Hash: one ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// List: count, ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// Stream: count, pairs of an id and a listpack; what is remembered; consumer groups.
    pub const STREAM_LISTPACKS: u8 = 15;
    /// Hash: one listpack.
    pub const HASH_LISTPACK: u8 = 16;
    /// Sorted set: one listpack.
    pub const ZSET_LISTPACK: u8 = 17;
    /// List: count, pairs of a container and a string that is a listpack or one element.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// As [`STREAM_LISTPACKS`], with more that is remembered.
    pub const STREAM_LISTPACKS_2: u8 = 19;
    /// Set: one listpack.
    pub const SET_LISTPACK: u8 = 20;
    /// As [`STREAM_LISTPACKS_2`], with more about consumers.
    pub const STREAM_LISTPACKS_3: u8 = 21;
    /// The first number that no type has.
    pub const END: u8 = 22;
}

/// What stands in a file where the type of a value could stand.
pub mod opcodes {
    /// Source text of a library of functions.
    pub const FUNCTION2: u8 = 245;
    /// A function as release candidates of Redis 7.0 wrote it.
    pub const FUNCTION_PRE_GA: u8 = 246;
    /// What a module keeps beside its keys.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the next key was used.
    pub const IDLE: u8 = 248;
    /// How often the next key is used.
    pub const FREQ: u8 = 249;
    /// Something said about the file: name and value.
    pub const AUX: u8 = 250;
    /// Number of keys of this database, and of those that expire.
    pub const RESIZEDB: u8 = 251;
    /// Unix milliseconds at which the next key expires.
    pub const EXPIRETIME_MS: u8 = 252;
    /// Unix seconds at which the next key expires.
    pub const EXPIRETIME: u8 = 253;
    /// The database of the keys that follow.
    pub const SELECTDB: u8 = 254;
    /// The end; a checksum follows.
    pub const EOF: u8 = 255;
}

/// What the parts of a module's value are.
pub mod module {
    /// There are no more.
    pub const EOF: u64 = 0;
    /// A signed number.
    pub const SINT: u64 = 1;
    /// An unsigned number.
    pub const UINT: u64 = 2;
    /// Four bytes.
    pub const FLOAT: u64 = 3;
    /// Eight bytes.
    pub const DOUBLE: u64 = 4;
    /// A string.
    pub const STRING: u64 = 5;
}

/// A node of a list is one element.
pub const NODE_PLAIN: u64 = 1;
/// A node of a list is a listpack.
pub const NODE_PACKED: u64 = 2;

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

/// Bytes of one string; also of one listpack, ziplist, …
pub const STRING_BYTES_MAX: u64 = 2 << 30;

const _: () = assert!(STRING_BYTES_MAX < u32::MAX as u64 && STRING_BYTES_MAX < usize::MAX as u64);
