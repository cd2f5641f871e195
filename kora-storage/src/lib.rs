//! Bytes on disk.
//!
//! Owns: who may use a data directory ([`lock`]), what its files look like ([`manifest`], [`log`]; every byte is drawn
//! in docs/formats.md), what of them survives ([`recovery`]), how files are reached ([`dir`]), and the RDB files of Redis ([`rdb`]). Refuses to know:
//! commands, RESP, Tokio, threads, clocks, what a shard does with what it reads.
//!
//! The life of a directory: [`recovery::recover`] finds what the logs hold; the manifest is written with a raised
//! incarnation; a [`log::LogWriter`] for each shard goes on where recovery ended; [`manifest::sweep`] removes what
//! nobody needs.

pub mod dir;
pub mod lock;
pub mod log;
pub mod manifest;
pub mod rdb;
pub mod recovery;
