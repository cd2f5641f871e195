//! Listpacks: short elements side by side, readable from both ends.
//!
//! Owns: writing one. Refuses to know: what its elements mean. Start at [`ListpackWriter`].
//!
//! ```text
//! bytes in all u32 LE │ elements u16 LE, 65535 when they are that many or more │ elements… │ 0xff
//! element:  form │ length of the form, seven bits a byte, the high ones first, the high bit set in all bytes but the first
//! form:
//!   0vvvvvvv                        integer 0..=127
//!   10llllll            bytes…      string of 0..=63 bytes
//!   110vvvvv vvvvvvvv               integer of 13 bits, two's complement
//!   1110llll llllllll   bytes…      string of 64..=4095 bytes
//!   11110000 l l l l    bytes…      string, length u32 LE
//!   11110001 v v … 11110100 v…      integer of 2, 3, 4, 8 bytes, two's complement, LE
//! ```

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
/// The number of elements that says nothing but that they must be counted.
const UNCOUNTED: usize = u16::MAX as usize;

const INT13: u8 = 0xc0;
const STRING6: u8 = 0x80;
const STRING12: u8 = 0xe0;
const STRING32: u8 = 0xf0;
const INT16: u8 = 0xf1;
const INT24: u8 = 0xf2;
const INT32: u8 = 0xf3;
const INT64: u8 = 0xf4;

/// Longest head or integer, with the length behind it.
const STEP_BYTES_MAX: usize = 16;

/// A listpack that is being made behind what a vector holds.
#[derive(Debug)]
pub struct ListpackWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    count: usize,
}

impl<'o> ListpackWriter<'o> {
    /// An empty one.
    #[inline]
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        Self { out, start, count: 0 }
    }

    /// Adds a string that is no canonical decimal integer; Redis would store one of those by [`push_int`](Self::push_int).
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.count += 1;
        let len = bytes.len();
        if len < 0x40 {
            self.out.reserve(len + 2);
            self.out.push(STRING6 | len as u8);
            self.out.extend_from_slice(bytes);
            self.out.push(len as u8 + 1);
            return;
        }
        let head = if len < 0x1000 {
            self.out.extend_from_slice(&[STRING12 | (len >> 8) as u8, len as u8]);
            2
        } else {
            let len = u32::try_from(len).expect("arguments and values are shorter than 4 GiB");
            self.out.push(STRING32);
            self.out.extend_from_slice(&len.to_le_bytes());
            5
        };
        self.out.extend_from_slice(bytes);
        push_length(self.out, head + len);
    }

    /// Adds an integer.
    #[inline]
    pub fn push_int(&mut self, int: i64) {
        self.count += 1;
        let mut form = [0; STEP_BYTES_MAX];
        let len = match int {
            0..=127 => {
                form[0] = int as u8;
                1
            }
            -4096..=4095 => {
                form[0] = INT13 | (int >> 8) as u8 & 0x1f;
                form[1] = int as u8;
                2
            }
            _ => {
                let (head, width) = match int {
                    -0x8000..=0x7fff => (INT16, 2),
                    -0x80_0000..=0x7f_ffff => (INT24, 3),
                    -0x8000_0000..=0x7fff_ffff => (INT32, 4),
                    _ => (INT64, 8),
                };
                form[0] = head;
                form[1..9].copy_from_slice(&int.to_le_bytes());
                1 + width
            }
        };
        form[len] = len as u8;
        self.out.extend_from_slice(&form[..=len]);
    }

    /// Ends it.
    #[inline]
    pub fn finish(self) {
        self.out.push(END);
        let len = self.out.len() - self.start;
        let len = u32::try_from(len).expect("what one request or one packed value holds is shorter than 4 GiB");
        let header = &mut self.out[self.start..self.start + HEADER_BYTES];
        header[..4].copy_from_slice(&len.to_le_bytes());
        header[4..].copy_from_slice(&(self.count.min(UNCOUNTED) as u16).to_le_bytes());
    }
}

/// Appends the length of an element, to be read from behind. A length that just fills its bytes gets one byte more from two
/// bytes on: so Redis measures, and it refuses what is measured otherwise.
fn push_length(out: &mut Vec<u8>, len: usize) {
    let bytes = match len {
        0..=0x7f => 1,
        0x80..0x3fff => 2,
        0x3fff..0x1f_ffff => 3,
        0x1f_ffff..0xfff_ffff => 4,
        _ => 5,
    };
    for byte in (0..bytes).rev() {
        let more = if byte + 1 == bytes { 0 } else { 0x80 };
        out.push((len >> (7 * byte)) as u8 & 0x7f | more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(make: impl FnOnce(&mut ListpackWriter<'_>)) -> Vec<u8> {
        let mut out = b"before".to_vec();
        let mut writer = ListpackWriter::new(&mut out);
        make(&mut writer);
        writer.finish();
        assert_eq!(&out[..6], b"before");
        out.split_off(6)
    }

    /// The bytes of one element.
    fn element(make: impl FnOnce(&mut ListpackWriter<'_>)) -> Vec<u8> {
        let bytes = made(make);
        bytes[6..bytes.len() - 1].to_vec()
    }

    #[test]
    fn a_listpack_has_its_length_and_its_count() {
        assert_eq!(made(|_| {}), [7, 0, 0, 0, 0, 0, 0xff]);
        let two = made(|writer| {
            writer.push_bytes(b"ab");
            writer.push_int(5);
        });
        assert_eq!(two, [13, 0, 0, 0, 2, 0, 0x82, b'a', b'b', 3, 5, 1, 0xff]);
        for (count, told) in [(65_534, 65_534_u16), (65_535, 65_535), (65_536, 65_535), (100_000, 65_535)] {
            let many = made(|writer| (0..count).for_each(|_| writer.push_int(1)));
            assert_eq!(many[4..6], told.to_le_bytes(), "{count}");
            assert_eq!(many[..4], (7 + 2 * count as u32).to_le_bytes());
        }
    }

    #[test]
    fn integers_take_the_narrowest_form() {
        let cases: [(i64, &[u8]); 17] = [
            (0, &[0, 1]),
            (127, &[127, 1]),
            (128, &[0xc0, 128, 2]),
            (-1, &[0xdf, 0xff, 2]),
            (4095, &[0xcf, 0xff, 2]),
            (-4096, &[0xd0, 0, 2]),
            (4096, &[0xf1, 0, 0x10, 3]),
            (-4097, &[0xf1, 0xff, 0xef, 3]),
            (32767, &[0xf1, 0xff, 0x7f, 3]),
            (32768, &[0xf2, 0, 0x80, 0, 4]),
            (-32769, &[0xf2, 0xff, 0x7f, 0xff, 4]),
            (8_388_607, &[0xf2, 0xff, 0xff, 0x7f, 4]),
            (8_388_608, &[0xf3, 0, 0, 0x80, 0, 5]),
            (i64::from(i32::MIN), &[0xf3, 0, 0, 0, 0x80, 5]),
            (i64::from(i32::MAX) + 1, &[0xf4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9]),
            (i64::MIN, &[0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80, 9]),
            (i64::MAX, &[0xf4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 9]),
        ];
        for (int, bytes) in cases {
            assert_eq!(element(|writer| writer.push_int(int)), bytes, "{int}");
        }
    }

    #[test]
    fn strings_have_heads_and_tails_by_their_length() {
        let cases: [(usize, &[u8], &[u8]); 11] = [
            (0, &[0x80], &[1]),
            (63, &[0xbf], &[64]),
            (64, &[0xe0, 64], &[66]),
            (125, &[0xe0, 125], &[127]),
            (126, &[0xe0, 126], &[1, 0x80]),
            (4095, &[0xef, 0xff], &[0x20, 0x81]),
            (4096, &[0xf0, 0, 0x10, 0, 0], &[0x20, 0x85]),
            (16_377, &[0xf0, 0xf9, 0x3f, 0, 0], &[0x7f, 0xfe]),
            // 16383 bytes of form would fit two bytes of length; Redis takes three.
            (16_378, &[0xf0, 0xfa, 0x3f, 0, 0], &[0, 0xff, 0xff]),
            (2_097_145, &[0xf0, 0xf9, 0xff, 0x1f, 0], &[0x7f, 0xff, 0xfe]),
            (2_097_146, &[0xf0, 0xfa, 0xff, 0x1f, 0], &[0, 0xff, 0xff, 0xff]),
        ];
        for (len, head, tail) in cases {
            let text = vec![b'x'; len];
            let bytes = element(|writer| writer.push_bytes(&text));
            assert_eq!(bytes, [head, &text, tail].concat(), "{len}");
        }
    }
}
