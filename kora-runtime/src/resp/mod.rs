//! The Redis protocol, without any socket.
//!
//! Owns: requests in ([`decode`], [`inline`]), encoded replies looked at again ([`value`]), numbers as Redis reads and writes
//! them ([`number`], [`extended`]). Replies out are written by [`crate::reply`]. Refuses to know: commands, sockets.
//! Start at [`decode::Decoder`].

pub mod decode;
pub mod extended;
pub mod inline;
mod natural;
pub mod number;
pub mod value;
