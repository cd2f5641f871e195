//! Data types: plain containers that know neither RESP nor clock nor log.

pub mod chance;
pub mod table;
pub mod tree;

#[cfg(test)]
mod testing;
