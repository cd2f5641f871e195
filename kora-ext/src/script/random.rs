//! The generator behind `math.random`.
//!
//! Owns: the 48-bit linear congruential generator of `drand48`, which Redis gives scripts on every platform, so that scripts draw the same
//! numbers everywhere. Refuses to know: who draws.

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;

/// The state of a generator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random(u64);

impl Random {
    /// As it stands before anyone has seeded it.
    pub(super) const fn new() -> Self {
        Self(0x1234_ABCD_330E)
    }

    /// Seeds it.
    pub(super) fn seed(&mut self, seed: i32) {
        self.0 = (u64::from(seed as u32) << 16) + 0x330E;
    }

    /// A number from 0 to 2³¹ − 1.
    pub(super) fn next_31_bits(&mut self) -> i32 {
        self.0 = (self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT)) & MASK;
        (self.0 >> 17) as i32
    }
}
