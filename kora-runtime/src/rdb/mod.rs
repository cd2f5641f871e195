//! Values as Redis's file format has them.
//!
//! Owns: the map between Kora's values and the types of RDB. Refuses to know: the primitives of the format (`kora-storage`), files,
//! which keys are written when. Start at [`ValueEncoder`].

pub mod encode;
mod view;

pub use encode::{EncodeOptions, Usage, ValueEncoder, dump_payload, encode_value, value_type};
pub use view::ValueView;
