//! SHA-1 of scripts.
//!
//! Owns: the digest and its text. Refuses to know: what it names.

use std::hash::{BuildHasherDefault, Hasher};

use sha1::{Digest, Sha1};

/// The SHA-1 of a script's text.
pub type Sha1Digest = [u8; 20];

/// Hashes digests for tables of a bounded size.
pub(super) type DigestHash = BuildHasherDefault<DigestHasher>;

/// A hash that is the first bytes of a digest: they are as random as any hash of them. Whoever looks for texts whose digests begin alike finds some, but
/// the tables hold too few scripts for that to matter.
#[derive(Debug, Default)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length, which all digests share.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The digest of `text`.
pub fn sha1(text: &[u8]) -> Sha1Digest {
    Sha1::digest(text).into()
}

/// A digest as 40 hexadecimal digits in lower case.
pub fn sha1_hex(digest: &Sha1Digest) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// The digest that 40 hexadecimal digits, in either case, stand for.
pub fn parse_sha1(text: &[u8]) -> Option<Sha1Digest> {
    if text.len() != 40 {
        return None;
    }
    let mut digest = [0; 20];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(digest)
}
