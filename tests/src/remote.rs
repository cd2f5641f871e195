//! A server at the other end that takes everything.
//!
//! Owns: its answers, and what was said to it. Refuses to know: what any of it means. Start at [`Obliging`].

use std::sync::{Arc, Mutex, PoisonError};

use kora_runtime::host::{Remote, RemoteError};

/// The other end of a connection, which says yes to every request. Clones have heard the same.
#[derive(Debug, Clone, Default)]
pub struct Obliging(Arc<Mutex<Vec<u8>>>);

impl Obliging {
    /// All that was said to it.
    pub fn heard(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Remote for Obliging {
    fn send(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self) -> Result<Vec<u8>, RemoteError> {
        Ok(b"+OK".to_vec())
    }
}
