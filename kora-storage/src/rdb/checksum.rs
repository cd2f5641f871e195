//! The checksum of files, and of what DUMP and FUNCTION DUMP give: CRC-64 as Redis computes it.
//!
//! Owns: the sum of bytes that come in pieces. Refuses to know: where it is stored. Start at [`Checksum`].

use crc::{CRC_64_REDIS, Crc, Table};

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The checksum of bytes that come one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum(u64);

impl Checksum {
    /// That of no bytes.
    pub const fn new() -> Self {
        Self(0)
    }

    /// The sum of these bytes alone.
    pub fn of(bytes: &[u8]) -> u64 {
        CRC.checksum(bytes)
    }

    /// Goes on with these bytes.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        // The algorithm is reflected and starts at 0, so that a sum is where the next begins, its bits turned round.
        let mut digest = CRC.digest_with_initial(self.0.reverse_bits());
        digest.update(bytes);
        self.0 = digest.finalize();
    }

    /// The sum.
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_depend_on_the_pieces() {
        // What the polynomial's catalogue says of these nine bytes.
        assert_eq!(Checksum::of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let bytes: Vec<u8> = (0..1000_u32).map(|number| (number * 7 + number / 256) as u8).collect();
        for piece in [1, 2, 7, 16, 999, 1000] {
            let mut checksum = Checksum::new();
            bytes.chunks(piece).for_each(|bytes| checksum.update(bytes));
            assert_eq!(checksum.value(), Checksum::of(&bytes), "{piece}");
        }
        assert_eq!(Checksum::new().value(), Checksum::of(b""));
    }
}
