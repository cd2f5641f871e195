//! Natural numbers of any size.
//!
//! Owns: the little arithmetic that reading and writing long floats takes, slow and simple. Refuses to know: floats. Start at
//! [`Natural`]. The callers bound the sizes: a few hundred limbs.

use crate::resp::number::write_i64;

/// A natural number: base 2^32, lowest limb first, no zero limb at the end.
pub(super) struct Natural {
    limbs: Vec<u32>,
}

impl Natural {
    /// The number itself.
    pub(super) fn from_u128(number: u128) -> Self {
        let mut big = Self { limbs: (0..4).map(|limb| (number >> (32 * limb)) as u32).collect() };
        big.trim();
        big
    }

    /// From decimal digits (not their characters), highest first, the first not 0.
    pub(super) fn from_digits(digits: &[u8]) -> Self {
        let mut big = Self { limbs: Vec::new() };
        for chunk in digits.chunks(9) {
            let value = chunk.iter().fold(0, |value, digit| value * 10 + u32::from(*digit));
            big.multiply_and_add(10u32.pow(chunk.len() as u32), value);
        }
        big
    }

    /// True for 0.
    pub(super) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    /// How many bits it has.
    pub(super) fn bits(&self) -> usize {
        self.limbs.last().map_or(0, |top| self.limbs.len() * 32 - top.leading_zeros() as usize)
    }

    fn multiply_and_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.limbs.push(carry as u32);
        }
    }

    /// Multiplies by `10^power`.
    pub(super) fn multiply_by_power_of_ten(&mut self, power: usize) {
        for _ in 0..power / 9 {
            self.multiply_and_add(1_000_000_000, 0);
        }
        self.multiply_and_add(10u32.pow((power % 9) as u32), 0);
    }

    /// Times `2^bits`.
    pub(super) fn shifted_left(mut self, bits: usize) -> Self {
        if !bits.is_multiple_of(32) {
            self.multiply_and_add(1 << (bits % 32), 0);
        }
        self.limbs.splice(0..0, std::iter::repeat_n(0, bits / 32));
        self
    }

    /// Times 2.
    pub(super) fn double(&mut self) {
        self.multiply_and_add(2, 0);
    }

    /// Subtracts `other` unless that is larger; says whether it did.
    pub(super) fn subtract_if_possible(&mut self, other: &Self) -> bool {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        if by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev())).is_lt() {
            return false;
        }
        let mut borrow = false;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let subtrahend = other.limbs.get(index).copied().unwrap_or(0);
            let (difference, borrowed) = limb.overflowing_sub(subtrahend);
            let (difference, borrowed_again) = difference.overflowing_sub(u32::from(borrow));
            *limb = difference;
            borrow = borrowed || borrowed_again;
        }
        self.trim();
        true
    }

    /// Divides by 10^9 and returns the remainder.
    fn take_nine_digits(&mut self) -> u32 {
        let mut remainder = 0u64;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = remainder << 32 | u64::from(*limb);
            *limb = (dividend / 1_000_000_000) as u32;
            remainder = dividend % 1_000_000_000;
        }
        self.trim();
        remainder as u32
    }

    /// Appends its decimal digits.
    pub(super) fn write_decimal(mut self, out: &mut Vec<u8>) {
        let mut groups = Vec::new();
        while !self.limbs.is_empty() {
            groups.push(self.take_nine_digits());
        }
        let mut groups = groups.into_iter().rev();
        write_i64(out, i64::from(groups.next().unwrap_or(0)));
        for group in groups {
            out.extend_from_slice(format!("{group:09}").as_bytes());
        }
    }
}
