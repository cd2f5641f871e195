//! LZF: the compression of strings in RDB.
//!
//! Owns: making a block. Refuses to know: when compressing is worth it. Start at [`Compressor::compress`].
//!
//! ```text
//! 000lllll                     bytes…    l + 1 literal bytes, 1 to 32
//! lllooooo          oooooooo             copy l + 2 bytes, 3 to 8, from o + 1 bytes back; o has 13 bits, the high ones first
//! 111ooooo llllllll oooooooo             copy l + 9 bytes, 9 to 264
//! ```

const LITERALS_MAX: usize = 32;
const COPY_MIN: usize = 3;
const COPY_SHORT_MAX: usize = 8;
const COPY_MAX: usize = 264;
const DISTANCE_MAX: usize = 1 << 13;

const SLOT_BITS: u32 = 13;

/// Longest input, in bytes.
pub const INPUT_BYTES_MAX: usize = 1 << 30;

/// Remembers where three bytes were last seen. It serves any number of inputs without being cleared between them.
#[derive(Debug)]
pub struct Compressor {
    /// Positions plus `base`; what is below `base` belongs to an earlier input.
    slots: Box<[u32]>,
    base: u32,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { slots: vec![0; 1 << SLOT_BITS].into_boxed_slice(), base: 1 }
    }
}

impl Compressor {
    /// Appends the block of `input` to `out` if it takes at most `bytes_max` bytes. Otherwise says false, and `out` is what it was.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> bool {
        if input.len() > INPUT_BYTES_MAX {
            return false;
        }
        let base = self.base_for(input.len());
        let start = out.len();
        let end = start + bytes_max;
        let (mut at, mut literals_at, mut misses) = (0, 0, 0);
        while at + COPY_MIN <= input.len() {
            let slot = &mut self.slots[slot_of(input[at], input[at + 1], input[at + 2])];
            let seen = std::mem::replace(slot, base + at as u32);
            let back = seen
                .checked_sub(base)
                .map(|seen| seen as usize)
                .filter(|seen| at - seen <= DISTANCE_MAX && input[*seen..*seen + COPY_MIN] == input[at..at + COPY_MIN]);
            let Some(back) = back else {
                // The longer nothing repeats, the less often it is tried.
                misses += 1;
                at += 1 + misses / 64;
                continue;
            };
            misses = 0;
            let longest = COPY_MAX.min(input.len() - at);
            let tail = input[back + COPY_MIN..].iter().zip(&input[at + COPY_MIN..at + longest]);
            let len = COPY_MIN + tail.take_while(|(seen, here)| seen == here).count();
            push_literals(out, &input[literals_at..at]);
            push_copy(out, at - back, len);
            if out.len() > end {
                out.truncate(start);
                return false;
            }
            at += len;
            literals_at = at;
            // Where the copy ends is remembered, so that a longer repetition goes on from it.
            if at + 1 < input.len() {
                let slot = slot_of(input[at - 1], input[at], input[at + 1]);
                self.slots[slot] = base + at as u32 - 1;
            }
        }
        push_literals(out, &input[literals_at..]);
        if out.len() > end {
            out.truncate(start);
            return false;
        }
        true
    }

    /// A base above all positions of earlier inputs.
    fn base_for(&mut self, len: usize) -> u32 {
        let len = len as u32;
        if self.base > u32::MAX - len {
            self.slots.fill(0);
            self.base = 1;
        }
        let base = self.base;
        self.base += len;
        base
    }
}

#[inline]
fn slot_of(a: u8, b: u8, c: u8) -> usize {
    let three = u32::from_le_bytes([a, b, c, 0]);
    (three.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOT_BITS)) as usize
}

#[inline]
fn push_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for some in literals.chunks(LITERALS_MAX) {
        out.push(some.len() as u8 - 1);
        out.extend_from_slice(some);
    }
}

#[inline]
fn push_copy(out: &mut Vec<u8>, distance: usize, len: usize) {
    let offset = distance - 1;
    let high = (offset >> 8) as u8;
    if len <= COPY_SHORT_MAX {
        out.push((len as u8 - 2) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (len - 9) as u8]);
    }
    out.push(offset as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a block stands for, byte by byte as the format says.
    fn expand(block: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        let mut bytes = block.iter().copied();
        while let Some(control) = bytes.next() {
            let mut next = || usize::from(bytes.next().expect("a block ends with a whole step"));
            let high = usize::from(control & 31) << 8;
            let (len, distance) = match control >> 5 {
                0 => {
                    out.extend((0..=control).map(|_| next() as u8));
                    continue;
                }
                7 => (next() + 9, high + next() + 1),
                short => (usize::from(short) + 2, high + next() + 1),
            };
            (0..len).for_each(|_| out.push(out[out.len() - distance]));
        }
        out
    }

    fn words(seed: u64, len: usize, alphabet: u64) -> Vec<u8> {
        let mut state = seed;
        let next = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *state >> 33
        };
        (0..len).map(|_| b'a'.wrapping_add((next(&mut state) % alphabet) as u8)).collect()
    }

    #[test]
    fn blocks_expand_to_what_they_were_made_of() {
        let mut compressor = Compressor::default();
        let mut inputs = vec![vec![], b"a".to_vec(), b"aa".to_vec(), b"aaa".to_vec(), vec![0; 100_000]];
        for len in [31, 32, 33, 64, 263, 264, 265, 266, 267, 8191, 8192, 8193, 20_000] {
            inputs.extend([words(1, len, 1), words(2, len, 2), words(3, len, 4), words(4, len, 256)]);
            // Repetitions as far back as they may be, and one byte farther.
            let mut far = words(5, len, 256);
            far.extend_from_within(..);
            inputs.push(far);
        }
        for input in inputs {
            let mut block = b"before".to_vec();
            assert!(compressor.compress(&input, &mut block, usize::MAX / 2));
            assert_eq!(expand(&block[6..]), input, "{} bytes", input.len());
            let len = block.len() - 6;
            block.truncate(6);
            assert!(compressor.compress(&input, &mut block, len));
            if len > 0 {
                assert!(!compressor.compress(&input, &mut block, len - 1));
                assert_eq!(block.len(), 6 + len, "what does not fit is taken back");
            }
        }
    }

    #[test]
    fn what_repeats_becomes_short() {
        let mut compressor = Compressor::default();
        for (input, most) in [(vec![b'x'; 1000], 20), (b"key:000001;".repeat(50), 30), (words(9, 4000, 2), 2200)] {
            let mut block = Vec::new();
            assert!(compressor.compress(&input, &mut block, most), "{} bytes are more than {most}", input.len());
        }
    }

    #[test]
    fn an_earlier_input_leaves_no_trace() {
        let mut compressor = Compressor { base: u32::MAX - 10, ..Compressor::default() };
        for round in 0..200 {
            let input = words(round % 3, 40, 3);
            let mut block = Vec::new();
            assert!(compressor.compress(&input, &mut block, 1000));
            assert_eq!(expand(&block), input);
        }
    }
}
