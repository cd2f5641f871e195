//! The Redis protocol, without any socket.

pub mod number;
