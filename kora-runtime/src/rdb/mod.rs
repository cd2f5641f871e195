//! Values as Redis's file format has them.
//!
//! Owns: the map between Kora's values and the types of RDB. Refuses to know: the primitives of the format (`kora-storage`), files,
//! which keys are written when. Start at [`decode::ValueDecoder`].

pub mod decode;
pub mod load;

pub use decode::{DecodeOptions, Decoded, Skipped, ValueDecoder, decode_value};
pub use load::{Loaded, PayloadError, load_key, load_payload};
/// tmp
pub fn dump_payload(_: &crate::keyspace::Detached) -> Vec<u8> {
    Vec::new()
}
