//! Texts of scripts that ran on other shards.
//!
//! Owns: keeping as many as there is room for. Refuses to know: whether they compile. Start at [`KnownTexts::add`].

use std::collections::{HashMap, VecDeque};

use crate::script::limits::{SCRIPT_BYTES_MAX, SCRIPTS_MAX};
use crate::script::{Sha1Digest, parse_sha1, sha1};

/// Texts by their SHA-1, the oldest of which make room for new ones.
#[derive(Default)]
pub(super) struct KnownTexts {
    texts: HashMap<Sha1Digest, Box<[u8]>>,
    order: VecDeque<Sha1Digest>,
    bytes: usize,
}

impl KnownTexts {
    /// Keeps a text.
    pub(super) fn add(&mut self, text: &[u8]) {
        let digest = sha1(text);
        if text.len() > SCRIPT_BYTES_MAX || self.texts.contains_key(&digest) {
            return;
        }
        self.bytes += text.len();
        self.texts.insert(digest, text.into());
        self.order.push_back(digest);
        while self.bytes > SCRIPT_BYTES_MAX || self.order.len() > SCRIPTS_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.texts.remove(&oldest).map_or(0, |text| text.len());
        }
    }

    /// The text whose SHA-1 has these 40 digits.
    pub(super) fn find(&self, hex: &[u8]) -> Option<Box<[u8]>> {
        self.texts.get(&parse_sha1(hex)?).cloned()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::sha1_hex;

    #[test]
    fn the_oldest_texts_make_room() {
        let mut known = KnownTexts::default();
        let hex = |text: &[u8]| sha1_hex(&sha1(text));
        known.add(b"return 1");
        known.add(b"return 1");
        assert_eq!(known.find(&hex(b"return 1")).as_deref(), Some(&b"return 1"[..]));
        for number in 0..SCRIPTS_MAX {
            known.add(format!("return {number} + 1").as_bytes());
        }
        assert_eq!(known.find(&hex(b"return 1")), None);
        known.add(&vec![b' '; SCRIPT_BYTES_MAX + 1]);
        assert_eq!((known.texts.len(), known.order.len()), (SCRIPTS_MAX, SCRIPTS_MAX));
        known.clear();
        assert_eq!(known.bytes, 0);
    }
}
