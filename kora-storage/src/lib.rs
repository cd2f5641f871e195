//! Bytes on disk.
//!
//! Owns: who may use a data directory ([`lock`]) and what its files look like ([`manifest`]; every byte is drawn in
//! docs/formats.md), and Redis's file format ([`rdb`]). Refuses to know: commands, RESP, Tokio, what a shard does with what it reads.

pub mod lock;
pub mod manifest;
pub mod rdb;
