//! Bytes on disk.
//!
//! Owns: who may use a data directory ([`lock`]), what its files look like ([`manifest`]; every byte is drawn in
//! docs/formats.md) and the files of Redis ([`rdb`]). Refuses to know: commands, RESP, Tokio, what a shard does with what it
//! reads.

pub mod lock;
pub mod manifest;
pub mod rdb;
