//! Transcripts and what drives them.
//!
//! Owns: the text format in which the behaviour of every command is written down, its runner, and a client that speaks RESP2 and
//! RESP3. Refuses to know: how Kora is built inside; a server or an embedded engine is a [`run::Target`].
//! Start at [`transcript`] for the format, at [`run::Target`] to put something new under test.

pub mod crash;
pub mod expected;
pub mod kora;
pub mod oracle;
pub mod remote;
pub mod replay;
pub mod resp;
pub mod run;
pub mod simulation;
pub mod table_fuzz;
pub mod tcp;
pub mod transcript;
pub mod update;
pub mod words;
