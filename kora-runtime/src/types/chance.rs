//! Choices made with a random number that the caller brings.
//!
//! Owns: turning one `u64` into an index, and into the next `u64`. Refuses to know: where randomness comes from.

/// An index below `bound`, from the high bits of `random`. The bias is below `bound / 2^64`. `bound` must not be 0.
#[inline]
pub fn pick(random: u64, bound: usize) -> usize {
    debug_assert!(bound > 0, "nothing to pick from");
    ((u128::from(random) * bound as u128) >> 64) as usize
}

/// The next number of a sequence that starts at `random`: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
/// Number Generators, 2014).
#[inline]
pub fn next(random: u64) -> u64 {
    let mut mixed = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Chooses some out of things that pass by one after another, every choice with the same chance: algorithm S of Knuth, The
/// Art of Computer Programming, volume 2, section 3.4.2.
#[derive(Debug, Clone)]
pub struct Selection {
    left: usize,
    wanted: usize,
    random: u64,
}

impl Selection {
    /// Will choose `wanted` out of `len`, or all when there are fewer.
    pub fn new(len: usize, wanted: usize, random: u64) -> Self {
        Self { left: len, wanted: wanted.min(len), random }
    }

    /// Whether the next thing is chosen.
    #[inline]
    pub fn takes_next(&mut self) -> bool {
        if self.wanted == 0 {
            return false;
        }
        self.random = next(self.random);
        let chosen = pick(self.random, self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= usize::from(chosen);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_takes_as_many_as_wanted_and_each_about_equally_often() {
        let mut counts = [0_u32; 10];
        for seed in 0..20_000 {
            let mut selection = Selection::new(10, 3, next(seed));
            let chosen: Vec<_> = (0..10).filter(|_| selection.takes_next()).collect();
            assert_eq!(chosen.len(), 3);
            chosen.into_iter().for_each(|index| counts[index] += 1);
        }
        assert!(counts.iter().all(|count| (5_700..6_300).contains(count)), "{counts:?}");
        let mut all = Selection::new(2, 5, 1);
        assert_eq!([all.takes_next(), all.takes_next(), all.takes_next()], [true, true, false]);
    }

    #[test]
    fn picks_every_index_about_equally() {
        let mut counts = [0_u32; 7];
        let mut random = 1;
        for _ in 0..70_000 {
            random = next(random);
            counts[pick(random, counts.len())] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!((pick(0, 1), pick(u64::MAX, 1), pick(u64::MAX, 9)), (0, 0, 8));
    }
}
