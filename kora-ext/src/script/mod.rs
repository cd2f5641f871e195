//! Scripts in Lua 5.1, as Redis 7.0 runs them.
//!
//! Owns: the interpreter of a shard, its sandbox, the cache of scripts and the function libraries. Refuses to know: shards, keys and sockets;
//! what a script asks for goes through [`Caller`].
//! Start at [`Scripts`] for EVAL, at [`Libraries`] for FCALL, at `state.rs` for the interpreter and `prelude.lua` for what scripts see.
//!
//! Both live on one thread and make their interpreter when it is first needed. A caller is moved in for the time of one script and handed back.

mod arguments;
mod bits;
mod budget;
mod cache;
mod caller;
mod digest;
mod error;
mod from_reply;
mod header;
mod json;
mod libraries;
pub mod limits;
mod msgpack;
mod natives;
mod packing;
mod payload;
mod random;
mod state;
mod to_reply;

#[cfg(test)]
mod tests;

pub use cache::{Script, Scripts};
pub use caller::{Caller, Interrupt, LogLevel, Propagation};
pub use digest::{Sha1Digest, parse_sha1, sha1, sha1_hex};
pub use error::ScriptError;
pub use header::{Flags, ScriptHeader, read_script};
pub use libraries::{FunctionInfo, Libraries, Library};
pub use payload::RestorePolicy;
