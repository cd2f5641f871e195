//! Values as Redis's file format has them.
//!
//! Owns: the map between Kora's values and the types of RDB. Refuses to know: the primitives of the format (`kora-storage`), files,
//! which keys are written when. Start at [`ValueEncoder`] and [`decode::ValueDecoder`].

pub mod decode;
pub mod encode;
pub mod load;
mod view;

pub use decode::{DecodeOptions, Decoded, Skipped, ValueDecoder, decode_value};
pub use encode::{EncodeOptions, Usage, ValueEncoder, dump_payload, encode_value, value_type};
pub use load::{Loaded, PayloadError, load_key, load_payload};
pub use view::ValueView;
